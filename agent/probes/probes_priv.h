/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of the probes and their state: for probes*.c only. */
#ifndef VST_PROBES_PRIV_H
#define VST_PROBES_PRIV_H

#include <pthread.h>
#include <time.h>

#include <bpf/libbpf.h>

#include "agent/probes/probes.h"
#include "agent/probes/symbols.h"

enum vst_when {
	VST_WHEN_START,	 /* before anything is told; the agent does not start without */
	VST_WHEN_BESIDE, /* by a thread of its own, so that I/O is watched half a second earlier */
	VST_WHEN_NEEDED, /* when there is something to watch; likewise if that is so at the start */
};

/*
 * The objects, in the order of loading: the first one's maps are everybody's.
 * X(GROUP, skeleton, when, what it watches, what is not known without it, why it is off)
 */
#define VST_OBJECTS(X)                                                                                                 \
	X(BLOCK, block, START, "requests", "", "")                                                                     \
	X(CGROUP, cgroup, START, "cgroups", "", "")                                                                    \
	X(MERGE, merge, BESIDE, "merges", "they are shown as 0", "")                                                   \
	X(DIRTY, dirty, BESIDE, "who makes pages dirty",                                                               \
	  "writes to a file that several containers write to may be shown as one's", "")                               \
	X(XFS, xfs, BESIDE, "writes to xfs", "those to a file that several containers write to may be shown as one's", \
	  "no xfs is mounted")                                                                                         \
	X(STACKED, stacked, NEEDED, "stacked devices (dm, md, bcache, zram)",                                          \
	  "their I/O shows on the devices below only", "no stacked device (dm, md, bcache, zram) is in use")           \
	X(LOCK, lock, BESIDE, "locks", "waits for them are not shown", "")                                             \
	X(PAUSE, pause, BESIDE, "the limit of dirty pages", "pauses at it are not shown", "")                          \
	X(JOURNAL, journal, NEEDED, "the journals of ext4", "waits for them are not shown", "no ext4 is mounted")

enum vst_group {
#define X(g, ...) VST_GROUP_##g,
	VST_OBJECTS(X)
#undef X
		VST_GROUP__N
};

/*
 * Every program: which object it is in, its tracepoint. Order of attaching: the completion of requests
 * comes last, so that what it sees has been seen at its submission; of waits the end comes first, so that none is begun whose end
 * is not seen.
 * X(group, program, tracepoint)
 */
#define VST_PROBES(X)                                                                                                  \
	X(BLOCK, rq_requeue, block_rq_requeue)                                                                         \
	X(BLOCK, rq_merge, block_rq_merge)                                                                             \
	X(BLOCK, rq_insert, block_rq_insert)                                                                           \
	X(BLOCK, rq_issue, block_rq_issue)                                                                             \
	X(BLOCK, rq_complete, block_rq_complete)                                                                       \
	X(MERGE, bio_backmerge, block_bio_backmerge)                                                                   \
	X(MERGE, bio_frontmerge, block_bio_frontmerge)                                                                 \
	X(MERGE, rq_merge_bio, block_rq_merge)                                                                         \
	X(STACKED, bio_complete, block_bio_complete)                                                                   \
	X(STACKED, bio_queue, block_bio_queue)                                                                         \
	X(CGROUP, cgroup_mkdir, cgroup_mkdir)                                                                          \
	X(CGROUP, cgroup_rmdir, cgroup_rmdir)                                                                          \
	X(DIRTY, dirty_folio, writeback_dirty_folio)                                                                   \
	X(XFS, xfs_write, iomap_iter)                                                                                  \
	X(LOCK, lock_end, contention_end)                                                                              \
	X(LOCK, lock_begin, contention_begin)                                                                          \
	X(PAUSE, dirty_pause, balance_dirty_pages)                                                                     \
	X(JOURNAL, handle_stats, jbd2_handle_stats)                                                                    \
	X(JOURNAL, commit_end, jbd2_end_commit)                                                                        \
	X(JOURNAL, commit_begin, jbd2_start_commit)                                                                    \
	X(JOURNAL, fsync_end, ext4_sync_file_exit)                                                                     \
	X(JOURNAL, fsync_begin, ext4_sync_file_enter)                                                                  \
	X(JOURNAL, handle_start, jbd2_handle_start)                                                                    \
	X(JOURNAL, handle_begin, ext4_journal_start)                                                                   \
	X(JOURNAL, handle_begin_inode, ext4_journal_start_inode)                                                       \
	X(JOURNAL, handle_begin_sb, ext4_journal_start_sb)

enum vst_probe_id {
#define X(g, p, ...) VST_PROBE_ID_##p,
	VST_PROBES(X)
#undef X
		VST_PROBE_ID__N
};

extern const struct vst_object_row {
	enum vst_when when;
	const char *what;
	const char *without;
	const char *off;
} vst_object_table[VST_GROUP__N];

extern const struct vst_probe_row {
	enum vst_group group;
	const char *name;
	const char *tracepoint;
} vst_probe_table[VST_PROBE_ID__N];

extern const enum vst_group vst_group_of_part[VST_BUDGET__N];

struct vst_object {
	struct bpf_object_skeleton *skel;
	bool loaded;
	bool open;     /* the agent has its maps */
	bool told;     /* that it failed */
	bool given_up; /* it took too much: see agent/probes/budget.h */
	int err;       /* -errno: it could not be loaded or attached, and is not tried again */
};

struct vst_probe {
	struct bpf_program *prog;
	struct bpf_link *link;
	bool missing;	       /* this kernel does not have the tracepoint */
	bool elsewhere;	       /* nor does it need it: it has another one in its place */
	__u64 run_ns, run_cnt; /* at the beginning of a statistics moment */
	double mean_ns;
	__u64 sampled;
};

struct vst_probes {
#define X(g, s, ...) struct s##_bpf *s;
	VST_OBJECTS(X)
#undef X
	struct vst_object object[VST_GROUP__N];
	struct vst_probe probe[VST_PROBE_ID__N];
	struct vst_maps maps;
	struct vst_symbols symbols;
	bool has_stacked; /* at the start */
	bool late; /* the thread that loads what can come late has not ended: what is not of the start is its own */
	pthread_t late_thread;
	int late_fd; /* can be read when it has */
	int stats_fd;
	double stats_since;  /* monotonic seconds */
	bool stats_told;     /* that there are none */
	time_t shared_since; /* monotonic seconds */
	nlink_t modules;     /* directories in /sys/module when the symbols were looked up; 0: not yet */
};

#define vst_for_each_probe_of(i, g)                                                                                    \
	for (int i = 0; i < VST_PROBE_ID__N; i++)                                                                      \
		if (vst_probe_table[i].group == (g))

/*
 * .missing of each probe of an opened object, and what it has to know of its tracepoint. Those of modules are there while
 * these are loaded. 0 or -errno.
 */
int vst_probes_find(struct vst_probes *p);

#endif /* VST_PROBES_PRIV_H */
