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
	__u64 *open_tags;		      /* those of struct vst_lock_open, one after the other */
	int open_fd;			      /* the rest of it */
};

/* Of a loaded object, which outlives it. 0 or -errno; either way to be closed. */
int vst_lock_maps_open(struct lock_bpf *skel, struct vst_lock_maps *m);
/*
 * Waits under way. They are 1.5 MB, which count as the agent's memory while they are mapped, so that is done for a moment where a
 * tag is set. NULL: there was no memory. Given back with the same m.
 */
const struct vst_lock_open *vst_lock_maps_waits(const struct vst_lock_maps *m);
void vst_lock_maps_waits_end(const struct vst_lock_open *open);
/* Forgets waits under way, and whose turns it were; while nothing of the probe is attached. */
void vst_lock_maps_forget(struct lock_bpf *skel);
void vst_lock_maps_close(struct vst_lock_maps *m);

#endif /* VST_LOCK_MAPS_H */
