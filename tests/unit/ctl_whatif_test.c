/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: lib/reuse.c ctl/cache_whatif.c ctl/wire.c ctl/table.c ctl/format.c ctl/json.c lib/delta.c -ljansson -lm */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <math.h>
#include <cmocka.h>

#include "ctl/cache_whatif.h"
#include "ctl/client.h"

void vst_error(const char *fmt, ...)
{
	(void)fmt;
}

int vst_usage(const char *command, const char *fmt, ...)
{
	return VST_EXIT_USAGE;
}

int vst_output_end(int rc)
{
	return rc;
}

int vst_get(const struct vst_ctl *ctl, const char *path, vst_line_fn *line, void *arg)
{
	return VST_EXIT_UNREACHABLE;
}

#define near(a, b) assert_true(fabs((a) - (b)) < 1e-6)

static void sizes(void **state)
{
	double v;

	assert_int_equal(vst_whatif_size("512M", 0, &v), 0);
	near(v, 512 << 20);
	assert_int_equal(vst_whatif_size("1.5GiB", 0, &v), 0);
	near(v, 1.5 * (1 << 30));
	assert_int_equal(vst_whatif_size("2x", 1000000, &v), 0);
	near(v, 2000000);
	assert_int_equal(vst_whatif_size("65536", 0, &v), 0);
	near(v, 65536);
	assert_int_equal(vst_whatif_size("", 1, &v), -EINVAL);
	assert_int_equal(vst_whatif_size("-1G", 1, &v), -EINVAL);
	assert_int_equal(vst_whatif_size("1Q", 1, &v), -EINVAL);
	assert_int_equal(vst_whatif_size("1GG", 1, &v), -EINVAL);
	assert_int_equal(vst_whatif_size("12", 1, &v), -EINVAL); /* less than a page */
	assert_int_equal(vst_whatif_size("nan", 1, &v), -EINVAL);
}

static void ratios(void **state)
{
	struct vst_whatif *w = vst_alloc(sizeof(*w));
	json_t *line;

	/* 100 pages of class 0 were read, 40 for the first time, the others after 0 pages or 7 (bucket 24) */
	line = json_pack("{si,si,si,si,si,si,ss}", "class", 0, "kept", 0, "kept_bytes", 0, "total", 100, "reads", 100,
			 "first", 40, "at", "0:20 24:40 999:7 bad");
	vst_whatif_take(w, line);
	json_decref(line);
	near(vst_whatif_ratio(w, 0, 0, 4096), 0.2);
	near(vst_whatif_ratio(w, 0, 0, 4096 * 1000), 0.6);
	assert_true(vst_whatif_ratio(w, 0, 5, 4096) < 0);
	near(vst_whatif_ratio(w, 0, -1, 4096), 0.2);
	line = json_pack("{si,si,si,si,si,si,ss}", "class", 5, "kept", 0, "kept_bytes", 0, "total", 300, "reads", 300,
			 "first", 0, "at", "0:300");
	vst_whatif_take(w, line);
	json_decref(line);
	near(vst_whatif_ratio(w, 0, -1, 4096), (0.2 * 100 + 300) / 400); /* by what was read */
	line = json_pack("{si,si}", "class", 6, "kept", 9);
	vst_whatif_take(w, line); /* of a newer agent */
	json_decref(line);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(ratios),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
