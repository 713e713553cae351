/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl locks: who waits for which lock of the kernel's, and how long. */
#include <math.h>
#include "format.h"
#include "growth.h"
#include "rows.h"
#include "table.h"

/* Rows of the same container and lock, which may be many objects, or have been taken for many. */
struct entry {
	const json_t *row; /* one of them */
	double waits, total_us, max_us;
	__u64 hist[VST_HIST_BUCKETS];
};

static bool same(const json_t *a, const json_t *b)
{
	static const char *const fields[] = { "cgroup", "container", "lock", "lock_type", "named_by" };

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(vst_growth_text(a, fields[i]), vst_growth_text(b, fields[i])) != 0)
			return false;
	return true;
}

static int by_total(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->total_us > y->total_us ? -1 : x->total_us < y->total_us;
}

static void add_growth(struct entry *e, const json_t *row, const json_t *before)
{
	const json_t *wait = json_object_get(row, "wait"), *old = json_object_get(before, "wait");
	__u64 grown[VST_HIST_BUCKETS] = { 0 };

	e->waits += vst_growth_of(row, before, "waits");
	e->total_us += vst_growth_of(wait, old, "sum_us");
	vst_growth_buckets(wait, old, grown);
	e->max_us = fmax(e->max_us, vst_growth_max(wait, old, grown));
	for (int i = 0; i < VST_HIST_BUCKETS; i++)
		e->hist[i] += grown[i];
}

/* What grew, most wait first. The caller frees. */
static struct entry *entries(const struct vst_growth *g, size_t *ret_n)
{
	struct entry *list = NULL;
	size_t n = 0, cap = 0, i;
	const char *id;
	json_t *row;

	json_object_foreach(g->now, id, row)
	{
		const json_t *before = vst_growth_before(g, id);

		if (!(vst_growth_of(row, before, "waits") > 0))
			continue;
		for (i = 0; i < n && !same(list[i].row, row); i++)
			;
		if (i == n) {
			list = vst_grow(list, n, &cap, sizeof(*list));
			memset(&list[n++], 0, sizeof(*list));
			list[i].row = row;
		}
		add_growth(&list[i], row, before);
	}
	qsort(list, n, n ? sizeof(*list) : 1, by_total);
	*ret_n = n;
	return list;
}

static json_t *rounded(double v)
{
	return json_real(round(v * 1e3) / 1e3);
}

static void print_json(const struct vst_growth *g, const struct entry *e)
{
	json_t *o = json_object(), *wait = json_object();

	json_object_set_new(o, "schema", json_integer(1));
	json_object_set(o, "time", json_object_get(g->snapshot, "time"));
	json_object_set_new(o, "interval", json_real(round(vst_growth_interval(g) * 1e6) / 1e6));
	json_object_set(o, "container", json_object_get(e->row, "container"));
	json_object_set(o, "cgroup", json_object_get(e->row, "cgroup"));
	json_object_set(o, "lock", json_object_get(e->row, "lock"));
	json_object_set(o, "type", json_object_get(e->row, "lock_type"));
	json_object_set(o, "named_by", json_object_get(e->row, "named_by"));
	json_object_set_new(o, "waits", json_integer((json_int_t)e->waits));
	json_object_set_new(wait, "total", rounded(e->total_us));
	json_object_set_new(wait, "p50", rounded(vst_dense_quantile(e->hist, 0.5, e->max_us)));
	json_object_set_new(wait, "p99", rounded(vst_dense_quantile(e->hist, 0.99, e->max_us)));
	json_object_set_new(wait, "max", rounded(e->max_us));
	json_object_set_new(o, "wait_us", wait);
	vst_json_line(o);
}

static const struct vst_table_column columns[] = {
	{ "CONTAINER", VST_COL_NAME, 0 },
	{ "LOCK", VST_COL_NAME, 0 },
	{ "TYPE", 0, 3 },
	{ "NAMED BY", 0, 4 },
	{ "WAITS", VST_COL_RIGHT, 0 },
	{ "TOTAL", VST_COL_RIGHT, 0 },
	{ "P99", VST_COL_RIGHT, 1 },
	{ "MAX", VST_COL_RIGHT, 2 },
};

static void add_row(struct vst_table *t, const struct entry *e)
{
	char buf[VST_CELL];

	vst_table_add_name(t, vst_growth_text(e->row, "container"));
	vst_table_add_name(t, vst_growth_text(e->row, "lock"));
	vst_table_add_name(t, vst_growth_text(e->row, "lock_type"));
	vst_table_add_name(t, vst_growth_text(e->row, "named_by"));
	vst_format_count(buf, e->waits, VST_UNITS_HUMAN);
	vst_table_add(t, buf);
	vst_format_us(buf, e->total_us, VST_UNITS_HUMAN);
	vst_table_add(t, buf);
	vst_format_us(buf, vst_dense_quantile(e->hist, 0.99, e->max_us), VST_UNITS_HUMAN);
	vst_table_add(t, buf);
	vst_format_us(buf, e->max_us, VST_UNITS_HUMAN);
	vst_table_add(t, buf);
}

static void show(const struct vst_ctl *ctl, const struct vst_growth *g)
{
	struct vst_table *t;
	struct entry *list;
	size_t n;

	list = entries(g, &n);
	if (ctl->json) {
		for (size_t i = 0; i < n; i++)
			print_json(g, &list[i]);
	} else {
		t = vst_table_new(columns, sizeof(columns) / sizeof(columns[0]));
		vst_growth_head(g, n ? NULL : "nobody waited for a lock");
		for (size_t i = 0; i < n; i++)
			add_row(t, &list[i]);
		if (n)
			vst_table_print(t);
		vst_table_free(t);
	}
	free(list);
}

int vst_cmd_locks(const struct vst_ctl *ctl, int argc, char **argv)
{
	return vst_growth_run(ctl, "locks", "/v1/locks", "lock", show);
}
