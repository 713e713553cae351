/* SPDX-License-Identifier: GPL-2.0-only */
/* The tables of the lock probe, by place. */
#ifndef VST_LOCK_MAPS_H
#define VST_LOCK_MAPS_H

#include "vstor/abi_locks.h"

struct lock_bpf;

/* All NULL, and not to be read, where there is no such probe. What is large or seldom asked for has a descriptor. */
struct vst_lock_maps {
	struct vst_lock_state *state;
	__u64 *ctags; /* [VST_LOCK_CLASSES] */
	int classes_fd;
	__u64 *rtags;			/* [VST_LOCK_ROWS] */
	struct vst_lock_counters *rows; /* likewise */
	int hists_fd;
	__u64 *ptags;			      /* [VST_LOCK_PAIRS] */
	struct vst_lock_pair *pairs;	      /* likewise */
	struct vst_lock_route *routes;	      /* [VST_LOCK_CLASSES] */
	struct vst_lock_object *objects;      /* [1 << VST_LOCK_OBJECT_BITS] */
	struct vst_lock_holder_stack *stacks; /* [1 << VST_LOCK_STACK_BITS] */
};

/* Of a loaded object, which outlives it. 0 or -errno; either way to be closed. */
int vst_lock_maps_open(struct lock_bpf *skel, struct vst_lock_maps *m);
/* Waits under way, and whose turns it were: while nothing of the probe is attached. */
void vst_lock_maps_forget(struct lock_bpf *skel);
void vst_lock_maps_close(struct vst_lock_maps *m);

#endif /* VST_LOCK_MAPS_H */
