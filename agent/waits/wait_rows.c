// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "agent/waits/wait_rows.h"

struct vst_container vst_waits_others = { .place = VST_CONTAINER_OTHERS,
					  .cgroup = (char *)"",
					  .display = (char *)"others" };
struct vst_container vst_waits_kernel = { .place = VST_CONTAINER_KERNEL,
					  .cgroup = (char *)"",
					  .display = (char *)"kernel" };

static void mark(struct vst_wait_rows *rows, struct vst_wait_row *row)
{
	if (row->changed)
		return;
	row->changed = true;
	row->next_changed = rows->changed;
	rows->changed = row;
}

static void unmark(struct vst_wait_rows *rows, struct vst_wait_row *row)
{
	struct vst_wait_row **at = &rows->changed;

	if (!row->changed)
		return;
	while (*at != row)
		at = &(*at)->next_changed;
	*at = row->next_changed;
	row->changed = false;
}

int vst_wait_row_init(struct vst_wait_rows *rows, struct vst_wait_row *row, enum vst_wait_type type,
		      enum vst_wait_side side, struct vst_container *waiter, struct vst_container *holder)
{
	struct vst_snap_wait *v = vst_value_new(VST_SNAP_WAITS);

	if (!v || vst_value_own_texts(VST_SNAP_WAITS, v)) {
		vst_value_unref(v);
		return -ENOMEM;
	}
	row->place = vst_places_take(&rows->places);
	if (row->place == VST_NO_PLACE) {
		vst_value_unref(v);
		return -ENOMEM;
	}
	v->id = ++rows->last_id;
	v->type = type;
	v->side = side;
	row->value = v;
	row->waiter = waiter;
	row->holder = holder;
	waiter->rows++;
	if (holder)
		holder->rows++;
	mark(rows, row);
	return 0;
}

void vst_wait_row_end(struct vst_wait_rows *rows, struct vst_wait_row *row)
{
	unmark(rows, row);
	row->waiter->rows--;
	if (row->holder)
		row->holder->rows--;
	vst_places_give_back(&rows->places, row->place);
	vst_value_unref(row->value);
}

/* Copies the histogram of the value before, which may go. */
static void hist_copy(struct vst_snap_wait *v, const struct vst_snap_wait *old, void *room, unsigned int n)
{
	v->times.hist = (struct vst_sparse){ room, n ?: old->times.hist.n };
	if (!n && old->times.hist.n)
		memcpy(room, old->times.hist.bucket, old->times.hist.n * sizeof(struct vst_bucket));
	if (!v->times.hist.n)
		v->times.hist.bucket = NULL;
}

struct vst_snap_wait *vst_wait_row_change(struct vst_wait_rows *rows, struct vst_wait_row *row, unsigned int n_buckets)
{
	struct vst_snap_wait *old = row->value, *v;
	void *room;

	/* made since the last snapshot: it is nobody else's yet */
	if (row->changed && (!n_buckets || n_buckets == old->times.hist.n))
		return old;
	v = vst_value_copy(VST_SNAP_WAITS, old, (n_buckets ?: old->times.hist.n) * sizeof(struct vst_bucket), &room);
	if (!v)
		return NULL;
	hist_copy(v, old, room, n_buckets);
	row->value = v;
	vst_value_unref(old);
	mark(rows, row);
	return v;
}

static bool same_stack(const struct vst_snap_wait *w, const struct vst_wait_texts *t)
{
	if (w->n_stack != t->n_stack)
		return false;
	for (size_t i = 0; i < t->n_stack; i++)
		if (strcmp(w->stack[i], t->stack[i]))
			return false;
	return true;
}

static bool set(char **text, const char *to)
{
	if (!to || !strcmp(*text, to))
		return false;
	*text = (char *)to;
	return true;
}

void vst_wait_row_texts(struct vst_wait_row *row, const struct vst_wait_texts *t)
{
	struct vst_snap_wait *w = row->value, keep = *w;
	bool changed;

	changed = set(&w->name, t->name);
	changed = set(&w->object, t->object) || changed;
	changed = set(&w->evidence, t->evidence) || changed;
	if (t->stack && !same_stack(w, t)) {
		w->stack = (char **)t->stack;
		w->n_stack = t->n_stack;
		changed = true;
	}
	if (changed && vst_value_own_texts(VST_SNAP_WAITS, w)) { /* out of memory: as they were */
		w->name = keep.name;
		w->object = keep.object;
		w->evidence = keep.evidence;
		w->stack = keep.stack;
		w->n_stack = keep.n_stack;
	}
}

struct vst_wait_row *vst_wait_rows_changed(struct vst_wait_rows *rows)
{
	struct vst_wait_row *row = rows->changed;

	if (row) {
		rows->changed = row->next_changed;
		row->changed = false;
	}
	return row;
}

void vst_wait_rows_free(struct vst_wait_rows *rows)
{
	vst_places_free(&rows->places);
}
