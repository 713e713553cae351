/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose a bio is, and how we know: the cgroup that the block layer charges it to, the memory cgroup of its page, the
 * task that submits it, in that order; the reasons are in docs/attribution.md.
 */
#ifndef VST_OWNER_BPF_H
#define VST_OWNER_BPF_H

#include "compat.bpf.h"
#include "kind.bpf.h"
#include "maps.bpf.h"

const volatile __u8 vst_blkio_hier; /* enum vst_hierarchy, as this host is set up */
const volatile __u8 vst_memory_hier;

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

static __always_inline __u64 vst_task_owner(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 set, id;

	if (task->flags & PF_KTHREAD)
		return 0;
	set = vst_task_cgroups(vst_address(task));
	id = vst_cgroup_id(vst_ptr(set, struct css_set, dfl_cgrp));
	/* hybrid hosts: systemd and some runtimes put a task into version 1 memory cgroups only */
	if (id == ROOT_CGROUP_ID && vst_memory_hier != VST_HIER_UNIFIED) {
		__u64 css = vst_word(set, bpf_core_field_offset(struct css_set, subsys) + 8 * vst_memory_subsys());

		id = vst_cgroup_id(vst_ptr(css, struct cgroup_subsys_state, cgroup));
		if (id != ROOT_CGROUP_ID)
			return vst_task_pack(id, vst_memory_hier);
		id = ROOT_CGROUP_ID;
	}
	return vst_task_pack(id, VST_HIER_UNIFIED);
}

/* The memory cgroup that a page cache folio is charged to, as a struct cgroup; 0: none. */
static __always_inline __u64 vst_folio_cgroup(__u64 folio)
{
	__u64 memcg = vst_ptr(folio, struct folio, memcg_data);

	if (!memcg || (memcg & (MEMCG_DATA_OBJCGS | MEMCG_DATA_KMEM)))
		return 0;
	return vst_ptr(memcg, struct mem_cgroup, css.cgroup);
}

static __always_inline void vst_who_memcg(struct vst_who *who, __u64 folio)
{
	__u64 cgrp = vst_folio_cgroup(folio), id;

	if (!cgrp)
		return;
	id = vst_cgroup_id(cgrp);
	/* the same cgroup as the block layer's: two witnesses agree, keep the first */
	if (id == who->id && who->hier == vst_memory_hier)
		return;
	who->id = id;
	who->hier = vst_memory_hier;
	who->witness = VST_WITNESS_MEMCG;
}

/* True: somebody else than the cgroup that the folio is charged to made it dirty, and this is who. */
static __always_inline bool vst_who_dirtier(struct vst_who *who, __u64 folio)
{
	struct vst_dirtier *d = bpf_map_lookup_elem(&vst_dirtiers, &folio);

	if (!d || !d->task || d->mapping != vst_ptr(folio, struct folio, mapping))
		return false;
	who->id = d->task >> 2;
	who->hier = d->task & 3;
	who->witness = VST_WITNESS_TASK;
	return true;
}

/*
 * `write`: the folio's memory cgroup is asked for page cache data that is written. It made the page dirty, or at
 * least made the page, while the block layer charges the cgroup that dirtied most of the inode. `shared`: the file is
 * one of those where even that is not sure. For reads and metadata the block layer knows the task that asked.
 */
static __always_inline void vst_who_decide(struct vst_who *who, __u64 bio, const struct vst_what *what, bool write,
					   bool shared, __u64 task)
{
	__u64 blkg = vst_ptr(bio, struct bio, bi_blkg), cgrp;

	who->id = 0;
	who->hier = 0;
	who->witness = VST_WITNESS_NONE;
	if (blkg) {
		cgrp = vst_ptr(vst_ptr(blkg, struct blkcg_gq, blkcg), struct blkcg, css.cgroup);
		who->id = vst_cgroup_id(cgrp);
		who->hier = vst_blkio_hier;
		who->witness = VST_WITNESS_BLKCG;
	}
	if (write && what->folio && what->kind == VST_KIND_DATA) {
		if (shared && vst_who_dirtier(who, what->folio))
			return;
		vst_who_memcg(who, what->folio);
	}
	if (who->id > ROOT_CGROUP_ID || who->witness == VST_WITNESS_MEMCG)
		return;
	/* charged to the root: that is where the kernel puts what it cannot charge */
	if (task == TASK_IS_CURRENT)
		task = vst_task_owner();
	who->id = task >> 2;
	who->hier = task & 3;
	who->witness = task ? VST_WITNESS_TASK : VST_WITNESS_NONE;
}
#endif /* VST_OWNER_BPF_H */
