/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waits for locks, as far as they were collected: rows (who waited for which lock) and pairs (who waited for whom). What
 * they are about never changes, counters only grow; a name may get better.
 */
#ifndef VST_LOCKS_H
#define VST_LOCKS_H

#include <stdbool.h>
#include <linux/types.h>

#include "agent/waits/lock_naming.h"
#include "agent/who/owners.h"
#include "agent/probes/probes.h"
#include "agent/waits/wait_rows.h"
#include "agent/waits/waiting.h"
#include "vstor/abi_locks.h"

struct vst_lock_row_key {
	__u64 owner;
	__u64 what; /* without the CPU */
};

/* What goes on: of few rows and pairs at a time. */
struct vst_lock_going_on {
	struct vst_waiting waiting;
	bool listed; /* somebody waits, or did at the last look */
};

/* What rows and pairs have in common. A busy host has 10,000 of them, so all that only some need is allocated for those. */
struct vst_lock_sums {
	__u16 first, n; /* places in a map, one for each CPU, whose counts are added up; chained; place + 1; 0: none */
	__u64 old_waits, old_ns; /* counted in places that were taken back */
	__u64 ended_ns;		 /* of waits that have ended */
	__u64 longest_ns; /* the longest wait of which the object is known, in the last tick in which there was one */
	struct vst_lock_going_on *on; /* NULL: nobody waits, nor did at the last look */
};

struct vst_lock_row {
	struct vst_wait_row row;
	struct vst_lock_row_key key;
	struct vst_lock_sums at;
	struct vst_lock_hist *old_hist; /* of places that were taken back; NULL: none was, or no place is left */
	struct vst_lock_row *next, *same_hash;
};

struct vst_lock_who {
	__u64 waiter, holder;
	__u64 what; /* without the CPU */
};

struct vst_lock_blame {
	struct vst_wait_row row;
	struct vst_lock_who key;
	struct vst_lock_sums at;
	struct vst_lock_blame *next, *same_hash;
};

struct vst_locks;

/* rows: of all waits, which outlive it. */
int vst_locks_new(struct vst_wait_rows *rows, struct vst_locks **ret);
void vst_locks_free(struct vst_locks *l);

/* Reads what is new, names owners. now: monotonic seconds. Does nothing where there is no such probe. 0 or -errno. */
int vst_locks_collect(struct vst_locks *l, const struct vst_probes *probes, struct vst_owners *owners, double now);

/* Once a tick, after collecting: takes back the places of what is dead or idle, and forgets what was kept long enough. */
void vst_locks_reclaim(struct vst_locks *l, const struct vst_probes *probes, struct vst_owners *owners, double now);

/* Since when the one that waits longest for a lock does; 0: nobody waits. */
__u64 vst_locks_oldest_ns(const struct vst_locks *l);

/* The first ones, for iteration with ->next. */
const struct vst_lock_row *vst_locks_rows(const struct vst_locks *l);
const struct vst_lock_blame *vst_locks_blames(const struct vst_locks *l);

/* What the locks are called of which rows and pairs are. */
struct vst_lock_naming *vst_locks_naming(const struct vst_locks *l);

#endif /* VST_LOCKS_H */
