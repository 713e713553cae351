/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/who/runtime.c agent/who/runtime_file.c agent/who/runtime_find.c agent/who/cgpath.c agent/base/log.c -ljansson */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/who/owners.c"

#define LXC "/lxc.payload.box"

static struct vst_owners *fresh(void)
{
	struct vst_owners *o;

	assert_int_equal(vst_owners_new("tests/fixtures/runtime", &o), 0);
	return o;
}

static void event(struct vst_owners *o, __u32 type, __u64 id, double now, const char *format, ...)
{
	struct vst_event_cgroup e = { .type = type, .hier = VST_HIER_UNIFIED, .id = id };
	va_list args;

	va_start(args, format);
	vsnprintf(e.path, sizeof(e.path), format, args);
	va_end(args);
	vst_owners_event(o, &e, now);
}

#define made(...) event(o, VST_EVENT_CGROUP_MKDIR, __VA_ARGS__)
#define gone(id, now) event(o, VST_EVENT_CGROUP_RMDIR, id, now, "")

static struct vst_key key(__u64 id)
{
	return (struct vst_key){ .owner = id, .hier = VST_HIER_UNIFIED, .witness = VST_WITNESS_BLKCG };
}

static struct vst_container *owner(struct vst_owners *o, __u64 id, double now)
{
	struct vst_key k = key(id);

	return vst_owners_of(o, &k, now);
}

static unsigned int known(struct vst_owners *o)
{
	return HASH_COUNT(o->containers);
}

static void kept_ten_minutes_after_its_end(void **state)
{
	struct vst_owners *o = fresh();
	struct vst_container *c;

	made(7, 100, LXC);
	c = owner(o, 7, 100);
	assert_string_equal(c->display, "box");
	c->ios = 12;
	gone(7, 200);
	assert_true(c->ended == 200);
	vst_owners_tick(o, 200 + VST_KEEP_DEAD - 1);
	assert_ptr_equal(owner(o, 7, 799), c);
	assert_int_equal(c->ios, 12);
	vst_owners_tick(o, 200 + VST_KEEP_DEAD);
	assert_int_equal(known(o), 0);
	assert_int_equal(o->n_cgroups, 0);
	vst_owners_free(o);
}

static void kept_as_long_as_rows_refer_to_it(void **state)
{
	struct vst_owners *o = fresh();
	struct vst_container *c;

	made(7, 100, LXC);
	c = owner(o, 7, 100);
	c->rows = 1;
	gone(7, 200);
	vst_owners_tick(o, 5000);
	assert_int_equal(known(o), 1);
	c->rows = 0;
	vst_owners_tick(o, 5001);
	assert_int_equal(known(o), 0);
	vst_owners_free(o);
}

static void cgroups_inside_one_that_lives_are_forgotten_too(void **state)
{
	struct vst_owners *o = fresh();
	unsigned int i, most = 0;

	made(1, 0, LXC);
	for (i = 2; i < 10000; i++) {
		made(i, i, LXC "/system.slice/job-%u.service", i);
		assert_ptr_equal(owner(o, i, i), owner(o, 1, i));
		gone(i, i + 0.5);
		vst_owners_tick(o, i + 1);
		if (o->n_cgroups > most)
			most = o->n_cgroups;
	}
	assert_int_equal(known(o), 1);
	assert_in_range(most, 500, VST_KEEP_DEAD + 2);
	assert_true(owner(o, 1, i)->ended == 0);
	vst_owners_free(o);
}

static void more_dead_than_there_is_room_for(void **state)
{
	const unsigned int all = 3 * VST_KEEP_DEAD_MAX;
	struct vst_owners *o = fresh();
	struct vst_container *c;
	unsigned int i;

	made(1, 0, LXC);
	for (i = 2; i < all; i++) { /* 20 starts a second */
		made(i, i / 20.0, "/lxc.payload.c%u", i);
		gone(i, i / 20.0 + 0.05);
		if (i % 20 == 0)
			vst_owners_tick(o, i / 20.0 + 0.1);
		assert_in_range(known(o), 0, VST_KEEP_DEAD_MAX + 1 + 20);
	}
	assert_in_range(known(o), VST_KEEP_DEAD_MAX, VST_KEEP_DEAD_MAX + 1 + 20);
	assert_string_equal(owner(o, 1, all / 20.0)->display, "box");
	/* the newest are there, the oldest are not */
	HASH_FIND_STR(o->containers, "/lxc.payload.c12000", c);
	assert_non_null(c);
	HASH_FIND_STR(o->containers, "/lxc.payload.c2", c);
	assert_null(c);
	vst_owners_tick(o, all / 20.0 + VST_KEEP_DEAD + 1);
	assert_int_equal(known(o), 1);
	vst_owners_free(o);
}

static void started_anew_in_the_same_cgroup(void **state)
{
	struct vst_owners *o = fresh();
	struct vst_container *c;
	struct vst_key k = key(7);

	made(7, 100, LXC);
	c = owner(o, 7, 100);
	gone(7, 200);
	made(8, 210, LXC);
	assert_ptr_equal(owner(o, 8, 210), c);
	assert_true(c->ended == 0);
	assert_true(c->since == 210);
	assert_int_equal(c->restarts, 1);
	/* its old rows are over, though it lives */
	assert_false(vst_owners_gone(o, &k, 200));
	assert_true(vst_owners_gone(o, &k, 201));
	k = key(8);
	assert_false(vst_owners_gone(o, &k, 1000));
	vst_owners_tick(o, 1000);
	assert_int_equal(known(o), 1);
	vst_owners_free(o);
}

static void one_container_in_three_hierarchies(void **state)
{
	struct vst_event_cgroup e = { .type = VST_EVENT_CGROUP_MKDIR, .id = 7, .path = LXC };
	struct vst_owners *o = fresh();
	struct vst_container *c;

	for (e.hier = 0; e.hier < VST_HIER__N; e.hier++)
		vst_owners_event(o, &e, 100);
	assert_int_equal(known(o), 1);
	c = owner(o, 7, 100);
	assert_int_equal(c->alive, 3);
	e.type = VST_EVENT_CGROUP_RMDIR;
	for (e.hier = 0; e.hier < VST_HIER__N; e.hier++) {
		assert_true(c->ended == 0);
		vst_owners_event(o, &e, 200);
		vst_owners_event(o, &e, 201); /* told twice */
	}
	assert_true(c->ended == 200);
	assert_int_equal(c->restarts, 0);
	vst_owners_free(o);
}

static void one_that_nobody_told_of(void **state)
{
	struct vst_owners *o = fresh();
	struct vst_key k = key(4711), none = { .witness = VST_WITNESS_NONE };

	assert_string_equal(owner(o, 4711, 100)->display, "cgroup-4711");
	assert_true(vst_owners_gone(o, &k, 100));
	assert_string_equal(vst_owners_of(o, &none, 100)->display, "unattributed");
	assert_false(vst_owners_gone(o, &none, 1e9));
	gone(4711, 100);
	vst_owners_tick(o, 100 + VST_KEEP_DEAD);
	assert_int_equal(known(o), 0);
	vst_owners_free(o);
}

/* Thousands whose files are not to be had do not stop the agent for a tick; but none is left out. */
static void asked_a_few_at_a_time(void **state)
{
	const unsigned int all = 10 * ASK_AT_ONCE;
	struct vst_owners *o = fresh();
	unsigned int i, ticks, asked;
	struct vst_container *c;

	for (i = 1; i <= all; i++)
		made(i, 100, "/docker/%064x", i);
	for (c = o->containers; c; c = c->hh.next)
		assert_true(c->ask_at == 100 + ASK_FIRST);
	for (ticks = 1; ticks <= 10; ticks++) {
		vst_owners_tick(o, 100 + ticks);
		for (asked = 0, c = o->containers; c; c = c->hh.next)
			asked += c->ask_at > 100 + ASK_FIRST;
		assert_int_equal(asked, ticks * ASK_AT_ONCE);
	}
	/* the one to be asked next is forgotten meanwhile */
	assert_null(o->ask_next);
	gone(ASK_AT_ONCE + 1, 111);
	vst_owners_tick(o, 111 + VST_KEEP_DEAD);
	assert_int_equal(known(o), all - 1);
	assert_ptr_equal(o->ask_next, owner(o, ASK_AT_ONCE + 2, 0));
	vst_owners_free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kept_ten_minutes_after_its_end),
		cmocka_unit_test(kept_as_long_as_rows_refer_to_it),
		cmocka_unit_test(cgroups_inside_one_that_lives_are_forgotten_too),
		cmocka_unit_test(more_dead_than_there_is_room_for),
		cmocka_unit_test(started_anew_in_the_same_cgroup),
		cmocka_unit_test(one_container_in_three_hierarchies),
		cmocka_unit_test(one_that_nobody_told_of),
		cmocka_unit_test(asked_a_few_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
