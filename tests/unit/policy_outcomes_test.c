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

/* --- conflicts, refusals, an actor that dies --- */

static void conflict(struct world *w, unsigned int n)
{
	struct vst_plan_knob *k = world_wanted(w, "/a", "io.max", "8:0 wbps");
	struct vst_outcome o = { .state = VST_KNOB_CONFLICT, .result = -EBUSY, .conflicts = n };

	vst_knob_init(&o.knob, k->actuator, k->target, 0, k->attr, k->key);
	strcpy(o.now, "777");
	vst_plan_adopt(&w->plan, &o, w->time);
}

static void the_administrator_wins(void **state)
{
	struct world *w = *state;
	int writes;

	world_container(w, "/a", "", "", "a");
	world_policy(w, RULES "- {name: x, match: {container: a}, max: {write: 1MiB/s}}\n");
	world_tick(w);
	writes = w->writes;
	conflict(w, 1);
	for (int i = 0; i < VST_PLAN_CONFLICT_S - 1; i++) {
		world_tick(w);
		if (i % 10 == 9)
			conflict(w, 1); /* the list says so again: no news */
	}
	assert_int_equal(w->writes, writes);
	world_tick(w);
	world_tick(w);
	assert_int_equal(w->writes, writes + 1); /* asked again: the actor knows whether it may */
	conflict(w, VST_CONFLICTS_MAX);
	for (int i = 0; i < 400; i++)
		world_tick(w);
	assert_int_equal(w->writes, writes + 1);
	vst_plan_forget_conflicts(&w->plan);
	world_tick(w);
	assert_int_equal(w->writes, writes + 2);
}

/* The actor lists such a conflict until it ends. */
static void a_conflict_that_nobody_wants_is_not_news(void **state)
{
	struct world *w = *state;
	struct vst_outcome row = { .state = VST_KNOB_CONFLICT, .result = -EBUSY, .conflicts = 1 };
	uint64_t changes;

	vst_knob_init(&row.knob, VST_ACTUATOR_CGROUP_IO, "/a", 7, "io.max", "8:0 wbps");
	assert_non_null(vst_plan_adopt(&w->plan, &row, w->time)); /* taken over: rules were not asked yet */
	world_policy(w, RULES "- {name: x, match: {container: a}, max: {write: 1MiB/s}}\n");
	world_tick(w);
	assert_int_equal(w->plan.n, 0);
	changes = w->plan.changes;
	assert_null(vst_plan_adopt(&w->plan, &row, w->time));
	assert_int_equal(w->plan.n, 0);
	assert_int_equal(w->plan.changes, changes);
}

/* The value of an earlier step stays in a knob whose next step is refused. */
static void what_a_refusal_leaves_is_taken_back(void **state)
{
	struct world *w = *state;
	struct vst_outcome o = { .state = VST_KNOB_REFUSED, .result = -EINVAL }, row = { .state = VST_KNOB_APPLIED };
	struct vst_plan_knob *k;
	struct vst_step step;

	world_container(w, "/a", "", "", "a");
	world_policy(w, RULES "- {name: x, match: {container: a}, max: {write: 1MiB/s}}\n");
	world_tick(w);
	world_policy(w, RULES "- {name: x, match: {container: a}, max: {write: 2MiB/s}}\n");
	world_plan(w);
	k = vst_plan_next_step(&w->plan, NULL, w->time, &step);
	assert_non_null(k);
	vst_plan_sent(&w->plan, k, step.id, w->time);
	o.id = step.id;
	o.knob = row.knob = step.knob;
	strcpy(o.written, "1048576");
	strcpy(row.written, "1048576");
	vst_plan_outcome(&w->plan, &o, w->time);
	vst_plan_adopt(&w->plan, &row, w->time);
	assert_int_equal(k->state, VST_KNOB_REFUSED); /* what the list says does not end the pause */
	assert_null(vst_plan_next_step(&w->plan, NULL, w->time, &step));
	world_policy(w, RULES "- {name: x, match: {container: b}, max: {write: 2MiB/s}}\n");
	world_tick(w);
	assert_null(world_value(w, "/a", "io.max", "8:0 wbps"));
}

static void refusals_are_retried_ever_more_seldom(void **state)
{
	struct world *w = *state;
	struct vst_outcome o = { .state = VST_KNOB_REFUSED, .result = -EROFS };
	struct vst_plan_knob *k;
	struct vst_step step;
	int n = 0;

	world_container(w, "/a", "", "", "a");
	world_policy(w, RULES "- {name: x, match: {container: a}, max: {write: 1MiB/s}}\n");
	for (int i = 0; i < 600; i++) {
		world_plan(w);
		k = vst_plan_next_step(&w->plan, NULL, w->time, &step);
		if (!k)
			continue;
		n++;
		vst_plan_sent(&w->plan, k, step.id, w->time);
		o.id = step.id;
		o.knob = step.knob;
		strcpy(o.text, "the journal cannot be written");
		vst_plan_outcome(&w->plan, &o, w->time);
		assert_int_equal(vst_plan_state(k), VST_KNOB_REFUSED);
		assert_string_equal(vst_plan_text(k), "the journal cannot be written");
	}
	assert_true(n >= 6 && n <= 9);
}

static void the_actor_dies(void **state)
{
	struct world *w = *state;

	world_container(w, "/a", "", "", "a");
	world_policy(w, RULES "- {name: x, match: {container: a}, max: {write: 1MiB/s}}\n");
	world_tick(w);
	vst_plan_lost(&w->plan);
	strcpy(w->knob[0].value, "max"); /* the next actor reverts what the journal has */
	assert_int_equal(vst_plan_state(w->plan.first), VST_KNOB_PLANNED);
	world_tick(w);
	assert_string_equal(world_value(w, "/a", "io.max", "8:0 wbps"), "1048576");
}

/* A successor does not know the names of all containers at once: what it took over stays until then, and a while longer. */
static void what_is_inherited_is_left_for_a_while(void **state)
{
	struct world *w = *state;
	struct vst_outcome o = { .state = VST_KNOB_APPLIED };
	__u32 a = world_container(w, "/a", "", "", "a");

	vst_knob_init(&o.knob, VST_ACTUATOR_CGROUP_IO, "/a", 0, "io.max", "8:0 wbps");
	strcpy(o.written, "1048576");
	strcpy(o.rule, "x");
	vst_plan_adopt(&w->plan, &o, w->time);
	w->container[a].name = "";
	world_policy(w, RULES "- {name: x, match: {container: a}, max: {write: 1MiB/s}}\n");
	for (int i = 0; i < VST_PLAN_INHERITED_S - 1; i++)
		world_tick(w);
	assert_int_equal(w->writes, 0);
	w->container[a].name = "a";
	w->container[a].fresh = true;
	for (int i = 0; i < 3; i++)
		world_tick(w);
	assert_int_equal(w->writes, 0);
	assert_non_null(world_wanted(w, "/a", "io.max", "8:0 wbps"));
	w->container[a].name = "";
	w->container[a].fresh = true;
	world_tick(w); /* it was wanted since: nothing is left of a predecessor */
	assert_int_equal(w->writes, 1);
}

static void what_is_inherited_and_never_wanted_is_undone(void **state)
{
	struct world *w = *state;
	struct vst_outcome o = { .state = VST_KNOB_APPLIED };

	world_container(w, "/a", "", "", "a");
	vst_knob_init(&o.knob, VST_ACTUATOR_CGROUP_IO, "/a", 0, "io.max", "8:0 wbps");
	strcpy(o.written, "1048576");
	vst_plan_adopt(&w->plan, &o, w->time);
	world_policy(w, RULES "- {name: x, match: {container: b}, max: {write: 1MiB/s}}\n");
	for (int i = 0; i < VST_PLAN_INHERITED_S; i++)
		world_tick(w);
	assert_int_equal(w->writes, 0);
	world_tick(w);
	assert_int_equal(w->writes, 1);
}

/* Who asks for an end of everything need not wait. */
static void what_is_inherited_goes_with_the_policy(void **state)
{
	struct world *w = *state;
	struct vst_outcome o = { .state = VST_KNOB_APPLIED };

	world_container(w, "/a", "", "", "a");
	vst_knob_init(&o.knob, VST_ACTUATOR_CGROUP_IO, "/a", 0, "io.max", "8:0 wbps");
	strcpy(o.written, "1048576");
	vst_plan_adopt(&w->plan, &o, w->time);
	world_policy(w, RULES "- {name: x, match: {container: b}, max: {write: 1MiB/s}}\n");
	world_tick(w);
	assert_int_equal(w->writes, 0);
	vst_engine_set_policy(w->engine, NULL);
	world_tick(w);
	assert_int_equal(w->writes, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_administrator_wins),
		TEST(a_conflict_that_nobody_wants_is_not_news),
		TEST(what_a_refusal_leaves_is_taken_back),
		TEST(refusals_are_retried_ever_more_seldom),
		TEST(the_actor_dies),
		TEST(what_is_inherited_is_left_for_a_while),
		TEST(what_is_inherited_and_never_wanted_is_undone),
		TEST(what_is_inherited_goes_with_the_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
