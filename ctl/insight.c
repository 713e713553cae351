/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl insight: whose writing to files is watched, in which mode and since when; switches one container on or off. */
#include <errno.h>
#include "client.h"
#include "format.h"
#include "table.h"
#include "whom.h"
#include "wire.h"

static const struct vst_table_column columns[] = {
	{ "CONTAINER", VST_COL_NAME, 0 },
	{ "MODE", 0, 0 },
	{ "SINCE", VST_COL_RIGHT, 0 },
	{ "BECAUSE OF", 0, 1 },
};

struct watched_lines {
	struct vst_whom only; /* .name NULL: all */
	double time;
	bool given_up;
	char *mode; /* that vstord was started with */
	json_t **lines;
	size_t n, cap;
};

void vst_insight_help(FILE *out)
{
	fputs("\nWithout 'on', 'off' or 'default' it shows who is watched. 'on' watches a container all the time, "
	      "whatever\nvstord --insight says, until it ends; 'off' watches it no more; 'default' treats it like all "
	      "others.\nOnly root may change this.\n",
	      out);
}

static double number(const json_t *line, const char *field)
{
	return json_number_value(json_object_get(line, field));
}

static struct vst_who who_of(const json_t *line)
{
	return (struct vst_who){ vst_wire_text(line, "container"), vst_wire_text(line, "cgroup") };
}

static int take(void *arg, json_t *line)
{
	const char *type = json_string_value(json_object_get(line, "type"));
	struct watched_lines *l = arg;
	const struct vst_who who = who_of(line), only = { l->only.name, l->only.cgroup };

	if (!type)
		return -EPROTO;
	if (!strcmp(type, "snapshot")) {
		l->time = number(line, "time");
		l->given_up = json_is_true(json_object_get(line, "given_up"));
		free(l->mode);
		l->mode = vst_dup(vst_wire_text(line, "mode"));
	} else if (!strcmp(type, "insight") && (!only.name || !vst_who_compare(&only, &who))) {
		l->lines = vst_grow(l->lines, l->n, &l->cap, sizeof(*l->lines));
		l->lines[l->n++] = json_incref(line);
	}
	return 0;
}

static void print_json(const struct watched_lines *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const json_t *from = l->lines[i];
		json_t *o = vst_json_sample(l->time, 0);

		json_object_del(o, "interval");
		json_object_set(o, "container", json_object_get(from, "container"));
		json_object_set(o, "cgroup", json_object_get(from, "cgroup"));
		json_object_set(o, "mode", json_object_get(from, "mode"));
		json_object_set(o, "set", json_object_get(from, "set"));
		if (number(from, "age") > 0)
			json_object_set(o, "age", json_object_get(from, "age"));
		json_object_set_new(o, "given_up", json_boolean(l->given_up));
		vst_json_line(o);
	}
}

static void add_row(struct vst_table *t, const json_t *line, struct vst_who_labels *labels)
{
	const struct vst_who who = who_of(line);
	char since[VST_CELL] = "-";

	if (number(line, "age") > 0)
		vst_format_age(since, number(line, "age"));
	vst_table_add_name(t, vst_who_labels_find(labels, &who));
	vst_table_add(t, vst_wire_text(line, "mode"));
	vst_table_add(t, since);
	vst_table_add(t, json_is_true(json_object_get(line, "set")) ? "vstorctl insight" : "vstord --insight");
}

static void print_table(const struct watched_lines *l)
{
	struct vst_table *t = vst_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	struct vst_who_labels *labels = vst_who_labels_new();

	for (size_t i = 0; i < l->n; i++) {
		const struct vst_who who = who_of(l->lines[i]);

		vst_who_labels_add(labels, &who);
	}
	for (size_t i = 0; i < l->n; i++)
		add_row(t, l->lines[i], labels);
	if (l->given_up)
		puts("Nobody is watched at the moment, because the probes took more than their budget (vstord "
		     "--budget).");
	if (l->n)
		vst_table_print(t);
	else if (l->only.name && strcmp(l->mode ? l->mode : "off", "off") != 0)
		puts("it is not watched");
	else
		puts("nobody is watched: vstorctl insight CONTAINER on watches one container, and vstord --insight "
		     "sampled all of them");
	vst_who_labels_free(labels);
	vst_table_free(t);
}

static int show(const struct vst_ctl *ctl, const char *typed)
{
	struct watched_lines l = { 0 };
	int rc = typed ? vst_whom_ask(ctl, typed, &l.only) : 0;

	rc = rc ? rc : vst_get(ctl, "/v1/insight?max_age=0", take, &l);
	if (!rc && ctl->json)
		print_json(&l);
	else if (!rc)
		print_table(&l);
	for (size_t i = 0; i < l.n; i++)
		json_decref(l.lines[i]);
	free(l.lines);
	free(l.mode);
	vst_whom_clear(&l.only);
	return rc;
}

static int take_reply(void *arg, json_t *line)
{
	const struct vst_ctl *ctl = arg;
	char *text;

	if (ctl->json) {
		vst_json_line(json_incref(line));
		return 0;
	}
	text = vst_escape(vst_wire_text(line, "text"));
	puts(text);
	free(text);
	return 0;
}

static int change(const struct vst_ctl *ctl, const char *typed, const char *word)
{
	struct vst_whom whom = { 0 };
	int rc = vst_whom_ask(ctl, typed, &whom);
	char *path;

	if (!rc && !*whom.cgroup) {
		vst_error("%s It cannot be switched on or off.", vst_who_own_meaning(whom.name));
		rc = VST_EXIT_FAILED;
	}
	if (!rc) {
		path = vst_query("/v1/insight", "container", whom.cgroup);
		rc = vst_post(ctl, path, word, strlen(word), take_reply, (void *)ctl);
		free(path);
	}
	vst_whom_clear(&whom);
	return rc;
}

int vst_cmd_insight(const struct vst_ctl *ctl, int argc, char **argv)
{
	const char *word = argc > 2 ? argv[2] : NULL;

	if (!word)
		return show(ctl, argc > 1 ? argv[1] : NULL);
	if (strcmp(word, "on") != 0 && strcmp(word, "off") != 0 && strcmp(word, "default") != 0)
		return vst_usage("insight", "'%s' is none of on, off and default", word);
	if (ctl->replay)
		return vst_usage("insight", "--at and --replay show what was: nothing can be changed there");
	return change(ctl, argv[1], word);
}
