/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which file, file system or disk is it whose lock is waited for? Looked at by whoever waited longest, who has just got the
 * lock, so that the object is there; and not for each wait: the agent says how to get from a lock to its object, and
 * clears the longest wait once a tick. All of it is checked, for a lock may have been taken for another.
 */
#ifndef VST_LOCK_OBJECT_BPF_H
#define VST_LOCK_OBJECT_BPF_H

#include "lock_maps.bpf.h"

#define OBJECT_FRESH 256 /* jiffies: a file may be renamed */

/* Seldom, so as it is simplest; also of members that are too far in for vst_ptr(). */
#define member_of(p, type, field)                                                                                      \
	({                                                                                                             \
		typeof(((type *)0)->field) __m = 0;                                                                    \
		bpf_core_read(&__m, sizeof(__m), &((type *)(p))->field);                                               \
		__m;                                                                                                   \
	})

static __always_inline bool vst_lock_is_super(const struct super_block *sb)
{
	struct dentry *root = member_of(sb, struct super_block, s_root);

	return root && member_of(root, struct dentry, d_sb) == sb;
}

static __always_inline void vst_lock_object_super(struct vst_lock_object *o, const struct super_block *sb)
{
	bpf_probe_read_kernel_str(o->device, sizeof(o->device),
				  (const char *)sb + bpf_core_field_offset(struct super_block, s_id));
}

/* By the first of its names, if it has any. */
static __always_inline void vst_lock_object_path(struct vst_lock_object *o, const struct inode *inode)
{
	struct hlist_node *alias = member_of(inode, struct inode, i_dentry.first);
	const struct dentry *d, *parent;
	__u32 i;

	d = (void *)((__u64)alias - bpf_core_field_offset(struct dentry, d_u.d_alias));
	o->more = alias != NULL;
	for (i = 0; i < VST_LOCK_PATH; i++) {
		o->path[i][0] = 0;
		if (!o->more)
			continue;
		parent = member_of(d, struct dentry, d_parent);
		o->more = parent != d;
		if (o->more)
			bpf_probe_read_kernel_str(o->path[i], sizeof(o->path[i]),
						  member_of(d, struct dentry, d_name.name));
		else if (!i)
			o->path[0][0] = '/';
		d = parent;
	}
	if (o->more) /* is it the root that follows? */
		o->more = member_of(d, struct dentry, d_parent) != d;
}

static __always_inline __u32 vst_lock_object_read(struct vst_lock_object *o, __u32 kind, const void *p)
{
	struct super_block *sb;
	struct gendisk *disk;

	o->ino = 0;
	o->more = 0;
	o->path[0][0] = 0;
	if (kind == VST_LOCK_OBJECT_QUEUE) {
		disk = member_of(p, struct request_queue, disk);
		if (!disk || member_of(disk, struct gendisk, queue) != p)
			return VST_LOCK_OBJECT_NONE;
		bpf_probe_read_kernel_str(o->device, sizeof(o->device),
					  (const char *)disk + bpf_core_field_offset(struct gendisk, disk_name));
		return kind;
	}
	if (kind == VST_LOCK_OBJECT_SUPER) {
		if (!vst_lock_is_super(p))
			return VST_LOCK_OBJECT_NONE;
		vst_lock_object_super(o, p);
		return kind;
	}
	sb = member_of(p, struct inode, i_sb);
	if (member_of(p, struct inode, i_data.host) != p || !vst_lock_is_super(sb))
		return VST_LOCK_OBJECT_NONE;
	o->ino = member_of(p, struct inode, i_ino);
	vst_lock_object_super(o, sb);
	vst_lock_object_path(o, p);
	return kind;
}

__noinline int vst_lock_object_note(__u64 lock, __u32 class)
{
	__u32 place = vst_lock_hash(lock) >> (64 - VST_LOCK_OBJECT_BITS), i;
	struct vst_lock_route *route = bpf_map_lookup_elem(&vst_lock_routes, &class);
	struct vst_lock_object *o = bpf_map_lookup_elem(&vst_lock_objects, &place);
	__u64 at, now = bpf_jiffies64();

	if (!route || !route->kind || !o || (o->lock == lock && now - o->jiffies < OBJECT_FRESH))
		return 0;
	if (__sync_val_compare_and_swap(&o->busy, 0, 1))
		return 0;
	o->lock = 0;
	barrier();
	at = lock + (__s64)route->offset;
	for (i = 0; i < VST_LOCK_ROUTE_STEPS; i++)
		if (i < route->n && bpf_probe_read_kernel(&at, sizeof(at), (const void *)(at + route->step[i])))
			at = 0;
	o->kind = vst_lock_object_read(o, route->kind, (const void *)at);
	o->jiffies = now;
	barrier();
	o->lock = lock;
	barrier();
	o->busy = 0;
	return 0;
}
#endif /* VST_LOCK_OBJECT_BPF_H */
