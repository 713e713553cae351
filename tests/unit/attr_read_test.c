/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/insight/attr_read.c */
/* What the attribute of a file says, and where the file is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "agent/insight/attr_read.h"

static void values(void **state)
{
	assert_int_equal(vst_attr_class("0", 1), 0);
	assert_int_equal(vst_attr_class("5", 1), 5);
	assert_int_equal(vst_attr_class("6", 1), VST_ATTR_REFUSED);
	assert_int_equal(vst_attr_class("-", 1), VST_ATTR_REFUSED);
	assert_int_equal(vst_attr_class("", 0), VST_ATTR_REFUSED);
	assert_int_equal(vst_attr_class("05", 2), VST_ATTR_REFUSED);
	assert_int_equal(vst_attr_class("3\n", 2), VST_ATTR_REFUSED);
}

static void mounts(void **state)
{
	char line[] = "36 35 98:0 /a\\040b /mnt\\011x rw,noatime master:1 - ext4 /dev/vda1 rw,errors=continue\n";
	char plain[] = "36 35 98:0 / / rw - btrfs /dev/vdb rw\n", bad[] = "36 35 98:0 / / rw", cut[] = "36 35 - ext4";
	struct vst_attr_mount m;

	assert_true(vst_attr_mount_parse(line, &m));
	assert_string_equal(m.root, "/a b");
	assert_string_equal(m.at, "/mnt\tx");
	assert_string_equal(m.source, "/dev/vda1");
	assert_true(vst_attr_mount_parse(plain, &m));
	assert_string_equal(m.root, "/");
	assert_string_equal(m.at, "/");
	assert_string_equal(m.source, "/dev/vdb");
	assert_false(vst_attr_mount_parse(bad, &m));
	assert_false(vst_attr_mount_parse(cut, &m));
}

static void paths(void **state)
{
	struct vst_file_name f = { .ino = 12, .path = { "c", "b", "a" } };
	char path[64];

	assert_true(vst_attr_path(&f, "/", path, sizeof(path)));
	assert_string_equal(path, "a/b/c");
	assert_true(vst_attr_path(&f, "/a", path, sizeof(path)));
	assert_string_equal(path, "b/c");
	assert_true(vst_attr_path(&f, "/a/b", path, sizeof(path)));
	assert_string_equal(path, "c");
	assert_false(vst_attr_path(&f, "/b", path, sizeof(path)));
	assert_false(vst_attr_path(&f, "/a/bb", path, sizeof(path)));
	assert_false(vst_attr_path(&f, "/a/b/c", path, sizeof(path)));
	assert_false(vst_attr_path(&f, "/", path, 5));
	f.more = 1; /* it lies deeper than what was read */
	assert_false(vst_attr_path(&f, "/", path, sizeof(path)));
	f = (struct vst_file_name){ .ino = 12 };
	assert_false(vst_attr_path(&f, "/", path, sizeof(path)));
	memset(f.path[0], 'x', sizeof(f.path[0]) - 1); /* cut off */
	assert_false(vst_attr_path(&f, "/", path, sizeof(path)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(mounts),
		cmocka_unit_test(paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
