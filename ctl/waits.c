/* SPDX-License-Identifier: GPL-2.0-only */
#include <stddef.h>
#include "format.h"
#include "waits.h"

static const struct vst_resource resources[] = {
	{ "lock", "on %s", NULL, "on %s", true, false },
	{ "journal", "on %s's journal", NULL, "for %s's journal", false, false },
	{ "device", "in %s's queue", "behind", "for %s", false, false },
	{ "dirty", "on dirty pages that %s has to write first", NULL, "for %s to write dirty pages", false, false },
	{ "freeze", "on the frozen file system of %s", NULL, "for the frozen file system of %s", false, false },
	{ "fsync", "in fsync on %s", NULL, "in fsync on %s", false, true },
	{ "", "on %s", NULL, "on %s", false, false },
};
#define RESOURCES (sizeof(resources) / sizeof(resources[0]))

static const struct {
	const char *name, *remark;
} evidences[] = {
	{ "owner", NULL },
	{ "last", "is blamed on the last who was seen to get the lock: a good guess" },
	{ "share", "is divided among those who were served meanwhile" },
	{ "none", "has no known cause" },
};

const char *vst_evidence_remark(const char *evidence)
{
	for (size_t i = 0; i < sizeof(evidences) / sizeof(evidences[0]); i++)
		if (!strcmp(evidences[i].name, evidence))
			return evidences[i].remark;
	return "has a kind of evidence that this vstorctl does not know";
}

const struct vst_resource *vst_resource_find(const char *text, const char **ret_name)
{
	for (size_t i = 0; i < RESOURCES - 1; i++) {
		size_t len = strlen(resources[i].prefix);

		if (strncmp(text, resources[i].prefix, len) != 0 || text[len] != ':')
			continue;
		*ret_name = text + len + 1;
		return &resources[i];
	}
	*ret_name = text;
	return &resources[RESOURCES - 1];
}

char *vst_resource_text(const struct vst_wait *w)
{
	char *text = vst_alloc(strlen(w->resource->prefix) + strlen(w->name) + 2);

	sprintf(text, "%s%s%s", w->resource->prefix, *w->resource->prefix ? ":" : "", w->name);
	return text;
}

bool vst_wait_is_lock(const struct vst_wait *w, const void *unused)
{
	return w->resource == &resources[0];
}

bool vst_wait_is_of_others(const struct vst_wait *w, const void *unused)
{
	const struct vst_who waiter = vst_wait_waiter(w), holder = vst_wait_holder(w);

	return vst_who_compare(&waiter, &holder) != 0;
}

double vst_wait_quantile(const struct vst_wait *w, double q)
{
	return w->hist ? vst_histogram_quantile(w->hist, q) : VST_NO_TIME;
}

double vst_wait_max(const struct vst_wait *w)
{
	return w->hist ? (double)w->hist->max_ns / 1e3 : VST_NO_TIME;
}

/* --- groups --- */

static const struct {
	unsigned int key;
	size_t at;
} fields[] = {
	{ VST_BY_RESOURCE, offsetof(struct vst_wait, name) },
	{ VST_BY_EVIDENCE, offsetof(struct vst_wait, evidence) },
	{ VST_BY_NAMING, offsetof(struct vst_wait, type) },
	{ VST_BY_NAMING, offsetof(struct vst_wait, named_by) },
};

static int compare(const struct vst_wait *x, const struct vst_wait *y, unsigned int by)
{
	const struct vst_who waiters[] = { vst_wait_waiter(x), vst_wait_waiter(y) };
	const struct vst_who holders[] = { vst_wait_holder(x), vst_wait_holder(y) };
	int d = by & VST_BY_WAITER ? vst_who_compare(&waiters[0], &waiters[1]) : 0;

	if (!d && by & VST_BY_HOLDER)
		d = vst_who_compare(&holders[0], &holders[1]);
	for (size_t i = 0; !d && i < sizeof(fields) / sizeof(fields[0]); i++)
		if (by & fields[i].key)
			d = strcmp(*(const char *const *)((const char *)x + fields[i].at),
				   *(const char *const *)((const char *)y + fields[i].at));
	if (!d && by & VST_BY_RESOURCE)
		d = strcmp(x->resource->prefix, y->resource->prefix);
	return d;
}

static int by_key(const void *a, const void *b, void *by)
{
	return compare(a, b, *(const unsigned int *)by);
}

static int by_time(const void *a, const void *b)
{
	const struct vst_wait *x = a, *y = b;

	return x->us > y->us ? -1 : x->us < y->us ? 1 : compare(x, y, VST_BY_ALL);
}

void vst_waits_by_time(struct vst_waits *w)
{
	w->by = 0;
	if (w->n)
		qsort(w->list, w->n, sizeof(*w->list), by_time);
}

/* A wait that is not added up yet: it is itself the longest. */
static void own_texts(struct vst_wait *w)
{
	w->merged = 1;
	w->longest = w->us;
	w->object_us = *w->object ? w->us : -1;
	w->stack_us = w->stack ? w->us : -1;
}

static void merge(struct vst_wait *into, struct vst_wait *w)
{
	const struct vst_wait *object = w->object_us > into->object_us ? w : into;
	const struct vst_wait *stack = w->stack_us > into->stack_us ? w : into;
	struct vst_wait sum = w->longest > into->longest ? *w : *into;

	sum.object = object->object;
	sum.object_us = object->object_us;
	sum.stack = stack->stack;
	sum.stack_us = stack->stack_us;
	sum.waits = into->waits + w->waits;
	sum.us = into->us + w->us;
	sum.open = into->open;
	vst_open_add(&sum.open, &w->open);
	sum.merged = into->merged + w->merged;
	sum.hist = into->hist ? into->hist : w->hist;
	if (into->hist && w->hist) {
		vst_histogram_merge(into->hist, w->hist);
		free(w->hist);
	}
	*into = sum;
}

/* Sorts by a key, and merges waits whose keys are equal. */
static void fold(struct vst_waits *w, unsigned int by)
{
	size_t kept = 0;

	w->by = by;
	if (w->n)
		qsort_r(w->list, w->n, sizeof(*w->list), by_key, &w->by);
	for (size_t i = 0; i < w->n; i++) {
		if (kept && !compare(&w->list[kept - 1], &w->list[i], by))
			merge(&w->list[kept - 1], &w->list[i]);
		else
			w->list[kept++] = w->list[i];
	}
	w->n = kept;
}

struct vst_waits *vst_waits_group(const struct vst_waits *all, unsigned int by, vst_wait_keep *keep, const void *arg)
{
	struct vst_waits *w = vst_alloc(sizeof(*w));

	*w = *all;
	w->n = 0;
	w->list = vst_alloc(all->n * sizeof(*w->list));
	for (size_t i = 0; i < all->n; i++) {
		struct vst_wait *one = &w->list[w->n];

		if (keep && !keep(&all->list[i], arg))
			continue;
		*one = all->list[i];
		own_texts(one);
		if (one->hist)
			one->hist = memcpy(vst_alloc(sizeof(*one->hist)), one->hist, sizeof(*one->hist));
		w->n++;
	}
	fold(w, by);
	return w;
}

const struct vst_wait *vst_waits_find(const struct vst_waits *group, const struct vst_wait *w)
{
	size_t from = 0, to = group->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int d = compare(w, &group->list[middle], group->by);

		if (!d)
			return &group->list[middle];
		if (d < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

static bool is_a_part(const struct vst_wait *w, const void *unused)
{
	return !w->resource->overlaps;
}

struct vst_waits *vst_waits_complete(const struct vst_waits *blame, const struct vst_waits *waits)
{
	struct vst_waits *ret = vst_waits_group(blame, VST_BY_ALL, is_a_part, NULL), *known;
	size_t cap = ret->n;

	known = vst_waits_group(blame, VST_BY_WAITER | VST_BY_RESOURCE, NULL, NULL);
	for (size_t i = 0; waits && i < waits->n; i++) {
		struct vst_wait one = waits->list[i];

		if (one.resource->overlaps || vst_waits_find(known, &one))
			continue;
		one.holder = "unattributed";
		one.holder_cgroup = "";
		one.evidence = "none";
		one.hist = NULL;
		ret->list = vst_grow(ret->list, ret->n, &cap, sizeof(*ret->list));
		ret->list[ret->n++] = one;
	}
	vst_waits_free(known);
	vst_waits_by_time(ret);
	return ret;
}

double vst_waits_sum(const struct vst_waits *w)
{
	double us = 0;

	for (size_t i = 0; i < w->n; i++)
		us += w->list[i].us;
	return us;
}

/* --- rows --- */

/* One of two fields: the first that the row has. */
static const char *either(const json_t *row, const char *field, const char *other)
{
	const char *text = json_string_value(json_object_get(row, field));

	return text ? text : vst_wire_text(row, other);
}

/* What a histogram grew by. One of a wrong form has no samples. */
static struct vst_histogram *hist_of(const json_t *wait, const json_t *old)
{
	struct vst_histogram *h = vst_alloc(sizeof(*h));
	struct vst_times now, before;

	if (vst_wire_times(wait, &now) | vst_wire_times(old, &before))
		now.hist.n = before.hist.n = 0;
	vst_histogram_add(h, &now, &before);
	free(now.hist.bucket);
	free(before.hist.bucket);
	return h;
}

static struct vst_wait wait_of(const json_t *row, const json_t *before)
{
	const json_t *wait = json_object_get(row, "wait"), *old = json_object_get(before, "wait");
	const char *resource = json_string_value(json_object_get(row, "resource"));
	struct vst_wait w = {
		.waiter = either(row, "waiter", "container"),
		.waiter_cgroup = either(row, "waiter_cgroup", "cgroup"),
		.holder = vst_wire_text(row, "holder"),
		.holder_cgroup = vst_wire_text(row, "holder_cgroup"),
		.resource = &resources[0],
		.name = vst_wire_text(row, "lock"),
		.object = vst_wire_text(row, "object"),
		.type = vst_wire_text(row, "lock_type"),
		/* not of blame: there it is one row, however the name is known */
		.named_by = wait ? vst_wire_text(row, "named_by") : "",
		.evidence = vst_wire_text(row, "evidence"),
		.stack = json_object_get(row, "stack"),
		.waits = vst_growth_of(row, before, "waits"),
		.us = wait ? vst_growth_of(wait, old, "sum_us") : vst_growth_of(row, before, "wait_us"),
	};

	if (resource)
		w.resource = vst_resource_find(resource, &w.name);
	own_texts(&w);
	if (vst_wire_open(json_object_get(row, "waiting"), "tasks", &w.open))
		memset(&w.open, 0, sizeof(w.open)); /* of a form that this program does not know */
	if (wait && w.waits > 0)
		w.hist = hist_of(wait, old);
	return w;
}

static double lost_of(const struct vst_growth *g)
{
	const json_t *was = json_object_get(g->was, "lost");
	json_t *lost = json_object_get(g->snapshot, "lost"), *n;
	double sum = 0;
	const char *cause;

	json_object_foreach(lost, cause, n) sum += vst_growth_of(lost, was, cause);
	return sum;
}

struct vst_waits *vst_waits_new(const struct vst_growth *g)
{
	struct vst_waits *w = vst_alloc(sizeof(*w));
	struct vst_wait one;
	size_t cap = 0;
	const char *id;
	json_t *row;

	w->time = json_number_value(json_object_get(g->snapshot, "time"));
	w->interval = vst_growth_interval(g);
	w->watched = json_is_true(json_object_get(g->snapshot, "watched"));
	w->not_watched = json_object_get(g->snapshot, "not_watched");
	w->lost = lost_of(g);
	json_object_foreach(g->now, id, row)
	{
		one = wait_of(row, vst_growth_before(g, id));
		if (!(one.us > 0) && !one.hist && !(one.open.n > 0))
			continue;
		w->list = vst_grow(w->list, w->n, &cap, sizeof(*w->list));
		w->list[w->n++] = one;
	}
	fold(w, VST_BY_ALL);
	vst_waits_by_time(w);
	return w;
}

void vst_waits_free(struct vst_waits *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n; i++)
		free(w->list[i].hist);
	free(w->list);
	free(w);
}
