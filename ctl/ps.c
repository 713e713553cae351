/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl ps: the containers that the agent knows, and what they wait for now. */
#include <errno.h>
#include "client.h"
#include "feeds.h"
#include "format.h"
#include "phrase.h"
#include "table.h"
#include "underway.h"
#include "whom.h"

const struct vst_option vst_ps_options[] = {
	{ 'a', "all", NULL, "also what has ended, units and slices that never did I/O, and what only waits" },
	{ 0 },
};

/* No row has changed after this snapshot, so only those with requests in flight are sent. */
#define IN_FLIGHT_PATH "/v1/io?since=9223372036854775807&max_age=0.1"
#define WAITS_PATH "/v1/waits?max_age=0.1"

struct ps {
	bool json, all;
	unsigned long ended, idle; /* left out */
	json_t **lines;		   /* as they came */
	size_t n, cap;
	json_t *known;	      /* cgroups of lines */
	struct vst_whom only; /* name NULL: all */
};

static const struct vst_table_column columns[] = {
	{ "CONTAINER", VST_COL_NAME, 0 },
	{ "RUNTIME", 0, 2 },
	{ "STATE", 0, 0 },
	{ "AGE", VST_COL_RIGHT, 0 },
	{ "IOS", VST_COL_RIGHT, 1 },
	{ "BYTES", VST_COL_RIGHT, 0 },
	{ "WAITS NOW", VST_COL_NAME | VST_COL_SPARSE, 0 },
	{ "LIMITS", VST_COL_NAME | VST_COL_SPARSE, 4 },
	{ "IMAGE", VST_COL_NAME | VST_COL_SPARSE, 3 },
	{ "CGROUP", VST_COL_NAME, 0 },
};

static double number(const json_t *line, const char *field)
{
	return json_number_value(json_object_get(line, field));
}

static struct vst_who who_of(const json_t *line)
{
	return (struct vst_who){ vst_wire_text(line, "container"), vst_wire_text(line, "cgroup") };
}

static bool is_running(const json_t *line)
{
	return !strcmp(vst_wire_text(line, "state"), "running");
}

/* --- asking --- */

static void keep(struct ps *ps, json_t *line)
{
	ps->lines = vst_grow(ps->lines, ps->n, &ps->cap, sizeof(*ps->lines));
	ps->lines[ps->n++] = line;
	json_object_set_new(ps->known, vst_wire_text(line, "cgroup"), json_true());
}

static int take(void *arg, json_t *line)
{
	struct vst_who who = who_of(line);
	struct ps *ps = arg;

	if (!json_is_string(json_object_get(line, "container")) || !json_is_string(json_object_get(line, "cgroup")) ||
	    !json_is_string(json_object_get(line, "state")))
		return -EPROTO;
	json_object_del(line, "type");
	vst_who_json(line, "own", &who);
	keep(ps, json_incref(line));
	return 0;
}

/* A container that is in a row of another reply, and that the agent's ps does not have. */
static void take_stranger(struct ps *ps, const char *name, const char *cgroup)
{
	const struct vst_who who = { name, cgroup };

	if (!*cgroup || vst_who_is_own(&who) || json_object_get(ps->known, cgroup))
		return;
	keep(ps, json_pack("{si,ss,ss,ss,ss,ss,ss,ss,ss,ss,si,si,si}", "schema", 1, "container", name, "runtime", "",
			   "id", "", "cgroup", cgroup, "namespace", "", "pod", "", "name", name, "image", "", "state",
			   "unknown", "age", 0, "ios", 0, "bytes", 0));
}

static int take_row(void *arg, json_t *line)
{
	take_stranger(arg, vst_wire_text(line, "container"), vst_wire_text(line, "cgroup"));
	take_stranger(arg, vst_wire_text(line, "waiter"), vst_wire_text(line, "waiter_cgroup"));
	take_stranger(arg, vst_wire_text(line, "holder"), vst_wire_text(line, "holder_cgroup"));
	return 0;
}

/* What is under way. An agent that cannot tell has no such rows, or does not know the path: then nothing is shown. */
struct now {
	struct vst_rows *rows;
	struct vst_growth *growth;
	struct vst_waits *waits;
	struct vst_underway *underway;
};

static void now_ask(struct now *now, struct vst_client *c)
{
	enum vst_commit_result what;

	now->rows = vst_rows_new();
	vst_rows_begin(now->rows);
	if (!vst_client_get(c, IN_FLIGHT_PATH, vst_rows_line, now->rows))
		vst_rows_commit(now->rows, &what);
	now->growth = vst_growth_new("wait");
	vst_growth_begin(now->growth);
	if (!vst_client_get(c, WAITS_PATH, vst_growth_line, now->growth) && !vst_growth_commit(now->growth, &what))
		now->waits = vst_waits_new(now->growth);
	now->underway = vst_underway_new(now->rows, now->waits, NULL);
}

static void now_clear(struct now *now)
{
	vst_underway_free(now->underway);
	vst_waits_free(now->waits);
	vst_growth_free(now->growth);
	vst_rows_free(now->rows);
}

static void ask_others(struct ps *ps, struct vst_client *c)
{
	static const char *const paths[] = { "/v1/io?max_age=1", "/v1/locks?max_age=1", "/v1/blame?max_age=1",
					     "/v1/waits?max_age=1" };

	for (size_t i = 0; ps->all && i < sizeof(paths) / sizeof(paths[0]); i++)
		vst_client_get(c, paths[i], take_row, ps);
}

/* --- what to show --- */

/* Of one cgroup, the one that runs, or that was made last. */
static int by_who(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	const struct vst_who wx = who_of(x), wy = who_of(y);
	int d = vst_who_compare(&wx, &wy);

	d = d ? d : (int)is_running(y) - (int)is_running(x);
	return d ? d : number(x, "age") < number(y, "age") ? -1 : number(x, "age") > number(y, "age");
}

static void add_numbers(json_t *into, const json_t *line)
{
	static const char *const numbers[] = { "ios", "bytes" };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_object_set_new(into, numbers[i],
				    json_integer((json_int_t)(number(into, numbers[i]) + number(line, numbers[i]))));
}

/* A cgroup that was removed and made again may be told several times: it is one line. Keeps the order. */
static void merge(struct ps *ps)
{
	json_t **sorted = vst_alloc(ps->n * sizeof(*sorted)), *first = NULL;
	size_t kept = 0;

	for (size_t i = 0; i < ps->n; i++)
		sorted[i] = ps->lines[i];
	if (ps->n)
		qsort(sorted, ps->n, sizeof(*sorted), by_who);
	for (size_t i = 0; i < ps->n; i++) {
		const struct vst_who who = who_of(sorted[i]);

		if (first && !vst_who_compare(&who, &(struct vst_who){ who_of(first).name, who_of(first).cgroup })) {
			add_numbers(first, sorted[i]);
			json_object_set_new(sorted[i], "merged", json_true());
		} else {
			first = sorted[i];
		}
	}
	for (size_t i = 0; i < ps->n; i++) {
		if (json_object_get(ps->lines[i], "merged"))
			json_decref(ps->lines[i]);
		else
			ps->lines[kept++] = ps->lines[i];
	}
	ps->n = kept;
	free(sorted);
}

static void add_under_way(json_t *line, const struct vst_underway *u)
{
	const struct vst_who who = who_of(line);
	json_t *list = json_array();

	for (size_t i = 0; i < u->n; i++)
		if (!vst_who_compare(&who, &u->list[i].who))
			json_array_append_new(list, vst_pending_json(&u->list[i]));
	if (json_array_size(list))
		json_object_set(line, "under_way", list);
	json_decref(list);
}

/* A systemd host has a hundred units that have nothing to do with its disks. A container is always of interest. */
static bool is_idle_unit(const json_t *line)
{
	return !strcmp(vst_wire_text(line, "runtime"), "systemd") && number(line, "ios") <= 0 &&
	       number(line, "bytes") <= 0 && !json_object_get(line, "under_way");
}

static bool is_asked_for(const struct ps *ps, const json_t *line)
{
	const struct vst_who only = { ps->only.name, ps->only.cgroup }, who = who_of(line);

	return !only.name || !vst_who_compare(&only, &who);
}

/* Leaves out what was not asked for, and counts it. */
static void leave_out(struct ps *ps)
{
	size_t kept = 0;

	for (size_t i = 0; i < ps->n; i++) {
		bool running = is_running(ps->lines[i]);

		if (!is_asked_for(ps, ps->lines[i])) {
			json_decref(ps->lines[i]);
			continue;
		}
		if (ps->all || (running && !is_idle_unit(ps->lines[i]))) {
			ps->lines[kept++] = ps->lines[i];
			continue;
		}
		ps->ended += !running;
		ps->idle += running;
		json_decref(ps->lines[i]);
	}
	ps->n = kept;
}

/* --- showing --- */

static int by_name(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	const struct vst_who wx = who_of(x), wy = who_of(y);
	int d = strcmp(wx.name, wy.name);

	return d ? d : strcmp(wx.cgroup, wy.cgroup);
}

/* The oldest of what it waits for: "loop4 for 11 s". */
static void add_waits_now(struct vst_table *t, const json_t *line, const struct vst_underway *u)
{
	const struct vst_who who = who_of(line);
	struct vst_text text;
	bool any = false;

	vst_text_open(&text);
	for (size_t i = 0; i < u->n && !any; i++) {
		const struct vst_pending *p = &u->list[i];

		if (p->contains || p->open.oldest_us < VST_OLD_US || vst_who_compare(&who, &p->who))
			continue;
		fprintf(text.out, "%s for ", p->wait ? p->wait->name : p->device);
		vst_phrase_age(text.out, p->open.oldest_us);
		any = true;
	}
	vst_text_close(&text);
	vst_table_add_name(t, text.text);
	free(text.text);
}

static void add_limits(struct vst_table *t, const json_t *line)
{
	const json_t *limit;
	struct vst_text text;
	size_t i;

	vst_text_open(&text);
	json_array_foreach(json_object_get(line, "limits"), i, limit) fprintf(
		text.out, "%s%s %s", i ? ", " : "", vst_wire_text(limit, "attribute"), vst_wire_text(limit, "value"));
	vst_text_close(&text);
	vst_table_add_name(t, text.text);
	free(text.text);
}

static void add_row(struct vst_table *t, const json_t *line, struct vst_who_labels *labels,
		    const struct vst_underway *u)
{
	bool unknown = !strcmp(vst_wire_text(line, "state"), "unknown");
	const struct vst_who who = who_of(line);
	char buf[VST_CELL] = "-";

	vst_table_add_name(t, vst_who_labels_find(labels, &who));
	vst_table_add_name(t, vst_wire_text(line, "runtime"));
	vst_table_add_name(t, vst_wire_text(line, "state"));
	if (!unknown)
		vst_format_age(buf, number(line, "age"));
	vst_table_add(t, buf);
	vst_table_add_count(t, number(line, "ios"));
	vst_format_bytes(buf, number(line, "bytes"), VST_UNITS_HUMAN);
	vst_table_add(t, buf);
	add_waits_now(t, line, u);
	add_limits(t, line);
	vst_table_add_name(t, vst_wire_text(line, "image"));
	vst_table_add_name(t, vst_wire_text(line, "cgroup"));
}

static void print_table(struct ps *ps, const struct vst_underway *u)
{
	struct vst_table *t = vst_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	struct vst_who_labels *labels = vst_who_labels_new();

	if (ps->n)
		qsort(ps->lines, ps->n, sizeof(*ps->lines), by_name);
	for (size_t i = 0; i < ps->n; i++) {
		const struct vst_who who = who_of(ps->lines[i]);

		vst_who_labels_add(labels, &who);
	}
	for (size_t i = 0; i < ps->n; i++)
		add_row(t, ps->lines[i], labels, u);
	vst_table_print(t);
	vst_table_free(t);
	vst_who_labels_free(labels);
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

static void show(struct ps *ps, const struct now *now)
{
	merge(ps);
	for (size_t i = 0; i < ps->n; i++)
		add_under_way(ps->lines[i], now->underway);
	leave_out(ps);
	for (size_t i = 0; ps->json && i < ps->n; i++)
		vst_json_line(json_incref(ps->lines[i]));
	if (!ps->json)
		print_table(ps, now->underway);
	tell_left_out(ps);
}

/* 0, or an exit code having said why. */
static int run(struct ps *ps, struct vst_client *c)
{
	struct now now = { 0 };
	int rc = vst_client_get(c, "/v1/ps?max_age=0", take, ps);

	if (rc) {
		vst_error("%s", vst_client_error(c));
		return rc;
	}
	ask_others(ps, c);
	now_ask(&now, c);
	show(ps, &now);
	now_clear(&now);
	return 0;
}

int vst_cmd_ps(const struct vst_ctl *ctl, int argc, char **argv)
{
	struct ps ps = { .json = ctl->json, .all = ctl->opt['a'], .known = json_object() };
	struct vst_client *c = vst_client_new(ctl);
	int rc = argv[1] ? vst_whom_ask(ctl, argv[1], &ps.only) : 0;

	ps.all |= argv[1] != NULL; /* it was asked for by name */
	rc = rc ? rc : run(&ps, c);
	for (size_t i = 0; i < ps.n; i++)
		json_decref(ps.lines[i]);
	free(ps.lines);
	json_decref(ps.known);
	vst_whom_clear(&ps.only);
	vst_client_free(c);
	return rc;
}
