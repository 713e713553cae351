/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who holds a lock while another waits. Mutexes and reader-writer semaphores say so when they are asked; who got the
 * lock after waiting for it is remembered by its address, so a wait through which it changed hands is divided among the
 * holders. A holder that got it without waiting is seen only by asking.
 */
#ifndef VST_LOCK_HOLDER_BPF_H
#define VST_LOCK_HOLDER_BPF_H

#include "lock_class.bpf.h"
#include "lock_object.bpf.h"
#include "task.bpf.h"

#define OWNER_FLAGS 7ULL  /* of mutex.owner and rw_semaphore.owner, below the task's address */
#define RWSEM_READER 1ULL /* kernel/locking/rwsem.c, RWSEM_READER_OWNED: the task is one that read, maybe long ago */

_Static_assert(VST_LOCK_KERNEL == 0, "what vst_task_owner() says of a thread of the kernel's");

/* --- what a holder does --- */

/*
 * bpf_task_from_pid: 3f0e6f2b41d3, 6.2. The helper that walks a stack takes no task that was found in a lock, only one that the
 * kernel itself hands out.
 */
extern struct task_struct *bpf_task_from_pid(__s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *p) __ksym __weak;

#define STACK_EACH 16	/* jiffies from one to the next, of whomever */
#define STACK_FRESH 128 /* jiffies: of the same waiter and holder */

/* Into the stack of this CPU. How many frames; 0: it runs, so nobody else can see what it does. */
static __always_inline __u32 vst_lock_task_stack(__u64 task)
{
	struct task_struct *found;
	struct vst_lock_stack *stack;
	__u32 zero = 0;
	long n = 0;

	stack = bpf_map_lookup_elem(&vst_lock_stack, &zero);
	if (!stack)
		return 0;
	found = bpf_task_from_pid(vst_read(task, struct task_struct, pid));
	if (!found)
		return 0;
	if (vst_address(found) == task) /* it is still there */
		n = bpf_get_task_stack(found, stack->ip, sizeof(stack->ip), 0);
	bpf_task_release(found);
	return n > 0 ? n / sizeof(stack->ip[0]) : 0;
}

/* Keeps what is above the scheduler's own functions. */
static __always_inline void vst_lock_stack_keep(struct vst_lock_holder_stack *h, __u32 n)
{
	struct vst_lock_state *s = vst_lock_state_get();
	struct vst_lock_stack *stack;
	__u32 zero = 0, i, kept = 0;

	stack = bpf_map_lookup_elem(&vst_lock_stack, &zero);
	for (i = 0; s && stack && i < FRAMES; i++) {
		if (i >= n || kept >= VST_LOCK_STACK_FRAMES)
			break;
		if (!kept && vst_lock_is_lock_code(s, stack->ip[i], false))
			continue;
		vst_lock_symbol(h->frame[kept], sizeof(h->frame[kept]), stack->ip[i]);
		kept++;
	}
	h->n = kept;
}

/* A sample of what the holder of a sleeping lock does, if it sleeps itself. */
__noinline int vst_lock_stack_sample(const struct vst_lock_wait *w, __u64 task)
{
	struct vst_lock_state *s = vst_lock_state_get();
	struct vst_lock_holder_stack *h;
	__u64 now = bpf_jiffies64(), what;
	__u32 place, n;

	if (!w || !s || !bpf_task_from_pid || !bpf_task_release || (__s64)(now - s->stack_next) < 0)
		return 0;
	what = w->what;
	place = vst_lock_mix(vst_lock_mix(w->waiter, w->holder), what) >> (64 - VST_LOCK_STACK_BITS);
	h = bpf_map_lookup_elem(&vst_lock_hstacks, &place);
	if (!h ||
	    (h->what == what && h->waiter == w->waiter && h->holder == w->holder && now - h->jiffies < STACK_FRESH))
		return 0;
	s->stack_next = now + 1;
	n = vst_lock_task_stack(task);
	if (!n || __sync_val_compare_and_swap(&h->busy, 0, 1))
		return 0;
	s->stack_next = now + STACK_EACH;
	h->what = 0;
	barrier();
	h->waiter = w->waiter;
	h->holder = w->holder;
	h->jiffies = now;
	vst_lock_stack_keep(h, n);
	barrier();
	h->what = what;
	barrier();
	h->busy = 0;
	return 0;
}

/* Asks the lock, one that sleeps. */
__noinline int vst_lock_ask(struct vst_lock_wait *w)
{
	__u64 owner = 0, task;
	__u32 type;

	if (!w)
		return 0;
	type = VST_LOCK_WHAT_TYPE(w->what);
	w->holder = VST_LOCK_NOBODY;
	w->evidence = VST_LOCK_EVIDENCE_NONE;
	if (type == VST_LOCK_MUTEX)
		owner = vst_ptr(w->lock, struct mutex, owner);
	else if (type == VST_LOCK_RWSEM)
		owner = vst_ptr(w->lock, struct rw_semaphore, owner);
	task = owner & ~OWNER_FLAGS;
	if (!task)
		return 0;
	w->holder = vst_task_owner_at(vst_state_get(), task);
	w->evidence =
		type == VST_LOCK_RWSEM && (owner & RWSEM_READER) ? VST_LOCK_EVIDENCE_LAST : VST_LOCK_EVIDENCE_OWNER;
	if (w->evidence == VST_LOCK_EVIDENCE_OWNER)
		vst_lock_stack_sample(w, task);
	return 0;
}

/* --- who waited for whom --- */

static __always_inline struct vst_lock_pair *vst_lock_pair_at(__u32 place)
{
	barrier_var(place); /* the compiler knows how large it may be, the verifier does not */
	return &vst_lock_pairs[place & (VST_LOCK_PAIRS - 1)];
}

/* The place of a pair, a new one if there is none; VST_LOCK_PAIRS: there is no room. */
__noinline __u32 vst_lock_pair_find(__u64 waiter, __u64 holder, __u64 what)
{
	__u64 hash = vst_lock_mix(vst_lock_mix(waiter, holder), what), tag = vst_lock_tag(hash);
	__u32 place = hash >> (64 - VST_LOCK_PAIR_BITS), way;
	struct vst_lock_tags *set = bpf_map_lookup_elem(&vst_lock_ptags, &place);
	struct vst_lock_pair *p;

	if (!set)
		return VST_LOCK_PAIRS;
	way = vst_lock_way(set->tag, tag);
	if (way == VST_LOCK_WAYS)
		way = vst_lock_way_take(set->tag, tag);
	if (way == VST_LOCK_WAYS)
		return VST_LOCK_PAIRS;
	place = place * VST_LOCK_WAYS + way;
	p = vst_lock_pair_at(place);
	if (!p->what) {
		p->waiter = waiter;
		p->holder = holder;
		barrier();
		p->what = what;
	}
	return place;
}

/* which: of the two that the wait remembers. */
static __always_inline void vst_lock_pair_add(struct vst_lock_wait *w, int which, __u64 holder, __u8 evidence, __u64 ns)
{
	__u64 what = w->what | bpf_get_smp_processor_id() << 2 | evidence;
	struct vst_lock_pair *p = vst_lock_pair_at(w->pair[which]);
	__u32 place;

	if (p->what != what || p->waiter != w->waiter || p->holder != holder) {
		place = vst_lock_pair_find(w->waiter, holder, what);
		if (place >= VST_LOCK_PAIRS) {
			vst_lock_lose(VST_LOCK_LOSS_NO_PAIR, ns);
			return;
		}
		w->pair[which] = place;
		p = vst_lock_pair_at(place);
	}
	vst_add(&p->ns, ns);
	if (ns > p->object_ns) {
		p->object_ns = ns;
		p->object = w->lock & ~VST_LOCK_SPINS;
		vst_lock_object_note(w->lock & ~VST_LOCK_SPINS, VST_LOCK_WHAT_CLASS(w->what));
	}
	barrier();
	vst_add(&p->waits, 1); /* last: by it the agent sees that the rest changed */
}

static __always_inline struct vst_lock_turns *vst_lock_turns_at(struct vst_lock_own *own, __u32 place)
{
	barrier_var(place);
	return &own->open.turns[place & ((1 << VST_LOCK_TURNS_BITS) - 1)];
}

/* The first of the places that the turns of a lock may be in. */
static __always_inline __u32 vst_lock_turns_place(__u64 lock)
{
	return vst_lock_hash(lock & ~VST_LOCK_SPINS) >> (64 - VST_LOCK_TURNS_BITS) & ~(VST_LOCK_TURNS_WAYS - 1U);
}

/* The turns of the lock that is waited for; NULL: it has none. */
static __always_inline struct vst_lock_turns *vst_lock_turns_of(struct vst_lock_own *own, struct vst_lock_wait *w)
{
	struct vst_lock_turns *t = vst_lock_turns_at(own, w->turns);
	__u32 place, way;

	if (t->lock == w->lock)
		return t;
	place = vst_lock_turns_place(w->lock);
	for (way = 0; way < VST_LOCK_TURNS_WAYS; way++) {
		t = vst_lock_turns_at(own, place + way);
		if (t->lock != w->lock)
			continue;
		w->turns = place + way;
		return t;
	}
	return NULL;
}

/*
 * Asks for the line of turns that the end of this wait will write: it comes from the CPU of the holder, which wrote it when
 * it got the lock. By a write, for that does not wait for the line. Where one owner has all turns the line stays with all CPUs.
 */
static __always_inline void vst_lock_turns_ask(struct vst_lock_own *own, const struct vst_lock_wait *w)
{
	if (w->moves)
		*(volatile __u64 *)&vst_lock_turns_at(own, w->turns)->asked = 0;
}

static __noinline int vst_lock_blame(struct vst_lock_wait *w, __u64 holder, __u8 evidence, __u64 ns)
{
	if (ns)
		vst_lock_pair_add(w, 0, holder, evidence, ns);
	return 0;
}

/* Turns of a lock, the last one first. false: nothing is known of that one. */
static __always_inline bool vst_lock_turn_get(const struct vst_lock_turns *t, __u32 i, struct vst_lock_turn *ret)
{
	if (i > VST_LOCK_TURNS + 1 || t->next - t->first < i)
		return false;
	if (i < 2) {
		ret->ns = i ? t->last.ns : t->ns;
		ret->owner = i ? t->last.owner : t->owner;
	} else {
		*ret = t->before[(t->next + 1 - i) % VST_LOCK_TURNS];
	}
	return true;
}

/* Who held the lock when the wait began, if it did not say: who got it last before. */
static __always_inline void vst_lock_held_by(struct vst_lock_wait *w, __u64 owner)
{
	if (w->evidence != VST_LOCK_EVIDENCE_NONE)
		return;
	w->holder = owner;
	w->evidence = VST_LOCK_EVIDENCE_LAST;
}

/* Whoever got a mutex after waiting holds it. */
static __always_inline __u8 vst_lock_turn_evidence(const struct vst_lock_wait *w)
{
	return VST_LOCK_WHAT_TYPE(w->what) == VST_LOCK_MUTEX ? VST_LOCK_EVIDENCE_OWNER : VST_LOCK_EVIDENCE_LAST;
}

/* Divides the time since w->since_ns among those who held the lock. */
__noinline int vst_lock_settle(struct vst_lock_wait *w, __u64 now)
{
	__u64 end = now, held = 0, holder = VST_LOCK_NOBODY;
	struct vst_lock_own *own = vst_lock_own_get();
	struct vst_lock_turn turn;
	struct vst_lock_turns *t;
	__u8 evidence;
	__u32 i;

	if (!w || !own)
		return 0;
	t = vst_lock_turns_of(own, w);
	evidence = vst_lock_turn_evidence(w);
	for (i = 0; t && vst_lock_turn_get(t, i, &turn); i++) {
		if (turn.ns <= w->since_ns) {
			vst_lock_held_by(w, turn.owner);
			break;
		}
		if (turn.ns >= end)
			continue;
		if (turn.owner != holder) {
			vst_lock_blame(w, holder, evidence, held);
			holder = turn.owner;
			held = 0;
		}
		held += end - turn.ns;
		end = turn.ns;
	}
	vst_lock_blame(w, holder, evidence, held);
	vst_lock_blame(w, w->holder, w->evidence, end - w->since_ns);
	w->since_ns = now;
	return 0;
}

/*
 * The same for most waits, for which two turns need be known: that the last one was before the wait, or the last but one. false:
 * there were more.
 */
static __always_inline bool vst_lock_settle_at_once(struct vst_lock_wait *w, const struct vst_lock_turns *t, __u64 now)
{
	__u64 since = w->since_ns;

	if (t && t->ns > since) {
		if (t->ns >= now || t->next == t->first || t->last.ns > since)
			return false;
		vst_lock_held_by(w, t->last.owner);
		vst_lock_pair_add(w, 0, w->holder, w->evidence, t->ns - since);
		since = t->ns;
		w->holder = t->owner;
		w->evidence = vst_lock_turn_evidence(w);
	} else if (t) {
		vst_lock_held_by(w, t->owner);
	}
	vst_lock_pair_add(w, 1, w->holder, w->evidence, now - since);
	return true;
}

/* The place of a lock that has none: that whose last turn is older. */
__noinline int vst_lock_turn_first(__u64 lock, __u64 owner, __u64 now)
{
	__u32 place = vst_lock_turns_place(lock), way;
	struct vst_lock_own *own = vst_lock_own_get();
	struct vst_lock_turns *t;

	if (!own)
		return 0;
	t = vst_lock_turns_at(own, place);
	for (way = 1; way < VST_LOCK_TURNS_WAYS; way++)
		if (vst_lock_turns_at(own, place + way)->ns < t->ns)
			t = vst_lock_turns_at(own, place + way);
	t->lock = lock;
	t->first = t->next;
	t->ns = now;
	t->owner = owner;
	return 0;
}

/*
 * From now on the waiter holds it. A turn after one of the same owner tells nothing new; and not writing it leaves the line
 * to all CPUs. Measured, two CPUs and one spinlock: 60 ns instead of 110 to 240. Who holds the lock is alone here, or reads
 * together with others: then one of them counts.
 */
static __always_inline void vst_lock_turn(struct vst_lock_wait *w, struct vst_lock_turns *t, __u64 now)
{
	__u64 owner = w->waiter;

	if (!t) {
		vst_lock_turn_first(w->lock, owner, now);
		return;
	}
	if (t->owner == owner) {
		w->moves = 0;
		return;
	}
	w->moves = 1;
	t->before[t->next % VST_LOCK_TURNS] = t->last;
	t->last.ns = t->ns;
	t->last.owner = t->owner;
	t->next++;
	t->ns = now;
	t->owner = owner;
}
#endif /* VST_LOCK_HOLDER_BPF_H */
