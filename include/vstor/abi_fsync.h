/* SPDX-License-Identifier: GPL-2.0-only */
/* fsync and its kin, between bpf/fsync.bpf.c and the agent: rows that only grow, and what is under way. */
#ifndef VSTOR_ABI_FSYNC_H
#define VSTOR_ABI_FSYNC_H

#ifndef __bpf__
#include <linux/types.h>
#endif
#include "abi.h"

#define VST_FSYNC_ROWS 4096  /* cgroups x filesystems */
#define VST_FSYNC_OPEN 16384 /* under way at the same time */

/* A row: which cgroup waited for which filesystem. */
struct vst_fsync_key {
	__u64 owner; /* cgroup id << 2 | enum vst_hierarchy */
	__u32 dev;   /* (major << 20 | minor) of the partition or disk of the filesystem */
	__u32 pad;
};

/* Counters of a row. They only grow; all CPUs add to them. */
struct vst_fsync_row {
	__u64 count;
	__u64 total_ns;
	__u64 max_ns;		      /* the longest since the row was made */
	__u32 hist[VST_HIST_BUCKETS]; /* see hist.h; wraps: read as differences */
};

/* Of a thread, by its id: an fsync that has begun and not returned. */
struct vst_fsync_open {
	__u64 begin_ns;
	struct vst_fsync_key key;
};

struct vst_fsync_state {
	__u64 ended;	  /* calls that have returned: has any row changed? */
	__u64 lost;	  /* calls for which a table had no room: in no row */
	__u64 unmeasured; /* on xfs and btrfs: not by fsync(2), fdatasync(2) or msync(2), so their end is not seen */
};

#endif /* VSTOR_ABI_FSYNC_H */
