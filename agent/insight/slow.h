/* SPDX-License-Identifier: GPL-2.0-only */
/* The slowest requests of the last seconds. */
#ifndef VST_SLOW_H
#define VST_SLOW_H

#include "agent/insight/attrs.h"
#include "agent/io/io_table.h"
#include "agent/probes/probes.h"
#include "agent/snapshot.h"

#define VST_SLOW_KEEP 10 /* seconds */
#define VST_SLOW_MAX 128 /* requests: of more, the slowest */

struct vst_slows;

int vst_slows_new(struct vst_slows **ret);
void vst_slows_free(struct vst_slows *l);

/* Takes what the probes noted since the last time, and forgets what is old. attrs: is told their files. now: monotonic seconds */
void vst_slows_collect(struct vst_slows *l, const struct vst_io_table *t, const struct vst_probes *probes,
		       struct vst_attrs *attrs, double now);

/*
 * Puts them into a snapshot, of which the rows of I/O are there already: what was served meanwhile is what they completed
 * since the snapshot before. 0 or -ENOMEM.
 */
int vst_slows_put(struct vst_slows *l, struct vst_snapshot *s, const struct vst_snapshot *last);

#endif /* VST_SLOW_H */
