/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: policy/cgroup_file.c policy/step.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "policy/cgroup_file.h"

static void keys_are_those_of_their_file(void **state)
{
	static const struct {
		const char *attr, *key;
		bool valid;
	} rows[] = {
		{ "io.weight", "default", true },
		{ "io.weight", "8:0", true },
		{ "io.weight", "8:0 wbps", false },
		{ "io.weight", "", false },
		{ "io.max", "8:16 wbps", true },
		{ "io.max", "259:12 riops", true },
		{ "io.max", "8:16", false },
		{ "io.max", "8:16  wbps", false },
		{ "io.max", "8:16 wbps riops", false },
		{ "io.max", "default", false },
		{ "io.max", "8: wbps", false },
		{ "io.max", "x8:1 wbps", false },
		{ "io.max", "8:1\n9:1 wbps", false },
		{ "io.max", "99999999999:1 wbps", false },
		{ "io.cost.qos", "8:0", true },
		{ "io.cost.qos", "default", false },
		{ "cgroup.subtree_control", "io", true },
		{ "cgroup.subtree_control", "memory", false },
		{ "blkio.bfq.weight", "default", true },
		{ "blkio.bfq.weight", "8:0", false },
		{ "blkio.bfq.weight_device", "8:0", true },
		{ "blkio.bfq.weight_device", "default", false },
		{ "blkio.throttle.read_bps_device", "8:0", true },
		{ "blkio.throttle.read_bps_device", "default", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(vst_cgroup_key_valid(vst_cgroup_attr_find(rows[i].attr), rows[i].key), rows[i].valid);
	assert_null(vst_cgroup_attr_find("cgroup.procs"));
	assert_null(vst_cgroup_attr_find(""));
}

static void a_step_may_ask_for_these_values_only(void **state)
{
	static const struct {
		const char *attr, *key, *value;
		bool valid;
	} rows[] = {
		{ "io.weight", "default", "1", true },
		{ "io.weight", "default", "10000", true },
		{ "io.weight", "default", "0", false },
		{ "io.weight", "default", "10001", false },
		{ "io.weight", "default", "default", false },
		{ "io.weight", "8:0", "default", true },
		{ "io.weight", "8:0", "100 ", false },
		{ "io.weight", "8:0", "-1", false },
		{ "io.weight", "8:0", "", false },
		{ "io.bfq.weight", "default", "1001", false },
		{ "io.max", "8:0 wbps", "max", true },
		{ "io.max", "8:0 wbps", "65536", true },
		{ "io.max", "8:0 wbps", "65535", false }, /* would hold its writers up for minutes */
		{ "io.max", "8:0 wiops", "10", true },
		{ "io.max", "8:0 wiops", "9", false },
		{ "io.max", "8:0 wbps", "18446744073709551615", true },
		{ "io.max", "8:0 wbps", "18446744073709551616", false },
		{ "io.max", "8:0 wbps", "1M", false },
		{ "io.max", "8:0 wbps", "65536 rbps=1", false },
		{ "io.cost.qos", "8:0",
		  "enable=1 ctrl=user rpct=95.00 rlat=5000 wpct=95 wlat=5000 min=50.00 max=150.00", true },
		{ "io.cost.qos", "8:0", "enable=0 ctrl=auto", true },
		{ "io.cost.qos", "8:0", "enable=1", false }, /* the way back needs to know who chose the rest */
		{ "io.cost.qos", "8:0", "ctrl=user enable=1\n9:0 enable=1", false },
		{ "io.cost.qos", "8:0", "ctrl=user foo=1", false },
		{ "io.cost.qos", "8:0", "ctrl=user min=", false },
		{ "io.cost.qos", "8:0", "ctrl=mine", false },
		{ "io.cost.model", "8:0",
		  "ctrl=user model=linear rbps=1 rseqiops=2 rrandiops=3 wbps=4 wseqiops=5 wrandiops=6", true },
		{ "io.cost.model", "8:0", "ctrl=user enable=1", false },
		{ "cgroup.subtree_control", "io", "+", true },
		{ "cgroup.subtree_control", "io", "+io", false },
		{ "blkio.throttle.write_bps_device", "8:0", "0", true },
		{ "blkio.throttle.write_bps_device", "8:0", "1", false },
		{ "blkio.throttle.write_iops_device", "8:0", "10", true },
		{ "blkio.bfq.weight_device", "8:0", "default", true },
		{ "blkio.bfq.weight", "default", "default", false },
	};
	char text[VST_TEXT_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		*text = 0;
		assert_int_equal(
			vst_cgroup_value_check(vst_cgroup_attr_find(rows[i].attr), rows[i].key, rows[i].value, text),
			rows[i].valid ? 0 : -EINVAL);
		assert_int_equal(!*text, rows[i].valid);
	}
}

/* As kernels 6.1, 6.12 and 6.18 print them. */
static void a_key_s_value_is_found(void **state)
{
	static const char max[] = "8:16 rbps=max wbps=1048576 riops=max wiops=max\n"
				  "8:160 rbps=2097152 wbps=max riops=120 wiops=max\n";
	static const char qos[] =
		"8:0 enable=1 ctrl=user rpct=95.00 rlat=5000 wpct=95.00 wlat=5000 min=50.00 max=150.00\n";
	static const struct {
		const char *attr, *key, *file, *value;
	} rows[] = {
		{ "io.weight", "default", "default 100\n8:0 200\n", "100" },
		{ "io.weight", "8:0", "default 100\n8:0 200\n", "200" },
		{ "io.weight", "8:1", "default 100\n8:0 200\n8:16 3\n", "default" },
		{ "io.max", "8:16 wbps", max, "1048576" },
		{ "io.max", "8:16 rbps", max, "max" },
		{ "io.max", "8:160 riops", max, "120" },
		{ "io.max", "8:1 wbps", max, "max" },
		{ "io.max", "8:16 wbps", "", "max" },
		{ "io.cost.qos", "8:0", qos,
		  "enable=1 ctrl=user rpct=95.00 rlat=5000 wpct=95.00 wlat=5000 min=50.00 max=150.00" },
		{ "io.cost.qos", "8:16", qos, "enable=0 ctrl=auto" },
		{ "io.cost.model", "8:0", "", "ctrl=auto" },
		{ "cgroup.subtree_control", "io", "cpu io memory\n", "+" },
		{ "cgroup.subtree_control", "io", "io\n", "+" },
		{ "cgroup.subtree_control", "io", "cpu cpuio ios\n", "-" },
		{ "cgroup.subtree_control", "io", "\n", "-" },
		{ "blkio.bfq.weight", "default", "100\n", "100" },
		{ "blkio.bfq.weight_device", "7:0", "default 100\n7:0 300\n", "300" },
		{ "blkio.throttle.read_bps_device", "8:0", "8:0 777\n", "777" },
		{ "blkio.throttle.read_bps_device", "8:1", "8:0 777\n8:16 3\n", "0" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char value[VST_VALUE_MAX] = "?";

		assert_int_equal(
			vst_cgroup_value_get(vst_cgroup_attr_find(rows[i].attr), rows[i].key, rows[i].file, value), 0);
		assert_string_equal(value, rows[i].value);
	}
}

static void a_text_of_another_form_is_refused(void **state)
{
	char value[VST_VALUE_MAX], longer[400] = "8:0 ";

	assert_int_equal(vst_cgroup_value_get(vst_cgroup_attr_find("io.weight"), "default", "100\n", value), -EINVAL);
	assert_int_equal(vst_cgroup_value_get(vst_cgroup_attr_find("blkio.bfq.weight"), "default", "x\n", value),
			 -EINVAL);
	assert_int_equal(vst_cgroup_value_get(vst_cgroup_attr_find("io.max"), "8:0 wbps", "8:0 rbps=1\n", value),
			 -EINVAL);
	memset(longer + 4, 'x', sizeof(longer) - 5);
	assert_int_equal(vst_cgroup_value_get(vst_cgroup_attr_find("io.cost.qos"), "8:0", longer, value), -E2BIG);
}

static void a_line_is_what_the_kernel_parses(void **state)
{
	static const struct {
		const char *attr, *key, *value, *line;
	} rows[] = {
		{ "io.weight", "default", "200", "default 200" },
		{ "io.weight", "8:0", "default", "8:0 default" },
		{ "io.max", "8:0 wbps", "1048576", "8:0 wbps=1048576" },
		{ "io.max", "8:0 wbps", "max", "8:0 wbps=max" },
		{ "io.cost.qos", "8:0", "enable=1 ctrl=user min=25", "8:0 enable=1 ctrl=user min=25" },
		/* any parameter behind ctrl=auto would make it ctrl=user again */
		{ "io.cost.qos", "8:0", "enable=0 ctrl=auto rpct=0.00 rlat=250000", "8:0 enable=0 ctrl=auto" },
		{ "io.cost.model", "8:0", "ctrl=auto model=linear rbps=1", "8:0 ctrl=auto" },
		{ "cgroup.subtree_control", "io", "+", "+io" },
		{ "blkio.bfq.weight", "default", "300", "300" },
		{ "blkio.throttle.read_bps_device", "8:0", "0", "8:0 0" },
	};
	char line[512];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t len = vst_cgroup_line(vst_cgroup_attr_find(rows[i].attr), rows[i].key, rows[i].value, line,
					     sizeof(line));

		assert_string_equal(line, rows[i].line);
		assert_int_equal(len, strlen(line));
	}
}

static bool equal(const char *attr, const char *now, const char *written)
{
	return vst_cgroup_value_equal(vst_cgroup_attr_find(attr), now, written);
}

static void values_that_mean_the_same_are_equal(void **state)
{
	assert_true(equal("io.max", "1048576", "01048576"));
	assert_false(equal("io.max", "max", "1"));
	assert_true(equal("io.max", "max", "max"));
	assert_true(equal("io.cost.qos", "enable=1 ctrl=user rpct=95.00 rlat=5000 min=25.00 max=150.00",
			  "enable=1 ctrl=user rpct=95 min=25"));
	assert_false(equal("io.cost.qos", "enable=1 ctrl=user rpct=94.00 rlat=5000", "enable=1 ctrl=user rpct=95"));
	assert_false(equal("io.cost.qos", "enable=1 ctrl=user", "enable=1 ctrl=user rpct=95"));
	/* with ctrl=auto the kernel moves the parameters itself */
	assert_true(equal("io.cost.qos", "enable=1 ctrl=auto rpct=1.00", "enable=1 ctrl=auto rpct=2.00"));
	assert_false(equal("io.cost.qos", "enable=1 ctrl=auto", "enable=0 ctrl=auto"));
	assert_false(equal("io.cost.qos", "enable=1 ctrl=user", "enable=1 ctrl=auto"));
	assert_true(equal("io.cost.model", "ctrl=user model=linear rbps=10", "ctrl=user model=linear rbps=10"));
	assert_false(equal("io.cost.model", "ctrl=user model=linear rbps=10", "ctrl=user model=linear rbps=11"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_those_of_their_file),
		cmocka_unit_test(a_step_may_ask_for_these_values_only),
		cmocka_unit_test(a_key_s_value_is_found),
		cmocka_unit_test(a_text_of_another_form_is_refused),
		cmocka_unit_test(a_line_is_what_the_kernel_parses),
		cmocka_unit_test(values_that_mean_the_same_are_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
