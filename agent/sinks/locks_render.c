// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/waits/lock_names.h"
#include "agent/waits/locks.h"
#include "agent/sinks/locks_render.h"

static void begin(struct vst_out *o, const char *type)
{
	vst_out_raw(o, "{\"schema\":1");
	vst_out_kstr(o, "type", type);
}

static void snapshot(struct vst_out *o, const struct vst_agent *a, bool all)
{
	const struct vst_maps *m = vst_probes_maps(a->probes);
	const struct vst_lock_state *s = m->lock.state;
	struct timeval tv;

	gettimeofday(&tv, NULL);
	begin(o, "snapshot");
	vst_out_kstr(o, "instance", a->instance);
	vst_out_kdouble(o, "time", (double)tv.tv_sec + (double)tv.tv_usec / 1e6, 6);
	vst_out_kdouble(o, "uptime", a->collected - a->started, 6);
	vst_out_kbool(o, "watched", vst_probes_watch_locks(a->probes));
	vst_out_key(o, "lost");
	vst_out_raw(o, "{");
	for (int i = 0; s && i < VST_LOCK_LOSS__N; i++)
		vst_out_ku64(o, vst_lock_loss_name(i), s->lost[i].waits);
	if (all && m->journal_state)
		vst_out_ku64(o, "no_journal", __atomic_load_n(&m->journal_state->lost, __ATOMIC_RELAXED));
	if (all && m->pauses_lost)
		vst_out_ku64(o, "no_pause", __atomic_load_n(m->pauses_lost, __ATOMIC_RELAXED));
	vst_out_raw(o, "}}\n");
}

static const char *name_of(const struct vst_container *c, __u64 owner)
{
	return c ? c->display : owner == VST_LOCK_KERNEL ? "kernel" : "unattributed";
}

static void lock(struct vst_out *o, const struct vst_agent *a, __u64 what)
{
	const struct vst_lock_named *named = vst_lock_naming_get(vst_locks_naming(a->locks), what);

	vst_out_kstr(o, "lock", named->name);
	vst_out_kstr(o, "lock_type", vst_lock_type_name(VST_LOCK_WHAT_TYPE(what)));
	vst_out_kstr(o, "named_by", vst_lock_named_by_name(named->by));
}

static void object(struct vst_out *o, const struct vst_lock_longest *longest)
{
	if (longest->text)
		vst_out_kstr(o, "object", longest->text);
}

static void stack(struct vst_out *o, const struct vst_lock_holder_stack *s)
{
	if (!s)
		return;
	vst_out_key(o, "stack");
	vst_out_raw(o, "[");
	for (__u32 i = 0; i < s->n; i++) {
		vst_out_raw(o, i ? "," : "");
		vst_out_str(o, s->frame[i]);
	}
	vst_out_raw(o, "]");
}

static void buckets(struct vst_out *o, const struct vst_sparse *h)
{
	vst_out_key(o, "buckets");
	vst_out_raw(o, "[");
	for (unsigned int i = 0; i < h->n; i++) {
		vst_out_raw(o, i ? ",[" : "[");
		vst_out_u64(o, h->bucket[i].index);
		vst_out_raw(o, ",");
		vst_out_u64(o, h->bucket[i].n);
		vst_out_raw(o, "]");
	}
	vst_out_raw(o, "]");
}

/* Who waits now, of a sum that was charged until the last reading. */
static void waiting(struct vst_out *o, const struct vst_agent *a, const struct vst_waiting *w)
{
	double now = a->waits_at;

	if (!w->tasks)
		return;
	vst_out_key(o, "waiting");
	vst_out_raw(o, "{");
	vst_out_ku64(o, "tasks", w->tasks);
	vst_out_kdouble(o, "oldest_us", fmax(0, now * 1e6 - (double)w->oldest_ns / 1e3), 1);
	vst_out_raw(o, "}");
}

static void row_times(struct vst_out *o, const struct vst_agent *a, const struct vst_lock_row *row)
{
	object(o, &row->object);
	vst_out_ku64(o, "waits", row->waits);
	waiting(o, a, &row->waiting);
	vst_out_key(o, "wait");
	vst_out_raw(o, "{");
	vst_out_kdouble(o, "sum_us", (double)row->waiting.total_ns / 1e3, 3);
	vst_out_kdouble(o, "max_us", (double)row->max_ns / 1e3, 3);
	buckets(o, &row->hist);
	vst_out_raw(o, "}}\n");
}

static void row_begin(struct vst_out *o, const char *type, const struct vst_lock_row *row)
{
	begin(o, type);
	vst_out_ku64(o, "row", row->id);
	vst_out_kstr(o, "container", name_of(row->waiter, row->key.owner));
	vst_out_kstr(o, "cgroup", row->waiter ? row->waiter->cgroup : "");
}

static const struct vst_lock_named *named_of(const struct vst_agent *a, __u64 what)
{
	return vst_lock_naming_get(vst_locks_naming(a->locks), what);
}

/* "lock:NAME", or the file system that is frozen. */
static void resource_of_lock(struct vst_out *o, const struct vst_agent *a, __u64 what)
{
	const struct vst_lock_named *named = named_of(a, what);
	char resource[VST_LOCK_NAME + sizeof("freeze:")];

	if (named->frozen)
		snprintf(resource, sizeof(resource), "freeze:%s", named->frozen);
	else
		snprintf(resource, sizeof(resource), "lock:%s", named->name);
	vst_out_kstr(o, "resource", resource);
}

void vst_render_locks(struct vst_out *o, const struct vst_agent *a)
{
	const struct vst_lock_row *row;

	snapshot(o, a, false);
	for (row = vst_locks_rows(a->locks); row; row = row->hh.next) {
		if (named_of(a, row->key.what)->frozen)
			continue;
		row_begin(o, "lock", row);
		lock(o, a, row->key.what);
		row_times(o, a, row);
	}
}

void vst_render_waits(struct vst_out *o, const struct vst_agent *a)
{
	const struct vst_lock_row *row;

	snapshot(o, a, true);
	for (row = vst_locks_rows(a->locks); row; row = row->hh.next) {
		row_begin(o, "wait", row);
		resource_of_lock(o, a, row->key.what);
		if (!named_of(a, row->key.what)->frozen)
			lock(o, a, row->key.what);
		row_times(o, a, row);
	}
}

/* A file system may be on one; no disk at all: it is on several. */
static void partition(char *buf, size_t size, const char *type, __u32 dev)
{
	char path[64], target[256];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", dev >> 20, dev & 0xfffff);
	len = dev ? readlink(path, target, sizeof(target) - 1) : -1;
	target[len < 0 ? 0 : len] = 0;
	if (len >= 0)
		snprintf(buf, size, "%s:%s", type, strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
	else if (dev)
		snprintf(buf, size, "%s:%u:%u", type, dev >> 20, dev & 0xfffff);
	else
		snprintf(buf, size, "%s:several", type);
}

static void resource(struct vst_out *o, const struct vst_agent *a, __u64 resource)
{
	const struct vst_device *d = vst_devices_find((struct vst_devices *)&a->devices, (__u32)resource);
	const char *type = vst_blame_resource_name(resource >> 32);
	char name[64];

	if (d)
		snprintf(name, sizeof(name), "%s:%s", type, d->name);
	else
		partition(name, sizeof(name), type, (__u32)resource);
	vst_out_kstr(o, "resource", name);
}

/* What was shared out. */
static void pair(struct vst_out *o, const struct vst_agent *a, const struct vst_blame_pair *p)
{
	begin(o, "blame");
	vst_out_ku64(o, "row", p->id);
	vst_out_kstr(o, "waiter", p->key.waiter->display);
	vst_out_kstr(o, "waiter_cgroup", p->key.waiter->cgroup);
	vst_out_kstr(o, "holder", p->key.holder->display);
	vst_out_kstr(o, "holder_cgroup", p->key.holder->cgroup);
	resource(o, a, p->key.resource);
	vst_out_kstr(o, "evidence", "share");
	vst_out_ku64(o, "waits", p->waits);
	vst_out_kdouble(o, "wait_us", p->ns / 1e3, 3);
	vst_out_raw(o, "}\n");
}

void vst_render_blame(struct vst_out *o, const struct vst_agent *a)
{
	const struct vst_blame_pair *p;
	const struct vst_lock_blame *b;

	snapshot(o, a, true);
	for (b = vst_locks_blames(a->locks); b; b = b->hh.next) {
		begin(o, "blame");
		vst_out_ku64(o, "row", b->id);
		vst_out_kstr(o, "waiter", name_of(b->waiter, b->key.waiter));
		vst_out_kstr(o, "waiter_cgroup", b->waiter ? b->waiter->cgroup : "");
		vst_out_kstr(o, "holder", name_of(b->holder, b->key.holder));
		vst_out_kstr(o, "holder_cgroup", b->holder ? b->holder->cgroup : "");
		resource_of_lock(o, a, b->key.what);
		if (!named_of(a, b->key.what)->frozen)
			lock(o, a, b->key.what);
		object(o, &b->object);
		vst_out_kstr(o, "evidence", vst_lock_evidence_name(VST_LOCK_WHAT_EVIDENCE(b->key.what)));
		vst_out_ku64(o, "waits", b->waits);
		waiting(o, a, &b->waiting);
		vst_out_kdouble(o, "wait_us", (double)b->waiting.total_ns / 1e3, 3);
		stack(o, b->stack);
		vst_out_raw(o, "}\n");
	}
	for (p = vst_blame_pairs(a->blame); p; p = p->hh.next)
		pair(o, a, p);
}
