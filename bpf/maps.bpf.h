/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps. Every probe names them; the agent lets all probes share the first one's. Sizes here are for a host of
 * 1,000 containers; the agent sets those that depend on the number of CPUs.
 */
#ifndef VST_MAPS_BPF_H
#define VST_MAPS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "vstor/abi.h"
#include "vstor/abi_insight.h"

/*
 * What probes and agent share. A variable and not an element of a map, like the table of requests in flight: its address
 * is in the program, and no key has to be stored, loaded and compared (measured: 5 ns each time).
 */
struct vst_state vst_state SEC(".data.state") = { .slot_mask = VST_SLOTS_MIN - 1 };

/* key -> row number */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, VST_ROWS);
	__type(key, struct vst_key);
	__type(value, __u32);
} vst_rows SEC(".maps");

/* row number -> key, for the agent */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, VST_ROWS);
	__type(key, __u32);
	__type(value, struct vst_key);
} vst_row_keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, VST_SLOTS_MIN);
	__type(key, __u32);
	__type(value, struct vst_counters);
} vst_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VST_SLOTS_MIN);
	__type(key, __u32);
	__type(value, struct vst_hists);
} vst_hists SEC(".maps");

/* Numbers that the agent took back, to be given out again. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, VST_ROWS);
	__uint(value_size, sizeof(__u32));
} vst_free_rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct vst_loss_key);
	__type(value, struct vst_lost);
} vst_lost SEC(".maps");

/*
 * cgroup -> the one at the top of its share of the rows, both packed. The agent enters containers, what they make inside
 * themselves is entered as it is made, before anybody can do I/O in it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, 1); /* BPF_F_NO_PREALLOC */
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u64);
} vst_shares SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << VST_MARK_BITS);
	__type(key, __u32);
	__type(value, struct vst_mark);
} vst_marks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} vst_events SEC(".maps");

static __always_inline struct vst_state *vst_state_get(void)
{
	return &vst_state;
}

/* Is this the mapping of a file that several cgroups wrote to? A hash says so: sometimes of a file of which it is not true. */
static __always_inline __u32 vst_shared_bit(__u64 mapping)
{
	return (mapping * 0x9e3779b97f4a7c15ULL) >> (64 - VST_SHARED_BITS);
}

static __always_inline bool vst_is_shared(const struct vst_state *s, __u64 mapping)
{
	__u32 bit = vst_shared_bit(mapping);

	return (s->shared[0][bit / 64] | s->shared[1][bit / 64]) >> (bit % 64) & 1;
}

static __always_inline void vst_set_shared(struct vst_state *s, __u64 mapping)
{
	__u32 bit = vst_shared_bit(mapping);
	__u64 *word = &s->shared[s->turn & 1][bit / 64], mask = 1ULL << (bit % 64);

	if (!(*word & mask)) /* else the line would go from CPU to CPU with each page */
		__sync_fetch_and_or(word, mask);
}
#endif /* VST_MAPS_BPF_H */
