/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/sinks/stuck.c agent/snapshot.c */
/* What is said of I/O and waits that take long, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/sinks/stuck.h"

static char last[1024];
static unsigned int lines;

void vst_log(enum vst_log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(last, sizeof(last), fmt, args);
	va_end(args);
	lines++;
}

static struct vst_snapshot *snapshot;

/* A snapshot at that second, with one container and one disk. */
static void at(double now)
{
	struct vst_snap_container *c = vst_value_new(VST_SNAP_CONTAINERS);
	struct vst_snap_device *d = vst_value_new(VST_SNAP_DEVICES);

	vst_snapshot_unref(snapshot);
	snapshot = vst_snapshot_next(NULL);
	snapshot->time = now;
	snapshot->unix_time = now;
	c->display = (char *)"web\n1";
	assert_int_equal(vst_value_own_texts(VST_SNAP_CONTAINERS, c), 0);
	assert_int_equal(vst_snapshot_put(snapshot, VST_SNAP_CONTAINERS, 5, c), 0);
	d->dev = 7;
	d->name = (char *)"loop4";
	d->not_judged = (char *)"";
	assert_int_equal(vst_value_own_texts(VST_SNAP_DEVICES, d), 0);
	assert_int_equal(vst_snapshot_put(snapshot, VST_SNAP_DEVICES, 0, d), 0);
}

static void io(__u32 id, __u32 ios, double since)
{
	struct vst_snap_io *v = vst_value_new(VST_SNAP_IOS);

	v->id = id;
	v->container = 5;
	v->dev = 7;
	v->op = VST_OP_WRITE;
	v->in_flight = ios;
	v->oldest_ns = (__u64)(since * 1e9);
	assert_int_equal(vst_snapshot_put(snapshot, VST_SNAP_IOS, id, v), 0);
}

static void test_it_is_told_seldom(void **state)
{
	assert_int_equal(vst_stuck_times(0), 0);
	assert_int_equal(vst_stuck_times(1.99), 0);
	assert_int_equal(vst_stuck_times(2), 1);
	assert_int_equal(vst_stuck_times(9.9), 1);
	assert_int_equal(vst_stuck_times(10), 2);
	assert_int_equal(vst_stuck_times(60), 3);
	assert_int_equal(vst_stuck_times(659), 3);
	assert_int_equal(vst_stuck_times(660), 4);
	assert_int_equal(vst_stuck_times(1260), 5);
	assert_int_equal(vst_stuck_times(-5), 0); /* begun after the clock was read */
}

static void test_a_stuck_write_is_told_and_its_end(void **state)
{
	struct vst_stuck *st;

	assert_int_equal(vst_stuck_new(&st), 0);
	lines = 0;
	at(101);
	io(1, 1, 100);
	vst_stuck_look(st, snapshot);
	assert_int_equal(lines, 0);
	assert_false(vst_stuck_any(st));
	for (int s = 102; s < 110; s++) {
		at(s);
		io(1, 1, 100);
		vst_stuck_look(st, snapshot);
		assert_int_equal(lines, 1);
	}
	assert_non_null(strstr(last, "web?1 waits for disk loop4 since "));
	assert_non_null(strstr(last, "1 write request is in flight and did not complete, for 2 s"));
	at(111);
	io(1, 2, 100);
	vst_stuck_look(st, snapshot);
	assert_int_equal(lines, 2);
	assert_non_null(strstr(last, "2 write requests are in flight"));
	assert_true(vst_stuck_any(st));
	at(112);
	io(1, 0, 0);
	vst_stuck_look(st, snapshot);
	assert_int_equal(lines, 3);
	assert_non_null(strstr(last, "over after 12 s: web?1 waits for disk loop4"));
	assert_false(vst_stuck_any(st));
	vst_stuck_free(st);
}

/* A slow disk: each request takes 3 s, and there is always one that is old. */
static void test_a_row_whose_requests_all_take_long_is_told_once(void **state)
{
	struct vst_stuck *st;

	assert_int_equal(vst_stuck_new(&st), 0);
	lines = 0;
	for (int s = 103; s < 123; s++) {
		at(s);
		io(1, 4, s - 3);
		vst_stuck_look(st, snapshot);
	}
	assert_int_equal(lines, 1);
	vst_stuck_free(st);
}

static void test_lines_are_bounded(void **state)
{
	struct vst_stuck *st;

	assert_int_equal(vst_stuck_new(&st), 0);
	lines = 0;
	at(110);
	for (__u32 id = 1; id <= 500; id++)
		io(id, 1, 107);
	vst_stuck_look(st, snapshot);
	assert_int_equal(lines, 20);
	at(171);
	for (__u32 id = 1; id <= 500; id++)
		io(id, 1, 170.5); /* all of them are over */
	vst_stuck_look(st, snapshot);
	assert_int_equal(lines, 20 + 1 + 20); /* how many were left out, and some of what is over */
	vst_stuck_free(st);
}

static void test_waits_are_told_by_what_they_are_for(void **state)
{
	char text[VST_STUCK_TEXT];
	struct vst_snap_wait w = { .type = VST_WAIT_FREEZE,
				   .waiter = 5,
				   .waiting = 1,
				   .oldest_ns = 5000000000ULL,
				   .name = (char *)"loop4",
				   .object = (char *)"" };

	at(20);
	vst_stuck_wait_text(snapshot, &w, text);
	assert_non_null(strstr(text, "web?1: 1 task waits since "));
	assert_non_null(strstr(text, "because the file system on loop4 is frozen"));
	w.type = VST_WAIT_LOCK;
	w.name = (char *)"inode.i_rwsem";
	w.object = (char *)"/a (inode 3 on vda)";
	w.waiting = 3;
	vst_stuck_wait_text(snapshot, &w, text);
	assert_non_null(strstr(text, "3 tasks wait since "));
	assert_non_null(strstr(text, "for lock inode.i_rwsem of /a (inode 3 on vda)"));
	w.waiter = 77; /* it is not in the snapshot */
	vst_stuck_wait_text(snapshot, &w, text);
	assert_non_null(strstr(text, "unattributed: "));
}

static int end(void **state)
{
	vst_snapshot_unref(snapshot);
	snapshot = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_told_seldom),
		cmocka_unit_test(test_a_stuck_write_is_told_and_its_end),
		cmocka_unit_test(test_a_row_whose_requests_all_take_long_is_told_once),
		cmocka_unit_test(test_lines_are_bounded),
		cmocka_unit_test(test_waits_are_told_by_what_they_are_for),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
