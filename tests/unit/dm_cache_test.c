/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/caches/dm_cache.c agent/base/log.c agent/base/caps.c -lcap -lpthread */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/caches/dm_cache.h"

struct vst_device *vst_devices_find(struct vst_devices *devs, __u32 dev)
{
	return NULL;
}

static void a_table(void **state)
{
	struct vst_dm_cache c = { 0 };

	assert_true(vst_dm_cache_parse_table("253:1 253:0 254:16 128 1 writethrough smq 0", &c));
	assert_int_equal(c.cache_dev, 253 << 20 | 0);
	assert_int_equal(c.origin_dev, 254 << 20 | 16);
	assert_false(vst_dm_cache_parse_table("253:1 253:0", &c));
	assert_false(vst_dm_cache_parse_table("", &c));
}

/* As Linux 6.1 and 6.12 write it (cache_status() in drivers/md/dm-cache-target.c). */
static void a_status(void **state)
{
	struct vst_dm_cache c = { 0 };

	assert_true(vst_dm_cache_parse_status("8 27/1024 128 600/1000 4711 289 33 1207 5 605 17 2 metadata2 writeback "
					      "2 migration_threshold 2048 smq 0 rw -",
					      &c));
	assert_int_equal(c.info.type, VST_CACHE_DM_CACHE);
	assert_int_equal(c.info.bucket_bytes, 65536);
	assert_int_equal(c.info.cache_bytes, 1000 * 65536);
	assert_int_equal(c.used_bytes, 600 * 65536);
	assert_int_equal(c.read_hits, 4711);
	assert_int_equal(c.read_misses, 289);
	assert_int_equal(c.write_hits, 33);
	assert_int_equal(c.write_misses, 1207);
	assert_int_equal(c.demoted_blocks, 5);
	assert_int_equal(c.promoted_blocks, 605);
	assert_int_equal(c.info.dirty_bytes, 17 * 65536);
	assert_string_equal(c.info.mode, "writeback");
	assert_string_equal(c.info.replacement, "smq");
}

static void what_is_no_status(void **state)
{
	struct vst_dm_cache c = { 0 };

	assert_false(vst_dm_cache_parse_status("Fail", &c));
	assert_false(vst_dm_cache_parse_status("", &c));
	assert_false(vst_dm_cache_parse_status("8 27/1024 128 600/1000 4711", &c));
	assert_false(
		vst_dm_cache_parse_status("8 27/1024 128 600/1000 1 2 3 4 5 6 7", &c)); /* cut before the features */
	assert_false(vst_dm_cache_parse_status("8 27/1024 128 600/1000 1 2 3 4 5 6 7 999 writeback", &c));
	assert_false(vst_dm_cache_parse_status("8 27/1024 128 600/1000 1 2 3 4 5 6 7 1 writeback 0", &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table),
		cmocka_unit_test(a_status),
		cmocka_unit_test(what_is_no_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
