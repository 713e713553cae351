/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: ctl/format.c ctl/view.c ctl/view_io.c ctl/view_waits.c ctl/view_actions.c ctl/view_cache.c ctl/cost.c ctl/frame.c ctl/frame_waits.c ctl/waits.c ctl/wire.c ctl/who.c ctl/underway.c ctl/phrase.c ctl/feeds.c ctl/mounts.c ctl/growth.c ctl/rows.c ctl/json.c lib/delta.c -ljansson -lm */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <math.h>
#include <cmocka.h>
#include "ctl/view.h"

void vst_error(const char *fmt, ...)
{
	(void)fmt;
}

static void line(struct vst_growth *g, json_t *obj)
{
	assert_non_null(obj);
	assert_int_equal(vst_growth_line(g, obj), 0);
	json_decref(obj);
}

static json_t *row(int number, const char *container, const char *cache, int class, int hits, int misses, int admitted,
		   int kept, int resident)
{
	return json_pack("{ss,si,ss,ss,ss,si,si,si,si,si,si,si}", "type", "cache", "row", number, "container",
			 container, "cgroup", "/c", "cache", cache, "class", class, "hits", hits, "misses", misses,
			 "bypassed", 0, "admitted_bytes", admitted, "kept_bytes", kept, "resident_bytes", resident);
}

static void begin(struct vst_growth *g, double uptime)
{
	vst_growth_begin(g);
	line(g, json_pack("{ss,ss,sf,sf}", "type", "snapshot", "instance", "a", "time", 5.0, "uptime", uptime));
}

static void commit(struct vst_growth *g)
{
	enum vst_commit_result result;

	assert_int_equal(vst_growth_commit(g, &result), 0);
}

#define near(a, b) assert_true(fabs((a) - (b)) < 1e-6)

static void rates_and_ratios(void **state)
{
	struct vst_growth *g = vst_growth_new("cache");
	struct vst_sample s = { .caches = g };
	struct vst_frame *f = vst_alloc(sizeof(*f));
	struct vst_look look = { .view = &vst_view_cache };
	const struct vst_line **shown;
	struct vst_layout layout;
	json_t *o;
	char *cell;
	size_t n;

	begin(g, 10);
	line(g, row(1, "db", "bcache0", 5, 100, 50, 0, 8192, 4096));
	line(g, row(2, "web", "bcache0", 0, 7, 7, 0, 0, 0));
	commit(g);
	begin(g, 12);
	line(g, row(1, "db", "bcache0", 5, 130, 60, 20000, 8192, 4096));
	line(g, row(2, "web", "bcache0", 0, 7, 7, 0, 0, 0));
	line(g, row(3, "new", "bcache1", 4, 2, 0, 0, 0, 0));
	commit(g);
	vst_frame_cache(f, &s);
	f->interval = 2;
	assert_int_equal(f->nlines, 3);
	near(f->lines[0].hits, 15);
	near(f->lines[0].misses, 5);
	near(f->lines[0].hit_percent, 75);
	near(f->lines[0].resident, 50);
	near(f->lines[0].admitted, 10000);
	near(f->lines[2].hits, 1);
	assert_int_equal(f->ntotals, 2);
	assert_string_equal(f->totals[0].device, "bcache0");
	near(f->totals[0].hit_percent, 75);
	shown = vst_view_lines(&look, f, &n); /* sorted by container, and without the one that did nothing */
	assert_int_equal(n, 2);
	assert_string_equal(shown[0]->container, "db");
	assert_string_equal(shown[1]->container, "new");
	vst_view_layout(&layout, &look, 0, shown, n);
	cell = vst_view_cell(&look, &layout, vst_view_column(&vst_view_cache, "RES%"), shown[1]);
	assert_non_null(strchr(cell, '-')); /* nothing of its class is worth keeping, so no part of it is there */
	free(cell);
	o = vst_view_json(&look, f, shown[0]);
	assert_int_equal(json_integer_value(json_object_get(o, "hits")), 30); /* in the interval */
	near(json_number_value(json_object_get(o, "hit_ratio")), 0.75);
	assert_string_equal(json_string_value(json_object_get(o, "cache")), "bcache0");
	json_decref(o);
	o = vst_view_json(&look, f, shown[1]);
	assert_null(json_object_get(o, "resident_estimate"));
	json_decref(o);
	free(shown);
	vst_frame_free(f);
	vst_growth_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_and_ratios),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
