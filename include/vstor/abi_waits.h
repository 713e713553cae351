/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waits that are not for a lock, between bpf/ and agent/: for a journal to commit, and at the limit of dirty pages. The
 * agent empties the hash tables at each tick. Waits that have begun are in arrays that it can read as memory.
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
#define VST_OWNER_ALL 0ULL    /* as a holder: whoever it was; this is how long the waiter waited */

/* --- waits that have begun --- */

/*
 * A thread's place is one of the ways of a set, found by its number. With 1,024 threads of random numbers that wait at once 1
 * in 11,000 has no place (a sum over Poisson's distribution); threads that are made together have consecutive numbers, and
 * fill the sets evenly.
 */
#define VST_OPEN_SETS 512
#define VST_OPEN_WAYS 8
#define VST_OPEN_PLACES (VST_OPEN_SETS * VST_OPEN_WAYS)
#define VST_OPEN_FIRST(thread) ((thread) % VST_OPEN_SETS * VST_OPEN_WAYS) /* the place of the first way */

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

/* Who changed most blocks of a transaction. */
static inline __attribute__((always_inline)) __u64 vst_commit_largest(const struct vst_commit *c)
{
	__u64 most = c->others, owner = c->others ? VST_OWNER_OTHERS : VST_OWNER_NOBODY;

	for (int i = 0; i < VST_FILLERS; i++) {
		if (c->blocks[i] <= most)
			continue;
		most = c->blocks[i];
		owner = c->owner[i];
	}
	return owner;
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
	__u64 waits;  /* that ended */
	__u64 max_ns; /* the longest of them; of VST_OWNER_ALL only */
};

#define VST_JOURNALS 512
#define VST_JOURNAL_PAIRS 4096

/* What a thread is about to wait for. */
enum vst_journal_call {
	VST_JOURNAL_NONE,
	VST_JOURNAL_FSYNC,
	VST_JOURNAL_INODE, /* a handle: .from is the address of a struct inode */
	VST_JOURNAL_SUPER, /* a handle: ... of a struct super_block */
};

/*
 * A thread that is in fsync, or has asked for a handle. Its time is charged up to since_ns. Whoever charges more takes the
 * time by replacing since_ns, so the thread at its end and the agent's look never charge the same time.
 */
struct vst_journal_open {
	__u64 since_ns; /* 0: there is no wait, or it ends just now */
	__u64 begin_ns;
	__u64 task;   /* its address */
	__u64 sleeps; /* that it had had when it began */
	__u64 from;
	__u32 call;	  /* enum vst_journal_call */
	__u32 dev;	  /* of the file system; 0: not looked up yet */
	__u64 charged_ns; /* by looks */
	/* by the last look at which it waited: */
	__u64 looked_ns; /* 0: there was none */
	__u64 wait_ns;	 /* since when */
	__u64 waiter;
	__u64 holder; /* who has the largest part of the blame */
};

/* The one element of the map "vst_journal_opens". The numbers of the threads are by themselves, because most are 0. */
struct vst_journal_opens {
	__u32 thread[VST_OPEN_PLACES];
	struct vst_journal_open open[VST_OPEN_PLACES];
};

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

/* What was charged since the agent looked last, of pauses that the next pause of their thread found not charged yet. */
struct vst_throttle {
	__u64 ns;
	__u64 waits;
};

/*
 * The last pause of a thread. The kernel says how long it will be, so the agent charges it as it passes. .since_ns is as that
 * of struct vst_journal_open.
 */
struct vst_pause_open {
	__u64 since_ns; /* 0: all of it is charged */
	__u64 end_ns;	/* as the kernel planned it */
	__u64 call_ns;	/* when the thread was stopped: several pauses may follow each other */
	__u64 call;	/* jiffies of that */
	__u64 owner;
	__u32 dev;
	__u32 pad;
};

/* The one element of the map "vst_pause_opens". */
struct vst_pause_opens {
	__u32 thread[VST_OPEN_PLACES];
	struct vst_pause_open open[VST_OPEN_PLACES];
};

#endif /* VSTOR_WAITS_H */
