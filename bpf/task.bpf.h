/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which container a task belongs to: one answer for all probes.
 *
 * A task is in one cgroup of each hierarchy. On hosts with version 1 hierarchies these can be different containers'. Some
 * runtimes put a container's tasks into version 1 cgroups and leave them in the runtime's own service in the unified
 * hierarchy (docker and containerd with cgroupfs on hybrid hosts); others know the unified hierarchy only (crun). So a
 * cgroup that is a container's counts more than one that is a service's, a slice or the root; the agent tells which are
 * of the latter, "plain". Among equals the unified hierarchy counts first, then blkio, which I/O is charged by.
 */
#ifndef VST_TASK_BPF_H
#define VST_TASK_BPF_H

#include "compat.bpf.h"
#include "maps.bpf.h"

#define PF_KTHREAD 0x00200000
#define ROOT_CGROUP_ID 1 /* kernfs gives its root the first id (fs/kernfs/dir.c, kernfs_create_root) */

static __always_inline __u64 vst_cgroup_id(__u64 cgrp)
{
	return vst_read(vst_ptr(cgrp, struct cgroup, kn), struct kernfs_node, id);
}

/* A cgroup in one word, so that it can wait in the in-flight table; 0: a kernel thread, nobody's. */
static __always_inline __u64 vst_task_pack(__u64 id, __u8 hier)
{
	return id << 2 | hier;
}

static __always_inline bool vst_is_plain(const struct vst_state *s, __u64 packed)
{
	__u32 bit = VST_PLAIN_BIT(packed);

	return s->plain[bit / 64] >> (bit % 64) & 1;
}

/* Which cgroup counts, of a task that is in a plain one of the unified hierarchy. Packed; 0: there is no such hierarchy. */
static __always_inline __u64 vst_task_choose(const struct vst_state *s, __u64 unified, __u64 blkio, __u64 memory)
{
	if (blkio >> 2 > ROOT_CGROUP_ID && !vst_is_plain(s, blkio))
		return blkio;
	if (memory >> 2 > ROOT_CGROUP_ID && !vst_is_plain(s, memory))
		return memory;
	if (unified >> 2 > ROOT_CGROUP_ID)
		return unified;
	return blkio >> 2 > ROOT_CGROUP_ID ? blkio : memory >> 2 > ROOT_CGROUP_ID ? memory : unified;
}

/* The cgroup of a css_set, both addresses, in a version 1 hierarchy. */
static __always_inline __u64 vst_set_pack(__u64 set, int subsys, __u8 hier)
{
	__u64 css = vst_word(set, bpf_core_field_offset(struct css_set, subsys) + 8 * subsys);

	return vst_task_pack(vst_cgroup_id(vst_ptr(css, struct cgroup_subsys_state, cgroup)), hier);
}

/* By addresses: a global function takes numbers only. */
__noinline __u64 vst_task_hybrid(__u64 set, __u64 unified)
{
	const struct vst_state *s = vst_state_get();
	__u64 blkio = 0, memory = 0;

	if (s->blkio_hier != VST_HIER_UNIFIED)
		blkio = vst_set_pack(set, vst_io_subsys(), s->blkio_hier);
	if (s->memory_hier != VST_HIER_UNIFIED)
		memory = vst_set_pack(set, vst_memory_subsys(), s->memory_hier);
	return vst_task_choose(s, unified, blkio, memory);
}

/* Does the unified hierarchy not decide? */
static __always_inline bool vst_task_is_hybrid(const struct vst_state *s, __u64 unified)
{
	if (!(s->blkio_hier | s->memory_hier))
		return false;
	return unified >> 2 == ROOT_CGROUP_ID || vst_is_plain(s, unified);
}

/*
 * Of the current task. Its memory is read through types that the verifier trusts: the current task, its css_set and what
 * that has in it can not go while a program runs, so the loads need no checks of the address (measured: 15 ns for four).
 */
static __always_inline const struct css_set *vst_task_cgroups(const struct task_struct *task)
{
	return task->cgroups;
}

static __always_inline const struct cgroup_subsys_state *vst_css_of(const struct css_set *set, int subsys)
{
	return *(const struct cgroup_subsys_state **)((const char *)set +
						      bpf_core_field_offset(struct css_set, subsys) + 8 * subsys);
}

static __always_inline __u64 vst_css_pack(const struct css_set *set, int subsys, __u8 hier)
{
	const struct cgroup_subsys_state *css = vst_css_of(set, subsys);

	return css ? vst_task_pack(css->cgroup->kn->id, hier) : 0;
}

static __always_inline __u64 vst_task_owner(const struct vst_state *s)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	const struct css_set *set = vst_task_cgroups(task);
	__u64 unified, blkio = 0, memory = 0;

	if (task->flags & PF_KTHREAD)
		return 0;
	unified = vst_task_pack(set->dfl_cgrp->kn->id, VST_HIER_UNIFIED);
	if (!vst_task_is_hybrid(s, unified))
		return unified;
	if (s->blkio_hier != VST_HIER_UNIFIED)
		blkio = vst_css_pack(set, vst_io_subsys(), s->blkio_hier);
	if (s->memory_hier != VST_HIER_UNIFIED)
		memory = vst_css_pack(set, vst_memory_subsys(), s->memory_hier);
	return vst_task_choose(s, unified, blkio, memory);
}

/* Of any task, an address: one that a lock names may be gone, then it is anybody's. */
static __always_inline __u64 vst_task_owner_at(const struct vst_state *s, __u64 task)
{
	__u64 set, unified;

	if (vst_read(task, struct task_struct, flags) & PF_KTHREAD)
		return 0;
	set = vst_address(vst_read(task, struct task_struct, cgroups));
	unified = vst_task_pack(vst_cgroup_id(vst_ptr(set, struct css_set, dfl_cgrp)), VST_HIER_UNIFIED);
	return vst_task_is_hybrid(s, unified) ? vst_task_hybrid(set, unified) : unified;
}
#endif /* VST_TASK_BPF_H */
