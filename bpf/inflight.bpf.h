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

/* Returns what .addr was; the entry is now this address's, and empty, if it was as expected. */
static __always_inline __u64 vst_inflight_take(struct vst_inflight *in, __u64 expected, __u64 addr)
{
	__u64 was = __sync_val_compare_and_swap(&in->addr, expected, addr | IN_FLIGHT);

	if (was == expected) {
		in->queued_ns = 0;
		in->issued_ns = 0;
	}
	return was;
}

/* The first time, or its home is another's: anywhere in the set. */
static __always_inline struct vst_inflight *vst_inflight_settle(struct vst_set *set, __u32 home, __u64 addr)
{
	__u64 was;

#pragma unroll
	for (int i = 0; i < WAYS; i++)
		if (set->way[i].addr == (addr | IN_FLIGHT))
			return &set->way[i];
#pragma unroll
	for (int i = 0; i < WAYS; i++) {
		struct vst_inflight *in = &set->way[(home + i) & (WAYS - 1)];

		was = in->addr;
		if (!(was & IN_FLIGHT) && vst_inflight_take(in, was, addr) == was)
			return in;
	}
	return NULL;
}

/*
 * The entry of this address, made if need be (then it is empty but for .addr); NULL: its set is full. An entry of a
 * request whose end was missed stays until that request is used again, so each address has one entry at most.
 */
static __always_inline struct vst_inflight *vst_inflight_claim(__u64 addr)
{
	__u32 home;
	struct vst_set *set = vst_set_of(addr, &home);
	struct vst_inflight *in;
	__u64 was;

	if (!set)
		return NULL;
	in = &set->way[home];
	was = vst_inflight_take(in, addr, addr);
	if (was == addr || was == (addr | IN_FLIGHT))
		return in;
	return vst_inflight_settle(set, home, addr);
}

static __always_inline void vst_inflight_free(struct vst_inflight *in)
{
	*(volatile __u64 *)&in->addr = in->addr & ~IN_FLIGHT;
}
#endif /* VST_INFLIGHT_BPF_H */
