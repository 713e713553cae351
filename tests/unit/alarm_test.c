// SPDX-License-Identifier: GPL-2.0-only
/* LINK: agent/insight/alarm.c agent/insight/verdict.c -lm */
/* When many encrypted files are an alarm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/insight/alarm.h"

static __u16 even[256], uneven[256];

/* Notes `files` files, `gap` seconds from one to the next. How often the alarm rang. */
static int note(struct vst_alarms *a, __u32 number, const __u16 *count, int files, double from, double gap)
{
	int rang = 0;

	for (int i = 0; i < files; i++)
		rang += vst_alarm_note(a, number, count, from + i * gap);
	return rang;
}

static int set_up(void **state)
{
	for (int i = 0; i < 256; i++)
		even[i] = uneven[i] = 8;
	uneven[0] = 40; /* what many compressed files have together */
	return 0;
}

static void many_ring_once(void **state)
{
	struct vst_alarms a = { 0 };

	assert_int_equal(note(&a, 7, even, VST_ALARM_FILES - 1, 100, 0.1), 0);
	assert_int_equal(vst_alarm_files(&a, 7, 105), 0);
	assert_int_equal(note(&a, 7, even, 200, 105, 0.1), 1);
	assert_int_equal(vst_alarm_files(&a, 7, 125), VST_ALARM_FILES - 1 + 200);
	assert_int_equal(vst_alarm_files(&a, 7, 200), 0);
	assert_int_equal(note(&a, 7, even, 200, 201, 0.1), 1);
}

static void few_in_a_minute_do_not(void **state)
{
	struct vst_alarms a = { 0 };

	assert_int_equal(note(&a, 7, even, 1000, 100, 4), 0);
}

static void files_of_several_are_not_added(void **state)
{
	struct vst_alarms a = { 0 };

	for (__u32 number = 1; number <= 3 * VST_ALARM_CONTAINERS; number++)
		assert_int_equal(note(&a, number, even, VST_ALARM_FILES - 1, 100 + number, 0), 0);
}

static void compressed_ones_do_not(void **state)
{
	struct vst_alarms a = { 0 };

	assert_int_equal(note(&a, 7, uneven, 500, 100, 0.1), 0);
}

static void after_a_long_time_it_begins_anew(void **state)
{
	struct vst_alarms a = { 0 };

	assert_int_equal(note(&a, 7, even, VST_ALARM_FILES - 1, 100, 0), 0);
	assert_int_equal(note(&a, 7, even, VST_ALARM_FILES - 1, 1e6, 0), 0);
	assert_int_equal(note(&a, 7, even, 1, 1e6, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_ring_once),
		cmocka_unit_test(few_in_a_minute_do_not),
		cmocka_unit_test(files_of_several_are_not_added),
		cmocka_unit_test(compressed_ones_do_not),
		cmocka_unit_test(after_a_long_time_it_begins_anew),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
