// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who writes to which pages of an xfs file that several write to. xfs has folios of many pages, which become dirty
 * once: of a second container that writes to another part of it before it is written out the kernel says nothing else.
 * Attached while an xfs is mounted.
 */
#include "kind.bpf.h"
#include "writers.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* linux/iomap.h, 6.1 to 6.18 */
#define IOMAP_WRITE (1 << 0)
#define IOMAP_DIRECT (1 << 4)

/* At the begin of each step of a write: what is left of it. */
SEC("tp_btf/iomap_iter")
int BPF_PROG(vst_xfs_write, struct iomap_iter *iter)
{
	struct vst_state *s = vst_state_get();
	struct vst_range range = {};
	struct vst_writing w;
	__u64 inode, len;
	__u32 shift;

	if (!s || (iter->flags & (IOMAP_WRITE | IOMAP_DIRECT)) != IOMAP_WRITE)
		return 0;
	inode = vst_ptr(iter, struct iomap_iter, inode);
	len = iter->len;
	if (!len || !vst_inode_is_xfs(inode))
		return 0;
	vst_writing_now(&w);
	range.mapping = vst_ptr(inode, struct inode, i_mapping);
	if (!vst_is_shared(s, range.mapping) && (w.kernel || (!w.unseen && !vst_inode_is_anothers(s, inode, &w))))
		return 0;
	shift = s->page_shift & 31;
	range.first = (__u64)iter->pos >> shift;
	range.last = ((__u64)iter->pos + len - 1) >> shift;
	range.task = w.kernel ? WRITER_UNKNOWN : vst_task_owner(s);
	vst_range_note(s, &range);
	return 0;
}
