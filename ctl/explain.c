/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl explain: what a container waits for, and because of whom; the sentences are made in reasons.c. */
#include <errno.h>
#include <math.h>
#include <unistd.h>
#include "client.h"
#include "format.h"
#include "phrase.h"
#include "reasons.h"
#include "sampler.h"
#include "table.h"
#include "view.h"
#include "whom.h"

#define DELAY 5
#define ROWS_SHOWN 8
#define WORTH_SHOWING 0.005 /* of all of the wait */

static const char *const knob_fields[] = { "target", "attribute", "key", "new", "rule", "why" };

struct explain {
	const char *typed;
	struct vst_whom whom;
	json_t *knobs; /* that vstor has set for this container; as in /v1/policy */
};

const struct vst_option vst_explain_options[] = { VST_SAMPLING_OPTIONS("5"), { 0 } };

void vst_explain_help(FILE *out)
{
	fputs("\nCONTAINER is a name as 'vstorctl ps' has it, a part of one that no other has, the beginning of an\n"
	      "id, or a cgroup's path. host, kernel and unattributed are vstor's own words.\n",
	      out);
}

/* --- for people --- */

/* Prints a sentence over as many lines as a terminal needs. Frees the text, which may be NULL. */
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
	{ "WAIT/s", VST_COL_RIGHT, 0 },	   { "SHARE", VST_COL_RIGHT, 3 },
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
		object = vst_phrase_object(w->object);
		vst_table_add_name(t, resource);
		vst_table_add_name(t, object);
		vst_table_add_us(t, vst_reasons_rate(r, w) * 1e3);
		snprintf(buf, sizeof(buf), "%.0f %%", vst_delta_rate(w->us * 100, r->us));
		vst_table_add(t, buf);
		vst_table_add_name(t, vst_reasons_holder(r, w));
		vst_table_add_name(t, w->evidence);
		free(resource);
		free(object);
	}
	putchar('\n');
	vst_table_print(t);
	vst_table_free(t);
	if (n < r->causes->n)
		printf("and %zu shorter: 'vstorctl blame' has all of them\n", r->causes->n - n);
	putchar('\n');
}

static bool is_of(const struct vst_line *line, const struct vst_who *who)
{
	return !vst_who_compare(who, &(struct vst_who){ line->container, line->cgroup });
}

static bool did_io(const struct vst_who *who, const struct vst_frame *f)
{
	for (size_t i = 0; i < f->nlines; i += 1 + f->lines[i].children)
		if (is_of(&f->lines[i], who) && (f->lines[i].ios > 0 || f->lines[i].bytes > 0))
			return true;
	return false;
}

static void print_io(const struct vst_reasons *r, const struct vst_frame *f)
{
	for (size_t i = 0; r->did_io && i < f->nlines; i += 1 + f->lines[i].children)
		if (is_of(&f->lines[i], &r->who) && (f->lines[i].ios > 0 || f->lines[i].bytes > 0))
			print_sentence(vst_reasons_io(&f->lines[i]));
	if (!r->did_io)
		puts(r->n_pending ? "None of its I/O completed in this interval." : "It did no I/O.");
}

/* Calls put() with each sentence that stands before the table, in order. */
static void for_each_sentence(const struct vst_reasons *r, const struct explain *e,
			      void (*put)(void *arg, char *sentence), void *arg)
{
	char *text;

	if (e->whom.ended)
		put(arg, vst_reasons_ended(r));
	for (size_t i = 0; (text = vst_reasons_pending(r, i)); i++)
		put(arg, text);
	put(arg, vst_reasons_total(r));
	put(arg, vst_reasons_waits(r));
	put(arg, vst_reasons_holders(r));
	for (size_t i = 0; (text = vst_reasons_containing(r, i)); i++)
		put(arg, text);
	put(arg, vst_reasons_caused(r));
	put(arg, vst_reasons_advice(r));
}

/* What vstor itself has set is told with its rule, and not once more as a limit that somebody set. */
static bool is_of_vstor(const json_t *limit, const json_t *knobs)
{
	const json_t *k;
	size_t n;

	json_array_foreach(
		knobs, n, k) if (!strcmp(vst_wire_text(limit, "cgroup"), vst_wire_text(k, "target")) &&
				 !strcmp(vst_wire_text(limit, "attribute"), vst_wire_text(k, "attribute"))) return true;
	return false;
}

/* The same for what has to be known to trust it. */
static void for_each_remark(const struct vst_reasons *r, const struct explain *e,
			    void (*put)(void *arg, char *sentence), void *arg)
{
	const char *meaning = vst_who_is_own(&r->who) ? vst_who_own_meaning(r->who.name) : NULL;
	const json_t *limit, *knob;
	char *text;
	size_t n;

	if (meaning)
		put(arg, vst_dup(meaning));
	json_array_foreach(e->knobs, n, knob) put(arg, vst_reasons_knob(knob));
	json_array_foreach(e->whom.limits, n, limit) if (!is_of_vstor(limit, e->knobs))
		put(arg, vst_reasons_limit(r, limit));
	for (unsigned int i = 0; (text = vst_reasons_remark(r, i)); i++)
		put(arg, text);
}

static void put_line(void *unused, char *sentence)
{
	print_sentence(sentence);
}

static void print_text(const struct vst_reasons *r, const struct explain *e, const struct vst_frame *f)
{
	vst_sampling_head(r->from.blame->time, r->interval, NULL);
	for_each_sentence(r, e, put_line, NULL);
	if (r->causes->n)
		print_causes(r);
	print_io(r, f);
	for_each_remark(r, e, put_line, NULL);
}

/* --- for programs --- */

static void add_sentence(void *list, char *text)
{
	if (text)
		json_array_append_new(list, json_string(text));
	free(text);
}

/* What is in flight or waits now, however young it is. */
static json_t *under_way_json(const struct vst_reasons *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_pending; i++)
		json_array_append_new(list, vst_pending_json(r->pending[i]));
	return list;
}

static json_t *containing_json(const struct vst_reasons *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->containing->n; i++) {
		const struct vst_wait *w = &r->containing->list[i];
		char *resource = vst_resource_text(w);
		json_t *o = json_object();

		json_object_set_new(o, "resource", json_string(resource));
		json_object_set_new(o, "waits", json_integer((json_int_t)w->waits));
		json_object_set_new(o, "wait_us", vst_json_rounded(w->us));
		json_object_set_new(o, "p50_us", vst_json_rounded(fmax(vst_wait_quantile(w, 0.5), 0)));
		json_object_set_new(o, "p99_us", vst_json_rounded(fmax(vst_wait_quantile(w, 0.99), 0)));
		json_object_set_new(o, "max_us", vst_json_rounded(fmax(vst_wait_max(w), 0)));
		json_array_append_new(list, o);
		free(resource);
	}
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
		json_object_set_new(o, "share", vst_json_rounded(vst_delta_rate(w->us, r->us)));
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

/* A line of `top --json` without the fields that explain has elsewhere or did not ask for. */
static json_t *io_line_json(const struct vst_frame *f, const struct vst_line *line)
{
	static const char *const others[] = {
		"schema",	"time",	      "interval",	   "view",	    "own", "container", "top_lock",
		"lock_wait_us", "blocked_by", "blocked_by_cgroup", "blocked_by_own"
	};
	const struct vst_look look = { .view = &vst_view_io };
	json_t *o = vst_view_json(&look, f, line);

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		json_object_del(o, others[i]);
	return o;
}

static json_t *io_json(const struct vst_who *who, const struct vst_frame *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->nlines; i++)
		if (is_of(&f->lines[i], who))
			json_array_append_new(list, io_line_json(f, &f->lines[i]));
	return list;
}

static void print_json(const struct vst_reasons *r, const struct explain *e, const struct vst_frame *f)
{
	json_t *o = vst_json_sample(r->from.blame->time, r->interval), *sentences = json_array(),
	       *remarks = json_array();

	json_object_set_new(o, "container", json_string(r->who.name));
	vst_json_optional(o, "cgroup", r->who.cgroup);
	vst_who_json(o, "own", &r->who);
	json_object_set_new(o, "state", json_string(e->whom.ended ? "exited" : "running"));
	json_object_set_new(o, "locks_watched", json_boolean(r->watched));
	json_object_set_new(o, "under_way", under_way_json(r));
	json_object_set_new(o, "wait_us", vst_json_rounded(r->us));
	json_object_set_new(o, "total", vst_reasons_total_json(r));
	json_object_set_new(o, "causes", causes_json(r));
	json_object_set_new(o, "caused", caused_json(r));
	json_object_set_new(o, "containing", containing_json(r));
	json_object_set_new(o, "io", io_json(&r->who, f));
	if (e->whom.limits)
		json_object_set(o, "limits", e->whom.limits);
	if (json_array_size(e->knobs))
		json_object_set(o, "knobs", e->knobs);
	for_each_sentence(r, e, add_sentence, sentences);
	for_each_remark(r, e, add_sentence, remarks);
	json_object_set_new(o, "sentences", sentences);
	json_object_set_new(o, "remarks", remarks);
	vst_json_line(o);
}

static void add_labels(struct vst_who_labels *labels, const struct vst_waits *w)
{
	for (size_t i = 0; w && i < w->n; i++) {
		const struct vst_who waiter = vst_wait_waiter(&w->list[i]), holder = vst_wait_holder(&w->list[i]);

		vst_who_labels_add(labels, &waiter);
		vst_who_labels_add(labels, &holder);
	}
}

/* A knob that is set now, of the container's cgroup or one above it. */
static int take_knob(void *arg, json_t *line)
{
	const char *target = vst_wire_text(line, "target"), *type = vst_wire_text(line, "type");
	struct explain *e = arg;
	size_t len = strlen(target);

	if (strcmp(type, "knob") != 0 || strcmp(vst_wire_text(line, "state"), "applied") != 0 || len < 2 ||
	    strncmp(e->whom.cgroup, target, len) != 0 || (e->whom.cgroup[len] && e->whom.cgroup[len] != '/'))
		return 0;
	for (size_t i = 0; i < sizeof(knob_fields) / sizeof(knob_fields[0]); i++)
		if (!json_object_get(line, knob_fields[i]))
			return 0;
	json_array_append(e->knobs, line);
	return 0;
}

/*
 * The newest snapshot will do: one more would have a time of its own in a recording. An older agent, or a recording without a policy, has none. */
static void ask_knobs(const struct vst_ctl *ctl, struct explain *e)
{
	struct vst_client *c = vst_client_new(ctl);

	json_decref(e->knobs);
	e->knobs = json_array();
	vst_client_get(c, "/v1/policy?max_age=60", take_knob, e);
	vst_client_free(c);
}

static int show(const struct vst_ctl *ctl, struct vst_sampler *s, void *arg)
{
	struct vst_waits *blame = vst_feeds_waits(&s->feeds, VST_FEED_BLAME);
	struct vst_waits *waits = vst_feeds_waits(&s->feeds, VST_FEED_WAITS);
	struct vst_underway *underway = vst_underway_new(s->feeds.rows, waits, blame);
	struct explain *e = arg;
	const struct vst_whom *whom = &e->whom;
	const struct vst_who who = { whom->name, whom->cgroup };
	const struct vst_reasons_from from = { blame, waits, underway, vst_who_labels_new() };
	const struct vst_sample sample = { .rows = s->feeds.rows };
	struct vst_frame *f = vst_frame_new(&sample);
	struct vst_reasons *r;

	vst_frame_io(f, &sample);
	vst_who_labels_add(from.labels, &who);
	for (size_t i = 0; i < whom->n_alike; i++)
		vst_who_labels_add(from.labels, &(struct vst_who){ whom->name, whom->alike[i] });
	add_labels(from.labels, blame);
	add_labels(from.labels, waits);
	r = vst_reasons_new(&from, &who);
	r->did_io = did_io(&who, f);
	ask_knobs(ctl, e);
	if (ctl->json)
		print_json(r, e, f);
	else
		print_text(r, e, f);
	vst_reasons_free(r);
	vst_frame_free(f);
	vst_underway_free(underway);
	vst_who_labels_free(from.labels);
	vst_waits_free(waits);
	vst_waits_free(blame);
	return 0;
}

/* Finds out who is meant, and tells people who would look at an empty screen for some seconds. */
static int begin(const struct vst_ctl *ctl, double delay, void *arg)
{
	struct explain *e = arg;
	int rc = vst_whom_ask(ctl, e->typed, &e->whom);
	char *name;

	if (rc || ctl->json || ctl->replay || ctl->opt[VST_OPT_TOTAL] || !isatty(STDERR_FILENO))
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
		.feeds = VST_FEED(IO) | VST_FEED(BLAME) | VST_FEED(WAITS),
		.delay = DELAY,
		.samples = 1,
		.begin = begin,
		.show = show,
		.arg = &e,
	};
	int rc;

	if (argc < 2 || !*argv[1])
		return vst_usage("explain", "which container? Give a name as 'vstorctl ps' has it");
	rc = vst_sampling_run(ctl, &what);
	json_decref(e.knobs);
	vst_whom_clear(&e.whom);
	return rc;
}
