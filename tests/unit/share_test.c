/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/waits/share.c agent/waits/blame.c agent/waits/wait_rows.c agent/snapshot.c agent/base/places.c -lm */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/waits/blame.h"
#include "agent/waits/share.h"

#define MS 1e6
#define N(a) (sizeof(a) / sizeof((a)[0]))

static const char a[] = "a", b[] = "b", c[] = "c", others[] = "others";

/* Who waits for whom, of up to three and the others; the 5th place: nobody else. */
struct matrix {
	double ns[5][5];
};

static int place(const void *who)
{
	return who == a ? 0 : who == b ? 1 : who == c ? 2 : who == others ? 3 : 4;
}

static void emit(void *arg, const struct vst_share_party *waiter, const void *holder, double ns)
{
	struct matrix *m = arg;

	m->ns[place(waiter->who)][place(holder)] += ns;
}

static struct vst_share_work reads(const void *who, __u64 ios, __u64 kib, double queue_ms, double device_ms)
{
	return (struct vst_share_work){ .who = who,
					.op = VST_OP_READ,
					.ios = ios,
					.bytes = ios * kib * 1024,
					.queue_ns = (__u64)(queue_ms * MS),
					.device_ns = (__u64)(device_ms * MS) };
}

static void near(double got, double wanted)
{
	if (got < wanted - 1e-3 * MS || got > wanted + 1e-3 * MS)
		fail_msg("%f ms, not %f ms", got / MS, wanted / MS);
}

/* A window of 100 ms. */
static struct matrix window(struct vst_share_model *m, struct vst_share_work *work, size_t n)
{
	struct vst_share_party parties[64];
	struct matrix ret = { 0 };

	n = vst_share_parties(m, work, n, 100 * MS, parties);
	vst_share_divide(parties, n, others, emit, &ret);
	return ret;
}

/* --- what a request takes when nobody is in the way --- */

static void test_the_shortest_mean_is_kept(void **state)
{
	struct vst_share_model m = { 0 };
	struct vst_share_work w = reads(a, 10, 4, 0, 10);

	assert_true(vst_share_base(&m, VST_OP_READ, 4096) == 0);
	vst_share_learn(&m, &w, 1, 0);
	near(vst_share_base(&m, VST_OP_READ, 4096), 1 * MS);
	w = reads(a, 10, 4, 0, 50);
	vst_share_learn(&m, &w, 1, 0);
	near(vst_share_base(&m, VST_OP_READ, 4096), 1 * MS);
	w = reads(a, 3, 4, 0, 0.03); /* three hits in a cache prove nothing */
	vst_share_learn(&m, &w, 1, 0);
	near(vst_share_base(&m, VST_OP_READ, 4096), 1 * MS);
	vst_share_learn(&m, &w, 0, 3600); /* a device may get slower for good */
	near(vst_share_base(&m, VST_OP_READ, 4096), 2 * MS);
	assert_true(vst_share_base(&m, VST_OP_WRITE, 4096) == 0);
}

static void test_sizes_bound_each_other(void **state)
{
	struct vst_share_model m = { 0 };
	struct vst_share_work w[] = { reads(a, 10, 4, 0, 10), reads(b, 10, 64, 0, 1000) };

	/* a size that was never seen: at most as long as so many small ones */
	vst_share_learn(&m, w, 1, 0);
	near(vst_share_base(&m, VST_OP_READ, 64 * 1024), 16 * MS);
	/* one that was only seen while the device was full: likewise */
	vst_share_learn(&m, w, 2, 0);
	near(vst_share_base(&m, VST_OP_READ, 64 * 1024), 16 * MS);
	/* and a small one takes no longer than a large one */
	w[1] = reads(b, 10, 64, 0, 5);
	vst_share_learn(&m, w, 2, 0);
	near(vst_share_base(&m, VST_OP_READ, 4096), 0.5 * MS);
	near(vst_share_base(&m, VST_OP_READ, 1), 0.5 * MS);
	near(vst_share_base(&m, VST_OP_READ, 1e12), 0.5 * MS * 128);
}

/* --- whose a wait is --- */

static struct vst_share_model device(double ms)
{
	struct vst_share_model m = { 0 };
	struct vst_share_work w = reads(a, 1000, 4, 0, 1000 * ms);

	vst_share_learn(&m, &w, 1, 0);
	return m;
}

static void test_one_request_at_a_time_waits_for_the_others(void **state)
{
	struct vst_share_model m = device(0.1);
	/* 5 of a, one after the other, 20 ms each; of b 32 at a time */
	struct vst_share_work w[] = { reads(b, 160, 4, 0, 3200), reads(a, 5, 4, 0, 100) };
	struct matrix x = window(&m, w, 2);

	near(x.ns[0][1], 100 * MS - 5 * 0.125 * MS);
	assert_true(x.ns[0][0] == 0);
	assert_true(x.ns[1][0] > 0 && x.ns[1][1] > 20 * x.ns[1][0]);
	near(x.ns[1][0] + x.ns[1][1], 3200 * MS - 160 * 0.125 * MS);
}

static void test_two_holders_by_what_was_done_for_them(void **state)
{
	struct vst_share_model m = device(0.1);
	struct vst_share_work w[] = { reads(b, 100, 4, 0, 2000), reads(c, 50, 4, 0, 1000), reads(a, 5, 4, 60, 40) };
	struct matrix x = window(&m, w, 3);

	near(x.ns[0][1], (100 - 0.625) * MS * 2 / 3);
	near(x.ns[0][2], (100 - 0.625) * MS / 3);
	/* large requests count for as much as they take: 16 times, if nothing else is known */
	w[0] = reads(a, 5, 4, 60, 40);
	w[1] = reads(b, 50, 4, 0, 1000);
	w[2] = reads(c, 50, 64, 0, 2000);
	x = window(&m, w, 3);
	near(x.ns[0][2] / x.ns[0][1] * MS, 16 * MS);
}

static void test_alone_nobody_is_to_blame_but_oneself(void **state)
{
	struct vst_share_model m = device(0.1);
	struct vst_share_work w = reads(a, 5, 4, 0, 100);
	struct matrix x = window(&m, &w, 1);

	/* one at a time: the device was slow */
	for (int i = 0; i < 5; i++)
		assert_true(x.ns[0][i] == 0);
	/* hardly more than one: the clock of the window is not that of the requests */
	w = reads(a, 101, 4, 0, 102.01);
	x = window(&m, &w, 1);
	near(x.ns[0][0], 102.01 * MS * (1 - 1 / 1.01));
	/* 10 at a time wait for each other, and each for the device */
	w = reads(a, 100, 4, 0, 1000);
	x = window(&m, &w, 1);
	near(x.ns[0][0], 1000 * MS * (1 - 1 / 9.9));
}

static void test_who_was_hardly_there_is_hardly_to_blame(void **state)
{
	struct vst_share_model m = device(0.1);
	struct vst_share_work w[] = { reads(a, 10, 4, 0, 100), reads(b, 1, 4, 0, 5) };
	struct matrix x = window(&m, w, 2);

	/* b was there for a twentieth of the window */
	near(x.ns[0][1], 5 * MS);
	assert_true(x.ns[0][3] == 0 && x.ns[0][0] == 0);
}

static void test_a_device_that_is_as_fast_as_ever_is_not_waited_for(void **state)
{
	struct vst_share_model m = device(0.1);
	struct vst_share_work w[] = { reads(a, 100, 4, 0, 11), reads(b, 100, 4, 0, 12) };
	struct matrix x = window(&m, w, 2);

	assert_true(x.ns[0][1] == 0 && x.ns[1][0] == 0);
	/* but in the queue before it they did wait */
	w[0] = reads(a, 100, 4, 50, 11);
	w[1] = reads(b, 100, 4, 0, 12);
	x = window(&m, w, 2);
	assert_true(x.ns[0][1] > 0 && x.ns[1][0] == 0);
}

static void test_rows_of_one_are_one_party(void **state)
{
	struct vst_share_model m = device(0.1);
	struct vst_share_work w[] = { reads(a, 5, 4, 0, 50), reads(b, 50, 4, 0, 1000), reads(a, 5, 4, 0, 50),
				      reads(c, 0, 0, 0, 0) };
	struct vst_share_party p[4];

	assert_int_equal(vst_share_parties(&m, w, 4, 100 * MS, p), 2);
	near(p[p[1].who == a].wait_ns, 100 * MS - 1.25 * MS);
	assert_int_equal(p[p[1].who == a].waits, 10);
	assert_true(p[p[1].who == a].self == 0);
	assert_int_equal(vst_share_parties(&m, w, 0, 100 * MS, p), 0);
}

static void test_many_small_ones_are_one(void **state)
{
	static const char many[40];
	struct vst_share_party p[42] = { { .who = a, .wait_ns = 10 * MS, .limit_ns = 10 * MS, .weight = 1 } };
	struct matrix x = { 0 };
	size_t i;

	p[1] = (struct vst_share_party){ .who = b, .weight = 60, .presence = 1 };
	for (i = 2; i < 42; i++)
		p[i] = (struct vst_share_party){ .who = &many[i - 2], .weight = 1, .presence = 0.5 };
	vst_share_divide(p, 42, others, emit, &x);
	near(x.ns[0][1], 6 * MS);
	near(x.ns[0][3], 4 * MS);
	assert_true(x.ns[0][0] == 0 && x.ns[0][4] == 0);
}

/* --- the sums --- */

static struct vst_wait_rows rows;

void vst_devices_name(struct vst_devices *devs, __u32 dev, char *buf, size_t size)
{
	snprintf(buf, size, "disk%u", dev);
}

static void test_no_room_is_said_by_others(void **state)
{
	static struct vst_container all[VST_BLAME_PAIRS + 8];
	const struct vst_blame_pair *p;
	struct vst_blame *sums;
	unsigned int n = 0;
	double ns = 0;

	assert_int_equal(vst_blame_new(&rows, &sums), 0);
	for (size_t i = 1; i < N(all); i++)
		vst_blame_add(sums, VST_WAIT_DEVICE, 7, &all[0], &all[i], 1, 100, 1);
	for (p = vst_blame_pairs(sums); p; p = p->hh.next) {
		n++;
		ns += p->ns;
		if (p->key.holder == &vst_waits_others)
			assert_int_equal(p->waits, N(all) - 1 - VST_BLAME_PAIRS);
	}
	assert_int_equal(n, VST_BLAME_PAIRS + 1);
	assert_true(ns == 100.0 * (N(all) - 1));
	assert_int_equal(all[0].rows, n);
	vst_blame_reclaim(sums, 100); /* crowded: what is idle goes */
	assert_int_equal(all[0].rows, 1);
	assert_int_equal(all[1].rows, 0);
	vst_blame_reclaim(sums, 1000);
	assert_null(vst_blame_pairs(sums));
	assert_null(vst_wait_rows_changed(&rows)); /* what was forgotten is in no snapshot */
	vst_blame_free(sums);
	vst_wait_rows_free(&rows);
}

/* A pair's value is made when a snapshot is; what it said to whoever has it already stays. */
static void test_values_of_pairs(void **state)
{
	struct vst_container one = { .cgroup = (char *)"/one" }, two = { .cgroup = (char *)"/two" };
	struct vst_snap_wait *before;
	struct vst_wait_row *row;
	struct vst_blame *sums;

	assert_int_equal(vst_blame_new(&rows, &sums), 0);
	vst_blame_add(sums, VST_WAIT_DIRTY, 7, &one, &two, 1, 100, 1);
	vst_blame_add(sums, VST_WAIT_DIRTY, 7, &one, &two, 2, 50, 1);
	vst_blame_collect(sums, NULL);
	row = vst_wait_rows_changed(&rows);
	assert_null(vst_wait_rows_changed(&rows));
	assert_int_equal(row->value->type, VST_WAIT_DIRTY);
	assert_int_equal(row->value->side, VST_WAIT_OF_PAIR);
	assert_int_equal(row->value->waits, 3);
	assert_int_equal(row->value->total_ns, 150);
	assert_string_equal(row->value->name, "disk7");
	assert_string_equal(row->value->evidence, "share");
	before = vst_value_ref(row->value);
	vst_blame_collect(sums, NULL);
	assert_null(vst_wait_rows_changed(&rows)); /* nothing is new */
	vst_blame_add(sums, VST_WAIT_DIRTY, 7, &one, &two, 1, 1, 2);
	vst_blame_collect(sums, NULL);
	assert_ptr_equal(vst_wait_rows_changed(&rows), row);
	assert_int_equal(row->value->total_ns, 151);
	assert_int_equal(before->total_ns, 150);
	assert_int_equal(before->id, row->value->id);
	vst_value_unref(before);
	vst_blame_free(sums);
	vst_wait_rows_free(&rows);
}

static void test_resources_are_apart(void **state)
{
	struct vst_container one = { 0 }, two = { 0 };
	struct vst_blame *sums;

	assert_int_equal(vst_blame_new(&rows, &sums), 0);
	vst_blame_add(sums, VST_WAIT_DEVICE, 7, &one, &two, 1, 100, 1);
	vst_blame_add(sums, VST_WAIT_JOURNAL, 7, &one, &two, 1, 100, 1);
	vst_blame_add(sums, VST_WAIT_DEVICE, 8, &one, &two, 1, 100, 1);
	vst_blame_add(sums, VST_WAIT_DEVICE, 8, &one, &two, 2, 50, 1);
	assert_int_equal(one.rows, 3);
	vst_blame_free(sums);
	assert_int_equal(one.rows, 0);
	assert_int_equal(two.rows, 0);
	vst_wait_rows_free(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_shortest_mean_is_kept),
		cmocka_unit_test(test_sizes_bound_each_other),
		cmocka_unit_test(test_one_request_at_a_time_waits_for_the_others),
		cmocka_unit_test(test_two_holders_by_what_was_done_for_them),
		cmocka_unit_test(test_alone_nobody_is_to_blame_but_oneself),
		cmocka_unit_test(test_who_was_hardly_there_is_hardly_to_blame),
		cmocka_unit_test(test_a_device_that_is_as_fast_as_ever_is_not_waited_for),
		cmocka_unit_test(test_rows_of_one_are_one_party),
		cmocka_unit_test(test_many_small_ones_are_one),
		cmocka_unit_test(test_no_room_is_said_by_others),
		cmocka_unit_test(test_resources_are_apart),
		cmocka_unit_test(test_values_of_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
