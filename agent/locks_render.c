// SPDX-License-Identifier: GPL-2.0-only
#include <sys/time.h>

#include "agent/locks.h"
#include "agent/locks_render.h"

static void begin(struct vst_out *o, const char *type)
{
	vst_out_raw(o, "{\"schema\":1");
	vst_out_kstr(o, "type", type);
}

static void snapshot(struct vst_out *o, const struct vst_agent *a)
{
	const struct vst_lock_state *s = vst_probes_maps(a->probes)->lock.state;
	struct timeval tv;

	gettimeofday(&tv, NULL);
	begin(o, "snapshot");
	vst_out_kstr(o, "instance", a->instance);
	vst_out_kdouble(o, "time", (double)tv.tv_sec + (double)tv.tv_usec / 1e6, 6);
	vst_out_kdouble(o, "uptime", a->collected - a->started, 6);
	vst_out_kbool(o, "watched", s != NULL);
	vst_out_key(o, "lost");
	vst_out_raw(o, "{");
	for (int i = 0; s && i < VST_LOCK_LOSS__N; i++)
		vst_out_ku64(o, vst_lock_loss_name(i), s->lost[i].waits);
	vst_out_raw(o, "}}\n");
}

static const char *name_of(const struct vst_container *c, __u64 owner)
{
	return c ? c->display : owner == VST_LOCK_KERNEL ? "kernel" : "unattributed";
}

static void lock(struct vst_out *o, const struct vst_agent *a, __u64 what)
{
	const struct vst_lock_named *named = vst_locks_named(a->locks, what);

	vst_out_kstr(o, "lock", named->name);
	vst_out_kstr(o, "lock_type", vst_lock_type_name(VST_LOCK_WHAT_TYPE(what)));
	vst_out_kstr(o, "named_by", vst_lock_named_by_name(named->by));
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

void vst_render_locks(struct vst_out *o, const struct vst_agent *a)
{
	const struct vst_lock_row *row;

	snapshot(o, a);
	for (row = vst_locks_rows(a->locks); row; row = row->hh.next) {
		begin(o, "lock");
		vst_out_ku64(o, "row", row->id);
		vst_out_kstr(o, "container", name_of(row->waiter, row->key.owner));
		vst_out_kstr(o, "cgroup", row->waiter ? row->waiter->cgroup : "");
		lock(o, a, row->key.what);
		vst_out_ku64(o, "waits", row->waits);
		vst_out_key(o, "wait");
		vst_out_raw(o, "{");
		vst_out_kdouble(o, "sum_us", (double)row->total_ns / 1e3, 3);
		vst_out_kdouble(o, "max_us", (double)row->max_ns / 1e3, 3);
		buckets(o, &row->hist);
		vst_out_raw(o, "}}\n");
	}
}

void vst_render_blame(struct vst_out *o, const struct vst_agent *a)
{
	const struct vst_lock_blame *b;

	snapshot(o, a);
	for (b = vst_locks_blames(a->locks); b; b = b->hh.next) {
		begin(o, "blame");
		vst_out_ku64(o, "row", b->id);
		vst_out_kstr(o, "waiter", name_of(b->waiter, b->key.waiter));
		vst_out_kstr(o, "waiter_cgroup", b->waiter ? b->waiter->cgroup : "");
		vst_out_kstr(o, "holder", name_of(b->holder, b->key.holder));
		vst_out_kstr(o, "holder_cgroup", b->holder ? b->holder->cgroup : "");
		lock(o, a, b->key.what);
		vst_out_kstr(o, "evidence", vst_lock_evidence_name(VST_LOCK_WHAT_EVIDENCE(b->key.what)));
		vst_out_ku64(o, "waits", b->waits);
		vst_out_kdouble(o, "wait_us", (double)b->ns / 1e3, 3);
		vst_out_raw(o, "}\n");
	}
}
