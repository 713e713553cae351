/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose a bio is, and how we know: the cgroup that the block layer charges it to, the memory cgroup of its page, the
 * task that submits it, in that order; the reasons are in docs/attribution.md.
 */
#ifndef VST_OWNER_BPF_H
#define VST_OWNER_BPF_H

#include "compat.bpf.h"
#include "maps.bpf.h"
#include "rows.bpf.h"

#define PF_KTHREAD 0x00200000
#define ROOT_CGROUP_ID 1 /* kernfs gives its root the first id (fs/kernfs/dir.c, kernfs_create_root) */
#define MEMCG_DATA_OBJCGS 1UL
#define MEMCG_DATA_KMEM 2UL

struct vst_who {
	__u64 id;
	__u8 hier;
	__u8 witness;
};

static __always_inline __u64 vst_cgroup_id(__u64 cgrp)
{
	return vst_read(vst_ptr(cgrp, struct cgroup, kn), struct kernfs_node, id);
}

/* The current task's cgroup, packed, so that it can wait in the in-flight table; 0: a kernel thread, nobody's. */
#define TASK_IS_CURRENT (~0ULL) /* the submitter is this task: look at it if it matters */

static __always_inline __u64 vst_task_pack(__u64 id, __u8 hier)
{
	return id << 2 | hier;
}

/* Too far into a task for vst_ptr(). */
static __always_inline __u64 vst_task_cgroups(__u64 task)
{
	return (__u64)vst_read(task, struct task_struct, cgroups);
}

/*
 * The two that may own the current task, as addresses: its cgroup of version 2, and what it is to the memory controller
 * of version 1, 0 where that is not. False: a kernel thread.
 */
static __always_inline bool vst_task_find(const struct vst_state *s, __u64 *ret_cgroup, __u64 *ret_memory)
{
	__u64 task = bpf_get_current_task(), set;

	if (vst_read(task, struct task_struct, flags) & PF_KTHREAD)
		return false;
	set = vst_task_cgroups(task);
	*ret_cgroup = vst_ptr(set, struct css_set, dfl_cgrp);
	*ret_memory = 0;
	/* hybrid hosts: systemd and some runtimes put a task into version 1 memory cgroups only */
	if (s->memory_hier != VST_HIER_UNIFIED)
		*ret_memory = vst_word(set, bpf_core_field_offset(struct css_set, subsys) + 8 * vst_memory_subsys());
	return true;
}

static __always_inline __u64 vst_task_owner(const struct vst_state *s)
{
	__u64 cgroup, memory, id;

	if (!vst_task_find(s, &cgroup, &memory))
		return 0;
	id = vst_cgroup_id(cgroup);
	if (id == ROOT_CGROUP_ID && memory) {
		__u64 other = vst_cgroup_id(vst_ptr(memory, struct cgroup_subsys_state, cgroup));

		if (other != ROOT_CGROUP_ID)
			return vst_task_pack(other, s->memory_hier);
	}
	return vst_task_pack(id, VST_HIER_UNIFIED);
}

/* The memory cgroup that a page cache folio is charged to; 0: none. */
static __always_inline __u64 vst_folio_memcg(__u64 folio)
{
	__u64 memcg = vst_ptr(folio, struct folio, memcg_data);

	return memcg & (MEMCG_DATA_OBJCGS | MEMCG_DATA_KMEM) ? 0 : memcg;
}

static __always_inline __u64 vst_memcg_cgroup(__u64 memcg)
{
	return memcg ? vst_ptr(memcg, struct mem_cgroup, css.cgroup) : 0;
}

/* Who made the folio dirty, if it was somebody else than the cgroup that it is charged to: packed; 0: nobody else. */
static __always_inline __u64 vst_folio_dirtier(__u64 folio)
{
	struct vst_dirtier *d = bpf_map_lookup_elem(&vst_dirtiers, &folio);

	return d && d->mapping == vst_ptr(folio, struct folio, mapping) ? d->task : 0;
}

/*
 * What the owner is decided from. The folio's memory cgroup is asked for page cache data that is written: it made the
 * page dirty, or at least made the page, while the block layer charges the cgroup that dirtied most of the inode.
 * `shared`: the file is one of those where even that is not sure. For reads and metadata the block layer knows the task that
 * asked. Only what is charged to nobody or to the root, where the kernel puts what it cannot charge, is the task's.
 */
#define CLUE_OWNER 1   /* in .memory: .task is an owner, packed; no address is that small */
#define CLUE_DIRTIER 2 /* the same, and it is sure */

static __always_inline void vst_who_clues(struct vst_clues *c, const struct vst_state *s, __u64 bio, __u64 folio,
					  bool shared, __u64 task)
{
	__u64 blkg = vst_ptr(bio, struct bio, bi_blkg), memory;

	vst_clue_blkcg(c, blkg ? vst_ptr(blkg, struct blkcg_gq, blkcg) : 0);
	if (folio && shared) {
		__u64 dirtier = vst_folio_dirtier(folio);

		if (dirtier) {
			vst_clue_task(c, dirtier);
			vst_clue_memory(c, CLUE_DIRTIER);
			return;
		}
	}
	if (folio)
		vst_clue_memcg(c, vst_folio_memcg(folio));
	if (c->blkcg && c->blkcg != s->root_blkcg)
		return;
	if (task != TASK_IS_CURRENT) {
		vst_clue_task(c, task);
		vst_clue_memory(c, CLUE_OWNER);
	} else if (vst_task_find(s, &task, &memory)) {
		vst_clue_task(c, task);
		vst_clue_memory(c, memory);
	}
}

static __always_inline void vst_who_is(struct vst_who *who, __u64 packed)
{
	who->id = packed >> 2;
	who->hier = packed & 3;
	who->witness = packed ? VST_WITNESS_TASK : VST_WITNESS_NONE;
}

/* The page's cgroup, unless that is the one of the block layer: two witnesses agree then, and the first is kept. */
static __always_inline void vst_who_memcg(struct vst_who *who, const struct vst_state *s, __u64 memcg)
{
	__u64 id = vst_cgroup_id(vst_memcg_cgroup(memcg));

	if (id == who->id && who->hier == s->memory_hier)
		return;
	who->id = id;
	who->hier = s->memory_hier;
	who->witness = VST_WITNESS_MEMCG;
}

/* The same with all that it takes to follow them; notes what the root is. */
static __always_inline void vst_who_decide(struct vst_who *who, struct vst_state *s, __u64 bio, __u64 folio,
					   bool shared, __u64 task)
{
	__u64 blkg = vst_ptr(bio, struct bio, bi_blkg), blkcg = 0, other;

	who->id = 0;
	who->hier = 0;
	who->witness = VST_WITNESS_NONE;
	other = folio && shared ? vst_folio_dirtier(folio) : 0;
	if (other) {
		vst_who_is(who, other);
		return;
	}
	if (blkg) {
		blkcg = vst_ptr(blkg, struct blkcg_gq, blkcg);
		who->id = vst_cgroup_id(vst_ptr(blkcg, struct blkcg, css.cgroup));
		who->hier = s->blkio_hier;
		who->witness = VST_WITNESS_BLKCG;
		if (who->id == ROOT_CGROUP_ID)
			s->root_blkcg = blkcg;
	}
	other = folio ? vst_folio_memcg(folio) : 0;
	if (other)
		vst_who_memcg(who, s, other);
	if (who->id <= ROOT_CGROUP_ID && who->witness != VST_WITNESS_MEMCG)
		vst_who_is(who, task == TASK_IS_CURRENT ? vst_task_owner(s) : task);
}
#endif /* VST_OWNER_BPF_H */
