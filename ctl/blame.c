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
	char *resource = vst_resource_text(w);

	json_object_set_new(o, "waiter", json_string(w->waiter));
	json_object_set_new(o, "waiter_cgroup", json_string(w->waiter_cgroup));
	json_object_set_new(o, "holder", json_string(w->holder));
	json_object_set_new(o, "holder_cgroup", json_string(w->holder_cgroup));
	json_object_set_new(o, "resource", json_string(resource));
	vst_json_optional(o, "object", w->object);
	json_object_set_new(o, "waits", json_integer((json_int_t)w->waits));
	json_object_set_new(o, "wait_us", vst_json_rounded(w->us));
	json_object_set_new(o, "evidence", json_string(w->evidence));
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
};

static void add_row(struct vst_table *t, const struct vst_wait *w)
{
	char *resource = vst_resource_text(w);

	vst_table_add_name(t, w->waiter);
	vst_table_add_name(t, w->holder);
	vst_table_add_name(t, resource);
	vst_table_add_name(t, w->object);
	vst_table_add_name(t, w->evidence);
	vst_table_add_count(t, w->waits);
	vst_table_add_us(t, w->us);
	free(resource);
}

static void print_name(const char *before, const char *name, const char *after)
{
	char *escaped = vst_escape(name);

	printf("%s%s%s", before, escaped, after);
	free(escaped);
}

static void print_stack(const struct vst_wait *w, const struct vst_ctl *ctl)
{
	char *resource;
	json_t *frame;
	size_t i;

	if (!ctl->opt['s'] || !w->stack)
		return;
	resource = vst_resource_text(w);
	print_name("\n", w->holder, ", while ");
	print_name("", w->waiter, " waits for ");
	print_name("", resource, ":\n");
	json_array_foreach(w->stack, i, frame) print_name("  ", json_string_value(frame) ?: "?", "\n");
	free(resource);
}

int vst_cmd_blame(const struct vst_ctl *ctl, int argc, char **argv)
{
	static const struct vst_listing list = {
		.command = "blame",
		.feed = VST_FEED_BLAME,
		.columns = columns,
		.ncolumns = sizeof(columns) / sizeof(columns[0]),
		.add_row = add_row,
		.add_json = add_json,
		.after = print_stack,
		.nothing = "nobody waited for anybody",
	};

	return vst_listing_run(ctl, &list);
}
