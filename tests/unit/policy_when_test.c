/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: policy/engine*.c policy/cap.c policy/keep.c policy/plan.c policy/measure.c policy/step.c policy/arena.c policy/rules*.c policy/bcache_file.c agent/snapshot.c lib/delta*.c -lyaml -lm */
#include "tests/unit/policy_world.h"

#define RULES "version: 1\nrules:\n"

static int setup(void **state)
{
	struct world *w = malloc(sizeof(*w));

	world_init(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_clear(*state);
	free(*state);
	return 0;
}

/* --- conditions --- */

static void read_slowly(struct world *w, __u32 c, double us)
{
	world_io(w, c, DISK_A, VST_OP_READ, 100, 409600, us);
	world_tick(w);
}

static bool is_limited(struct world *w)
{
	return world_value(w, "/a", "io.max", "8:0 wbps");
}

#define SLOW                                                                                                           \
	RULES "- {name: slow, match: {container: a}, when: [{metric: p99_read, above: 5ms, for: 5s}], max: {write: "   \
	      "1MiB/s}}\n"

static void a_condition_has_to_last(void **state)
{
	struct world *w = *state;
	__u32 a = world_container(w, "/a", "", "", "a");

	world_policy(w, SLOW);
	world_tick(w);
	for (int i = 0; i < 4; i++)
		read_slowly(w, a, 10000);
	assert_false(is_limited(w));
	read_slowly(w, a, 1000);
	for (int i = 0; i < 4; i++)
		read_slowly(w, a, 10000);
	assert_false(is_limited(w)); /* it began anew */
	read_slowly(w, a, 10000);
	assert_true(is_limited(w));
	assert_non_null(strstr(world_find(w, "/a", "io.max", "8:0 wbps")->why, "p99_read"));
}

/* It ends below the limit's margin, for as long, and not before it has held for a while. */
static void a_condition_has_two_edges(void **state)
{
	struct world *w = *state;
	__u32 a = world_container(w, "/a", "", "", "a");

	world_policy(w, SLOW);
	world_tick(w);
	for (int i = 0; i < 5; i++)
		read_slowly(w, a, 10000);
	assert_true(is_limited(w));
	for (int i = 0; i < 30; i++)
		read_slowly(w, a, 4500); /* below 5 ms, above 4 */
	assert_true(is_limited(w));
	for (int i = 0; i < 4; i++)
		read_slowly(w, a, 3000);
	assert_true(is_limited(w));
	read_slowly(w, a, 3000);
	assert_false(is_limited(w));
	/* at once again, and at once over: it holds for 10 s all the same */
	for (int i = 0; i < 5; i++)
		read_slowly(w, a, 10000);
	assert_true(is_limited(w));
	for (int i = 0; i < 9; i++)
		read_slowly(w, a, 100);
	assert_true(is_limited(w));
	read_slowly(w, a, 100);
	assert_false(is_limited(w));
}

static void nothing_measured_is_not_slow(void **state)
{
	struct world *w = *state;
	__u32 a = world_container(w, "/a", "", "", "a");

	world_policy(w, RULES
		     "- {name: fast, match: {container: a}, when: [{metric: p99_read, below: 5ms, for: 2s}], max: "
		     "{write: 1MiB/s}}\n");
	for (int i = 0; i < 10; i++)
		world_tick(w);
	assert_false(is_limited(w));
	for (int i = 0; i < 3; i++)
		read_slowly(w, a, 100);
	assert_true(is_limited(w));
}

static void all_conditions_have_to_hold(void **state)
{
	struct world *w = *state;
	__u32 a = world_container(w, "/a", "", "", "a"), b = world_container(w, "/b", "", "", "b");

	world_policy(w, RULES
		     "- {name: x, match: {container: a}, when: [{metric: blamed, above: 200ms/s, for: 2s}, {metric: "
		     "write, above: 1MiB/s}], max: {write: 1MiB/s}}\n");
	world_tick(w);
	for (int i = 0; i < 5; i++) {
		world_blame(w, b, a, VST_WAIT_DEVICE, 300000);
		world_tick(w);
	}
	assert_false(is_limited(w));
	for (int i = 0; i < 2; i++) {
		world_blame(w, b, a, VST_WAIT_DEVICE, 300000);
		world_io(w, a, DISK_A, VST_OP_WRITE, 10, 4 << 20, 100);
		world_tick(w);
	}
	assert_true(is_limited(w));
}

static void a_condition_on_a_disk(void **state)
{
	struct world *w = *state;
	__u32 a = world_container(w, "/a", "", "", "a");

	world_policy(w, RULES
		     "- {name: x, match: {container: a, device: sda}, when: [{metric: device_queue, above: 8, for: "
		     "2s}], max: {write: 1MiB/s}}\n");
	world_tick(w);
	for (int i = 0; i < 3; i++) {
		world_io(w, a, DISK_A, VST_OP_READ, 100, 409600, 50000); /* 100 of 50 ms in a second: 5 in flight */
		world_tick(w);
	}
	assert_false(is_limited(w));
	for (int i = 0; i < 3; i++) {
		world_io(w, a, DISK_A, VST_OP_READ, 200, 819200, 50000);
		world_tick(w);
	}
	assert_true(is_limited(w));
}

static void the_clock_jumps(void **state)
{
	struct world *w = *state;
	__u32 a = world_container(w, "/a", "", "", "a");

	world_policy(w, SLOW);
	world_tick(w);
	for (int i = 0; i < 4; i++)
		read_slowly(w, a, 10000);
	w->time += 3600; /* asleep */
	read_slowly(w, a, 10000);
	assert_false(is_limited(w));
	for (int i = 0; i < 5; i++)
		read_slowly(w, a, 10000);
	assert_true(is_limited(w));
	w->time -= 100; /* backwards: what is set stays */
	read_slowly(w, a, 10000);
	assert_true(is_limited(w));
	for (int i = 0; i < 4; i++)
		read_slowly(w, a, 100);
	assert_true(is_limited(w));
}

static void a_reload_keeps_conditions(void **state)
{
	struct world *w = *state;
	__u32 a = world_container(w, "/a", "", "", "a");

	world_policy(w, SLOW);
	world_tick(w);
	for (int i = 0; i < 5; i++)
		read_slowly(w, a, 10000);
	assert_true(is_limited(w));
	world_policy(w, RULES
		     "- {name: another, match: {container: z}, weight: 5}\n"
		     "- {name: slow, match: {container: a}, when: [{metric: p99_read, above: 5ms, for: 5s}], max: "
		     "{write: 1MiB/s}}\n");
	read_slowly(w, a, 10000);
	assert_true(is_limited(w));
	assert_int_equal(w->writes, 1);
	/* another condition is another rule */
	world_policy(w, RULES
		     "- {name: slow, match: {container: a}, when: [{metric: p99_read, above: 6ms, for: 5s}], max: "
		     "{write: 1MiB/s}}\n");
	read_slowly(w, a, 10000);
	assert_false(is_limited(w));
}

/* Nobody else's engine has run before: what the actor kept for a successor is not written again. */
static void a_successor_writes_nothing(void **state)
{
	struct world *w = *state, next;
	__u32 a = world_container(w, "/a", "", "", "a");
	struct vst_outcome o = { .state = VST_KNOB_APPLIED };

	world_policy(w, SLOW);
	world_tick(w);
	for (int i = 0; i < 5; i++)
		read_slowly(w, a, 10000);
	assert_true(is_limited(w));
	world_init(&next);
	world_container(&next, "/a", "", "", "a");
	world_policy(&next, SLOW);
	vst_knob_init(&o.knob, VST_ACTUATOR_CGROUP_IO, "/a", 0, "io.max", "8:0 wbps");
	strcpy(o.written, "1048576");
	strcpy(o.rule, "slow");
	vst_plan_adopt(&next.plan, &o, next.time);
	for (int i = 0; i < 3; i++)
		world_tick(&next);
	assert_int_equal(next.writes, 0);
	for (int i = 0; i < 20; i++)
		world_tick(&next);
	assert_int_equal(next.writes, 1); /* it does not hold any more */
	world_clear(&next);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_condition_has_to_last),	   TEST(a_condition_has_two_edges),  TEST(nothing_measured_is_not_slow),
		TEST(all_conditions_have_to_hold), TEST(a_condition_on_a_disk),	     TEST(the_clock_jumps),
		TEST(a_reload_keeps_conditions),   TEST(a_successor_writes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
