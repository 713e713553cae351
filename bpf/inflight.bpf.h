/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known of requests (and of bios, on stacked devices) between submission and completion. A table of sets of
 * four, found by the address: the block layer has a fixed number of requests and uses the same ones again and again,
 * so no hash with locks and allocation is needed. A request keeps its place when it ends, until another one needs it,
 * and so is found again with one look. A set that is full is counted, never evicted silently.
 *
 * What a submission writes is one cache line, and a completion only reads it; what completions write is another one, which no
 * submission reads. They are often on different CPUs, and reading a line that another CPU wrote costs 45 ns
 * (measured: half of the time at issue).
 */
#ifndef VST_INFLIGHT_BPF_H
#define VST_INFLIGHT_BPF_H

#include "compat.bpf.h"
#include "maps.bpf.h"

/* A request holds bios of several rows if it was merged from them; this many are kept apart, the last takes the rest. */
#define PARTS 4

/* Instead of a time */
#define QUEUED 0   /* noted at its insertion, not issued yet */
#define REQUEUED 1 /* given back by the driver */
#define UNUSED 2   /* nothing is known */

/* Sums of I/Os and their bytes in one number, of which only differences are looked at. */
#define ONE_SHIFT 40
#define ONE_IO (1ULL << ONE_SHIFT)

/* Written by submissions. */
struct vst_inflight {
	__u64 addr;	 /* of the request; 0: never used */
	__u64 issued;	 /* sum of all issued so far; in flight while .ended of the same place is not the same */
	__u64 when;	 /* it was issued last, or QUEUED, REQUEUED, UNUSED */
	__u64 queued_ns; /* 0: went to the driver directly */
	union {
		__u64 task; /* vst_task_owner() of who queued it; until it is issued */
		struct {
			__u32 done; /* bytes completed, if there are several parts */
			__u32 dev;  /* of a bio on a stacked device */
		};
	};
	__u32 bytes[PARTS]; /* of each part, as issued */
	__u16 row[PARTS];   /* 0: no such part */
};
_Static_assert(sizeof(struct vst_inflight) == 64, "one cache line");
_Static_assert(VST_ROWS <= 1 << 16, "a row in 16 bits");

#define WAYS 4
struct vst_set {
	struct vst_inflight way[WAYS];
	__u64 ended[WAYS]; /* written by completions: sum of all completed so far */
	__u64 pad[4];
};
_Static_assert(sizeof(struct vst_set) == (1 + WAYS) * 64, "cache lines");

/*
 * The only variable of its section, which the agent shares between the objects that have it. Words and not sets: its
 * type is part of the skeleton. Not static: libbpf asks for memory that begins on a page only if others may
 * see it, else each cache line here would be half of two.
 */
__u64 vst_in_flight[(1 << VST_INFLIGHT_BITS) * sizeof(struct vst_set) / sizeof(__u64)];

static __always_inline struct vst_set *vst_set_at(__u32 i)
{
	return (struct vst_set *)vst_in_flight + i;
}

/*
 * The set of an address, and the way in it that is tried first. Blocks of 16 KiB are spread, what is in one stays
 * together: the requests that are in use at one time are neighbours, and so on one or two pages here. Measured with 16 in
 * flight: spread one by one, two thirds of the time at issue went into waiting for this table.
 */
static __always_inline __u32 vst_set_of(__u64 addr, __u32 *ret_home)
{
	__u32 block = (addr >> 14) * 0x9e3779b97f4a7c15ULL >> (64 - (VST_INFLIGHT_BITS - 5));
	__u64 i;

	*ret_home = addr >> 7 & (WAYS - 1);
	i = (__u64)block << 5 | (addr >> 9 & 31);
	barrier_var(i); /* 6.1 loses the bound of the sum, the compiler knows it */
	return i & ((1 << VST_INFLIGHT_BITS) - 1);
}

static __noinline __u32 vst_way_search(const struct vst_set *set, __u64 addr)
{
#pragma unroll
	for (__u32 way = 0; way < WAYS; way++)
		if (set->way[way].addr == addr)
			return way;
	return WAYS;
}

/* NULL: not there. */
static __always_inline struct vst_set *vst_inflight_find(__u64 addr, __u32 *ret_way)
{
	__u32 i = vst_set_of(addr, ret_way);
	struct vst_set *set = vst_set_at(i);

	if (set->way[*ret_way].addr != addr)
		*ret_way = vst_way_search(set, addr);
	return *ret_way < WAYS ? set : NULL;
}

/* May the place be given to another request? Not if its own waits or is in flight. */
static __always_inline bool vst_way_is_free(const struct vst_set *set, __u32 way)
{
	const struct vst_inflight *in = &set->way[way];

	return !in->addr || (in->issued == set->ended[way] && in->when != QUEUED);
}

/*
 * A place for an address that has none: its home, where it is found at once, if that was never used, else the place that
 * was used last longest ago, so that its request is hardly being issued at this moment. That one would take its place
 * without an atomic operation, and one of the two I/Os be counted in the other's row.
 */
static __noinline __u32 vst_way_take(struct vst_set *set, __u32 home, __u64 addr)
{
	__u64 was = 0, oldest = ~0ULL, age;
	__u32 best = WAYS, way;

#pragma unroll
	for (__u32 i = 0; i < WAYS; i++) {
		way = (home + i) & (WAYS - 1);
		age = set->way[way].addr ? set->way[way].when : 0;
		if (!vst_way_is_free(set, way) || age >= oldest)
			continue;
		oldest = age;
		was = set->way[way].addr;
		best = way;
	}
	if (best >= WAYS || __sync_val_compare_and_swap(&set->way[best].addr, was, addr) != was)
		return WAYS;
	set->way[best].when = UNUSED;
	return best;
}

/*
 * The place of this address, made if need be; NULL: its set is full. Only its own request writes to it, so each address
 * has one place at most and no atomic operation is needed.
 */
static __always_inline struct vst_set *vst_inflight_claim(__u64 addr, __u32 *ret_way)
{
	__u32 home, i = vst_set_of(addr, &home);
	struct vst_set *set = vst_set_at(i);

	*ret_way = home;
	if (set->way[home].addr == addr)
		return set;
	*ret_way = vst_way_search(set, addr);
	if (*ret_way >= WAYS)
		*ret_way = vst_way_take(set, home, addr);
	return *ret_way < WAYS ? set : NULL;
}

/* All bytes of what was issued last. */
static __always_inline __u64 vst_inflight_bytes(const struct vst_inflight *in)
{
	__u64 bytes = in->bytes[0];

#pragma unroll
	for (int i = 1; i < PARTS && in->row[i]; i++)
		bytes += in->bytes[i];
	return bytes;
}

/*
 * From now on it is in flight. The time first: the sweep looks at what is in flight, and when it began. Who calls reads the
 * clock before anything else: it waits for all loads before it, and what follows need not wait for those that miss.
 */
static __always_inline void vst_inflight_begin(struct vst_inflight *in, __u64 now)
{
	in->when = now;
	barrier();
	in->issued += ONE_IO + vst_inflight_bytes(in);
}
#endif /* VST_INFLIGHT_BPF_H */
