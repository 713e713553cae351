/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a key to its counters. A key has a row number; a row has a slot for each CPU that completed I/O of it, made when
 * first needed, so that memory follows what is used and no two CPUs write the same line.
 */
#ifndef VST_ROWS_BPF_H
#define VST_ROWS_BPF_H

#include "compat.bpf.h"
#include "maps.bpf.h"
#include "vstor/hist.h"

/*
 * From what a row was decided, so that the next I/O of the same sort need not be: numbers and addresses, which are
 * compared but not followed. Addresses of cgroups are as good as names while no cgroup is made, for only then is one
 * used again: the epoch tells (and each tick, for what is not announced: controllers that are switched on).
 */
struct vst_clues {
	__u64 what;   /* device, op, layer, kind and size */
	__u64 blkcg;  /* whom the bio is charged to, */
	__u64 memcg;  /* whom the page, */
	__u64 task;   /* the task's cgroup or, if known, its owner itself */
	__u64 memory; /* the task's memory controller, or a CLUE_ */
	__u64 hash;   /* of them and the epoch, see below */
};

/*
 * Sums of products with odd constants without a pattern: their upper bits depend on all bits of all clues. Added at
 * once, so that a program that only wants the sum need not keep the clues.
 */
#define CLUES(X)                                                                                                       \
	X(what, 0x9e3779b97f4a7c15ULL)                                                                                 \
	X(blkcg, 0xbf58476d1ce4e5b9ULL)                                                                                \
	X(memcg, 0x94d049bb133111ebULL)                                                                                \
	X(task, 0xd6e8feb86659fd93ULL)                                                                                 \
	X(memory, 0xa0761d6478bd642fULL)

#define X(field, factor)                                                                                               \
	static __always_inline void vst_clue_##field(struct vst_clues *c, __u64 value)                                 \
	{                                                                                                              \
		c->field = value;                                                                                      \
		c->hash += value * factor;                                                                             \
		barrier_var(c->hash);                                                                                  \
	}
CLUES(X)
#undef X

static __always_inline void vst_clues_begin(struct vst_clues *c, __u32 epoch)
{
	__builtin_memset(c, 0, sizeof(*c));
	c->hash = epoch * 0xe7037ed1a0b428dbULL;
}

/*
 * The last decisions of this CPU: 5 ns instead of 100. One word each, so that none is half another's: row number, and
 * above it a hash, of which 51 bits make a mistake less likely than one of the memory.
 */
#define MEMO_BITS 6
#define MEMO_ROW (VST_ROWS - 1ULL)
_Static_assert((VST_ROWS & (VST_ROWS - 1)) == 0 && VST_ROWS <= 1 << 13, "a row number has 13 bits");

struct vst_memo {
	__u64 e[1 << MEMO_BITS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY); /* a per-CPU array is on more pages */
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* CPUs */
	__type(key, __u32);
	__type(value, struct vst_memo);
} vst_memo SEC(".maps");

/* The row that was decided from clues with this hash; 0: not remembered. */
static __always_inline __u32 vst_recall(__u64 hash)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct vst_memo *memo = bpf_map_lookup_elem(&vst_memo, &cpu);
	__u64 e = memo ? memo->e[hash >> (64 - MEMO_BITS)] ^ hash : hash;

	return e <= MEMO_ROW ? e ^ (hash & MEMO_ROW) : 0;
}

static __always_inline void vst_remember(__u64 hash, __u32 row)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct vst_memo *memo = bpf_map_lookup_elem(&vst_memo, &cpu);

	if (memo)
		memo->e[hash >> (64 - MEMO_BITS)] = (hash & ~MEMO_ROW) | row;
}

/*
 * To which share of the table a key's new row is counted. If that has its rows already, *key is changed to the cgroup at
 * the top of the share.
 */
static __always_inline __u32 vst_share_of(const struct vst_state *s, struct vst_key *key)
{
	__u64 packed = key->owner << 2 | key->hier, top = packed, *found;
	__u32 share;

	found = bpf_map_lookup_elem(&vst_shares, &packed);
	if (found)
		top = *found;
	else if (s->shares_full)
		top = 0;
	share = VST_SHARE(top);
	if (top != packed && key->witness && s->share_rows[share] >= VST_SHARE_ROWS(s->rows_used)) {
		key->owner = top ? top >> 2 : VST_OWNER_OVERFLOW;
		key->hier = top & 3;
	}
	return share;
}

/* A new row for a key, or the one that it has. A function: it is rare. */
static __noinline __u32 vst_row_new(const struct vst_key *of)
{
	struct vst_state *s = vst_state_get();
	struct vst_key *slot, key = *of;
	__u32 row = 0, *old, share;

	if (!s)
		return 0;
	share = vst_share_of(s, &key);
	if (key.owner != of->owner) {
		old = bpf_map_lookup_elem(&vst_rows, &key);
		if (old)
			return *old;
	}
	/* one that was taken back, or a new one */
	if (bpf_map_pop_elem(&vst_free_rows, &row) && s->next_row < VST_ROWS)
		row = __sync_fetch_and_add(&s->next_row, 1);
	slot = row && row < VST_ROWS ? bpf_map_lookup_elem(&vst_row_keys, &row) : NULL;
	if (!slot)
		return 0;
	*slot = key;
	if (!bpf_map_update_elem(&vst_rows, &key, &row, BPF_NOEXIST)) {
		s->row_share[row & (VST_ROWS - 1)] = share;
		__sync_fetch_and_add(&s->share_rows[share], 1);
		__sync_fetch_and_add(&s->rows_used, 1);
		return row;
	}
	/* another CPU was first */
	bpf_map_push_elem(&vst_free_rows, &row, BPF_ANY);
	old = bpf_map_lookup_elem(&vst_rows, &key);
	return old ? *old : 0;
}

/* The row number of a key, which is on the stack: 6.1 takes no other memory as a map's key. 0: the table is full. */
static __always_inline __u32 vst_row(const struct vst_key *key)
{
	__u32 *found = bpf_map_lookup_elem(&vst_rows, key);

	return found ? *found : vst_row_new(key);
}

/* A row's slot that is not where it is looked for first. */
struct vst_slot_search {
	__u32 row;
	__u32 cpu;
	__u32 slot; /* 0: not found */
	__u32 take; /* a free one, too */
};

static long vst_slot_look(__u32 n, struct vst_slot_search *search)
{
	__u32 slot = VST_SLOT(vst_state_get()->slot_mask, search->cpu, search->row, n);
	__u32 tag = VST_SLOT_TAG(search->cpu, search->row), was;
	struct vst_counters *c = slot ? bpf_map_lookup_elem(&vst_counters, &slot) : NULL;

	if (!c)
		return 0;
	was = c->tag;
	/* another CPU may be first; an interrupt of this one takes it for the same row */
	if (!was && search->take)
		was = __sync_val_compare_and_swap(&c->tag, 0, tag) ?: tag;
	if (was != tag)
		return 0;
	search->slot = slot;
	return 1;
}

/*
 * What is rare is a global function, here and elsewhere: the verifier looks at it once and not again on every path
 * that leads to it. 0: no slot is free where this row's may be.
 */
__noinline __u32 vst_slot_search(__u32 row)
{
	struct vst_slot_search search = { .row = row, .cpu = bpf_get_smp_processor_id() };
	struct vst_state *s = vst_state_get();
	__u32 slot;

	if (!s || !row)
		return 0;
	bpf_loop(VST_SLOT_TRIES, vst_slot_look, &search, 0);
	if (search.slot)
		return search.slot;
	search.take = 1;
	bpf_loop(VST_SLOT_TRIES, vst_slot_look, &search, 0);
	slot = search.slot;
	if (slot) /* from here on the agent reads it */
		__sync_fetch_and_or(&s->slots_used[slot / 64 / 64 & (VST_SLOTS_MAX / 64 / 64 - 1)],
				    1ULL << (slot / 64 % 64));
	return slot;
}

__noinline int vst_lose(__u32 dev, __u32 cause, __u64 ios, __u64 bytes)
{
	struct vst_loss_key key = { .dev = dev, .cause = cause };
	struct vst_lost zero = {}, *l = bpf_map_lookup_elem(&vst_lost, &key);

	if (!l) {
		bpf_map_update_elem(&vst_lost, &key, &zero, BPF_NOEXIST);
		l = bpf_map_lookup_elem(&vst_lost, &key);
		if (!l)
			return 0;
	}
	__sync_fetch_and_add(&l->ios, ios);
	__sync_fetch_and_add(&l->bytes, bytes);
	return 0;
}

/* This CPU's counters of a row, and their slot; NULL: no room. */
static __always_inline struct vst_counters *vst_counters_of(__u32 row, __u32 *ret_slot)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct vst_counters *c;

	*ret_slot = VST_SLOT(vst_state_get()->slot_mask, cpu, row, 0);
	c = bpf_map_lookup_elem(&vst_counters, ret_slot);
	if (c && c->tag == VST_SLOT_TAG(cpu, row))
		return c;
	*ret_slot = vst_slot_search(row);
	return *ret_slot ? bpf_map_lookup_elem(&vst_counters, ret_slot) : NULL;
}

static __always_inline void vst_time(struct vst_counters *c, struct vst_hists *h, enum vst_time t, __u64 ns,
				     __u32 bucket)
{
	vst_add(&c->time[t].sum_ns, ns);
	if (ns > c->time[t].max_ns)
		c->time[t].max_ns = ns;
	if (bucket < VST_HIST_BUCKETS)
		vst_add(&h->n[bucket][t], 1);
}

/* An I/O that waited queue_ns for the device and took device_ns in it. */
static __always_inline void vst_times(struct vst_counters *c, struct vst_hists *h, __u64 queue_ns, __u64 device_ns)
{
	__u32 bucket = vst_hist_index(device_ns);

	vst_time(c, h, VST_TIME_DEVICE, device_ns, bucket);
	if (!queue_ns) { /* went to the driver directly: most do */
		if (bucket < VST_HIST_BUCKETS)
			vst_add(&h->n[bucket][VST_TIME_LATENCY], 1);
		return;
	}
	vst_time(c, h, VST_TIME_QUEUE, queue_ns, vst_hist_index(queue_ns));
	vst_time(c, h, VST_TIME_LATENCY, queue_ns + device_ns, vst_hist_index(queue_ns + device_ns));
}
#endif /* VST_ROWS_BPF_H */
