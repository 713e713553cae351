/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl blame: who makes whom wait, and at what. */
#include "format.h"
#include "listing.h"

const struct vst_option vst_blame_options[] = {
	VST_SAMPLING_OPTIONS("1"),
	{ 's', "stacks", NULL, "below the table: what holders were seen doing" },
	{ 0 },
};

static void add_json(json_t *o, const struct vst_wait *w)
{
	const struct vst_who waiter = vst_wait_waiter(w), holder = vst_wait_holder(w);
	char *resource = vst_resource_text(w);

	json_object_set_new(o, "waiter", json_string(w->waiter));
	json_object_set_new(o, "waiter_cgroup", json_string(w->waiter_cgroup));
	vst_who_json(o, "waiter_own", &waiter);
	json_object_set_new(o, "holder", json_string(w->holder));
	json_object_set_new(o, "holder_cgroup", json_string(w->holder_cgroup));
	vst_who_json(o, "holder_own", &holder);
	json_object_set_new(o, "resource", json_string(resource));
	vst_json_optional(o, "object", w->object);
	json_object_set_new(o, "waits", json_integer((json_int_t)w->waits));
	json_object_set_new(o, "wait_us", vst_json_rounded(w->us));
	json_object_set_new(o, "evidence", json_string(w->evidence));
	vst_json_open(o, "waiting", "tasks", &w->open);
	if (w->stack)
		json_object_set(o, "stack", (json_t *)w->stack);
	free(resource);
}

static const struct vst_table_column columns[] = {
	{ "WAITER", VST_COL_NAME, 0 },
	{ "HOLDER", VST_COL_NAME, 0 },
	{ "RESOURCE", VST_COL_NAME, 0 },
	{ "OBJECT", VST_COL_NAME | VST_COL_SPARSE, 2 },
	{ "EVIDENCE", 0, 1 },
	{ "WAITS", VST_COL_RIGHT, 3 },
	{ "WAIT", VST_COL_RIGHT, 0 },
	{ "WAITING", VST_COL_RIGHT | VST_COL_SPARSE, 0 },
	{ "OLDEST", VST_COL_RIGHT | VST_COL_SPARSE, 0 },
};

static void add_row(struct vst_table *t, const struct vst_wait *w, struct vst_who_labels *labels)
{
	const struct vst_who waiter = vst_wait_waiter(w), holder = vst_wait_holder(w);
	char *resource = vst_resource_text(w);

	vst_table_add_name(t, vst_who_labels_find(labels, &waiter));
	vst_table_add_name(t, vst_who_labels_find(labels, &holder));
	vst_table_add_name(t, resource);
	vst_table_add_name(t, w->object);
	vst_table_add_name(t, w->evidence);
	vst_table_add_count(t, w->waits);
	vst_table_add_us(t, w->us);
	vst_table_add_count(t, w->open.n);
	vst_table_add_us(t, w->open.n > 0 ? w->open.oldest_us : VST_NO_TIME);
	free(resource);
}

static void print_name(const char *before, const char *name, const char *after)
{
	char *escaped = vst_escape(name);

	printf("%s%s%s", before, escaped, after);
	free(escaped);
}

static void print_stack(const struct vst_wait *w, const struct vst_ctl *ctl, struct vst_who_labels *labels)
{
	const struct vst_who waiter = vst_wait_waiter(w), holder = vst_wait_holder(w);
	char *resource;
	json_t *frame;
	size_t i;

	if (!ctl->opt['s'] || !w->stack)
		return;
	resource = vst_resource_text(w);
	print_name("\n", vst_who_labels_find(labels, &holder), ", while ");
	print_name("", vst_who_labels_find(labels, &waiter), " waits for ");
	print_name("", resource, ":\n");
	json_array_foreach(w->stack, i, frame) print_name("  ", json_string_value(frame) ?: "?", "\n");
	free(resource);
}

int vst_cmd_blame(const struct vst_ctl *ctl, int argc, char **argv)
{
	static const struct vst_listing list = {
		.command = "blame",
		.feed = VST_FEED_BLAME,
		.complete = true,
		.columns = columns,
		.ncolumns = sizeof(columns) / sizeof(columns[0]),
		.add_row = add_row,
		.add_json = add_json,
		.after = print_stack,
		.nothing = "nobody waited for anybody",
	};

	return vst_listing_run(ctl, &list, argv[1]);
}
