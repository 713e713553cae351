/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel side: loads and attaches the probes, and says how they are. The table of them is vstor/probe_list.h. */
#ifndef VST_PROBES_H
#define VST_PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include "agent/probes/lock_maps.h"
#include "agent/probes/budget.h"
#include "vstor/abi.h"
#include "vstor/abi_cache.h"
#include "vstor/abi_fsync.h"
#include "vstor/abi_insight.h"
#include "vstor/abi_waits.h"

struct vst_probes;

/* The maps that the collector reads. Descriptors and memory are the probes'. */
struct vst_maps {
	struct vst_state *state;
	const struct vst_key *row_keys; /* [VST_ROWS] */
	struct vst_counters *counters;	/* [.slots] */
	const __u64 *in_flight;		/* [VST_INFLIGHT_WORDS], see vstor/abi_inflight.h */
	struct vst_mark *marks;		/* [1 << VST_MARK_BITS] */
	struct vst_slow *slow;
	struct vst_insight *insight;  /* NULL: it is off */
	const struct vst_file *files; /* [VST_FILES]; likewise */
	int scopes_fd, life_rows_fd;  /* likewise */
	int rows_fd;
	int hists_fd;
	int lost_fd;
	int free_rows_fd;
	int shares_fd;
	int events_fd;
	unsigned int cpus;
	__u32 slots;
	struct vst_lock_maps lock;
	const struct vst_journal_state *journal_state; /* NULL: not watched yet, nor the next to be read */
	int journal_waits_fd;
	struct vst_journal_opens *journal_opens; /* NULL likewise */
	int throttled_fd;			 /* -1: not watched */
	struct vst_pause_opens *pause_opens;	 /* NULL likewise */
	const __u64 *pauses_lost;		 /* NULL likewise */
	int fsync_rows_fd;			 /* -1: not measured yet */
	int fsync_open_fd;
	const struct vst_fsync_state *fsync_state;
	struct vst_cache_state *cache_state; /* NULL: no cache is watched */
	const struct vst_heat *heat;
	const struct vst_cache_place *cache_places;
	const __u64 *cache_epochs;
	__u64 *cache_pins; /* [chunks]: a bit for each unit that a user pinned */
	int cache_rows_fd;
	int cache_kept_fd; /* -1 likewise */
	int cache_uses_fd;
	int cache_read_pages_fd;
};

/* How large the tables about caches have to be. */
struct vst_cache_sizes {
	__u32 chunks;
	__u32 places; /* a power of two */
	__u32 buckets;
};

enum vst_probe_state {
	VST_PROBE_ATTACHED,
	VST_PROBE_OFF,	   /* not needed now */
	VST_PROBE_MISSING, /* this kernel does not have the tracepoint */
};

struct vst_probe_info {
	const char *name;
	const char *tracepoint;
	const char *group; /* what it is a part of: the object's name, and what vstorctl doctor calls it */
	enum vst_probe_state state;
	const char *why; /* "" if attached */
	double run_ns;	 /* mean of a run; 0: not known */
	__u64 runs;	 /* that run_ns is the mean of */
	__u64 missed;	 /* runs that the kernel skipped, since the start */
};

/* How the host keeps its cgroups: enum vst_hierarchy of the blkio and the memory controller. */
struct vst_hiers {
	__u8 blkio;
	__u8 memory;
};

/*
 * Loads what is needed first, and has a thread load the rest; nothing is attached yet. has_stacked: there is a stacked
 * device. 0 or -errno, explained on stderr.
 */
int vst_probes_load(const struct vst_hiers *hiers, bool has_stacked, struct vst_probes **ret);

/* Attaches what was loaded first: cgroups before all, so that no cgroup is missed by a scan that follows. */
int vst_probes_attach_cgroup(struct vst_probes *p);
int vst_probes_attach_block(struct vst_probes *p);

/*
 * When this can be read, the rest is loaded, and to be attached. Without it the agent goes on: what is missing is logged, and
 * told by vst_probes_info().
 */
int vst_probes_late_fd(const struct vst_probes *p);
void vst_probes_late(struct vst_probes *p);

/* Attaches or detaches the probes of stacked devices. -EAGAIN: the rest is not loaded yet. */
int vst_probes_stacked(struct vst_probes *p, bool on);

/* Attaches the probes of file systems while one of theirs is mounted: they hold its modules. */
void vst_probes_follow(struct vst_probes *p);

/*
 * Measures fsync from now on, or no more; vst_probes_follow() keeps it up as filesystems come and go. To switch it off
 * takes some 0.1 s where an xfs or a btrfs is mounted. 0 or -errno, which has been logged; before vst_probes_late()
 * always 0, and what fails then is logged later.
 */
int vst_probes_want_fsync(struct vst_probes *p, bool want);

/*
 * Looks at what is written to files from now on, or no more; always: also, all the time, at where it comes from. Else
 * vst_probes_window() begins and ends a moment of that, and how long data lives is not known. 0 or -errno, which has been logged once; -EAGAIN: not yet.
 */
int vst_probes_insight(struct vst_probes *p, bool want, bool always);
void vst_probes_window(struct vst_probes *p, bool open);

/*
 * Watches caches with tables of these sizes; NULL: no more. The probes are loaded anew, and what they had noted is forgotten. 0; -EAGAIN: the rest is not loaded yet; other -errno, which was logged.
 */
int vst_probes_cache(struct vst_probes *p, const struct vst_cache_sizes *sizes);

/* Counts what has ended without a completion that the probes were shown (loss no_end). Costs less than a millisecond. */
void vst_probes_sweep(struct vst_probes *p);

/* Decides the rows of requests that have waited in a queue for long. Costs a millisecond. */
void vst_probes_decide_held(const struct vst_probes *p);

/* Notes which object a lock of a class is of that somebody waits for; vst_lock_object_text() tells it then. */
void vst_probes_look_lock(const struct vst_probes *p, __u64 lock, __u32 class);

/* Charges what has passed until now_ns of a wait for a journal, of the thread at this place of .journal_opens. */
void vst_probes_look_journal(const struct vst_probes *p, __u32 place, __u64 now_ns);

/* Looks the functions of vstor/abi_symbols.h up again, if modules came or went since. */
void vst_probes_symbols(struct vst_probes *p);

/*
 * The kernel's run-time statistics cost two clock reads a run, so they are on for moments only: begin starts such a
 * moment, end takes the figures and stops it.
 */
void vst_probes_stats_begin(struct vst_probes *p, double now);
/* True: a moment has ended. Into *b what the probes took in it: all of them, and each part that is at work. */
bool vst_probes_stats_end(struct vst_probes *p, double now, struct vst_budget *b);

/* Detaches a part, or attaches it again. 0 or -errno: that cannot be, which has been logged. */
int vst_probes_give_up(struct vst_probes *p, enum vst_budget_part_id part, bool given_up);

/* Are waits for locks seen now? Not before the probe is attached, nor while it is given up. */
bool vst_probes_watch_locks(const struct vst_probes *p);

const struct vst_maps *vst_probes_maps(const struct vst_probes *p);
size_t vst_probes_count(const struct vst_probes *p);
void vst_probes_info(const struct vst_probes *p, size_t i, struct vst_probe_info *ret);

/* Issue and complete of a request together, mean, in ns; 0: not known yet. */
double vst_probes_event_ns(const struct vst_probes *p);

void vst_probes_free(struct vst_probes *p);

#endif /* VST_PROBES_H */
