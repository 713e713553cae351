// SPDX-License-Identifier: GPL-2.0-only
/* LINK: agent/probes/symbols.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/probes/symbols.h"

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

/* As /proc/kallsyms says it, of a file with these lines. */
static int read_lines(const char *lines, struct vst_symbols *ret)
{
	char path[] = "/tmp/vstor-symbols-XXXXXX";
	int fd = mkstemp(path), err;
	FILE *f = fdopen(fd, "w");

	assert_non_null(f);
	fputs(lines, f);
	fclose(f);
	err = vst_symbols_read(path, ret);
	unlink(path);
	return err;
}

static void lines_are_read(void **ctx)
{
	struct vst_symbols s;

	assert_int_equal(read_lines("ffffffff81000100 T bio_chain_endio\n"
				    "ffffffff81000200 t bio_chain_endio.cold\n"
				    "ffffffff81000300 t bio_chain_endi\n"
				    "ffffffffc0000400 t xlog_bio_end_io\t[xfs]\n"
				    "ffffffff81000500 T __lock_text_start\n"
				    "ffffffff81000600 T __sched_text_end",
				    &s),
			 0);
	assert_int_equal(s.origin[VST_ORIGIN_bio_chain], 0xffffffff81000100);
	assert_int_equal(s.origin[VST_ORIGIN_xlog], 0xffffffffc0000400);
	assert_int_equal(s.origin[VST_ORIGIN_buffer], 0);
	assert_int_equal(s.lock.lock_text, 0xffffffff81000500);
	assert_int_equal(s.lock.sched_text_end, 0xffffffff81000600);
	assert_true(vst_symbols_any(&s));
}

static void hidden_and_broken_lines(void **ctx)
{
	struct vst_symbols s = { .origin[VST_ORIGIN_jbd2] = 7 };

	assert_int_equal(vst_symbols_read("/nonexistent/kallsyms", &s), -ENOENT);
	assert_int_equal(s.origin[VST_ORIGIN_jbd2], 7);
	assert_int_equal(read_lines("0000000000000000 T bio_chain_endio\n", &s), 0);
	assert_false(vst_symbols_any(&s));
	assert_int_equal(read_lines("\n \nbio_chain_endio\nffffffff81000100\nffffffff81000100 T\n"
				    "ffffffff81000100 T \nffffffff81000100  bio_chain_endio\n"
				    "zz T bio_chain_endio\nffffffff81000100 TT bio_chain_endio\n",
				    &s),
			 0);
	assert_false(vst_symbols_any(&s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_found),   cmocka_unit_test(others_are_none),
		cmocka_unit_test(one_comes_later), cmocka_unit_test(no_table_is_said),
		cmocka_unit_test(lines_are_read),  cmocka_unit_test(hidden_and_broken_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
