/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waits for locks, as far as they were collected: rows (who waited for which lock) and pairs (who waited for whom). What
 * they are about never changes, counters only grow; a name may get better.
 */
#ifndef VST_LOCKS_H
#define VST_LOCKS_H

#include <stdbool.h>
#include <linux/types.h>

#include "agent/base/hash.h"
#include "agent/waits/lock_naming.h"
#include "agent/who/owners.h"
#include "agent/probes/probes.h"
#include "agent/waits/wait_rows.h"
#include "vstor/abi_locks.h"

struct vst_lock_row_key {
	__u64 owner;
	__u64 what; /* without the CPU */
};

/* The longest wait of which the object is known, in the last tick in which there was one. */
struct vst_lock_longest {
	double at;
	__u64 ns;
};

/* What rows and pairs have in common: places in a map, one for each CPU, whose counts are added up. */
struct vst_lock_places {
	__u16 first; /* chained; place + 1; 0: none */
	unsigned int n;
	__u64 old_waits, old_ns; /* counted in places that were taken back */
};

struct vst_lock_row {
	struct vst_wait_row row;
	struct vst_lock_row_key key;
	struct vst_lock_places at;
	struct vst_lock_hist *old_hist; /* of places that were taken back; NULL: none was */
	struct vst_lock_longest longest;
	UT_hash_handle hh; /* by .key */
};

struct vst_lock_who {
	__u64 waiter, holder;
	__u64 what; /* without the CPU */
};

struct vst_lock_blame {
	struct vst_wait_row row;
	struct vst_lock_who key;
	struct vst_lock_places at;
	struct vst_lock_longest longest;
	UT_hash_handle hh; /* by .key */
};

struct vst_locks;

/* rows: of all waits, which outlive it. */
int vst_locks_new(struct vst_wait_rows *rows, struct vst_locks **ret);
void vst_locks_free(struct vst_locks *l);

/* Reads what is new, names owners. now: monotonic seconds. Does nothing where there is no such probe. 0 or -errno. */
int vst_locks_collect(struct vst_locks *l, const struct vst_probes *probes, struct vst_owners *owners, double now);

/* Once a tick, after collecting: takes back the places of what is dead or idle, and forgets what was kept long enough. */
void vst_locks_reclaim(struct vst_locks *l, const struct vst_probes *probes, struct vst_owners *owners, double now);

/* For iteration with uthash's ->hh.next. */
const struct vst_lock_row *vst_locks_rows(const struct vst_locks *l);
const struct vst_lock_blame *vst_locks_blames(const struct vst_locks *l);

/* What the locks are called of which rows and pairs are. */
struct vst_lock_naming *vst_locks_naming(const struct vst_locks *l);

#endif /* VST_LOCKS_H */
