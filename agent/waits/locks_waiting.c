// SPDX-License-Identifier: GPL-2.0-only
/* Waits for locks that go on. Their time is charged as it passes. */
#include <errno.h>
#include <string.h>

#include "agent/waits/lock_objects.h"
#include "agent/waits/locks_priv.h"

#define TRIES 8		      /* each takes microseconds, and waits of a millisecond and more are few */
#define LOOKS 16	      /* objects that are looked at in a tick */
#define LOOK_AGE 100000000ULL /* ns that somebody has waited before */

void vst_locks_open_find(struct vst_locks *l, const struct vst_probes *probes, __u64 now_ns)
{
	const struct vst_lock_maps *m = &vst_probes_maps(probes)->lock;
	const struct vst_lock_open *open;
	bool any = false;

	l->n_open = 0;
	if (!m->open_tags || !vst_probes_watch_locks(probes))
		return;
	for (__u32 i = 0; i < VST_LOCK_WAIT_WAYS << VST_LOCK_WAIT_BITS && !any; i++)
		any = m->open_tags[i] != 0;
	if (!any)
		return;
	if (!l->waits)
		l->waits = vst_lock_maps_waits(m);
	open = l->waits;
	if (open)
		l->n_open = vst_lock_open_find(m->open_tags, open->wait[0], now_ns, l->open, VST_LOCK_OPEN_MAX);
}

/* --- the rows and pairs that are concerned --- */

static void row_concerned(struct vst_locks *l, struct vst_lock_row *row)
{
	if (row->is_waited)
		return;
	row->is_waited = true;
	row->next_waited = l->waited;
	l->waited = row;
}

static void blame_concerned(struct vst_locks *l, struct vst_lock_blame *b)
{
	if (b->is_waited)
		return;
	b->is_waited = true;
	b->next_waited = l->blamed;
	l->blamed = b;
}

struct charging {
	struct vst_locks *l;
	struct vst_owners *owners;
	double now;
	int err;
};

static void on_part(void *arg, const struct vst_lock_wait *w, __u64 holder, __u32 evidence, __u64 ns)
{
	struct vst_lock_who who = { w->waiter, holder, w->what | evidence };
	struct charging *c = arg;
	struct vst_lock_blame *b = vst_locks_blame_of(c->l, &who, c->owners, c->now);

	if (!b) {
		c->err = -ENOMEM;
		return;
	}
	blame_concerned(c->l, b);
	b->changed_at = c->now;
	vst_waiting_add(&b->waiting, w->start_ns, ns);
}

static void each_wait(struct charging *c, __u64 now_ns)
{
	struct vst_locks *l = c->l;
	struct vst_lock_row *row;

	for (size_t i = 0; i < l->n_open && !c->err; i++) {
		const struct vst_lock_wait *w = &l->open[i].w;

		row = vst_locks_row_of(l, w->waiter, w->what, c->owners, c->now);
		if (!row) {
			c->err = -ENOMEM;
			return;
		}
		row_concerned(l, row);
		row->changed_at = c->now;
		vst_waiting_add(&row->waiting, w->start_ns, w->start_ns < now_ns ? now_ns - w->start_ns : 0);
		vst_lock_open_divide(l->waits->turns, w, now_ns, on_part, c);
	}
}

static void end_rows(struct vst_locks *l, bool watched)
{
	struct vst_lock_row **at = &l->waited, *row;

	while ((row = *at)) {
		if (watched)
			vst_waiting_end(&row->waiting, row->total_ns);
		else
			vst_waiting_forget(&row->waiting, row->total_ns);
		row->is_waited = row->waiting.tasks > 0;
		if (row->is_waited)
			at = &row->next_waited;
		else
			*at = row->next_waited;
	}
}

static void end_blames(struct vst_locks *l, bool watched)
{
	struct vst_lock_blame **at = &l->blamed, *b;

	while ((b = *at)) {
		if (watched)
			vst_waiting_end(&b->waiting, b->ns);
		else
			vst_waiting_forget(&b->waiting, b->ns);
		b->is_waited = b->waiting.tasks > 0;
		if (b->is_waited)
			at = &b->next_waited;
		else
			*at = b->next_waited;
	}
}

/* --- of which file, file system or disk --- */

static void look_at_objects(struct vst_locks *l, const struct vst_probes *probes, struct vst_owners *owners,
			    __u64 now_ns)
{
	const struct vst_lock_maps *m = &vst_probes_maps(probes)->lock;
	double now = (double)now_ns / 1e9;
	char text[VST_LOCK_OBJECT_TEXT];
	struct vst_lock_row *row;
	int looks = 0;

	for (size_t i = 0; i < l->n_open && looks < LOOKS; i++) {
		const struct vst_lock_wait *w = &l->open[i].w;

		if (w->start_ns + LOOK_AGE > now_ns)
			continue;
		row = vst_locks_row_of(l, w->waiter, w->what, owners, now);
		if (!row || row->waiting.oldest_ns != w->start_ns)
			continue;
		looks++;
		vst_lock_naming_want(l->naming, w->what);
		vst_probes_look_lock(probes, w->lock, VST_LOCK_WHAT_CLASS(w->what));
		if (vst_lock_object_text(m->objects, w->lock, text))
			vst_locks_longest_set(&row->object, text, now_ns - w->start_ns, now);
		row->pid = w->pid;
	}
}

int vst_locks_open_collect(struct vst_locks *l, const struct vst_probes *probes, struct vst_owners *owners,
			   __u64 now_ns)
{
	struct charging c = { .l = l, .owners = owners, .now = (double)now_ns / 1e9 };
	bool watched = vst_probes_watch_locks(probes);

	each_wait(&c, now_ns);
	end_rows(l, watched);
	end_blames(l, watched);
	look_at_objects(l, probes, owners, now_ns);
	if (l->waits)
		vst_lock_maps_waits_end(l->waits);
	l->waits = NULL;
	return c.err;
}
