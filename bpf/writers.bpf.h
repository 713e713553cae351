/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who made pages of files dirty, where their memory cgroups do not tell. Noted when it happens, in dirty.bpf.c and
 * xfs.bpf.c; asked when they are written out.
 */
#ifndef VST_WRITERS_BPF_H
#define VST_WRITERS_BPF_H

#include "owner.bpf.h"

/*
 * 64 pages of a file, and who wrote to which of them: two at most are told apart. A page that has both marks is
 * nobody's: a third one wrote to it. What was written out makes room for others. The table forgets what was used
 * longest ago: then a page's memory cgroup is believed, as everywhere else. A note holds as long as the file is marked as
 * shared since, for of other files it is not told when they are written to anew.
 */
#define BLOCK_SHIFT 6
#define WRITERS 2

struct vst_block_key {
	__u64 mapping;
	__u64 block;
};

struct vst_block {
	__u64 task[WRITERS]; /* vst_task_owner() */
	__u64 pages[WRITERS];
	__u64 written; /* out, since they were noted; still marked, for one page may go to several disks */
	__u32 turn;    /* of struct vst_state, at the last note */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct vst_block_key);
	__type(value, struct vst_block);
} vst_writers SEC(".maps");

#define WRITER_UNKNOWN (~0ULL)

/* Packed as by vst_task_owner(); 0: somebody, it is not known who; WRITER_UNKNOWN: whom the page is charged to. */
__noinline __u64 vst_writer(__u64 mapping, __u64 index)
{
	struct vst_block_key key = { .mapping = mapping, .block = index >> BLOCK_SHIFT };
	struct vst_block *b = bpf_map_lookup_elem(&vst_writers, &key);
	__u64 page = 1ULL << (index & ((1 << BLOCK_SHIFT) - 1));
	struct vst_state *s = vst_state_get();
	bool first, second;

	if (!s || !b || s->turn - b->turn > 1)
		return WRITER_UNKNOWN;
	first = b->pages[0] & page;
	second = b->pages[1] & page;
	if ((first || second) && !(b->written & page))
		__sync_fetch_and_or(&b->written, page);
	if (first && second)
		return 0;
	return first ? b->task[0] : second ? b->task[1] : WRITER_UNKNOWN;
}

static __always_inline void vst_block_note(struct vst_block *b, __u32 turn, __u64 task, __u64 pages)
{
	__u64 others = turn - b->turn > 1 ? ~0ULL : pages;

	b->turn = turn;
	if (b->task[0] != task && b->task[1] != task)
		others |= b->written;
	if (b->written & pages)
		__sync_fetch_and_and(&b->written, ~pages);
#pragma unroll
	for (int i = 0; i < WRITERS; i++)
		if (b->task[i] != task && (b->pages[i] & others))
			__sync_fetch_and_and(&b->pages[i], ~others);
	if (b->task[0] == task || (b->task[1] != task && !b->pages[0])) {
		b->task[0] = task;
		__sync_fetch_and_or(&b->pages[0], pages);
	} else if (b->task[1] == task || !b->pages[1]) {
		b->task[1] = task;
		__sync_fetch_and_or(&b->pages[1], pages);
	} else {
		__sync_fetch_and_or(&b->pages[0], pages);
		__sync_fetch_and_or(&b->pages[1], pages);
	}
}

struct vst_range {
	__u64 mapping;
	__u64 first; /* page */
	__u64 last;
	__u64 task; /* WRITER_UNKNOWN: forget */
	__u32 turn;
};

static long vst_range_block(__u32 i, struct vst_range *r)
{
	struct vst_block_key key = { .mapping = r->mapping, .block = (r->first >> BLOCK_SHIFT) + i };
	struct vst_block new = {}, *b = bpf_map_lookup_elem(&vst_writers, &key);
	__u64 pages = ~0ULL;

	if (key.block == r->first >> BLOCK_SHIFT)
		pages &= ~0ULL << (r->first & 63);
	if (key.block == r->last >> BLOCK_SHIFT)
		pages &= ~0ULL >> (63 - (r->last & 63));
	if (!b && r->task != WRITER_UNKNOWN) {
		new.task[0] = r->task;
		new.pages[0] = pages;
		new.turn = r->turn;
		if (!bpf_map_update_elem(&vst_writers, &key, &new, BPF_NOEXIST))
			return 0;
		b = bpf_map_lookup_elem(&vst_writers, &key); /* another CPU was first */
	}
	if (!b)
		return 0;
	if (r->task != WRITER_UNKNOWN) {
		vst_block_note(b, r->turn, r->task, pages);
		return 0;
	}
#pragma unroll
	for (int w = 0; w < WRITERS; w++)
		if (b->pages[w] & pages)
			__sync_fetch_and_and(&b->pages[w], ~pages);
	return 0;
}

#define BLOCKS_MAX (1U << 16) /* 16 GiB in one call */

/* Pages first to last of a file were made dirty by this task; marks the file. */
static __always_inline void vst_range_note(struct vst_state *s, struct vst_range *r)
{
	__u64 blocks = (r->last >> BLOCK_SHIFT) - (r->first >> BLOCK_SHIFT) + 1;

	vst_set_shared(s, r->mapping);
	r->turn = s->turn;
	bpf_loop(blocks < BLOCKS_MAX ? blocks : BLOCKS_MAX, vst_range_block, r, 0);
}

/* Who writes: its memory cgroup, and whether that says more than "root". */
struct vst_writing {
	__u64 cgroup;
	bool unseen; /* it is in a cgroup for which there is no memory controller */
	bool kernel; /* nobody: a kernel thread */
};

static __always_inline void vst_writing_now(struct vst_writing *w)
{
	const struct task_struct *task = bpf_get_current_task_btf();

	w->kernel = task->flags & PF_KTHREAD;
	w->cgroup = vst_task_memory_cgroup(task);
	w->unseen =
		(!w->cgroup || !vst_read(w->cgroup, struct cgroup, level)) && vst_task_cgroups(task)->dfl_cgrp->level;
}

/* Whose inode the kernel thinks it is: the cgroup that its writeback belongs to; 0: nobody's yet. */
static __always_inline __u64 vst_inode_cgroup(__u64 inode)
{
	__u64 wb, css;

	if (!bpf_core_field_exists(struct inode, i_wb))
		return 0;
	wb = vst_ptr(inode, struct inode, i_wb);
	if (!wb)
		return 0;
	css = vst_ptr(wb, struct bdi_writeback, memcg_css);
	return css ? vst_ptr(css, struct cgroup_subsys_state, cgroup) : 0;
}

/*
 * Does the inode belong to another one than who writes? With a memory controller of version 1 writeback is not by
 * cgroup: all inodes are the root's.
 */
static __always_inline bool vst_inode_is_anothers(const struct vst_state *s, __u64 inode, const struct vst_writing *w)
{
	__u64 owner = vst_inode_cgroup(inode);

	return owner && owner != w->cgroup && s->memory_hier == VST_HIER_UNIFIED;
}
#endif /* VST_WRITERS_BPF_H */
