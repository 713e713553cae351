/* SPDX-License-Identifier: GPL-2.0-only */
#include <string.h>

#include "lib/delta_snapshot.h"

const struct vst_snapshot *vst_delta_snapshot_base(const struct vst_snapshot *prev, const struct vst_snapshot *now)
{
	return prev && prev->seq <= now->seq && !strcmp(prev->instance, now->instance) ? prev : NULL;
}

double vst_delta_snapshot_seconds(const struct vst_snapshot *base, const struct vst_snapshot *now)
{
	return vst_delta_real(now->time, base ? base->time : now->started);
}

const struct vst_snap_io *vst_delta_snapshot_io(const struct vst_snapshot *base, __u32 index,
						const struct vst_snap_io *now)
{
	const struct vst_snap_io *old = base ? vst_snapshot_io(base, index) : NULL;

	return old && old->id == now->id ? old : NULL;
}

const struct vst_snap_wait *vst_delta_snapshot_wait(const struct vst_snapshot *base, __u32 index,
						    const struct vst_snap_wait *now)
{
	const struct vst_snap_wait *old = base ? vst_snapshot_wait(base, index) : NULL;

	return old && old->id == now->id ? old : NULL;
}
