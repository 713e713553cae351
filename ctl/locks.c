/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl locks: who waits for which lock of the kernel's, and how long. */
#include <math.h>
#include "format.h"
#include "listing.h"

const struct vst_option vst_locks_options[] = { VST_SAMPLING_OPTIONS("1"), { 0 } };

static void add_json(json_t *o, const struct vst_wait *w)
{
	const struct vst_who waiter = vst_wait_waiter(w);

	json_object_set_new(o, "container", json_string(w->waiter));
	json_object_set_new(o, "cgroup", json_string(w->waiter_cgroup));
	vst_who_json(o, "own", &waiter);
	json_object_set_new(o, "lock", json_string(w->name));
	vst_json_optional(o, "object", w->object);
	json_object_set_new(o, "lock_type", json_string(w->type));
	json_object_set_new(o, "named_by", json_string(w->named_by));
	json_object_set_new(o, "waits", json_integer((json_int_t)w->waits));
	json_object_set_new(o, "wait_us", vst_json_rounded(w->us));
	json_object_set_new(o, "p50_us", vst_json_rounded(fmax(vst_wait_quantile(w, 0.5), 0)));
	json_object_set_new(o, "p99_us", vst_json_rounded(fmax(vst_wait_quantile(w, 0.99), 0)));
	json_object_set_new(o, "max_us", vst_json_rounded(fmax(vst_wait_max(w), 0)));
	vst_json_open(o, "waiting", "tasks", &w->open);
}

static const struct vst_table_column columns[] = {
	{ "CONTAINER", VST_COL_NAME, 0 },
	{ "LOCK", VST_COL_NAME, 0 },
	{ "OBJECT", VST_COL_NAME | VST_COL_SPARSE, 2 },
	{ "TYPE", 0, 4 },
	{ "NAMED BY", 0, 5 },
	{ "WAITS", VST_COL_RIGHT, 0 },
	{ "WAIT", VST_COL_RIGHT, 0 },
	{ "P99", VST_COL_RIGHT, 1 },
	{ "MAX", VST_COL_RIGHT, 3 },
	{ "WAITING", VST_COL_RIGHT | VST_COL_SPARSE, 0 },
	{ "OLDEST", VST_COL_RIGHT | VST_COL_SPARSE, 0 },
};

static void add_row(struct vst_table *t, const struct vst_wait *w, struct vst_who_labels *labels)
{
	const struct vst_who waiter = vst_wait_waiter(w);

	vst_table_add_name(t, vst_who_labels_find(labels, &waiter));
	vst_table_add_name(t, w->name);
	vst_table_add_name(t, w->object);
	vst_table_add_name(t, w->type);
	vst_table_add_name(t, w->named_by);
	vst_table_add_count(t, w->waits);
	vst_table_add_us(t, w->us);
	vst_table_add_us(t, vst_wait_quantile(w, 0.99));
	vst_table_add_us(t, vst_wait_max(w));
	vst_table_add_count(t, w->open.n);
	vst_table_add_us(t, w->open.n > 0 ? w->open.oldest_us : VST_NO_TIME);
}

int vst_cmd_locks(const struct vst_ctl *ctl, int argc, char **argv)
{
	static const struct vst_listing list = {
		.command = "locks",
		.feed = VST_FEED_LOCKS,
		.columns = columns,
		.ncolumns = sizeof(columns) / sizeof(columns[0]),
		.add_row = add_row,
		.add_json = add_json,
		.nothing = "nobody waited for a lock",
	};

	return vst_listing_run(ctl, &list, argv[1]);
}
