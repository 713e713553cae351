/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl ps: the containers that the agent knows. */
#include <errno.h>
#include "client.h"
#include "format.h"
#include "table.h"

const struct vst_option vst_ps_options[] = {
	{ 'a', "all", NULL, "also what has ended, units and slices that never did I/O, and what only waits" },
	{ 0 },
};

struct ps {
	bool json, all;
	unsigned long ended, idle; /* left out */
	json_t **lines;
	size_t n, cap;
};

static const struct vst_table_column columns[] = {
	{ "CONTAINER", VST_COL_NAME, 0 },
	{ "RUNTIME", 0, 2 },
	{ "STATE", 0, 0 },
	{ "AGE", VST_COL_RIGHT, 0 },
	{ "IOS", VST_COL_RIGHT, 1 },
	{ "BYTES", VST_COL_RIGHT, 0 },
	{ "IMAGE", VST_COL_NAME | VST_COL_SPARSE, 3 },
	{ "CGROUP", VST_COL_NAME, 0 },
};

static const char *text(const json_t *line, const char *field)
{
	const char *s = json_string_value(json_object_get(line, field));

	return s ? s : "";
}

static double number(const json_t *line, const char *field)
{
	return json_number_value(json_object_get(line, field));
}

/* A systemd host has a hundred units that have nothing to do with its disks. A container is always of interest. */
static bool is_idle_unit(const json_t *line)
{
	return !strcmp(text(line, "runtime"), "systemd") && number(line, "ios") <= 0 && number(line, "bytes") <= 0;
}

static int take(void *arg, json_t *line)
{
	static const char *const texts[] = { "container", "runtime", "state", "image", "cgroup" };
	static const char *const numbers[] = { "age", "ios", "bytes" };
	struct ps *ps = arg;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!json_is_string(json_object_get(line, texts[i])))
			return -EPROTO;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!json_is_number(json_object_get(line, numbers[i])))
			return -EPROTO;
	json_object_del(line, "type");
	if (!ps->all && strcmp(text(line, "state"), "running")) {
		ps->ended++;
		return 0;
	}
	if (!ps->all && is_idle_unit(line)) {
		ps->idle++;
		return 0;
	}
	if (ps->json) {
		vst_json_line(json_incref(line));
		return 0;
	}
	ps->lines = vst_grow(ps->lines, ps->n, &ps->cap, sizeof(*ps->lines));
	ps->lines[ps->n++] = json_incref(line);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int d = strcmp(text(x, "container"), text(y, "container"));

	return d ? d : strcmp(text(x, "cgroup"), text(y, "cgroup"));
}

static void add_row(struct vst_table *t, const json_t *line)
{
	char buf[VST_CELL];

	vst_table_add_name(t, text(line, "container"));
	vst_table_add_name(t, text(line, "runtime"));
	vst_table_add_name(t, text(line, "state"));
	vst_format_age(buf, number(line, "age"));
	vst_table_add(t, buf);
	vst_format_count(buf, number(line, "ios"), VST_UNITS_HUMAN);
	vst_table_add(t, buf);
	vst_format_bytes(buf, number(line, "bytes"), VST_UNITS_HUMAN);
	vst_table_add(t, buf);
	vst_table_add_name(t, text(line, "image"));
	vst_table_add_name(t, text(line, "cgroup"));
}

/* On stderr: what reads the table has rows only. */
static void tell_left_out(const struct ps *ps)
{
	if (!ps->ended && !ps->idle)
		return;
	fflush(stdout);
	fputs("Not shown (ps --all does):", stderr);
	if (ps->ended)
		fprintf(stderr, " %lu ended%s", ps->ended, ps->idle ? "," : "");
	if (ps->idle)
		fprintf(stderr, " %lu unit%s without I/O", ps->idle, ps->idle > 1 ? "s" : "");
	fputc('\n', stderr);
}

int vst_cmd_ps(const struct vst_ctl *ctl, int argc, char **argv)
{
	struct ps ps = { .json = ctl->json, .all = ctl->opt['a'] };
	struct vst_table *t = vst_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	int rc = vst_get(ctl, "/v1/ps", take, &ps);

	if (ps.n)
		qsort(ps.lines, ps.n, sizeof(*ps.lines), by_name);
	for (size_t i = 0; i < ps.n; i++) {
		add_row(t, ps.lines[i]);
		json_decref(ps.lines[i]);
	}
	if (!rc && !ctl->json)
		vst_table_print(t);
	if (!rc)
		tell_left_out(&ps);
	vst_table_free(t);
	free(ps.lines);
	return rc;
}
