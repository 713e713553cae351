/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/caches/pins.c agent/caches/extents.c agent/base/log.c agent/base/caps.c -lcap -lpthread */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/caches/pins.h"

static void the_list(void **state)
{
	struct vst_pins p;
	char text[64];

	assert_int_equal(vst_pins_open(&p, "/"), 0);
	assert_int_equal(vst_pins_add(&p, "/srv", 1), -EINVAL);
	assert_int_equal(vst_pins_add(&p, "path srv", 1), -EINVAL);
	assert_int_equal(vst_pins_add(&p, "path ", 1), -EINVAL);
	assert_int_equal(vst_pins_add(&p, "container /a", 1), 0);
	assert_int_equal(vst_pins_add(&p, "container /a", 1), -EEXIST);
	assert_int_equal(vst_pins_remove(&p, "path /a"), -ENOENT);
	assert_int_equal(vst_pins_remove(&p, "container /a"), 0);
	assert_int_equal(vst_pins_remove(&p, "container /a"), -ENOENT);
	for (int i = 0; i < VST_PINS_MAX; i++) {
		snprintf(text, sizeof(text), "container /c%d", i);
		assert_int_equal(vst_pins_add(&p, text, 1), 0);
	}
	assert_int_equal(vst_pins_add(&p, "container /more", 1), -ENOSPC);
	assert_int_equal(vst_pins_remove(&p, "container /c7"), 0);
	assert_int_equal(vst_pins_add(&p, "container /more", 1), 0);
	assert_string_equal(p.list[7].name, "/c8");
	vst_pins_close(&p);
}

static bool take_until(struct vst_pins *p, size_t n)
{
	bool changed = false;

	for (int i = 0; i < 1000 && !(changed && p->n == n); i++) {
		usleep(10000);
		changed |= vst_pins_take(p);
	}
	return changed && p->n == n;
}

/* The thread looks, below the root that is given, and what is not there is dropped. */
static void a_path_is_looked_at(void **state)
{
	char root[] = "/tmp/vstor-pins-XXXXXX", path[64];
	struct vst_pins p;
	int fd;

	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/f", root);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(vst_pins_open(&p, root), 0);
	assert_int_equal(vst_pins_add(&p, "path /f", 1), 0);
	assert_false(p.list[0].looked);
	assert_true(take_until(&p, 1));
	assert_true(p.list[0].looked); /* where it lies depends on the filesystem of /tmp */
	assert_int_equal(vst_pins_add(&p, "path /gone", 1), 0);
	assert_true(take_until(&p, 1));
	assert_string_equal(p.list[0].name, "/f");
	vst_pins_close(&p);
	unlink(path);
	rmdir(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list),
		cmocka_unit_test(a_path_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
