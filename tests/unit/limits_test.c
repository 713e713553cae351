/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/who/limits.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "agent/snapshot.h"
#include "agent/who/limits.h"

static char tree[] = "/tmp/vstor-limits-XXXXXX";

static void file(const char *path, const char *text)
{
	char name[512];
	FILE *f;

	snprintf(name, sizeof(name), "%s/%s", tree, path);
	f = fopen(name, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void dir(const char *path)
{
	char name[512];

	snprintf(name, sizeof(name), "%s/%s", tree, path);
	assert_int_equal(mkdir(name, 0755), 0);
}

static int setup(void **state)
{
	if (!mkdtemp(tree))
		return -1;
	dir("v2");
	dir("v2/a.slice");
	dir("v2/a.slice/b.service");
	dir("v1");
	dir("v1/a.slice");
	dir("v1/a.slice/b.service");
	return 0;
}

static int teardown(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", tree);
	return system(command);
}

static void read_all(const char *path, struct vst_limit **limit, size_t *n)
{
	char v2[512], v1[512];
	const char *mounts[VST_HIER__N] = { [VST_HIER_UNIFIED] = v2, [VST_HIER_BLKIO] = v1 };

	snprintf(v2, sizeof(v2), "%s/v2", tree);
	snprintf(v1, sizeof(v1), "%s/v1", tree);
	*limit = NULL;
	*n = 0;
	assert_int_equal(vst_limits_read(mounts, path, limit, n), 0);
}

static void is(const struct vst_limit *l, const char *cgroup, const char *attribute, const char *value)
{
	assert_string_equal(l->cgroup, cgroup);
	assert_string_equal(l->attribute, attribute);
	assert_string_equal(l->value, value);
}

/* Its own first, then those of the cgroups above it; a line for each device. */
static void own_and_above(void **state)
{
	struct vst_limit *l;
	size_t n;

	read_all("/a.slice/b.service", &l, &n);
	assert_int_equal(n, 0);
	assert_null(l);
	file("v2/a.slice/b.service/io.max", "8:0 rbps=max wbps=1048576 riops=5 wiops=max\n");
	file("v2/a.slice/io.max", "");
	file("v1/a.slice/blkio.throttle.read_iops_device", "7:0 5\n7:1 50\n");
	file("v1/a.slice/b.service/blkio.throttle.write_bps_device", "\n");
	read_all("/a.slice/b.service", &l, &n);
	assert_int_equal(n, 3);
	is(&l[0], "/a.slice/b.service", "io.max", "8:0 rbps=max wbps=1048576 riops=5 wiops=max");
	is(&l[1], "/a.slice", "blkio.throttle.read_iops_device", "7:0 5");
	is(&l[2], "/a.slice", "blkio.throttle.read_iops_device", "7:1 50");
	vst_limits_free(l, n);
	/* the root has none, and a cgroup that is gone has those above it */
	read_all("/", &l, &n);
	assert_int_equal(n, 0);
	read_all("/a.slice/gone.service/", &l, &n);
	assert_int_equal(n, 2);
	vst_limits_free(l, n);
}

static void no_more_than_there_is_room_for(void **state)
{
	char text[64 * 16] = "";
	struct vst_limit *l;
	size_t n;

	for (int i = 0; i < 64; i++)
		sprintf(text + strlen(text), "8:%d 1\n", i * 16);
	file("v1/a.slice/b.service/blkio.throttle.read_bps_device", text);
	read_all("/a.slice/b.service", &l, &n);
	assert_int_equal(n, VST_LIMITS_MAX);
	vst_limits_free(l, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_and_above),
		cmocka_unit_test(no_more_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
