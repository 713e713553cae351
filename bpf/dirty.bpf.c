// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who makes page cache pages dirty. A page belongs to the memory cgroup that brought it in, and the kernel charges its
 * writing by that; this probe notes where it is another's task that writes to it, and which files have pages of
 * several. Runs once each time a clean page becomes dirty; for a page of one's own that is a comparison.
 */
#include "kind.bpf.h"
#include "owner.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline __u64 memory_cgroup_of(__u64 task)
{
	__u64 css = vst_word(vst_task_cgroups(task),
			     bpf_core_field_offset(struct css_set, subsys) + 8 * vst_memory_subsys());

	return css ? vst_ptr(css, struct cgroup_subsys_state, cgroup) : 0;
}

/* Whose inode the kernel thinks it is: the cgroup that its writeback belongs to; 0: nobody's yet. */
static __always_inline __u64 inode_cgroup(__u64 inode)
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

SEC("tp_btf/writeback_dirty_folio")
int BPF_PROG(vst_dirty_folio, struct folio *page, struct address_space *mapping)
{
	__u64 task = bpf_get_current_task();
	__u64 folio = vst_address(page), mine, charged, owner, inode;
	struct vst_state *s = vst_state_get();
	struct vst_dirtier d = {};

	if (!s || (vst_read(task, struct task_struct, flags) & PF_KTHREAD))
		return 0;
	d.mapping = vst_address(mapping);
	inode = vst_ptr(d.mapping, struct address_space, host);
	mine = memory_cgroup_of(task);
	charged = vst_memcg_cgroup(vst_folio_memcg(folio));
	if (mine == charged) {
		/* it may have been another's before; that file is marked then */
		if (vst_is_shared(s, d.mapping)) {
			bpf_map_delete_elem(&vst_dirtiers, &folio);
			return 0;
		}
		owner = inode_cgroup(inode);
		/* with a memory controller of version 1 writeback is not by cgroup: all inodes are the root's */
		if (!owner || owner == mine || s->memory_hier != VST_HIER_UNIFIED)
			return 0;
	}
	if ((vst_read(inode, struct inode, i_mode) & S_IFMT) != S_IFREG)
		return 0;
	if (mine != charged) {
		d.task = vst_task_owner(s);
		bpf_map_update_elem(&vst_dirtiers, &folio, &d, BPF_ANY);
	}
	vst_set_shared(s, d.mapping);
	return 0;
}
