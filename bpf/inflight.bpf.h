/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known of requests (and of bios, on stacked devices) between submission and completion. A table of sets of
 * four, found by the address: the block layer has a fixed number of requests and uses the same ones again and again,
 * so no hash with locks and allocation is needed. A request keeps its place when it ends, until another one needs it,
 * and so is found again with one look. A set that is full is counted, never evicted silently.
 */
#ifndef VST_INFLIGHT_BPF_H
#define VST_INFLIGHT_BPF_H

#include "compat.bpf.h"
#include "maps.bpf.h"

/* A request holds bios of several rows if it was merged from them; this many are kept apart, the last takes the rest. */
#define PARTS 4
#define REQUEUED 1 /* in .issued_ns */

struct vst_part {
	__u32 row;
	__u32 bytes; /* not completed yet */
};

struct vst_inflight {
	__u64 addr;	 /* address | IN_FLIGHT; without that bit it has ended; 0: never used */
	__u64 queued_ns; /* 0: went to the driver directly */
	__u64 issued_ns; /* 0: not yet */
	union {
		__u64 task; /* of a request: vst_task_owner() of who queued it */
		struct {    /* of a bio on a stacked device */
			__u32 dev;
			__u32 bytes;
		};
	};
	struct vst_part part[PARTS];
};
_Static_assert(sizeof(struct vst_inflight) == 64, "one cache line");

#define IN_FLIGHT 1ULL /* addresses are multiples of 8 */
#define WAYS 4
struct vst_set {
	struct vst_inflight way[WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << VST_INFLIGHT_BITS);
	__type(key, __u32);
	__type(value, struct vst_set);
} vst_in_flight SEC(".maps");

/* The set of an address, and the way in it that is tried first. */
static __always_inline struct vst_set *vst_set_of(__u64 addr, __u32 *ret_home)
{
	__u64 h = addr * 0x9e3779b97f4a7c15ULL;
	__u32 i = h >> (64 - VST_INFLIGHT_BITS);

	*ret_home = (h >> (62 - VST_INFLIGHT_BITS)) & (WAYS - 1);
	return bpf_map_lookup_elem(&vst_in_flight, &i);
}

static __always_inline struct vst_inflight *vst_inflight_find(__u64 addr)
{
	__u32 home;
	struct vst_set *set = vst_set_of(addr, &home);

	if (!set)
		return NULL;
	if (set->way[home].addr == (addr | IN_FLIGHT))
		return &set->way[home];
#pragma unroll
	for (int i = 0; i < WAYS; i++)
		if (set->way[i].addr == (addr | IN_FLIGHT))
			return &set->way[i];
	return NULL;
}

/*
 * The first time, or its home is another's: anywhere in the set. The place that was used last longest ago, so that its
 * request is hardly being issued at this moment: that one takes its home without an atomic operation, and one of the
 * two I/Os would be counted in the other's row.
 */
static __noinline struct vst_inflight *vst_inflight_settle(struct vst_set *set, __u64 addr)
{
	struct vst_inflight *in, *best = NULL;
	__u64 was = 0;

#pragma unroll
	for (int i = 0; i < WAYS; i++) {
		in = &set->way[i];
		if ((in->addr & ~IN_FLIGHT) == addr)
			return in;
		if (!(in->addr & IN_FLIGHT) && (!best || in->issued_ns < best->issued_ns)) {
			best = in;
			was = in->addr;
		}
	}
	if (!best || __sync_val_compare_and_swap(&best->addr, was, addr) != was)
		return NULL;
	return best;
}

/*
 * The entry of this address, made if need be; NULL: its set is full. *ret_fresh: it was not in flight, and is empty now.
 * An entry of a request whose end was missed stays until that request is used again, so each address has one entry
 * at most. Only its request writes to an entry, so no atomic operation is needed, which would wait for a cache line
 * that the CPU of the last completion has.
 */
static __always_inline struct vst_inflight *vst_inflight_claim(__u64 addr, bool *ret_fresh)
{
	__u32 home;
	struct vst_set *set = vst_set_of(addr, &home);
	struct vst_inflight *in;

	*ret_fresh = false;
	if (!set)
		return NULL;
	in = &set->way[home];
	if ((in->addr & ~IN_FLIGHT) != addr) {
		in = vst_inflight_settle(set, addr);
		if (!in)
			return NULL;
	}
	if (in->addr & IN_FLIGHT)
		return in;
	in->queued_ns = 0;
	in->issued_ns = 0;
	barrier(); /* the sweep looks at what is in flight */
	*(volatile __u64 *)&in->addr = addr | IN_FLIGHT;
	*ret_fresh = true;
	return in;
}

static __always_inline void vst_inflight_free(struct vst_inflight *in)
{
	*(volatile __u64 *)&in->addr = in->addr & ~IN_FLIGHT;
}
#endif /* VST_INFLIGHT_BPF_H */
