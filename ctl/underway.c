/* SPDX-License-Identifier: GPL-2.0-only */
#include "format.h"
#include "phrase.h"
#include "underway.h"

/* --- collecting --- */

static int by_who_and_device(const void *a, const void *b)
{
	const struct vst_pending *x = a, *y = b;
	int d = vst_who_compare(&x->who, &y->who);

	return d ? d : strcmp(x->device, y->device);
}

static int by_age(const void *a, const void *b)
{
	const struct vst_pending *x = a, *y = b;

	/* a wait that is contained in another one began later, but it is the reason */
	if (x->contains != y->contains)
		return (int)x->contains - (int)y->contains;
	if (x->open.oldest_us > y->open.oldest_us || x->open.oldest_us < y->open.oldest_us)
		return x->open.oldest_us > y->open.oldest_us ? -1 : 1;
	return vst_who_compare(&x->who, &y->who);
}

/* Requests in flight, one for each container and device. Returns how many. */
static size_t take_requests(struct vst_pending *list, const struct vst_io_delta *d, size_t n)
{
	size_t used = 0, kept = 0;

	for (size_t i = 0; i < n; i++) {
		const struct vst_wire_row *row = d[i].row;
		struct vst_pending p = { .who = { row->container, row->cgroup },
					 .device = row->device,
					 .open = d[i].in_flight };

		if (!(p.open.n > 0))
			continue;
		if (row->op_index >= 0)
			p.ops[row->op_index] = p.open.n;
		list[used++] = p;
	}
	if (used)
		qsort(list, used, sizeof(*list), by_who_and_device);
	for (size_t i = 0; i < used; i++) {
		if (!kept || by_who_and_device(&list[kept - 1], &list[i])) {
			list[kept++] = list[i];
			continue;
		}
		vst_open_add(&list[kept - 1].open, &list[i].open);
		for (int op = 0; op < VST_OP__N; op++)
			list[kept - 1].ops[op] += list[i].ops[op];
	}
	return kept;
}

static bool is_open(const struct vst_wait *w, const void *unused)
{
	return w->open.n > 0;
}

/* ... because of somebody who is known. */
static bool is_open_and_of_others(const struct vst_wait *w, const void *unused)
{
	static const struct vst_who unknown = { "unattributed", "" };
	const struct vst_who holder = vst_wait_holder(w);

	return w->open.n > 0 && vst_wait_is_of_others(w, NULL) && vst_who_compare(&holder, &unknown);
}

/* Are these tasks waiting for requests of list[0..n), which are sorted? Then those say more. */
static bool has_requests(const struct vst_pending *list, size_t n, const struct vst_wait *w)
{
	const struct vst_pending key = { .who = vst_wait_waiter(w), .device = w->name };

	return !strcmp(w->resource->prefix, "device") && n && bsearch(&key, list, n, sizeof(*list), by_who_and_device);
}

/* Adds the waits of a group, but not those that are in `before` as well, or that the first `requests` of the list tell. */
static void take_waits(struct vst_underway *u, const struct vst_waits *group, const struct vst_waits *before,
		       size_t requests)
{
	for (size_t i = 0; group && i < group->n; i++) {
		const struct vst_wait *w = &group->list[i], *holder = u->holders ? vst_waits_find(u->holders, w) : NULL;
		struct vst_pending p = { .who = vst_wait_waiter(w), .wait = w, .open = w->open };

		if ((before && vst_waits_find(before, w)) || has_requests(u->list, requests, w))
			continue;
		if (holder)
			p.holder = vst_wait_holder(holder);
		u->list[u->n++] = p;
	}
}

static void mark_containing(struct vst_underway *u)
{
	for (size_t i = 0; i < u->n; i++) {
		struct vst_pending *p = &u->list[i];

		if (!p->wait || !p->wait->resource->overlaps)
			continue;
		for (size_t k = 0; k < u->n && !p->contains; k++)
			p->contains = k != i && !vst_who_compare(&p->who, &u->list[k].who) &&
				      !(u->list[k].wait && u->list[k].wait->resource->overlaps);
	}
}

static struct vst_waits *open_of(const struct vst_waits *w, vst_wait_keep *keep)
{
	return w ? vst_waits_group(w, VST_BY_WAITER | VST_BY_RESOURCE, keep, NULL) : NULL;
}

struct vst_underway *vst_underway_new(const struct vst_rows *rows, const struct vst_waits *waits,
				      const struct vst_waits *blame)
{
	struct vst_underway *u = vst_alloc(sizeof(*u));
	const struct vst_io_delta *deltas;
	size_t n;

	deltas = vst_rows_deltas(rows, &n);
	u->told = open_of(waits, is_open);
	u->pairs = open_of(blame, is_open);
	u->holders = open_of(blame, is_open_and_of_others);
	u->list = vst_alloc((n + (u->told ? u->told->n : 0) + (u->pairs ? u->pairs->n : 0)) * sizeof(*u->list));
	n = u->n = take_requests(u->list, deltas, n);
	take_waits(u, u->told, NULL, n);
	take_waits(u, u->pairs, u->told, n);
	mark_containing(u);
	if (u->n)
		qsort(u->list, u->n, sizeof(*u->list), by_age);
	return u;
}

void vst_underway_free(struct vst_underway *u)
{
	if (!u)
		return;
	vst_waits_free(u->told);
	vst_waits_free(u->pairs);
	vst_waits_free(u->holders);
	free(u->list);
	free(u);
}

/* --- sentences --- */

static void put_requests(FILE *out, const struct vst_pending *p)
{
	double known = 0;
	int told = 0;

	for (unsigned int op = 0; op < VST_OP__N; op++) {
		if (!(p->ops[op] > 0))
			continue;
		fprintf(out, "%s%.0f %s%s", told++ ? ", " : "", p->ops[op], vst_op_name(op),
			p->ops[op] < 2	     ? ""
			: op == VST_OP_FLUSH ? "es"
					     : "s");
		known += p->ops[op];
	}
	if (p->open.n > known)
		fprintf(out, "%s%.0f request%s", told ? ", " : "", p->open.n - known, p->open.n - known < 2 ? "" : "s");
}

static void put_label(FILE *out, struct vst_who_labels *labels, const struct vst_who *who)
{
	vst_phrase_name(out, vst_who_labels_find(labels, who));
}

char *vst_pending_sentence(const struct vst_pending *p, struct vst_who_labels *labels, bool brief)
{
	bool one = p->open.n < 2;
	struct vst_text t;

	vst_text_open(&t);
	put_label(t.out, labels, &p->who);
	fputs(" has waited ", t.out);
	vst_phrase_age(t.out, p->open.oldest_us);
	fputc(' ', t.out);
	if (!p->wait) {
		fputs("for ", t.out);
		vst_phrase_name(t.out, p->device);
		fputs(": ", t.out);
		put_requests(t.out, p);
		fputs(brief ? " in flight"
		      : one ? " is in flight and has not completed"
			    : " are in flight and have not completed",
		      t.out);
	} else {
		vst_phrase_resource(t.out, p->wait, p->wait->resource->at);
		if (p->holder.name) {
			fputs(" because of ", t.out);
			put_label(t.out, labels, &p->holder);
		}
		fprintf(t.out, one ? ": 1 task waits" : ": %.0f tasks wait", p->open.n);
	}
	if (!brief)
		fputc('.', t.out);
	return vst_text_close(&t);
}

json_t *vst_pending_json(const struct vst_pending *p)
{
	const char *kind = p->wait ? p->wait->resource->prefix : "device";
	json_t *o = json_object();

	json_object_set_new(o, "resource",
			    json_sprintf("%s%s%s", kind, *kind ? ":" : "", p->wait ? p->wait->name : p->device));
	vst_json_open(o, p->wait ? "waiting" : "in_flight", p->wait ? "tasks" : "ios", &p->open);
	if (p->holder.name) {
		json_object_set_new(o, "holder", json_string(p->holder.name));
		json_object_set_new(o, "holder_cgroup", json_string(p->holder.cgroup));
	}
	return o;
}
