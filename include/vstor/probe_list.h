/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every probe, one row each. vstord loads and attaches them in this order, and `vstorctl doctor` prints the same rows
 * against the kernel that it runs on. A new probe is a bpf/NAME.bpf.c and its rows here.
 */
#ifndef VSTOR_PROBES_H
#define VSTOR_PROBES_H

enum vst_when {
	VST_WHEN_START,	 /* before vstord is ready: it does not start without */
	VST_WHEN_BESIDE, /* by a thread, so that I/O is watched half a second earlier */
	VST_WHEN_NEEDED, /* while there is something to watch, or somebody asks for it */
};

/*
 * The groups. A group is one object, bpf/SKELETON.bpf.c: it is loaded, attached and given up as a whole. Order of
 * loading: every group uses the maps of the first one.
 * X(GROUP, skeleton, when, "what it watches", "what is lost without it", "why it is off")
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
	X(JOURNAL, journal, NEEDED, "the journals of ext4", "waits for them are not shown", "no ext4 is mounted")      \
	X(INSIGHT, insight, NEEDED, "what is written to files", "copies, encryption and compression are not told",     \
	  "nobody is watched: see vstord --insight, and vstorctl insight")                                             \
	X(FSYNC, fsync, NEEDED, "fsync", "how long it takes is not known", "no rule and nobody asks for it")           \
	X(CACHE, cache, NEEDED, "caches", "vstorctl cache shows no hits, and no rule can keep anything in a cache",    \
	  "no bcache with a cache is in use")

enum vst_group {
#define X(g, ...) VST_GROUP_##g,
	VST_OBJECTS(X)
#undef X
		VST_GROUP__N
};

/* VST_NEEDS_GROUP: vstord does not start without the tracepoints of that group. */
enum {
#define X(g, s, when, ...) VST_NEEDS_##g = VST_WHEN_##when == VST_WHEN_START,
	VST_OBJECTS(X)
#undef X
};

/*
 * The probes. Order of attaching: the completion of a request comes last, so that each request that it sees has been
 * seen at its submission; of a wait the end comes before the begin, so that none begins whose end is not seen.
 *
 * X(GROUP, program, tracepoint, arguments, module, one_of, "what its absence costs")
 *   arguments  of the tracepoint; 0: any number; VST_FUNCTION: it is no tracepoint but a function, hooked at its return
 *   module     in which the tracepoint may be, or VST_SYSCALLS; NULL: in the kernel alone
 *   one_of     a kernel has only some of the tracepoints with the same text here, and needs no more; NULL: it needs this
 *
 * bpf/NAME.bpf.c calls the program vst_PROGRAM.
 */
#define VST_PROBES(X)                                                                                                  \
	X(BLOCK, rq_requeue, block_rq_requeue, 1, NULL, NULL,                                                          \
	  "vstord does not start: it would count the wait of a requeued request as the device's.")                     \
	X(BLOCK, rq_merge, block_rq_merge, 1, NULL, NULL,                                                              \
	  "vstord does not start: a request that was merged into another would stay in flight.")                       \
	X(BLOCK, rq_insert, block_rq_insert, 1, NULL, NULL,                                                            \
	  "vstord does not start: it would not know the time in the scheduler's queue.")                               \
	X(BLOCK, rq_issue, block_rq_issue, 1, NULL, NULL, "vstord does not start: it would see no request.")           \
	X(BLOCK, rq_complete, block_rq_complete, 3, NULL, NULL,                                                        \
	  "vstord does not start: it would see no request complete.")                                                  \
	X(MERGE, bio_backmerge, block_bio_backmerge, 1, NULL, NULL,                                                    \
	  "Merges at a request's end, nearly all of them, are not counted.")                                           \
	X(MERGE, bio_frontmerge, block_bio_frontmerge, 1, NULL, NULL, "Merges at a request's start are not counted.")  \
	X(MERGE, rq_merge_bio, block_rq_merge, 1, NULL, NULL, "Merges of two requests are not counted.")               \
	X(STACKED, bio_complete, block_bio_complete, 2, NULL, NULL,                                                    \
	  "Stacked devices (dm, bcache, md, zram) have no rows.")                                                      \
	X(STACKED, bio_queue, block_bio_queue, 1, NULL, NULL, "Stacked devices (dm, bcache, md, zram) have no rows.")  \
	X(CGROUP, cgroup_mkdir, cgroup_mkdir, 2, NULL, NULL,                                                           \
	  "vstord does not start: it would not know the names of containers that live for less than a tick.")          \
	X(CGROUP, cgroup_rmdir, cgroup_rmdir, 2, NULL, NULL,                                                           \
	  "vstord does not start: it would not notice that a container has ended.")                                    \
	X(CGROUP, cgroup_rename, cgroup_rename, 2, NULL, NULL,                                                         \
	  "vstord does not start: it would not notice that a container's cgroup has another path.")                    \
	X(DIRTY, dirty_folio, writeback_dirty_folio, 2, NULL, NULL,                                                    \
	  "A page's memory cgroup is believed: what one container writes into another's pages is the other's.")        \
	X(XFS, xfs_write, iomap_iter, 3, NULL, NULL,                                                                   \
	  "xfs: of two containers that write to one folio (up to 2 MiB) before it is written out, one is charged.")    \
	X(LOCK, lock_end, contention_end, 2, NULL, NULL,                                                               \
	  "Waits for locks are not shown: vstorctl locks and blame have nothing to tell.")                             \
	X(LOCK, lock_begin, contention_begin, 2, NULL, NULL,                                                           \
	  "Waits for locks are not shown: vstorctl locks and blame have nothing to tell.")                             \
	X(PAUSE, dirty_pause, balance_dirty_pages, 0, NULL, NULL,                                                      \
	  "Pauses at the limit of dirty pages are not shown by vstorctl blame.")                                       \
	X(JOURNAL, handle_stats, jbd2_handle_stats, 8, "jbd2", NULL, VST_COST_JOURNAL)                                 \
	X(JOURNAL, commit_end, jbd2_end_commit, 2, "jbd2", NULL, VST_COST_JOURNAL)                                     \
	X(JOURNAL, commit_begin, jbd2_start_commit, 2, "jbd2", NULL, VST_COST_JOURNAL)                                 \
	X(JOURNAL, fsync_end, ext4_sync_file_exit, 2, "ext4", NULL, VST_COST_JOURNAL)                                  \
	X(JOURNAL, fsync_begin, ext4_sync_file_enter, 2, "ext4", NULL, VST_COST_JOURNAL)                               \
	X(JOURNAL, handle_start, jbd2_handle_start, 5, "jbd2", NULL, VST_COST_JOURNAL)                                 \
	X(JOURNAL, handle_begin, ext4_journal_start, 0, "ext4", "ext4_journal_start*", VST_COST_JOURNAL)               \
	X(JOURNAL, handle_begin_inode, ext4_journal_start_inode, 0, "ext4", "ext4_journal_start*", VST_COST_JOURNAL)   \
	X(JOURNAL, handle_begin_sb, ext4_journal_start_sb, 0, "ext4", "ext4_journal_start*", VST_COST_JOURNAL)         \
	X(INSIGHT, sample, block_rq_issue, 1, NULL, NULL, VST_COST_INSIGHT)                                            \
	X(INSIGHT, copy_folio, writeback_dirty_folio, 2, NULL, NULL, VST_COST_INSIGHT)                                 \
	X(INSIGHT, life_issue, block_rq_issue, 1, NULL, NULL, VST_COST_LIVES)                                          \
	X(INSIGHT, life_gone, mm_filemap_delete_from_page_cache, 1, NULL, NULL, VST_COST_LIVES)                        \
	X(INSIGHT, life_ext4_da, ext4_da_write_end, 4, "ext4", NULL, VST_COST_LIVES_OF("ext4"))                        \
	X(INSIGHT, life_ext4_nodelalloc, ext4_write_end, 4, "ext4", NULL, VST_COST_LIVES_OF("ext4"))                   \
	X(INSIGHT, life_ext4_journal, ext4_journalled_write_end, 4, "ext4", NULL, VST_COST_LIVES_OF("ext4"))           \
	X(INSIGHT, life_xfs, xfs_file_buffered_write, 2, "xfs", NULL, VST_COST_LIVES_OF("xfs"))                        \
	X(INSIGHT, life_btrfs, btrfs_set_extent_bit, 4, "btrfs", NULL, VST_COST_LIVES_OF("btrfs"))                     \
	X(FSYNC, fsync_call_end, sys_exit_fsync, 0, VST_SYSCALLS, NULL, VST_COST_FSYNC_CALL)                           \
	X(FSYNC, fdatasync_call_end, sys_exit_fdatasync, 0, VST_SYSCALLS, NULL, VST_COST_FSYNC_CALL)                   \
	X(FSYNC, msync_call_end, sys_exit_msync, 0, VST_SYSCALLS, NULL, VST_COST_FSYNC_CALL)                           \
	X(FSYNC, fsync_xfs_end, xfs_file_fsync, VST_FUNCTION, "xfs", NULL, VST_COST_FSYNC_HOOK("xfs"))                 \
	X(FSYNC, fsync_btrfs_end, btrfs_sync_file, VST_FUNCTION, "btrfs", NULL, VST_COST_FSYNC_HOOK("btrfs"))          \
	X(FSYNC, fsync_ext4_end, ext4_sync_file_exit, 2, "ext4", NULL, VST_COST_FSYNC("ext4"))                         \
	X(FSYNC, fsync_ext4_begin, ext4_sync_file_enter, 2, "ext4", NULL, VST_COST_FSYNC("ext4"))                      \
	X(FSYNC, fsync_xfs_begin, xfs_file_fsync, 1, "xfs", NULL, VST_COST_FSYNC("xfs"))                               \
	X(FSYNC, fsync_btrfs_begin, btrfs_sync_file, 2, "btrfs", NULL, VST_COST_FSYNC("btrfs"))                        \
	X(CACHE, cache_invalidate, bcache_invalidate, 2, "bcache", NULL, VST_COST_CACHE)                               \
	X(CACHE, cache_insert, bcache_cache_insert, 1, "bcache", NULL, VST_COST_CACHE)                                 \
	X(CACHE, cache_read, bcache_read, 3, "bcache", NULL, VST_COST_CACHE)                                           \
	X(CACHE, cache_write, bcache_write, 5, "bcache", NULL, VST_COST_CACHE)                                         \
	X(CACHE, cache_begin, bcache_request_start, 2, "bcache", NULL, VST_COST_CACHE)

#define VST_FUNCTION (-1)

/* Instead of a module: the tracepoint is one of a system call, of CONFIG_FTRACE_SYSCALLS. It has no type in BTF: this function tells. */
#define VST_SYSCALLS "syscalls"
#define VST_SYSCALLS_FUNCTION "perf_syscall_exit"
#define VST_COST_INSIGHT "vstorctl patterns does not tell what is copied, encrypted or compressed."
#define VST_COST_LIVES "vstorctl lifetimes does not tell how long data lives."
#define VST_COST_LIVES_OF(fs) "vstorctl lifetimes does not tell how long data lives on " fs "."
#define VST_COST_JOURNAL "Waits for the journals of ext4 are not shown by vstorctl blame."
#define VST_COST_CACHE "vstorctl cache shows no hits of bcache, and no rule can keep anything in it."
#define VST_COST_FSYNC(fs) "How long fsync takes on " fs " is not known, and no rule can protect it there."
#define VST_COST_FSYNC_CALL "How long fsync takes on xfs and btrfs is not known where their functions cannot be hooked."
#define VST_COST_FSYNC_HOOK(fs)                                                                                        \
	"While fsync is measured on " fs                                                                               \
	", each system call takes longer, and writes with O_SYNC are not measured there."

enum vst_probe_id {
#define X(g, p, ...) VST_PROBE_ID_##p,
	VST_PROBES(X)
#undef X
		VST_PROBE_ID__N
};

#endif /* VSTOR_PROBES_H */
