/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who holds a lock while another waits. Mutexes and reader-writer semaphores say so when they are asked; who got the
 * lock after waiting for it is remembered by its address, so a wait through which it changed hands is divided among the
 * holders. A holder that got it without waiting is seen only by asking.
 */
#ifndef VST_LOCK_HOLDER_BPF_H
#define VST_LOCK_HOLDER_BPF_H

#include "lock_maps.bpf.h"

const volatile __u8 vst_lock_memory_hier; /* enum vst_hierarchy, as this host is set up */

#define PF_KTHREAD 0x00200000
#define ROOT_CGROUP_ID 1  /* kernfs gives its root the first id (fs/kernfs/dir.c, kernfs_create_root) */
#define OWNER_FLAGS 7ULL  /* of mutex.owner and rw_semaphore.owner, below the task's address */
#define RWSEM_READER 1ULL /* kernel/locking/rwsem.c, RWSEM_READER_OWNED: the task is one that read, maybe long ago */

static __always_inline __u64 vst_lock_cgroup_id(__u64 cgrp)
{
	return vst_read(vst_ptr(cgrp, struct cgroup, kn), struct kernfs_node, id);
}

/* As vst_task_owner() in owner.bpf.h, of any task: one that a lock names may be gone, then it is anybody's. */
__noinline __u64 vst_lock_task_owner(__u64 task)
{
	__u64 set, css, id;

	if (vst_read(task, struct task_struct, flags) & PF_KTHREAD)
		return VST_LOCK_KERNEL;
	set = (__u64)vst_read(task, struct task_struct, cgroups);
	id = vst_lock_cgroup_id(vst_ptr(set, struct css_set, dfl_cgrp));
	/* hybrid hosts: systemd and some runtimes put a task into version 1 memory cgroups only */
	if (id == ROOT_CGROUP_ID && vst_lock_memory_hier != VST_HIER_UNIFIED) {
		css = vst_word(set, bpf_core_field_offset(struct css_set, subsys) + 8 * vst_memory_subsys());
		id = vst_lock_cgroup_id(vst_ptr(css, struct cgroup_subsys_state, cgroup));
		if (id != ROOT_CGROUP_ID)
			return id << 2 | vst_lock_memory_hier;
	}
	return id << 2 | VST_HIER_UNIFIED;
}

/* Asks the lock. */
__noinline int vst_lock_ask(struct vst_lock_wait *w)
{
	__u64 owner = 0, task;

	if (!w)
		return 0;
	w->holder = VST_LOCK_NOBODY;
	w->evidence = VST_LOCK_EVIDENCE_NONE;
	if (w->type == VST_LOCK_MUTEX)
		owner = vst_ptr(w->lock, struct mutex, owner);
	else if (w->type == VST_LOCK_RWSEM)
		owner = vst_ptr(w->lock, struct rw_semaphore, owner);
	task = owner & ~OWNER_FLAGS;
	if (!task)
		return 0;
	w->holder = vst_lock_task_owner(task);
	w->evidence =
		w->type == VST_LOCK_RWSEM && (owner & RWSEM_READER) ? VST_LOCK_EVIDENCE_LAST : VST_LOCK_EVIDENCE_OWNER;
	return 0;
}

/* --- who waited for whom --- */

__noinline int vst_lock_pair_add(__u64 waiter, __u64 holder, __u64 what, __u64 ns)
{
	__u64 hash = vst_lock_mix(vst_lock_mix(waiter, holder), what), tag = vst_lock_tag(hash);
	__u32 place = hash >> (64 - VST_LOCK_PAIR_BITS), way;
	struct vst_lock_tags *set = bpf_map_lookup_elem(&vst_lock_ptags, &place);
	struct vst_lock_pair *p;

	if (!set)
		return 0;
	way = vst_lock_way(set->tag, tag);
	if (way == VST_LOCK_WAYS)
		way = vst_lock_way_take(set->tag, tag);
	place = place * VST_LOCK_WAYS + way;
	p = way < VST_LOCK_WAYS ? bpf_map_lookup_elem(&vst_lock_pairs, &place) : NULL;
	if (!p)
		return vst_lock_lose(VST_LOCK_LOSS_NO_PAIR, ns);
	if (!p->what) {
		p->waiter = waiter;
		p->holder = holder;
		barrier();
		p->what = what;
	}
	vst_add(&p->waits, 1);
	vst_add(&p->ns, ns);
	return 0;
}

static __always_inline void vst_lock_blame(const struct vst_lock_wait *w, __u64 holder, __u8 evidence, __u64 ns)
{
	if (ns)
		vst_lock_pair_add(w->waiter, holder,
				  VST_LOCK_WHAT(w->class, w->type, bpf_get_smp_processor_id() << 2 | evidence), ns);
}

static __always_inline struct vst_lock_turns *vst_lock_turns_find(__u64 lock)
{
	__u32 place = vst_lock_hash(lock) >> (64 - TURNS_BITS), i;
	struct vst_lock_turns_set *set = bpf_map_lookup_elem(&vst_lock_turns, &place);

	for (i = 0; set && i < TURNS_WAYS; i++)
		if (set->e[i].lock == lock)
			return &set->e[i];
	return NULL;
}

/* Divides the time since w->since_ns among those who held the lock. */
__noinline int vst_lock_settle(struct vst_lock_wait *w, __u64 now)
{
	__u64 end = now, held = 0, holder = VST_LOCK_NOBODY;
	struct vst_lock_turns *t;
	__u8 evidence;
	__u32 i, at;

	if (!w)
		return 0;
	t = vst_lock_turns_find(w->lock);
	evidence = w->type == VST_LOCK_MUTEX ? VST_LOCK_EVIDENCE_OWNER : VST_LOCK_EVIDENCE_LAST;
	for (i = 1; t && i <= TURNS; i++) {
		at = t->next - i;
		if (t->next - t->first < i)
			break;
		at %= TURNS;
		if (t->e[at].ns <= w->since_ns) { /* who got it last before */
			if (w->evidence == VST_LOCK_EVIDENCE_NONE) {
				w->holder = t->e[at].owner;
				w->evidence = VST_LOCK_EVIDENCE_LAST;
			}
			break;
		}
		if (t->e[at].ns >= end)
			continue;
		if (t->e[at].owner != holder) {
			vst_lock_blame(w, holder, evidence, held);
			holder = t->e[at].owner;
			held = 0;
		}
		held += end - t->e[at].ns;
		end = t->e[at].ns;
	}
	vst_lock_blame(w, holder, evidence, held);
	vst_lock_blame(w, w->holder, w->evidence, end - w->since_ns);
	w->since_ns = now;
	return 0;
}

/*
 * From now on the waiter holds it. A turn after one of the same owner tells nothing new; and not writing it leaves the line
 * to all CPUs. Measured, two CPUs and one spinlock: 60 ns instead of 110 to 240.
 */
static __always_inline void vst_lock_turn(__u64 lock, __u64 owner, __u64 now)
{
	__u32 place = vst_lock_hash(lock) >> (64 - TURNS_BITS), at;
	struct vst_lock_turns_set *set = bpf_map_lookup_elem(&vst_lock_turns, &place);
	struct vst_lock_turns *t;

	if (!set)
		return;
	t = &set->e[0];
	if (t->lock != lock)
		t = &set->e[1];
	at = (t->next - 1) % TURNS;
	if (t->lock == lock && t->next != t->first && t->e[at].owner == owner)
		return;
	if (t->lock != lock) { /* takes the place of that whose last turn is older */
		if (set->e[0].e[(set->e[0].next - 1) % TURNS].ns < t->e[at].ns)
			t = &set->e[0];
		t->lock = lock;
		t->first = t->next;
	}
	at = t->next++ %
	     TURNS; /* who holds the lock is alone here, or reads together with others: then one of them counts */
	t->e[at].ns = now;
	t->e[at].owner = owner;
}
#endif /* VST_LOCK_HOLDER_BPF_H */
