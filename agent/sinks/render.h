/* SPDX-License-Identifier: GPL-2.0-only */
/* A snapshot as JSON lines; docs/control-socket.md is the contract. */
#ifndef VST_RENDER_H
#define VST_RENDER_H

#include "agent/acting/acting.h"
#include "agent/sinks/out.h"
#include "agent/snapshot.h"

/* since: rows that changed after that snapshot, where there are rows; 0: all. */
typedef void vst_render(struct vst_out *o, const struct vst_snapshot *s, __u64 since);

vst_render vst_render_io, vst_render_check, vst_render_ps;
vst_render vst_render_locks, vst_render_blame, vst_render_waits;
vst_render vst_render_slow, vst_render_patterns, vst_render_insight, vst_render_lifetimes, vst_render_curves;

/*
 * The same of what is done about the policy. policy: NULL while the agent starts. argument: of the path's own query argument; NULL:
 * none was given.
 */
typedef void vst_render_acting(struct vst_out *o, const struct vst_snapshot *s, const struct vst_acting_status *policy,
			       const char *argument);

vst_render_acting vst_render_status, vst_render_policy, vst_render_policy_log, vst_render_policy_explain;
vst_render_acting vst_render_cache;
/* A line about a reply to POST, and the rows of a plan if it has any. */
void vst_render_reply(struct vst_out *o, const struct vst_acting_reply *reply);

/* Which container it is: its name, identity, what it consists of, and whether it runs. */
void vst_render_identity(struct vst_out *o, const struct vst_snap_container *c);
void vst_render_error(struct vst_out *o, const char *what);

/* --- shared by render*.c --- */

/* {"schema":1,"type":TYPE, and the brace and the end of the line after it */
void vst_render_begin(struct vst_out *o, const char *type);
void vst_render_end(struct vst_out *o);

/* "instance", "seq", "time" and "uptime" */
void vst_render_moment(struct vst_out *o, const struct vst_snapshot *s);

/* "KEY":"what the container is called" and "CGROUP_KEY":"its path". Never fails: an index without a value is nobody. */
void vst_render_container(struct vst_out *o, const struct vst_snapshot *s, __u32 index, const char *key,
			  const char *cgroup_key);

/* "self":{...}, and "probes":[...] */
void vst_render_self(struct vst_out *o, const struct vst_snap_self *self);
void vst_render_probes(struct vst_out *o, const struct vst_snapshot *s);

/* "buckets":[[index,count],...] */
void vst_render_buckets(struct vst_out *o, const struct vst_sparse *h);

/* Microseconds from a moment until the snapshot was begun. since_ns: CLOCK_MONOTONIC */
double vst_render_age_us(const struct vst_snapshot *s, __u64 since_ns);

#endif /* VST_RENDER_H */
