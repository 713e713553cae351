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

/* --- texts that rows share --- */

static unsigned int hash_text(unsigned int h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 16777619U;
	return h * 16777619U;
}

static bool same_texts(const struct vst_snap_wait *x, const struct vst_snap_wait *y)
{
	return !strcmp(x->name, y->name) && !strcmp(x->evidence, y->evidence) && !strcmp(x->object, y->object) &&
	       !x->n_stack && !y->n_stack;
}

/* For a value whose texts are not its own (yet): those of another one that has the same, or copies. 0 or -ENOMEM. */
static int texts_share(struct vst_wait_rows *rows, struct vst_snap_wait *v)
{
	unsigned int h = hash_text(hash_text(hash_text(2166136261U, v->name), v->evidence), v->object);
	struct vst_snap_wait **at = &rows->shared[(h ^ h >> 16) % VST_WAIT_TEXTS];

	if (*at && same_texts(*at, v)) {
		vst_value_share_texts(v, *at);
		return 0;
	}
	if (vst_value_own_texts(VST_SNAP_WAITS, v))
		return -ENOMEM;
	if (v->n_stack)
		return 0;
	vst_value_unref(*at);
	*at = vst_value_ref(v);
	return 0;
}

/* --- rows --- */

int vst_wait_row_init(struct vst_wait_rows *rows, struct vst_wait_row *row, enum vst_wait_type type,
		      enum vst_wait_side side, struct vst_container *waiter, struct vst_container *holder)
{
	struct vst_snap_wait *v = vst_value_new(VST_SNAP_WAITS);

	if (!v)
		return -ENOMEM;
	v->name = v->evidence = v->object = (char *)"";
	if (texts_share(rows, v)) {
		v->name = v->evidence = v->object = NULL; /* not its own */
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

/* rows: NULL, unless the texts may be shared. */
static void texts_set(struct vst_wait_rows *rows, struct vst_snap_wait *w, const struct vst_wait_texts *t)
{
	struct vst_snap_wait keep = *w;
	bool changed;

	changed = set(&w->name, t->name);
	changed = set(&w->object, t->object) || changed;
	changed = set(&w->evidence, t->evidence) || changed;
	if (t->stack && !same_stack(w, t)) {
		w->stack = (char **)t->stack;
		w->n_stack = t->n_stack;
		changed = true;
	}
	if (changed && (rows ? texts_share(rows, w) : vst_value_own_texts(VST_SNAP_WAITS, w))) {
		w->name = keep.name; /* out of memory: as they were */
		w->object = keep.object;
		w->evidence = keep.evidence;
		w->stack = keep.stack;
		w->n_stack = keep.n_stack;
	}
}

void vst_wait_row_texts(struct vst_wait_row *row, const struct vst_wait_texts *texts)
{
	texts_set(NULL, row->value, texts);
}

void vst_wait_row_texts_shared(struct vst_wait_rows *rows, struct vst_wait_row *row, const struct vst_wait_texts *texts)
{
	texts_set(rows, row->value, texts);
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
	for (unsigned int i = 0; i < VST_WAIT_TEXTS; i++) {
		vst_value_unref(rows->shared[i]);
		rows->shared[i] = NULL;
	}
	vst_places_free(&rows->places);
}
