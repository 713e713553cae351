/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: ctl/rows.c ctl/wire.c ctl/who.c ctl/underway.c ctl/phrase.c ctl/cost.c ctl/frame.c ctl/frame_waits.c ctl/waits.c ctl/growth.c ctl/format.c lib/delta.c -ljansson -lm */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <errno.h>
#include <math.h>
#include <cmocka.h>
#include "ctl/cost.h"
#include "ctl/frame.h"

void vst_error(const char *fmt, ...)
{
	(void)fmt;
}

#define near(a, b) assert_true(fabs((a) - (b)) < 1e-6)

static int feed(struct vst_rows *r, json_t *line)
{
	int rc;

	assert_non_null(line);
	rc = vst_rows_line(r, line);
	json_decref(line);
	return rc;
}

static json_t *snapshot(const char *instance, int seq, double uptime)
{
	return json_pack("{si,ss,ss,si,sf,sf,s{sf,s{si,si}}}", "schema", 1, "type", "snapshot", "instance", instance,
			 "seq", seq, "time", 1790000000.5, "uptime", uptime, "self", "cpu_percent", 0.25, "lost",
			 "no_slot", 2, "missed", 1);
}

struct in {
	int id;
	const char *container, *device, *op, *kind, *size;
	int ios, bytes;
	double max_us;
	int bucket[2], count[2];
	const char *witness;
	int class;
	const char *layer;
};

static json_t *times(const struct in *in)
{
	json_t *buckets = json_array();

	for (int i = 0; i < 2; i++)
		if (in->count[i])
			json_array_append_new(buckets, json_pack("[ii]", in->bucket[i], in->count[i]));
	return json_pack("{sf,sf,so}", "sum_us", 1.5 * in->ios, "max_us", in->max_us, "buckets", buckets);
}

static json_t *row(const struct in *in)
{
	return json_pack("{si,ss,si,ss,ss,ss,ss,ss,ss,ss,s[],si,ss,si,si,si,si,si,so,so}", "schema", 1, "type", "row",
			 "row", in->id, "container", in->container, "cgroup", in->container, "device", in->device,
			 "layer", in->layer ?: "leaf", "op", in->op, "kind", in->kind, "size", in->size, "patterns",
			 "class", in->class, "witness", in->witness ?: "blkcg", "ios", in->ios, "bytes", in->bytes,
			 "merges", 0, "errors", 0, "requeues", 0, "latency", times(in), "queue", times(in));
}

static enum vst_commit_result commit(struct vst_rows *r)
{
	enum vst_commit_result what;

	assert_int_equal(vst_rows_commit(r, &what), 0);
	return what;
}

static const struct vst_io_delta *only(const struct vst_rows *r)
{
	const struct vst_io_delta *d;
	size_t n;

	d = vst_rows_deltas(r, &n);
	assert_int_equal(n, 1);
	return d;
}

static size_t count(const struct vst_rows *r)
{
	size_t n;

	vst_rows_deltas(r, &n);
	return n;
}

static double max_us(const struct vst_times *t)
{
	return (double)t->max_ns / 1e3;
}

static const struct in first = { 7,    "a", "vda",	"write",  "data", "lt1m", 10,
				 4096, 100, { 30, 40 }, { 9, 1 }, NULL,	  4,	  NULL };

static void start(struct vst_rows *r)
{
	assert_string_equal(vst_rows_begin(r), "/v1/io");
	assert_int_equal(feed(r, snapshot("x", 3, 10)), 0);
	assert_int_equal(feed(r, row(&first)), 0);
	assert_int_equal(commit(r), VST_COMMIT_FIRST);
}

static void test_difference(void **state)
{
	struct in now = first;
	struct vst_rows *r = vst_rows_new();
	const struct vst_io_delta *d;

	start(r);
	d = only(r); /* the first has the totals */
	assert_int_equal(d->counts.counter[VST_COUNTER_ios], 10);
	near(max_us(&d->counts.time[VST_TIME_LATENCY]), 100);
	near(vst_rows_interval(r), 10);

	now.ios = 14, now.bytes = 8192, now.count[0] = 13;
	assert_string_equal(vst_rows_begin(r), "/v1/io?since=3");
	assert_int_equal(feed(r, snapshot("x", 4, 12.5)), 0);
	assert_int_equal(feed(r, row(&now)), 0);
	assert_int_equal(commit(r), VST_COMMIT_SAMPLE);
	d = only(r);
	assert_int_equal(d->counts.counter[VST_COUNTER_ios], 4);
	assert_int_equal(d->counts.counter[VST_COUNTER_bytes], 4096);
	assert_string_equal(d->row->container, "a");
	assert_string_equal(d->row->witness, "blkcg");
	assert_int_equal(d->row->op_index, VST_OP_WRITE);
	assert_int_equal(d->counts.time[VST_TIME_LATENCY].hist.n, 1);
	assert_int_equal(d->counts.time[VST_TIME_LATENCY].hist.bucket[0].index, 30);
	assert_int_equal(d->counts.time[VST_TIME_LATENCY].hist.bucket[0].n, 4);
	assert_int_equal(d->counts.time[VST_TIME_LATENCY].sum_ns, 6000);
	assert_int_equal(d->counts.time[VST_TIME_DEVICE].hist.n, 0); /* not told */
	near(vst_rows_interval(r), 2.5);

	assert_string_equal(vst_rows_begin(r), "/v1/io?since=4");
	feed(r, snapshot("x", 5, 13.5));
	feed(r, row(&now));
	assert_int_equal(commit(r), VST_COMMIT_SAMPLE);
	assert_int_equal(count(r), 0); /* the same again is nothing */
	vst_rows_free(r);
}

static double max_after(struct in now)
{
	struct vst_rows *r = vst_rows_new();
	double max;

	start(r);
	vst_rows_begin(r);
	feed(r, snapshot("x", 4, 11));
	feed(r, row(&now));
	commit(r);
	max = max_us(&only(r)->counts.time[VST_TIME_LATENCY]);
	vst_rows_free(r);
	return max;
}

static void test_max(void **state)
{
	struct in now = first;

	now.ios++, now.count[1]++, now.max_us = 123.4; /* grew: exact */
	near(max_after(now), 123.4);
	now.max_us = first.max_us;
	now.count[1]--, now.count[0]++; /* bucket 30 ends where 31 begins */
	near(max_after(now), (double)vst_hist_lower(31) / 1e3);
	now.bucket[0] = 100; /* that one is slower than the slowest ever: capped */
	near(max_after(now), 100);
}

/* A row of which nothing ever waited: bucket 0 holds less than a microsecond, and the longest says that it is 0. */
static void test_no_wait(void **state)
{
	static const double quantiles[] = { 0.5, 0.99, 1 };
	struct in now = first;
	struct vst_rows *r = vst_rows_new();
	const struct vst_times *t;

	now.bucket[0] = 0, now.count[0] = 10, now.count[1] = 0, now.max_us = 0;
	for (int i = 0; i < 2; i++) { /* the totals, and a difference */
		now.ios += 5, now.count[0] += 5;
		vst_rows_begin(r);
		feed(r, snapshot("x", i + 1, i + 1));
		feed(r, row(&now));
		commit(r);
		t = &only(r)->counts.time[VST_TIME_QUEUE];
		assert_int_equal(t->hist.n, 1);
		near(max_us(t), 0);
		for (size_t q = 0; q < 3; q++)
			near(vst_times_quantile(t, quantiles[q]), 0);
	}
	/* one waited, a little: what did not can no longer be told from it */
	now.ios++, now.count[0]++, now.max_us = 0.75;
	vst_rows_begin(r);
	feed(r, snapshot("x", 3, 3));
	feed(r, row(&now));
	commit(r);
	t = &only(r)->counts.time[VST_TIME_QUEUE];
	near(max_us(t), 0.75);
	near(vst_times_quantile(t, 0.99), 0.512);
	now.ios++, now.count[0]++;
	vst_rows_begin(r);
	feed(r, snapshot("x", 4, 4));
	feed(r, row(&now));
	commit(r);
	near(max_us(&only(r)->counts.time[VST_TIME_QUEUE]), 0.75);
	/* told in a bucket before it is told as the longest: the bucket counts */
	now.ios++, now.bucket[1] = 30, now.count[1] = 1, now.max_us = 0;
	vst_rows_free(r);
	r = vst_rows_new();
	vst_rows_begin(r);
	feed(r, snapshot("x", 1, 1));
	feed(r, row(&now));
	commit(r);
	near(max_us(&only(r)->counts.time[VST_TIME_QUEUE]), (double)vst_hist_lower(31) / 1e3);
	vst_rows_free(r);
}

static void test_new_row(void **state)
{
	struct in other = first;
	struct vst_rows *r = vst_rows_new();

	start(r);
	other.id = 8, other.container = "b";
	vst_rows_begin(r);
	feed(r, snapshot("x", 4, 11));
	feed(r, row(&other));
	commit(r);
	assert_int_equal(only(r)->counts.counter[VST_COUNTER_ios], 10);
	assert_string_equal(only(r)->row->container, "b");
	vst_rows_free(r);
}

/* What arrived of a reply that broke off must not count, and not be missing afterwards. */
static void test_broken_reply(void **state)
{
	struct in now = first;
	struct vst_rows *r = vst_rows_new();

	start(r);
	now.ios = 12;
	vst_rows_begin(r);
	feed(r, snapshot("x", 4, 11));
	feed(r, row(&now));
	assert_string_equal(vst_rows_begin(r), "/v1/io?since=3"); /* not committed */
	now.ios = 15;
	feed(r, snapshot("x", 5, 12));
	feed(r, row(&now));
	commit(r);
	assert_int_equal(only(r)->counts.counter[VST_COUNTER_ios], 5);
	near(vst_rows_interval(r), 2);
	vst_rows_free(r);
}

static void test_restart(void **state)
{
	struct in now = first;
	struct vst_rows *r = vst_rows_new();

	start(r);
	now.ios = 2;
	vst_rows_begin(r);
	feed(r, snapshot("y", 1, 0.5));
	feed(r, row(&now));
	assert_int_equal(commit(r), VST_COMMIT_RESTARTED);
	assert_int_equal(count(r), 0);
	assert_string_equal(vst_rows_begin(r), "/v1/io");
	feed(r, snapshot("y", 2, 0.6));
	feed(r, row(&now));
	assert_int_equal(commit(r), VST_COMMIT_FIRST);
	now.ios = 5;
	vst_rows_begin(r);
	feed(r, snapshot("y", 3, 1.6));
	feed(r, row(&now));
	assert_int_equal(commit(r), VST_COMMIT_SAMPLE);
	assert_int_equal(only(r)->counts.counter[VST_COUNTER_ios], 3);
	vst_rows_free(r);
}

/* Counters that shrink although they must not: nothing is said rather than 2^64 I/Os. */
static void test_shrinking(void **state)
{
	struct in now = first;
	struct vst_rows *r = vst_rows_new();

	start(r);
	now.ios = 3, now.bytes = 5000, now.count[0] = 1;
	vst_rows_begin(r);
	feed(r, snapshot("x", 4, 11));
	feed(r, row(&now));
	commit(r);
	assert_int_equal(only(r)->counts.counter[VST_COUNTER_ios], 0);
	assert_int_equal(only(r)->counts.counter[VST_COUNTER_bytes], 904);
	assert_int_equal(only(r)->counts.time[VST_TIME_LATENCY].hist.n, 0);
	vst_rows_free(r);
}

/* After a while everything is asked for, and what is gone is forgotten. */
static void test_forget(void **state)
{
	struct in now = first;
	struct vst_rows *r = vst_rows_new();

	start(r);
	vst_rows_begin(r);
	feed(r, snapshot("x", 4, 400));
	commit(r);
	assert_string_equal(vst_rows_begin(r), "/v1/io");
	now.id = 9;
	feed(r, snapshot("x", 5, 401));
	feed(r, row(&now));
	commit(r);
	assert_int_equal(only(r)->counts.counter[VST_COUNTER_ios], 10);
	assert_string_equal(vst_rows_begin(r), "/v1/io?since=5");
	feed(r, snapshot("x", 6, 402));
	feed(r, row(&first)); /* were it known still, this would be nothing */
	commit(r);
	assert_int_equal(only(r)->counts.counter[VST_COUNTER_ios], 10);
	vst_rows_free(r);
}

static void test_many(void **state)
{
	struct in now = first;
	struct vst_rows *r = vst_rows_new();
	const struct vst_io_delta *d;
	char name[16];
	size_t n;

	now.container = name;
	for (int reply = 1; reply <= 2; reply++) {
		vst_rows_begin(r);
		feed(r, snapshot("x", reply, reply));
		for (int i = 0; i < 5000; i++) {
			now.id = i * 4096 + 1; /* ids that a poor hash puts in one slot */
			now.ios = reply * i;
			snprintf(name, sizeof(name), "c%d", i);
			feed(r, row(&now));
		}
		commit(r);
	}
	d = vst_rows_deltas(r, &n);
	assert_int_equal(n, 4999);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(d[i].counts.counter[VST_COUNTER_ios], (d[i].row->id - 1) / 4096);
	vst_rows_free(r);
}

static void reject(const char *path, json_t *value)
{
	struct vst_rows *r = vst_rows_new();
	json_t *line = row(&first);

	vst_rows_begin(r);
	feed(r, snapshot("x", 1, 1));
	if (value)
		json_object_set_new(line, path, value);
	else
		json_object_del(line, path);
	assert_int_equal(feed(r, line), -EPROTO);
	vst_rows_free(r);
}

static void test_rejects(void **state)
{
	struct vst_rows *r = vst_rows_new();
	enum vst_commit_result what;

	reject("row", json_string("7"));
	reject("row", NULL);
	reject("ios", json_integer(-1));
	reject("bytes", json_real(1.5));
	reject("container", json_null());
	reject("patterns", json_string("copy"));
	reject("in_flight", json_integer(1));
	reject("in_flight", json_pack("{ss}", "ios", "many"));
	reject("latency", json_integer(1));
	reject("latency", json_pack("{sf,sf,s[[ii]]}", "sum_us", 1., "max_us", 1., "buckets", VST_HIST_BUCKETS, 1));
	reject("latency", json_pack("{sf,sf,s[[ii]]}", "sum_us", 1., "max_us", 1., "buckets", -1, 1));
	reject("latency", json_pack("{sf,sf,s[[ii]]}", "sum_us", 1., "max_us", 1., "buckets", 1, -1));
	reject("latency", json_pack("{sf,sf,s[i]}", "sum_us", 1., "max_us", 1., "buckets", 1));
	vst_rows_begin(r);
	assert_int_equal(feed(r, row(&first)), -EPROTO); /* before its snapshot */
	assert_int_equal(vst_rows_commit(r, &what), -EPROTO);
	assert_int_equal(feed(r, json_pack("{ss}", "type", "news")), 0); /* a newer agent's */
	vst_rows_free(r);
}

static struct vst_frame *frame_of(const struct vst_rows *r)
{
	struct vst_underway *underway = vst_underway_new(r, NULL, NULL);
	const struct vst_sample sample = { .rows = r, .underway = underway };
	struct vst_frame *f = vst_frame_new(&sample);

	vst_frame_io(f, &sample);
	vst_frame_finish(f, &sample);
	vst_underway_free(underway);
	return f;
}

/* Agents of other versions: what is missing is 0 or "", what is unknown does no harm. */
static void test_older_agent(void **state)
{
	static const char *const missing[] = { "class", "patterns", "witness", "layer", "requeues", "queue", "size" };
	struct vst_rows *r = vst_rows_new();
	json_t *line = row(&first);

	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
		json_object_del(line, missing[i]);
	json_object_set_new(line, "kind", json_string("invented later"));
	json_object_set_new(line, "op", json_string("zone_append"));
	json_object_set_new(line, "heat", json_pack("[ii]", 1, 2));
	vst_rows_begin(r);
	feed(r, snapshot("x", 1, 1));
	assert_int_equal(feed(r, line), 0);
	commit(r);
	assert_int_equal(only(r)->counts.counter[VST_COUNTER_ios], 10);
	assert_int_equal(only(r)->counts.counter[VST_COUNTER_requeues], 0);
	assert_int_equal(only(r)->row->kind_index, -1);
	assert_int_equal(only(r)->row->op_index, -1);
	assert_string_equal(only(r)->row->witness, "");
	assert_string_equal(only(r)->row->kind, "invented later");
	near(only(r)->in_flight.n, 0);
	vst_frame_free(frame_of(r));
	vst_rows_free(r);
}

static json_t *with_in_flight(json_t *line, int ios, double oldest)
{
	json_object_set_new(line, "in_flight",
			    json_pack("{si,sf,sf}", "ios", ios, "oldest_us", oldest, "sum_us", ios * oldest));
	return line;
}

/* A request that never ends is in no counter: its row is there, and it is said who waits, for what, since when. */
static void test_in_flight(void **state)
{
	struct vst_rows *r = vst_rows_new();
	struct vst_frame *f;

	start(r);
	vst_rows_begin(r);
	feed(r, snapshot("x", 4, 11));
	feed(r, with_in_flight(row(&first), 1, 11.2e6));
	commit(r);
	assert_int_equal(only(r)->counts.counter[VST_COUNTER_ios], 0);
	near(only(r)->in_flight.n, 1);
	near(only(r)->in_flight.oldest_us, 11.2e6);
	f = frame_of(r);
	near(f->lines[0].open, 1);
	near(f->lines[0].oldest, 11.2e6);
	assert_string_equal(f->alarm[0], "a has waited 11 s for vda: 1 write in flight");
	assert_null(f->alarm[1]);
	vst_frame_free(f);
	vst_rows_begin(r);
	feed(r, snapshot("x", 5, 12));
	commit(r);
	assert_int_equal(count(r), 0); /* it is not told any more: it has ended */
	vst_rows_free(r);
}

static void test_alarms(void **state)
{
	static const struct in in[] = {
		{ 1, "a", "vda", "read", "data", "lt1m", 0, 0, 0, { 0 }, { 0 }, NULL, 0, NULL },
		{ 2, "a", "vda", "write", "data", "lt1m", 0, 0, 0, { 0 }, { 0 }, NULL, 0, NULL },
		{ 3, "b", "vda", "write", "data", "lt1m", 0, 0, 0, { 0 }, { 0 }, NULL, 0, NULL },
		{ 4, "b", "vdb", "flush", "data", "lt1m", 0, 0, 0, { 0 }, { 0 }, NULL, 0, NULL },
		{ 5, "b", "vdc", "zone", "data", "lt1m", 0, 0, 0, { 0 }, { 0 }, NULL, 0, NULL },
		{ 6, "b", "vdd", "read", "data", "lt1m", 0, 0, 0, { 0 }, { 0 }, NULL, 0, NULL },
		{ 7, "b", "vde", "read", "data", "lt1m", 0, 0, 0, { 0 }, { 0 }, NULL, 0, NULL },
	};
	static const double ms[] = { 1500, 300000, 90000, 40000, 30000, 2000, 999 };
	struct vst_rows *r = vst_rows_new();
	struct vst_frame *f;

	vst_rows_begin(r);
	feed(r, snapshot("x", 4, 11));
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		json_t *line = with_in_flight(row(&in[i]), i ? (int)i : 1, ms[i] * 1e3);

		json_object_set_new(line, "cgroup", json_string(in[i].container));
		feed(r, line);
	}
	commit(r);
	f = frame_of(r);
	assert_string_equal(f->alarm[0], "a has waited 5m00s for vda: 1 read, 1 write in flight");
	assert_string_equal(f->alarm[1], "b has waited 90 s for vda: 2 writes in flight");
	assert_string_equal(f->alarm[2], "b has waited 40 s for vdb: 3 flushes in flight");
	assert_string_equal(f->alarm[3], "and 2 more have waited for longer than 1 s");
	vst_frame_free(f);
	vst_rows_free(r);
}

static void test_encryption(void **state)
{
	struct in stuck = { 1, "a", "vda", "read", "data", "lt1m", 0, 0, 0, { 0 }, { 0 }, NULL, 0, NULL };
	static const char *const who[] = { "web", "db", "c" };
	struct vst_rows *r = vst_rows_new();
	struct vst_frame *f;

	for (size_t n = 1; n <= 3; n++) {
		vst_rows_begin(r);
		feed(r, snapshot("x", 4 + n, 11));
		for (size_t i = 0; i < n; i++)
			feed(r, json_pack("{ss,ss,ss,s:s+,si}", "type", "alarm", "alarm", "mass_encryption",
					  "container", who[i], "cgroup", "/", who[i], "files", 34));
		feed(r, with_in_flight(row(&stuck), 1, 5e6));
		commit(r);
		f = frame_of(r);
		assert_string_equal(f->alarm[0], "ALARM: web wrote 34 files that look encrypted in the last minute");
		assert_string_equal(f->alarm[1], n == 1	  ? "a has waited 5 s for vda: 1 read in flight"
						 : n == 2 ? "ALARM: db wrote 34 files that look encrypted in the last "
							    "minute"
							  : "and 2 more containers wrote many files that look "
							    "encrypted");
		if (n > 1)
			assert_string_equal(f->alarm[2], "a has waited 5 s for vda: 1 read in flight");
		vst_frame_free(f);
	}
	vst_rows_begin(r); /* it is over */
	feed(r, snapshot("x", 9, 12));
	commit(r);
	f = frame_of(r);
	assert_null(f->alarm[0]);
	vst_frame_free(f);
	vst_rows_begin(r);
	feed(r, snapshot("x", 10, 13));
	assert_int_equal(feed(r, json_pack("{ss,ss}", "type", "alarm", "cgroup", "/a")), -EPROTO);
	vst_rows_free(r);
}

/* A cgroup that was removed and made again has several rows with equal labels; people and programs see one. */
static void test_equal_labels(void **state)
{
	struct in again = first;
	struct vst_rows *r = vst_rows_new();
	const struct vst_io_delta *d;

	vst_rows_begin(r);
	feed(r, snapshot("x", 1, 1));
	again.max_us = 300;
	for (int i = 0; i < 3; i++) {
		again.id = 10 + i;
		feed(r, with_in_flight(row(&again), 1, 5));
		again.max_us = 100, again.bucket[1] = 50;
	}
	again.container = "b";
	again.id = 20;
	feed(r, row(&again));
	commit(r);
	d = vst_rows_deltas(r, &(size_t){ 0 });
	assert_int_equal(count(r), 2);
	d += strcmp(d->row->container, "a") != 0;
	assert_int_equal(d->row->id, 12);
	assert_int_equal(d->counts.counter[VST_COUNTER_ios], 30);
	near(d->in_flight.n, 3);
	near(max_us(&d->counts.time[VST_TIME_LATENCY]), 300);
	assert_int_equal(d->counts.time[VST_TIME_LATENCY].sum_ns, 45000);
	assert_int_equal(d->counts.time[VST_TIME_LATENCY].hist.n, 3);
	assert_int_equal(d->counts.time[VST_TIME_LATENCY].hist.bucket[0].n, 27);
	assert_int_equal(d->counts.time[VST_TIME_QUEUE].hist.bucket[2].n, 2);
	vst_rows_free(r);
}

/* Lines for `top`: rows of one container and device are one line, with a line per kind and size after it. */
static void test_frame(void **state)
{
	static const struct in in[] = {
		{ 1, "a", "vda", "read", "data", "ge10m", 10, 6000, 10, { 30 }, { 10 }, NULL, 0, NULL },
		{ 2, "a", "vda", "write", "metadata", "none", 4, 1500, 900, { 80 }, { 4 }, "memcg", 5, NULL },
		{ 3, "a", "vda", "write", "data", "ge10m", 2, 500, 20, { 40 }, { 2 }, "memcg", 0, NULL },
		{ 4, "a", "vda", "discard", "unknown", "none", 1, 900000, 20, { 40 }, { 1 }, "task", 0, NULL },
		{ 5, "a", "dm-0", "read", "data", "ge10m", 10, 6000, 10, { 30 }, { 10 }, NULL, 0, "stacked" },
		{ 6, "b", "vda", "read", "data", "lt1m", 1, 100, 10, { 30 }, { 1 }, NULL, 4, NULL },
	};
	struct vst_rows *r = vst_rows_new();
	struct vst_frame *f;

	vst_rows_begin(r);
	feed(r, snapshot("x", 1, 2)); /* 2 s: rates are halves */
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
		feed(r, row(&in[i]));
	commit(r);
	f = frame_of(r);
	vst_rows_free(r); /* a frame outlives its rows */

	assert_int_equal(f->nlines, 8);
	assert_string_equal(f->lines[0].device, "dm-0");
	assert_int_equal(f->lines[0].children, 1);
	assert_string_equal(f->lines[2].container, "a");
	assert_string_equal(f->lines[2].device, "vda");
	assert_null(f->lines[2].kind);
	assert_int_equal(f->lines[2].children, 3);
	near(f->lines[2].ops[VST_OP_READ], 5);
	near(f->lines[2].ops[VST_OP_WRITE], 3);
	near(f->lines[2].op_bytes[VST_OP_WRITE], 1000);
	near(f->lines[2].bytes, 4000); /* without the discard */
	near(f->lines[2].meta_percent, 1500 * 100.0 / 8000);
	near(f->lines[2].size_percent[VST_SIZE_GE10M], 6500 * 100.0 / 8000);
	near(f->lines[2].max, 900);
	near(f->lines[2].class, 0);
	assert_string_equal(f->lines[2].witness, "blkcg");
	assert_string_equal(f->lines[3].kind, "data");
	near(f->lines[3].bytes, 3250);
	assert_string_equal(f->lines[4].kind, "metadata");
	near(f->lines[4].class, 5);
	assert_string_equal(f->lines[4].witness, "memcg");
	assert_int_equal(f->ntotals, 1); /* dm-0 is on top of others */
	assert_string_equal(f->totals[0].device, "vda");
	near(f->totals[0].op_bytes[VST_OP_READ], 3050);
	near(f->lines[2].write_p99, 900);
	assert_true(f->lines[0].write_p99 < 0); /* no write: that is not a time of 0 */
	near(f->lost, 2);			/* missed counts no I/Os */
	near(f->lost_now, 0);			/* the first reply has the past in it */
	assert_false(f->lost_io);
	near(f->cpu_percent, 0.25);
	vst_frame_free(f);
}

/* Two containers of one name at once stay two. */
static void test_frame_same_name(void **state)
{
	static const struct in in[] = {
		{ 1, "db", "vda", "read", "data", "lt1m", 1, 100, 10, { 30 }, { 1 }, NULL, 4, NULL },
		{ 2, "db", "vda", "read", "data", "lt1m", 2, 500, 10, { 30 }, { 2 }, NULL, 4, NULL },
		{ 3, "db", "vdb", "read", "data", "lt1m", 1, 900, 10, { 30 }, { 1 }, NULL, 4, NULL },
		{ 4, "db", "vda", "write", "data", "lt1m", 1, 700, 10, { 30 }, { 1 }, NULL, 4, NULL },
	};
	static const char *const cgroup[] = { "/docker/1", "/docker/2", "/docker/1", "/docker/1" };
	static const struct {
		const char *cgroup, *device;
		double bytes;
	} want[] = { { "/docker/1", "vda", 800 }, { "/docker/1", "vdb", 900 }, { "/docker/2", "vda", 500 } };
	struct vst_rows *r = vst_rows_new();
	struct vst_frame *f;

	vst_rows_begin(r);
	feed(r, snapshot("x", 1, 1));
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		json_t *line = row(&in[i]);

		json_object_set_new(line, "cgroup", json_string(cgroup[i]));
		feed(r, line);
	}
	commit(r);
	f = frame_of(r);
	assert_int_equal(f->nlines, 6); /* each with its only kind and size */
	for (int i = 0; i < 3; i++) {
		assert_string_equal(f->lines[2 * i].cgroup, want[i].cgroup);
		assert_string_equal(f->lines[2 * i].device, want[i].device);
		near(f->lines[2 * i].bytes, want[i].bytes);
		assert_string_equal(f->lines[2 * i + 1].cgroup, want[i].cgroup);
		assert_string_equal(f->lines[2 * i].label, i < 2 ? "db (1)" : "db (2)");
	}
	vst_frame_free(f);
	vst_rows_free(r);
}

static json_t *lossy(int seq, int no_start, int no_end, int no_state, int missed)
{
	return json_pack("{si,ss,ss,si,sf,sf,s{s{si,si,si,si}}}", "schema", 1, "type", "snapshot", "instance", "x",
			 "seq", seq, "time", 1790000000.5, "uptime", (double)seq, "self", "lost", "no_start", no_start,
			 "no_end", no_end, "no_state", no_state, "missed", missed);
}

/* What was lost is judged by what was lost in this interval, and whether it is I/O or only its times. */
static void test_frame_lost(void **state)
{
	static const struct {
		int no_start, no_end, no_state, missed;
		double lost, now;
		const char *cause;
		bool io;
	} at[] = {
		{ 5, 7, 1, 9, 13, 0, NULL, false }, /* before it was looked at */
		{ 5, 7, 1, 9, 13, 0, NULL, false },	   { 5, 57, 1, 99, 63, 50, "no_end", false },
		{ 5, 60, 3, 99, 68, 5, "no_state", true }, /* the fewer, and the worse */
		{ 5, 60, 3, 120, 68, 0, NULL, false },	   { 6, 60, 3, 120, 69, 1, "no_start", false },
	};
	struct vst_rows *r = vst_rows_new();
	struct vst_frame *f;

	for (int i = 0; i < (int)(sizeof(at) / sizeof(at[0])); i++) {
		vst_rows_begin(r);
		feed(r, lossy(i + 1, at[i].no_start, at[i].no_end, at[i].no_state, at[i].missed));
		commit(r);
		f = frame_of(r);
		near(f->lost, at[i].lost);
		near(f->lost_now, at[i].now);
		assert_int_equal(f->lost_io, at[i].io);
		if (at[i].cause)
			assert_string_equal(f->lost_cause, at[i].cause);
		else
			assert_null(f->lost_cause);
		vst_frame_free(f);
	}
	vst_rows_free(r);
}

static int feed_cost(struct vst_cost *c, const char *instance, double event_ns, int issued, int completed)
{
	json_t *line = json_pack("{ss,s[{ss,si},{ss,si},{ss,si}],s{sf}}", "instance", instance, "probes", "tracepoint",
				 "block_rq_insert", "runs", 3, "tracepoint", "block_rq_issue", "runs", issued,
				 "tracepoint", "block_rq_complete", "runs", completed, "self", "event_ns", event_ns);
	int rc;

	assert_non_null(line);
	rc = vst_cost_line(c, line);
	json_decref(line);
	return rc;
}

/* The agent's time per I/O is shown when it is a mean of many, and the runs are asked for only when that can change. */
static void test_cost(void **state)
{
	struct vst_reply_head s = { .instance = "x", .self = json_pack("{sf}", "event_ns", 0.) };
	struct vst_cost c = { 0 };

	assert_false(vst_cost_wanted(&c, &s)); /* there is nothing to show */
	assert_false(vst_cost_known(&c, &s));
	json_object_set_new(s.self, "event_ns", json_real(969));
	assert_true(vst_cost_wanted(&c, &s));
	assert_int_equal(feed_cost(&c, "x", 969, 5000, 999), 0);
	assert_false(vst_cost_known(&c, &s));
	assert_false(vst_cost_wanted(&c, &s)); /* nothing was measured since */
	json_object_set_new(s.self, "event_ns", json_real(400));
	assert_true(vst_cost_wanted(&c, &s));
	assert_int_equal(feed_cost(&c, "x", 400, 5000, 1000), 0);
	assert_true(vst_cost_known(&c, &s));
	assert_false(vst_cost_wanted(&c, &s));
	strcpy(s.instance, "y"); /* another agent begins anew */
	assert_false(vst_cost_known(&c, &s));
	assert_true(vst_cost_wanted(&c, &s));
	json_object_del(s.self, "event_ns");
	assert_int_equal(vst_cost_line(&c, s.self), -EPROTO);
	json_decref(s.self);
}

/* More lines than any first allocation: names and sums stay with their line. */
static void test_frame_many(void **state)
{
	struct vst_rows *r = vst_rows_new();
	struct in in = first;
	struct vst_frame *f;
	char name[16];

	in.container = name;
	vst_rows_begin(r);
	feed(r, snapshot("x", 1, 1));
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "c%04d", i / 2);
		in.id = i + 1, in.kind = i & 1 ? "journal" : "data", in.bytes = i;
		feed(r, row(&in));
	}
	commit(r);
	f = frame_of(r);
	assert_int_equal(f->nlines, 1500);
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "c%04d", i);
		assert_string_equal(f->lines[3 * i].container, name);
		assert_string_equal(f->lines[3 * i + 2].container, name);
		assert_int_equal(f->lines[3 * i].children, 2);
		near(f->lines[3 * i].bytes, 4 * i + 1);
		assert_string_equal(f->lines[3 * i + 1].kind, "journal");
	}
	vst_frame_free(f);
	vst_rows_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_difference),   cmocka_unit_test(test_max),
		cmocka_unit_test(test_no_wait),	     cmocka_unit_test(test_new_row),
		cmocka_unit_test(test_broken_reply), cmocka_unit_test(test_restart),
		cmocka_unit_test(test_shrinking),    cmocka_unit_test(test_forget),
		cmocka_unit_test(test_many),	     cmocka_unit_test(test_rejects),
		cmocka_unit_test(test_frame),	     cmocka_unit_test(test_older_agent),
		cmocka_unit_test(test_in_flight),    cmocka_unit_test(test_alarms),
		cmocka_unit_test(test_encryption),   cmocka_unit_test(test_equal_labels),
		cmocka_unit_test(test_frame_many),   cmocka_unit_test(test_frame_lost),
		cmocka_unit_test(test_cost),	     cmocka_unit_test(test_frame_same_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
