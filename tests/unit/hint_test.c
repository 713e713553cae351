// SPDX-License-Identifier: GPL-2.0-only
/* What an argument, an I/O priority and a lifetime say about a class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vstor/abi_insight.h"
#include "vstor/hint.h"

static void test_argument(void **state)
{
	const unsigned long long buffer = 0x7f12345678a0ULL;

	for (int class = 0; class < 256; class ++)
		assert_int_equal(VSTOR_HINT_DECODE(buffer, VSTOR_HINT_ARGUMENT(buffer, class)), class);
	/* what calls without a hint leave there */
	assert_int_equal(VSTOR_HINT_DECODE(buffer, 0), -1);
	assert_int_equal(VSTOR_HINT_DECODE(buffer, ~0ULL), -1);
	assert_int_equal(VSTOR_HINT_DECODE(buffer, 0x7fffdeadbeefULL), -1);
	/* left in the register by a call with another buffer */
	assert_int_equal(VSTOR_HINT_DECODE(buffer, VSTOR_HINT_ARGUMENT(buffer + 16, 3)), -1);
	assert_int_equal(VSTOR_HINT_DECODE(buffer, VSTOR_HINT_ARGUMENT(0, 3)), -1);
}

static void test_ioprio(void **state)
{
	for (int class = 0; class < 8; class ++)
		assert_int_equal(VSTOR_IOPRIO_DECODE(vstor_ioprio(class)), class);
	assert_int_equal(vstor_ioprio(5) >> 13, 2); /* IOPRIO_CLASS_BE */
	assert_int_equal(vstor_ioprio(5) & 7, 4);
	assert_true(vstor_ioprio(7) <= UINT16_MAX);
	for (unsigned int prio = 0; prio < 8 << 13; prio += 1 << 13)
		for (unsigned int level = 0; level < 8; level++)
			for (unsigned int limit = 0; limit < 8; limit++) /* the kernel's own hints */
				assert_int_equal(VSTOR_IOPRIO_DECODE(prio | limit << 3 | level), -1);
}

static void test_lifetime(void **state)
{
	static const int class_plus_1[] = { 0, 0, 5, 4, 3, 2, 0 };

	for (int i = 0; i < 7; i++)
		assert_int_equal(vst_hint_of_lifetime((__u8)i), class_plus_1[i]);
}

static void test_places(void **state)
{
	assert_true(vst_mark_place(0) < 1U << VST_MARK_BITS);
	assert_true(vst_mark_place(~0ULL) < 1U << VST_MARK_BITS);
	assert_int_not_equal(vst_mark_place(0xffff888012345000ULL), vst_mark_place(0xffff888012345000ULL + 1128));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_argument),
		cmocka_unit_test(test_ioprio),
		cmocka_unit_test(test_lifetime),
		cmocka_unit_test(test_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
