/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: ctl/moment.c lib/duration.c -lm */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "ctl/moment.h"
#include "lib/duration.h"

#define BAD (-1.0)

/* 2026-03-31 12:00:00 in Helsinki, two days after its clocks went from 03:00 to 04:00. */
#define NOON 1774947600.0

static void assert_near(double is, double wanted)
{
	if (fabs(is - wanted) > 1e-6)
		fail_msg("%.6f is not %.6f", is, wanted);
}

static void test_moments(void **state)
{
	static const struct {
		const char *text;
		double until; /* the end of the second that is meant */
	} rows[] = {
		{ "12:00", NOON + 1 },
		{ "11:58", NOON - 120 + 1 },
		{ "11:58:07", NOON - 113 + 1 },
		{ "11:58:07.25", NOON - 112.75 },
		{ "12:01", NOON + 60 - 86400 + 1 }, /* yesterday */
		{ "2026-03-31 02:47", NOON - 33180 + 1 },
		{ "2026-03-31T02:47:11", NOON - 33169 + 1 },
		{ "2026-03-29 02:47", NOON - 33180 - 2 * 86400 + 3600 + 1 }, /* before the clocks changed */
		{ "2026-04-01 12:00", NOON + 86400 + 1 },
		{ "@1774947600", NOON + 1 },
		{ "@1774947600.5", NOON + 0.5 },
		{ "-10m", NOON - 600 },
		{ "-1h30m", NOON - 5400 },
		{ "-5", NOON - 5 },
		{ "", BAD },
		{ "now", BAD },
		{ "2:", BAD },
		{ "25:00", BAD },
		{ "12:60", BAD },
		{ "12:00x", BAD },
		{ "12:00:00.", BAD },
		{ "2026-03-31", BAD },
		{ "@", BAD },
		{ "@x", BAD },
		{ "@1e99", BAD },
		{ "-", BAD },
		{ "--5m", BAD },
		{ "10m", BAD },
	};
	double v;

	setenv("TZ", "Europe/Helsinki", 1);
	tzset();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		v = BAD;
		if (vst_moment_parse(rows[i].text, NOON, &v) != (rows[i].until > 0 ? 0 : -EINVAL))
			fail_msg("'%s'", rows[i].text);
		assert_near(v, rows[i].until > 0 ? rows[i].until : BAD);
	}
}

/* On the first of a month, yesterday is in the month before. */
static void test_first_of_a_month(void **state)
{
	double v;

	setenv("TZ", "UTC", 1);
	tzset();
	assert_int_equal(vst_moment_parse("23:59", 1772323260.0 /* 2026-03-01 00:01 */, &v), 0);
	assert_near(v, 1772323260.0 - 120 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moments),
		cmocka_unit_test(test_first_of_a_month),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
