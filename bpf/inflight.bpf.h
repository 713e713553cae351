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
#include "vstor/abi_inflight.h"

#define WAYS 8 /* places of a set: two lines */
#define PLACES VST_INFLIGHT_PLACES
#define NOWHERE PLACES

/*
 * See vstor/abi_inflight.h. The only variable of its section, which the agent shares between the objects that have it. Words
 * and not structures, because its type is part of the skeleton. Not static: libbpf asks for memory that begins on a page only if
 * others may see the variable, else each cache line here would be half of two.
 */
__u64 vst_in_flight[VST_INFLIGHT_WORDS];

/* at: a place, below PLACES */
static __always_inline struct vst_inflight *vst_in(__u32 at)
{
	return (struct vst_inflight *)vst_in_flight + at;
}

static __always_inline struct vst_inflight_more *vst_more(__u32 at)
{
	return (struct vst_inflight_more *)((struct vst_inflight *)vst_in_flight + PLACES) + at;
}

/* From now on the agent looks at this place. */
static __always_inline void vst_place_used(__u32 at)
{
	__u64 *word = vst_in_flight + VST_INFLIGHT_USED + at / VST_INFLIGHT_BLOCK / 64 % VST_INFLIGHT_USED_WORDS;
	__u64 bit = 1ULL << (at / VST_INFLIGHT_BLOCK % 64);

	if (!(*word & bit))
		__sync_fetch_and_or(word, bit);
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
	vst_place_used(best);
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
