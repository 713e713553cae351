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

/* The place of a wait that spins. */
static __always_inline struct vst_lock_wait *spin_of(struct vst_lock_own *own, __u64 lock)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return &own->spins[cpu % CPUS].e[vst_lock_hash(lock) >> (64 - SPIN_BITS)];
}

/* The way of a wait that sleeps, a new one if it is not there; VST_LOCK_WAIT_WAYS: there is no room. */
static __always_inline __u32 wait_way(__u64 *tags, __u64 tag, bool *ret_new)
{
	__u32 i;

	*ret_new = false;
	for (i = 0; i < VST_LOCK_WAIT_WAYS; i++)
		if (tags[i] == tag)
			return i;
	*ret_new = true;
	for (i = 0; i < VST_LOCK_WAIT_WAYS; i++)
		if (!tags[i] && !__sync_val_compare_and_swap(&tags[i], 0, tag))
			break;
	return i;
}

/* The set that a wait is in. */
static __always_inline __u32 wait_set(const struct task_struct *task, __u64 lock, __u64 *ret_tag)
{
	__u64 hash = vst_lock_mix(vst_address(task), lock);

	*ret_tag = vst_lock_tag(hash);
	return hash >> (64 - VST_LOCK_WAIT_BITS);
}

/* Goes from spinning to sleeping, or was woken and spins again: still the same wait, but maybe for another. */
__noinline int vst_lock_wait_on(struct vst_lock_wait *w)
{
	if (!w)
		return 0;
	vst_lock_settle(w, bpf_ktime_get_ns());
	return vst_lock_ask(w);
}

/* Which lock it is; mostly the one of the last wait in this place. */
static __always_inline void what_is(void *ctx, struct vst_lock_own *own, struct vst_lock_wait *w, __u64 lock, __u8 type)
{
	__u64 random = w->start_ns; /* still that of the last wait */
	__u32 class;

	if (w->lock == lock && VST_LOCK_WHAT_TYPE(w->what) == type && random % SAMPLE)
		return;
	class = vst_lock_class(ctx, own, lock & ~VST_LOCK_SPINS, type, random);
	w->lock = lock;
	w->what = VST_LOCK_WHAT(class, type, 0);
}

/* The clock comes last: our own time is not waited. */
static __always_inline int begin(void *ctx, struct vst_lock_own *own, struct vst_lock_wait *w, __u64 lock, __u8 type)
{
	if (w->state !=
	    VST_LOCK_WAIT_FREE) { /* the end of that wait was not shown to us, or of this one will not be counted */
		vst_lock_lose(VST_LOCK_LOSS_NO_END, 0);
		if (w->state == VST_LOCK_WAIT_CHANGES)
			return 0;
	}
	w->state = VST_LOCK_WAIT_CHANGES;
	barrier();
	what_is(ctx, own, w, lock, type);
	if (!VST_LOCK_WHAT_CLASS(w->what))
		vst_lock_lose(VST_LOCK_LOSS_NO_CLASS, 0);
	if (type == VST_LOCK_MUTEX || type == VST_LOCK_RWSEM) {
		vst_lock_ask(w);
	} else {
		w->holder = VST_LOCK_NOBODY;
		w->evidence = VST_LOCK_EVIDENCE_NONE;
	}
	if (type ==
	    VST_LOCK_PERCPU_RWSEM) /* hardly ever waited for, but by who finds a file system frozen, and then for long */
		vst_lock_object_note(lock, VST_LOCK_WHAT_CLASS(w->what));
	w->start_ns = w->since_ns = bpf_ktime_get_ns();
	barrier();
	w->state = VST_LOCK_WAIT_IS;
	vst_lock_turns_ask(own, w);
	return 0;
}

static __always_inline int begin_asleep(void *ctx, struct vst_lock_own *own, __u64 lock, __u8 type)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct vst_lock_wait *w;
	bool is_new;
	__u64 tag;
	__u32 set, way;

	set = wait_set(task, lock, &tag);
	way = wait_way(own->open.tag[set], tag, &is_new);
	if (way == VST_LOCK_WAIT_WAYS)
		return vst_lock_lose(VST_LOCK_LOSS_NO_WAIT, 0);
	w = &own->open.wait[set][way];
	if (!is_new && type == VST_LOCK_MUTEX)
		return vst_lock_wait_on(w);
	w->waiter = vst_task_owner(vst_state_get());
	w->pid = task->pid;
	return begin(ctx, own, w, lock, type);
}

SEC("tp_btf/contention_begin")
int BPF_PROG(vst_lock_begin, void *lock, unsigned int flags)
{
	struct vst_lock_own *own = vst_lock_own_get();
	__u8 type = type_of(flags);

	if (!own)
		return 0;
	if (type != VST_LOCK_SPINLOCK && type != VST_LOCK_RWLOCK)
		return begin_asleep(ctx, own, (__u64)lock, type);
	return begin(ctx, own, spin_of(own, (__u64)lock), (__u64)lock | VST_LOCK_SPINS, type);
}

static __always_inline struct vst_lock_counters *row_at(__u32 place)
{
	barrier_var(place); /* the compiler knows how large it may be, the verifier does not */
	return &vst_lock_rows[place & (VST_LOCK_ROWS - 1)];
}

/* The place of a row of this CPU, a new one if there is none; VST_LOCK_ROWS: there is no room. */
__noinline __u32 vst_lock_row_find(__u64 owner, __u64 what)
{
	__u64 hash = vst_lock_mix(owner, what), tag = vst_lock_tag(hash);
	__u32 place = hash >> (64 - VST_LOCK_ROW_BITS), way;
	struct vst_lock_tags *set = bpf_map_lookup_elem(&vst_lock_rtags, &place);
	struct vst_lock_counters *c;

	if (!set)
		return VST_LOCK_ROWS;
	way = vst_lock_way(set->tag, tag);
	if (way == VST_LOCK_WAYS)
		way = vst_lock_way_take(set->tag, tag);
	if (way == VST_LOCK_WAYS)
		return VST_LOCK_ROWS;
	place = place * VST_LOCK_WAYS + way;
	c = row_at(place);
	if (!c->what) {
		c->owner = owner;
		barrier();
		c->what = what;
	}
	return place;
}

static __always_inline void count(struct vst_lock_wait *w, __u64 ns)
{
	__u64 what = w->what | bpf_get_smp_processor_id() << 2;
	__u32 place = w->row, bucket = vst_hist_index(ns);
	struct vst_lock_counters *c = row_at(place);
	struct vst_lock_hist *h;

	if (c->what != what || c->owner != w->waiter) {
		place = vst_lock_row_find(w->waiter, what);
		if (place >= VST_LOCK_ROWS) {
			vst_lock_lose(VST_LOCK_LOSS_NO_ROW, ns);
			return;
		}
		w->row = place;
		c = row_at(place);
	}
	vst_add(&c->total_ns, ns);
	if (ns > c->max_ns)
		c->max_ns = ns;
	if (ns > c->object_ns) {
		c->object_ns = ns;
		c->object = w->lock & ~VST_LOCK_SPINS;
		vst_lock_object_note(w->lock & ~VST_LOCK_SPINS, VST_LOCK_WHAT_CLASS(w->what));
	}
	h = bpf_map_lookup_elem(&vst_lock_hists, &place);
	if (h && bucket < VST_HIST_BUCKETS)
		vst_add(&h->n[bucket], 1);
	barrier();
	vst_add(&c->waits, 1); /* last: by it the agent sees that the rest changed */
}

SEC("tp_btf/contention_end")
int BPF_PROG(vst_lock_end, void *lock, int ret)
{
	__u64 now = bpf_ktime_get_ns(); /* first: our own time is not waited */
	struct vst_lock_own *own = vst_lock_own_get();
	struct vst_lock_turns *turns;
	__u64 *asleep = NULL, tag;
	struct vst_lock_wait *w;
	__u32 set, way;

	if (!own)
		return 0;
	w = spin_of(own, (__u64)lock);
	if (w->state == VST_LOCK_WAIT_IS &&
	    w->lock == ((__u64)lock | VST_LOCK_SPINS)) { /* of two waits for one address the inner one spins */
		w->waiter = vst_task_owner(vst_state_get());
	} else {
		set = wait_set(bpf_get_current_task_btf(), (__u64)lock, &tag);
		for (way = 0; way < VST_LOCK_WAIT_WAYS; way++)
			if (own->open.tag[set][way] == tag)
				break;
		if (way == VST_LOCK_WAIT_WAYS) /* began before we were attached, or is counted as lost */
			return 0;
		w = &own->open.wait[set][way];
		asleep = &own->open.tag[set][way];
	}
	w->state = VST_LOCK_WAIT_CHANGES;
	barrier();
	turns = vst_lock_turns_of(own, w); /* its line comes from another CPU: asked for before it is needed */
	count(w, now - w->start_ns);
	if (!vst_lock_settle_at_once(w, turns, now))
		vst_lock_settle(w, now);
	if (!ret)
		vst_lock_turn(w, turns, now);
	barrier();
	w->state = VST_LOCK_WAIT_FREE;
	if (asleep)
		*asleep = 0;
	return 0;
}

/*
 * Which object is it whose lock somebody waits for, and has not got yet? Run by the agent, attached to nothing. ctx: the lock's
 * address, and its class.
 */
SEC("raw_tp")
int vst_lock_look(__u64 *ctx)
{
	__u64 lock = ctx[0], class = ctx[1];

	return vst_lock_object_note(lock, class);
}
