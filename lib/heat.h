/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the heat map says: how much of a cached device is worth keeping, how much of that the cache has, and which blocks have
 * to be read again so that it stays. Pure: the tables are passed in, and may be written to meanwhile by the probes.
 */
#ifndef VST_HEAT_H
#define VST_HEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vstor/abi_cache.h"

/* The tables, as far as they are about one cached device. */
struct vst_heat_view {
	const struct vst_heat *heat; /* of its first chunk */
	const uint64_t *pins;	     /* a bit for each unit of each chunk that a user pinned; NULL: none */
	uint32_t chunks;
	uint32_t unit_shift;
	uint32_t index; /* of the device, in the places */
	const struct vst_cache_place *places;
	uint32_t n_places;
	const uint64_t *epochs;
	uint32_t n_epochs;
};

/*
 * A bit for each unit of each chunk of which the cache was seen to take it in, and which it has not thrown out since:
 * covered[chunks], zeroed by the caller.
 */
void vst_heat_cover(const struct vst_heat_view *v, uint64_t *covered);

struct vst_heat_sum {
	uint64_t bytes[VST_HEAT_CLASSES];    /* worth keeping, by class - VST_HEAT_CLASS_MIN */
	uint64_t resident[VST_HEAT_CLASSES]; /* of these, in the cache for sure */
};

/* What was not used since `oldest` (seconds, see struct vst_heat) is not worth keeping, but what is pinned always is. */
void vst_heat_sum(const struct vst_heat_view *v, const uint64_t *covered, uint32_t oldest, struct vst_heat_sum *ret);

/* Sets in words[chunks] the bits of the units that these bytes of the device lie in. */
void vst_heat_mark(uint64_t *words, uint32_t chunks, uint32_t unit_shift, uint64_t offset, uint64_t bytes);
/* How many of the units that these bytes lie in have their bit set. */
uint64_t vst_heat_marked(const uint64_t *words, uint32_t chunks, uint32_t unit_shift, uint64_t offset, uint64_t bytes);

/* What is wanted of vst_heat_choose(). */
struct vst_heat_wanted {
	unsigned int classes; /* bit n: class n is due */
	unsigned int unknown; /* classes of the units of which it is not known where they are */
	uint32_t oldest;      /* as above */
	uint32_t max_buckets; /* keep at most so many; those of the highest class come first */
	uint32_t max_unknown; /* read at most so many units of which it is not known where they are */
	uint32_t max_pinned;  /* ... and before them so many that a user pinned */
	uint32_t cursor;      /* the chunk where to go on with these; moved on */
};

/*
 * Which bytes of the device have to be read: one page for each bucket that has something of a class that is due, and units of which
 * nobody saw the cache take them in, or that it has thrown out: a read finds them, or brings them in. In no order that looks sequential. The offsets are
 * allocated: *ret_offsets, *ret_n, the first *ret_known of them are in buckets that are known. 0 or -ENOMEM.
 */
int vst_heat_choose(const struct vst_heat_view *v, const uint64_t *covered, struct vst_heat_wanted *wanted,
		    uint64_t **ret_offsets, size_t *ret_n, size_t *ret_known);

#endif /* VST_HEAT_H */
