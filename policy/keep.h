/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When what is worth keeping in a cache has to be read again. A cache lowers a block's priority as it takes in other
 * bytes, so a period is a part of the cache's size in admitted bytes, and not a time. Pure.
 */
#ifndef VST_POLICY_KEEP_H
#define VST_POLICY_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vstor/abi_cache.h"

/* Of a cached device. All 0 at the start: every class is due. */
struct vst_keep {
	uint64_t admitted[VST_HEAT_CLASSES]; /* by class - VST_HEAT_CLASS_MIN: when it was read last */
	uint64_t asked;			     /* up to where vst_keep_unknown() has counted */
	uint64_t looked;		     /* when lost units were looked for last */
	uint32_t unknown;		     /* units that may be read of which it is not known where they are */
	uint64_t seen;			     /* at the last look */
	uint8_t started;		     /* classes that were read at all, a bit each */
};

/* Classes as the value of a keeper: "4 5" for the bits 4 and 5, "off" for none. buf has VST_KEEP_TEXT bytes. */
#define VST_KEEP_TEXT 16
const char *vst_keep_text(unsigned int classes, char *buf);
/* 0 or -EINVAL: only what vst_keep_text() writes is taken. */
int vst_keep_parse(const char *text, unsigned int *ret_classes);

/* The period of a class: class 5 a quarter of the cache, 4 a half, 3 seven tenths; 0: such a class is not kept. */
uint64_t vst_keep_period(unsigned int class, uint64_t cache_bytes);

/*
 * The classes that are due, bit n for class n, when the cache has taken in `admitted` bytes so far, or that will be by the next
 * look, if as much is admitted until then as since the last one. They count as read from
 * then on. A number that went back is that of a new agent: every class is due.
 */
unsigned int vst_keep_due(struct vst_keep *k, uint64_t admitted, uint64_t cache_bytes);

/* These could not be read: they are due again. */
void vst_keep_again(struct vst_keep *k, unsigned int classes);

/* A pass: what to look for. */
struct vst_keep_pass {
	unsigned int due;     /* classes that are due: their buckets are read */
	unsigned int kept;    /* classes that are kept: what the cache has lost of them is read */
	uint32_t max_unknown; /* units of these, at most */
	uint32_t max_pinned;  /* the same of those that a user pinned */
};

/*
 * True when it is time to look for what the cache has lost, whether a class is due or not: after each 64th of the cache. More often
 * would cost too much, because each look reads all tables.
 */
bool vst_keep_look(struct vst_keep *k, uint64_t admitted, uint64_t cache_bytes);

/*
 * How many units may be read of which it is not known where they are: VST_KEEP_UNKNOWN_SHARE of what was admitted, so that they are
 * no load. What is not used is saved up, to VST_KEEP_UNKNOWN_FIRST units, because a cache loses a bucket at a time.
 */
#define VST_KEEP_UNKNOWN_SHARE 256
#define VST_KEEP_UNKNOWN_FIRST 256
uint32_t vst_keep_unknown(struct vst_keep *k, uint64_t admitted, uint32_t unit_bytes);

/* So many of them are read. */
void vst_keep_unknown_used(struct vst_keep *k, size_t units);

#endif /* VST_POLICY_KEEP_H */
