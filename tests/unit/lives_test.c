/* SPDX-License-Identifier: GPL-2.0-only */
/* In which bucket a lifetime is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vstor/abi_insight.h"

static __u32 bucket_of(__u64 ns)
{
	return vst_life_bucket((__u32)(ns >> VST_LIFE_SHIFT));
}

static void ages_have_buckets(void **state)
{
	assert_int_equal(bucket_of(0), 0);
	assert_int_equal(bucket_of(8000000), 0);
	assert_int_equal(bucket_of(12000000), 1);
	assert_int_equal(bucket_of(98000000), 1);
	assert_int_equal(bucket_of(102000000), 2);
	assert_int_equal(bucket_of(998000000), 2);
	assert_int_equal(bucket_of(1002000000), 3);
	assert_int_equal(bucket_of(9990000000), 3);
	assert_int_equal(bucket_of(10010000000), 4);
	assert_int_equal(bucket_of(59990000000), 4);
	assert_int_equal(bucket_of(60010000000), 5);
	assert_int_equal(bucket_of(600010000000), 6);
	assert_int_equal(bucket_of(3600010000000), 7);
	assert_int_equal(bucket_of(86400000000000), 7);
	assert_int_equal(vst_life_bucket(~0U), VST_LIFE_BUCKETS - 1);
}

static void ends_have_names(void **state)
{
	assert_string_equal(vst_life_end_name(VST_LIFE_OVERWRITE), "overwrite");
	assert_string_equal(vst_life_end_name(VST_LIFE_TRUNCATE), "truncate");
	assert_string_equal(vst_life_end_name(VST_LIFE_UNLINK), "unlink");
	assert_null(vst_life_end_name(VST_LIFE_END__N));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ages_have_buckets),
		cmocka_unit_test(ends_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
