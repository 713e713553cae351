/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who waited for whom at what is no lock: disks, journals, the limit of dirty pages. Sums that only grow, of
 * parts that were shared out. Bounded: where there is no room for one more pair, its wait is that of `others`.
 */
#ifndef VST_BLAME_H
#define VST_BLAME_H

#include <stdbool.h>
#include <uthash.h>

#include "agent/io/devices.h"
#include "agent/waits/wait_rows.h"

#define VST_BLAME_PAIRS 4096

struct vst_blame_key {
	struct vst_container *waiter, *holder;
	__u64 resource; /* enum vst_wait_type << 32 | the disk; 0 in the lower half: several disks */
};

struct vst_blame_pair {
	struct vst_wait_row row;
	struct vst_blame_key key;
	__u64 waits;
	double ns;
	bool added; /* to it, since its value was made */
	struct vst_blame_pair *next_added;
	UT_hash_handle hh; /* by .key */
};

struct vst_blame;

/* rows: of all waits, which outlive it. */
int vst_blame_new(struct vst_wait_rows *rows, struct vst_blame **ret);
void vst_blame_free(struct vst_blame *b);

/* Adds a part of a wait; what cannot be added for want of memory is counted. now: monotonic seconds. */
void vst_blame_add(struct vst_blame *b, enum vst_wait_type type, __u32 dev, const struct vst_container *waiter,
		   const struct vst_container *holder, __u64 waits, double ns, double now);

/* Makes new values of the pairs that were added to. */
void vst_blame_collect(struct vst_blame *b, struct vst_devices *devices);

/* Once a tick: forgets what was kept long enough. */
void vst_blame_reclaim(struct vst_blame *b, double now);

/* For iteration with uthash's ->hh.next. */
const struct vst_blame_pair *vst_blame_pairs(const struct vst_blame *b);

#endif /* VST_BLAME_H */
