// SPDX-License-Identifier: GPL-2.0-only
/* LINK: policy/bcache_file.c policy/actuators.c policy/actuator_cgroup_io.c policy/actuator_ioprio.c policy/actuator_cache.c policy/keep.c policy/actor_reads.c policy/cgroup_file.c policy/disks.c policy/step.c */
/* The settings of bcache: what may be written, what the kernel's texts mean, and the files, in a directory that looks like /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/actuator.h"
#include "policy/bcache_file.h"

static void values_of_a_policy(void **state)
{
	static const struct {
		const char *attr, *value, *written; /* NULL: refused */
	} cases[] = {
		{ "sequential_cutoff", "0", "0" },
		{ "sequential_cutoff", "4MiB", "4194304" },
		{ "sequential_cutoff", "512KiB", "524288" },
		{ "sequential_cutoff", "4194304", "4194304" },
		{ "sequential_cutoff", "1536KiB", "1572864" }, /* 1.5M */
		{ "sequential_cutoff", "1GiB", "1073741824" },
		{ "sequential_cutoff", "1234567", NULL }, /* shown as 1.1M */
		{ "sequential_cutoff", "100", NULL },	  /* shown as 0.0k */
		{ "sequential_cutoff", "4GiB", NULL },	  /* the kernel keeps 32 bits */
		{ "sequential_cutoff", "99999999999999999999", NULL },
		{ "sequential_cutoff", "17179869184GiB", NULL },
		{ "sequential_cutoff", "4M", NULL },
		{ "sequential_cutoff", "-1", NULL },
		{ "sequential_cutoff", "", NULL },
		{ "readahead_cache_policy", "meta-only", "meta-only" },
		{ "readahead_cache_policy", "meta", NULL },
		{ "readahead_cache_policy", "all meta-only", NULL },
		{ "readahead_cache_policy", "", NULL },
		{ "cache_mode", "writearound", "writearound" },
		{ "cache_mode", "write", NULL },
		{ "writeback_percent", "0", "0" },
		{ "writeback_percent", "007", "7" },
		{ "writeback_percent", "40", "40" },
		{ "writeback_percent", "41", NULL },
		{ "writeback_percent", "10%", NULL },
		{ "congested_read_threshold_us", "2000", "2000" },
		{ "congested_write_threshold_us", "4294967296", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char value[VST_VALUE_MAX], text[VST_TEXT_MAX] = "";
		int err = vst_bcache_value(vst_bcache_attr_find(cases[i].attr), cases[i].value, value, text);

		print_message("%s %s\n", cases[i].attr, cases[i].value);
		assert_int_equal(err, cases[i].written ? 0 : -EINVAL);
		if (cases[i].written)
			assert_string_equal(value, cases[i].written);
		else
			assert_non_null(strstr(text, cases[i].attr));
	}
	assert_null(vst_bcache_attr_find("detach"));
	assert_null(vst_bcache_attr_find("stop"));
}

static void texts_of_the_kernel(void **state)
{
	static const struct {
		const char *attr, *file, *value; /* NULL: not understood */
	} cases[] = {
		{ "sequential_cutoff", "4.0M\n", "4194304" },
		{ "sequential_cutoff", "0.0k\n", "0" },
		{ "sequential_cutoff", "512.0k\n", "524288" },
		{ "sequential_cutoff", "3.9G\n", "4187593113" },
		{ "sequential_cutoff", "4194304\n", NULL },
		{ "sequential_cutoff", "4.M\n", NULL },
		{ "sequential_cutoff", "4.0\n", NULL },
		{ "sequential_cutoff", "4.0X\n", NULL },
		{ "sequential_cutoff", "", NULL },
		{ "cache_mode", "writethrough [writeback] writearound none\n", "writeback" },
		{ "cache_mode", "writethrough\n", NULL },
		{ "cache_mode", "[]\n", NULL },
		{ "cache_mode", "[writeback\n", NULL },
		{ "writeback_percent", "10\n", "10" },
		{ "writeback_percent", "10 %\n", NULL },
		{ "congested_read_threshold_us", "2000\n", "2000" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char value[VST_VALUE_MAX];
		int err = vst_bcache_value_get(vst_bcache_attr_find(cases[i].attr), cases[i].file, value);

		print_message("%s %s", cases[i].attr, cases[i].file);
		assert_int_equal(err, cases[i].value ? 0 : -EINVAL);
		if (cases[i].value)
			assert_string_equal(value, cases[i].value);
	}
}

static void steps_are_checked(void **state)
{
	static const struct {
		const char *target, *attr, *key, *wanted;
		int err;
	} cases[] = {
		{ "bcache0", "sequential_cutoff", "", "4194304", 0 },
		{ "bcache0", "sequential_cutoff", "", "4MiB", -EINVAL }, /* the file does not take it */
		{ "bcache0", "sequential_cutoff", "8:0", "0", -EPERM },
		{ "../bcache0", "sequential_cutoff", "", "0", -EPERM },
		{ ".", "cache_mode", "", "none", -EPERM },
		{ "bcache0", "stop", "", "1", -EPERM },
		{ "bcache0", "../md/level", "", "1", -EPERM },
		{ "bcache0", "cache_mode", "", "none\n", -EINVAL },
		{ "bcache0", "keeper", "", "4 5", 0 },
		{ "bcache0", "keeper", "", "2", -EINVAL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[VST_TEXT_MAX] = "";
		struct vst_knob knob;

		vst_knob_init(&knob, VST_ACTUATOR_CACHE, cases[i].target, 0, cases[i].attr, cases[i].key);
		assert_int_equal(vst_cache.check(&knob, cases[i].wanted, text), cases[i].err);
		assert_int_equal(!*text, !cases[i].err);
	}
}

/* --- files --- */

static char dir[] = "/tmp/vstor-bcache-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/class/block/bcache0/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void make(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static int make_sysfs(void **state)
{
	static const char *const dirs[] = { "dev",
					    "dev/block",
					    "class",
					    "class/block",
					    "class/block/bcache0",
					    "class/block/bcache0/bcache",
					    "class/block/bcache0/bcache/cache" };
	static struct vst_roots roots;

	if (!mkdtemp(dir))
		return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		make(dirs[i]);
	put("dev", "252:0\n");
	put("bcache/sequential_cutoff", "4.0M\n");
	put("bcache/cache/congested_read_threshold_us", "2000\n");
	vst_roots_open(dir, dir, NULL, &roots);
	*state = &roots;
	return 0;
}

static int remove_sysfs(void **state)
{
	char command[64];

	vst_roots_close(*state);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static int read_setting(const struct vst_roots *roots, struct vst_knob *knob, char *value, char *text)
{
	*text = 0;
	return vst_cache.read(roots, knob, value, text);
}

static void a_setting_is_read_and_written(void **state)
{
	const struct vst_roots *roots = *state;
	char value[VST_VALUE_MAX], text[VST_TEXT_MAX];
	struct vst_knob knob;

	vst_knob_init(&knob, VST_ACTUATOR_CACHE, "bcache0", 0, "sequential_cutoff", "");
	assert_int_equal(read_setting(roots, &knob, value, text), 0);
	assert_string_equal(value, "4194304");
	assert_int_equal(knob.target_id, 252 << 8);
	put("bcache/sequential_cutoff", "");
	assert_int_equal(vst_cache.write(roots, &knob, "0", text), 0);
	assert_int_equal(read_setting(roots, &knob, value, text),
			 -EINVAL); /* this is no kernel: it has what was written */
	assert_non_null(strstr(text, "sequential_cutoff of bcache0 is '0'"));
	put("dev", "252:16\n");
	assert_int_equal(read_setting(roots, &knob, value, text), -ESTALE);
	put("dev", "252:0\n");
}

static void a_setting_of_the_set_is_below_cache(void **state)
{
	char value[VST_VALUE_MAX], text[VST_TEXT_MAX];
	struct vst_knob knob;

	vst_knob_init(&knob, VST_ACTUATOR_CACHE, "bcache0", 0, "congested_read_threshold_us", "");
	assert_int_equal(read_setting(*state, &knob, value, text), 0);
	assert_string_equal(value, "2000");
	assert_int_equal(vst_cache.write(*state, &knob, "0", text), 0);
	assert_int_equal(read_setting(*state, &knob, value, text), 0);
	assert_string_equal(value, "0");
}

static void what_is_not_there(void **state)
{
	char value[VST_VALUE_MAX], text[VST_TEXT_MAX];
	struct vst_knob knob;

	vst_knob_init(&knob, VST_ACTUATOR_CACHE, "bcache0", 0, "cache_mode", "");
	assert_int_equal(read_setting(*state, &knob, value, text), -ENODEV);
	assert_non_null(strstr(text, "no cache is attached"));
	assert_int_equal(vst_cache.write(*state, &knob, "none", text), -ENOENT);
	assert_non_null(strstr(text, "cache_mode of bcache0"));
	vst_knob_init(&knob, VST_ACTUATOR_CACHE, "bcache1", 0, "cache_mode", "");
	assert_int_equal(read_setting(*state, &knob, value, text), -ENODEV);
	assert_string_equal(text, "there is no disk bcache1");
	assert_int_equal(vst_cache.probe(*state, "cache_mode", "", text), -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_of_a_policy),
		cmocka_unit_test(texts_of_the_kernel),
		cmocka_unit_test(steps_are_checked),
		cmocka_unit_test(a_setting_is_read_and_written),
		cmocka_unit_test(a_setting_of_the_set_is_below_cache),
		cmocka_unit_test(what_is_not_there),
	};

	return cmocka_run_group_tests(tests, make_sysfs, remove_sysfs);
}
