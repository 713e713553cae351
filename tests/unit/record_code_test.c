/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * LINK: lib/record_encode.c lib/record_decode.c lib/record_fields.c agent/snapshot.c agent/sinks/out.c agent/sinks/render.c agent/sinks/render_waits.c -lm
 *
 * What is encoded is decoded as the same, and shown as the same, byte for byte.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/sinks/render.h"
#include "lib/record_code.h"

/* --- snapshots of literals --- */

static void put_container(struct vst_snapshot *s, __u32 index, const char *name, const char *cgroup, __u64 ios)
{
	struct vst_snap_container *c = vst_value_new(VST_SNAP_CONTAINERS);

	c->id = 100 + index;
	c->listed = true;
	c->cgroup = strdup(cgroup);
	c->display = strdup(name);
	c->ns = strdup("prod");
	c->pod = strdup("");
	c->name = strdup(name);
	c->image = strdup("img:1");
	c->cid = strdup("");
	c->runtime = strdup("podman");
	c->labels = calloc(1, sizeof(*c->labels));
	c->labels[0] = (struct vst_label){ strdup("tier"), strdup("gold") };
	c->n_labels = 1;
	c->limits = calloc(1, sizeof(*c->limits));
	c->limits[0] = (struct vst_limit){ strdup(cgroup), strdup("io.max"), strdup("8:0 wbps=1000") };
	c->n_limits = 1;
	c->since = 7.25;
	c->ios = ios;
	c->bytes = ios * 4096;
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_CONTAINERS, index, c), 0);
}

static void fill_times(struct vst_times *t, struct vst_bucket *room, unsigned int first, __u64 n)
{
	room[0] = (struct vst_bucket){ first, n };
	room[1] = (struct vst_bucket){ first + 9, 2 * n };
	*t = (struct vst_times){ { room, 2 }, 1000 * n, 777 + n };
}

static void put_io(struct vst_snapshot *s, __u32 index, __u32 id, __u32 container, __u64 n)
{
	void *extra;
	struct vst_snap_io *io = vst_value_new_with(VST_SNAP_IOS, VST_TIME__N * 2 * sizeof(struct vst_bucket), &extra);

	io->id = id;
	io->changed_seq = s->seq;
	io->container = container;
	io->dev = 8 << 20;
	io->op = VST_OP_WRITE;
	io->kind = VST_KIND_DATA;
	io->size = VST_SIZE_LT2M;
	io->witness = VST_WITNESS_BLKCG;
	for (int c = 0; c < VST_COUNTER__N; c++)
		io->counts.counter[c] = n * (__u64)(c + 1);
	for (int t = 0; t < VST_TIME__N; t++)
		fill_times(&io->counts.time[t], (struct vst_bucket *)extra + 2 * t, 20 + (unsigned int)t, n);
	io->in_flight = 1;
	io->oldest_ns = 5000000000ULL;
	io->in_flight_sum = 3 * n;
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_IOS, index, io), 0);
}

static void put_wait(struct vst_snapshot *s, __u32 index, enum vst_wait_side side, const char *object, __u64 n)
{
	void *extra;
	struct vst_snap_wait *w = vst_value_new_with(VST_SNAP_WAITS, 2 * sizeof(struct vst_bucket), &extra);

	w->id = 500 + index;
	w->side = (__u8)side;
	w->type = VST_WAIT_LOCK;
	w->evidence = strdup(side == VST_WAIT_OF_PAIR ? "owner" : "");
	w->name = strdup("inode.i_rwsem");
	w->object = strdup(object);
	w->waiter = 5;
	w->holder = 6;
	w->waits = n;
	w->total_ns = n * 12345;
	fill_times(&w->times, extra, 40, n);
	w->stack = calloc(2, sizeof(*w->stack));
	w->stack[0] = strdup("io_schedule");
	w->stack[1] = strdup("ext4_write [ext4]");
	w->n_stack = 2;
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_WAITS, index, w), 0);
}

static void put_device(struct vst_snapshot *s, __u64 n)
{
	struct vst_snap_device *d = vst_value_new(VST_SNAP_DEVICES);

	d->dev = 8 << 20;
	d->name = strdup("sda");
	d->present = d->accounted = true;
	d->not_judged = strdup("");
	for (int i = 0; i < VST_DEVICE__N; i++)
		d->counter[i] = n;
	d->lost[VST_LOSS_NO_START] = 1;
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_DEVICES, 0, d), 0);
}

static void set_moment(struct vst_snapshot *s, double time)
{
	struct vst_snap_probe *p = calloc(1, sizeof(*p));

	free((void *)s->probes);
	*p = (struct vst_snap_probe){ "rq", "block_rq_issue", "block", "attached", "", 101.25, 7, 1 };
	s->probes = p;
	s->n_probes = 1;
	s->time = time;
	s->unix_time = 1790000000.123456 + time;
	s->started = 1.5;
	s->interval = 1;
	s->self.cpu_percent = 0.1 + time / 100;
	s->self.rss_bytes = 1 << 20;
	s->self.given_up[0] = "locks";
	s->self.n_given_up = 1;
	s->self.watch_locks = true;
	s->self.lost[VST_LOSS_MISSED] = 3;
}

static struct vst_snapshot *first(void)
{
	struct vst_snapshot *s = vst_snapshot_next(NULL);

	set_moment(s, 10.000001);
	put_container(s, 5, "db", "/db.slice/db", 10);
	put_container(s, 6, "etl", "/etl", 20);
	put_io(s, 0, 1, 5, 10);
	put_io(s, 70, 2, 6, 20);
	put_wait(s, 3, VST_WAIT_OF_WAITER, "/data/x", 2);
	put_wait(s, 4, VST_WAIT_OF_PAIR, "", 2);
	put_device(s, 30);
	return s;
}

/* A row grew, one went, one's index belongs to another, a text and a probe changed; the rest is as it was. */
static struct vst_snapshot *second(const struct vst_snapshot *prev)
{
	struct vst_snapshot *s = vst_snapshot_next(prev);

	set_moment(s, 11.0000075);
	((struct vst_snap_probe *)s->probes)->state = "off";
	s->self.n_given_up = 0;
	put_container(s, 5, "db2", "/db.slice/db", 11);
	put_io(s, 0, 9, 6, 3);
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_IOS, 70, NULL), 0);
	put_wait(s, 3, VST_WAIT_OF_WAITER, "/data/another", 7);
	put_device(s, 31);
	return s;
}

/* --- comparing --- */

static char *shown(const struct vst_snapshot *s)
{
	vst_render *const all[] = { vst_render_io,    vst_render_check, vst_render_ps,
				    vst_render_locks, vst_render_blame, vst_render_waits };
	struct vst_out o = { 0 };
	size_t len;
	char *text;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		all[i](&o, s, 0);
	vst_out_raw(&o, "{");
	vst_render_probes(&o, s);
	vst_out_raw(&o, "}");
	text = vst_out_take(&o, &len);
	text = realloc(text, len + 1);
	text[len] = '\0';
	return text;
}

static void assert_same(const struct vst_snapshot *a, const struct vst_snapshot *b)
{
	char *x = shown(a), *y = shown(b);

	assert_string_equal(x, y);
	free(x);
	free(y);
}

static void describe(struct vst_record_decoder *d, bool strange)
{
	for (int i = 0; i < VST_RECORD_LISTS; i++) {
		const struct vst_record_list *list = &vst_record_lists[i];
		char text[4096] = "", *to = text;

		for (unsigned int k = 0; k < list->n; k++)
			to += sprintf(to, "%s%s%s:%c", k ? " " : "", strange && k == 4 ? "new_" : "",
				      list->field[k].name, list->field[k].type);
		assert_int_equal(vst_record_decoder_add(d, list->name, text), 0);
	}
}

static const struct vst_snapshot *decode(struct vst_record_decoder *d, const struct vst_record_encoder *e,
					 const struct vst_snapshot *prev, const char **policy)
{
	const struct vst_snapshot *s = NULL;

	assert_int_equal(vst_record_decode(d, e->frame.data, e->frame.len, prev, &s, policy), 0);
	return s;
}

/* --- tests --- */

static void test_round_trip(void **state)
{
	const struct vst_snapshot *one = first(), *two = second(one), *a, *b;
	struct vst_record_encoder e = { 0 };
	struct vst_record_decoder d = { 0 };
	const char *policy;

	describe(&d, false);
	assert_int_equal(vst_record_encode(&e, NULL, one, "{\"type\":\"policy\"}\n"), 0);
	a = decode(&d, &e, NULL, &policy);
	assert_string_equal(policy, "{\"type\":\"policy\"}\n");
	assert_int_equal(a->seq, one->seq);
	assert_same(one, a);
	assert_string_equal(vst_snapshot_container(a, 5)->labels[0].value, "gold");
	assert_string_equal(vst_snapshot_container(a, 5)->limits[0].attribute, "io.max");

	assert_int_equal(vst_record_encode(&e, one, two, NULL), 0);
	b = decode(&d, &e, a, &policy);
	assert_null(policy);
	assert_same(two, b);
	assert_null(vst_snapshot_io(b, 70));
	assert_int_equal(vst_snapshot_io(b, 0)->id, 9);
	assert_int_equal(vst_snapshot_io(b, 0)->changed_seq, two->seq);
	assert_int_equal(vst_snapshot_io(a, 0)->counts.time[VST_TIME_LATENCY].hist.bucket[1].n, 20);
	assert_same(one, a); /* the one before has not changed */

	vst_snapshot_unref(a);
	vst_snapshot_unref(b);
	vst_snapshot_unref(one);
	vst_snapshot_unref(two);
	vst_record_encoder_clear(&e);
	vst_record_decoder_clear(&d);
}

static void test_nothing_changed(void **state)
{
	const struct vst_snapshot *one = first();
	struct vst_snapshot *two = vst_snapshot_next(one);
	struct vst_record_encoder e = { 0 };

	assert_int_equal(vst_record_encode(&e, one, two, NULL), 0);
	assert_true(e.frame.len < 40); /* the number of the snapshot, and the ends of the lists */
	vst_snapshot_unref(one);
	vst_snapshot_unref(two);
	vst_record_encoder_clear(&e);
}

/* A newer writer has fields and lists that this reader does not know, and lacks some that it does. */
static void test_other_version(void **state)
{
	const struct vst_snapshot *one = first(), *a;
	struct vst_record_encoder e = { 0 };
	struct vst_record_decoder d = { 0 };
	const char *policy;

	describe(&d, true);
	assert_int_equal(vst_record_encode(&e, NULL, one, NULL), 0);
	a = decode(&d, &e, NULL, &policy);
	assert_int_equal(vst_snapshot_io(a, 70)->id, 2);
	assert_int_equal(vst_snapshot_io(a, 70)->op, 0); /* the fifth field */
	assert_int_equal(vst_snapshot_io(a, 70)->counts.counter[VST_COUNTER_ios], 20);
	assert_string_equal(vst_snapshot_container(a, 5)->display, "db");
	vst_snapshot_unref(a);
	vst_snapshot_unref(one);
	vst_record_encoder_clear(&e);
	vst_record_decoder_clear(&d);
}

static void test_bad_descriptions(void **state)
{
	static const char *const bad[] = { "id", "id:", "id:x", ":n", "id:nn", "a:n  b:n" };
	struct vst_record_decoder d = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(vst_record_decoder_add(&d, "ios", bad[i]), -EBADMSG);
	assert_int_equal(vst_record_decoder_add(&d, "ios", "id:n"), 0);
	assert_int_equal(vst_record_decoder_add(&d, "ios", "id:n"), -EBADMSG); /* twice */
	assert_int_equal(vst_record_decoder_add(&d, "later", ""), 0);
}

/* Cut anywhere, a frame is refused, and nothing leaks. */
static void test_cut_frames(void **state)
{
	const struct vst_snapshot *one = first(), *s = NULL;
	struct vst_record_encoder e = { 0 };
	struct vst_record_decoder d = { 0 };
	const char *policy;

	describe(&d, false);
	assert_int_equal(vst_record_encode(&e, NULL, one, "x"), 0);
	for (size_t len = 0; len < e.frame.len; len++)
		assert_int_equal(vst_record_decode(&d, e.frame.data, len, NULL, &s, &policy), -EBADMSG);
	assert_null(s);
	vst_snapshot_unref(one);
	vst_record_encoder_clear(&e);
	vst_record_decoder_clear(&d);
}

/* --- is every field of a value in its list? --- */

/* Bytes of a value that no field covers: the head, .changed_seq, and what the compiler leaves free. */
static size_t uncovered(int list, size_t from)
{
	const struct vst_record_list *l = &vst_record_lists[list];
	char *covered = calloc(1, l->size);
	size_t n = 0;

	for (unsigned int i = 0; i < l->n; i++) {
		const struct vst_record_field *f = &l->field[i];
		size_t size = f->type == VST_RECORD_HIST    ? sizeof(struct vst_sparse)
			      : f->type == VST_RECORD_TEXT  ? sizeof(char *)
			      : f->max			    ? f->max * sizeof(char *)
			      : f->type == VST_RECORD_TEXTS ? sizeof(char *)
							    : f->size;

		memset(covered + f->offset, 1, size);
		if (f->type == VST_RECORD_TEXTS)
			memset(covered + f->count, 1, f->count_is_int ? sizeof(unsigned int) : sizeof(size_t));
	}
	for (size_t i = from; i < l->size; i++)
		n += !covered[i];
	free(covered);
	return n;
}

/*
 * A number here changes when a struct gets a field that is not recorded. Give the field a row in lib/record_fields.c; if only the
 * padding has changed, change the number.
 */
static void test_every_field_is_recorded(void **state)
{
	const size_t head = sizeof(struct vst_value);

	assert_int_equal(uncovered(VST_RECORD_VALUES + VST_SNAP_CONTAINERS, head), 8);
	assert_int_equal(uncovered(VST_RECORD_VALUES + VST_SNAP_IOS, head), 17);
	assert_int_equal(uncovered(VST_RECORD_VALUES + VST_SNAP_WAITS, head), 8);
	assert_int_equal(uncovered(VST_RECORD_VALUES + VST_SNAP_DEVICES, head), 13);
	assert_int_equal(uncovered(VST_RECORD_VALUES + VST_SNAP_SLOWS, head), 12);
	assert_int_equal(uncovered(VST_RECORD_VALUES + VST_SNAP_PATTERNS, head), 7);
	assert_int_equal(uncovered(VST_RECORD_VALUES + VST_SNAP_CACHES, head), 4);
	assert_int_equal(uncovered(VST_RECORD_VALUES + VST_SNAP_CACHE_ROWS, head), 7);
	assert_int_equal(uncovered(VST_RECORD_VALUES + VST_SNAP_LIVES, head), 3);
	assert_int_equal(uncovered(VST_RECORD_VALUES + VST_SNAP_PINS, head), 3);
	assert_int_equal(uncovered(VST_RECORD_VALUES + VST_SNAP_CURVES, head), 2);
	assert_int_equal(uncovered(VST_RECORD_PROBES, 0), 0);
	/* of the snapshot: instance, kernel, lists, probes; of .self: capabilities, and the recorder's own state */
	assert_int_equal(uncovered(VST_RECORD_MOMENT, head), 349);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_nothing_changed),
		cmocka_unit_test(test_other_version), cmocka_unit_test(test_bad_descriptions),
		cmocka_unit_test(test_cut_frames),    cmocka_unit_test(test_every_field_is_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
