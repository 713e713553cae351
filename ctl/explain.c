/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl explain: what a container waits for, and because of whom; the sentences are made in reasons.c. */
#include <errno.h>
#include <unistd.h>
#include "format.h"
#include "reasons.h"
#include "sampler.h"
#include "table.h"
#include "view.h"
#include "whom.h"

#define DELAY 5
#define ROWS_SHOWN 8
#define WORTH_SHOWING 0.005 /* of all of the wait */

struct explain {
	const char *typed;
	struct vst_whom whom;
};

const struct vst_option vst_explain_options[] = { VST_SAMPLING_OPTIONS("5"), { 0 } };

void vst_explain_help(FILE *out)
{
	fputs("\nCONTAINER is a name as 'vstorctl ps' has it, a part of one that no other has, the beginning of an\n"
	      "id, or a cgroup's path.\n",
	      out);
}

/* --- for people --- */

/* Over as many lines as a terminal needs. Steals the text, which may be NULL. */
static void print_sentence(char *text)
{
	const char *rest = text;
	int width = vst_terminal_width();
	size_t n;

	while (rest && *rest) {
		n = width ? vst_wrap(rest, width) : strlen(rest);
		printf("%.*s\n", (int)n, rest);
		rest += n + (rest[n] == ' ');
	}
	free(text);
}

static const struct vst_table_column columns[] = {
	{ "RESOURCE", VST_COL_NAME, 0 },   { "OBJECT", VST_COL_NAME | VST_COL_SPARSE, 2 },
	{ "MS/S", VST_COL_RIGHT, 0 },	   { "SHARE", VST_COL_RIGHT, 3 },
	{ "BECAUSE OF", VST_COL_NAME, 0 }, { "EVIDENCE", 0, 1 },
};

static void print_causes(const struct vst_reasons *r)
{
	struct vst_table *t = vst_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	char buf[VST_CELL];
	size_t n;

	for (n = 0; n < r->causes->n && n < ROWS_SHOWN; n++) {
		const struct vst_wait *w = &r->causes->list[n];
		char *resource, *object;

		if (n && w->us < WORTH_SHOWING * r->us)
			break;
		resource = vst_resource_text(w);
		object = vst_reasons_object(w->object);
		vst_table_add_name(t, resource);
		vst_table_add_name(t, object);
		snprintf(buf, sizeof(buf), "%.1f", vst_reasons_rate(r, w));
		vst_table_add(t, buf);
		snprintf(buf, sizeof(buf), "%.0f %%", w->us * 100 / r->us);
		vst_table_add(t, buf);
		vst_table_add_name(t, vst_wait_is_of_others(w, NULL) ? w->holder : "self");
		vst_table_add_name(t, w->evidence);
		free(resource);
		free(object);
	}
	putchar('\n');
	vst_table_print(t);
	vst_table_free(t);
	if (n < r->causes->n)
		printf("and %zu less: 'vstorctl blame' has all of them\n", r->causes->n - n);
	putchar('\n');
}

static void print_io(const struct vst_whom *whom, const struct vst_frame *f)
{
	bool any = false;

	for (size_t i = 0; i < f->nlines; i += 1 + f->lines[i].children) {
		if (!vst_reasons_is(whom->name, whom->cgroup, f->lines[i].container, f->lines[i].cgroup))
			continue;
		print_sentence(vst_reasons_io(&f->lines[i]));
		any = true;
	}
	if (!any)
		puts("It did no I/O.");
}

static void print_text(const struct vst_reasons *r, const struct vst_whom *whom, const struct vst_waits *blame,
		       const struct vst_frame *f)
{
	char *remark;

	vst_sampling_head(blame->time, blame->interval, NULL);
	print_sentence(vst_reasons_waits(r));
	print_sentence(vst_reasons_holders(r));
	print_sentence(vst_reasons_caused(r));
	if (r->causes->n)
		print_causes(r);
	print_io(whom, f);
	for (unsigned int i = 0; (remark = vst_reasons_remark(r, i)); i++)
		print_sentence(remark);
}

/* --- for programs --- */

static void add_sentence(json_t *list, char *text)
{
	if (text)
		json_array_append_new(list, json_string(text));
	free(text);
}

static json_t *sentences_json(const struct vst_reasons *r)
{
	json_t *list = json_array();

	add_sentence(list, vst_reasons_waits(r));
	add_sentence(list, vst_reasons_holders(r));
	add_sentence(list, vst_reasons_caused(r));
	return list;
}

static json_t *remarks_json(const struct vst_reasons *r)
{
	json_t *list = json_array();
	char *remark;

	for (unsigned int i = 0; (remark = vst_reasons_remark(r, i)); i++)
		add_sentence(list, remark);
	return list;
}

static json_t *causes_json(const struct vst_reasons *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->causes->n; i++) {
		const struct vst_wait *w = &r->causes->list[i];
		char *resource = vst_resource_text(w);
		json_t *o = json_object();

		json_object_set_new(o, "resource", json_string(resource));
		vst_json_optional(o, "object", w->object);
		json_object_set_new(o, "holder", json_string(w->holder));
		json_object_set_new(o, "holder_cgroup", json_string(w->holder_cgroup));
		json_object_set_new(o, "self", json_boolean(!vst_wait_is_of_others(w, NULL)));
		json_object_set_new(o, "wait_us", vst_json_rounded(w->us));
		json_object_set_new(o, "share", vst_json_rounded(w->us / r->us));
		json_object_set_new(o, "evidence", json_string(w->evidence));
		json_array_append_new(list, o);
		free(resource);
	}
	return list;
}

static json_t *caused_json(const struct vst_reasons *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->caused->n; i++) {
		const struct vst_wait *w = &r->caused->list[i];
		json_t *o = json_object();

		json_object_set_new(o, "waiter", json_string(w->waiter));
		json_object_set_new(o, "waiter_cgroup", json_string(w->waiter_cgroup));
		json_object_set_new(o, "wait_us", vst_json_rounded(w->us));
		json_array_append_new(list, o);
	}
	return list;
}

/* A line of `top --json`, without what stands above it or was not looked at here. */
static json_t *io_line_json(const struct vst_frame *f, const struct vst_line *line)
{
	static const char *const others[] = { "schema",	   "time",     "interval",     "view",
					      "container", "top_lock", "lock_wait_us", "blocked_by" };
	const struct vst_look look = { .view = &vst_view_io };
	json_t *o = vst_view_json(&look, f, line);

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		json_object_del(o, others[i]);
	return o;
}

static json_t *io_json(const struct vst_whom *whom, const struct vst_frame *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->nlines; i++)
		if (vst_reasons_is(whom->name, whom->cgroup, f->lines[i].container, f->lines[i].cgroup))
			json_array_append_new(list, io_line_json(f, &f->lines[i]));
	return list;
}

static void print_json(const struct vst_reasons *r, const struct vst_whom *whom, const struct vst_waits *blame,
		       const struct vst_frame *f)
{
	json_t *o = vst_json_sample(blame->time, blame->interval);

	json_object_set_new(o, "container", json_string(whom->name));
	vst_json_optional(o, "cgroup", whom->cgroup ? whom->cgroup : "");
	json_object_set_new(o, "locks_watched", json_boolean(r->watched));
	json_object_set_new(o, "wait_us", vst_json_rounded(r->us));
	json_object_set_new(o, "causes", causes_json(r));
	json_object_set_new(o, "caused", caused_json(r));
	json_object_set_new(o, "io", io_json(whom, f));
	json_object_set_new(o, "sentences", sentences_json(r));
	json_object_set_new(o, "remarks", remarks_json(r));
	vst_json_line(o);
}

static int show(const struct vst_ctl *ctl, struct vst_sampler *s, void *arg)
{
	struct vst_waits *blame = vst_waits_new(s->feeds.growth[VST_FEED_BLAME]);
	const struct vst_sample sample = { .rows = s->feeds.rows };
	struct vst_frame *f = vst_frame_new(&sample);
	const struct vst_whom *whom = &((struct explain *)arg)->whom;
	struct vst_reasons *r;

	vst_frame_io(f, &sample);
	r = vst_reasons_new(blame, whom->name, whom->cgroup);
	if (ctl->json)
		print_json(r, whom, blame, f);
	else
		print_text(r, whom, blame, f);
	vst_reasons_free(r);
	vst_frame_free(f);
	vst_waits_free(blame);
	return 0;
}

/* Who is meant, and, for who looks at an empty screen, that it takes a while. */
static int begin(const struct vst_ctl *ctl, double delay, void *arg)
{
	struct explain *e = arg;
	int rc = vst_whom_ask(ctl, e->typed, &e->whom);
	char *name;

	if (rc || ctl->json || ctl->opt[VST_OPT_TOTAL] || !isatty(STDERR_FILENO))
		return rc;
	name = vst_escape(e->whom.name);
	fprintf(stderr, "Watching %s for %g s ...\n", name, delay);
	free(name);
	return 0;
}

int vst_cmd_explain(const struct vst_ctl *ctl, int argc, char **argv)
{
	struct explain e = { .typed = argv[1] };
	const struct vst_sampling what = {
		.command = "explain",
		.feeds = VST_FEED(IO) | VST_FEED(BLAME),
		.delay = DELAY,
		.samples = 1,
		.begin = begin,
		.show = show,
		.arg = &e,
	};
	int rc;

	if (argc < 2)
		return vst_usage("explain", "which container? Give a name as 'vstorctl ps' has it");
	rc = vst_sampling_run(ctl, &what);
	vst_whom_clear(&e.whom);
	return rc;
}
