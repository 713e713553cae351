/* SPDX-License-Identifier: GPL-2.0-only */
/* Where this process sees the cgroup hierarchies that count owners, and whether it sees all of them. */
#ifndef VST_CGMOUNTS_H
#define VST_CGMOUNTS_H

#include <stdbool.h>
#include <stddef.h>

#include "vstor/abi.h"

struct vst_cgmount {
	bool exists;	 /* the kernel has such a hierarchy, apart from the others */
	bool with_blkio; /* of VST_HIER_MEMORY: it does not, because it is the blkio hierarchy */
	bool mounted;	 /* here */
	bool whole;	 /* from its root on: not a part of it, as in a private cgroup namespace */
	char where[256]; /* "": not mounted */
};

/*
 * root: "" on a host; where the host's /proc is otherwise. Of several mounts of a hierarchy, one that shows all of it is
 * taken before one that does not. 0 or -errno.
 */
int vst_cgmounts_read(const char *root, struct vst_cgmount ret[VST_HIER__N]);

/* One line of /proc/self/mountinfo, which is changed. True: it is a hierarchy that counts owners. Pure. */
bool vst_cgmounts_line(char *line, char **ret_where, enum vst_hierarchy *ret_hier);

/*
 * What a person should know: why running containers may be shown without names, and what to do. Returns buf, "" if all
 * that exists is seen.
 */
const char *vst_cgmounts_why(const struct vst_cgmount m[VST_HIER__N], char *buf, size_t size);

#endif /* VST_CGMOUNTS_H */
