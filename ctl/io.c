/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl io: a line per row that did something. */
#include <math.h>
#include "format.h"
#include "io.h"
#include "sampler.h"
#include "table.h"

const struct vst_option vst_io_options[] = { VST_SAMPLING_OPTIONS("1"), { 0 } };

static const char *const times_prefixes[VST_TIME__N] = {
	[VST_TIME_LATENCY] = "",
	[VST_TIME_QUEUE] = "queue_",
	[VST_TIME_DEVICE] = "device_",
};

/* What is shown of a histogram, in microseconds. */
static const struct stat {
	const char *name;
	double quantile; /* 0: the longest */
} stats[] = { { "p50", 0.5 }, { "p99", 0.99 }, { "max", 0 } };

#define STATS (sizeof(stats) / sizeof(stats[0]))

static double stat_us(const struct vst_times *t, const struct stat *s)
{
	if (!t->hist.n)
		return VST_NO_TIME;
	return s->quantile > 0 ? vst_times_quantile(t, s->quantile) : (double)t->max_ns / 1e3;
}

/* "p99_us" of the latency, "queue_p99_us" and "device_p99_us" of its parts. */
static void add_times(json_t *o, const char *prefix, const struct vst_times *t)
{
	char field[64];

	for (size_t i = 0; i < STATS; i++) {
		snprintf(field, sizeof(field), "%s%s_us", prefix, stats[i].name);
		json_object_set_new(o, field, vst_json_rounded(fmax(stat_us(t, &stats[i]), 0)));
	}
}

json_t *vst_io_json(const struct vst_rows *rows, const struct vst_io_delta *d)
{
	json_t *o = vst_json_sample(vst_rows_head(rows)->time, vst_rows_interval(rows));
	const struct vst_wire_row *row = d->row;
	const struct vst_who who = { row->container, row->cgroup };

	json_object_set_new(o, "container", json_string(row->container));
	json_object_set_new(o, "cgroup", json_string(row->cgroup));
	vst_who_json(o, "own", &who);
	json_object_set_new(o, "device", json_string(row->device));
	json_object_set_new(o, "layer", json_string(row->layer));
	json_object_set_new(o, "op", json_string(row->op));
	json_object_set_new(o, "kind", json_string(row->kind));
	json_object_set_new(o, "size", json_string(row->size));
	json_object_set_new(o, "patterns", row->patterns ? json_incref(row->patterns) : json_array());
	json_object_set_new(o, "class", json_integer(row->class));
	json_object_set_new(o, "witness", json_string(row->witness));
#define X(f, t) json_object_set_new(o, #f, json_integer((json_int_t)d->counts.counter[VST_COUNTER_##f]));
	VST_COUNTERS(X)
#undef X
	for (int t = 0; t < VST_TIME__N; t++)
		add_times(o, times_prefixes[t], &d->counts.time[t]);
	vst_json_open(o, "in_flight", "ios", &d->in_flight);
	return o;
}

/*
 * Which columns are left out first on a narrow terminal: those with priority 1 must fit in 80 columns. A counter that is new
 * in VST_COUNTERS is seldom more important than the times.
 */
#define IS(f, c) (VST_COUNTER_##f == VST_COUNTER_##c)
#define COUNTER_PRIORITY(f) (IS(f, ios) || IS(f, bytes) ? 1 : IS(f, errors) ? 2 : 8)

static const struct vst_table_column columns[] = { { "CONTAINER", VST_COL_NAME, 0 },
						   { "DEVICE", 0, 0 },
						   { "LAYER", 0, 9 },
						   { "OP", 0, 0 },
						   { "KIND", 0, 0 },
						   { "SIZE", 0, 0 },
						   { "PATTERNS", VST_COL_SPARSE, 6 },
						   { "IN FLIGHT", VST_COL_RIGHT | VST_COL_SPARSE, 1 },
						   { "OLDEST", VST_COL_RIGHT | VST_COL_SPARSE, 1 },
						   { "CLASS", VST_COL_RIGHT, 7 },
						   { "WITNESS", 0, 5 },
#define X(f, t) { #f, VST_COL_RIGHT | VST_COL_SPARSE, COUNTER_PRIORITY(f) },
						   VST_COUNTERS(X)
#undef X
							   { "IO/s", VST_COL_RIGHT, 10 },
						   { "B/s", VST_COL_RIGHT, 4 },
#define X(e, f)                                                                                                        \
	{ #f " p50", VST_COL_RIGHT | VST_COL_SPARSE, 11 },                                                             \
		{ #f " p99", VST_COL_RIGHT | VST_COL_SPARSE, VST_TIME_##e == VST_TIME_LATENCY ? 1 : 3 },               \
		{ #f " max", VST_COL_RIGHT | VST_COL_SPARSE, 12 },
						   VST_TIMES(X)
#undef X
};

static void add_patterns(struct vst_table *t, json_t *patterns)
{
	char text[256] = "";
	size_t i, len = 0;
	json_t *p;

	json_array_foreach(patterns, i, p) if (json_is_string(p) && len < sizeof(text)) len +=
		(size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? "," : "", json_string_value(p));
	vst_table_add_name(t, text);
}

static void add_row(struct vst_table *t, const struct vst_io_delta *d, double interval, struct vst_who_labels *labels)
{
	const __u64 *counter = d->counts.counter;
	const struct vst_wire_row *row = d->row;
	const struct vst_who who = { row->container, row->cgroup };
	char buf[VST_CELL];

	vst_table_add_name(t, vst_who_labels_find(labels, &who));
	vst_table_add_name(t, row->device);
	vst_table_add_name(t, row->layer);
	vst_table_add_name(t, row->op);
	vst_table_add_name(t, row->kind);
	vst_table_add_name(t, row->size);
	add_patterns(t, row->patterns);
	vst_table_add_count(t, d->in_flight.n);
	vst_table_add_us(t, d->in_flight.n > 0 ? d->in_flight.oldest_us : VST_NO_TIME);
	snprintf(buf, sizeof(buf), "%u", row->class);
	vst_table_add(t, buf);
	vst_table_add_name(t, row->witness);
#define X(f, w)                                                                                                        \
	if (!strcmp(#f, "bytes"))                                                                                      \
		vst_format_bytes(buf, (double)counter[VST_COUNTER_##f], VST_UNITS_HUMAN);                              \
	else                                                                                                           \
		vst_format_count(buf, (double)counter[VST_COUNTER_##f], VST_UNITS_HUMAN);                              \
	vst_table_add(t, buf);
	VST_COUNTERS(X)
#undef X
	vst_table_add_count(t, vst_delta_rate((double)counter[VST_COUNTER_ios], interval));
	vst_format_bytes(buf, vst_delta_rate((double)counter[VST_COUNTER_bytes], interval), VST_UNITS_HUMAN);
	vst_table_add(t, buf);
	for (int i = 0; i < VST_TIME__N; i++)
		for (size_t k = 0; k < STATS; k++)
			vst_table_add_us(t, stat_us(&d->counts.time[i], &stats[k]));
}

static int descending(__u64 x, __u64 y)
{
	return x < y ? 1 : x > y ? -1 : 0;
}

static int by_bytes(const void *a, const void *b)
{
	const struct vst_io_delta *x = *(const struct vst_io_delta *const *)a;
	const struct vst_io_delta *y = *(const struct vst_io_delta *const *)b;
	int d = descending(x->counts.counter[VST_COUNTER_bytes], y->counts.counter[VST_COUNTER_bytes]);

	d = d ? d : descending(x->counts.counter[VST_COUNTER_ios], y->counts.counter[VST_COUNTER_ios]);
	d = d ? d : descending((__u64)x->in_flight.oldest_us, (__u64)y->in_flight.oldest_us);
	return d ? d : descending(y->row->id, x->row->id);
}

static void print_table(const struct vst_rows *rows, const struct vst_io_delta **sorted, size_t n)
{
	struct vst_table *t = vst_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	struct vst_who_labels *labels = vst_who_labels_new();
	double interval = vst_rows_interval(rows);

	for (size_t i = 0; i < n; i++)
		vst_who_labels_add(labels, &(struct vst_who){ sorted[i]->row->container, sorted[i]->row->cgroup });
	vst_sampling_head(vst_rows_head(rows)->time, interval, n ? NULL : "no I/O");
	for (size_t i = 0; i < n; i++)
		add_row(t, sorted[i], interval, labels);
	if (n)
		vst_table_print(t);
	vst_table_free(t);
	vst_who_labels_free(labels);
}

static int show(const struct vst_ctl *ctl, struct vst_sampler *s, void *arg)
{
	const struct vst_rows *rows = s->feeds.rows;
	const struct vst_io_delta **sorted, *d;
	size_t all, n = 0;

	d = vst_rows_deltas(rows, &all);
	sorted = vst_alloc(all * sizeof(*sorted));
	for (size_t i = 0; i < all; i++)
		if (vst_sampler_shows(s, d[i].row->container, d[i].row->cgroup))
			sorted[n++] = &d[i];
	qsort(sorted, n, sizeof(*sorted), by_bytes);
	if (ctl->json)
		for (size_t i = 0; i < n; i++)
			vst_json_line(vst_io_json(rows, sorted[i]));
	else
		print_table(rows, sorted, n);
	free(sorted);
	return 0;
}

int vst_cmd_io(const struct vst_ctl *ctl, int argc, char **argv)
{
	const struct vst_sampling what = {
		.command = "io", .feeds = VST_FEED(IO), .typed = argv[1], .delay = 1, .samples = 1, .show = show
	};

	return vst_sampling_run(ctl, &what);
}
