/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: lib/cgmounts.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/cgmounts.h"

static void lines(void **state)
{
	static const struct {
		const char *line;
		int hier; /* -1: none that counts owners */
		const char *where;
	} rows[] = {
		{ "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate", VST_HIER_UNIFIED,
		  "/sys/fs/cgroup" },
		{ "36 24 0:31 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio", VST_HIER_BLKIO,
		  "/sys/fs/cgroup/blkio" },
		{ "36 24 0:31 / /a\\040b rw - cgroup cgroup rw,cpu,memory\n", VST_HIER_MEMORY, "/a b" },
		{ "36 24 0:31 / /both rw - cgroup cgroup rw,memory,blkio", VST_HIER_BLKIO, "/both" },
		{ "36 24 0:31 / /x rw - cgroup cgroup rw,cpu,cpuacct", -1, NULL },
		{ "36 24 0:31 / /x rw - cgroup cgroup rw,name=memory", -1, NULL },
		{ "22 1 8:1 / / rw - ext4 /dev/sda1 rw", -1, NULL },
		{ "22 1 - cgroup2 a b", -1, NULL },
		{ "", -1, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum vst_hierarchy hier;
		char line[256], *where;

		strcpy(line, rows[i].line);
		assert_int_equal(vst_cgmounts_line(line, &where, &hier), rows[i].hier >= 0);
		if (rows[i].hier < 0)
			continue;
		assert_int_equal(hier, rows[i].hier);
		assert_string_equal(where, rows[i].where);
	}
}

static void why(void **state)
{
	struct vst_cgmount m[VST_HIER__N] = { [VST_HIER_UNIFIED] = { .exists = true, .mounted = true, .whole = true } };
	char buf[512];

	assert_string_equal(vst_cgmounts_why(m, buf, sizeof(buf)), "");
	strcpy(m[VST_HIER_UNIFIED].where, "/cg");
	m[VST_HIER_UNIFIED].whole = false;
	assert_non_null(strstr(vst_cgmounts_why(m, buf, sizeof(buf)), "/cg shows a part"));
	m[VST_HIER_UNIFIED].whole = true;
	m[VST_HIER_MEMORY].exists = true;
	assert_non_null(strstr(vst_cgmounts_why(m, buf, sizeof(buf)), "memory cgroups (v1) are not mounted"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
