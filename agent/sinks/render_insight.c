// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stdio.h>

#include "agent/sinks/render.h"

static void device(struct vst_out *o, const struct vst_snapshot *s, __u32 dev)
{
	const struct vst_snap_device *d = vst_snapshot_device_of(s, dev);
	char number[32];

	snprintf(number, sizeof(number), "%u:%u", dev >> 20, dev & 0xfffff);
	vst_out_kstr(o, "device", d ? d->name : number);
}

static void head(struct vst_out *o, const struct vst_snapshot *s)
{
	vst_render_begin(o, "snapshot");
	vst_render_moment(o, s);
	vst_out_kdouble(o, "observed", s->self.insight, 3);
	vst_out_kstr(o, "mode", vst_insight_mode_name(s->self.insight_mode));
	vst_out_kbool(o, "given_up", s->self.insight_given_up);
	vst_out_ku64(o, "files_lost", s->self.files_lost);
	vst_render_end(o);
}

static void meanwhile(struct vst_out *o, const struct vst_snapshot *s, const struct vst_snap_slow *slow)
{
	vst_out_key(o, "meanwhile");
	vst_out_raw(o, "[");
	for (int i = 0; i < VST_SERVED && slow->meanwhile[i].ios; i++) {
		vst_out_raw(o, i ? ",{" : "{");
		vst_render_container(o, s, slow->meanwhile[i].container, "container", "cgroup");
		vst_out_ku64(o, "ios", slow->meanwhile[i].ios);
		vst_out_raw(o, "}");
	}
	vst_out_raw(o, "]");
}

void vst_render_slow(struct vst_out *o, const struct vst_snapshot *s, __u64 since)
{
	const struct vst_snap_slow *slow;

	head(o, s);
	vst_snapshot_for_each(s, VST_SNAP_SLOWS, slow, i)
	{
		vst_render_begin(o, "slow");
		vst_render_container(o, s, slow->container, "container", "cgroup");
		device(o, s, slow->dev);
		vst_out_kstr(o, "layer", vst_layer_name(slow->layer));
		vst_out_kstr(o, "op", vst_op_name(slow->op));
		vst_out_kstr(o, "kind", vst_kind_name(slow->kind));
		vst_out_kstr(o, "size", vst_size_name(slow->size));
		vst_out_kstr(o, "object", slow->file);
		vst_out_ku64(o, "bytes", slow->bytes);
		vst_out_kdouble(o, "age", vst_render_age_us(s, slow->ended_ns) / 1e6, 3);
		vst_out_kdouble(o, "latency_us", (double)(slow->queue_ns + slow->device_ns) / 1e3, 3);
		vst_out_kdouble(o, "queue_us", (double)slow->queue_ns / 1e3, 3);
		vst_out_kdouble(o, "device_us", (double)slow->device_ns / 1e3, 3);
		meanwhile(o, s, slow);
		vst_render_end(o);
	}
}

void vst_render_patterns(struct vst_out *o, const struct vst_snapshot *s, __u64 since)
{
	const struct vst_snap_pattern *p;

	head(o, s);
	vst_snapshot_for_each(s, VST_SNAP_PATTERNS, p, i)
	{
		vst_render_begin(o, "pattern");
		vst_render_container(o, s, p->container, "container", "cgroup");
		device(o, s, p->dev);
		vst_out_kstr(o, "object", p->file);
		vst_out_kstr(o, "source", p->source);
		vst_out_kstr(o, "pattern", vst_pattern_name(p->pattern));
		vst_out_ku64(o, "bytes", p->bytes);
		vst_out_kdouble(o, "age", vst_render_age_us(s, p->last_ns) / 1e6, 3);
		vst_out_kdouble(o, "confidence", p->confidence, 2);
		vst_out_kstr(o, "evidence", p->evidence);
		vst_render_end(o);
	}
}

/* Those that run and are watched, and those of which somebody asked that they are not. */
void vst_render_insight(struct vst_out *o, const struct vst_snapshot *s, __u64 since)
{
	const struct vst_snap_container *c;

	head(o, s);
	vst_snapshot_for_each(s, VST_SNAP_CONTAINERS, c, i)
	{
		if (c->own || c->ended > 0 || !(c->listed || c->ios || c->insight_set) ||
		    (c->insight == VST_INSIGHT_OFF && !c->insight_set))
			continue;
		vst_render_begin(o, "insight");
		vst_render_container(o, s, i, "container", "cgroup");
		vst_out_kstr(o, "mode", vst_insight_mode_name(c->insight));
		vst_out_kbool(o, "set", c->insight_set);
		vst_out_kdouble(o, "age", c->insight_since > 0 ? fmax(s->time - c->insight_since, 0) : 0, 3);
		vst_render_end(o);
	}
}

static void life(struct vst_out *o, const struct vst_snapshot *s, const struct vst_snap_life *l)
{
	static const char *const names[VST_LIFE_BUCKETS] = {
#define X(name, ns) name,
		VST_LIFE_AGES(X)
#undef X
			"ge1h"
	};
	__u64 all = 0;

	for (int i = 0; i < VST_LIFE_BUCKETS; i++)
		all += l->bytes[i];
	vst_render_begin(o, "lifetime");
	vst_render_container(o, s, l->container, "container", "cgroup");
	vst_out_kstr(o, "end", vst_life_end_name(l->end));
	vst_out_ku64(o, "bytes", all);
	vst_out_ku64(o, "dead_bytes", l->dead_bytes);
	vst_out_key(o, "ages");
	vst_out_raw(o, "{");
	for (int i = 0; i < VST_LIFE_BUCKETS; i++)
		vst_out_ku64(o, names[i], l->bytes[i]);
	vst_out_raw(o, "}");
	vst_render_end(o);
}

void vst_render_lifetimes(struct vst_out *o, const struct vst_snapshot *s, __u64 since)
{
	const struct vst_snap_life *l;

	head(o, s);
	vst_snapshot_for_each(s, VST_SNAP_LIVES, l, i) life(o, s, l);
}
