// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "agent/sinks/render.h"

static void not_watched(struct vst_out *o)
{
	static const char *const parts[] = {
#define X(text) text,
		VST_NOT_WATCHED(X)
#undef X
	};

	vst_out_key(o, "not_watched");
	vst_out_raw(o, "[");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		vst_out_raw(o, i ? "," : "");
		vst_out_str(o, parts[i]);
	}
	vst_out_raw(o, "]");
}

/* all: also of what is no lock */
static void snapshot(struct vst_out *o, const struct vst_snapshot *s, bool all)
{
	vst_render_begin(o, "snapshot");
	vst_render_moment(o, s);
	vst_out_kbool(o, "watched", s->self.watch_locks);
	if (all)
		not_watched(o);
	vst_out_key(o, "lost");
	vst_out_raw(o, "{");
	for (int i = 0; i < VST_LOCK_LOSS__N; i++)
		vst_out_ku64(o, vst_lock_loss_name(i), s->self.lock_lost[i]);
	if (all) {
		vst_out_ku64(o, "no_journal", s->self.journal_lost);
		vst_out_ku64(o, "no_pause", s->self.pause_lost);
	}
	vst_out_raw(o, "}}\n");
}

static void lock(struct vst_out *o, const struct vst_snap_wait *w)
{
	if (w->type != VST_WAIT_LOCK)
		return;
	vst_out_kstr(o, "lock", w->name);
	vst_out_kstr(o, "lock_type", vst_lock_type_name(w->lock_type));
	vst_out_kstr(o, "named_by", vst_lock_named_by_name(w->named_by));
}

static void object(struct vst_out *o, const struct vst_snap_wait *w)
{
	if (w->object && *w->object)
		vst_out_kstr(o, "object", w->object);
}

static void resource(struct vst_out *o, const struct vst_snap_wait *w)
{
	char text[256];

	snprintf(text, sizeof(text), "%s:%s", vst_wait_type_name(w->type), w->name);
	vst_out_kstr(o, "resource", text);
}

static void waiting(struct vst_out *o, const struct vst_snapshot *s, const struct vst_snap_wait *w)
{
	if (!w->waiting)
		return;
	vst_out_key(o, "waiting");
	vst_out_raw(o, "{");
	vst_out_ku64(o, "tasks", w->waiting);
	vst_out_kdouble(o, "oldest_us", w->oldest_ns ? vst_render_age_us(s, w->oldest_ns) : 0, 1);
	vst_out_raw(o, "}");
}

static void stack(struct vst_out *o, const struct vst_snap_wait *w)
{
	if (!w->n_stack)
		return;
	vst_out_key(o, "stack");
	vst_out_raw(o, "[");
	for (size_t i = 0; i < w->n_stack; i++) {
		vst_out_raw(o, i ? "," : "");
		vst_out_str(o, w->stack[i]);
	}
	vst_out_raw(o, "]");
}

static void counts(struct vst_out *o, const struct vst_snapshot *s, const struct vst_snap_wait *w)
{
	vst_out_ku64(o, "waits", w->waits);
	vst_out_key(o, "wait");
	vst_out_raw(o, "{");
	vst_out_kdouble(o, "sum_us", (double)w->total_ns / 1e3, 3);
	vst_out_kdouble(o, "max_us", (double)w->times.max_ns / 1e3, 3);
	vst_render_buckets(o, &w->times.hist);
	vst_out_raw(o, "}");
	waiting(o, s, w);
}

void vst_render_locks(struct vst_out *o, const struct vst_snapshot *s, __u64 since)
{
	const struct vst_snap_wait *w;

	snapshot(o, s, false);
	vst_snapshot_for_each(s, VST_SNAP_WAITS, w, i)
	{
		if (w->side != VST_WAIT_OF_WAITER || w->type != VST_WAIT_LOCK)
			continue;
		vst_render_begin(o, "lock");
		vst_out_ku64(o, "row", w->id);
		vst_render_container(o, s, w->waiter, "container", "cgroup");
		lock(o, w);
		object(o, w);
		counts(o, s, w);
		vst_render_end(o);
	}
}

void vst_render_waits(struct vst_out *o, const struct vst_snapshot *s, __u64 since)
{
	const struct vst_snap_wait *w;

	snapshot(o, s, true);
	vst_snapshot_for_each(s, VST_SNAP_WAITS, w, i)
	{
		if (w->side != VST_WAIT_OF_WAITER)
			continue;
		vst_render_begin(o, "wait");
		vst_out_ku64(o, "row", w->id);
		vst_render_container(o, s, w->waiter, "container", "cgroup");
		resource(o, w);
		lock(o, w);
		object(o, w);
		counts(o, s, w);
		vst_render_end(o);
	}
}

void vst_render_blame(struct vst_out *o, const struct vst_snapshot *s, __u64 since)
{
	const struct vst_snap_wait *w;

	snapshot(o, s, true);
	vst_snapshot_for_each(s, VST_SNAP_WAITS, w, i)
	{
		if (w->side != VST_WAIT_OF_PAIR)
			continue;
		vst_render_begin(o, "blame");
		vst_out_ku64(o, "row", w->id);
		vst_render_container(o, s, w->waiter, "waiter", "waiter_cgroup");
		vst_render_container(o, s, w->holder, "holder", "holder_cgroup");
		resource(o, w);
		lock(o, w);
		object(o, w);
		vst_out_kstr(o, "evidence", w->evidence);
		vst_out_ku64(o, "waits", w->waits);
		vst_out_kdouble(o, "wait_us", (double)w->total_ns / 1e3, 3);
		waiting(o, s, w);
		stack(o, w);
		vst_render_end(o);
	}
}
