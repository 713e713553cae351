/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: lib/delta.c lib/delta_snapshot.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>
#include "lib/delta_snapshot.h"

#define near(a, b) assert_true(fabs((a) - (b)) < 1e-9)
#define B(...)                                                                                                         \
	{ (struct vst_bucket[]){ __VA_ARGS__ },                                                                        \
	  sizeof((struct vst_bucket[]){ __VA_ARGS__ }) / sizeof(struct vst_bucket) }

static void test_guards(void **state)
{
	assert_int_equal(vst_delta(7, 5), 2);
	assert_int_equal(vst_delta(5, 7), 0);
	near(vst_delta_real(2.5, 1), 1.5);
	near(vst_delta_real(1, 2.5), 0);
	near(vst_delta_real(NAN, 1), 0);
	near(vst_delta_rate(10, 4), 2.5);
	near(vst_delta_rate(10, 0), 0);
	near(vst_delta_rate(10, -1), 0);
}

static void interval(const char *instance, double uptime, const char *before, double before_uptime,
		     enum vst_delta_base want, double seconds)
{
	double got = 77;

	assert_int_equal(vst_delta_interval(instance, uptime, before, before_uptime, &got), want);
	near(got, seconds);
}

static void test_interval(void **state)
{
	interval("a", 12.5, "", 0, VST_DELTA_FIRST, 12.5);
	interval("a", 12.5, "a", 10, VST_DELTA_NEXT, 2.5);
	interval("a", 9, "a", 10, VST_DELTA_NEXT, 0); /* a clock that went backwards */
	interval("b", 100, "a", 10, VST_DELTA_RESTARTED, 0);
}

static void longest(int last, __u64 now, __u64 before, __u64 want)
{
	const struct vst_times n = { .max_ns = now }, b = { .max_ns = before };

	assert_int_equal(vst_delta_max(&n, &b, last), want);
}

static void test_max(void **state)
{
	const struct vst_times now = { .max_ns = 5 };

	longest(-1, 900, 100, 0);
	longest(30, 900, 100, 900); /* it grew: exact */
	longest(30, 1 << 30, 1 << 30, vst_hist_lower(31));
	longest(100, 900, 900, 900); /* no sample was longer than the longest ever */
	longest(VST_HIST_BUCKETS - 1, 900, 900, 900);
	longest(0, 0, 0, 0);
	longest(30, 0, 0, vst_hist_lower(31)); /* told in a bucket before it is told as the longest */
	assert_int_equal(vst_delta_max(&now, NULL, 0), 5);
}

static const struct vst_times before = { B({ 10, 4 }, { 20, 6 }, { 30, 1 }), 1000, 500 };
static const struct vst_times now = { B({ 5, 1 }, { 10, 4 }, { 20, 9 }, { 30, 0 }, { 40, 2 }), 4000, 700 };

static void test_times(void **state)
{
	struct vst_bucket room[5];
	struct vst_times d;

	assert_int_equal(vst_delta_times(&d, &now, &before, room), 3);
	assert_int_equal(d.hist.n, 3);
	assert_ptr_equal(d.hist.bucket, room);
	assert_int_equal(room[0].index, 5);
	assert_int_equal(room[0].n, 1);
	assert_int_equal(room[1].index, 20);
	assert_int_equal(room[1].n, 3);
	assert_int_equal(room[2].index, 40);
	assert_int_equal(room[2].n, 2);
	assert_int_equal(d.sum_ns, 3000);
	assert_int_equal(d.max_ns, 700);
	assert_int_equal(vst_delta_times(&d, &now, NULL, room), 4); /* an empty bucket is no sample */
	assert_int_equal(d.sum_ns, 4000);
	assert_int_equal(vst_delta_times(&d, &before, &now, room), 1); /* turned around: what fell is 0 */
	assert_int_equal(d.sum_ns, 0);
	assert_int_equal(room[0].index, 30);
}

static void test_counts(void **state)
{
	struct vst_counts a = { 0 }, b = { 0 }, d;
	struct vst_bucket room[16];

	b.time[VST_TIME_LATENCY] = before;
	a.time[VST_TIME_LATENCY] = a.time[VST_TIME_QUEUE] = now;
	assert_int_equal(vst_delta_room(&a), 10);
	b.counter[VST_COUNTER_ios] = 5, b.counter[VST_COUNTER_bytes] = 100;
	a.counter[VST_COUNTER_ios] = 9, a.counter[VST_COUNTER_bytes] = 50;
	assert_true(vst_delta_counts(&d, &a, &b, room));
	assert_int_equal(d.counter[VST_COUNTER_ios], 4);
	assert_int_equal(d.counter[VST_COUNTER_bytes], 0); /* it seems to have fallen */
	assert_int_equal(d.time[VST_TIME_LATENCY].hist.n, 3);
	assert_int_equal(d.time[VST_TIME_QUEUE].hist.n, 4);
	assert_ptr_equal(d.time[VST_TIME_QUEUE].hist.bucket, room + (VST_TIME_QUEUE > VST_TIME_LATENCY ? 3 : 0));
	assert_int_equal(d.time[VST_TIME_DEVICE].hist.n, 0);
	assert_true(vst_delta_counts(&d, &a, NULL, room));
	assert_int_equal(d.counter[VST_COUNTER_ios], 9);
	assert_false(vst_delta_counts(&d, &a, &a, room));
	assert_int_equal(d.counter[VST_COUNTER_ios], 0);
	b = a;
	assert_false(vst_delta_counts(&d, &a, &b, room));
	assert_int_equal(d.time[VST_TIME_QUEUE].hist.n, 0);
}

static void test_histogram(void **state)
{
	const struct vst_times slow = { B({ 30, 98 }, { 60, 2 }), 5, 1000 * 1000 };
	const struct vst_times idle = { B({ 0, 10 }), 0, 0 };
	struct vst_histogram h = { 0 }, other = { 0 };
	struct vst_bucket room[VST_HIST_BUCKETS];

	near(vst_histogram_quantile(&h, 0.5), 0);
	vst_histogram_add(&h, &idle, NULL);
	assert_int_equal(h.samples, 10);
	near(vst_histogram_quantile(&h, 0.99), 0); /* they are known to have taken no time */
	memset(&h, 0, sizeof(h));
	vst_histogram_add(&h, &slow, NULL);
	vst_histogram_add(&h, &slow, &slow); /* nothing happened */
	assert_int_equal(h.samples, 100);
	near(vst_histogram_quantile(&h, 0.5), (double)(vst_hist_lower(30) + vst_hist_lower(31)) / 2e3);
	near(vst_histogram_quantile(&h, 0.99), (double)(vst_hist_lower(60) + vst_hist_lower(61)) / 2e3);
	near(vst_times_quantile(&slow, 0.99), vst_histogram_quantile(&h, 0.99));
	h.max_ns = 180 * 1000; /* less than the middle of its bucket */
	near(vst_histogram_quantile(&h, 0.99), 180);
	vst_histogram_add(&other, &now, &before);
	assert_int_equal(other.samples, 6);
	assert_int_equal(other.max_ns, 700);
	vst_histogram_merge(&h, &other);
	assert_int_equal(h.samples, 106);
	assert_int_equal(h.n[20], 3);
	assert_int_equal(h.n[30], 98);
	assert_int_equal(h.sum_ns, 3005);
	assert_int_equal(h.max_ns, 180 * 1000);
	assert_int_equal(vst_histogram_pack(h.n, room), 5);
	assert_int_equal(room[4].index, 60);
	assert_int_equal(room[4].n, 2);
}

/* --- snapshots: the lists of these are arrays of pointers, two values each --- */

static const struct vst_snapshot *prev_snapshot;
static struct vst_snap_io prev_io = { .id = 7, .counts.counter = { [VST_COUNTER_bytes] = 100 } };
static struct vst_snap_wait prev_wait = { .id = 8, .total_ns = 50 };

const struct vst_snap_io *vst_snapshot_io(const struct vst_snapshot *s, __u32 index)
{
	return s == prev_snapshot && index == 3 ? &prev_io : NULL;
}

const struct vst_snap_wait *vst_snapshot_wait(const struct vst_snapshot *s, __u32 index)
{
	return s == prev_snapshot && index == 4 ? &prev_wait : NULL;
}

const struct vst_snap_container *vst_snapshot_container(const struct vst_snapshot *s, __u32 index)
{
	return NULL;
}

const struct vst_snap_device *vst_snapshot_device(const struct vst_snapshot *s, __u32 index)
{
	return NULL;
}

static void test_snapshots(void **state)
{
	struct vst_snapshot a = { .seq = 4, .time = 50, .started = 10, .instance = "x" };
	struct vst_snapshot b = { .seq = 5, .time = 52.5, .started = 10, .instance = "x" };
	struct vst_snap_io io = prev_io;
	struct vst_snap_wait wait = { .id = 8, .total_ns = 80 };

	prev_snapshot = &a;
	assert_ptr_equal(vst_delta_snapshot_base(&a, &b), &a);
	assert_null(vst_delta_snapshot_base(NULL, &b));
	assert_null(vst_delta_snapshot_base(&b, &a));
	near(vst_delta_snapshot_seconds(&a, &b), 2.5);
	near(vst_delta_snapshot_seconds(NULL, &b), 42.5);
	assert_ptr_equal(vst_delta_snapshot_io(&a, 3, &prev_io), &prev_io); /* shared: unchanged */
	assert_null(vst_delta_snapshot_io(&a, 2, &io));
	assert_null(vst_delta_snapshot_io(NULL, 3, &io));
	io.counts.counter[VST_COUNTER_bytes] = 160;
	assert_int_equal(vst_delta_io(&io, vst_delta_snapshot_io(&a, 3, &io), VST_COUNTER_bytes), 60);
	assert_int_equal(vst_delta_io(&io, NULL, VST_COUNTER_bytes), 160);
	io.id = 9; /* the index was given again */
	assert_null(vst_delta_snapshot_io(&a, 3, &io));
	assert_int_equal(vst_delta_wait_ns(&wait, vst_delta_snapshot_wait(&a, 4, &wait)), 30);
	strcpy(b.instance, "y");
	assert_null(vst_delta_snapshot_base(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guards),	  cmocka_unit_test(test_interval), cmocka_unit_test(test_max),
		cmocka_unit_test(test_times),	  cmocka_unit_test(test_counts),   cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_snapshots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
