/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who waited for whom at what is no lock: disks, journals, the limit of dirty pages. Sums that only grow, of parts that
 * were divided. A pair without a holder is how long the waiter waited, whoever made it wait. Bounded: if there is no
 * room for one more pair, its wait is assigned to `others`.
 */
#ifndef VST_BLAME_H
#define VST_BLAME_H

#include <stdbool.h>
#include <uthash.h>

#include "agent/io/devices.h"
#include "agent/waits/wait_rows.h"

#define VST_BLAME_PAIRS 4096

struct vst_blame_key {
	struct vst_container *waiter, *holder; /* holder NULL: all of them */
	__u64 resource; /* enum vst_wait_type << 32 | the disk; 0 in the lower half: several disks */
};

struct vst_blame_pair {
	struct vst_wait_row row;
	struct vst_blame_key key;
	__u64 waits;
	double ns;
	__u64 max_ns;  /* of a wait that ended; of all holders only */
	__u32 waiting; /* now */
	__u64 oldest_ns;
	bool goes_on; /* said so since its value was made */
	bool added;   /* to it, since its value was made */
	struct vst_blame_pair *next_added;
	UT_hash_handle hh; /* by .key */
};

struct vst_blame;

/* rows: of all waits, which outlive it. */
int vst_blame_new(struct vst_wait_rows *rows, struct vst_blame **ret);
void vst_blame_free(struct vst_blame *b);

/* Adds a part of a wait, or without a holder all of it; what cannot be added for want of memory is left out. now: monotonic seconds. */
void vst_blame_add(struct vst_blame *b, enum vst_wait_type type, __u32 dev, const struct vst_container *waiter,
		   const struct vst_container *holder, __u64 waits, double ns, double now);

/* A wait of a waiter that took so long has ended. */
void vst_blame_longest(struct vst_blame *b, enum vst_wait_type type, __u32 dev, const struct vst_container *waiter,
		       __u64 max_ns);

/*
 * The same of a wait that goes on: adds what has passed of it, and tells until vst_blame_collect() how many wait and since when.
 */
void vst_blame_goes_on(struct vst_blame *b, enum vst_wait_type type, __u32 dev, const struct vst_container *waiter,
		       const struct vst_container *holder, __u32 tasks, __u64 oldest_ns, double ns, double now);

/* Makes new values of the pairs that were added to. */
void vst_blame_collect(struct vst_blame *b, struct vst_devices *devices);

/* Once a tick: forgets what was kept long enough. */
void vst_blame_reclaim(struct vst_blame *b, double now);

/* For iteration with uthash's ->hh.next. */
const struct vst_blame_pair *vst_blame_pairs(const struct vst_blame *b);

#endif /* VST_BLAME_H */
