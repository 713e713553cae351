/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: policy/keep.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/keep.h"

#define MIB (1ULL << 20)

static void classes_as_text(void **state)
{
	static const char *const bad[] = { "", "5 4", "4  5", "2", "6", "on", "45", "4 5 ", " 5", "4,5" };
	char text[VST_KEEP_TEXT];
	unsigned int classes;

	assert_string_equal(vst_keep_text(1 << 5, text), "5");
	assert_string_equal(vst_keep_text(7 << 3, text), "3 4 5");
	assert_string_equal(vst_keep_text(1 << 2 | 1 << 6, text), "off");
	assert_int_equal(vst_keep_parse("4 5", &classes), 0);
	assert_int_equal(classes, 1 << 4 | 1 << 5);
	assert_int_equal(vst_keep_parse("off", &classes), 0);
	assert_int_equal(classes, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(vst_keep_parse(bad[i], &classes), -EINVAL);
}

static void periods(void **state)
{
	assert_int_equal(vst_keep_period(5, 1000 * MIB), 250 * MIB);
	assert_int_equal(vst_keep_period(4, 1000 * MIB), 500 * MIB);
	assert_int_equal(vst_keep_period(3, 1000 * MIB), 700 * MIB);
	assert_int_equal(vst_keep_period(2, 1000 * MIB), 0);
	assert_int_equal(vst_keep_period(6, 1000 * MIB), 0);
}

static void each_class_in_its_time(void **state)
{
	struct vst_keep k = { 0 };

	assert_int_equal(vst_keep_due(&k, 0, 1000 * MIB), 1 << 3 | 1 << 4 | 1 << 5); /* at the start */
	for (uint64_t mib = 1; mib < 249; mib++)
		assert_int_equal(vst_keep_due(&k, mib * MIB, 1000 * MIB), 0);
	assert_int_equal(vst_keep_due(&k, 249 * MIB, 1000 * MIB), 1 << 5); /* 250 by the next look */
	for (uint64_t mib = 250; mib < 498; mib++)
		assert_int_equal(vst_keep_due(&k, mib * MIB, 1000 * MIB), 0);
	assert_int_equal(vst_keep_due(&k, 498 * MIB, 1000 * MIB), 1 << 5);
	assert_int_equal(vst_keep_due(&k, 499 * MIB, 1000 * MIB), 1 << 4);
	for (uint64_t mib = 500; mib < 699; mib++)
		assert_int_equal(vst_keep_due(&k, mib * MIB, 1000 * MIB), 0);
	assert_int_equal(vst_keep_due(&k, 699 * MIB, 1000 * MIB), 1 << 3);
	/* a jump is one pass, not several */
	assert_int_equal(vst_keep_due(&k, 9000 * MIB, 1000 * MIB), 1 << 3 | 1 << 4 | 1 << 5);
	assert_int_equal(vst_keep_due(&k, 9001 * MIB, 1000 * MIB), 0);
}

/* Much in little time: what is due before the next look is read now. */
static void a_fast_stream(void **state)
{
	struct vst_keep k = { 0 };

	vst_keep_due(&k, 0, 1000 * MIB);
	assert_int_equal(vst_keep_due(&k, 100 * MIB, 1000 * MIB), 0);
	assert_int_equal(vst_keep_due(&k, 200 * MIB, 1000 * MIB), 1 << 5);
	assert_int_equal(vst_keep_due(&k, 300 * MIB, 1000 * MIB), 0);
	assert_int_equal(vst_keep_due(&k, 400 * MIB, 1000 * MIB), 1 << 4 | 1 << 5);
}

static void a_new_agent_counts_from_0(void **state)
{
	struct vst_keep k = { 0 };

	vst_keep_due(&k, 900 * MIB, 1000 * MIB);
	assert_int_equal(vst_keep_due(&k, 10 * MIB, 1000 * MIB), 1 << 3 | 1 << 4 | 1 << 5);
	assert_int_equal(vst_keep_due(&k, 20 * MIB, 1000 * MIB), 0);
}

static void unknown_units_are_few(void **state)
{
	struct vst_keep k = { 0 };

	assert_int_equal(vst_keep_unknown(&k, 0, 4096), VST_KEEP_UNKNOWN_FIRST);
	vst_keep_unknown_used(&k, VST_KEEP_UNKNOWN_FIRST);
	assert_int_equal(vst_keep_unknown(&k, 0, 4096), 0);
	/* 64 MiB admitted: a 256th of it, in units */
	assert_int_equal(vst_keep_unknown(&k, 64 * MIB + 1, 4096), 64);
	vst_keep_unknown_used(&k, 60);
	assert_int_equal(vst_keep_unknown(&k, 64 * MIB + 1, 4096), 4);
	/* less than a unit at a time adds up */
	assert_int_equal(vst_keep_unknown(&k, 64 * MIB + MIB / 2, 4096), 4);
	assert_int_equal(vst_keep_unknown(&k, 65 * MIB + 1, 4096), 5);
	/* saved up, but not for ever */
	assert_int_equal(vst_keep_unknown(&k, 265 * MIB + 1, 4096), 205);
	assert_int_equal(vst_keep_unknown(&k, 465 * MIB + 1, 4096), VST_KEEP_UNKNOWN_FIRST);
	/* more used than there are: none are left */
	vst_keep_unknown_used(&k, 1000);
	assert_int_equal(vst_keep_unknown(&k, 465 * MIB + 1, 4096), 0);
	/* a new agent */
	assert_int_equal(vst_keep_unknown(&k, 1 * MIB, 4096), 0);
	assert_int_equal(vst_keep_unknown(&k, 3 * MIB, 4096), 2);
}

static void looks_for_what_was_lost(void **state)
{
	struct vst_keep k = { 0 };

	assert_false(vst_keep_look(&k, 9 * MIB, 640 * MIB));
	assert_true(vst_keep_look(&k, 10 * MIB, 640 * MIB));
	assert_false(vst_keep_look(&k, 19 * MIB, 640 * MIB));
	assert_true(vst_keep_look(&k, 500 * MIB, 640 * MIB));
	assert_false(vst_keep_look(&k, 509 * MIB, 640 * MIB));
	assert_true(vst_keep_look(&k, 1 * MIB, 640 * MIB)); /* of a new agent */
}

/* A class whose reads failed does not wait for another period. */
static void what_failed_is_due_again(void **state)
{
	struct vst_keep k = { 0 };

	assert_int_equal(vst_keep_due(&k, 0, 1000), 1U << 3 | 1U << 4 | 1U << 5);
	assert_int_equal(vst_keep_due(&k, 10, 1000), 0);
	vst_keep_again(&k, 1U << 4);
	assert_int_equal(vst_keep_due(&k, 20, 1000), 1U << 4);
	assert_int_equal(vst_keep_due(&k, 30, 1000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes_as_text),	     cmocka_unit_test(periods),
		cmocka_unit_test(each_class_in_its_time),    cmocka_unit_test(a_fast_stream),
		cmocka_unit_test(a_new_agent_counts_from_0), cmocka_unit_test(unknown_units_are_few),
		cmocka_unit_test(looks_for_what_was_lost),   cmocka_unit_test(what_failed_is_due_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
