/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/caches/caches.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/caches/caches.h"
#include "vstor/abi_cache.h"

#define GIB (1ULL << 30)

static void sizes_of_bcache(void **state)
{
	__u64 v;

	assert_true(vst_cache_parse_bytes("512.0k\n", &v));
	assert_int_equal(v, 512 << 10);
	assert_true(vst_cache_parse_bytes("1.5M", &v));
	assert_int_equal(v, 3 << 19);
	assert_true(vst_cache_parse_bytes("1023", &v));
	assert_int_equal(v, 1023);
	assert_true(vst_cache_parse_bytes("0.0k", &v));
	assert_int_equal(v, 0);
	assert_false(vst_cache_parse_bytes("", &v));
	assert_false(vst_cache_parse_bytes("many", &v));
	assert_false(vst_cache_parse_bytes("1.0x", &v));
	assert_false(vst_cache_parse_bytes("-4.0k", &v));
	assert_false(vst_cache_parse_bytes("999999999999.0Y", &v));
}

static void choices_of_bcache(void **state)
{
	char text[16];

	vst_cache_parse_choice("writethrough [writeback] writearound none\n", text, sizeof(text));
	assert_string_equal(text, "writeback");
	vst_cache_parse_choice("[lru] fifo random\n", text, sizeof(text));
	assert_string_equal(text, "lru");
	vst_cache_parse_choice("lru\n", text, sizeof(text));
	assert_string_equal(text, "lru");
	vst_cache_parse_choice("[unfinished and longer than the buffer", text, sizeof(text));
	assert_string_equal(text, "unfinished and ");
}

static void tables_of_a_small_cache(void **state)
{
	const struct vst_cache_info info = { .dev = 7,
					     .set = "a",
					     .bytes = 3 * GIB,
					     .cache_bytes = GIB / 2,
					     .bucket_bytes = 512 << 10,
					     .buckets = 1024,
					     .data_sectors = 16 };
	struct vst_cached at[1];
	struct vst_cache_sizes sizes;

	vst_cache_layout(&info, 1, 64 << 20, at, &sizes);
	assert_int_equal(at[0].unit_shift, 12);
	assert_int_equal(at[0].chunks, 3 * 4096); /* of 256 KiB */
	assert_int_equal(at[0].bucket_sectors, 1024);
	assert_int_equal(at[0].data_sectors, 16);
	assert_int_equal(sizes.chunks, 3 * 4096);
	assert_int_equal(sizes.buckets, 1024);
	assert_int_equal(sizes.places, 32768);
}

static void a_terabyte_within_the_cap(void **state)
{
	const struct vst_cache_info info = {
		.set = "a", .bytes = 1024 * GIB, .cache_bytes = 100 * GIB, .bucket_bytes = 512 << 10, .buckets = 204800
	};
	struct vst_cached at[1];
	struct vst_cache_sizes sizes;

	vst_cache_layout(&info, 1, 64 << 20, at, &sizes);
	assert_true(sizes.chunks * sizeof(struct vst_heat) <= 64 << 20);
	assert_int_equal(at[0].unit_shift, 13); /* a bit stands for 8 KiB then */
	assert_true(sizes.places * sizeof(struct vst_cache_place) <= 32 << 20);
}

static void two_devices_of_one_set(void **state)
{
	const struct vst_cache_info info[] = {
		{ .dev = 1, .set = "a", .bytes = GIB, .cache_bytes = GIB, .bucket_bytes = 512 << 10, .buckets = 2048 },
		{ .dev = 2, .set = "b", .bytes = GIB, .cache_bytes = GIB, .bucket_bytes = 512 << 10, .buckets = 2048 },
		{ .dev = 3, .set = "a", .bytes = GIB, .cache_bytes = GIB, .bucket_bytes = 512 << 10, .buckets = 2048 },
	};
	struct vst_cached at[3];
	struct vst_cache_sizes sizes;

	vst_cache_layout(info, 3, 64 << 20, at, &sizes);
	assert_int_equal(at[1].first, 4096);
	assert_int_equal(at[2].first, 8192);
	assert_int_equal(at[1].first_bucket, 2048);
	assert_int_equal(at[2].first_bucket, 0);
	assert_int_equal(sizes.buckets, 4096);
	assert_int_equal(sizes.chunks, 3 * 4096);
}

/* --- sysfs --- */

static void write_file(const char *root, const char *path, const char *text)
{
	char name[512];
	FILE *f;

	snprintf(name, sizeof(name), "%s/%s", root, path);
	for (char *slash = strchr(name + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(name, 0700);
		*slash = '/';
	}
	f = fopen(name, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void link_to(const char *root, const char *path, const char *target)
{
	char name[512], to[512];

	snprintf(name, sizeof(name), "%s/%s", root, path);
	snprintf(to, sizeof(to), "%s/%s", root, target);
	assert_int_equal(symlink(to, name), 0);
}

/* As it is on Linux 6.12: links lead from the cached device to the disk below, to the set, and from there to the cache. */
static void a_bcache_in_sysfs(void **state)
{
	const struct vst_device device = { .dev = 252 << 20, .name = "bcache0" };
	char root[] = "/tmp/caches_test.XXXXXX", command[64];
	struct vst_cache_info info;

	assert_non_null(mkdtemp(root));
	write_file(root, "sys/devices/vda/bcache/cache_mode", "writethrough [writeback] writearound none\n");
	write_file(root, "sys/devices/vda/bcache/dirty_data", "3.0M\n");
	write_file(root, "sys/devices/vdb/bcache/bucket_size", "512.0k\n");
	write_file(root, "sys/devices/vdb/bcache/nbuckets", "640\n");
	write_file(root, "sys/devices/vdb/bcache/cache_replacement_policy", "[lru] fifo random\n");
	write_file(root, "sys/fs/bcache/5-uuid/average_key_size", "0\n");
	write_file(root, "sys/class/block/vda/size", "6291456\n");
	write_file(root, "sys/class/block/bcache0/size", "6291440\n");
	write_file(root, "sys/block/bcache0/ro", "0\n");
	assert_false(vst_cache_info_read(root, &device, &info));
	link_to(root, "sys/block/bcache0/bcache", "sys/devices/vda/bcache");
	assert_false(vst_cache_info_read(root, &device, &info)); /* no cache is attached */
	link_to(root, "sys/devices/vda/bcache/cache", "sys/fs/bcache/5-uuid");
	link_to(root, "sys/fs/bcache/5-uuid/cache0", "sys/devices/vdb/bcache");
	assert_true(vst_cache_info_read(root, &device, &info));
	assert_string_equal(info.origin, "vda");
	assert_string_equal(info.cache, "vdb");
	assert_string_equal(info.set, "5-uuid");
	assert_string_equal(info.mode, "writeback");
	assert_string_equal(info.replacement, "lru");
	assert_int_equal(info.dirty_bytes, 3 << 20);
	assert_int_equal(info.buckets, 640);
	assert_int_equal(info.cache_bytes, 320 << 20);
	assert_int_equal(info.data_sectors, 16);
	assert_int_equal(info.bytes, 6291440ULL << 9);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_of_bcache),	   cmocka_unit_test(choices_of_bcache),
		cmocka_unit_test(tables_of_a_small_cache), cmocka_unit_test(a_terabyte_within_the_cap),
		cmocka_unit_test(two_devices_of_one_set),  cmocka_unit_test(a_bcache_in_sysfs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
