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

/* The address of a semaphore is that of the spinlock that guards it, hence a bit. */
#define SPINS 1ULL

/* While a place changes, an interrupt on its CPU that waits for a lock of the same place leaves it alone. */
#define WAIT_FREE 0
#define WAIT_CHANGES 1
#define WAIT_IS 2

/*
 * A wait under way. Row, pairs and turns are where those of the last wait in this place were: mostly they
 * are the same again, and what stands there tells.
 */
struct vst_lock_wait {
	__u64 lock; /* | SPINS */
	__u64 start_ns;
	__u64 since_ns; /* up to here it is known whom for */
	__u64 waiter;
	__u64 holder;
	__u64 what; /* of the row, without its CPU */
	__u16 row;
	__u16 pair[2]; /* of the time up to the last turn, and since */
	__u16 turns;
	__u8 evidence;
	__u8 state; /* WAIT_ */
	__u8 moves; /* the lock went from one owner to another in the last wait in this place */
	__u8 pad[5];
};
_Static_assert(sizeof(struct vst_lock_wait) == 64, "a line of the cache");
_Static_assert(VST_LOCK_ROWS <= 1 << 16 && VST_LOCK_PAIRS <= 1 << 16, "a place fits into 16 bits");

/*
 * Whoever spins stays on its CPU, and is interrupted there at most by another who waits for another lock: a place for each
 * CPU and hash of an address. In the unlikely case that two of them need the same one, the first is lost.
 */
#define SPIN_BITS 3
#define CPUS 1024 /* of more, two have one place: a wait of one of them may be lost */
struct vst_lock_spins {
	struct vst_lock_wait e[1 << SPIN_BITS];
};

/*
 * Who sleeps goes to another CPU. A thread waits for one lock, and within that for another: so the two are a key, whatever
 * the order in which they come and go.
 */
#define WAIT_WAYS 4
#define WAIT_BITS 12
struct vst_lock_wait_set {
	__u64 tag[WAIT_WAYS];
	__u64 pad[4]; /* a wait is one line */
	struct vst_lock_wait e[WAIT_WAYS];
};

/*
 * Who got a lock after waiting for it, and when: its holders, as far as anything tells. The last two are in the line that
 * finds the place, for mostly only they are asked for, and the line goes from CPU to CPU with the lock. The ones before
 * are behind it; the oldest are overwritten.
 */
#define TURNS 16
struct vst_lock_turns {
	__u64 lock; /* | SPINS */
	__u64 ns;
	__u64 owner;
	struct vst_lock_turn {
		__u64 ns;
		__u64 owner;
	} last; /* the one before */
	__u32 first,
		next; /* turns before that one since the place was given to this lock; only the last TURNS + 1 are there */
	__u64 asked; /* says nothing, see vst_lock_turns_ask() */
	__u64 pad;
	struct vst_lock_turn before[TURNS];
};

#define TURNS_WAYS 2
#define TURNS_BITS 10

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

/* What nobody else needs: one element, so that a program looks it up once. Not a variable, which would be the agent's memory, too. */
struct vst_lock_own {
	struct vst_lock_spins spins[CPUS];
	struct vst_lock_wait_set waits[1 << WAIT_BITS];
	struct vst_lock_turns turns[1 << TURNS_BITS];
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
