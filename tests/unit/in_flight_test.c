/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/io/in_flight.c */
/* What is in flight, read from a table that the test writes as the probes do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "agent/io/in_flight.h"

#define NOW 10000000000ULL
#define MS 1000000ULL

static __u64 table[VST_INFLIGHT_WORDS];
static struct vst_in_flight_look u;

static struct vst_inflight *in(__u32 at)
{
	return (struct vst_inflight *)table + at;
}

static struct vst_inflight_more *more(__u32 at)
{
	return (struct vst_inflight_more *)((struct vst_inflight *)table + VST_INFLIGHT_PLACES) + at;
}

/* A request in a place, with the bit of its block. */
static void put(__u32 at, __u32 row, __u64 state, __u64 when)
{
	in(at)->what = 0x1234ULL << 32 | 8 << IN_SECTORS_SHIFT | row << IN_ROW_SHIFT | state;
	in(at)->when = when;
	table[VST_INFLIGHT_USED + at / VST_INFLIGHT_BLOCK / 64] |= 1ULL << (at / VST_INFLIGHT_BLOCK % 64);
}

static int begin(void **state)
{
	memset(table, 0, sizeof(table));
	memset(&u, 0, sizeof(u));
	return 0;
}

static void test_requests_of_a_row_add_up(void **state)
{
	put(0, 7, IN_ISSUED, NOW - 3000 * MS);
	put(VST_INFLIGHT_PLACES - 1, 7, IN_ISSUED, NOW - 1000 * MS);
	put(5000, 8, IN_ISSUED, NOW - 5 * MS);
	vst_underway_scan(&u, table, NOW);
	assert_int_equal(u.n_touched, 2);
	assert_int_equal(u.row[7].ios, 2);
	assert_int_equal(u.row[7].oldest_ns, NOW - 3000 * MS);
	assert_int_equal(u.row[7].sum_ns, 4000 * MS);
	assert_int_equal(u.row[8].ios, 1);
	assert_int_equal(u.row[8].sum_ns, 5 * MS);
}

static void test_a_look_forgets_the_one_before(void **state)
{
	put(64, 7, IN_ISSUED, NOW - 3000 * MS);
	vst_underway_scan(&u, table, NOW);
	in(64)->what &= IN_PLACE;
	vst_underway_scan(&u, table, NOW);
	assert_int_equal(u.n_touched, 0);
	assert_int_equal(u.row[7].ios, 0);
	assert_int_equal(u.row[7].oldest_ns, 0);
	assert_int_equal(u.row[7].sum_ns, 0);
}

static void test_what_is_being_decided_is_left_out(void **state)
{
	put(3, 0, IN_HELD, NOW - 3000 * MS);	    /* its rows are decided at this moment */
	put(4, 0, IN_ISSUED, NOW - 3000 * MS);	    /* the table of rows was full */
	put(5, 9, IN_FREE | IN_MORE, NOW - 1 * MS); /* has ended */
	vst_underway_scan(&u, table, NOW);
	assert_int_equal(u.n_touched, 0);
	assert_int_equal(u.undecided, 0);
}

static void test_time_in_the_queue_counts(void **state)
{
	put(3, 9, IN_ISSUED | IN_MORE, NOW - 10 * MS);
	more(3)->queued_ns = NOW - 2000 * MS;
	put(4, 9, IN_REQUEUED | IN_MORE, NOW - 20 * MS);
	more(4)->queued_ns = NOW - 500 * MS;
	put(5, 9, IN_ISSUED | IN_MORE, NOW - 30 * MS); /* several parts, but it was not queued */
	vst_underway_scan(&u, table, NOW);
	assert_int_equal(u.row[9].ios, 3);
	assert_int_equal(u.row[9].oldest_ns, NOW - 2000 * MS);
	assert_int_equal(u.row[9].sum_ns, 2530 * MS);
}

static void test_a_request_of_several_rows_is_one_io_and_keeps_them_all(void **state)
{
	put(3, 9, IN_ISSUED | IN_MORE, NOW - 10 * MS);
	more(3)->row[0] = 9;
	more(3)->row[1] = 10;
	more(3)->row[2] = 11;
	vst_underway_scan(&u, table, NOW);
	assert_int_equal(u.n_touched, 3);
	assert_int_equal(u.row[9].ios, 1);
	assert_int_equal(u.row[10].ios, 0);
	assert_int_equal(u.row[10].sum_ns, 0);
	assert_int_equal(u.row[10].parts, 1);
	assert_int_equal(u.row[11].parts, 1);
}

static void test_a_request_in_a_queue_has_the_row_that_was_decided_for_it(void **state)
{
	put(3, 0, IN_HELD | IN_MORE, 77);
	more(3)->queued_ns = NOW - 4000 * MS;
	vst_underway_scan(&u, table, NOW);
	assert_int_equal(u.n_touched, 0);
	assert_int_equal(u.undecided, 1);
	assert_int_equal(u.undecided_ns, NOW - 4000 * MS);
	more(3)->held = VST_HELD(more(3)->queued_ns, 12);
	vst_underway_scan(&u, table, NOW);
	assert_int_equal(u.undecided, 0);
	assert_int_equal(u.row[12].ios, 1);
	assert_int_equal(u.row[12].sum_ns, 4000 * MS);
	/* the next request in this place was queued at another time */
	more(3)->queued_ns += 1000 * MS;
	vst_underway_scan(&u, table, NOW);
	assert_int_equal(u.row[12].ios, 0);
	assert_int_equal(u.undecided, 1);
}

static void test_a_short_wait_in_a_queue_is_not_looked_into(void **state)
{
	put(3, 0, IN_HELD | IN_MORE, 77);
	more(3)->queued_ns = NOW - VST_HELD_FOR + 1;
	vst_underway_scan(&u, table, NOW);
	assert_int_equal(u.undecided, 0);
	more(3)->queued_ns = NOW + 5 * MS;
	vst_underway_scan(&u, table, NOW);
	assert_int_equal(u.undecided, 0);
}

static void test_what_was_submitted_after_the_clock_was_read_is_of_age_0(void **state)
{
	put(3, 9, IN_ISSUED, NOW + 1);
	vst_underway_scan(&u, table, NOW);
	assert_int_equal(u.row[9].ios, 1);
	assert_int_equal(u.row[9].sum_ns, 0);
	assert_int_equal(u.row[9].oldest_ns, NOW + 1);
}

static void test_places_that_were_never_used_are_not_read(void **state)
{
	in(200)->what = 0x1234ULL << 32 | 5 << IN_ROW_SHIFT | IN_ISSUED;
	vst_underway_scan(&u, table, NOW);
	assert_int_equal(u.n_touched, 0);
	put(201, 6, IN_ISSUED, NOW); /* of the same block */
	vst_underway_scan(&u, table, NOW);
	assert_int_equal(u.n_touched, 2);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup(t, begin)
	const struct CMUnitTest tests[] = {
		T(test_requests_of_a_row_add_up),
		T(test_a_look_forgets_the_one_before),
		T(test_what_is_being_decided_is_left_out),
		T(test_time_in_the_queue_counts),
		T(test_a_request_of_several_rows_is_one_io_and_keeps_them_all),
		T(test_a_request_in_a_queue_has_the_row_that_was_decided_for_it),
		T(test_a_short_wait_in_a_queue_is_not_looked_into),
		T(test_what_was_submitted_after_the_clock_was_read_is_of_age_0),
		T(test_places_that_were_never_used_are_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
