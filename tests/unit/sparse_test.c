/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/io/sparse.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/io/sparse.h"

static int update(struct vst_sparse *h, const __u32 *now)
{
	struct vst_bucket all[VST_HIST_BUCKETS];
	__u64 touched[VST_HIST_BUCKETS / 64] = { 0 };

	for (unsigned int i = 0; i < VST_HIST_BUCKETS; i++)
		touched[i / 64] |= (__u64)(now[i] != 0) << (i % 64);
	h->n = vst_sparse_merge(h, now, touched, all);
	h->bucket = realloc(h->bucket, (h->n ?: 1) * sizeof(*all));
	memcpy(h->bucket, all, h->n * sizeof(*all));
	return 0;
}

static __u64 bucket(const struct vst_sparse *h, unsigned int index)
{
	for (unsigned int i = 0; i < h->n; i++)
		if (h->bucket[i].index == index)
			return h->bucket[i].n;
	return 0;
}

static void only_what_is_not_empty_in_its_order(void **state)
{
	__u32 now[VST_HIST_BUCKETS] = { 0 };
	struct vst_sparse h = { 0 };

	assert_int_equal(update(&h, now), 0);
	assert_int_equal(h.n, 0);
	now[191] = 4;
	now[64] = 3;
	assert_int_equal(update(&h, now), 0);
	now[0] = 1;
	now[63] = 2;
	now[100] = 7;
	assert_int_equal(update(&h, now), 0);
	assert_int_equal(h.n, 5);
	for (unsigned int i = 1; i < h.n; i++)
		assert_true(h.bucket[i - 1].index < h.bucket[i].index);
	assert_int_equal(bucket(&h, 0), 1);
	assert_int_equal(bucket(&h, 63), 2);
	assert_int_equal(bucket(&h, 64), 3);
	assert_int_equal(bucket(&h, 100), 7);
	assert_int_equal(bucket(&h, 191), 4);
	free(h.bucket);
}

/* As long as less than 2^31 come between two readings. */
static void grows_on_where_32_bits_end(void **state)
{
	__u32 now[VST_HIST_BUCKETS] = { 0 };
	struct vst_sparse h = { 0 };
	__u64 truth = 0;

	for (int i = 0; i < 100; i++) {
		truth += 0x7fffffff;
		now[5] = (__u32)truth;
		assert_int_equal(update(&h, now), 0);
		assert_true(bucket(&h, 5) == truth || !now[5]);
	}
	assert_true(truth > 1ULL << 36);
	free(h.bucket);
}

static void one_that_seems_to_fall_stays(void **state)
{
	__u32 now[VST_HIST_BUCKETS] = { [9] = 10, [10] = 20 };
	struct vst_sparse h = { 0 };

	assert_int_equal(update(&h, now), 0);
	now[9] = 8;
	now[10] = 21;
	assert_int_equal(update(&h, now), 0);
	assert_int_equal(bucket(&h, 9), 10);
	assert_int_equal(bucket(&h, 10), 21);
	now[9] = 11;
	assert_int_equal(update(&h, now), 0);
	assert_int_equal(bucket(&h, 9), 11);
	free(h.bucket);
}

static void what_is_not_touched_is_as_before(void **state)
{
	__u32 now[VST_HIST_BUCKETS] = { [3] = 1, [70] = 2, [180] = 3 }, other[VST_HIST_BUCKETS] = { [70] = 5 };
	struct vst_sparse h = { 0 };

	assert_int_equal(update(&h, now), 0);
	assert_int_equal(update(&h, other), 0);
	assert_int_equal(h.n, 3);
	assert_int_equal(bucket(&h, 3), 1);
	assert_int_equal(bucket(&h, 70), 5);
	assert_int_equal(bucket(&h, 180), 3);
	free(h.bucket);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_not_empty_in_its_order),
		cmocka_unit_test(grows_on_where_32_bits_end),
		cmocka_unit_test(one_that_seems_to_fall_stays),
		cmocka_unit_test(what_is_not_touched_is_as_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
