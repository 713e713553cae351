/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two snapshots of the agent compared, value by value, without a search and without memory of their own:
 *
 *	base = vst_delta_snapshot_base(prev, now);
 *	seconds = vst_delta_snapshot_seconds(base, now);
 *	vst_snapshot_for_each(now, VST_SNAP_IOS, io, i) {
 *		const struct vst_snap_io *old = vst_delta_snapshot_io(base, i, io);
 *
 *		if (old == io)
 *			continue;
 *		bytes += vst_delta_io(io, old, VST_COUNTER_bytes);
 *		vst_histogram_add(&latency, &io->counts.time[VST_TIME_LATENCY],
 *				  old ? &old->counts.time[VST_TIME_LATENCY] : NULL);
 *	}
 *
 * A value that did not change is the same pointer in both. What is in flight is a state, not a counter: old == io says
 * nothing new completed, and io->in_flight is valid all the same.
 */
#ifndef VST_DELTA_SNAPSHOT_H
#define VST_DELTA_SNAPSHOT_H

#include "agent/snapshot.h"
#include "lib/delta.h"

/* prev if it can be compared with now; NULL if there is none, or if it is not an earlier one of the same agent. */
const struct vst_snapshot *vst_delta_snapshot_base(const struct vst_snapshot *prev, const struct vst_snapshot *now);

/* Seconds between the two; base NULL: since the agent started. */
double vst_delta_snapshot_seconds(const struct vst_snapshot *base, const struct vst_snapshot *now);

/*
 * The earlier value of what is at this index now; NULL: it is new, and all of it was counted since. It relies on the
 * agent's promise that a value keeps its index as long as it exists; an index that is given again has another id.
 */
const struct vst_snap_io *vst_delta_snapshot_io(const struct vst_snapshot *base, __u32 index,
						const struct vst_snap_io *now);
const struct vst_snap_wait *vst_delta_snapshot_wait(const struct vst_snapshot *base, __u32 index,
						    const struct vst_snap_wait *now);

/* How much one counter of a row grew; before may be NULL. */
static inline __u64 vst_delta_io(const struct vst_snap_io *now, const struct vst_snap_io *before, enum vst_counter c)
{
	return vst_delta(now->counts.counter[c], before ? before->counts.counter[c] : 0);
}

/* Nanoseconds of waiting that passed in the interval, in waits that ended and in those that go on. */
static inline __u64 vst_delta_wait_ns(const struct vst_snap_wait *now, const struct vst_snap_wait *before)
{
	return vst_delta(now->total_ns, before ? before->total_ns : 0);
}

#endif /* VST_DELTA_SNAPSHOT_H */
