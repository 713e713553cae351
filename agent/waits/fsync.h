/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long containers wait for fsync and its kin, from the call to its return: a row for each container and filesystem,
 * which only grows, and what is under way. There is something here while vst_probes_want_fsync() is on.
 */
#ifndef VST_WAITS_FSYNC_H
#define VST_WAITS_FSYNC_H

#include <uthash.h>

#include "agent/probes/probes.h"
#include "agent/who/owners.h"
#include "lib/counts.h"
#include "vstor/abi_fsync.h"

struct vst_fsync_wait_key {
	struct vst_container *container;
	__u64 dev; /* (major << 20 | minor) of the partition or disk of the filesystem */
};

struct vst_fsync_wait {
	__u32 id; /* unique, never given again */
	struct vst_fsync_wait_key key;
	char name[40]; /* of that partition or disk */
	/* of those that have returned: */
	__u64 count;
	__u64 sum_ns;
	__u64 max_ns;
	__u64 hist[VST_HIST_BUCKETS];
	/* of those that are under way, when they were collected last: */
	__u32 waiting;	 /* threads */
	__u64 oldest_ns; /* since when the one that waits longest does, CLOCK_MONOTONIC; 0: none */
	__u64 open_ns;	 /* how long they have waited, together */
	/* of both: */
	__u64 total_ns; /* the time waited so far; it never falls */
	__u64 changed;	/* the vst_fsync_collect() that changed it last: 1, 2, ... */
	/* fsync.c's own: */
	double waited_at; /* monotonic seconds */
	__u64 used;	  /* the last vst_fsync_collect() after which a cgroup referred to it */
	UT_hash_handle hh;
};

struct vst_fsync;

int vst_fsync_new(struct vst_fsync **ret);
void vst_fsync_free(struct vst_fsync *f);

/* Once a tick: reads what the probes have counted. now: monotonic seconds. 0 or -errno. */
int vst_fsync_collect(struct vst_fsync *f, const struct vst_probes *probes, struct vst_owners *owners, double now);

/* Once a tick: forgets what was kept long enough, and cgroups that are gone. */
void vst_fsync_reclaim(struct vst_fsync *f, const struct vst_probes *probes, struct vst_owners *owners, double now);

/* For iteration with uthash's ->hh.next. */
const struct vst_fsync_wait *vst_fsync_waits(const struct vst_fsync *f);

/* The times of those that have returned. ret->hist.bucket is the caller's, to be freed. 0 or -ENOMEM, *ret is then as before. */
int vst_fsync_times(const struct vst_fsync_wait *w, struct vst_times *ret);

#endif /* VST_WAITS_FSYNC_H */
