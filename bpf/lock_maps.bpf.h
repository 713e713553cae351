/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tables of the lock probe: arrays of sets, see vstor/abi_locks.h. The probe runs wherever a lock is waited for, under other
 * locks and in interrupts, so nothing here takes a lock or asks for memory. It also runs seldom on each CPU and finds
 * its lines cold: fewer of them matter more than instructions. A set that is full is counted, nothing is evicted.
 */
#ifndef VST_LOCK_MAPS_BPF_H
#define VST_LOCK_MAPS_BPF_H

#include "compat.bpf.h"
#include "vstor/abi_locks.h"

/*
 * Whoever spins stays on its CPU, and is interrupted there at most by another who waits for another lock: a place for each
 * CPU and hash of an address. In the unlikely case that two of them need the same one, the first is lost.
 */
#define SPIN_BITS 3
#define CPUS 1024 /* of more, two have one place: a wait of one of them may be lost */
struct vst_lock_spins {
	struct vst_lock_wait e[1 << SPIN_BITS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vst_lock_state);
} vst_lock_state SEC(".maps");

/*
 * The class of a lock, by its address. One word: the hash, whose highest bits are the place, then says which address it
 * is, and as many freed bits are the class. Nothing can be torn.
 */
#define MEMO_BITS 11
_Static_assert(VST_LOCK_CLASSES <= 1 << MEMO_BITS, "a class fits into the bits that the place frees");

/*
 * One element, so that a program looks it up once. Not a variable, because all of it would be the agent's memory: the agent maps
 * the first parts, and the larger ones only while it reads them.
 */
struct vst_lock_own {
	struct vst_lock_open open;
	struct vst_lock_spins spins[CPUS];
	__u64 memo[1 << MEMO_BITS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* begins on a page */
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vst_lock_own);
} vst_lock_own SEC(".maps");

/* By place, for the agent too. */
struct vst_lock_counters vst_lock_rows[VST_LOCK_ROWS] __attribute__((aligned(64)));
struct vst_lock_pair vst_lock_pairs[VST_LOCK_PAIRS] __attribute__((aligned(64)));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VST_LOCK_ROWS);
	__type(key, __u32);
	__type(value, struct vst_lock_hist);
} vst_lock_hists SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << VST_LOCK_CLASS_BITS);
	__type(key, __u32);
	__type(value, struct vst_lock_tags);
} vst_lock_ctags SEC(".maps");

/* class -> what is known of it */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VST_LOCK_CLASSES);
	__type(key, __u32);
	__type(value, struct vst_lock_class);
} vst_lock_classes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << VST_LOCK_ROW_BITS);
	__type(key, __u32);
	__type(value, struct vst_lock_tags);
} vst_lock_rtags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << VST_LOCK_PAIR_BITS);
	__type(key, __u32);
	__type(value, struct vst_lock_tags);
} vst_lock_ptags SEC(".maps");

/* class -> where its object is */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, VST_LOCK_CLASSES);
	__type(key, __u32);
	__type(value, struct vst_lock_route);
} vst_lock_routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << VST_LOCK_OBJECT_BITS);
	__type(key, __u32);
	__type(value, struct vst_lock_object);
} vst_lock_objects SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << VST_LOCK_STACK_BITS);
	__type(key, __u32);
	__type(value, struct vst_lock_holder_stack);
} vst_lock_hstacks SEC(".maps");

/* The tag of a key, by its hash. */
static __always_inline __u64 vst_lock_tag(__u64 hash)
{
	return (hash | VST_LOCK_TAKEN) & ~VST_LOCK_OPAQUE;
}

/* The way of a tag in its set; VST_LOCK_WAYS: it is not there. */
static __always_inline __u32 vst_lock_way(const __u64 *tags, __u64 tag)
{
	__u32 i;

	for (i = 0; i < VST_LOCK_WAYS; i++)
		if (tags[i] == tag)
			break;
	return i;
}

/* Takes a free way for a tag, or the one that another CPU has just taken for it; VST_LOCK_WAYS: there is no room. */
static __always_inline __u32 vst_lock_way_take(__u64 *tags, __u64 tag)
{
	__u64 was;
	__u32 i;

	for (i = 0; i < VST_LOCK_WAYS; i++) {
		was = tags[i] ?: __sync_val_compare_and_swap(&tags[i], 0, tag);
		if (!was || was == tag)
			break;
	}
	return i;
}

static __always_inline struct vst_lock_own *vst_lock_own_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&vst_lock_own, &zero);
}

static __always_inline struct vst_lock_state *vst_lock_state_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&vst_lock_state, &zero);
}

__noinline int vst_lock_lose(__u32 cause, __u64 ns)
{
	struct vst_lock_state *s = vst_lock_state_get();

	if (s && cause < VST_LOCK_LOSS__N) {
		__sync_fetch_and_add(&s->lost[cause].waits, 1);
		__sync_fetch_and_add(&s->lost[cause].ns, ns);
	}
	return 0;
}
#endif /* VST_LOCK_MAPS_BPF_H */
