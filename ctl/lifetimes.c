/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl lifetimes: how long what containers write lives, and how much of it dies before it reaches a disk. */
#include <errno.h>
#include "client.h"
#include "format.h"
#include "table.h"
#include "whom.h"
#include "wire.h"
#include "vstor/abi_insight.h"

static const struct vst_table_column columns[] = {
	{ "CONTAINER", VST_COL_NAME, 0 },  { "ENDED BY", 0, 0 },	  { "BYTES", VST_COL_RIGHT, 0 },
	{ "UNWRITTEN", VST_COL_RIGHT, 0 }, { "<10ms", VST_COL_RIGHT, 1 }, { "<100ms", VST_COL_RIGHT, 1 },
	{ "<1s", VST_COL_RIGHT, 1 },	   { "<10s", VST_COL_RIGHT, 1 },  { "<1m", VST_COL_RIGHT, 1 },
	{ "<10m", VST_COL_RIGHT, 1 },	   { "<1h", VST_COL_RIGHT, 1 },	  { "LONGER", VST_COL_RIGHT, 1 },
};

static const char *const buckets[VST_LIFE_BUCKETS] = {
#define X(name, ns) name,
	VST_LIFE_AGES(X)
#undef X
		"ge1h"
};

struct lifetime_lines {
	struct vst_whom only; /* .name NULL: all */
	double time, observed;
	json_t *lines;
};

void vst_lifetimes_help(FILE *out)
{
	fputs("\nSince the container is watched all the time: vstorctl insight CONTAINER on, or vstord --insight full. "
	      "UNWRITTEN\nis what was overwritten, truncated or removed before it reached a disk.\n",
	      out);
}

static struct vst_who who_of(const json_t *line)
{
	return (struct vst_who){ vst_wire_text(line, "container"), vst_wire_text(line, "cgroup") };
}

static int take(void *arg, json_t *line)
{
	const char *type = json_string_value(json_object_get(line, "type"));
	struct lifetime_lines *l = arg;
	const struct vst_who who = who_of(line), only = { l->only.name, l->only.cgroup };

	if (!type)
		return -EPROTO;
	if (!strcmp(type, "snapshot")) {
		l->time = json_number_value(json_object_get(line, "time"));
		l->observed = json_number_value(json_object_get(line, "observed"));
	} else if (!strcmp(type, "lifetime") && (!only.name || !vst_who_compare(&only, &who))) {
		json_array_append(l->lines, line);
	}
	return 0;
}

static void print_json(const struct lifetime_lines *l)
{
	static const char *const fields[] = { "container", "cgroup", "end", "bytes", "dead_bytes", "ages" };
	json_t *line, *o;
	size_t i;

	json_array_foreach(l->lines, i, line)
	{
		o = vst_json_sample(l->time, 0);
		for (size_t k = 0; k < sizeof(fields) / sizeof(fields[0]); k++)
			json_object_set(o, fields[k], json_object_get(line, fields[k]));
		vst_json_line(o);
	}
}

static void add_bytes(struct vst_table *t, const json_t *number)
{
	char buf[VST_CELL];

	vst_format_bytes(buf, json_number_value(number), VST_UNITS_HUMAN);
	vst_table_add(t, buf);
}

static void add_row(struct vst_table *t, const json_t *line, struct vst_who_labels *labels)
{
	const struct vst_who who = who_of(line);

	vst_table_add_name(t, vst_who_labels_find(labels, &who));
	vst_table_add_name(t, vst_wire_text(line, "end"));
	add_bytes(t, json_object_get(line, "bytes"));
	add_bytes(t, json_object_get(line, "dead_bytes"));
	for (int i = 0; i < VST_LIFE_BUCKETS; i++)
		add_bytes(t, json_object_get(json_object_get(line, "ages"), buckets[i]));
}

static void print_table(const struct lifetime_lines *l)
{
	struct vst_table *t = vst_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	struct vst_who_labels *labels = vst_who_labels_new();
	json_t *line;
	size_t i;

	json_array_foreach(l->lines, i, line)
	{
		const struct vst_who who = who_of(line);

		vst_who_labels_add(labels, &who);
	}
	json_array_foreach(l->lines, i, line) add_row(t, line, labels);
	if (json_array_size(l->lines))
		vst_table_print(t);
	else if (l->observed < 1)
		puts("nobody is watched all the time: vstorctl insight CONTAINER on, or start vstord with --insight "
		     "full");
	else
		puts("nothing that was written since has been overwritten, truncated or removed");
	vst_who_labels_free(labels);
	vst_table_free(t);
}

int vst_cmd_lifetimes(const struct vst_ctl *ctl, int argc, char **argv)
{
	struct lifetime_lines l = { .lines = json_array() };
	int rc = argc > 1 ? vst_whom_ask(ctl, argv[1], &l.only) : 0;

	rc = rc ? rc : vst_get(ctl, "/v1/lifetimes?max_age=0", take, &l);
	if (!rc && ctl->json)
		print_json(&l);
	else if (!rc)
		print_table(&l);
	json_decref(l.lines);
	vst_whom_clear(&l.only);
	return rc;
}
