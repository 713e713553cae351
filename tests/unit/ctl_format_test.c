/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: ctl/format.c ctl/view.c ctl/view_io.c ctl/view_waits.c ctl/view_actions.c ctl/view_cache.c ctl/cost.c ctl/frame.c ctl/frame_waits.c ctl/waits.c ctl/wire.c ctl/who.c ctl/underway.c ctl/phrase.c ctl/feeds.c ctl/mounts.c ctl/growth.c ctl/rows.c ctl/json.c lib/delta.c -ljansson -lm */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <locale.h>
#include <math.h>
#include <cmocka.h>
#include "ctl/sampler.h"
#include "ctl/view.h"

void vst_error(const char *fmt, ...)
{
	(void)fmt;
}

#define formats(fn, v, units, want)                                                                                    \
	do {                                                                                                           \
		char buf[VST_CELL];                                                                                    \
		fn(buf, v, VST_UNITS_##units);                                                                         \
		assert_string_equal(buf, want);                                                                        \
	} while (0)

static void test_numbers(void **state)
{
	char buf[VST_CELL];

	formats(vst_format_bytes, 0, HUMAN, "0");
	formats(vst_format_bytes, 1023, HUMAN, "1023");
	formats(vst_format_bytes, 1023.7, HUMAN, "1.0K");
	formats(vst_format_bytes, 1024, HUMAN, "1.0K");
	formats(vst_format_bytes, 100 * 1024, HUMAN, "100K");
	formats(vst_format_bytes, 1023.0 * 1024, HUMAN, "1.0M");
	formats(vst_format_bytes, 3.5 * 1073741824, HUMAN, "3.5G");
	formats(vst_format_bytes, 1.8e19, HUMAN, "15.6E");
	formats(vst_format_bytes, 123456, RAW, "123456");
	formats(vst_format_bytes, 1536, KIB, "1.5");
	formats(vst_format_count, 0.4, HUMAN, "0.4");
	formats(vst_format_count, 3, HUMAN, "3");
	formats(vst_format_count, 9999, HUMAN, "9999");
	formats(vst_format_count, 10000, HUMAN, "10.0K");
	formats(vst_format_count, 280000, HUMAN, "280K");
	formats(vst_format_count, 280000, RAW, "280000");
	formats(vst_format_us, VST_NO_TIME, HUMAN, "-");
	formats(vst_format_us, VST_NO_TIME, RAW, "-");
	formats(vst_format_us, 0, HUMAN, "0"); /* did not wait */
	formats(vst_format_us, 0, RAW, "0");
	formats(vst_format_us, 0.512, HUMAN, "<1us");
	formats(vst_format_us, 0.512, RAW, "0.5");
	formats(vst_format_us, 1.088, HUMAN, "1.1us");
	formats(vst_format_us, 1.54, HUMAN, "1.5us");
	formats(vst_format_us, 912.2, HUMAN, "912us");
	formats(vst_format_us, 999.6, HUMAN, "1.00ms");
	formats(vst_format_us, 12345, HUMAN, "12.3ms");
	formats(vst_format_us, 2.5e6, HUMAN, "2.50s");
	formats(vst_format_us, 912.24, RAW, "912.2");
	vst_format_age(buf, 59.9);
	assert_string_equal(buf, "59s");
	vst_format_age(buf, 3725);
	assert_string_equal(buf, "1h02m");
	vst_format_age(buf, 90000);
	assert_string_equal(buf, "1d01h");
	vst_format_age(buf, -5);
	assert_string_equal(buf, "0s");
	assert_int_equal(vst_units_find("KiB"), VST_UNITS_KIB);
	assert_int_equal(vst_units_find("furlong"), -1);
}

static void escapes(const char *in, const char *want)
{
	char *out = vst_escape(in);

	assert_string_equal(out, want);
	free(out);
}

static void test_escape(void **state)
{
	escapes("prod/mysql-0", "prod/mysql-0");
	escapes("\x1b[2J\x07", "\\x1b[2J\\x07");
	escapes("a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f");
	escapes("caf\xc3\xa9", "caf\xc3\xa9");
	escapes("\xe6\x97\xa5", "\xe6\x97\xa5");
	escapes("bad\xff\xc3", "bad\\xff\\xc3"); /* invalid, and cut off */
	escapes("\xc3(", "\\xc3(");
	escapes("\xc2\x9b"
		"31m",
		"\\xc2\\x9b31m");			  /* a control sequence in 8 bits */
	escapes("\xe2\x80\xaegnp", "\\xe2\\x80\\xaegnp"); /* turns the direction of writing */
	escapes("a\xe2\x80\x8b", "a\\xe2\\x80\\x8b");	  /* has no width */
	escapes("e\xcc\x81", "e\\xcc\\x81");
	escapes("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* a surrogate */
	escapes("", "");
}

static void fits(const char *in, int width, bool right, const char *want)
{
	char *out = vst_fit(in, width, right);

	assert_string_equal(out, want);
	assert_int_equal(vst_width(out), width);
	free(out);
}

static void test_fit(void **state)
{
	char *out;

	fits("abc", 5, false, "abc  ");
	fits("abc", 5, true, "  abc");
	fits("abcde", 5, false, "abcde");
	fits("namespace/pod/container", 10, false, "nam\xe2\x80\xa6tainer");
	fits("abcdef", 1, false, "\xe2\x80\xa6");
	fits("abcdef", 2, false,
	     "\xe2\x80\xa6"
	     "f");
	fits("abcdef", 0, false, "");
	/* wide characters are not halved: a column may stay free */
	fits("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 5, false, "\xe2\x80\xa6\xe6\x9c\xac\xe8\xaa\x9e");
	fits("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 4, false, "\xe2\x80\xa6\xe8\xaa\x9e ");
	out = vst_clip("abcdef", 4);
	assert_string_equal(out, "abc\xe2\x80\xa6");
	free(out);
	out = vst_clip("abcdef", 6);
	assert_string_equal(out, "abcdef");
	free(out);
	assert_int_equal(vst_width("\xe6\x97\xa5x"), 3);
}

static void test_ascii_locale(void **state)
{
	assert_non_null(setlocale(LC_CTYPE, "C"));
	escapes("caf\xc3\xa9", "caf\\xc3\\xa9");
	fits("abcdef", 3, false, "~ef");
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
}

static void test_pace(void **state)
{
	assert_true(fabs(vst_pace(10, 0.5, 10.01) - 10.5) < 1e-9); /* being late does not add up */
	assert_true(fabs(vst_pace(10, 0.5, 12.2) - 12.5) < 1e-9);  /* what was missed is left out */
	assert_true(fabs(vst_pace(10, 0.5, 9.9) - 10.5) < 1e-9);
}

static const struct vst_line sample[] = {
	{ .container = "b",
	  .cgroup = "/x",
	  .device = "vda",
	  .layer = "leaf",
	  .witness = "blkcg",
	  .bytes = 10,
	  .ops = { 1 },
	  .p99 = 5,
	  .children = 1 },
	{ .container = "b",
	  .cgroup = "/x",
	  .device = "vda",
	  .layer = "leaf",
	  .witness = "blkcg",
	  .bytes = 10,
	  .kind = "data",
	  .size = "lt1m" },
	{ .container = "a",
	  .cgroup = "/Match",
	  .device = "vdb",
	  .layer = "leaf",
	  .witness = "task",
	  .bytes = 30,
	  .p99 = 1 },
	{ .container = "c",
	  .cgroup = "/y",
	  .device = "dm-0",
	  .layer = "stacked",
	  .witness = "none",
	  .bytes = 20,
	  .p99 = 9 },
};

static void order(const struct vst_look *look, const char *want)
{
	struct vst_frame f = { .lines = (struct vst_line *)sample, .nlines = 4 };
	const struct vst_line **lines;
	char got[16] = "";
	size_t n;

	lines = vst_view_lines(look, &f, &n);
	for (size_t i = 0; i < n; i++)
		strcat(strcat(got, lines[i]->container), lines[i]->kind ? "+" : "");
	assert_string_equal(got, want);
	free(lines);
}

static void test_view_order(void **state)
{
	struct vst_look look = { .view = &vst_view_io, .sort = vst_view_column(&vst_view_io, "b/S") };

	assert_true(look.sort >= 0);
	order(&look, "acb");
	look.reverse = true;
	order(&look, "bca");
	look.reverse = false;
	look.kinds = true;
	order(&look, "acbb+");
	look.sort = vst_view_column(&vst_view_io, "P99");
	order(&look, "cbb+a");
	look.sort = vst_view_column(&vst_view_io, "CONTAINER");
	order(&look, "abb+c");
	strcpy(look.filter, "match"); /* in a cgroup, case ignored */
	order(&look, "a");
	strcpy(look.filter, "dm-");
	order(&look, "c");
	strcpy(look.filter, "nothing");
	order(&look, "");
	assert_int_equal(vst_view_column(&vst_view_io, "P9"), -1);
}

static void names(const struct vst_line *line, const char *want)
{
	struct vst_look look = { .view = &vst_view_io };
	struct vst_layout layout = { .n = 1, .width = { 40 } };
	char *got = vst_view_cell(&look, &layout, 0, line);

	got[strcspn(got, " ") == 0 ? 2 + strcspn(got + 2, " ") : strlen(got)] = '\0'; /* of a kind, the first word */
	for (size_t n = strlen(got); n && got[n - 1] == ' '; n--)
		got[n - 1] = '\0';
	assert_string_equal(got, want);
	free(got);
}

/* Rates of 0 with a time beside them: it must be said of what. */
static void test_view_only(void **state)
{
	struct vst_line line = { .container = "prod/db", .cgroup = "/", .device = "vda" };
	struct vst_frame f = { .lines = &line, .nlines = 1 };
	struct vst_look look = { .view = &vst_view_io };
	size_t n;

	names(&line, "prod/db");
	free(vst_view_lines(&look, &f, &n));
	assert_int_equal(n, 0); /* merges, or nothing at all */
	look.quiet = true;
	free(vst_view_lines(&look, &f, &n));
	assert_int_equal(n, 1);
	look.quiet = false;
	line.ops[VST_OP_FLUSH] = line.ios = 0.5;
	names(&line, "prod/db (flush)");
	free(vst_view_lines(&look, &f, &n));
	assert_int_equal(n, 1);
	line.kind = "unknown", line.size = "none";
	names(&line, "  flush");
	line.ops[VST_OP_DISCARD] = 1;
	line.ops[VST_OP_FLUSH] = 0;
	names(&line, "  discard");
	line.ops[VST_OP_FLUSH] = 1;
	names(&line, "  flush,");
	line.ops[VST_OP_WRITE] = 0.1;
	names(&line, "  unknown");
	line.ops[VST_OP_WRITE] = 0;
	line.op_bytes[VST_OP_READ] = 512; /* bytes that came without an I/O of their own */
	names(&line, "  unknown");
	line.kind = NULL;
	names(&line, "prod/db");
}

static void headed(const struct vst_frame *f, unsigned int i, const char *want)
{
	struct vst_look look = { .view = &vst_view_io };
	char *got = vst_view_header(&look, f, 1, i);

	assert_string_equal(got, want);
	free(got);
}

static void test_view_header(void **state)
{
	struct vst_line total = { .device = "vda", .ops = { [VST_OP_FLUSH] = 2 }, .p99 = 1500 };
	struct vst_frame f = { .totals = &total, .ntotals = 1 };

	headed(&f, 1, "agent - CPU  -  tick -  lost 0  containers 0"); /* it does not know yet */
	headed(&f, 2, "vda        read     0/s      0B/s  write     0/s      0B/s  p99 1.50ms (flush)");
	f.cpu_percent = 0.07, f.rss_bytes = 11.1 * 1048576, f.tick_us = 145, f.event_ns = 273, f.containers = 7;
	f.lost = 62;
	headed(&f, 1, "agent 0.07% CPU  11.1MB  tick 145us  lost 62  273 ns/IO  containers 7");
	f.lost_now = 5, f.lost_cause = "no_state\x1b";
	headed(&f, 1, "agent 0.07% CPU  11.1MB  tick 145us  lost 62 (+5 no_state\\x1b)  273 ns/IO  containers 7");
	total.ops[VST_OP_READ] = 1;
	total.p99 = VST_NO_TIME;
	headed(&f, 2, "vda        read     1/s      0B/s  write     0/s      0B/s  p99 -");
}

static bool shows(const struct vst_layout *l, const char *title)
{
	for (int i = 0; i < l->n; i++)
		if (l->column[i] == vst_view_column(&vst_view_io, title))
			return true;
	return false;
}

static int total(const struct vst_layout *l)
{
	int width = l->n - 1;

	for (int i = 0; i < l->n; i++)
		width += l->width[i];
	return width;
}

static void test_view_layout(void **state)
{
	struct vst_look look = { 0 };
	struct vst_layout l;

	for (int i = 0; i < VST_UNITS__N * VST_VIEW__N; i++) {
		look.units = (enum vst_units)(i % VST_UNITS__N);
		look.view = vst_views[i / VST_UNITS__N];
		look.sort = vst_view_column(look.view, look.view->sort);
		assert_int_equal(vst_view_find(look.view->name), i / VST_UNITS__N);
		for (int width = 10; width <= 400; width++) {
			vst_view_layout(&l, &look, width, NULL, 0);
			assert_int_equal(l.column[0], 0);
			if (width > 20)
				assert_int_equal(total(&l), width);
		}
		assert_int_equal(l.n, look.view->ncolumns); /* 400 is enough for all */
	}
	look = (struct vst_look){ .view = &vst_view_io, .sort = vst_view_column(&vst_view_io, vst_view_io.sort) };
	vst_view_layout(&l, &look, 80, NULL, 0);
	assert_true(shows(&l, "P99") && shows(&l, "LWAIT") && shows(&l, "BLOCKED BY") && shows(&l, "RB/s"));
	assert_false(shows(&l, "MAX"));
	vst_view_layout(&l, &look, 120, NULL, 0);
	assert_true(shows(&l, "QP99") && shows(&l, "DP99") && shows(&l, "META%") && shows(&l, "TOP LOCK"));
	look.sort = vst_view_column(&vst_view_io, "MAX"); /* chosen: must be seen */
	vst_view_layout(&l, &look, 80, NULL, 0);
	assert_true(shows(&l, "MAX"));
	assert_int_equal(total(&l), 80);
}

/* What has waited for too long is in sight on any terminal, in every view. */
static void test_view_old(void **state)
{
	const struct vst_line young = { .container = "x", .open = 3, .oldest = VST_OLD_US / 2 };
	const struct vst_line old = { .container = "x", .open = 1, .oldest = 11 * VST_OLD_US };
	const struct vst_line *lines[] = { &young, &old };
	struct vst_layout l;

	for (int i = 0; i < VST_VIEW__N; i++) {
		struct vst_look look = { .view = vst_views[i],
					 .sort = vst_view_column(vst_views[i], vst_views[i]->sort) };
		int column = vst_view_column(look.view, "OLDEST");
		bool shown[2] = { false, false };

		if (column < 0)
			continue; /* nothing in this view waits */
		for (size_t n = 1; n <= 2; n++) {
			vst_view_layout(&l, &look, 80, lines, n);
			assert_int_equal(total(&l), 80);
			for (int k = 0; k < l.n; k++)
				shown[n - 1] |= l.column[k] == column;
		}
		assert_false(shown[0]);
		assert_true(shown[1]);
	}
}

static void test_view_in_flight_is_not_quiet(void **state)
{
	struct vst_line line = { .container = "x", .cgroup = "/x", .device = "vda", .open = 1, .oldest = 5 };
	struct vst_frame f = { .lines = &line, .nlines = 1 };
	struct vst_look look = { .view = &vst_view_io };
	size_t n;

	free(vst_view_lines(&look, &f, &n));
	assert_int_equal(n, 1);
	line.open = 0;
	free(vst_view_lines(&look, &f, &n));
	assert_int_equal(n, 0);
}

/* The label is shown and found, the name is for programs; a filter does not look at who merely blocks. */
static void test_view_names(void **state)
{
	struct vst_line line = { .container = "kernel",
				 .cgroup = "",
				 .label = "[kernel]",
				 .device = "vda",
				 .holder = "web",
				 .holder_cgroup = "/w",
				 .holder_label = "web (w)",
				 .witness = "none",
				 .layer = "leaf",
				 .ios = 1 };
	struct vst_frame f = { .lines = &line, .nlines = 1 };
	struct vst_look look = { .view = &vst_view_io };
	json_t *o = vst_view_json(&look, &f, &line);
	size_t n;

	assert_string_equal(json_string_value(json_object_get(o, "container")), "kernel");
	assert_true(json_is_true(json_object_get(o, "own")));
	assert_string_equal(json_string_value(json_object_get(o, "blocked_by")), "web");
	assert_string_equal(json_string_value(json_object_get(o, "blocked_by_cgroup")), "/w");
	assert_null(json_object_get(o, "blocked_by_own"));
	json_decref(o);
	names(&line, "[kernel]");
	strcpy(look.filter, "[ker");
	free(vst_view_lines(&look, &f, &n));
	assert_int_equal(n, 1);
	strcpy(look.filter, "web");
	free(vst_view_lines(&look, &f, &n));
	assert_int_equal(n, 0);
	look.view = &vst_view_blame; /* there a holder is what the line is about */
	free(vst_view_lines(&look, &f, &n));
	assert_int_equal(n, 1);
}

static void asks(struct vst_feeds *f, enum vst_feed feed, double max_age, bool names, const char *want)
{
	assert_string_equal(vst_feeds_begin(f, feed, max_age, names), want);
}

static void test_feeds(void **state)
{
	struct vst_feeds f;

	vst_feeds_open(&f);
	asks(&f, VST_FEED_IO, 0, true, "/v1/io?max_age=0");
	asks(&f, VST_FEED_BLAME, 0.5, false, "/v1/blame?max_age=0.5");
	assert_false(vst_feeds_refused(&f, VST_EXIT_UNSUPPORTED));
	asks(&f, VST_FEED_LOCKS, 0, true, "/v1/locks?max_age=0&names=1");
	asks(&f, VST_FEED_WAITS, 0.1, false, "/v1/waits?max_age=0.1");
	assert_false(vst_feeds_refused(&f, 0));
	assert_false(vst_feeds_refused(&f, VST_EXIT_UNREACHABLE));
	assert_true(vst_feeds_refused(&f, VST_EXIT_UNSUPPORTED)); /* an older agent: nothing more to wait for */
	assert_true(f.sampled & VST_FEED(WAITS));
	assert_null(vst_feeds_waits(&f, VST_FEED_WAITS));
	vst_feeds_close(&f);
}

static void test_view_json(void **state)
{
	struct vst_look look = { .view = &vst_view_io };
	struct vst_frame f = { .time = 5, .interval = 1 };
	json_t *o = vst_view_json(&look, &f, &sample[1]);

	assert_int_equal(json_integer_value(json_object_get(o, "schema")), 1);
	assert_string_equal(json_string_value(json_object_get(o, "kind")), "data");
	for (int i = 0; i < vst_view_io.ncolumns; i++)
		if (strcmp(vst_view_io.columns[i].title, "INFL") && strcmp(vst_view_io.columns[i].title, "OLDEST"))
			assert_non_null(json_object_get(o, vst_view_io.columns[i].json));
	/*
	 * schema, time, interval, view, cgroup, kind, size: no two columns have one name. Nothing is in flight here, and the
	 * columns of that are one object.
	 */
	assert_int_equal(json_object_size(o), 7 + vst_view_io.ncolumns - 2);
	json_decref(o);
	o = vst_view_json(&look, &f,
			  &(struct vst_line){ .container = "c",
					      .cgroup = "",
					      .device = "d",
					      .layer = "leaf",
					      .witness = "none",
					      .p99 = VST_NO_TIME });
	assert_true(json_real_value(json_object_get(o, "p99_us")) >= 0); /* programs add up */
	json_decref(o);
	/* amounts of the interval, not rates; a share, not a percentage */
	f.interval = 2.5;
	o = vst_view_json(&look, &f,
			  &(struct vst_line){ .container = "c",
					      .ios = 4,
					      .bytes = 4096,
					      .wait = 1000.5,
					      .meta_percent = 25,
					      .open = 3,
					      .oldest = 7.5 });
	assert_int_equal(json_integer_value(json_object_get(o, "ios")), 10);
	assert_int_equal(json_integer_value(json_object_get(o, "bytes")), 10240);
	assert_true(json_real_value(json_object_get(o, "lock_wait_us")) == 2501.25);
	assert_true(json_real_value(json_object_get(o, "metadata_share")) == 0.25);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "in_flight"), "ios")), 3);
	assert_true(json_real_value(json_object_get(json_object_get(o, "in_flight"), "oldest_us")) == 7.5);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),	    cmocka_unit_test(test_escape),
		cmocka_unit_test(test_fit),	    cmocka_unit_test(test_ascii_locale),
		cmocka_unit_test(test_pace),	    cmocka_unit_test(test_view_order),
		cmocka_unit_test(test_view_layout), cmocka_unit_test(test_view_json),
		cmocka_unit_test(test_view_only),   cmocka_unit_test(test_view_header),
		cmocka_unit_test(test_view_old),    cmocka_unit_test(test_view_in_flight_is_not_quiet),
		cmocka_unit_test(test_view_names),  cmocka_unit_test(test_feeds),
	};

	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
