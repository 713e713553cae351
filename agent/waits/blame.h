/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who waited for whom at what is no lock: disks, journals, the limit of dirty pages. Sums that only grow, of
 * parts that were shared out. Bounded: where there is no room for one more pair, its wait is that of `others`.
 */
#ifndef VST_BLAME_H
#define VST_BLAME_H

#include <stdbool.h>
#include <uthash.h>

#include "agent/who/owners.h"

/* What is waited for. X(ENUM, "its name, before the colon") */
#define VST_BLAME_RESOURCES(X)                                                                                         \
	X(DEVICE, "device")                                                                                            \
	X(JOURNAL, "journal")                                                                                          \
	X(DIRTY, "dirty")

enum vst_blame_resource {
#define X(e, n) VST_BLAME_##e,
	VST_BLAME_RESOURCES(X)
#undef X
		VST_BLAME_RESOURCE__N
};

static inline const char *vst_blame_resource_name(enum vst_blame_resource r)
{
	static const char *const names[] = {
#define X(e, n) n,
		VST_BLAME_RESOURCES(X)
#undef X
	};

	return names[r];
}

#define VST_BLAME_PAIRS 4096

struct vst_blame_key {
	struct vst_container *waiter, *holder;
	__u64 resource; /* enum vst_blame_resource << 32 | the disk */
};

struct vst_blame_pair {
	__u32 id; /* for clients: unique, never given again */
	struct vst_blame_key key;
	__u64 waits;
	double ns;
	double changed_at;
	UT_hash_handle hh; /* by .key */
};

struct vst_blame;

/* Holders that are no container: many small ones, and the kernel's own threads. */
extern struct vst_container vst_blame_others, vst_blame_kernel;

int vst_blame_new(struct vst_blame **ret);
void vst_blame_free(struct vst_blame *b);

/* Adds a part of a wait; what cannot be added for want of memory is counted. now: monotonic seconds. */
void vst_blame_add(struct vst_blame *b, enum vst_blame_resource r, __u32 dev, const struct vst_container *waiter,
		   const struct vst_container *holder, __u64 waits, double ns, double now);

/* Once a tick: forgets what was kept long enough. */
void vst_blame_reclaim(struct vst_blame *b, double now);

/* For iteration with uthash's ->hh.next. */
const struct vst_blame_pair *vst_blame_pairs(const struct vst_blame *b);

#endif /* VST_BLAME_H */
