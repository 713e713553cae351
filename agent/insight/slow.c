// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/insight/file_text.h"
#include "agent/insight/slow.h"

/* A request, and whose it is until its value is in a snapshot, NULL from then on. */
struct slow_request {
	struct vst_snap_slow *v;
	const struct vst_container *owner;
};

struct vst_slows {
	struct slow_request list[VST_SLOW_MAX]; /* the slowest first */
	unsigned int n, put;			/* .put: how many the last snapshot has */
};

int vst_slows_new(struct vst_slows **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void vst_slows_free(struct vst_slows *l)
{
	if (!l)
		return;
	for (unsigned int i = 0; i < l->n; i++)
		vst_value_unref(l->list[i].v);
	free(l);
}

static __u64 latency_of(const struct vst_snap_slow *v)
{
	return v->queue_ns + v->device_ns;
}

static void forget(struct vst_slows *l, double now)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < l->n; i++) {
		if (now - (double)l->list[i].v->ended_ns / 1e9 <= VST_SLOW_KEEP)
			l->list[kept++] = l->list[i];
		else
			vst_value_unref(l->list[i].v);
	}
	l->n = kept;
}

/* v is stolen. */
static void insert(struct vst_slows *l, struct vst_snap_slow *v, const struct vst_container *owner)
{
	unsigned int at = l->n;

	while (at && latency_of(l->list[at - 1].v) < latency_of(v))
		at--;
	if (at == VST_SLOW_MAX) {
		vst_value_unref(v);
		return;
	}
	if (l->n == VST_SLOW_MAX)
		vst_value_unref(l->list[--l->n].v);
	memmove(&l->list[at + 1], &l->list[at], (l->n - at) * sizeof(l->list[0]));
	l->list[at] = (struct slow_request){ v, owner };
	l->n++;
}

static void take(struct vst_slows *l, const struct vst_slow_io *io, const struct vst_io_table *t)
{
	const struct vst_io_row *row = io->row < VST_ROWS ? t->numbers[io->row].row : NULL;
	char text[VST_FILE_TEXT];
	struct vst_snap_slow *v;

	if (!row)
		return;
	v = vst_value_new(VST_SNAP_SLOWS);
	if (!v)
		return;
	vst_file_text(&io->file, text);
	v->file = strdup(text);
	if (!v->file) {
		vst_value_unref(v);
		return;
	}
	v->dev = row->value->dev;
	v->layer = row->value->layer;
	v->op = row->value->op;
	v->kind = row->value->kind;
	v->size = row->value->size;
	v->bytes = io->bytes;
	v->queue_ns = io->queue_ns;
	v->device_ns = io->device_ns;
	v->ended_ns = io->ended_ns;
	insert(l, v, row->container);
}

void vst_slows_collect(struct vst_slows *l, const struct vst_io_table *t, const struct vst_probes *probes,
		       struct vst_attrs *attrs, double now)
{
	const struct vst_maps *m = vst_probes_maps(probes);
	struct vst_slow *slow = m->slow;
	__u64 half = slow->turn & 1;

	forget(l, now);
	__atomic_store_n(&slow->turn, slow->turn + 1, __ATOMIC_RELEASE);
	/* a probe that is just writing to this half is late: what it writes is taken at the next turn but one, or lost */
	for (int g = 0; g < VST_SLOW_GROUPS; g++) {
		for (int i = 0; i < VST_SLOW_EACH; i++) {
			if (!__atomic_load_n(&slow->io[half][g][i].done, __ATOMIC_ACQUIRE))
				continue;
			take(l, &slow->io[half][g][i], t);
			vst_attrs_offer(attrs, m, &slow->io[half][g][i].file, now);
		}
		memset(slow->io[half][g], 0, sizeof(slow->io[half][g]));
		slow->floor[half][g] = 0;
	}
}

/* --- who was served meanwhile --- */

/* What containers completed on a device between two snapshots, those with most first. */
static void add_served(struct vst_snap_slow *v, __u32 container, __u64 ios)
{
	struct vst_served *m = v->meanwhile;
	unsigned int i;

	for (i = 0; i < VST_SERVED && m[i].ios && m[i].container != container; i++)
		;
	if (i == VST_SERVED) {
		if (m[--i].ios >= ios)
			return;
		m[i].ios = 0;
	}
	m[i].container = container;
	m[i].ios += ios;
	for (; i && m[i].ios > m[i - 1].ios; i--) {
		struct vst_served x = m[i];

		m[i] = m[i - 1];
		m[i - 1] = x;
	}
}

/* What a container completed since the snapshot before. */
struct completed {
	__u32 dev, container;
	__u64 ios;
	__u8 layer;
};

/* The rows that have grown, looked for once for all new requests. NULL: out of memory, nobody is named. */
static struct completed *find_completed(const struct vst_snapshot *s, const struct vst_snapshot *last, size_t *ret_n)
{
	const struct vst_snap_io *io, *was;
	struct completed *list;
	size_t n = 0;

	vst_snapshot_for_each(s, VST_SNAP_IOS, io, i) n += io->changed_seq == s->seq;
	list = calloc(n ?: 1, sizeof(*list));
	*ret_n = 0;
	if (!list)
		return NULL;
	vst_snapshot_for_each(s, VST_SNAP_IOS, io, i)
	{
		if (io->changed_seq != s->seq)
			continue;
		was = last ? vst_snapshot_io(last, i) : NULL;
		list[(*ret_n)++] = (struct completed){
			.dev = io->dev,
			.container = io->container,
			.ios = io->counts.counter[VST_COUNTER_ios] -
			       (was && was->id == io->id ? was->counts.counter[VST_COUNTER_ios] : 0),
			.layer = io->layer,
		};
	}
	return list;
}

static void find_served(struct vst_snap_slow *v, const struct completed *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].dev == v->dev && list[i].layer == v->layer && list[i].container != v->container &&
		    list[i].ios)
			add_served(v, list[i].container, list[i].ios);
}

int vst_slows_put(struct vst_slows *l, struct vst_snapshot *s, const struct vst_snapshot *last)
{
	struct completed *completed = NULL;
	size_t n = 0;
	int err = 0;

	for (unsigned int i = 0; i < l->n && !err; i++) {
		struct slow_request *r = &l->list[i];

		if (r->owner) {
			r->v->container = r->owner->place;
			r->owner = NULL;
			if (!completed)
				completed = find_completed(s, last, &n);
			find_served(r->v, completed, n);
		}
		err = vst_snapshot_put(s, VST_SNAP_SLOWS, i, vst_value_ref(r->v));
	}
	free(completed);
	for (unsigned int i = l->n; i < l->put && !err; i++)
		err = vst_snapshot_put(s, VST_SNAP_SLOWS, i, NULL);
	l->put = l->n;
	return err;
}
