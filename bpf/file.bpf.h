/* SPDX-License-Identifier: GPL-2.0-only */
/* Which file an inode is. Not for every I/O: a name takes a microsecond to read. */
#ifndef VST_FILE_BPF_H
#define VST_FILE_BPF_H

#include "compat.bpf.h"
#include "vstor/abi_insight.h"

/*
 * By the first of the inode's names, from the file upwards. Nothing holds the names meanwhile: one that is changed at this
 * moment may be read half, and then the text is wrong, once.
 */
static __always_inline void vst_file_name_read(struct vst_file_name *f, __u64 inode)
{
	__u64 alias, d, parent, name, sb = vst_ptr(inode, struct inode, i_sb);
	__u32 i;

	alias = vst_ptr(inode, struct inode, i_dentry.first);
	d = alias - bpf_core_field_offset(struct dentry, d_u.d_alias);
	f->more = alias != 0;
	bpf_probe_read_kernel_str(f->device, sizeof(f->device),
				  (const char *)sb + bpf_core_field_offset(struct super_block, s_id));
	for (i = 0; i < VST_FILE_NAMES; i++) {
		f->path[i][0] = 0;
		if (!f->more)
			continue;
		parent = vst_ptr(d, struct dentry, d_parent);
		f->more = parent != d;
		name = vst_ptr(d, struct dentry, d_name.name);
		if (f->more)
			bpf_probe_read_kernel_str(f->path[i], sizeof(f->path[i]), (const void *)name);
		d = parent;
	}
	if (f->more) /* is it the root that follows? */
		f->more = vst_ptr(d, struct dentry, d_parent) != d;
	f->inode = inode;
	f->ino = vst_read(inode, struct inode, i_ino);
}
#endif /* VST_FILE_BPF_H */
