/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How often a cache of any size would hit, from a sample of what is read and written: for each page of the sample its reuse distance, that is
 * how many other pages were used since it was used last. An LRU cache of N pages hits what has a distance below N. (Waldspurger et al.,
 * "Efficient MRC construction with SHARDS", FAST 2015: pages are sampled by a hash, so a sampled page is seen each time that it is used, and
 * distances in the sample are the real ones times the sampling rate.) Pure, and bounded: when the sample is full, the rate is halved.
 *
 * A keeper keeps classes from `kept` on whatever happens; the other pages share what is left. So distances are also counted among
 * the pages of lower classes alone.
 */
#ifndef VST_REUSE_H
#define VST_REUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vstor/abi_cache.h"

#define VST_REUSE_PAGE 4096
#define VST_REUSE_OCTAVE 8 /* buckets of a doubling of the distance */
#define VST_REUSE_BUCKETS (40 * VST_REUSE_OCTAVE)
#define VST_REUSE_CLASSES (VST_CLASS_MAX + 1)
/* Index of what is kept: 0 nothing, 1 class 5, 2 classes 4 and 5, 3 classes 3 to 5. */
#define VST_REUSE_KEPT (VST_HEAT_CLASSES + 1)

/* What is known of the reads of a class, if so much is kept. Numbers of pages, scaled to all that was done. */
struct vst_curve {
	double reads;		      /* all of them */
	double first;		      /* of these, by whom the page was used for the first time */
	double at[VST_REUSE_BUCKETS]; /* by distance in pages */
};

struct vst_reuse;

/* max: pages in the sample. NULL: out of memory. */
struct vst_reuse *vst_reuse_new(uint32_t max);
void vst_reuse_free(struct vst_reuse *r);

/* A page whose hash is at least this is not in the sample: whoever feeds it need not show it. 1 << 32: all are. */
uint64_t vst_reuse_threshold(const struct vst_reuse *r);
/* Makes the sample that much smaller from the beginning. Only before the first use. */
void vst_reuse_start(struct vst_reuse *r, uint64_t threshold);

/* A page was read or written, by I/O of a class. hash: of the page, always the same; see vst_reuse_threshold(). */
void vst_reuse_use(struct vst_reuse *r, uint64_t page, uint32_t hash, unsigned int class, bool is_read);

/* The curve of a class, kept as above. */
const struct vst_curve *vst_reuse_curve(const struct vst_reuse *r, unsigned int kept, unsigned int class);
/* Bytes of all pages that were used and are of classes that are kept then. */
uint64_t vst_reuse_kept_bytes(const struct vst_reuse *r, unsigned int kept);
uint32_t vst_reuse_pages(const struct vst_reuse *r); /* in the sample now */

/* Which bucket a distance in pages is in; and the distances [*ret_from, *ret_to) of a bucket. */
unsigned int vst_reuse_bucket(double distance);
void vst_reuse_bounds(unsigned int bucket, double *ret_from, double *ret_to);

/*
 * The hit ratio of a class, 0 to 1, in a cache of so many bytes; negative: it was not read. is_kept: the class is one of those that are kept.
 * kept_bytes: of all those that are; they take at most half of the cache. total: how many pages were really read, 0: not known. A
 * few pages that are used very often make the sample a bad one, whether they are in it or not; but nearly each of their uses is a hit, so the difference
 * between what was read and what the sample stands for counts as hits (SHARDS-adj, section 3.5 of the paper).
 */
double vst_reuse_ratio(const struct vst_curve *c, bool is_kept, uint64_t kept_bytes, uint64_t cache_bytes,
		       double total);

#endif /* VST_REUSE_H */
