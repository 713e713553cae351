/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl blame: who makes whom wait, and at what. */
#include <math.h>
#include "format.h"
#include "growth.h"
#include "table.h"

struct entry {
	const json_t *row; /* one of those that differ in nothing that is shown */
	double waits, wait_us;
};

static bool same(const json_t *a, const json_t *b)
{
	static const char *const fields[] = {
		"waiter_cgroup", "holder_cgroup", "waiter", "holder", "lock", "evidence"
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(vst_growth_text(a, fields[i]), vst_growth_text(b, fields[i])) != 0)
			return false;
	return true;
}

static int by_wait(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->wait_us > y->wait_us ? -1 : x->wait_us < y->wait_us;
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

		if (!(vst_growth_of(row, before, "wait_us") > 0))
			continue;
		for (i = 0; i < n && !same(list[i].row, row); i++)
			;
		if (i == n) {
			list = vst_grow(list, n, &cap, sizeof(*list));
			list[n++] = (struct entry){ .row = row };
		}
		list[i].waits += vst_growth_of(row, before, "waits");
		list[i].wait_us += vst_growth_of(row, before, "wait_us");
	}
	qsort(list, n, n ? sizeof(*list) : 1, by_wait);
	*ret_n = n;
	return list;
}

static void resource_of(const json_t *row, char *buf, size_t size)
{
	snprintf(buf, size, "lock:%s", vst_growth_text(row, "lock"));
}

static void print_json(const struct vst_growth *g, const struct entry *e)
{
	json_t *o = json_object();
	char resource[256];

	resource_of(e->row, resource, sizeof(resource));
	json_object_set_new(o, "schema", json_integer(1));
	json_object_set(o, "time", json_object_get(g->snapshot, "time"));
	json_object_set_new(o, "interval", json_real(round(vst_growth_interval(g) * 1e6) / 1e6));
	json_object_set(o, "waiter", json_object_get(e->row, "waiter"));
	json_object_set(o, "waiter_cgroup", json_object_get(e->row, "waiter_cgroup"));
	json_object_set(o, "holder", json_object_get(e->row, "holder"));
	json_object_set(o, "holder_cgroup", json_object_get(e->row, "holder_cgroup"));
	json_object_set_new(o, "resource", json_string(resource));
	json_object_set_new(o, "waits", json_integer((json_int_t)e->waits));
	json_object_set_new(o, "wait_us", json_real(round(e->wait_us * 1e3) / 1e3));
	json_object_set(o, "evidence", json_object_get(e->row, "evidence"));
	vst_json_line(o);
}

static const struct vst_table_column columns[] = {
	{ "WAITER", VST_COL_NAME, 0 }, { "HOLDER", VST_COL_NAME, 0 }, { "RESOURCE", VST_COL_NAME, 0 },
	{ "EVIDENCE", 0, 1 },	       { "WAITS", VST_COL_RIGHT, 2 }, { "WAIT", VST_COL_RIGHT, 0 },
};

static void add_row(struct vst_table *t, const struct entry *e)
{
	char resource[256], buf[VST_CELL];

	resource_of(e->row, resource, sizeof(resource));
	vst_table_add_name(t, vst_growth_text(e->row, "waiter"));
	vst_table_add_name(t, vst_growth_text(e->row, "holder"));
	vst_table_add_name(t, resource);
	vst_table_add_name(t, vst_growth_text(e->row, "evidence"));
	vst_format_count(buf, e->waits, VST_UNITS_HUMAN);
	vst_table_add(t, buf);
	vst_format_us(buf, e->wait_us, VST_UNITS_HUMAN);
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
		vst_growth_head(g, n ? NULL : "nobody waited for anybody");
		for (size_t i = 0; i < n; i++)
			add_row(t, &list[i]);
		if (n)
			vst_table_print(t);
		vst_table_free(t);
	}
	free(list);
}

int vst_cmd_blame(const struct vst_ctl *ctl, int argc, char **argv)
{
	return vst_growth_run(ctl, "blame", "/v1/blame", "blame", show);
}
