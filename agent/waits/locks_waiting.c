// SPDX-License-Identifier: GPL-2.0-only
/* Waits for locks that go on. Their time is charged as it passes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/waits/lock_objects.h"
#include "agent/waits/locks_priv.h"

#define LOOKS 16	      /* objects that are looked at in a tick */
#define LOOK_AGE 100000000ULL /* ns that somebody has waited before */

/* What went on at the last look may have ended. */
static void begin(struct vst_locks *l)
{
	for (size_t i = 0; i < l->n_on_rows; i++)
		vst_waiting_begin(&l->on_rows[i]->at.on->waiting);
	for (size_t i = 0; i < l->n_on_blames; i++)
		vst_waiting_begin(&l->on_blames[i]->at.on->waiting);
}

void vst_locks_open_find(struct vst_locks *l, const struct vst_probes *probes, __u64 now_ns)
{
	const struct vst_lock_maps *m = &vst_probes_maps(probes)->lock;
	bool any = false;

	l->n_open = 0;
	begin(l);
	if (!m->open_tags || !vst_probes_watch_locks(probes))
		return;
	for (__u32 i = 0; i < VST_LOCK_WAIT_WAYS << VST_LOCK_WAIT_BITS && !any; i++)
		any = m->open_tags[i] != 0;
	if (!any)
		return;
	l->waits = vst_lock_maps_waits(m);
	if (l->waits)
		l->n_open = vst_lock_open_find(m->open_tags, l->waits->wait[0], now_ns, l->open, VST_LOCK_OPEN_MAX);
}

/* Forgets waits whose end was not shown to the probe. */
static void drop_stale(struct vst_locks *l, const struct vst_lock_maps *m, __u64 now_ns)
{
	const struct vst_lock_wait *first = l->waits ? l->waits->wait[0] : NULL, *w;
	size_t kept = 0;
	int looks = 0;
	__u64 tag;

	for (size_t i = 0; i < l->n_open; i++) {
		w = &l->open[i].w;
		if (w->start_ns + VST_LOCK_STALE_AGE <= now_ns && looks++ < LOOKS &&
		    vst_lock_stale(&l->suspects, w->pid, w->start_ns, vst_lock_switches(&l->suspects, w->pid))) {
			tag = m->open_tags[l->open[i].at - first];
			__sync_val_compare_and_swap(&m->open_tags[l->open[i].at - first], tag, 0);
			__sync_fetch_and_add(&m->state->lost[VST_LOCK_LOSS_NO_END].waits, 1);
			continue;
		}
		l->open[kept++] = l->open[i];
	}
	l->n_open = kept;
}

/* --- the rows and pairs that are concerned --- */

struct charging {
	struct vst_locks *l;
	const struct vst_lock_maps *m;
	struct vst_owners *owners;
	__u64 now_ns;
	double now;
	int err;
};

/* Room for one more in a list of pointers. */
static int list_grow(void **list, size_t n, size_t *cap)
{
	size_t more = *cap ? 2 * *cap : 64;
	void *grown;

	if (n < *cap)
		return 0;
	grown = realloc(*list, more * sizeof(void *));
	if (!grown)
		return -ENOMEM;
	*list = grown;
	*cap = more;
	return 0;
}

/* From now on somebody waits. */
static int on_begin(struct vst_wait_row *row, struct vst_lock_sums *at)
{
	if (!at->on) {
		at->on = calloc(1, sizeof(*at->on));
		if (!at->on)
			return -ENOMEM;
		at->on->waiting.total_ns = row->value->total_ns;
	}
	at->on->listed = true;
	return 0;
}

static int row_on(struct vst_locks *l, struct vst_lock_row *row)
{
	if (row->at.on && row->at.on->listed)
		return 0;
	if (list_grow((void **)&l->on_rows, l->n_on_rows, &l->cap_on_rows) || on_begin(&row->row, &row->at))
		return -ENOMEM;
	l->on_rows[l->n_on_rows++] = row;
	return 0;
}

static int blame_on(struct vst_locks *l, struct vst_lock_blame *b)
{
	if (b->at.on && b->at.on->listed)
		return 0;
	if (list_grow((void **)&l->on_blames, l->n_on_blames, &l->cap_on_blames) || on_begin(&b->row, &b->at))
		return -ENOMEM;
	l->on_blames[l->n_on_blames++] = b;
	return 0;
}

static void on_part(void *arg, const struct vst_lock_wait *w, __u64 holder, __u32 evidence, __u64 ns)
{
	struct charging *c = arg;
	struct vst_lock_blame *b;

	b = vst_locks_blame_of(c->l, c->m, w->waiter, holder, w->what | evidence, c->owners, c->now);
	if (!b || blame_on(c->l, b)) {
		c->err = -ENOMEM;
		return;
	}
	vst_waiting_add(&b->at.on->waiting, w->start_ns, ns);
}

static void charge(struct charging *c, const struct vst_lock_wait *w)
{
	struct vst_lock_row *row = vst_locks_row_of(c->l, c->m, w->waiter, w->what, c->owners, c->now);

	if (!row || row_on(c->l, row)) {
		c->err = -ENOMEM;
		return;
	}
	vst_waiting_add(&row->at.on->waiting, w->start_ns, w->start_ns < c->now_ns ? c->now_ns - w->start_ns : 0);
	vst_lock_open_divide(c->l->waits->turns, w, c->now_ns, on_part, c);
}

/* What was charged for waits whose end nobody will see has to stay. */
static void on_end(struct vst_lock_sums *at)
{
	if (at->on->listed || at->on->waiting.lost_ns)
		return;
	free(at->on);
	at->on = NULL;
}

/* Into the row's value. False: nobody waits any more. */
static bool end(struct charging *c, struct vst_wait_row *row, struct vst_lock_sums *at, bool watched)
{
	struct vst_snap_wait *v = vst_wait_row_change(c->l->wait_rows, row, 0);
	struct vst_waiting *w = &at->on->waiting;

	if (watched)
		vst_waiting_end(w, at->ended_ns);
	else
		vst_waiting_forget(w, at->ended_ns);
	at->on->listed = w->tasks > 0;
	row->changed_at = c->now;
	if (!v) { /* the next look at a row that is listed tells it */
		at->on->listed = true;
		c->err = -ENOMEM;
		return true;
	}
	v->total_ns = w->total_ns;
	v->waiting = w->tasks;
	v->oldest_ns = w->oldest_ns;
	on_end(at);
	return at->on && at->on->listed;
}

static void end_all(struct charging *c, bool watched)
{
	struct vst_locks *l = c->l;
	size_t kept = 0, i;

	for (i = 0; i < l->n_on_rows; i++)
		if (end(c, &l->on_rows[i]->row, &l->on_rows[i]->at, watched))
			l->on_rows[kept++] = l->on_rows[i];
	l->n_on_rows = kept;
	for (i = kept = 0; i < l->n_on_blames; i++)
		if (end(c, &l->on_blames[i]->row, &l->on_blames[i]->at, watched))
			l->on_blames[kept++] = l->on_blames[i];
	l->n_on_blames = kept;
}

/* --- of which file, file system or disk --- */

static void part_object(void *arg, const struct vst_lock_wait *w, __u64 holder, __u32 evidence, __u64 ns)
{
	struct charging *c = arg;
	char text[VST_LOCK_OBJECT_TEXT];
	struct vst_lock_blame *b;

	b = vst_locks_blame_of(c->l, c->m, w->waiter, holder, w->what | evidence, c->owners, c->now);
	if (b && b->at.on && b->at.on->waiting.oldest_ns == w->start_ns &&
	    vst_lock_object_text(c->m->objects, w->lock, text))
		vst_wait_row_texts(&b->row, &(struct vst_wait_texts){ .object = text });
}

static void look_at_objects(struct charging *c, const struct vst_probes *probes)
{
	struct vst_locks *l = c->l;
	char text[VST_LOCK_OBJECT_TEXT];
	struct vst_lock_row *row;
	int looks = 0;

	for (size_t i = 0; i < l->n_open && looks < LOOKS; i++) {
		const struct vst_lock_wait *w = &l->open[i].w;

		if (w->start_ns + LOOK_AGE > c->now_ns)
			continue;
		row = vst_locks_row_of(l, c->m, w->waiter, w->what, c->owners, c->now);
		if (!row || !row->at.on || row->at.on->waiting.oldest_ns != w->start_ns)
			continue;
		looks++;
		vst_lock_naming_want(l->naming, w->what);
		vst_probes_look_lock(probes, w->lock, VST_LOCK_WHAT_CLASS(w->what));
		if (!vst_lock_object_text(c->m->objects, w->lock, text))
			continue;
		vst_wait_row_texts(&row->row, &(struct vst_wait_texts){ .object = text });
		vst_lock_open_divide(l->waits->turns, w, c->now_ns, part_object, c);
	}
}

__u64 vst_locks_oldest_ns(const struct vst_locks *l)
{
	__u64 oldest = 0;

	for (size_t i = 0; i < l->n_on_rows; i++) {
		__u64 since = l->on_rows[i]->at.on->waiting.oldest_ns;

		if (since && (!oldest || since < oldest))
			oldest = since;
	}
	return oldest;
}

int vst_locks_open_collect(struct vst_locks *l, const struct vst_probes *probes, struct vst_owners *owners,
			   __u64 now_ns)
{
	struct charging c = { .l = l,
			      .m = &vst_probes_maps(probes)->lock,
			      .owners = owners,
			      .now_ns = now_ns,
			      .now = (double)now_ns / 1e9 };

	drop_stale(l, c.m, now_ns);
	for (size_t i = 0; i < l->n_open && !c.err; i++)
		charge(&c, &l->open[i].w);
	end_all(&c, vst_probes_watch_locks(probes));
	if (!c.err)
		look_at_objects(&c, probes);
	if (l->waits)
		vst_lock_maps_waits_end(l->waits);
	l->waits = NULL;
	return c.err;
}
