/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waiting for locks: what crosses the border between bpf/lock.bpf.c and agent/locks*.c, and the lists from which locks
 * get their names. Times are nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef VSTOR_LOCKS_H
#define VSTOR_LOCKS_H

#include "abi.h"

/* What kind of lock the kernel says it is. X(ENUM, "name") */
#define VST_LOCK_TYPES(X)                                                                                              \
	X(SPINLOCK, "spinlock")                                                                                        \
	X(RWLOCK, "rwlock")                                                                                            \
	X(MUTEX, "mutex")                                                                                              \
	X(RWSEM, "rwsem")                                                                                              \
	X(PERCPU_RWSEM, "percpu-rwsem")                                                                                \
	X(RTMUTEX, "rtmutex")                                                                                          \
	X(SEMAPHORE, "semaphore")

/* How we know a lock's name, the best first. X(ENUM, "name", "what it means") */
#define VST_LOCK_NAMED_BY(X)                                                                                           \
	X(FIELD, "field", "the member of the structure that it is, by its slab cache and the kernel's types")          \
	X(SYMBOL, "symbol", "a variable of the kernel")                                                                \
	X(CALLER, "caller", "the function that takes it: the lock that is known for that function, or its name")       \
	X(CACHE, "cache", "the slab cache that it is in, and where in the object")                                     \
	X(NONE, "none", "nothing but its address is known")

/* How we know the holder. X(ENUM, "name", "what it means") */
#define VST_LOCK_EVIDENCE(X)                                                                                           \
	X(OWNER, "owner", "the lock says who holds it")                                                                \
	X(LAST, "last", "who got the lock last after waiting for it, or read it last")                                 \
	X(NONE, "none", "nobody is known")

/* Waits that are in no row, or not in the right one. X(ENUM, "name", "what it means") */
#define VST_LOCK_LOSSES(X)                                                                                             \
	X(NO_WAIT, "no_wait", "the table of waits under way had no room: not counted")                                 \
	X(NO_ROW, "no_row", "the table of counters had no room: not counted")                                          \
	X(NO_CLASS, "no_class", "the table of locks had no room: counted, but the lock has no name")                   \
	X(NO_PAIR, "no_pair", "the table of who waits for whom had no room: counted, but without a holder")            \
	X(NO_END, "no_end", "the end of the wait was not seen: not counted")

/*
 * Addresses that the agent looks up in /proc/kallsyms; 0: not there. X(field, "symbol")
 * The functions of locks lie between the first four. The last two tell where a page's structure is, on kernels that do
 * not ask for the slab cache of an address themselves (bpf_get_kmem_cache: 6.13).
 */
#define VST_LOCK_SYMBOLS(X)                                                                                            \
	X(lock_text, "__lock_text_start")                                                                              \
	X(lock_text_end, "__lock_text_end")                                                                            \
	X(sched_text, "__sched_text_start")                                                                            \
	X(sched_text_end, "__sched_text_end")                                                                          \
	X(percpu_wait, "percpu_rwsem_wait")                                                                            \
	X(page_offset_base, "page_offset_base")                                                                        \
	X(vmemmap_base, "vmemmap_base")

/* What a lock is told apart by. */
enum vst_lock_kind {
	VST_LOCK_KIND_SLAB = 1, /* a: struct kmem_cache, b: offset in the object */
	VST_LOCK_KIND_STATIC,	/* a: address, in the kernel's or a module's image */
	VST_LOCK_KIND_CALLER,	/* a: where it is taken */
	VST_LOCK_KIND_FREEZE,	/* a: the file system's device, b: which of its locks that only a freeze holds */
};

enum vst_lock_type {
#define X(e, n) VST_LOCK_##e,
	VST_LOCK_TYPES(X)
#undef X
		VST_LOCK_TYPE__N
};

enum vst_lock_named_by {
#define X(e, n, w) VST_LOCK_BY_##e,
	VST_LOCK_NAMED_BY(X)
#undef X
		VST_LOCK_BY__N
};

enum vst_lock_evidence {
#define X(e, n, w) VST_LOCK_EVIDENCE_##e,
	VST_LOCK_EVIDENCE(X)
#undef X
		VST_LOCK_EVIDENCE__N
};

enum vst_lock_loss {
#define X(e, n, w) VST_LOCK_LOSS_##e,
	VST_LOCK_LOSSES(X)
#undef X
		VST_LOCK_LOSS__N
};

/*
 * The tables are sets of places; a hash of the key says which set, and is the tag by which its place is found there, so that
 * a look-up reads one line before what it is for. 64 bits: two keys do not have the same. A place is free while its tag
 * is 0; the agent takes one back with VST_LOCK_RETIRED, and clears it when nobody can be writing to it any more.
 */
#define VST_LOCK_WAYS 8
#define VST_LOCK_CLASS_BITS 8 /* sets */
#define VST_LOCK_ROW_BITS 10
#define VST_LOCK_PAIR_BITS 11
#define VST_LOCK_CLASSES (VST_LOCK_WAYS << VST_LOCK_CLASS_BITS)
#define VST_LOCK_ROWS (VST_LOCK_WAYS << VST_LOCK_ROW_BITS)
#define VST_LOCK_PAIRS (VST_LOCK_WAYS << VST_LOCK_PAIR_BITS)

#define VST_LOCK_TAKEN 2ULL   /* set in every tag of a key */
#define VST_LOCK_RETIRED 1ULL /* no key has this tag */
/* Of a class, set by the agent: the objects of this slab cache are of many types, so the caller has to tell. */
#define VST_LOCK_OPAQUE 1ULL

struct vst_lock_tags {
	__u64 tag[VST_LOCK_WAYS];
};

/* A cgroup as an owner: id << 2 | hierarchy. Two ids that no cgroup has: */
#define VST_LOCK_KERNEL 0ULL	     /* a thread of the kernel's own */
#define VST_LOCK_NOBODY (1ULL << 62) /* nobody known */

struct vst_lock_caller {
	__u64 ip;
	char name[48]; /* the function, " [module]" */
	char by[48];   /* who called that */
	char above[48];
};

/* Locks that are the same member of the same structure, or are taken at the same place. Class 0: there was no room. */
#define VST_LOCK_CALLERS 4
struct vst_lock_class {
	__u64 kind; /* enum vst_lock_kind; 0: not described yet */
	__u64 a;
	__u64 offset;
	__u64 n_callers;
	char name[64]; /* of the slab cache, or of the variable */
	struct vst_lock_caller callers[VST_LOCK_CALLERS];
};

/* What a row or a pair is about, on which CPU, as one word; never 0. low: the CPU << 2, and of a pair | evidence. */
#define VST_LOCK_WHAT(class, type, low) (1ULL << 63 | (__u64)(class) << 32 | (__u64)(type) << 24 | (low))
#define VST_LOCK_WHAT_CLASS(what) ((__u32)((what) >> 32) & 0xffffff)
#define VST_LOCK_WHAT_TYPE(what) ((what) >> 24 & 0xff)
#define VST_LOCK_WHAT_EVIDENCE(what) ((what) & 3)
#define VST_LOCK_WHAT_NO_CPU(what) ((what) & ~0xfffffcULL)
#define VST_LOCK_WHAT_LOCK(what) ((what) & ~0xffffffULL)

/* A row: who waited for which lock, on one CPU. Counters only grow. */
struct vst_lock_counters {
	__u64 owner;
	__u64 what; /* written last; 0: not yet */
	__u64 waits;
	__u64 total_ns;
	__u64 max_ns;	 /* the longest since the row was made */
	__u64 object_ns; /* the longest since the agent cleared this, */
	__u64 object;	 /* and for which lock */
	__u64 pad;
};

struct vst_lock_hist {
	__u32 n[VST_HIST_BUCKETS]; /* wraps: read as differences */
};

/* Who waited for whom, on one CPU. A wait through which the lock changed hands counts for each holder, with its part of the time. */
struct vst_lock_pair {
	__u64 waiter;
	__u64 holder;
	__u64 what; /* written last; 0: not yet */
	__u64 waits;
	__u64 ns;
	__u64 object_ns; /* as of a row */
	__u64 object;
	__u64 pad;
};

/* --- waits under way --- */

/* The address of a semaphore is that of the spinlock that guards it, hence a bit. */
#define VST_LOCK_SPINS 1ULL

/* While a place changes, an interrupt on its CPU that waits for a lock of the same place leaves it alone. */
#define VST_LOCK_WAIT_FREE 0
#define VST_LOCK_WAIT_CHANGES 1
#define VST_LOCK_WAIT_IS 2

/*
 * A wait under way. Row, pairs and turns are where those of the last wait in this place were: mostly they
 * are the same again, and what stands there tells. When a wait ends, .state changes before anything is counted of it, so
 * whoever reads counters and finds it unchanged afterwards has not read of its end.
 */
struct vst_lock_wait {
	__u64 lock; /* | VST_LOCK_SPINS */
	__u64 start_ns;
	__u64 since_ns; /* up to here its time is in pairs */
	__u64 waiter;
	__u64 holder;
	__u64 what; /* of the row, without its CPU */
	__u16 row;
	__u16 pair[2]; /* of the time up to the last turn, and since */
	__u16 turns;
	__u8 evidence;
	__u8 state; /* VST_LOCK_WAIT_ */
	__u8 moves; /* the lock went from one owner to another in the last wait in this place */
	__u8 pad;
	__u32 pid; /* of the waiting thread; not of a wait that spins */
};
_Static_assert(sizeof(struct vst_lock_wait) == 64, "a line of the cache");
_Static_assert(VST_LOCK_ROWS <= 1 << 16 && VST_LOCK_PAIRS <= 1 << 16, "a place fits into 16 bits");

/*
 * Who sleeps goes to another CPU. A thread waits for one lock, and within that for another: so the two are a key, whatever
 * the order in which they come and go.
 */
#define VST_LOCK_WAIT_WAYS 4
#define VST_LOCK_WAIT_BITS 12 /* sets */

/*
 * Who got a lock after waiting for it, and when: its holders, as far as anything tells. The last two are in the line that
 * finds the place, because mostly only they are asked for, and the line goes from CPU to CPU with the lock. The ones before
 * are behind it; the oldest are overwritten.
 */
#define VST_LOCK_TURNS 16
struct vst_lock_turns {
	__u64 lock; /* | VST_LOCK_SPINS */
	__u64 ns;
	__u64 owner;
	struct vst_lock_turn {
		__u64 ns;
		__u64 owner;
	} last; /* the one before */
	__u32 first,
		next; /* turns before that one since the place was given to this lock; only the last VST_LOCK_TURNS + 1 are there */
	__u64 asked; /* says nothing, see vst_lock_turns_ask() */
	__u64 pad;
	struct vst_lock_turn before[VST_LOCK_TURNS];
};

#define VST_LOCK_TURNS_WAYS 2
#define VST_LOCK_TURNS_BITS 10

/* What the agent reads of waits that have not ended. The tags are by themselves: 0 where nobody waits, which is nearly everywhere. */
struct vst_lock_open {
	__u64 tag[1 << VST_LOCK_WAIT_BITS][VST_LOCK_WAIT_WAYS];
	struct vst_lock_wait wait[1 << VST_LOCK_WAIT_BITS][VST_LOCK_WAIT_WAYS];
	struct vst_lock_turns turns[1 << VST_LOCK_TURNS_BITS];
};

/* --- which object it is --- */

enum vst_lock_object_kind {
	VST_LOCK_OBJECT_NONE,
	VST_LOCK_OBJECT_INODE, /* struct inode */
	VST_LOCK_OBJECT_SUPER, /* struct super_block */
	VST_LOCK_OBJECT_QUEUE, /* struct request_queue */
};

/* From a lock of a class to such an object, told by the agent: by an offset, then along pointers. */
#define VST_LOCK_ROUTE_STEPS 3
struct vst_lock_route {
	__u32 kind; /* enum vst_lock_object_kind; written last */
	__s32 offset;
	__u32 n;
	__u32 step[VST_LOCK_ROUTE_STEPS]; /* offsets of pointers */
};

/* An object at whose lock somebody waited long. The place is a hash of the lock's address, the last one wins. */
#define VST_LOCK_OBJECT_BITS 10
#define VST_LOCK_PATH 4
struct vst_lock_object {
	__u64 busy;    /* being written */
	__u64 lock;    /* address; 0: nobody's */
	__u64 jiffies; /* when it was looked at */
	__u64 ino;
	__u32 kind;		      /* NONE: it was none */
	__u32 more;		      /* the path goes on above */
	char device[32];	      /* super_block.s_id or the disk's name */
	char path[VST_LOCK_PATH][40]; /* of an inode: its name, that of its directory, and so on; "" at the root */
};

/* --- what holders do --- */

/* A stack of a holder that slept. The place is a hash of waiter, holder and what, the last one wins. */
#define VST_LOCK_STACK_BITS 8
#define VST_LOCK_STACK_FRAMES 12
struct vst_lock_holder_stack {
	__u64 busy;
	__u64 waiter, holder;
	__u64 what; /* 0: nobody's; without CPU and evidence */
	__u64 jiffies;
	__u32 n;
	__u32 pad;
	char frame[VST_LOCK_STACK_FRAMES][40]; /* "function" or "function [module]", the innermost first */
};

struct vst_lock_symbols {
#define X(f, s) __u64 f;
	VST_LOCK_SYMBOLS(X)
#undef X
};

struct vst_lock_state {
	struct vst_lock_symbols sym;
	struct {
		__u64 waits;
		__u64 ns;
	} lost[VST_LOCK_LOSS__N];
	__u64 stack_next; /* jiffies: no stack of a holder is looked at before */
};

/* Multiplication by an odd number: no two values have the same. */
static inline __attribute__((always_inline)) __u64 vst_lock_hash(__u64 v)
{
	return v * 0x9e3779b97f4a7c15ULL;
}

static inline __attribute__((always_inline)) __u64 vst_lock_mix(__u64 a, __u64 b)
{
	__u64 h = vst_lock_hash(a);

	return vst_lock_hash(h ^ h >> 32 ^ b);
}

#ifndef __bpf__
VST_NAMES1(vst_lock_type_name, VST_LOCK_TYPES)
VST_NAMES1(vst_lock_named_by_name, VST_LOCK_NAMED_BY)
VST_NAMES1(vst_lock_evidence_name, VST_LOCK_EVIDENCE)
VST_NAMES1(vst_lock_loss_name, VST_LOCK_LOSSES)
#endif
#endif /* VSTOR_LOCKS_H */
