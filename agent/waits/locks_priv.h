/* SPDX-License-Identifier: GPL-2.0-only */
/* The inside of struct vst_locks: for locks*.c only. */
#ifndef VST_LOCKS_PRIV_H
#define VST_LOCKS_PRIV_H

#include "agent/waits/lock_open.h"
#include "agent/waits/locks.h"

struct vst_locks {
	struct vst_lock_row *rows;
	struct vst_lock_blame *blames;
	struct vst_lock_naming *naming;
	/* waits that have not ended */
	struct vst_lock_open_wait *open; /* [VST_LOCK_OPEN_MAX] */
	size_t n_open;
	const struct vst_lock_open *waits; /* while it is read */
	struct vst_lock_row *waited;	   /* rows of which somebody waits, or did at the last look, chained */
	struct vst_lock_blame *blamed;
	/* by place in the maps */
	struct vst_lock_row *row_at[VST_LOCK_ROWS];
	__u16 row_next[VST_LOCK_ROWS]; /* place + 1 of the next one of the same row */
	__u64 row_seen[VST_LOCK_ROWS]; /* waits when it was last read */
	struct vst_lock_blame *blame_at[VST_LOCK_PAIRS];
	__u16 blame_next[VST_LOCK_PAIRS];
	__u64 blame_seen[VST_LOCK_PAIRS];
	double row_retired[VST_LOCK_ROWS], blame_retired[VST_LOCK_PAIRS]; /* 0: no */
	unsigned int n_rows, n_blames;					  /* places in use */
	__u32 last_id;
};

/* The row or pair of a key (what: without the CPU), a new one if there is none; NULL only if out of memory. */
struct vst_lock_row *vst_locks_row_of(struct vst_locks *l, __u64 owner, __u64 what, struct vst_owners *owners,
				      double now);
struct vst_lock_blame *vst_locks_blame_of(struct vst_locks *l, const struct vst_lock_who *who,
					  struct vst_owners *owners, double now);

/* The text for an object that somebody has waited for, so long. */
void vst_locks_longest_set(struct vst_lock_longest *longest, const char *text, __u64 ns, double now);

/*
 * What goes on: find before what has ended is read, and collect after it. 0 or -ENOMEM. Where nothing is watched, what was charged
 * for waits that went on stays.
 */
void vst_locks_open_find(struct vst_locks *l, const struct vst_probes *probes, __u64 now_ns);
int vst_locks_open_collect(struct vst_locks *l, const struct vst_probes *probes, struct vst_owners *owners,
			   __u64 now_ns);

#endif /* VST_LOCKS_PRIV_H */
