/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/caches/extents.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/caches/extents.h"

static char dir[] = "/tmp/vstor-extents-XXXXXX";

static int make_dir(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static const char *at(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void write_file(const char *name, size_t bytes)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	close(fd);
}

/* In place of FIEMAP, which needs a disk: an extent for each 4 KiB, where the file's size says. */
static int by_size(int fd, int (*add)(void *arg, __u64 offset, __u64 bytes), void *arg)
{
	struct stat st;
	int err = 0;

	assert_int_equal(fstat(fd, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	for (off_t at = 0; at < st.st_size && !err; at += 4096)
		err = add(arg, (__u64)(1 << 20) + (__u64)at, 4096);
	return err;
}

static int none_known(int fd, int (*add)(void *arg, __u64 offset, __u64 bytes), void *arg)
{
	return -EOPNOTSUPP;
}

static void a_file(void **state)
{
	struct vst_extents e;
	struct stat st;

	write_file("f", 8192);
	assert_int_equal(vst_extents_find(at("f"), by_size, &e), 0);
	assert_int_equal(e.files, 1);
	assert_int_equal(e.n, 2);
	assert_int_equal(e.bytes, 8192);
	assert_int_equal(e.list[1].offset, (1 << 20) + 4096);
	assert_false(e.cut);
	stat(at("f"), &st);
	assert_int_equal(e.dev & 0xfffff, st.st_dev & 0xff); /* the minor number, below 256 here */
	vst_extents_clear(&e);
}

static void a_tree(void **state)
{
	struct vst_extents e;

	mkdir(at("tree"), 0755);
	mkdir(at("tree/d"), 0755);
	write_file("tree/a", 4096);
	write_file("tree/d/b", 4096);
	assert_int_equal(symlink("/", at("tree/link")), 0);
	assert_int_equal(mkfifo(at("tree/pipe"), 0600), 0);
	assert_int_equal(vst_extents_find(at("tree"), by_size, &e), 0);
	assert_int_equal(e.files, 4); /* two files and two directories: links are not followed, and pipes not opened */
	assert_int_equal(e.bytes, 8192);
	vst_extents_clear(&e);
}

static void what_cannot_be_kept(void **state)
{
	struct vst_extents e;

	assert_int_equal(vst_extents_find(at("nothing"), by_size, &e), -ENOENT);
	assert_int_equal(mkfifo(at("pipe"), 0600), 0);
	assert_int_equal(vst_extents_find(at("pipe"), by_size, &e), -EMEDIUMTYPE);
	write_file("g", 4096);
	assert_int_equal(symlink("g", at("link")), 0);
	assert_int_equal(vst_extents_find(at("link"), by_size, &e), -EMEDIUMTYPE);
	assert_int_equal(vst_extents_find(at("g"), none_known, &e), -EOPNOTSUPP);
	vst_extents_clear(&e);
}

static void it_is_bounded(void **state)
{
	char name[1024] = "deep";
	struct vst_extents e;

	write_file("big", (VST_EXTENTS_MAX + 10) * 4096UL);
	assert_int_equal(vst_extents_find(at("big"), by_size, &e), 0);
	assert_int_equal(e.n, VST_EXTENTS_MAX);
	assert_true(e.cut);
	vst_extents_clear(&e);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("deep", 0755), 0);
	for (int i = 0; i < VST_EXTENTS_DEPTH + 2; i++) {
		strcat(name, "/d");
		assert_int_equal(mkdir(name, 0755), 0);
	}
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(vst_extents_find(at("deep"), by_size, &e), 0);
	assert_true(e.cut);
	assert_int_equal(e.files, VST_EXTENTS_DEPTH + 1);
	vst_extents_clear(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file),
		cmocka_unit_test(a_tree),
		cmocka_unit_test(what_cannot_be_kept),
		cmocka_unit_test(it_is_bounded),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
