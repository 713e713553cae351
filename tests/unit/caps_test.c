/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/base/caps.c agent/base/log.c -lcap */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/capability.h>

#include "agent/base/caps.h"

#define BIT(cap) (1ULL << (cap))
#define USUAL                                                                                                          \
	(BIT(CAP_BPF) | BIT(CAP_PERFMON) | BIT(CAP_SYS_ADMIN) | BIT(CAP_SYSLOG) | BIT(CAP_DAC_READ_SEARCH) |           \
	 BIT(CAP_SYS_PTRACE))

static void the_loop_keeps_what_the_table_says(void **state)
{
	assert_int_equal(vst_caps_wanted(VST_CAPS_LOOP, VST_CAPS_ALWAYS), USUAL);
	assert_int_equal(vst_caps_wanted(VST_CAPS_LOOP, VST_CAPS_ALWAYS | VST_CAPS_FOREIGN_DIR),
			 USUAL | BIT(CAP_DAC_OVERRIDE));
	assert_int_equal(vst_caps_wanted(VST_CAPS_LOOP, VST_CAPS_ALWAYS | VST_CAPS_HEIR),
			 USUAL | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_SYS_NICE));
	assert_int_equal(vst_caps_wanted(VST_CAPS_LOOP, 0), 0);
}

static void other_threads_keep_less(void **state)
{
	assert_int_equal(vst_caps_wanted(VST_CAPS_NAMES, VST_CAPS_ALWAYS), BIT(CAP_DAC_READ_SEARCH));
	assert_int_equal(vst_caps_wanted(VST_CAPS_LOCKS, VST_CAPS_ALWAYS), 0);
	assert_int_equal(vst_caps_wanted(VST_CAPS_SERVER, VST_CAPS_ALWAYS), 0);
}

static void each_row_has_a_name_a_thread_and_a_reason(void **state)
{
	for (size_t i = 0; i < vst_caps_table_n; i++) {
		const struct vst_caps_row *row = &vst_caps_table[i];

		assert_int_equal(strncmp(row->name, "CAP_", 4), 0);
		assert_true(row->threads & 1 << VST_CAPS_LOOP); /* status lists what the loop keeps */
		assert_true(row->cap <= CAP_LAST_CAP);
		assert_true(strlen(row->why) > 20);
	}
	for (int t = 0; t < VST_CAPS_THREAD__N; t++)
		assert_non_null(vst_caps_thread_name(t));
}

static void a_thread_gives_up_all_but_its_own(void **state)
{
	__u64 kept = ~0ULL;

	/* whoever runs this: what was not there does not come */
	assert_int_equal(vst_caps_drop(VST_CAPS_NAMES, VST_CAPS_ALWAYS, &kept), 0);
	assert_int_equal(kept & ~BIT(CAP_DAC_READ_SEARCH), 0);
	assert_int_equal(vst_caps_drop(VST_CAPS_SERVER, VST_CAPS_ALWAYS, &kept), 0);
	assert_int_equal(kept, 0);
	assert_int_equal(vst_caps_drop(VST_CAPS_LOOP, VST_CAPS_ALWAYS, &kept), 0);
	assert_int_equal(kept, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_loop_keeps_what_the_table_says),
		cmocka_unit_test(other_threads_keep_less),
		cmocka_unit_test(each_row_has_a_name_a_thread_and_a_reason),
		cmocka_unit_test(a_thread_gives_up_all_but_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
