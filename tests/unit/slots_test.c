/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the counters of a row and a CPU are: on hosts of many CPUs, too, each finds a place, and most their first one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/types.h>
#include "vstor/abi.h"

static __u32 tags[VST_SLOTS_MAX];

/* The n at which it found a place. */
static __u32 place(__u32 mask, __u32 cpu, __u32 row)
{
	__u32 n, slot;

	for (n = 0; n < VST_SLOT_TRIES; n++) {
		slot = VST_SLOT(mask, cpu, row, n);
		if (!slot || tags[slot])
			continue;
		tags[slot] = VST_SLOT_TAG(cpu, row);
		return n;
	}
	return n;
}

/* How many of 1,000 do not find it where they look first. */
static unsigned int fill(__u32 cpus, __u32 rows)
{
	__u32 n, mask = vst_slots_for(cpus) - 1;
	unsigned int elsewhere = 0;

	memset(tags, 0, sizeof(tags));
	for (__u32 row = 1; row <= rows; row++) {
		for (__u32 cpu = 0; cpu < cpus; cpu++) {
			n = place(mask, cpu, row);
			assert_true(n < VST_SLOT_TRIES);
			elsewhere += n > 0;
		}
	}
	return 1000 * elsewhere / (cpus * rows);
}

static void each_row_of_each_cpu_has_a_place(void **state)
{
	assert_int_equal(fill(1, VST_ROWS - 1), 0);
	assert_in_range(fill(2, 6000), 0, 10);
	assert_in_range(fill(64, 400), 0, 10);
	assert_in_range(fill(128, 600), 0, 10);
	fill(2, VST_ROWS - 200);
	fill(16, 960);
	fill(64, 960);
	fill(128, 960);
	fill(256, 480);
}

static void slots_grow_with_the_cpus(void **state)
{
	assert_int_equal(vst_slots_for(1), VST_SLOTS_MIN);
	assert_int_equal(vst_slots_for(16), VST_SLOTS_MIN);
	assert_int_equal(vst_slots_for(17), 2 * VST_SLOTS_MIN);
	assert_int_equal(vst_slots_for(64), 65536);
	assert_int_equal(vst_slots_for(96), VST_SLOTS_MAX);
	assert_int_equal(vst_slots_for(4096), VST_SLOTS_MAX);
}

static void a_tag_tells_row_and_cpu(void **state)
{
	assert_int_equal(VST_SLOT_ROW(VST_SLOT_TAG(0, 1)), 1);
	assert_int_equal(VST_SLOT_ROW(VST_SLOT_TAG(511, VST_ROWS - 1)), VST_ROWS - 1);
	assert_int_not_equal(VST_SLOT_TAG(0, 5), VST_SLOT_TAG(1, 5));
	assert_int_not_equal(VST_SLOT_TAG(0, 0), 0); /* what is free is no one's */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_of_each_cpu_has_a_place),
		cmocka_unit_test(slots_grow_with_the_cpus),
		cmocka_unit_test(a_tag_tells_row_and_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
