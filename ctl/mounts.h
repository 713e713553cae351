/* SPDX-License-Identifier: GPL-2.0-only */
/* Where file systems are mounted, as this process sees it: the agent tells paths from a file system's root. */
#ifndef VSTOR_CTL_MOUNTS_H
#define VSTOR_CTL_MOUNTS_H

#include "ctl.h"

struct vst_mounts;

/* Of a /proc/PID/mountinfo, which may be NULL: nothing is mounted. Never NULL. */
struct vst_mounts *vst_mounts_new(FILE *mountinfo);
void vst_mounts_free(struct vst_mounts *m);

/*
 * Of an object as the agent tells it, "/dir/x (inode 12 on vda1)", the whole path: "/data/dir/x (inode 12 on vda1)". number:
 * that device's, "8:1". NULL: as a whole it is mounted nowhere. The caller frees.
 */
char *vst_mounts_object(const struct vst_mounts *m, const char *object, const char *number);

/* The device of such an object, "vda1"; NULL: it has no path. The caller frees. */
char *vst_mounts_device(const char *object);

/* The same for a line of the agent's, which may have an "object". Reads what is mounted when it is first needed: *m is NULL then. */
void vst_mounts_line(struct vst_mounts **m, json_t *line);
#endif /* VSTOR_CTL_MOUNTS_H */
