/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known of requests (and of bios, on stacked devices) between submission and completion. A table of sets of
 * eight, without locks and allocation: the block layer has a fixed number of requests and uses the same ones again and
 * again. A request keeps its place when it ends, until another one needs it, and so is found again with one look. A set that
 * is full is counted, nothing in flight is evicted.
 *
 * Submission and completion are often on different CPUs, and to read a line that another CPU wrote is most of what the probes
 * take (measured: a third of the time at issue, half of it at completion, when each request had lines of its own). So
 * what is asked for each time is in 16 bytes, and requests that are neighbours in memory are so here: those in use at one
 * time share lines.
 */
#ifndef VST_INFLIGHT_BPF_H
#define VST_INFLIGHT_BPF_H

#include "compat.bpf.h"
#include "maps.bpf.h"

/*
 * .what, from the top: 32 bits of the address, two that count the uses, so that the sweep does not take one use for the
 * next, the bytes in sectors, the row, and the state. The 32 bits are the address up to 256 GiB; that two requests further
 * apart have the same ones and their homes in one set besides is less likely than an error of the memory.
 */
#define IN_ID(what) ((__u32)((what) >> 32))
#define IN_USE (1ULL << 30)
#define IN_USES (3 * IN_USE)
#define IN_SECTORS_SHIFT 16
#define IN_SECTORS_MAX ((1U << 14) - 1)
#define IN_SECTORS(what) ((__u32)(what) >> IN_SECTORS_SHIFT & IN_SECTORS_MAX)
#define IN_ROW_SHIFT 3
#define IN_ROW(what) ((__u32)(what) >> IN_ROW_SHIFT & (VST_ROWS - 1))
#define IN_MORE 4ULL /* the rest is in struct vst_inflight_more: bytes and rows too */
#define IN_STATE(what) ((what) & 3)
#define IN_FREE 0     /* nothing is known: it ended, or never began */
#define IN_HELD 1     /* waits in a queue (IN_MORE: what was noted then), or its rows are just being decided */
#define IN_REQUEUED 2 /* given back by the driver */
#define IN_ISSUED 3
#define IN_HAS_ROW 2 /* the last two */
#define IN_IDS (~0ULL << 32)
#define IN_PLACE (IN_IDS | IN_USES) /* what a place keeps when it is free */
_Static_assert(VST_ROWS == 1 << 13, "a row in 13 bits");

struct vst_inflight {
	__u64 what; /* 0: never used */
	__u64 when; /* it was issued last */
};

/* A request holds bios of several rows if it was merged from them; this many are kept apart, the last takes the rest. */
#define PARTS 4

/* What few requests need: those that waited in a queue, and those of several parts, or of no whole sectors, or of too many. */
struct vst_inflight_more {
	__u64 addr;	 /* of the request, see vst_identity(); written when the place is given to it */
	__u64 queued_ns; /* 0: went to the driver directly */
	union {
		__u64 task; /* vst_task_owner() of who queued it; until it is issued */
		__u64 bio;  /* of a request that was given back: is it still the same I/O? */
	};
	__u32 done;	    /* bytes completed */
	__u32 dev;	    /* of a bio on a stacked device; 0: a request */
	__u32 bytes[PARTS]; /* of each part, as issued */
	__u16 row[PARTS];   /* 0: no such part */
	__u64 pad;
};
_Static_assert(sizeof(struct vst_inflight_more) == 64, "one cache line");

#define WAYS 8 /* places of a set: two lines */
#define PLACES (1U << VST_INFLIGHT_BITS)
#define NOWHERE PLACES

/*
 * All places, and behind them all that is more. The only variable of its section, which the agent shares between the objects
 * that have it. Words and not structures: its type is part of the skeleton. Not static: libbpf asks for memory that begins
 * on a page only if others may see it, else each cache line here would be half of two.
 */
__u64 vst_in_flight[PLACES * (sizeof(struct vst_inflight) + sizeof(struct vst_inflight_more)) / sizeof(__u64)];

/* at: a place, below PLACES */
static __always_inline struct vst_inflight *vst_in(__u32 at)
{
	return (struct vst_inflight *)vst_in_flight + at;
}

static __always_inline struct vst_inflight_more *vst_more(__u32 at)
{
	return (struct vst_inflight_more *)((struct vst_inflight *)vst_in_flight + PLACES) + at;
}

/* Requests and bios are larger than 64 bytes. Not 0: no place is taken for theirs that never was. */
static __always_inline __u32 vst_id_of(__u64 addr)
{
	__u32 id = addr >> 6;

	return id ?: 1;
}

/* 6.1 loses the bound, the compiler knows it. */
static __always_inline __u32 vst_bounded(__u64 at)
{
	barrier_var(at);
	return at & (PLACES - 1);
}

/*
 * Where its place is, if that was free when it was needed first. Blocks of 16 KiB are spread, what is in one stays together:
 * one place for each 256 bytes. A request has some 400; bios, of 120 and more, give twice their address.
 */
static __always_inline __u32 vst_home_of(__u64 addr)
{
	__u64 at = (addr >> 14) * 0x9e3779b97f4a7c15ULL >> (64 - VST_INFLIGHT_BITS) & ~63ULL;

	return vst_bounded(at | (addr >> 8 & 63));
}

/* In the set of its home. */
static __noinline __u32 vst_place_search(__u32 home, __u64 addr)
{
	__u32 first = home & (PLACES - WAYS);

#pragma unroll
	for (__u32 way = 0; way < WAYS; way++)
		if (IN_ID(vst_in(vst_bounded(first + way))->what) == vst_id_of(addr))
			return first + way;
	return NOWHERE;
}

/* NOWHERE: it has none. */
static __always_inline __u32 vst_place_find(__u32 home, __u64 addr)
{
	return IN_ID(vst_in(home)->what) == vst_id_of(addr) ? home : vst_place_search(home, addr);
}

/*
 * A place for an address that has none: its home, where it is found at once, if that was never used, else the place that
 * was used last longest ago, so that its request is hardly being issued at this moment. That one uses its place
 * without an atomic operation: one of the two I/Os would have no place at its end, and be counted as such.
 */
static __noinline __u32 vst_place_take(__u32 home, __u64 addr)
{
	__u64 was = 0, oldest = ~0ULL, what, age;
	__u32 best = vst_place_search(home, addr), first = home & (PLACES - WAYS), at;

	if (best < PLACES)
		return best;
#pragma unroll
	for (__u32 n = 0; n < WAYS; n++) {
		at = vst_bounded(first + ((home + n) & (WAYS - 1)));
		what = vst_in(at)->what;
		age = what ? vst_in(at)->when : 0;
		if (IN_STATE(what) != IN_FREE || age >= oldest)
			continue;
		oldest = age;
		was = what;
		best = at;
	}
	if (best >= PLACES ||
	    __sync_val_compare_and_swap(&vst_in(best)->what, was, (__u64)vst_id_of(addr) << 32 | IN_HELD) != was)
		return NOWHERE;
	vst_more(best)->addr = addr;
	vst_more(best)->dev = 0;
	return best;
}

/* The place of this address, made if need be; NOWHERE: its set is full. Each address has one place at most. */
static __always_inline __u32 vst_place_claim(__u32 home, __u64 addr)
{
	return IN_ID(vst_in(home)->what) == vst_id_of(addr) ? home : vst_place_take(home, addr);
}

/* From now on there is more of a request, of one part. */
static __always_inline void vst_more_begin(struct vst_inflight_more *more, __u64 queued_ns, __u32 row, __u32 bytes)
{
	more->queued_ns = queued_ns;
	more->done = 0;
	more->row[0] = row;
	more->row[1] = 0;
	more->bytes[0] = bytes;
}

/*
 * It is being issued: all but its rows. What its end needs is in memory before they are decided, for the program would keep it
 * on its stack. more: .more is asked for at its end; queued_ns is set already.
 */
static __always_inline void vst_inflight_begin(__u32 at, __u64 addr, __u64 now, __u32 bytes, bool more)
{
	__u64 what = (__u64)vst_id_of(addr) << 32 | ((vst_in(at)->what + IN_USE) & IN_USES) | IN_HELD;

	vst_in(at)->when = now;
	if (more || (bytes & 511) || bytes >> 9 > IN_SECTORS_MAX) {
		vst_more_begin(vst_more(at), more ? vst_more(at)->queued_ns : 0, 0, bytes);
		what |= IN_MORE;
	} else {
		what |= bytes >> 9 << IN_SECTORS_SHIFT;
	}
	vst_in(at)->what = what;
}

/* It gets several parts. */
static __always_inline void vst_inflight_split(__u32 at)
{
	struct vst_inflight *in = vst_in(at);

	if (in->what & IN_MORE)
		return;
	vst_more(at)->queued_ns = 0;
	in->what = (in->what & IN_PLACE) | IN_MORE | IN_HELD;
}

/* From now on it is in flight; row: the first one. If its place was taken meanwhile, its end is counted as unknown. */
static __always_inline void vst_inflight_issue(__u32 at, __u64 addr, __u32 row)
{
	struct vst_inflight *in = vst_in(at);

	if (IN_ID(in->what) != vst_id_of(addr))
		return;
	if (in->what & IN_MORE)
		vst_more(at)->row[0] = row;
	in->what |= row << IN_ROW_SHIFT | IN_ISSUED;
}

/* The rest of a request of one part, of which `bytes` are done. */
static __always_inline __u64 vst_inflight_less(__u64 what, __u32 bytes)
{
	__u64 sectors = bytes >> 9 < IN_SECTORS(what) ? bytes >> 9 : IN_SECTORS(what);

	return what - (sectors << IN_SECTORS_SHIFT);
}
#endif /* VST_INFLIGHT_BPF_H */
