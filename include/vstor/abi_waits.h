/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waits that no lock tells of, between bpf/ and agent/: for a journal to commit, and at the limit of dirty pages. What is
 * in these tables the agent takes out at its next tick.
 */
#ifndef VSTOR_WAITS_H
#define VSTOR_WAITS_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/* Whom a wait belongs to, or who is waited for: cgroup id << 2 | hierarchy, or one of these. */
#define VST_OWNER_KERNEL 1ULL /* a thread of the kernel's own */
#define VST_OWNER_NOBODY 2ULL /* nobody is known */
#define VST_OWNER_OTHERS 3ULL /* one of more than there is room for */

/* --- journals --- */

#define VST_COMMITS 8 /* the last transactions of a journal */
#define VST_FILLERS 16

/*
 * A transaction, and who changed how many blocks of it: the first to do so have a place, the rest share one. Places are
 * taken one after the other.
 */
struct vst_commit {
	__u64 start_ns; /* 0: it has not begun to commit */
	__u64 end_ns;	/* 0: it has not ended */
	__u64 others;	/* blocks */
	__u32 tid;
	__u32 pad;
	__u64 owner[VST_FILLERS]; /* 0: free */
	__u64 blocks[VST_FILLERS];
};

/* How much of the time from begin to end the commit was under way. */
static inline __attribute__((always_inline)) __u64 vst_commit_overlap(const struct vst_commit *c, __u64 begin,
								      __u64 end)
{
	__u64 from = c->start_ns > begin ? c->start_ns : begin, to = c->end_ns && c->end_ns < end ? c->end_ns : end;

	return c->start_ns && to > from ? to - from : 0;
}

static inline __attribute__((always_inline)) __u64 vst_commit_blocks(const struct vst_commit *c)
{
	__u64 blocks = c->others;

	for (int i = 0; i < VST_FILLERS; i++)
		blocks += c->blocks[i];
	return blocks;
}

/* The part of a wait that is some blocks'. Exact for waits of hours and transactions of millions of blocks. all: not 0. */
static inline __attribute__((always_inline)) __u64 vst_commit_part(__u64 ns, __u64 blocks, __u64 all)
{
	return ns / all * blocks + ns % all * blocks / all;
}

struct vst_journal_pair {
	__u64 waiter, holder;
	__u32 dev; /* of the file system: (major << 20 | minor) */
	__u32 pad;
};

struct vst_journal_wait {
	__u64 ns;
	__u64 waits;
};

#define VST_JOURNALS 512
#define VST_JOURNAL_PAIRS 4096

/* In the one element of the map "vst_journal_state". */
struct vst_journal_state {
	__u64 waits; /* counted so far: has anything happened? */
	__u64 lost;  /* for which a table had no room: in no line */
};

/* --- dirty pages --- */

#define VST_THROTTLED 4096 /* owners x devices, of a tick */

struct vst_throttle_key {
	__u64 owner;
	__u32 dev; /* 0: of a file system that is on no single disk */
	__u32 pad;
};

struct vst_throttle {
	__u64 jiffies;
	__u64 waits;
};

#endif /* VSTOR_WAITS_H */
