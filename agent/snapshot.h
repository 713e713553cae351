/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the host did up to a moment, and what it is in the middle of. A snapshot is immutable once it is published, and
 * so are the values in it: sinks and the policy engine may keep one for as long as they like, on any thread. A value
 * that did not change is shared with the snapshot before, so a snapshot costs what changed, not what exists.
 *
 * Times are CLOCK_MONOTONIC: seconds as double, nanoseconds as __u64 with the suffix _ns. All counters, sums and
 * histograms grow from 0 since the agent started; lib/delta.h turns two snapshots into rates.
 *
 * Waits and I/O that have begun but not ended are included: .total_ns of a wait holds the time that has passed until
 * the snapshot, whether the wait has ended or not. So each interval is charged with the waiting that passed in it.
 */
#ifndef VST_SNAPSHOT_H
#define VST_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "lib/counts.h"
#include "lib/label.h"
#include "vstor/abi_cache.h"
#include "vstor/abi_insight.h"
#include "vstor/abi_locks.h"
#include "vstor/classes.h"

/* --- values --- */

/* The head of every value: only snapshot.c touches it. There are tens of thousands of values, so their fields are packed. */
struct vst_value {
	_Atomic int refs;
	__u16 type;		 /* enum vst_snap_list, or a snapshot */
	__u16 extra;		 /* bytes that were allocated behind the value: pointers into them are not freed */
	struct vst_block *block; /* where all texts and arrays of the value are; NULL: each is freed alone */
};

/*
 * Rows name containers by their index in the snapshot, which stays the same as long as any row refers to it. The first
 * ones are vstor's own: they are not cgroups, and a user's container of the same name is another one.
 */
enum vst_own_container {
	VST_CONTAINER_UNATTRIBUTED, /* nobody is known */
	VST_CONTAINER_KERNEL,	    /* threads of the kernel */
	VST_CONTAINER_OTHERS,	    /* many small ones, of which each has too little to be told apart */
	VST_CONTAINER_OVERFLOW,	    /* cgroups beyond the number that the agent tells apart */
	VST_CONTAINER__OWN
};

/* A limit that somebody set on a cgroup of the container or above it. */
struct vst_limit {
	char *cgroup;	 /* path */
	char *attribute; /* "io.max", "blkio.throttle.read_iops_device", ... */
	char *value;	 /* as the kernel shows it, one line */
};

struct vst_snap_container {
	struct vst_value v;
	__u32 id;	  /* unique, never given again */
	bool own;	  /* one of enum vst_own_container */
	bool listed;	  /* `ps` shows it: a container or a unit, not a mere slice or directory */
	char *cgroup;	  /* path of its scope: its identity; "" if .own */
	__u64 cgroup_ino; /* inode of that directory in the unified (or blkio) hierarchy; 0: not known */
	char *display;	  /* a label: what a user calls it; two containers may have the same */
	char *ns, *pod, *name, *image, *cid, *runtime; /* "" if not known */
	struct vst_label *labels;
	size_t n_labels;
	struct vst_limit *limits;
	size_t n_limits;
	double since; /* made (anew), or first seen */
	double ended; /* 0: it lives */
	unsigned int restarts;
	__u32 encrypting;     /* files that it encrypted in the last minute, if they are many; 0: they are not */
	__u8 insight;	      /* enum vst_insight_mode: how what it writes to files is watched ... */
	bool insight_set;     /* ... which somebody asked for while the agent ran */
	double insight_since; /* 0: it is not watched */
	__u64 ios, bytes;     /* of all its rows, also of those that are forgotten */
};

/* I/O of one container, device, op, kind, size, witness, patterns and hint. */
struct vst_snap_io {
	struct vst_value v;
	__u32 id;	   /* unique, never given again */
	__u64 changed_seq; /* the snapshot in which the value was made */
	__u32 container;   /* index */
	__u32 dev;	   /* major << 20 | minor; struct vst_snap_device has its name */
	__u8 layer;	   /* enum vst_layer */
	__u8 op;	   /* enum vst_op */
	__u8 kind;	   /* enum vst_kind */
	__u8 size;	   /* enum vst_size */
	__u8 witness;	   /* enum vst_witness */
	__u8 patterns;	   /* a bit for each enum vst_pattern */
	__u8 hint;	   /* the class that the application gave, plus 1; 0: none */
	struct vst_counts counts;
	__u32 in_flight;     /* requests that were submitted and have not completed */
	__u64 oldest_ns;     /* when the oldest of them was submitted; 0: none */
	__u64 in_flight_sum; /* the sum of their ages at the snapshot, in ns */
};

/* What vstor measures nowhere, so that a container may be slow without a row that says why. X("what it is") */
#define VST_NOT_WATCHED(X)                                                                                             \
	X("the time before a request exists (limits of io.max and blkio.throttle, io.cost and io.latency, waiting "    \
	  "for a "                                                                                                     \
	  "free request)")                                                                                             \
	X("waiting for a processor")                                                                                   \
	X("waiting for the network")                                                                                   \
	X("waiting for other processes")                                                                               \
	X("waiting for its own locks in user space")

/* What is waited for. X(ENUM, "the word before the colon of a resource", "what it is") */
#define VST_WAIT_TYPES(X)                                                                                              \
	X(LOCK, "lock", "a lock of the kernel")                                                                        \
	X(DEVICE, "device", "the queue of a disk, and the disk")                                                       \
	X(JOURNAL, "journal", "the commit of a file system's journal")                                                 \
	X(DIRTY, "dirty", "the limit of dirty pages")                                                                  \
	X(FREEZE, "freeze", "a file system that is frozen")                                                            \
	X(FSYNC, "fsync", "fsync and its kin, from call to return: it contains the others")

enum vst_wait_type {
#define X(e, n, d) VST_WAIT_##e,
	VST_WAIT_TYPES(X)
#undef X
		VST_WAIT__N
};

VST_NAMES1(vst_wait_type_name, VST_WAIT_TYPES)

/* Of whom a wait row tells. */
enum vst_wait_side {
	VST_WAIT_OF_WAITER, /* who waited for what; each wait once, with a histogram; .holder is not set */
	VST_WAIT_OF_PAIR,   /* who waited for what because of whom; the parts of a wait, without a histogram */
};

struct vst_snap_wait {
	struct vst_value v;
	__u64 changed_seq;
	__u32 id;	/* unique, never given again */
	__u8 type;	/* enum vst_wait_type */
	__u8 side;	/* enum vst_wait_side */
	__u8 lock_type; /* enum vst_lock_type; of a lock */
	__u8 named_by;	/* enum vst_lock_named_by; of a lock */
	__u32 waiter;	/* index of a container */
	__u32 holder;	/* index of a container */
	__u32 dev;	/* of what is no lock; 0: several */
	__u32 waiting;	/* tasks that wait now */
	char *evidence; /* how the holder is known: "owner", "last", "share", ...; "" of a waiter's row */
	char *name;	/* of the resource: the lock's, the device's, the partition's */
	char *object;	/* the file, file system or disk of the longest wait; "" if not known */
	char **stack;	/* what the holder was last seen doing, innermost first */
	size_t n_stack;
	__u64 waits;		/* that ended, or, of a pair, that ended or began */
	__u64 total_ns;		/* also of waits that go on */
	__u64 oldest_ns;	/* since when the one that waits longest does; 0: none */
	struct vst_times times; /* of waits that ended; of a waiter's row */
};

/* What a container completed meanwhile. */
struct vst_served {
	__u32 container; /* index */
	__u64 ios;	 /* 0: there is none */
};

#define VST_SERVED 3

/* One of the slowest requests of the last seconds. */
struct vst_snap_slow {
	struct vst_value v;
	__u32 container; /* index */
	__u32 dev;
	__u8 layer, op, kind, size;
	__u32 bytes;
	__u64 queue_ns, device_ns, ended_ns;
	char *file;				 /* "" if it is of no file */
	struct vst_served meanwhile[VST_SERVED]; /* on the same device, since the snapshot before */
};

/* What a container does with the contents of a file. */
struct vst_snap_pattern {
	struct vst_value v;
	__u32 container; /* index */
	__u32 dev;
	__u8 pattern; /* enum vst_pattern */
	double confidence;
	__u64 bytes;   /* written, extrapolated from samples */
	__u64 last_ns; /* when it was seen last */
	char *file, *source, *evidence;
};

/* Counters of a device: /v1/check shows "SIDE":{"FIELD":N}. X(side, field, "what it counts"); those of a side together */
#define VST_DEVICE_COUNTERS(X)                                                                                         \
	X(kernel, ios, "requests (bios, on a stacked device) that the kernel counted")                                 \
	X(kernel, bytes, "bytes that the kernel counted")                                                              \
	X(seen, ios, "requests or bios that the probes saw")                                                           \
	X(seen, bytes, "bytes that the probes saw")                                                                    \
	X(attributed, ios, "requests or bios that have an owner")                                                      \
	X(attributed, bytes, "bytes that have an owner")

enum vst_device_counter {
#define X(s, f, d) VST_DEVICE_##s##_##f,
	VST_DEVICE_COUNTERS(X)
#undef X
		VST_DEVICE__N
};

struct vst_snap_device {
	struct vst_value v;
	__u32 dev;
	__u8 layer; /* enum vst_layer */
	char *name;
	char **links; /* other names: paths such as /dev/mapper/data */
	size_t n_links;
	bool present;
	bool accounted;	  /* the kernel counts its I/O (queue/iostats) */
	char *not_judged; /* why the kernel's count is no judge; "": it is */
	__u64 counter[VST_DEVICE__N];
	__u64 lost[VST_LOSS__N];
	__u32 in_flight; /* as the kernel counts them */
};

/* What dm-cache counts since the device was activated. X(field, "what it counts") */
#define VST_DM_CACHE_COUNTERS(X)                                                                                       \
	X(read_hits, "reads that the cache had")                                                                       \
	X(read_misses, "reads that it did not have")                                                                   \
	X(write_hits, "writes to blocks that the cache had")                                                           \
	X(write_misses, "writes to others")                                                                            \
	X(promoted_blocks, "blocks that were taken in")                                                                \
	X(demoted_blocks, "blocks that were thrown out")

/* A device that is cached by a faster one. */
struct vst_snap_cache {
	struct vst_value v;
	__u32 dev;	      /* the cached device */
	char *type;	      /* "bcache" */
	char *name;	      /* "bcache0" */
	char *origin;	      /* the slow device */
	char *cache;	      /* the fast one */
	char *set;	      /* of caches, a UUID */
	char *mode;	      /* "writeback", ... */
	char *replacement;    /* "lru", ... */
	__u64 bytes;	      /* of the cached device */
	__u64 cache_bytes;    /* of the cache */
	__u64 bucket_bytes;   /* what it gives away at a time */
	__u64 dirty_bytes;    /* that the slow device does not have yet */
	__u64 admitted_bytes; /* by all, since the device is watched */
	/* worth keeping, and of that in the cache for sure; by class - VST_HEAT_CLASS_MIN */
	__u64 kept_bytes[VST_HEAT_CLASSES], resident_bytes[VST_HEAT_CLASSES];
	/* of a dm-cache, for all who use it, since it was activated; see VST_DM_CACHE_COUNTERS */
	__u64 used_bytes;
#define X(f, d) __u64 f;
	VST_DM_CACHE_COUNTERS(X)
#undef X
};

/* What a cache did for a container, by class. */
struct vst_snap_cache_row {
	struct vst_value v;
	__u32 container; /* index */
	__u32 dev;	 /* the cached device */
	__u8 class;
	struct vst_cache_counts counts;
};

/* How long what a container wrote has lived, by how it ended. */
struct vst_snap_life {
	struct vst_value v;
	__u32 container; /* index */
	__u8 end;	 /* enum vst_life_ends */
	__u64 bytes[VST_LIFE_BUCKETS];
	__u64 dead_bytes; /* of them, those that never reached a disk */
};

/* What somebody wants a cache to keep: a file, a directory tree, or a container's data. */
struct vst_snap_pin {
	struct vst_value v;
	__u32 dev; /* the cached device; 0: none that is known, or, of a container, each that it uses */
	bool is_container;
	char *name;	      /* the path, or the container's cgroup */
	char *state;	      /* "looking", "kept", "refused" */
	char *text;	      /* why it is refused, or what of it is not kept; "" */
	__u64 files, bytes;   /* of a path */
	__u64 resident_bytes; /* of these, in the cache for sure */
	double since;	      /* monotonic seconds */
};

/* How often a cached device's pages were used again, see lib/reuse.h: a curve. */
struct vst_snap_curve {
	struct vst_value v;
	__u32 dev;
	__u8 kept; /* index of what a keeper keeps */
	__u8 class;
	__u64 kept_bytes;    /* of what is kept then */
	double total;	     /* pages of the class that were read */
	double reads, first; /* those that the sample stands for, and how many of them were read for the first time */
	char *at;	     /* "bucket:pages" for each that is not 0, with a blank between */
};

struct vst_snap_probe {
	const char *name, *tracepoint, *group;
	const char *state, *why;
	double run_ns;
	__u64 runs, missed;
};

/* The capabilities of the agent's loop; agent/base/caps.h has what the bits mean. */
struct vst_snap_caps {
	__u64 kept;
	unsigned int when;
	bool dropped; /* false: not yet, or the kernel refused */
};

/* The recording of snapshots, when this one was made. */
struct vst_snap_recording {
	const char *dir;   /* NULL: nothing is recorded */
	__u64 size, bytes; /* that it may have, and has */
	__u64 skipped;	   /* snapshots that the disk was too slow for */
	int error;	   /* errno of the last write; 0: it succeeded */
};

struct vst_snap_self {
	double cpu_percent; /* of one core */
	__u64 rss_bytes;
	double tick_us, tick_max_us;
	double event_ns;
	double cost_percent, budget_percent; /* of all processors */
	const char *given_up[8];	     /* parts that are not watched for a time */
	unsigned int n_given_up;
	unsigned int rows, rows_max, slots, slots_max, containers;
	struct vst_snap_caps caps;
	bool watch_locks;
	double insight;	   /* share of the time in which copies are looked for; 0: it is off, or given up for a time */
	__u8 insight_mode; /* enum vst_insight_mode that the agent was started with */
	bool insight_given_up;
	__u64 files_lost; /* files that insight had no place for */
	__u64 cache_lost; /* I/Os on cached devices that no row of a cache had room for */
	__u64 lost[VST_LOSS__N];
	__u64 lock_lost[VST_LOCK_LOSS__N];
	__u64 journal_lost, pause_lost;
	__u64 hints_refused;	 /* classes out of range that applications gave */
	__u64 encryption_alarms; /* since the agent started */
	__u64 overflow_cgroups;	 /* that found no place of their own */
	struct vst_snap_recording recording;
};

/* --- the snapshot --- */

/* The lists of a snapshot. X(ENUM, accessor, type of a value) */
#define VST_SNAP_LISTS(X)                                                                                              \
	X(CONTAINERS, container, struct vst_snap_container)                                                            \
	X(IOS, io, struct vst_snap_io)                                                                                 \
	X(WAITS, wait, struct vst_snap_wait)                                                                           \
	X(DEVICES, device, struct vst_snap_device)                                                                     \
	X(SLOWS, slow, struct vst_snap_slow)                                                                           \
	X(PATTERNS, pattern, struct vst_snap_pattern)                                                                  \
	X(CACHES, cache, struct vst_snap_cache)                                                                        \
	X(CACHE_ROWS, cache_row, struct vst_snap_cache_row)                                                            \
	X(LIVES, life, struct vst_snap_life)                                                                           \
	X(PINS, pin, struct vst_snap_pin)                                                                              \
	X(CURVES, curve, struct vst_snap_curve)

enum vst_snap_list {
#define X(e, f, t) VST_SNAP_##e,
	VST_SNAP_LISTS(X)
#undef X
		VST_SNAP__N
};

/* A sparse array in chunks; chunks without a change are shared with the snapshot before. */
struct vst_vector {
	struct vst_chunk **chunk;
	__u32 n_chunks;
	__u32 end; /* no index from here on has a value */
};

struct vst_snapshot {
	struct vst_value v;
	__u64 seq;	  /* 1, 2, ... */
	double time;	  /* when collecting it began */
	double unix_time; /* the same moment */
	double started;	  /* when the agent did */
	double interval;  /* between two ticks */
	char instance[17];
	char kernel[65];
	struct vst_vector list[VST_SNAP__N];
	const struct vst_snap_probe *probes; /* [n_probes] */
	size_t n_probes;
	struct vst_snap_self self;
};

/* Takes and gives back a reference, on any thread; NULL is allowed. */
const struct vst_snapshot *vst_snapshot_ref(const struct vst_snapshot *s);
void vst_snapshot_unref(const struct vst_snapshot *s);

/* The value at an index, borrowed from the snapshot; NULL: there is none. */
#define X(e, f, t) const t *vst_snapshot_##f(const struct vst_snapshot *s, __u32 index);
VST_SNAP_LISTS(X)
#undef X

/* The value at *index or after it, with *index moved there; NULL: there is none. For loops: see below. */
const void *vst_snapshot_next_value(const struct vst_snapshot *s, enum vst_snap_list list, __u32 *index);

/* for (each value of a list), with its index: vst_snapshot_for_each(s, VST_SNAP_IOS, io, i) */
#define vst_snapshot_for_each(s, list, var, i)                                                                         \
	for (__u32 i = 0; ((var) = vst_snapshot_next_value((s), (list), &(i))); (i)++)

/* The container with that id; NULL: the snapshot does not have it. */
const struct vst_snap_container *vst_snapshot_container_of(const struct vst_snapshot *s, __u32 id);

/*
 * Moves *index to the first one from there on whose value is not the same in both, where it may be missing in one of them; false: there
 * is none. It takes time for what changed, not for what exists. prev may be NULL.
 */
bool vst_snapshot_next_change(const struct vst_snapshot *prev, const struct vst_snapshot *now, enum vst_snap_list list,
			      __u32 *index);

/* The device with that number; NULL: it is not known. */
const struct vst_snap_device *vst_snapshot_device_of(const struct vst_snapshot *s, __u32 dev);

/* --- making one: collect, and tests --- */

/*
 * A new one that begins as a copy of prev, or empty if prev is NULL; its .seq is one more. NULL only if out of memory. Its
 * maker may change it until it gives a reference to anybody else. The snapshot frees .probes.
 */
struct vst_snapshot *vst_snapshot_next(const struct vst_snapshot *prev);

/*
 * Puts a value at an index; NULL removes the value there. The value has been made by vst_value_new() and is stolen, also on
 * failure. 0 or -ENOMEM. A removal cannot fail if the chunk is not shared; on -ENOMEM the old value stays.
 */
int vst_snapshot_put(struct vst_snapshot *s, enum vst_snap_list list, __u32 index, void *value);

/* A value of a list, zeroed, with one reference; what its pointers own is freed with it. NULL only if out of memory. */
void *vst_value_new(enum vst_snap_list list);

/* The same with `extra` bytes behind it, for its histograms: one allocation for both. An empty histogram points to NULL. */
void *vst_value_new_with(enum vst_snap_list list, size_t extra, void **ret_extra);

/*
 * Copies all texts and arrays that a value points to, and that belong to somebody else or to a block, into one block of its
 * own, which its copies share. NULL becomes "". 0, or -ENOMEM, and nothing has changed.
 */
int vst_value_own_texts(enum vst_snap_list list, void *value);

/* The texts of one wait for another: both have the same block afterwards, `from` must have one. No histogram, no number. */
void vst_value_share_texts(struct vst_snap_wait *to, const struct vst_snap_wait *from);

/*
 * A new value with everything that is in the old one, but without its histograms; its numbers may be changed. The texts
 * are shared: vst_value_own_texts() was called for the old one. NULL only if out of memory.
 */
void *vst_value_copy(enum vst_snap_list list, const void *old, size_t extra, void **ret_extra);

/* Takes and gives back a reference to a value, on any thread; NULL is allowed. */
void *vst_value_ref(const void *value);
void vst_value_unref(const void *value);

/*
 * The block in which the texts and arrays of a value are, borrowed, for whoever shares them with it; NULL: they are in none. A block
 * never changes. It is referred to and given up as a value is; vst_block_has() says whether a text is in it.
 */
struct vst_block *vst_value_block(const void *value);
struct vst_block *vst_block_ref(struct vst_block *b);
void vst_block_unref(struct vst_block *b);
bool vst_block_has(const struct vst_block *b, const void *text);

#endif /* VST_SNAPSHOT_H */
