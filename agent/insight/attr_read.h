/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads the extended attribute user.vstor.class of a file that a probe named: of the file itself, or of the nearest directory above it
 * that has one. It may wait for a disk, so a thread of its own does it.
 */
#ifndef VST_ATTR_READ_H
#define VST_ATTR_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "vstor/abi_insight.h"

#define VST_ATTR "user.vstor.class"
#define VST_ATTR_NONE (-1)
#define VST_ATTR_REFUSED (-2) /* there is one, but it is no class */

/* The class that the value of the attribute says: a digit from 0 to VST_CLASS_MAX, or VST_ATTR_REFUSED. Pure. */
int vst_attr_class(const char *value, size_t len);

/* Where a filesystem, or a part of it, is mounted: a line of /proc/self/mountinfo. */
struct vst_attr_mount {
	char *root;   /* within the filesystem */
	char *at;     /* where it is seen */
	char *source; /* "/dev/vda1" */
};

/* Takes a line apart, with the kernel's escapes (\040) undone; false: it is none. The texts point into it. Pure. */
bool vst_attr_mount_parse(char *line, struct vst_attr_mount *ret);

/*
 * The path of a file below the mount, without a slash at its begin: "a/b" of "/x/a/b" where root is "/x". False: the mount does not
 * show it, or its path is not known as a whole. Pure.
 */
bool vst_attr_path(const struct vst_file_name *f, const char *root, char *ret, size_t size);

/* The class, VST_ATTR_NONE (also if the file is not to be found), or VST_ATTR_REFUSED. */
int vst_attr_read(const struct vst_file_name *f);

#endif /* VST_ATTR_READ_H */
