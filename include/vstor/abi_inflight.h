/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of requests (and of bios, on stacked devices) between submission and completion: what the probes write and the
 * agent reads while they do. Times are nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef VSTOR_ABI_INFLIGHT_H
#define VSTOR_ABI_INFLIGHT_H

#include "abi.h"

/*
 * .what, from the top: 32 bits of the address, 2 bits that count the uses, so that a reader does not take one use of a place
 * for the next, the bytes in sectors, the row, and the state. The 32 bits identify an address below 256 GiB. Two requests
 * that are further apart have the same 32 bits and the same set of places less often than memory fails.
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
#define IN_FREE 0     /* nothing is known: the I/O has ended, or never began */
#define IN_HELD 1     /* with IN_MORE it waits in a queue; without, its rows are being decided at this moment */
#define IN_REQUEUED 2 /* the driver gave it back */
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

/* Few requests need these: those that waited in a queue, those of several parts, of no whole sectors, or of too many. */
struct vst_inflight_more {
	__u64 addr;	 /* of the request, see vst_identity(); written when the place is given to it */
	__u64 queued_ns; /* 0: it went to the driver directly */
	union {
		__u64 task; /* vst_task_owner() of who queued it; until it is issued */
		__u64 bio;  /* of a request that was given back: is it still the same I/O? */
	};
	__u32 done;	    /* bytes completed */
	__u32 dev;	    /* of a bio on a stacked device; 0: a request */
	__u32 bytes[PARTS]; /* of each part, as issued */
	__u16 row[PARTS];   /* 0: no such part */
	__u64 held;	    /* see VST_HELD; of a request that waits in a queue */
};
_Static_assert(sizeof(struct vst_inflight_more) == 64, "one cache line");

/*
 * The table, as words: all places, behind them all that is more, behind that a bit for each block of places of which one was
 * ever used. Requests use the same few places again and again, so the agent need not look at the others.
 */
#define VST_INFLIGHT_PLACES (1U << VST_INFLIGHT_BITS)
#define VST_INFLIGHT_BLOCK 64U
#define VST_INFLIGHT_USED_WORDS (VST_INFLIGHT_PLACES / VST_INFLIGHT_BLOCK / 64)
#define VST_INFLIGHT_USED                                                                                              \
	(VST_INFLIGHT_PLACES * (sizeof(struct vst_inflight) + sizeof(struct vst_inflight_more)) / sizeof(__u64))
#define VST_INFLIGHT_WORDS (VST_INFLIGHT_USED + VST_INFLIGHT_USED_WORDS)

/*
 * The row of a request that has waited in a queue for long, decided before it is issued. The time in it says of which I/O
 * that is, so that whoever writes it may be late.
 */
#define VST_HELD(queued_ns, row) ((__u64)(queued_ns) << 16 | (row))
#define VST_HELD_ROW(held, queued_ns) ((__u32)((held) ^ (__u64)(queued_ns) << 16))
#define VST_HELD_FOR 100000000ULL /* ns in a queue before its row is decided */

#endif /* VSTOR_ABI_INFLIGHT_H */
