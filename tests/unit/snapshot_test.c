/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/snapshot.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agent/snapshot.h"

static struct vst_snap_io *io_new(__u32 id)
{
	struct vst_snap_io *io = vst_value_new(VST_SNAP_IOS);

	assert_non_null(io);
	io->id = id;
	io->counts.time[VST_TIME_DEVICE].hist.bucket = calloc(2, sizeof(struct vst_bucket));
	io->counts.time[VST_TIME_DEVICE].hist.n = 2;
	return io;
}

static void put_io(struct vst_snapshot *s, __u32 index, __u32 id)
{
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_IOS, index, io_new(id)), 0);
}

static size_t count(const struct vst_snapshot *s, enum vst_snap_list list)
{
	const void *value;
	size_t n = 0;

	vst_snapshot_for_each(s, list, value, i) n++;
	return n;
}

static void empty(void **state)
{
	struct vst_snapshot *s = vst_snapshot_next(NULL);

	assert_int_equal(s->seq, 1);
	assert_null(vst_snapshot_io(s, 0));
	assert_null(vst_snapshot_io(s, 4000000000U));
	assert_int_equal(count(s, VST_SNAP_IOS), 0);
	assert_null(vst_snapshot_ref(NULL));
	vst_snapshot_unref(NULL);
	vst_snapshot_unref(s);
}

static void put_and_get(void **state)
{
	struct vst_snapshot *s = vst_snapshot_next(NULL);

	put_io(s, 0, 100);
	put_io(s, 63, 163);
	put_io(s, 64, 164);
	put_io(s, 1000, 1100);
	assert_int_equal(vst_snapshot_io(s, 0)->id, 100);
	assert_int_equal(vst_snapshot_io(s, 63)->id, 163);
	assert_int_equal(vst_snapshot_io(s, 64)->id, 164);
	assert_int_equal(vst_snapshot_io(s, 1000)->id, 1100);
	assert_null(vst_snapshot_io(s, 1));
	assert_null(vst_snapshot_io(s, 500));
	assert_null(vst_snapshot_io(s, 1001));
	assert_null(vst_snapshot_wait(s, 0));
	put_io(s, 64, 264); /* in the place of another one, which is freed */
	assert_int_equal(vst_snapshot_io(s, 64)->id, 264);
	assert_int_equal(count(s, VST_SNAP_IOS), 4);
	vst_snapshot_unref(s);
}

/* Indexes come in ascending order, and each is that of its value. */
static void each_in_order(void **state)
{
	static const __u32 at[] = { 2, 63, 64, 130, 777 };
	struct vst_snapshot *s = vst_snapshot_next(NULL);
	const struct vst_snap_io *io;
	size_t n = 0;

	for (size_t i = 5; i-- > 0;)
		put_io(s, at[i], at[i] + 1000);
	vst_snapshot_for_each(s, VST_SNAP_IOS, io, i)
	{
		assert_int_equal(i, at[n]);
		assert_int_equal(io->id, i + 1000);
		n++;
	}
	assert_int_equal(n, 5);
	vst_snapshot_unref(s);
}

static void removed(void **state)
{
	struct vst_snapshot *s = vst_snapshot_next(NULL);

	put_io(s, 3, 3);
	put_io(s, 200, 200);
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_IOS, 200, NULL), 0);
	assert_null(vst_snapshot_io(s, 200));
	assert_int_equal(s->list[VST_SNAP_IOS].end, 4);
	assert_null(s->list[VST_SNAP_IOS].chunk[200 / 64]);
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_IOS, 5000, NULL), 0); /* nothing there */
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_IOS, 3, NULL), 0);
	assert_int_equal(s->list[VST_SNAP_IOS].end, 0);
	assert_int_equal(count(s, VST_SNAP_IOS), 0);
	put_io(s, 3, 33);
	assert_int_equal(vst_snapshot_io(s, 3)->id, 33);
	vst_snapshot_unref(s);
}

/* The next snapshot has the values of the one before, which does not see what is changed in it. */
static void shared(void **state)
{
	struct vst_snapshot *a = vst_snapshot_next(NULL), *b;
	const struct vst_snap_io *old;

	for (__u32 i = 0; i < 640; i++)
		put_io(a, i, i);
	b = vst_snapshot_next(a);
	assert_int_equal(b->seq, 2);
	for (__u32 i = 0; i < 10; i++)
		assert_ptr_equal(a->list[VST_SNAP_IOS].chunk[i], b->list[VST_SNAP_IOS].chunk[i]);
	old = vst_snapshot_io(a, 70);
	put_io(b, 70, 9999);
	assert_int_equal(vst_snapshot_io(b, 70)->id, 9999);
	assert_ptr_equal(vst_snapshot_io(a, 70), old);
	assert_int_equal(old->id, 70);
	/* of the chunk that was changed, the other values are shared; of the rest, the chunks */
	assert_ptr_not_equal(a->list[VST_SNAP_IOS].chunk[1], b->list[VST_SNAP_IOS].chunk[1]);
	assert_ptr_equal(vst_snapshot_io(a, 71), vst_snapshot_io(b, 71));
	for (__u32 i = 0; i < 10; i++)
		if (i != 1)
			assert_ptr_equal(a->list[VST_SNAP_IOS].chunk[i], b->list[VST_SNAP_IOS].chunk[i]);
	/* a removal in one does not reach the other */
	assert_int_equal(vst_snapshot_put(b, VST_SNAP_IOS, 639, NULL), 0);
	assert_int_equal(vst_snapshot_io(a, 639)->id, 639);
	/* whichever goes first, the other stays whole */
	vst_snapshot_unref(a);
	assert_int_equal(vst_snapshot_io(b, 0)->id, 0);
	assert_int_equal(vst_snapshot_io(b, 70)->id, 9999);
	assert_int_equal(count(b, VST_SNAP_IOS), 639);
	vst_snapshot_unref(b);
}

/* Without anybody else's reference, a chunk is changed where it is. */
static void not_copied(void **state)
{
	struct vst_snapshot *a = vst_snapshot_next(NULL), *b;
	struct vst_chunk *chunk;

	put_io(a, 0, 1);
	b = vst_snapshot_next(a);
	vst_snapshot_unref(a);
	chunk = b->list[VST_SNAP_IOS].chunk[0];
	put_io(b, 1, 2);
	assert_ptr_equal(b->list[VST_SNAP_IOS].chunk[0], chunk);
	vst_snapshot_unref(b);
}

static void one_value_in_two_snapshots(void **state)
{
	struct vst_snapshot *a = vst_snapshot_next(NULL), *b = vst_snapshot_next(NULL);
	struct vst_snap_io *io = io_new(7);

	assert_int_equal(vst_snapshot_put(a, VST_SNAP_IOS, 1, vst_value_ref(io)), 0);
	assert_int_equal(vst_snapshot_put(b, VST_SNAP_IOS, 2, io), 0);
	vst_snapshot_unref(a);
	assert_int_equal(vst_snapshot_io(b, 2)->id, 7);
	vst_snapshot_unref(b);
}

/* Everything that a value owns goes with it: the address sanitizer finds what does not. */
static void owned_texts(void **state)
{
	struct vst_snapshot *s = vst_snapshot_next(NULL), *next;
	struct vst_snap_container *c = vst_value_new(VST_SNAP_CONTAINERS);
	struct vst_snap_wait *w = vst_value_new(VST_SNAP_WAITS);
	struct vst_snap_device *d = vst_value_new(VST_SNAP_DEVICES);
	struct vst_snap_probe *probes = calloc(2, sizeof(*probes));

	c->cgroup = strdup("/a");
	c->labels = calloc(1, sizeof(*c->labels));
	c->n_labels = 1;
	c->labels[0].key = strdup("k");
	c->labels[0].value = strdup("v");
	c->limits = calloc(1, sizeof(*c->limits));
	c->n_limits = 1;
	c->limits[0].cgroup = strdup("/a");
	c->limits[0].attribute = strdup("io.max");
	c->limits[0].value = strdup("8:0 riops=5");
	w->name = strdup("inode.i_rwsem");
	w->stack = calloc(2, sizeof(*w->stack));
	w->stack[0] = strdup("schedule");
	w->stack[1] = strdup("io_schedule");
	w->n_stack = 2;
	w->times.hist.bucket = calloc(1, sizeof(struct vst_bucket));
	d->dev = 8 << 20;
	d->name = strdup("sda");
	d->links = calloc(1, sizeof(*d->links));
	d->links[0] = strdup("/dev/disk/by-id/ata-SSD_42");
	d->n_links = 1;
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_CONTAINERS, VST_CONTAINER__OWN, c), 0);
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_WAITS, 0, w), 0);
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_DEVICES, 5, d), 0);
	probes[1].name = "rq_issue";
	s->probes = probes;
	s->n_probes = 2;
	assert_ptr_equal(vst_snapshot_device_of(s, 8 << 20), d);
	assert_null(vst_snapshot_device_of(s, 9 << 20));
	next = vst_snapshot_next(s);
	vst_snapshot_unref(s);
	assert_int_equal(next->n_probes, 2);
	assert_string_equal(next->probes[1].name, "rq_issue");
	assert_string_equal(vst_snapshot_wait(next, 0)->stack[1], "io_schedule");
	vst_snapshot_unref(next);
}

/* A copy has the texts of the value that it is made of, for as long as it lives, and numbers and histograms of its own. */
static void copies_share_texts(void **state)
{
	struct vst_snap_wait *w = vst_value_new(VST_SNAP_WAITS), *copy;
	char *stack[] = { (char *)"schedule", (char *)"io_schedule" }, object[] = "disk vda";
	void *room;

	w->name = (char *)"inode.i_rwsem";
	w->object = object;
	w->stack = stack;
	w->n_stack = 2;
	w->waits = 3;
	assert_int_equal(vst_value_own_texts(VST_SNAP_WAITS, w), 0);
	object[0] = 'D';
	stack[1] = NULL;
	w->times.hist.bucket = calloc(1, sizeof(struct vst_bucket));
	w->times.hist.n = 1;
	copy = vst_value_copy(VST_SNAP_WAITS, w, 2 * sizeof(struct vst_bucket), &room);
	assert_ptr_equal(copy->name, w->name);
	assert_int_equal(copy->waits, 3);
	assert_int_equal(copy->times.hist.n, 0);
	copy->times.hist.bucket = room;
	copy->times.hist.n = 2;
	copy->times.hist.bucket[1] = (struct vst_bucket){ 191, 1ULL << 55 };
	assert_true(copy->times.hist.bucket[1].n == 1ULL << 55);
	vst_value_unref(w);
	assert_string_equal(copy->name, "inode.i_rwsem");
	assert_string_equal(copy->object, "disk vda");
	assert_string_equal(copy->evidence, "");
	assert_string_equal(copy->stack[1], "io_schedule");
	vst_value_unref(copy);
}

/* A text of a copy changes: its other texts move with it, and those of the old value stay. */
static void a_copy_gets_texts_of_its_own(void **state)
{
	struct vst_snap_container *c = vst_value_new(VST_SNAP_CONTAINERS), *copy;
	struct vst_label label = { (char *)"app", (char *)"db" };

	c->cgroup = (char *)"/a";
	c->display = (char *)"a";
	c->labels = &label;
	c->n_labels = 1;
	assert_int_equal(vst_value_own_texts(VST_SNAP_CONTAINERS, c), 0);
	copy = vst_value_copy(VST_SNAP_CONTAINERS, c, 0, NULL);
	copy->display = (char *)"prod/a";
	assert_int_equal(vst_value_own_texts(VST_SNAP_CONTAINERS, copy), 0);
	assert_string_equal(c->display, "a");
	vst_value_unref(c);
	assert_string_equal(copy->cgroup, "/a");
	assert_string_equal(copy->display, "prod/a");
	assert_string_equal(copy->labels[0].value, "db");
	assert_string_equal(copy->image, "");
	vst_value_unref(copy);
}

/* --- threads --- */

#define READERS 3
#define ROUNDS 2000

static struct {
	pthread_mutex_t lock;
	const struct vst_snapshot *published;
	_Atomic bool over;
} shop = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const struct vst_snapshot *take(void)
{
	const struct vst_snapshot *s;

	pthread_mutex_lock(&shop.lock);
	s = vst_snapshot_ref(shop.published);
	pthread_mutex_unlock(&shop.lock);
	return s;
}

/* Each value says in which snapshot it was made: never a later one than the snapshot that it is found in. */
static void *read_them(void *arg)
{
	size_t *bad = arg;

	while (!shop.over) {
		const struct vst_snapshot *s = take();
		const struct vst_snap_io *io;
		size_t n = 0;

		vst_snapshot_for_each(s, VST_SNAP_IOS, io, i)
		{
			*bad += io->changed_seq > s->seq || io->id != i;
			n++;
		}
		*bad += n != 200;
		vst_snapshot_unref(s);
	}
	return NULL;
}

static void publish(struct vst_snapshot *s)
{
	const struct vst_snapshot *old;

	pthread_mutex_lock(&shop.lock);
	old = shop.published;
	shop.published = s;
	pthread_mutex_unlock(&shop.lock);
	vst_snapshot_unref(old);
}

static void many_threads(void **state)
{
	struct vst_snapshot *s = vst_snapshot_next(NULL);
	pthread_t thread[READERS];
	size_t bad[READERS] = { 0 };

	for (__u32 i = 0; i < 200; i++)
		put_io(s, i, i);
	publish(s);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, read_them, &bad[i]), 0);
	for (__u32 round = 0; round < ROUNDS; round++) {
		struct vst_snapshot *next = vst_snapshot_next(s);

		for (__u32 i = 0; i < 5; i++) {
			struct vst_snap_io *io = io_new((round * 7 + i * 41) % 200);

			io->changed_seq = next->seq;
			assert_int_equal(vst_snapshot_put(next, VST_SNAP_IOS, io->id, io), 0);
		}
		publish(next);
		s = next;
	}
	shop.over = true;
	for (int i = 0; i < READERS; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(bad[i], 0);
	}
	publish(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty),
		cmocka_unit_test(put_and_get),
		cmocka_unit_test(each_in_order),
		cmocka_unit_test(removed),
		cmocka_unit_test(shared),
		cmocka_unit_test(not_copied),
		cmocka_unit_test(one_value_in_two_snapshots),
		cmocka_unit_test(owned_texts),
		cmocka_unit_test(copies_share_texts),
		cmocka_unit_test(a_copy_gets_texts_of_its_own),
		cmocka_unit_test(many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
