/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long containers wait for fsync and its kin, from the call to its return: a row for each container and filesystem,
 * which only grows, and what is under way. There is something new here while vst_probes_want_fsync() is on.
 */
#ifndef VST_WAITS_FSYNC_H
#define VST_WAITS_FSYNC_H

#include <uthash.h>

#include "agent/io/devices.h"
#include "agent/probes/probes.h"
#include "agent/waits/wait_rows.h"
#include "vstor/abi_fsync.h"

struct vst_fsync_wait_key {
	struct vst_container *container;
	__u64 dev; /* (major << 20 | minor) of the partition or disk of the filesystem */
};

struct vst_fsync_wait {
	struct vst_wait_row row; /* what sinks are shown: see vst_fsync_collect() */
	struct vst_fsync_wait_key key;
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
	/* the last vst_fsync_collect(), counted from 1, ... */
	__u64 changed; /* ... that changed it */
	__u64 used;    /* ... after which a cgroup referred to it */
	UT_hash_handle hh;
};

struct vst_fsync;

/* rows: of all waits, which outlive it. */
int vst_fsync_new(struct vst_wait_rows *rows, struct vst_fsync **ret);
void vst_fsync_free(struct vst_fsync *f);

/*
 * Once a tick: reads what the probes have counted, and makes new values of the rows that have changed: of type
 * VST_WAIT_FSYNC, of waiters. now: monotonic seconds. 0 or -errno.
 */
int vst_fsync_collect(struct vst_fsync *f, const struct vst_probes *probes, struct vst_owners *owners,
		      struct vst_devices *devices, double now);

/* Once a tick: forgets what was kept long enough, and cgroups that are gone. */
void vst_fsync_reclaim(struct vst_fsync *f, const struct vst_probes *probes, struct vst_owners *owners, double now);

/* For iteration with uthash's ->hh.next. */
const struct vst_fsync_wait *vst_fsync_waits(const struct vst_fsync *f);

#endif /* VST_WAITS_FSYNC_H */
