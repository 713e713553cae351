// SPDX-License-Identifier: GPL-2.0-only
/* LINK: */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "vstor/symbols.h"

#define TEXT 0xffffffff81000000ULL

/* Addresses as kernels have them: near each other, of functions of some hundred bytes, in another place each time. */
static void addresses(__u64 addr[VST_ORIGIN__N], unsigned int seed)
{
	__u64 at = TEXT + seed * 0x1230ULL;

	addr[VST_ORIGIN_NONE] = 0;
	for (int n = 1; n < VST_ORIGIN__N; n++)
		addr[n] = at += 16 * (1 + (seed * 7919 + n * 104729) % 100000);
}

static void each_is_found(void **ctx)
{
	for (unsigned int seed = 0; seed < 500; seed++) {
		struct vst_origins o = { 0 };
		__u64 addr[VST_ORIGIN__N];

		addresses(addr, seed);
		assert_true(vst_origins_set(&o, addr));
		for (int n = 1; n < VST_ORIGIN__N; n++)
			assert_int_equal(vst_origin_find(&o, addr[n]), n);
	}
}

static void others_are_none(void **ctx)
{
	struct vst_origins o = { 0 };
	__u64 addr[VST_ORIGIN__N];

	assert_int_equal(vst_origin_find(&o, TEXT), VST_ORIGIN_NONE); /* before anything is known */
	addresses(addr, 1);
	assert_true(vst_origins_set(&o, addr));
	assert_int_equal(vst_origin_find(&o, 0), VST_ORIGIN_NONE);
	for (int n = 1; n < VST_ORIGIN__N; n++) {
		assert_int_equal(vst_origin_find(&o, addr[n] + 1), VST_ORIGIN_NONE);
		assert_int_equal(vst_origin_find(&o, addr[n] - 16), VST_ORIGIN_NONE);
	}
}

/* A module that is loaded later: those that were known stay where a probe finds them, if there is no collision. */
static void one_comes_later(void **ctx)
{
	struct vst_origins o = { 0 };
	__u64 addr[VST_ORIGIN__N], late;

	addresses(addr, 2);
	late = addr[VST_ORIGIN_btrfs];
	addr[VST_ORIGIN_btrfs] = 0;
	assert_true(vst_origins_set(&o, addr));
	assert_int_equal(vst_origin_find(&o, late), VST_ORIGIN_NONE);
	addr[VST_ORIGIN_btrfs] = late;
	assert_true(vst_origins_set(&o, addr));
	for (int n = 1; n < VST_ORIGIN__N; n++)
		assert_int_equal(vst_origin_find(&o, addr[n]), n);
}

/* Two names of one address cannot have places of their own. */
static void no_table_is_said(void **ctx)
{
	struct vst_origins o = { 0 };
	__u64 addr[VST_ORIGIN__N];

	addresses(addr, 3);
	assert_true(vst_origins_set(&o, addr));
	addr[VST_ORIGIN_wait] = addr[VST_ORIGIN_buffer] + 16;
	addr[VST_ORIGIN_wait_old] = addr[VST_ORIGIN_wait];
	assert_false(vst_origins_set(&o, addr));
	assert_int_equal(vst_origin_find(&o, addr[VST_ORIGIN_buffer]), VST_ORIGIN_buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_found),
		cmocka_unit_test(others_are_none),
		cmocka_unit_test(one_comes_later),
		cmocka_unit_test(no_table_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
