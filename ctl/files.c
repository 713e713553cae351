// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include "client.h"
#include "files.h"
#include "mounts.h"
#include "whom.h"

struct listing {
	const struct vst_files_list *list;
	struct vst_whom only; /* .name NULL: all */
	double seconds, time, observed;
	bool given_up;
	struct vst_mounts *mounts;
	json_t *lines; /* in the agent's order */
};

double vst_files_number(const json_t *line, const char *field)
{
	return json_number_value(json_object_get(line, field));
}

const char *vst_files_text(const json_t *line, const char *field)
{
	const char *text = json_string_value(json_object_get(line, field));

	return text ? text : "";
}

/* "/data/x (inode 12 on vda1)", from the filesystem's root, becomes "/mnt/data/x"; what has no path stays. */
static json_t *whole_path(struct listing *l, const char *text)
{
	json_t *line = json_object(), *whole;
	const char *is;
	size_t len;
	char *end;

	json_object_set_new(line, "object", json_string(text));
	vst_mounts_line(&l->mounts, line);
	is = vst_files_text(line, "object");
	end = strstr(is, " (inode ");
	for (char *next = end; next; next = strstr(next + 1, " (inode "))
		end = next;
	len = end ? (size_t)(end - is) : strlen(is);
	whole = len ? json_stringn(is, len) : NULL;
	json_decref(line);
	return whole ? whole : json_null();
}

static bool is_shown(const struct listing *l, const json_t *line)
{
	const struct vst_who only = { l->only.name, l->only.cgroup },
			     who = { vst_files_text(line, "container"), vst_files_text(line, "cgroup") };

	return vst_files_number(line, "age") <= l->seconds && (!only.name || !vst_who_compare(&only, &who));
}

static int on_line(void *arg, json_t *line)
{
	struct listing *l = arg;
	const char *type = json_string_value(json_object_get(line, "type"));

	if (!type)
		return -EPROTO;
	if (!strcmp(type, "snapshot")) {
		l->time = vst_files_number(line, "time");
		l->observed = vst_files_number(line, "observed");
		l->given_up = json_is_true(json_object_get(line, "given_up"));
	}
	if (strcmp(type, l->list->type) != 0 || !is_shown(l, line))
		return 0;
	json_object_set_new(line, "file", whole_path(l, vst_files_text(line, "object")));
	if (json_object_get(line, "source"))
		json_object_set_new(line, "source", whole_path(l, vst_files_text(line, "source")));
	json_array_append(l->lines, line);
	return 0;
}

static void print_json(const struct listing *l)
{
	json_t *line, *out;
	size_t i;

	json_array_foreach(l->lines, i, line)
	{
		out = vst_json_sample(l->time, l->seconds);
		for (const char *const *field = l->list->fields; *field; field++) {
			json_t *value = json_object_get(line, *field);

			json_object_set_new(out, *field, value ? json_incref(value) : json_null());
		}
		vst_json_line(out);
	}
}

static struct vst_who who_of(const json_t *line)
{
	return (struct vst_who){ vst_files_text(line, "container"), vst_files_text(line, "cgroup") };
}

/* Gives each container of a line a "label": two of one name are told apart. */
static void add_label(json_t *line, struct vst_who_labels *labels)
{
	const struct vst_who who = who_of(line);

	json_object_set_new(line, "label", json_string(vst_who_labels_find(labels, &who)));
}

static void add_labels(const struct listing *l)
{
	struct vst_who_labels *labels = vst_who_labels_new();
	struct vst_who who;
	json_t *line, *m;
	size_t i, k;

	json_array_foreach(l->lines, i, line)
	{
		who = who_of(line);
		vst_who_labels_add(labels, &who);
		json_array_foreach(json_object_get(line, "meanwhile"), k, m)
		{
			who = who_of(m);
			vst_who_labels_add(labels, &who);
		}
	}
	json_array_foreach(l->lines, i, line)
	{
		add_label(line, labels);
		json_array_foreach(json_object_get(line, "meanwhile"), k, m) add_label(m, labels);
	}
	vst_who_labels_free(labels);
}

static void print_table(const struct listing *l)
{
	struct vst_table *t = vst_table_new(l->list->columns, l->list->ncolumns);
	bool given_up = l->list->unobserved && l->given_up;
	json_t *line;
	size_t i;

	add_labels(l);
	json_array_foreach(l->lines, i, line) l->list->add_row(t, line);
	if (given_up)
		puts("the agent looks at no files for a time, because its probes took more than their budget: vstorctl "
		     "status shows what they cost, and vstord --budget sets what they may");
	if (json_array_size(l->lines))
		vst_table_print(t);
	else if (!given_up)
		puts(l->list->unobserved && !(l->observed > 0) ? l->list->unobserved : l->list->nothing);
	vst_table_free(t);
}

int vst_files_run(const struct vst_ctl *ctl, const struct vst_files_list *list, const char *typed)
{
	struct listing l = { .list = list, .seconds = list->seconds };
	char path[64];
	int rc;

	rc = vst_opt_seconds(ctl, list->command, 'd', &l.seconds);
	if (!rc && typed)
		rc = vst_whom_ask(ctl, typed, &l.only);
	if (rc)
		return rc;
	l.lines = json_array();
	snprintf(path, sizeof(path), "%s?max_age=0", list->path);
	rc = vst_get(ctl, path, on_line, &l);
	if (!rc && ctl->json)
		print_json(&l);
	else if (!rc)
		print_table(&l);
	json_decref(l.lines);
	vst_mounts_free(l.mounts);
	vst_whom_clear(&l.only);
	return rc;
}
