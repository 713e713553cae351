// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who makes page cache pages dirty. A page belongs to the memory cgroup that brought it in, and the kernel charges its
 * writing by that; this probe notes where it is another's task that writes to it, and which files have pages of
 * several. Runs once each time a clean folio becomes dirty; for a page of one's own that is a comparison.
 */
#include "hint.bpf.h"
#include "kind.bpf.h"
#include "writers.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("tp_btf/writeback_dirty_folio")
int BPF_PROG(vst_dirty_folio, struct folio *page, struct address_space *mapping)
{
	struct vst_state *s = vst_state_get();
	__u64 folio = vst_address(page), charged, inode;
	struct vst_range range = {};
	struct vst_writing w;
	bool shared, own;
	__u32 hint;

	if (!s)
		return 0;
	vst_writing_now(&w);
	range.mapping = vst_address(mapping);
	inode = vst_ptr(range.mapping, struct address_space, host);
	hint = vst_hint_of_call();
	if (hint)
		vst_mark_hint(inode, hint);
	charged = vst_memcg_cgroup(vst_folio_memcg(folio));
	shared = vst_is_shared(s, range.mapping);
	own = w.kernel || (!w.unseen && (w.cgroup == charged || !charged));
	if (own && !shared && (w.kernel || !vst_inode_is_anothers(s, inode, &w)))
		return 0;
	if ((vst_read(inode, struct inode, i_mode) & S_IFMT) != S_IFREG)
		return 0;
	if (shared && s->xfs_noted && vst_inode_is_xfs(inode))
		return 0; /* to the page, and before: see xfs.bpf.c */
	range.first = vst_ptr(folio, struct folio, index);
	range.last = range.first + vst_folio_pages(folio) - 1;
	/* a page of one's own may have been another's before */
	range.task = own ? WRITER_UNKNOWN : vst_task_owner(s);
	vst_range_note(s, &range);
	return 0;
}
