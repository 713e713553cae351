/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waits at the limit of dirty pages: who writes to memory faster than the disks take it has to pause. Whose data the
 * disk was written meanwhile made it wait, by bytes.
 */
#ifndef VST_WAITS_DIRTY_H
#define VST_WAITS_DIRTY_H

#include "agent/waits/blame.h"
#include "agent/probes/probes.h"
#include "agent/io/io_table.h"

/* What is left of bytes written so long ago: a half after 10 seconds. */
double vst_waits_dirty_left(double bytes, double seconds);

struct vst_waits_dirty;

int vst_waits_dirty_new(struct vst_waits_dirty **ret);
void vst_waits_dirty_free(struct vst_waits_dirty *w);

/* What has passed until now of a pause that is charged up to since_ns. */
__u64 vst_waits_dirty_passed(const struct vst_pause_open *o, __u64 since_ns, __u64 now_ns);

/* Once a tick, after vst_io_table_collect(): charges what has passed of pauses. 0 or -errno. */
int vst_waits_dirty_collect(struct vst_waits_dirty *w, const struct vst_io_table *t, const struct vst_probes *probes,
			    struct vst_owners *owners, struct vst_blame *b, double now);

#endif /* VST_WAITS_DIRTY_H */
