/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What crosses the border between bpf/ and agent/: keys, counters, events and the histogram's buckets.
 * Times are nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef VSTOR_ABI_H
#define VSTOR_ABI_H

#ifndef __bpf__
#include <linux/types.h>
#endif
#include "classes.h"
#include "abi_symbols.h"

/* --- histogram: 8 buckets an octave, so that a bucket's middle is within 6.25 % of what fell into it --- */
#define VST_HIST_SUB_BITS 3
#define VST_HIST_MIN_BITS 10 /* bucket 0: less than 2^10 ns */
#define VST_HIST_BUCKETS 192 /* the last one: 13.9 s and longer */

/*
 * Counters of a row. X(field, "what it counts"): every one is a __u64 that only grows; the agent and every sink
 * show the whole list.
 */
#define VST_COUNTERS(X)                                                                                                \
	X(ios, "requests completed (bios, on a stacked device)")                                                       \
	X(bytes, "bytes completed")                                                                                    \
	X(merges, "bios and requests merged into another request")                                                     \
	X(errors, "requests completed with an error")                                                                  \
	X(requeues, "requests that the driver gave back to the queue")

/* Times of a row, one histogram each. X(ENUM, field) */
#define VST_TIMES(X)                                                                                                   \
	X(DEVICE, device)                                                                                              \
	X(LATENCY, latency)                                                                                            \
	X(QUEUE, queue)

enum vst_time {
#define X(e, f) VST_TIME_##e,
	VST_TIMES(X)
#undef X
		VST_TIME__N
};

#define VST_SHARED_BITS 16
#define VST_PLAIN_BITS 16
#define VST_SHARE_BITS 10
#define VST_ROWS 8192
/* A row may be used from every CPU, so their number decides: see vst_slots_for(). A slot takes 2.4 KB. */
#define VST_SLOTS_PER_CPU 1024
#define VST_SLOTS_MIN 16384
#define VST_SLOTS_MAX 131072
#define VST_INFLIGHT_BITS 15 /* requests; 6.1 takes no variable of more than 4 MiB */

/* A row: who did what to which device. All bytes count in comparisons, so pad stays 0. */
struct vst_key {
	__u64 owner;   /* cgroup id within .hier; 0 with witness none */
	__u32 dev;     /* (major << 20 | minor) of the disk */
	__u8 hier;     /* enum vst_hierarchy */
	__u8 witness;  /* enum vst_witness */
	__u8 op;       /* enum vst_op */
	__u8 kind;     /* enum vst_kind */
	__u8 size;     /* enum vst_size */
	__u8 layer;    /* enum vst_layer */
	__u8 patterns; /* a bit for each enum vst_pattern */
	__u8 hint;     /* the class that the application gave, plus 1; 0: none */
	__u8 pad[4];
};

/*
 * One row's counters on one CPU ("slot"). Written by that CPU alone. A row has a slot on each CPU that completed
 * an I/O of it: where it is found at once, if that is free, else one of the next few (a table with open addressing); slot 0
 * is not used. What went to the driver directly has no queue time and its latency is its device time,
 * so that fewer places have to be written: what is left out, the agent adds when it reads them.
 */
struct vst_counters {
	__u32 tag; /* whose: see VST_SLOT_TAG; 0: free */
	__u32 pad;
#define X(f, d) __u64 f;
	VST_COUNTERS(X)
#undef X
	struct {
		__u64 sum_ns;
		__u64 max_ns; /* longest since the row was made */
	} time[VST_TIME__N];  /* all but DEVICE: of those alone that waited in the queue */
	__u64 pad2[4];
};

#define VST_SLOT_TAG(cpu, row) (((__u32)(cpu) + 1) << 16 | (row))
#define VST_SLOT_ROW(tag) ((tag) & 0xffff)
_Static_assert(VST_ROWS <= 1 << 16, "a row's number in the lower half of a tag");

/*
 * Where a row's slot is, the n-th place to look; mask: the number of slots, a power of two, less one. Rows of one CPU side by
 * side; the golden ratio of the whole puts CPUs far apart.
 */
#define VST_SLOT(mask, cpu, row, n)                                                                                    \
	(((row) + (__u32)((__u64)((__u32)(cpu) * 2654435769U) * ((mask) + 1ULL) >> 32) + (__u32)(n) * 769U) & (mask))
#define VST_SLOT_TRIES 64

static inline __attribute__((always_inline)) __u32 vst_slots_for(__u32 cpus)
{
	__u32 slots = VST_SLOTS_MIN;

	while (slots < VST_SLOTS_MAX && slots / VST_SLOTS_PER_CPU < cpus)
		slots *= 2;
	return slots;
}

/* Buckets of one height side by side: what did not wait is counted as DEVICE and as LATENCY, in one cache line. */
struct vst_hists {
	__u32 n[VST_HIST_BUCKETS][VST_TIME__N]; /* wraps: read as differences. QUEUE: of those alone that waited */
};

/* I/O known by device and cause only. */
struct vst_loss_key {
	__u32 dev;
	__u32 cause; /* enum vst_loss */
};

struct vst_lost {
	__u64 ios;
	__u64 bytes;
};

/*
 * What the probes and the agent share, in the one element of the map "state". The agent sets it up and goes on to write
 * .origins and .epoch, the probes the rest.
 */
struct vst_state {
	/* read at each submission */
	__u32 epoch; /* what was remembered at another one is forgotten: see struct vst_clues */
	__u8 page_shift;
	__u8 blkio_hier; /* enum vst_hierarchy, as this host is set up */
	__u8 memory_hier;
	__u64 inner; /* a bit for a hash of each blkcg that was seen and has others below it: the task is asked as well */
	__u64 attach_ns; /* requests allocated before were not seen at their submission */
	__u32 slot_mask; /* see VST_SLOT */
	__u32 bio_traced; /* the bit of bio.bi_flags that is set from block_bio_queue to block_bio_complete; 0: not known */
	struct vst_origins origins;
	/* written, but rarely */
	__u32 next_row; /* rows 1 .. next_row - 1 were given out at least once */
	__u32 events_lost;
	__u32 hints_refused;			   /* classes out of range */
	__u32 xfs_noted;			   /* by the agent: xfs.bpf.c is attached */
	__u32 turn;				   /* of .shared */
	__u64 slots_used[VST_SLOTS_MAX / 64 / 64]; /* a bit for 64 slots, of which one was taken at least once */
	/*
	 * Files to which more than one cgroup wrote, a bit for a hash of the mapping: their pages are looked at one by
	 * one. A file is marked in half .turn & 1 each time, and the agent clears the other half now and then and turns
	 * them round: what is marked stays so for minutes, long after its pages are written, and is not marked for ever.
	 */
	__u64 shared[2][(1 << VST_SHARED_BITS) / 64];
	/*
	 * How many rows each share of the table has, a share being a container with all that it makes inside itself, or a
	 * user; by a hash of it, see VST_SHARE. The probes count up, the agent counts down.
	 */
	__u32 rows_used;
	__u32 shares_full;	   /* a cgroup found no place in vst_shares */
	__u16 row_share[VST_ROWS]; /* to which a row was counted */
	__u32 share_rows[1 << VST_SHARE_BITS];
	/* Cgroups that are no container's, only a service's or a slice's, a bit for a hash: by the agent. See bpf/task.bpf.h. */
	__u64 plain[(1 << VST_PLAIN_BITS) / 64];
};

/*
 * Rows that one share may have: more while there is room. What a container's or a user's further cgroups do is counted for the
 * cgroup at the top of the share, so no I/O is lost. packed: id << 2 | hierarchy of that cgroup; 0: not known.
 */
#define VST_SHARE(packed) ((__u32)((packed) * 0x9e3779b97f4a7c15ULL >> (64 - VST_SHARE_BITS)))
#define VST_SHARE_ROWS(used) ((used) > VST_ROWS / 2 ? VST_ROWS / 16 : VST_ROWS / 4)
#define VST_OWNER_OVERFLOW (~0ULL >> 2) /* .owner of a key: cgroups that no share is known of */

/* packed: id << 2 | hierarchy */
#define VST_PLAIN_BIT(packed) ((__u32)((packed) * 0x9e3779b97f4a7c15ULL >> (64 - VST_PLAIN_BITS)))

/* --- rare events: the ring carries only these --- */
enum vst_event_type {
	VST_EVENT_CGROUP_MKDIR = 1,
	VST_EVENT_CGROUP_RMDIR,
	VST_EVENT_CGROUP_RENAME, /* version 1 only; .path is the new one */
};

#define VST_EVENT_PATH 1024 /* the kernel's own limit for this tracepoint */
struct vst_event_cgroup {
	__u32 type; /* enum vst_event_type */
	__u32 hier; /* enum vst_hierarchy */
	__u64 id;
	__u32 maker; /* uid of the task that made (removed, renamed) it */
	__u32 pad;
	char path[VST_EVENT_PATH]; /* from the hierarchy's root, ends with a NUL; cut if it is longer */
};
#endif /* VSTOR_ABI_H */
