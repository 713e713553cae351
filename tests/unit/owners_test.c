/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/who/owners_account.c agent/who/owners_tell.c agent/who/owners_names.c agent/who/owners_scan.c agent/who/lookups.c agent/who/limits.c agent/who/labels.c lib/cgmounts.c agent/who/runtime.c agent/who/runtime_file.c agent/who/runtime_find.c agent/who/cgpath.c agent/snapshot.c agent/base/log.c agent/base/caps.c -ljansson -lbpf -lcap */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/snapshot.h"
#include "agent/who/owners.c"

#define LXC "/lxc.payload.box"

static struct vst_owners *fresh(void)
{
	struct vst_owners *o;

	assert_int_equal(vst_owners_new("tests/fixtures/runtime", "tests/fixtures/runtime", &o), 0);
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

/* Thousands whose files are not to be had: each is asked for, by threads, and all are answered. */
static void asked_by_threads(void **state)
{
	const unsigned int all = 2000;
	struct vst_owners *o = fresh();
	struct vst_container *c;
	unsigned int i, asked;

	for (i = 1; i <= all; i++)
		made(i, 100, "/docker/%064x", i);
	/* until the answer has come, the path tells */
	assert_string_equal(owner(o, 1, 100)->display, "docker/000000000000");
	vst_owners_settle(o, 60);
	for (asked = 0, c = o->containers; c; c = c->hh.next) {
		assert_false(c->asked);
		asked += c->ask_at > 100;
	}
	assert_int_equal(asked, all);
	gone(7, 111);
	vst_owners_tick(o, 111);
	vst_owners_settle(o, 60);
	vst_owners_tick(o, 111 + VST_KEEP_DEAD);
	assert_int_equal(known(o), all - 1);
	vst_owners_free(o);
}

#define NAMED "/docker/77c9e92a4bbdc59d0741c33229e5aa5341fffe4afbc033d7927f19076a524081"
#define NAMED_AS "shop-web-1"

/* The name comes from the runtime's file, as a label, and the identity is the cgroup. */
static void named_by_the_answer(void **state)
{
	struct vst_owners *o = fresh();
	struct vst_container *c;
	__u32 changed;

	made(7, 100, "%s", NAMED);
	c = owner(o, 7, 100);
	changed = c->changed;
	vst_owners_settle(o, 60);
	assert_ptr_equal(owner(o, 7, 100), c);
	assert_string_equal(c->cgroup, NAMED);
	assert_string_equal(c->display, NAMED_AS);
	assert_true(c->changed > changed);
	assert_non_null(c->file);
	assert_true(c->check_at > 0);
	/* an unchanged file is not read again, and nothing changes */
	changed = c->changed;
	c->check_at = 1;
	vst_owners_tick(o, 101);
	assert_true(c->asked);
	vst_owners_settle(o, 60);
	assert_false(c->asked);
	assert_int_equal(c->changed, changed);
	assert_true(c->check_at > 1);
	vst_owners_free(o);
}

static void event_by(struct vst_owners *o, __u32 maker, __u64 id, const char *format, ...)
{
	struct vst_event_cgroup e = {
		.type = VST_EVENT_CGROUP_MKDIR, .hier = VST_HIER_UNIFIED, .id = id, .maker = maker
	};
	va_list args;

	va_start(args, format);
	vsnprintf(e.path, sizeof(e.path), format, args);
	va_end(args);
	vst_owners_event(o, &e, 100);
}

/* A user has so many places, all users together have so many, and the system's containers find one all the same. */
static void users_cannot_take_all_places(void **state)
{
	struct vst_owners *o = fresh();
	unsigned int i, n = 0, user;

	for (user = 1000; user < 1004; user++)
		for (i = 0; i < VST_CGROUPS_USER + 10; i++)
			event_by(o, user, ++n, "/user.slice/user-%u.slice/user@%u.service/app.slice/a%u.service", user,
				 user, i);
	assert_int_equal(o->n_users, VST_CGROUPS_USERS);
	assert_int_equal(known(o), VST_CGROUPS_USERS);
	assert_int_equal(vst_owners_overflowed(o), n - VST_CGROUPS_USERS);
	made(n + 1, 100, LXC);
	assert_string_equal(owner(o, n + 1, 100)->display, "box");
	/* the dead make room */
	for (i = 1; i <= VST_CGROUPS_USER; i++)
		gone(i, 200);
	vst_owners_tick(o, 200 + KEEP_CROWDED);
	assert_int_equal(o->n_users, VST_CGROUPS_USERS - VST_CGROUPS_USER);
	event_by(o, 1000, n + 2, "/user.slice/user-1000.slice/user@1000.service/app.slice/new.service");
	assert_string_equal(owner(o, n + 2, 300)->display, "user@1000/new.service");
	vst_owners_free(o);
}

/* What a container makes inside itself is the container's, and takes its own places, not those of the system. */
static void inside_a_container_is_its_own_account(void **state)
{
	struct vst_owners *o = fresh();
	unsigned int i;

	made(1, 0, LXC);
	for (i = 2; i < VST_CGROUPS_USER + 100; i++)
		made(i, 1, LXC "/job-%u", i);
	assert_int_equal(known(o), 1);
	assert_int_equal(o->n_users, VST_CGROUPS_USER);
	made(i, 1, "/lxc.payload.other");
	assert_string_equal(owner(o, i, 1)->display, "other");
	vst_owners_free(o);
}

static void a_slurm_job_is_a_container(void **state)
{
	struct vst_owners *o = fresh();

	made(1, 0, "/system.slice/slurmstepd.scope");
	made(2, 0, "/system.slice/slurmstepd.scope/job_101");
	made(3, 0, "/system.slice/slurmstepd.scope/job_101/step_0/user/task_0");
	made(4, 0, "/system.slice/slurmstepd.scope/job_102/step_batch/user/task_0");
	assert_string_equal(owner(o, 3, 0)->display, "job_101");
	assert_string_equal(owner(o, 4, 0)->display, "job_102");
	assert_ptr_equal(owner(o, 2, 0), owner(o, 3, 0));
	assert_string_equal(owner(o, 1, 0)->display, "slurmstepd.scope");
	/* every cgroup can be asked for by its path */
	assert_ptr_equal(vst_owners_find(o, "/system.slice/slurmstepd.scope/job_101/step_0/user/task_0"),
			 owner(o, 2, 0));
	assert_ptr_equal(vst_owners_find(o, "/system.slice/slurmstepd.scope/job_102/"), owner(o, 4, 0));
	assert_ptr_equal(vst_owners_find(o, "/system.slice/slurmstepd.scope"), owner(o, 1, 0));
	assert_null(vst_owners_find(o, "/nowhere"));
	vst_owners_free(o);
}

/* A version 1 cgroup was renamed, and the scan finds it under its new path. */
/* Those of 1,000 containers are 10,000 files. */
static void limits_of_many_are_read_less_often(void **state)
{
	assert_true(vst_owners_limits_every(0) == 5);
	assert_true(vst_owners_limits_every(50) == 5);
	assert_true(vst_owners_limits_every(100) == 10);
	assert_true(vst_owners_limits_every(1000) == 100);
}

/* A snapshot's value of the container, of which only the texts matter here. */
static struct vst_snap_container *value_of(const struct vst_container *c)
{
	struct vst_snap_container *v = vst_value_new(VST_SNAP_CONTAINERS);

	assert_non_null(v);
	v->cgroup = c->cgroup;
	v->display = c->display;
	v->ns = c->ns;
	v->pod = c->pod;
	v->name = c->name;
	v->image = c->image;
	v->cid = c->id;
	v->runtime = c->runtime;
	v->labels = c->labels;
	v->n_labels = c->n_labels;
	assert_int_equal(vst_value_own_texts(VST_SNAP_CONTAINERS, v), 0);
	return v;
}

/* The container is found by a text that belongs to the snapshot, and may outlive that, and change. */
static void texts_shared_with_a_snapshot(void **state)
{
	struct vst_owners *o = fresh();
	struct vst_snap_container *first, *second;
	struct vst_container *c;

	made(7, 100, "%s", NAMED);
	c = owner(o, 7, 100);
	first = value_of(c);
	vst_container_share_texts(c, first);
	vst_container_share_texts(c, first);
	assert_ptr_equal(c->cgroup, first->cgroup);
	assert_ptr_equal(vst_owners_find(o, NAMED), c);
	vst_owners_settle(o, 60); /* a name of its own, and the others still shared */
	assert_string_equal(c->display, NAMED_AS);
	assert_string_not_equal(first->display, NAMED_AS);
	assert_ptr_equal(c->cgroup, first->cgroup);
	second = value_of(c);
	vst_container_share_texts(c, second);
	vst_value_unref(first);
	vst_value_unref(second);
	assert_string_equal(c->display, NAMED_AS);
	assert_ptr_equal(vst_owners_find(o, NAMED), c);
	assert_ptr_equal(owner(o, 7, 100), c);
	vst_owners_free(o);
}

static void renamed_cgroup(void **state)
{
	struct vst_owners *o = fresh();
	struct vst_container *was;

	made(1, 0, "/before");
	made(2, 0, "/before/inside");
	was = owner(o, 1, 0);
	assert_non_null(vst_owners_cgroup(o, VST_HIER_UNIFIED, 1, "/after", 0, 10));
	assert_string_equal(owner(o, 1, 10)->cgroup, "/after");
	assert_true(was->ended == 10);
	assert_true(owner(o, 1, 10)->ended == 0);
	assert_int_equal(o->n_cgroups, 2);
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
		cmocka_unit_test(asked_by_threads),
		cmocka_unit_test(named_by_the_answer),
		cmocka_unit_test(users_cannot_take_all_places),
		cmocka_unit_test(inside_a_container_is_its_own_account),
		cmocka_unit_test(a_slurm_job_is_a_container),
		cmocka_unit_test(limits_of_many_are_read_less_often),
		cmocka_unit_test(texts_shared_with_a_snapshot),
		cmocka_unit_test(renamed_cgroup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
