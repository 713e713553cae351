/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/probes/budget.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/probes/budget.h"

/* A host of which the probes would take so much: what is given up takes nothing. */
struct host {
	double io, part[VST_BUDGET__N];
};

static struct host host(double io, double locks, double merges)
{
	return (struct host){ .io = io, .part = { [VST_BUDGET_LOCK] = locks, [VST_BUDGET_MERGE] = merges } };
}

static int measure(struct vst_budget *b, struct host h, unsigned long tick)
{
	b->cost = h.io;
	for (int i = 0; i < VST_BUDGET__N; i++) {
		if (b->part[i].given_up)
			continue;
		b->part[i].cost = h.part[i];
		b->cost += h.part[i];
	}
	return vst_budget_decide(b, tick);
}

static void a_moment_above_the_limit_is_nothing(void **state)
{
	struct vst_budget b = { .limit = 10 };

	assert_int_equal(measure(&b, host(5, 6, 1), 1), -1);
	assert_true(b.soon);
	assert_int_equal(measure(&b, host(5, 4, 0), 2), -1);
	assert_false(b.soon);
	assert_int_equal(measure(&b, host(5, 6, 1), 3), -1);
	assert_true(b.soon);
}

static void parts_are_given_up_in_their_order_until_it_fits(void **state)
{
	struct vst_budget b = { .limit = 10 };
	struct host h = host(8, 6, 5);

	assert_int_equal(measure(&b, h, 1), -1);
	assert_int_equal(measure(&b, h, 2), VST_BUDGET_LOCK);
	assert_true(b.part[VST_BUDGET_LOCK].given_up);
	assert_int_equal(measure(&b, h, 3), -1);
	assert_int_equal(measure(&b, h, 4), VST_BUDGET_MERGE);
	assert_int_equal(measure(&b, h, 5), -1);
	assert_false(b.soon);
}

/* And the measurements do not become more, which cost something as well. */
static void what_takes_nothing_is_kept(void **state)
{
	struct vst_budget b = { .limit = 10 };
	struct host h = host(12, 0.1, 3);
	unsigned int soon = 0;

	assert_int_equal(measure(&b, h, 1), -1);
	assert_int_equal(measure(&b, h, 2), VST_BUDGET_MERGE);
	for (int i = 3; i < 53; i++) { /* nothing is left that would help */
		assert_int_equal(measure(&b, h, i), -1);
		soon += b.soon;
	}
	assert_false(b.part[VST_BUDGET_LOCK].given_up);
	assert_in_range(soon, 1, 25);
}

/* As the agent does it: one measurement in 30 ticks, or in 2 if it is to be soon. */
static void it_is_tried_again_and_later_each_time_that_it_is_in_vain(void **state)
{
	struct vst_budget b = { .limit = 10 };
	struct host busy = host(1, 20, 0), quiet = host(1, 1, 0);
	unsigned long tick = 0, given_up = 0, pause[10];
	int n = 0;

	for (; n < 10; tick += b.soon ? 2 : 30) {
		if (measure(&b, busy, tick) != VST_BUDGET_LOCK)
			continue;
		if (b.part[VST_BUDGET_LOCK].given_up)
			given_up = tick;
		else
			pause[n++] = tick - given_up;
	}
	assert_in_range(pause[0], 60, 90);
	for (n = 1; n < 10; n++)
		assert_true(pause[n] > pause[n - 1] + pause[n - 1] / 2 || (pause[n] >= 3600 && pause[n] <= 3630));
	/* what has been well for long begins anew */
	for (unsigned long end = tick + 5000; tick < end; tick += 30)
		assert_int_equal(measure(&b, quiet, tick), -1);
	measure(&b, busy, tick);
	assert_int_equal(measure(&b, busy, tick + 2), VST_BUDGET_LOCK);
	assert_int_equal(b.part[VST_BUDGET_LOCK].pause, 60);
}

/* It is the first to go, as the I/O and the waits are explained without it. */
static void contents_of_files_go_first(void **state)
{
	struct vst_budget b = { .limit = 10 };
	struct host h = host(8, 6, 5);

	h.part[VST_BUDGET_INSIGHT] = 1;
	assert_int_equal(measure(&b, h, 1), -1);
	assert_int_equal(measure(&b, h, 2), VST_BUDGET_INSIGHT);
}

static void without_a_limit_all_is_kept(void **state)
{
	struct vst_budget b = { .limit = 0 };

	for (int i = 0; i < 10; i++)
		assert_int_equal(measure(&b, host(50, 50, 50), i), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_moment_above_the_limit_is_nothing),
		cmocka_unit_test(parts_are_given_up_in_their_order_until_it_fits),
		cmocka_unit_test(what_takes_nothing_is_kept),
		cmocka_unit_test(it_is_tried_again_and_later_each_time_that_it_is_in_vain),
		cmocka_unit_test(contents_of_files_go_first),
		cmocka_unit_test(without_a_limit_all_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
