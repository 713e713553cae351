/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/budget.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/budget.h"

/* A host of which the probes would take so much: what is given up takes nothing. */
struct host {
	double io, part[VST_BUDGET__N];
};

static int measure(struct vst_budget *b, const struct host *h, double now)
{
	b->cost = h->io;
	for (int i = 0; i < VST_BUDGET__N; i++) {
		if (b->part[i].given_up)
			continue;
		b->part[i].cost = h->part[i];
		b->cost += h->part[i];
	}
	return vst_budget_decide(b, now);
}

static void a_moment_above_the_limit_is_nothing(void **state)
{
	struct vst_budget b = { .limit = 10 };

	assert_int_equal(measure(&b, &(struct host){ 5, { 6, 1, 1 } }, 1), -1);
	assert_int_equal(measure(&b, &(struct host){ 5, { 4, 0, 0 } }, 2), -1);
	assert_int_equal(measure(&b, &(struct host){ 5, { 6, 1, 1 } }, 3), -1);
	assert_int_equal(b.over, 1);
}

static void parts_are_given_up_in_their_order_until_it_fits(void **state)
{
	const struct host h = { 5, { 6, 5, 4 } };
	struct vst_budget b = { .limit = 10 };

	assert_int_equal(measure(&b, &h, 1), -1);
	assert_int_equal(measure(&b, &h, 2), VST_BUDGET_LOCK);
	assert_true(b.part[VST_BUDGET_LOCK].given_up);
	assert_int_equal(measure(&b, &h, 3), -1);
	assert_int_equal(measure(&b, &h, 4), VST_BUDGET_JOURNAL);
	assert_int_equal(measure(&b, &h, 5), -1); /* 9 of 10 */
	assert_int_equal(measure(&b, &h, 6), -1);
	assert_false(b.part[VST_BUDGET_MERGE].given_up);
}

static void what_takes_nothing_is_kept(void **state)
{
	struct vst_budget b = { .limit = 10 };
	const struct host h = { 12, { 0.1, 0, 3 } };

	assert_int_equal(measure(&b, &h, 1), -1);
	assert_int_equal(measure(&b, &h, 2), VST_BUDGET_MERGE);
	/* still too much, and nothing left that would help */
	for (int i = 3; i < 50; i++)
		assert_int_equal(measure(&b, &h, i), -1);
	assert_false(b.part[VST_BUDGET_LOCK].given_up);
}

static void it_is_tried_again_and_later_each_time_that_it_is_in_vain(void **state)
{
	struct vst_budget b = { .limit = 10 };
	const struct host busy = { 1, { 20, 0, 0 } }, quiet = { 1, { 1, 0, 0 } };
	double now = 0, given_up = -1, pause[12];
	int n = 0;

	for (; n < 12; now++) {
		if (measure(&b, &busy, now) != VST_BUDGET_LOCK)
			continue;
		if (b.part[VST_BUDGET_LOCK].given_up)
			given_up = now;
		else
			pause[n++] = now - given_up;
	}
	assert_true(pause[0] >= 59 && pause[0] <= 61);
	for (n = 1; n < 12; n++)
		assert_true(pause[n] > 1.9 * pause[n - 1] || (pause[n] >= 3599 && pause[n] <= 3601));
	/* what has been well for long begins anew */
	for (double end = now + 5000; now < end; now++)
		assert_int_equal(measure(&b, &quiet, now), -1);
	measure(&b, &busy, now);
	assert_int_equal(measure(&b, &busy, now + 1), VST_BUDGET_LOCK);
	assert_true(b.part[VST_BUDGET_LOCK].pause <= 61);
}

static void without_a_limit_all_is_kept(void **state)
{
	struct vst_budget b = { .limit = 0 };

	for (int i = 0; i < 10; i++)
		assert_int_equal(measure(&b, &(struct host){ 50, { 50, 50, 50 } }, i), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_moment_above_the_limit_is_nothing),
		cmocka_unit_test(parts_are_given_up_in_their_order_until_it_fits),
		cmocka_unit_test(what_takes_nothing_is_kept),
		cmocka_unit_test(it_is_tried_again_and_later_each_time_that_it_is_in_vain),
		cmocka_unit_test(without_a_limit_all_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
