// SPDX-License-Identifier: GPL-2.0-only
/* Caches: a line for each cached device, and one for each container and class that used it. */
#include <string.h>

#include "agent/sinks/render.h"

static void per_class(struct vst_out *o, const char *key, const __u64 *bytes)
{
	char class[2] = { 0 };

	vst_out_key(o, key);
	vst_out_raw(o, "{");
	for (int c = VST_HEAT_CLASSES - 1; c >= 0; c--) {
		class[0] = (char)('0' + c + VST_HEAT_CLASS_MIN);
		vst_out_ku64(o, class, bytes[c]);
	}
	vst_out_raw(o, "}");
}

static void keeper(struct vst_out *o, const struct vst_acting_keeper *k)
{
	vst_out_kstr(o, "keeper", k ? k->state : "off");
	vst_out_ku64(o, "keeper_reads", k ? k->reads : 0);
	vst_out_ku64(o, "keeper_reads_bytes", k ? k->bytes : 0);
	vst_out_ku64(o, "keeper_errors", k ? k->errors : 0);
	vst_out_ku64(o, "keeper_passes", k ? k->passes : 0);
}

static const struct vst_acting_keeper *keeper_of(const struct vst_acting_status *policy, __u32 dev)
{
	for (size_t i = 0; policy && i < policy->n_keepers; i++)
		if (policy->keeper[i].dev == dev)
			return &policy->keeper[i];
	return NULL;
}

static bool is_bcache(const struct vst_snap_cache *c)
{
	return !strcmp(c->type, "bcache");
}

/* What a dm-cache counts for all who use it. */
static void dm_counters(struct vst_out *o, const struct vst_snap_cache *c)
{
	vst_out_ku64(o, "used_bytes", c->used_bytes);
#define X(f, d) vst_out_ku64(o, #f, c->f);
	VST_DM_CACHE_COUNTERS(X)
#undef X
}

static void device(struct vst_out *o, const struct vst_snap_cache *c, const struct vst_acting_keeper *k)
{
	vst_render_begin(o, "cached_device");
	vst_out_kstr(o, "cache", c->name);
	vst_out_kstr(o, "cache_type", c->type);
	vst_out_kstr(o, "set", c->set);
	vst_out_kstr(o, "origin", c->origin);
	vst_out_kstr(o, "cache_device", c->cache);
	vst_out_kstr(o, "mode", c->mode);
	vst_out_kstr(o, "replacement", c->replacement);
	vst_out_ku64(o, "bytes", c->bytes);
	vst_out_ku64(o, "cache_bytes", c->cache_bytes);
	vst_out_ku64(o, "bucket_bytes", c->bucket_bytes);
	vst_out_ku64(o, "dirty_bytes", c->dirty_bytes);
	if (!is_bcache(c)) {
		dm_counters(o, c);
		vst_render_end(o);
		return;
	}
	vst_out_ku64(o, "admitted_bytes", c->admitted_bytes);
	per_class(o, "kept_bytes", c->kept_bytes);
	per_class(o, "resident_bytes", c->resident_bytes);
	keeper(o, k);
	vst_render_end(o);
}

static void pin(struct vst_out *o, const struct vst_snapshot *s, const struct vst_snap_pin *p, const char *cache)
{
	vst_render_begin(o, "pin");
	vst_out_kstr(o, "cache", cache);
	vst_out_kstr(o, "what", p->is_container ? "container" : "path");
	vst_out_kstr(o, "name", p->name);
	vst_out_kstr(o, "state", p->state);
	vst_out_kstr(o, "text", p->text);
	vst_out_ku64(o, "files", p->files);
	vst_out_ku64(o, "bytes", p->bytes);
	vst_out_ku64(o, "resident_bytes", p->resident_bytes);
	vst_out_kdouble(o, "since", s->unix_time - (s->time - p->since), 3);
	vst_render_end(o);
}

static const struct vst_snap_cache *cache_of(const struct vst_snapshot *s, __u32 dev)
{
	const struct vst_snap_cache *c;

	vst_snapshot_for_each(s, VST_SNAP_CACHES, c, i)
	{
		if (c->dev == dev)
			return c;
	}
	return NULL;
}

/* The same for a container, a device and a class as long as the agent runs. */
static __u64 number_of(const struct vst_snapshot *s, const struct vst_snap_cache_row *r)
{
	const struct vst_snap_container *c = vst_snapshot_container(s, r->container);

	return (c ? (__u64)c->id : 0) << 27 | (r->dev & 0xffffff) << 3 | r->class;
}

static void row(struct vst_out *o, const struct vst_snapshot *s, const struct vst_snap_cache_row *r,
		const struct vst_snap_cache *c)
{
	int class = r->class - VST_HEAT_CLASS_MIN;

	vst_render_begin(o, "cache");
	vst_out_ku64(o, "row", number_of(s, r));
	vst_out_kstr(o, "cache", c->name);
	vst_out_kstr(o, "cache_type", c->type);
	vst_render_container(o, s, r->container, "container", "cgroup");
	vst_out_ku64(o, "class", r->class);
#define X(f, d) vst_out_ku64(o, #f, r->counts.f);
	VST_CACHE_COUNTERS(X)
#undef X
	if (class >= 0 && class < VST_HEAT_CLASSES) {
		vst_out_ku64(o, "kept_bytes", c->kept_bytes[class]);
		vst_out_ku64(o, "resident_bytes", c->resident_bytes[class]);
	}
	vst_render_end(o);
}

void vst_render_cache(struct vst_out *o, const struct vst_snapshot *s, const struct vst_acting_status *policy,
		      const char *argument)
{
	const struct vst_snap_cache_row *r;
	const struct vst_snap_cache *c;
	const struct vst_snap_pin *p;

	vst_render_begin(o, "snapshot"); /* for `top` */
	vst_render_moment(o, s);
	vst_render_end(o);
	vst_render_begin(o, "head");
	vst_render_moment(o, s);
	vst_out_ku64(o, "lost", s->self.cache_lost);
	vst_render_end(o);
	vst_snapshot_for_each(s, VST_SNAP_CACHES, c, i)
	{
		device(o, c, keeper_of(policy, c->dev));
	}
	vst_snapshot_for_each(s, VST_SNAP_PINS, p, i)
	{
		c = cache_of(s, p->dev);
		pin(o, s, p, c ? c->name : "");
	}
	vst_snapshot_for_each(s, VST_SNAP_CACHE_ROWS, r, i)
	{
		c = cache_of(s, r->dev);
		if (c)
			row(o, s, r, c);
	}
}

void vst_render_curves(struct vst_out *o, const struct vst_snapshot *s, __u64 since)
{
	const struct vst_snap_curve *curve;
	const struct vst_snap_cache *c;

	vst_render_begin(o, "snapshot");
	vst_render_moment(o, s);
	vst_render_end(o);
	vst_snapshot_for_each(s, VST_SNAP_CACHES, c, i)
	{
		if (!is_bcache(c))
			continue;
		vst_render_begin(o, "cached_device");
		vst_out_kstr(o, "cache", c->name);
		vst_out_ku64(o, "cache_bytes", c->cache_bytes);
		vst_render_end(o);
	}
	vst_snapshot_for_each(s, VST_SNAP_CURVES, curve, i)
	{
		c = cache_of(s, curve->dev);
		if (!c)
			continue;
		vst_render_begin(o, "curve");
		vst_out_kstr(o, "cache", c->name);
		vst_out_ku64(o, "class", curve->class);
		vst_out_ku64(o, "kept", curve->kept);
		vst_out_ku64(o, "kept_bytes", curve->kept_bytes);
		vst_out_kdouble(o, "total", curve->total, 0);
		vst_out_kdouble(o, "reads", curve->reads, 0);
		vst_out_kdouble(o, "first", curve->first, 0);
		vst_out_kstr(o, "at", curve->at);
		vst_render_end(o);
	}
}
