/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a file, or the files of a directory tree, lie on their disk. A user names the path, so all of it is bounded, and it runs in a
 * thread that may hang in a dead filesystem. It keeps nothing open: a descriptor in a user's filesystem would hold its mount.
 */
#ifndef VST_EXTENTS_H
#define VST_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define VST_EXTENTS_MAX 32768	 /* of one path */
#define VST_EXTENTS_FILES 100000 /* of one path, directories too */
#define VST_EXTENTS_DEPTH 64	 /* directories below each other */

struct vst_extent {
	__u64 offset, bytes; /* on the disk */
};

struct vst_extents {
	__u32 dev; /* of the filesystem, MKDEV() as in struct vst_device; 0: none */
	struct vst_extent *list;
	size_t n, cap;
	__u64 files, bytes;
	bool cut; /* there are more files or extents than the limits allow */
};

/*
 * The extents of an open file: calls add() for each, until that returns an error. 0, that error, or -errno. The second one stands in for
 * FIEMAP in tests.
 */
typedef int vst_extents_of(int fd, int (*add)(void *arg, __u64 offset, __u64 bytes), void *arg);
vst_extents_of vst_extents_fiemap;

/*
 * Fills *ret, which the caller clears, whatever the result. Follows no symbolic link and enters no other filesystem. 0 or -errno:
 * -ENOENT: the path is gone; -EOPNOTSUPP: the filesystem does not tell where its files are; -EMEDIUMTYPE: it is no file and no directory.
 */
int vst_extents_find(const char *path, vst_extents_of *extents_of, struct vst_extents *ret);
void vst_extents_clear(struct vst_extents *e);

#endif /* VST_EXTENTS_H */
