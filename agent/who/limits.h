/* SPDX-License-Identifier: GPL-2.0-only */
/* The I/O limits that somebody set on a cgroup and on those above it, from the cgroup files themselves. */
#ifndef VST_LIMITS_H
#define VST_LIMITS_H

#include <stddef.h>

#include "vstor/abi.h"

struct vst_limit;

#define VST_LIMITS_MAX 16 /* of one container: one line of one file is one */

/*
 * mounts: where each hierarchy is mounted; "": nowhere. path: of the cgroup, from the root of its hierarchy. What is set
 * nearest to the container comes first. *ret is to be freed with vst_limits_free(); NULL: no limit is set. 0 or -ENOMEM.
 */
int vst_limits_read(const char *const mounts[VST_HIER__N], const char *path, struct vst_limit **ret, size_t *ret_n);

void vst_limits_free(struct vst_limit *limits, size_t n);

#endif /* VST_LIMITS_H */
