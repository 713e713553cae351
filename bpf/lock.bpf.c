// SPDX-License-Identifier: GPL-2.0-only
/* Who waits for which lock, how long, and whom for. Both tracepoints fire only when somebody really waits. */
#include "lock_holder.bpf.h"
#include "vstor/hist.h"

char LICENSE[] SEC("license") = "GPL";

/* include/trace/events/lock.h: constants of the tracepoint since it is there (5.19) */
#define LCB_F_SPIN (1U << 0)
#define LCB_F_READ (1U << 1)
#define LCB_F_WRITE (1U << 2)
#define LCB_F_RT (1U << 3)
#define LCB_F_PERCPU (1U << 4)
#define LCB_F_MUTEX (1U << 5)

#define SPINNING 4ULL /* in the tag of a wait that spins */

static __always_inline __u8 type_of(__u32 flags)
{
	if (flags & LCB_F_MUTEX)
		return VST_LOCK_MUTEX;
	if (flags & LCB_F_PERCPU)
		return VST_LOCK_PERCPU_RWSEM;
	if (flags & LCB_F_RT)
		return VST_LOCK_RTMUTEX;
	if (flags & LCB_F_SPIN)
		return flags & (LCB_F_READ | LCB_F_WRITE) ? VST_LOCK_RWLOCK : VST_LOCK_SPINLOCK;
	return flags & (LCB_F_READ | LCB_F_WRITE) ? VST_LOCK_RWSEM : VST_LOCK_SEMAPHORE;
}

static __always_inline struct vst_lock_wait_set *wait_set(__u64 task, __u64 lock, __u64 *ret_tag)
{
	__u64 hash = vst_lock_mix(task, lock);
	__u32 place = hash >> (64 - WAIT_BITS);

	*ret_tag = vst_lock_tag(hash);
	return bpf_map_lookup_elem(&vst_lock_waits, &place);
}

/* The way of a wait, a new one if it is not there; WAIT_WAYS: there is no room. */
static __always_inline __u32 wait_way(struct vst_lock_wait_set *set, __u64 tag, bool *ret_new)
{
	__u32 i;

	*ret_new = false;
	for (i = 0; i < WAIT_WAYS; i++)
		if (set->tag[i] == tag)
			return i;
	*ret_new = true;
	for (i = 0; i < WAIT_WAYS; i++)
		if (!set->tag[i] && !__sync_val_compare_and_swap(&set->tag[i], 0, tag))
			break;
	return i;
}

/* Goes from spinning to sleeping, or was woken and spins again: still the same wait, but maybe for another. */
__noinline int vst_lock_wait_on(struct vst_lock_wait *w)
{
	if (!w)
		return 0;
	vst_lock_settle(w, bpf_ktime_get_ns());
	return vst_lock_ask(w);
}

SEC("tp_btf/contention_begin")
int BPF_PROG(vst_lock_begin, void *lock, unsigned int flags)
{
	__u64 task = bpf_get_current_task(), addr = (__u64)lock, tag;
	struct vst_lock_wait_set *set;
	struct vst_lock_wait *w;
	__u8 type = type_of(flags);
	bool spins = type == VST_LOCK_SPINLOCK || type == VST_LOCK_RWLOCK, is_new;
	__u32 way;

	set = wait_set(task, addr, &tag);
	if (!set)
		return 0;
	tag ^= spins ? SPINNING : 0;
	way = wait_way(set, tag, &is_new);
	if (way == WAIT_WAYS)
		return vst_lock_lose(VST_LOCK_LOSS_NO_WAIT, 0);
	w = &set->e[way];
	if (!is_new && type == VST_LOCK_MUTEX)
		return vst_lock_wait_on(w);
	if (!is_new) /* this wait is: the end of the one before was not shown to us */
		vst_lock_lose(VST_LOCK_LOSS_NO_END, 0);
	w->lock = addr | spins;
	w->type = type;
	w->waiter = vst_lock_task_owner(task);
	w->class = vst_lock_class(ctx, addr, spins, w->start_ns); /* still that of another wait */
	if (!w->class)
		vst_lock_lose(VST_LOCK_LOSS_NO_CLASS, 0);
	if (type == VST_LOCK_MUTEX || type == VST_LOCK_RWSEM) {
		vst_lock_ask(w);
	} else {
		w->holder = VST_LOCK_NOBODY;
		w->evidence = VST_LOCK_EVIDENCE_NONE;
	}
	w->start_ns = w->since_ns = bpf_ktime_get_ns(); /* our own time is not waited */
	return 0;
}

/* The place of a row of this CPU; VST_LOCK_ROWS: there is no room. */
static __always_inline __u32 row_of(__u64 owner, __u64 what)
{
	__u64 hash = vst_lock_mix(owner, what), tag = vst_lock_tag(hash);
	__u32 place = hash >> (64 - VST_LOCK_ROW_BITS), way;
	struct vst_lock_tags *set = bpf_map_lookup_elem(&vst_lock_rtags, &place);

	if (!set)
		return VST_LOCK_ROWS;
	way = vst_lock_way(set->tag, tag);
	if (way == VST_LOCK_WAYS)
		way = vst_lock_way_take(set->tag, tag);
	return way < VST_LOCK_WAYS ? place * VST_LOCK_WAYS + way : VST_LOCK_ROWS;
}

static __always_inline void count(const struct vst_lock_wait *w, __u64 ns)
{
	__u64 what = VST_LOCK_WHAT(w->class, w->type, bpf_get_smp_processor_id() << 2);
	__u32 place = row_of(w->waiter, what), bucket = vst_hist_index(ns);
	struct vst_lock_counters *c = bpf_map_lookup_elem(&vst_lock_rows, &place);
	struct vst_lock_hist *h = bpf_map_lookup_elem(&vst_lock_hists, &place);

	if (!c || !h) {
		vst_lock_lose(VST_LOCK_LOSS_NO_ROW, ns);
		return;
	}
	if (!c->what) {
		c->owner = w->waiter;
		barrier();
		c->what = what;
	}
	vst_add(&c->waits, 1);
	vst_add(&c->total_ns, ns);
	if (ns > c->max_ns)
		c->max_ns = ns;
	if (ns > c->object_ns) {
		c->object_ns = ns;
		c->object = w->lock & ~SPINS;
		vst_lock_object_note(w->lock & ~SPINS, w->class);
	}
	if (bucket < VST_HIST_BUCKETS)
		vst_add(&h->n[bucket], 1);
}

SEC("tp_btf/contention_end")
int BPF_PROG(vst_lock_end, void *lock, int ret)
{
	__u64 now = bpf_ktime_get_ns(); /* our own time is not waited */
	__u64 task = bpf_get_current_task(), addr = (__u64)lock, tag;
	struct vst_lock_turns_set *places;
	struct vst_lock_wait_set *set;
	struct vst_lock_turns *turns;
	struct vst_lock_wait *w;
	__u32 way;

	set = wait_set(task, addr, &tag);
	places = vst_lock_turns_set(addr);
	if (!set || !places)
		return 0;
	for (way = 0; way < WAIT_WAYS; way++) /* the inner of two waits of one address is the one that spins */
		if (set->tag[way] == (tag ^ SPINNING))
			break;
	if (way == WAIT_WAYS)
		for (way = 0; way < WAIT_WAYS; way++)
			if (set->tag[way] == tag)
				break;
	if (way == WAIT_WAYS) /* began before we were attached, or is counted as lost */
		return 0;
	w = &set->e[way];
	turns = vst_lock_turns_find(places,
				    w->lock); /* a line that comes from another CPU: asked for before it is needed */
	count(w, now - w->start_ns);
	if (!vst_lock_settle_at_once(w, turns, now))
		vst_lock_settle(w, now);
	if (!ret)
		vst_lock_turn(turns, w->lock, w->waiter, now);
	barrier();
	set->tag[way] = 0;
	return 0;
}
