/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/insight/scope.c */
/* Who is watched by insight, and since when. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/insight/scope.h"

static void is(const struct vst_scopes *s, __u32 number, double born, int mode, bool set, int since)
{
	struct vst_scope_view v = vst_scope_of(s, number, born);

	assert_int_equal(v.mode, mode);
	assert_int_equal(v.set, set);
	assert_int_equal((int)v.since, since);
}

static void words_are_modes(void **state)
{
	assert_int_equal(vst_scope_parse("on"), VST_INSIGHT_FULL);
	assert_int_equal(vst_scope_parse("off"), VST_INSIGHT_OFF);
	assert_int_equal(vst_scope_parse("default"), VST_INSIGHT__N);
	assert_int_equal(vst_scope_parse("full"), -EINVAL);
	assert_int_equal(vst_scope_parse(""), -EINVAL);
}

static void one_is_watched_alone(void **state)
{
	struct vst_scopes s = { .mode = VST_INSIGHT_OFF };

	assert_false(vst_scope_any(&s));
	is(&s, 7, 5, VST_INSIGHT_OFF, false, 0);
	assert_int_equal(vst_scope_set(&s, 7, VST_INSIGHT_FULL, 10), 0);
	assert_true(vst_scope_any(&s));
	assert_true(vst_scope_any_full(&s));
	is(&s, 7, 5, VST_INSIGHT_FULL, true, 10);
	is(&s, 8, 5, VST_INSIGHT_OFF, false, 0);
	/* once more: it goes on */
	assert_int_equal(vst_scope_set(&s, 7, VST_INSIGHT_FULL, 20), 0);
	is(&s, 7, 5, VST_INSIGHT_FULL, true, 10);
	assert_int_equal(vst_scope_set(&s, 7, VST_INSIGHT__N, 30), 0);
	is(&s, 7, 5, VST_INSIGHT_OFF, false, 0);
	assert_false(vst_scope_any(&s));
	assert_int_equal(s.n, 0);
}

static void one_is_left_out(void **state)
{
	struct vst_scopes s = { .mode = VST_INSIGHT_SAMPLED, .since = 100 };

	assert_false(vst_scope_any_full(&s));
	is(&s, 7, 50, VST_INSIGHT_SAMPLED, false, 100);
	is(&s, 8, 150, VST_INSIGHT_SAMPLED, false, 150); /* it began later */
	assert_int_equal(vst_scope_set(&s, 7, VST_INSIGHT_OFF, 110), 0);
	is(&s, 7, 50, VST_INSIGHT_OFF, true, 0);
	is(&s, 8, 50, VST_INSIGHT_SAMPLED, false, 100);
	assert_int_equal(vst_scope_set(&s, 7, VST_INSIGHT_FULL, 120), 0);
	is(&s, 7, 50, VST_INSIGHT_FULL, true, 120);
	assert_int_equal(s.n, 1);
}

static void requests_are_bounded_and_dropped(void **state)
{
	struct vst_scopes s = { .mode = VST_INSIGHT_OFF };

	for (__u32 i = 1; i <= VST_SCOPES_MAX; i++)
		assert_int_equal(vst_scope_set(&s, i, VST_INSIGHT_FULL, i), 0);
	assert_int_equal(vst_scope_set(&s, 1000, VST_INSIGHT_FULL, 1), -ENOSPC);
	assert_int_equal(vst_scope_set(&s, 1000, VST_INSIGHT__N, 1), 0);
	assert_int_equal(vst_scope_set(&s, 3, VST_INSIGHT_OFF, 1), 0); /* of one that is there */
	vst_scope_drop(&s, 1);
	vst_scope_drop(&s, 1000);
	assert_int_equal(s.n, VST_SCOPES_MAX - 1);
	is(&s, VST_SCOPES_MAX, 0, VST_INSIGHT_FULL, true, VST_SCOPES_MAX);
	is(&s, 3, 0, VST_INSIGHT_OFF, true, 0);
	is(&s, 1, 0, VST_INSIGHT_OFF, false, 0);
	assert_int_equal(vst_scope_set(&s, 1000, VST_INSIGHT_FULL, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_modes),
		cmocka_unit_test(one_is_watched_alone),
		cmocka_unit_test(one_is_left_out),
		cmocka_unit_test(requests_are_bounded_and_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
