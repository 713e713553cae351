/* SPDX-License-Identifier: GPL-2.0-only */
/* The inside of struct vst_locks: for locks*.c only. */
#ifndef VST_LOCKS_PRIV_H
#define VST_LOCKS_PRIV_H

#include "agent/waits/lock_open.h"
#include "agent/waits/lock_stale.h"
#include "agent/waits/locks.h"

struct vst_locks {
	struct vst_wait_rows *wait_rows;
	struct vst_lock_row *rows, **row_hash; /* by .key, chained by .same_hash */
	struct vst_lock_blame *blames, **blame_hash;
	unsigned int n_all_rows, n_all_blames, row_hashes, blame_hashes; /* that there are; a power of 2, or 0 */
	struct vst_lock_naming *naming;
	/* waits that have not ended */
	struct vst_lock_open_wait *open; /* [VST_LOCK_OPEN_MAX] */
	size_t n_open;
	const struct vst_lock_open *waits; /* while they are read */
	struct vst_lock_suspects suspects;
	struct vst_lock_row **on_rows; /* of which somebody waits, or did at the last look */
	struct vst_lock_blame **on_blames;
	size_t n_on_rows, n_on_blames, cap_on_rows, cap_on_blames;
	/* by place in the maps */
	struct vst_lock_row *row_at[VST_LOCK_ROWS];
	__u16 row_next[VST_LOCK_ROWS]; /* place + 1 of the next one of the same row */
	__u64 row_seen[VST_LOCK_ROWS]; /* waits when it was last read */
	struct vst_lock_blame *blame_at[VST_LOCK_PAIRS];
	__u16 blame_next[VST_LOCK_PAIRS];
	__u64 blame_seen[VST_LOCK_PAIRS];
	double row_retired[VST_LOCK_ROWS], blame_retired[VST_LOCK_PAIRS]; /* 0: no */
	unsigned int n_rows, n_blames;					  /* places in use */
	unsigned int named;						  /* changes of names that the rows show */
};

/* The row or pair of a key, a new one if there is none; NULL only if out of memory. A CPU in what is ignored. */
struct vst_lock_row *vst_locks_row_of(struct vst_locks *l, const struct vst_lock_maps *m, __u64 owner, __u64 what,
				      struct vst_owners *owners, double now);
struct vst_lock_blame *vst_locks_blame_of(struct vst_locks *l, const struct vst_lock_maps *m, __u64 waiter,
					  __u64 holder, __u64 what, struct vst_owners *owners, double now);

/* So much has ended. Into the value, unless what goes on has still to be added to it. */
static inline void vst_locks_ended(struct vst_lock_sums *at, __u64 ended_ns, struct vst_snap_wait *v)
{
	at->ended_ns = ended_ns;
	if (at->on && at->on->listed)
		return;
	if (at->on) {
		vst_waiting_end(&at->on->waiting, ended_ns);
		v->total_ns = at->on->waiting.total_ns;
	} else if (ended_ns > v->total_ns) {
		v->total_ns = ended_ns;
	}
}

/*
 * What goes on: find before what has ended is read, and collect after it. 0 or -ENOMEM. Where nothing is watched, what was charged
 * for waits that went on stays.
 */
void vst_locks_open_find(struct vst_locks *l, const struct vst_probes *probes, __u64 now_ns);
int vst_locks_open_collect(struct vst_locks *l, const struct vst_probes *probes, struct vst_owners *owners,
			   __u64 now_ns);

#endif /* VST_LOCKS_PRIV_H */
