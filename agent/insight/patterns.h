/* SPDX-License-Identifier: GPL-2.0-only */
/* What containers do with the contents of files: copies, encryption, compression. */
#ifndef VST_PATTERNS_ROOM_H
#define VST_PATTERNS_ROOM_H

#include "agent/insight/attrs.h"
#include "agent/io/io_table.h"
#include "agent/probes/probes.h"
#include "agent/snapshot.h"

#define VST_PATTERNS_KEEP 30 /* seconds after the last write to a file */

struct vst_patterns;

int vst_patterns_new(struct vst_patterns **ret);
void vst_patterns_free(struct vst_patterns *p);

/*
 * Decides about the files that were written to since the last time, and gives what is known to the rows of I/O. observed: the
 * share of the time in which copies are looked for in those containers that are watched at moments. attrs: is told which files are written to.
 */
void vst_patterns_collect(struct vst_patterns *p, const struct vst_io_table *t, const struct vst_probes *probes,
			  struct vst_attrs *attrs, double observed, double now);

/* Files that the container encrypted in the last minute, if they are many; else 0. */
__u32 vst_patterns_encrypting(struct vst_patterns *p, const struct vst_container *c, double now);

/* Alarms since the agent started. */
__u64 vst_patterns_alarms(const struct vst_patterns *p);

/* Puts them into a snapshot. 0 or -ENOMEM. */
int vst_patterns_put(struct vst_patterns *p, struct vst_snapshot *s);

#endif /* VST_PATTERNS_ROOM_H */
