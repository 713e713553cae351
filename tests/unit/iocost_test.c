// SPDX-License-Identifier: GPL-2.0-only
/* LINK: lib/iocost.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/iocost.h"

static const struct vst_disk_speed slow = { 40e6, 1000, 990, 1200 };
static const struct vst_disk_speed fast = { 3.2e9, 400000, 350000, 20 };

static void model_is_a_share_of_each_speed(void **state)
{
	char text[VST_IOCOST_TEXT];

	assert_int_equal(vst_iocost_model(&slow, &fast, 0.75, text), 0);
	assert_string_equal(text, "ctrl=user model=linear rbps=30000000 rseqiops=750 rrandiops=742 "
				  "wbps=2400000000 wseqiops=300000 wrandiops=262500");
}

static void unknown_speed_is_refused(void **state)
{
	struct vst_disk_speed none = { 0 };
	char text[VST_IOCOST_TEXT] = "as before";

	assert_int_equal(vst_iocost_model(&slow, &none, 0.75, text), -EINVAL);
	assert_int_equal(vst_iocost_model(&slow, &fast, 0, text), -EINVAL);
	assert_int_equal(vst_iocost_qos(&none, &fast, text), -EINVAL);
	assert_string_equal(text, "as before");
}

static void late_is_sixteen_requests_but_a_millisecond_at_least(void **state)
{
	char text[VST_IOCOST_TEXT];

	assert_int_equal(vst_iocost_qos(&slow, &fast, text), 0);
	assert_string_equal(text, "enable=1 ctrl=user rpct=95.00 rlat=19200 wpct=95.00 wlat=1000 min=25.00 max=100.00");
}

static void hwdb_value_has_the_figures_only(void **state)
{
	char text[VST_IOCOST_TEXT];

	vst_iocost_hwdb_value("ctrl=user model=linear rbps=1 wbps=2", text);
	assert_string_equal(text, "rbps=1 wbps=2");
	vst_iocost_hwdb_value("enable=1 ctrl=user rpct=95.00 rlat=9600", text);
	assert_string_equal(text, "rpct=95.00 rlat=9600");
	vst_iocost_hwdb_value("", text);
	assert_string_equal(text, "");
}

static void hwdb_match_has_no_globs_of_the_disk(void **state)
{
	char text[256];

	assert_int_equal(vst_iocost_hwdb_match("QEMU [x]*:\n  ", "2.5+", text, sizeof(text)), 0);
	assert_string_equal(text, "block:*:name:QEMU ?x????:fwrev:2.5+:");
	assert_int_equal(vst_iocost_hwdb_match("disk", "", text, sizeof(text)), 0);
	assert_string_equal(text, "block:*:name:disk:fwrev:*:");
	assert_int_equal(vst_iocost_hwdb_match("disk", "", text, 12), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model_is_a_share_of_each_speed),
		cmocka_unit_test(unknown_speed_is_refused),
		cmocka_unit_test(late_is_sixteen_requests_but_a_millisecond_at_least),
		cmocka_unit_test(hwdb_value_has_the_figures_only),
		cmocka_unit_test(hwdb_match_has_no_globs_of_the_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
