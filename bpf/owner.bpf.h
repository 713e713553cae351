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
#include "task.bpf.h"

#define MEMCG_DATA_OBJCGS 1UL
#define MEMCG_DATA_KMEM 2UL

#define TASK_IS_CURRENT (~0ULL) /* the submitter is this task: look at it if it matters */

/* The cgroup that a task's memory is charged to, an address. */
static __always_inline __u64 vst_task_memory_cgroup(const struct task_struct *task)
{
	const struct cgroup_subsys_state *css = vst_css_of(vst_task_cgroups(task), vst_memory_subsys());

	return css ? vst_address(css->cgroup) : 0;
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

/* Cgroups that have others below them, the root too; by a hash, so that some others are taken for one. */
static __always_inline __u32 vst_inner_bit(__u64 blkcg)
{
	return (blkcg * 0x9e3779b97f4a7c15ULL) >> 58;
}

/*
 * What the owner is decided from. The folio's memory cgroup is asked for page cache data that is written: it made the
 * page dirty, or at least made the page, while the block layer charges the cgroup that dirtied most of the inode.
 * `writer`: `task` is known to have made the page dirty. For reads and metadata the block layer knows the task that
 * asked. Only what is charged to nobody or to the root, where the kernel puts what it cannot charge, is the task's; and what
 * is charged to a cgroup with others below it, for these are charged to it where they are not, or not yet, known to the
 * block layer.
 */
#define CLUE_OWNER 1  /* in .memory: .task is an owner, packed; no address is that small */
#define CLUE_WRITER 2 /* the same, and it is sure */

static __always_inline void vst_who_clues(struct vst_clues *c, const struct vst_state *s, __u64 bio, __u64 folio,
					  bool writer, __u64 task)
{
	const struct task_struct *current;
	__u64 blkg;

	if (writer) {
		vst_clue_task(c, task);
		vst_clue_memory(c, CLUE_WRITER);
		return;
	}
	blkg = vst_ptr(bio, struct bio, bi_blkg);
	vst_clue_blkcg(c, blkg ? vst_ptr(blkg, struct blkcg_gq, blkcg) : 0);
	if (folio)
		vst_clue_memcg(c, vst_folio_memcg(folio));
	if (c->blkcg && !(s->inner >> vst_inner_bit(c->blkcg) & 1))
		return;
	if (task != TASK_IS_CURRENT) {
		vst_clue_task(c, task);
		vst_clue_memory(c, CLUE_OWNER);
		return;
	}
	current = bpf_get_current_task_btf();
	if (!(current->flags & PF_KTHREAD)) {
		const struct css_set *set = vst_task_cgroups(current);

		vst_clue_task(c, vst_identity(set->dfl_cgrp, s));
		if (s->blkio_hier | s->memory_hier) /* 3: two equal ones must not be 0 together */
			vst_clue_memory(c, vst_identity(vst_css_of(set, vst_memory_subsys()), s) +
						   3 * vst_identity(vst_css_of(set, vst_io_subsys()), s));
	}
}

static __always_inline void vst_who_is(struct vst_key *who, __u64 packed)
{
	who->owner = packed >> 2;
	who->hier = packed & 3;
	who->witness = packed ? VST_WITNESS_TASK : VST_WITNESS_NONE;
}

/* The page's cgroup, unless that is the one of the block layer: two witnesses agree then, and the first is kept. */
static __always_inline void vst_who_memcg(struct vst_key *who, const struct vst_state *s, __u64 memcg)
{
	__u64 id = vst_cgroup_id(vst_memcg_cgroup(memcg));

	if (id == who->owner && who->hier == s->memory_hier)
		return;
	who->owner = id;
	who->hier = s->memory_hier;
	who->witness = VST_WITNESS_MEMCG;
}

/* The same with all that it takes to follow them, into a key; notes which cgroups have others below them. */
static __always_inline void vst_who_decide(struct vst_key *who, struct vst_state *s, __u64 bio, __u64 folio,
					   bool writer, __u64 task, bool asked)
{
	__u64 blkg = vst_ptr(bio, struct bio, bi_blkg), blkcg, cgrp, other;
	bool inner = true;

	who->owner = 0;
	who->hier = 0;
	who->witness = VST_WITNESS_NONE;
	if (writer) {
		vst_who_is(who, task);
		return;
	}
	if (blkg) {
		blkcg = vst_ptr(blkg, struct blkcg_gq, blkcg);
		cgrp = vst_ptr(blkcg, struct blkcg, css.cgroup);
		who->owner = vst_cgroup_id(cgrp);
		who->hier = s->blkio_hier;
		who->witness = VST_WITNESS_BLKCG;
		inner = who->owner == ROOT_CGROUP_ID || vst_read(cgrp, struct cgroup, nr_descendants);
		if (inner && !(s->inner >> vst_inner_bit(blkcg) & 1))
			__sync_fetch_and_or(&s->inner, 1ULL << vst_inner_bit(blkcg));
	}
	other = folio ? vst_folio_memcg(folio) : 0;
	if (other)
		vst_who_memcg(who, s, other);
	if (!inner || who->witness == VST_WITNESS_MEMCG)
		return;
	other = task == TASK_IS_CURRENT ? vst_task_owner(s) : task;
	if (who->owner <= ROOT_CGROUP_ID || (asked && other >> 2 > ROOT_CGROUP_ID))
		vst_who_is(who, other);
}
#endif /* VST_OWNER_BPF_H */
