/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: lib/duration.c -lm */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/duration.h"

#define BAD (-1.0)

static void assert_near(double is, double wanted)
{
	if (fabs(is - wanted) > 1e-6)
		fail_msg("%.6f is not %.6f", is, wanted);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		double seconds;
	} rows[] = {
		{ "10m", 600 }, { "1h30m", 5400 }, { "90", 90 },   { "500ms", 0.5 }, { "1.5h", 5400 }, { "2d", 172800 },
		{ "1m30", 90 }, { "0", 0 },	   { "", BAD },	   { "m", BAD },     { "10x", BAD },   { "-1m", BAD },
		{ "1 m", BAD }, { "1e9d", BAD },   { "inf", BAD }, { "0x10", BAD },  { "1e3", BAD },   { "1.2.3", BAD },
	};
	double v;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		v = BAD;
		if (!vst_duration_parse(rows[i].text, 0, VST_DURATION_MAX, &v) != (rows[i].seconds >= 0))
			fail_msg("'%s'", rows[i].text);
		assert_near(v, rows[i].seconds);
	}
}

static void test_bounds(void **state)
{
	double v = BAD;

	assert_int_equal(vst_duration_parse("500ms", 0.5, 60, &v), 0);
	assert_int_equal(vst_duration_parse("499ms", 0.5, 60, &v), -ERANGE);
	assert_int_equal(vst_duration_parse("60001ms", 0.5, 60, &v), -ERANGE);
	assert_int_equal(vst_duration_parse("a minute", 0.5, 60, &v), -EINVAL);
	assert_near(v, 0.5); /* what is refused changes nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
