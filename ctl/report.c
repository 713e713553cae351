/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl report: some time of a recording as one HTML file, for a ticket. Here the figures are collected. */
#include <errno.h>
#include <math.h>
#include <time.h>
#include "client.h"
#include "feeds.h"
#include "lib/duration.h"
#include "replay.h"
#include "report.h"

#define POINTS_MAX 120
#define DEVICES_MAX 64

enum { OPT_FOR = 16 };

const struct vst_option vst_report_options[] = {
	{ OPT_FOR, "for", "DURATION", "how much is shown, from --at on (default 10m; without --at, the last of it)" },
	{ 'o', "output", "FILE", "default vstor-HOST-TIME.html here; - for the standard output" },
	{ 0 },
};

/* --- series --- */

/* True and the place of a key, or false: it is new, and has the place `next` from now on. */
static bool place_of(json_t **index, const char *key, size_t next, size_t *ret)
{
	json_t *at;

	if (!*index)
		*index = json_object();
	at = json_object_get(*index, key);
	if (!at)
		json_object_set_new(*index, key, json_integer((json_int_t)next));
	*ret = (size_t)json_integer_value(at);
	return at != NULL;
}

static struct vst_series *series_of(struct vst_series_set *set, const char *key, const char *name)
{
	struct vst_series *s;
	size_t at;

	if (place_of(&set->index, key, set->n, &at))
		return &set->list[at];
	set->list = vst_grow(set->list, set->n, &set->cap, sizeof(*set->list));
	s = &set->list[set->n++];
	*s = (struct vst_series){ vst_dup(name), vst_dup(key), vst_alloc(set->points * sizeof(double)), 0 };
	return s;
}

/* What people see: vstor's own words in brackets, as everywhere. The caller frees. */
static char *label_of(const struct vst_who *who)
{
	char *text = vst_alloc(strlen(who->name) + 3);

	sprintf(text, vst_who_is_own(who) ? "[%s]" : "%s", who->name);
	return text;
}

static void series_add(struct vst_series_set *set, const struct vst_who *who, size_t point, double v)
{
	char *key = vst_alloc(strlen(who->cgroup) + strlen(who->name) + 2);
	char *label = label_of(who);
	struct vst_series *s;

	/* as vst_who_compare() has it: a cgroup, or one of vstor's own words */
	sprintf(key, "%s%s", who->cgroup, *who->cgroup ? "" : who->name);
	s = series_of(set, key, label);
	s->v[point] += v;
	s->sum += v;
	free(label);
	free(key);
}

static void series_set(struct vst_series_set *set, const char *key, const char *name, size_t point, double v)
{
	struct vst_series *s = series_of(set, key, name);

	s->v[point] = v;
	s->sum += v;
}

static int by_sum(const void *a, const void *b)
{
	const struct vst_series *x = a, *y = b;

	return x->sum < y->sum ? 1 : x->sum > y->sum ? -1 : strcmp(x->key, y->key);
}

void vst_series_sort(struct vst_series_set *set)
{
	if (set->n)
		qsort(set->list, set->n, sizeof(*set->list), by_sum);
}

static void series_clear(struct vst_series_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		free(set->list[i].name);
		free(set->list[i].key);
		free(set->list[i].v);
	}
	free(set->list);
	json_decref(set->index);
}

/* --- one interval --- */

static void take_io(struct vst_report *r, const struct vst_feeds *f, size_t point)
{
	struct vst_histogram *latency = vst_alloc(DEVICES_MAX * sizeof(*latency));
	double seconds = vst_rows_interval(f->rows);
	const char *device[DEVICES_MAX];
	size_t n, n_devices = 0, at;
	const struct vst_io_delta *d = vst_rows_deltas(f->rows, &n);

	for (size_t i = 0; i < n; i++) {
		const struct vst_who who = { d[i].row->container, d[i].row->cgroup };

		if (strcmp(d[i].row->layer, "leaf") != 0)
			continue; /* the same I/O passes a disk below */
		series_add(&r->bytes, &who, point,
			   vst_delta_rate((double)d[i].counts.counter[VST_COUNTER_bytes], seconds));
		series_add(&r->ios, &who, point, vst_delta_rate((double)d[i].counts.counter[VST_COUNTER_ios], seconds));
		for (at = 0; at < n_devices && strcmp(device[at], d[i].row->device) != 0; at++)
			;
		if (at == DEVICES_MAX)
			continue;
		if (at == n_devices)
			device[n_devices++] = d[i].row->device;
		vst_histogram_add(&latency[at], &d[i].counts.time[VST_TIME_LATENCY], NULL);
	}
	for (at = 0; at < n_devices; at++) {
		series_set(&r->p50, device[at], device[at], point, vst_histogram_quantile(&latency[at], 0.5));
		series_set(&r->p99, device[at], device[at], point, vst_histogram_quantile(&latency[at], 0.99));
	}
	free(latency);
}

/* Steals the labels. */
static struct vst_report_pair *pair_of(struct vst_report *r, const struct vst_wait *w, char *waiter, char *holder,
				       const char *resource)
{
	char *key = vst_alloc(strlen(waiter) + strlen(holder) + strlen(resource) + strlen(w->evidence) + 4);
	size_t at;
	bool is_known;

	sprintf(key, "%s\n%s\n%s\n%s", waiter, holder, resource, w->evidence);
	is_known = place_of(&r->pair_index, key, r->n_pairs, &at);
	free(key);
	if (is_known) {
		free(waiter);
		free(holder);
		return &r->pair[at];
	}
	r->pair = vst_grow(r->pair, r->n_pairs, &r->pairs_cap, sizeof(*r->pair));
	r->pair[r->n_pairs] = (struct vst_report_pair){ waiter, holder, vst_dup(resource), vst_dup(w->evidence), 0 };
	return &r->pair[r->n_pairs++];
}

static void take_waits(struct vst_report *r, const struct vst_feeds *f, size_t point)
{
	struct vst_waits *blame = vst_feeds_waits(f, VST_FEED_BLAME), *waits = vst_feeds_waits(f, VST_FEED_WAITS);
	struct vst_waits *all = vst_waits_complete(blame, waits);

	for (size_t i = 0; i < all->n; i++) {
		const struct vst_wait *w = &all->list[i];
		const struct vst_who waiter = vst_wait_waiter(w), holder = vst_wait_holder(w);
		char *resource = vst_resource_text(w);

		series_add(&r->waits, &waiter, point, vst_delta_rate(w->us, all->interval));
		pair_of(r, w, label_of(&waiter), label_of(&holder), resource)->us += w->us;
		free(resource);
	}
	for (size_t i = 0; waits && i < waits->n; i++) {
		const struct vst_wait *w = &waits->list[i];

		if (!strcmp(w->resource->prefix, "fsync") && w->hist && w->hist->samples)
			series_set(&r->fsync, w->waiter_cgroup, w->waiter, point, vst_wait_quantile(w, 0.99));
	}
	vst_waits_free(all);
	vst_waits_free(waits);
	vst_waits_free(blame);
}

/* --- all of them --- */

static const enum vst_feed wanted[] = { VST_FEED_IO, VST_FEED_BLAME, VST_FEED_WAITS };

/* 0 and whether the feeds' last two replies make an interval; or an exit code: nothing was recorded then. */
static int take_point(struct vst_client *c, struct vst_feeds *f, bool *ret_is_interval)
{
	enum vst_commit_result what;

	*ret_is_interval = true;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		int rc = vst_client_get(c, vst_feeds_begin(f, wanted[i], 0, false), vst_feeds_line, f);

		if (vst_feeds_refused(f, rc))
			continue;
		if (rc)
			return rc;
		if (vst_feeds_commit(f, &what))
			return VST_EXIT_FAILED;
		*ret_is_interval &= what == VST_COMMIT_SAMPLE;
	}
	return 0;
}

static void collect(struct vst_report *r, const struct vst_ctl *ctl)
{
	struct vst_client *c = vst_client_new(ctl);
	struct vst_feeds feeds;
	bool is_interval;

	vst_feeds_open(&feeds);
	for (size_t i = 0; i <= r->points; i++) {
		vst_replay_move(ctl->replay, r->from + (double)i * r->step);
		if (take_point(c, &feeds, &is_interval)) {
			vst_feeds_close(&feeds);
			vst_feeds_open(&feeds);
			is_interval = false;
		}
		if (i && is_interval) {
			take_io(r, &feeds, i - 1);
			take_waits(r, &feeds, i - 1);
		}
		r->missing += i && !is_interval;
	}
	vst_feeds_close(&feeds);
	vst_client_free(c);
}

/* --- the command --- */

/* A name that says what is in it; the caller frees. */
static char *default_name(const struct vst_report *r)
{
	char when[32] = "", *name;
	time_t at = (time_t)r->from;
	struct tm tm;

	if (localtime_r(&at, &tm))
		strftime(when, sizeof(when), "%Y%m%d-%H%M%S", &tm);
	name = vst_alloc(sizeof(r->about->host) + sizeof(when) + 32);
	sprintf(name, "vstor-%s-%s.html", r->about->host, when);
	for (char *p = name; *p; p++)
		if (*p == '/')
			*p = '_';
	return name;
}

static int write_file(struct vst_report *r, const char *path)
{
	FILE *f;

	if (!strcmp(path, "-")) {
		vst_report_write(stdout, r);
		return 0;
	}
	f = fopen(path, "we");
	if (f)
		vst_report_write(f, r);
	if (!f || fflush(f) || ferror(f) || fclose(f)) {
		vst_error("the report cannot be written to %s: %s", path, strerror(errno));
		return VST_EXIT_FAILED;
	}
	printf("%s\n", path);
	return 0;
}

static int set_time(const struct vst_ctl *ctl, struct vst_report *r, double seconds)
{
	struct vst_record_at first, last;
	struct vst_recording *recording = vst_replay_recording(ctl->replay);
	double at = vst_replay_at(ctl->replay);
	double tick;

	if (vst_recording_first(recording, &first) || vst_recording_last(recording, &last)) {
		vst_error("%s", vst_recording_error(recording));
		return VST_EXIT_FAILED;
	}
	/* --replay alone, or the end: what led to it */
	r->from = at >= last.time ? last.time - seconds : at;
	r->from = fmax(r->from, first.time);
	seconds = fmin(seconds, last.time - r->from);
	vst_replay_move(ctl->replay, r->from);
	tick = vst_replay_snapshot(ctl->replay) ? vst_replay_snapshot(ctl->replay)->interval : 1;
	r->step = fmax(seconds / POINTS_MAX, tick);
	r->points = (size_t)floor(seconds / r->step + 1e-6);
	if (r->points)
		return 0;
	vst_error("the recording has less than two snapshots of that time: nothing can be shown");
	return VST_EXIT_FAILED;
}

static void clear(struct vst_report *r)
{
	struct vst_series_set *sets[] = { &r->bytes, &r->ios, &r->p50, &r->p99, &r->waits, &r->fsync };

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		series_clear(sets[i]);
	for (size_t i = 0; i < r->n_pairs; i++) {
		free(r->pair[i].waiter);
		free(r->pair[i].holder);
		free(r->pair[i].resource);
		free(r->pair[i].evidence);
	}
	free(r->pair);
	json_decref(r->pair_index);
}

static int report(const struct vst_ctl *ctl, double seconds)
{
	struct vst_report r = { 0 };
	struct vst_series_set *sets[] = { &r.bytes, &r.ios, &r.p50, &r.p99, &r.waits, &r.fsync };
	int rc = set_time(ctl, &r, seconds);
	char *name = NULL;

	if (rc)
		return rc;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		sets[i]->points = r.points;
	collect(&r, ctl);
	r.about = vst_replay_about(ctl->replay);
	name = default_name(&r);
	rc = write_file(&r, ctl->opt['o'] ? ctl->opt['o'] : name);
	free(name);
	clear(&r);
	return rc;
}

int vst_cmd_report(const struct vst_ctl *ctl, int argc, char **argv)
{
	struct vst_ctl with = *ctl;
	double seconds = 600;
	int rc = 0;

	if (ctl->json)
		return vst_usage("report", "it writes HTML: io, blame and locks have --json");
	if (ctl->opt[OPT_FOR] && vst_duration_parse(ctl->opt[OPT_FOR], 1e-3, VST_DURATION_MAX, &seconds))
		return vst_usage("report", "--for '%s' is not a duration: give 90s, 10m, 2h", ctl->opt[OPT_FOR]);
	if (!ctl->replay) /* the agent's own recording, up to now */
		rc = vst_replay_open(ctl, NULL, NULL, &with.replay);
	rc = rc ? rc : report(&with, seconds);
	if (!ctl->replay)
		vst_replay_close(with.replay);
	return rc;
}
