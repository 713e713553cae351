/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/waits/share.c agent/waits/blame.c agent/waits/wait_rows.c agent/waits/waits_disk.c agent/snapshot.c agent/base/places.c -lbpf -lm */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "vstor/abi_waits.h"

/* --- a kernel in memory --- */

enum { WAITS_FD = 100, THROTTLED_FD };

static struct vst_journal_pair pairs[8];
static struct vst_journal_wait waits[8];
static __u32 n_pairs;

static int fake_take(int fd, void *in, void *out, void *keys, void *values, __u32 *n, const void *opts);

#define bpf_map_lookup_and_delete_batch fake_take
#include "agent/waits/waits_journal.c"
#undef bpf_map_lookup_and_delete_batch

static int throttled; /* entries left */
static struct vst_throttle_key throttle_key;
static struct vst_throttle throttle;

static int fake_next(int fd, const void *before, void *key)
{
	assert_int_equal(fd, THROTTLED_FD);
	if (!throttled)
		return -1;
	memcpy(key, &throttle_key, sizeof(throttle_key));
	return 0;
}

static int fake_take_one(int fd, const void *key, void *value)
{
	throttled--;
	memcpy(value, &throttle, sizeof(throttle));
	return 0;
}

#define bpf_map_get_next_key fake_next
#define bpf_map_lookup_and_delete_elem fake_take_one
#include "agent/waits/waits_dirty.c"
#include "agent/waits/waits_disk.h"

static double clock_now;

double vst_now(void)
{
	return clock_now;
}

static struct vst_maps maps;
static struct vst_wait_rows wait_rows;
static struct vst_container containers[4] = { { .cgroup = (char *)"", .display = (char *)"unattributed" },
					      { .cgroup = (char *)"/one" },
					      { .cgroup = (char *)"/two" },
					      { .cgroup = (char *)"/three" } };

static int fake_take(int fd, void *in, void *out, void *keys, void *values, __u32 *n, const void *opts)
{
	assert_int_equal(fd, WAITS_FD);
	assert_true(*n >= n_pairs);
	memcpy(keys, pairs, n_pairs * sizeof(*pairs));
	memcpy(values, waits, n_pairs * sizeof(*waits));
	*n = n_pairs;
	n_pairs = 0;
	errno = ENOENT; /* that was all */
	return -1;
}

const struct vst_maps *vst_probes_maps(const struct vst_probes *p)
{
	return &maps;
}

/* What the probe finds when it looks: .looked_ns is set if the thread waits. */
static __u32 looks, thread_waits;

void vst_probes_look_journal(const struct vst_probes *p, __u32 place, __u64 now_ns)
{
	struct vst_journal_open *o = &maps.journal_opens->open[place];

	looks++;
	if (!thread_waits)
		return;
	o->since_ns = o->looked_ns = now_ns;
	o->waiter = 1 << 2;
	o->holder = 2 << 2;
	o->dev = 7;
	o->wait_ns = o->begin_ns;
}

void vst_devices_name(struct vst_devices *devs, __u32 dev, char *buf, size_t size)
{
	snprintf(buf, size, "disk%u", dev);
}

struct vst_container *vst_owners_of(struct vst_owners *o, const struct vst_key *key, double now)
{
	return &containers[key->witness == VST_WITNESS_NONE ? 0 : key->owner];
}

static double blamed(const struct vst_blame *b, const struct vst_container *waiter, const struct vst_container *holder,
		     enum vst_wait_type r, __u32 dev)
{
	const struct vst_blame_pair *p;

	for (p = vst_blame_pairs(b); p; p = p->hh.next)
		if (p->key.waiter == waiter && p->key.holder == holder && p->key.resource == ((__u64)r << 32 | dev))
			return p->ns;
	return -1;
}

/* --- journals --- */

static void test_a_wait_is_what_the_commit_took_of_it(void **state)
{
	struct vst_commit c = { .start_ns = 1000, .end_ns = 2000 };

	assert_int_equal(vst_commit_overlap(&c, 500, 2500), 1000);
	assert_int_equal(vst_commit_overlap(&c, 1500, 2500), 500);
	assert_int_equal(vst_commit_overlap(&c, 500, 1200), 200);
	assert_int_equal(vst_commit_overlap(&c, 2000, 2500), 0);
	assert_int_equal(vst_commit_overlap(&c, 100, 1000), 0);
	c.end_ns = 0; /* still under way */
	assert_int_equal(vst_commit_overlap(&c, 1500, 9000), 7500);
	c.start_ns = 0; /* only gathering */
	assert_int_equal(vst_commit_overlap(&c, 1500, 9000), 0);
}

static void test_a_wait_is_divided_by_blocks(void **state)
{
	struct vst_commit c = { .others = 5, .owner = { 1, 2 }, .blocks = { 90, 5 } };

	assert_int_equal(vst_commit_blocks(&c), 100);
	assert_int_equal(vst_commit_part(1000, 90, 100), 900);
	assert_int_equal(vst_commit_part(999, 1, 3) + vst_commit_part(999, 2, 3), 999);
	assert_int_equal(vst_commit_part(1ULL << 50, 3, 4), 3ULL << 48);
	assert_int_equal(vst_commit_part(3600ULL * 1000000000, 1000000, 4000000), 900ULL * 1000000000);
}

static void test_what_the_probe_divided_is_added(void **state)
{
	struct vst_journal_state counted = { .waits = 4 };
	struct vst_waits_journal *w;
	struct vst_blame *b;

	maps.journal_state = &counted;
	maps.journal_opens = calloc(1, sizeof(*maps.journal_opens));
	maps.journal_waits_fd = WAITS_FD;
	pairs[0] = (struct vst_journal_pair){ 1 << 2, 2 << 2, 7, 0 };
	pairs[1] = (struct vst_journal_pair){ 1 << 2, VST_OWNER_KERNEL, 7, 0 };
	pairs[2] = (struct vst_journal_pair){ 1 << 2, VST_OWNER_NOBODY, 7, 0 };
	pairs[3] = (struct vst_journal_pair){ VST_OWNER_KERNEL, 2 << 2, 7, 0 };
	for (int i = 0; i < 4; i++)
		waits[i] = (struct vst_journal_wait){ .ns = 100 + i, .waits = 1 };
	n_pairs = 4;
	assert_int_equal(vst_blame_new(&wait_rows, &b), 0);
	assert_int_equal(vst_waits_journal_new(&w), 0);
	assert_int_equal(vst_waits_journal_collect(w, NULL, NULL, b, 1), 0);
	assert_true(blamed(b, &containers[1], &containers[2], VST_WAIT_JOURNAL, 7) == 100);
	assert_true(blamed(b, &containers[1], &vst_waits_kernel, VST_WAIT_JOURNAL, 7) == 101);
	assert_true(blamed(b, &containers[1], &containers[0], VST_WAIT_JOURNAL, 7) == 102);
	assert_int_equal(HASH_COUNT(vst_blame_pairs(b)), 3);
	n_pairs = 1; /* nothing has moved: it is not asked for */
	assert_int_equal(vst_waits_journal_collect(w, NULL, NULL, b, 2), 0);
	assert_int_equal(n_pairs, 1);
	counted.waits++;
	assert_int_equal(vst_waits_journal_collect(w, NULL, NULL, b, 3), 0);
	assert_true(blamed(b, &containers[1], &containers[2], VST_WAIT_JOURNAL, 7) == 200);
	free(maps.journal_opens);
	maps.journal_opens = NULL;
	vst_waits_journal_free(w);
	vst_blame_free(b);
	vst_wait_rows_free(&wait_rows);
}

static const struct vst_blame_pair *pair_of_type(const struct vst_blame *b, const struct vst_container *holder,
						 enum vst_wait_type type)
{
	const struct vst_blame_pair *p;

	for (p = vst_blame_pairs(b); p; p = p->hh.next)
		if (p->key.holder == holder && p->key.resource >> 32 == type)
			return p;
	return NULL;
}

static void test_a_wait_for_a_journal_that_goes_on_is_told(void **state)
{
	struct vst_journal_state counted = { 0 };
	const struct vst_blame_pair *pair, *whole;
	struct vst_journal_open *o;
	struct vst_waits_journal *w;
	struct vst_blame *b;

	maps.journal_state = &counted;
	maps.journal_opens = calloc(1, sizeof(*maps.journal_opens));
	maps.journal_waits_fd = WAITS_FD;
	assert_int_equal(vst_blame_new(&wait_rows, &b), 0);
	assert_int_equal(vst_waits_journal_new(&w), 0);
	maps.journal_opens->thread[4095] = 77;
	o = &maps.journal_opens->open[4095];
	o->since_ns = o->begin_ns = 5000000000ULL;
	looks = 0;
	assert_int_equal(vst_waits_journal_collect(w, NULL, NULL, b, 5.0005), 0);
	assert_int_equal(looks, 0); /* it is young */
	assert_int_equal(vst_waits_journal_collect(w, NULL, NULL, b, 6), 0);
	assert_int_equal(looks, 1);
	assert_null(vst_blame_pairs(b)); /* an fsync that does not wait for a commit */
	thread_waits = 1;
	pairs[0] = (struct vst_journal_pair){ 1 << 2, 2 << 2, 7, 0 };
	pairs[1] = (struct vst_journal_pair){ 1 << 2, VST_OWNER_ALL, 7, 0 };
	waits[0] = waits[1] = (struct vst_journal_wait){ .ns = 2000000000 };
	n_pairs = 2;
	counted.waits = 2;
	assert_int_equal(vst_waits_journal_collect(w, NULL, NULL, b, 7), 0);
	pair = pair_of_type(b, &containers[2], VST_WAIT_JOURNAL);
	whole = pair_of_type(b, NULL, VST_WAIT_JOURNAL);
	assert_int_equal(pair->waiting, 1);
	assert_int_equal(whole->waiting, 1);
	assert_true(pair->oldest_ns == 5000000000ULL && whole->oldest_ns == 5000000000ULL);
	assert_true(pair->ns == 2e9 && whole->ns == 2e9 && !whole->waits);
	assert_int_equal(whole->row.value->side, VST_WAIT_OF_WAITER);
	vst_blame_collect(b, NULL);
	/* it ends */
	o->since_ns = maps.journal_opens->thread[4095] = 0;
	waits[0] = (struct vst_journal_wait){ .ns = 500000000, .waits = 1 };
	waits[1] = (struct vst_journal_wait){ .ns = 500000000, .waits = 1, .max_ns = 2500000000 };
	n_pairs = 2;
	counted.waits = 4;
	assert_int_equal(vst_waits_journal_collect(w, NULL, NULL, b, 8), 0);
	vst_blame_collect(b, NULL);
	assert_int_equal(looks, 2);
	assert_int_equal(pair->waiting, 0);
	assert_true(whole->ns == 2.5e9 && whole->waits == 1 && whole->row.value->times.max_ns == 2500000000);
	thread_waits = 0;
	free(maps.journal_opens);
	maps.journal_opens = NULL;
	vst_waits_journal_free(w);
	vst_blame_free(b);
	vst_wait_rows_free(&wait_rows);
}

/* --- rows --- */

static struct vst_io_table *table;
static struct vst_io_row *rows[8]; /* by place */

struct vst_io_row *vst_io_table_at(const struct vst_io_table *t, __u32 place)
{
	return rows[place];
}
static struct vst_counters counters[8];

static struct vst_io_row *row_new(__u32 number, struct vst_container *who, enum vst_op op)
{
	struct vst_io_row *row = calloc(1, sizeof(*row));

	row->number = row->place = number;
	row->value = vst_value_new(VST_SNAP_IOS);
	row->value->id = number;
	row->container = who;
	rows[number] = row;
	row->key = (struct vst_key){ .dev = 7, .op = op, .kind = VST_KIND_DATA, .layer = VST_LAYER_LEAF };
	row->next = table->rows;
	table->rows = row;
	table->n_rows++;
	table->slot_first[number] = number; /* one slot each */
	return row;
}

/* ios more, 4 KiB each, of so many ms each; the table reads them too or not. */
static void work(struct vst_io_row *row, unsigned int ios, double ms, bool read)
{
	struct vst_counters *c = &counters[row->number];

	c->ios += ios;
	c->bytes += ios * 4096;
	c->time[VST_TIME_DEVICE].sum_ns += (__u64)(ios * ms * 1e6);
	if (!read)
		return;
	row->value->counts.counter[VST_COUNTER_ios] = c->ios;
	row->value->counts.counter[VST_COUNTER_bytes] = c->bytes;
	row->value->counts.time[VST_TIME_DEVICE].sum_ns = c->time[VST_TIME_DEVICE].sum_ns;
	table->dirty[table->n_dirty++] = row;
	table->changed[table->n_changed++] = row;
}

static int table_new(void **state)
{
	table = calloc(1, sizeof(*table));
	table->dirty = calloc(8, sizeof(*table->dirty));
	table->changed = calloc(8, sizeof(*table->changed));
	table->busy = calloc(8, sizeof(*table->busy));
	memset(counters, 0, sizeof(counters));
	memset(rows, 0, sizeof(rows));
	maps.counters = counters;
	return 0;
}

static int table_free(void **state)
{
	struct vst_io_row *row, *next;

	for (row = table->rows; row; row = next) {
		next = row->next;
		vst_value_unref(row->value);
		free(row);
	}
	free(table->dirty);
	free(table->changed);
	free(table->busy);
	free(table);
	return 0;
}

static void tick(struct vst_waits_disk *w, struct vst_blame *b, double now)
{
	clock_now = now + 0.0001;
	assert_int_equal(vst_waits_disk_collect(w, table, b, &containers[0], now), 0);
	vst_blame_collect(b, NULL);
	table->n_dirty = table->n_changed = 0;
}

static void test_a_disk_that_is_fought_for_is_looked_at_in_between(void **state)
{
	struct vst_io_row *one = row_new(1, &containers[1], VST_OP_READ),
			  *two = row_new(2, &containers[2], VST_OP_READ);
	struct vst_io_row *flush = row_new(3, &containers[0], VST_OP_FLUSH);
	struct vst_waits_disk *w;
	struct vst_blame *b;
	double before;

	assert_int_equal(vst_waits_disk_new(&w), 0);
	assert_int_equal(vst_blame_new(&wait_rows, &b), 0);
	tick(w, b, 1);
	work(one, 100, 1, true);
	tick(w, b, 2);
	work(one, 100, 1, true);
	tick(w, b, 3);
	assert_true(vst_waits_disk_pause(w) == 0);
	assert_true(blamed(b, &containers[1], &containers[2], VST_WAIT_DEVICE, 7) < 0);
	work(one, 10, 100, true);
	work(two, 100, 100, true);
	work(flush, 1, 5, true);
	tick(w, b, 4);
	assert_true(vst_waits_disk_pause(w) == 0.05);
	before = blamed(b, &containers[1], &containers[2], VST_WAIT_DEVICE, 7);
	assert_true(before > 900e6 && before < 1000e6);
	/* the window is as long as 4 of its requests, of 100 ms; what a peek has seen no tick counts again */
	work(one, 5, 100, false);
	work(two, 50, 100, false);
	vst_waits_disk_peek(w, table, &maps, b, 4.2);
	assert_true(blamed(b, &containers[1], &containers[2], VST_WAIT_DEVICE, 7) == before);
	vst_waits_disk_peek(w, table, &maps, b, 4.5);
	assert_true(blamed(b, &containers[1], &containers[2], VST_WAIT_DEVICE, 7) > before + 400e6);
	before = blamed(b, &containers[1], &containers[2], VST_WAIT_DEVICE, 7);
	work(one, 0, 0, true);
	work(two, 0, 0, true);
	tick(w, b, 5);
	assert_true(blamed(b, &containers[1], &containers[2], VST_WAIT_DEVICE, 7) == before);
	/* whom nobody knows is waited for, but does not wait */
	assert_true(blamed(b, &containers[1], &containers[0], VST_WAIT_DEVICE, 7) > 0);
	assert_true(blamed(b, &containers[0], &containers[1], VST_WAIT_DEVICE, 7) < 0);
	tick(w, b, 20);
	tick(w, b, 21);
	assert_true(vst_waits_disk_pause(w) == 0);
	/* one that the table freed, and another one in its place, are not mistaken for it */
	work(one, 10, 100, true);
	work(two, 10, 100, true);
	tick(w, b, 22);
	before = blamed(b, &containers[1], &containers[2], VST_WAIT_DEVICE, 7);
	one->value->id = 99;
	work(two, 10, 100, true);
	tick(w, b, 27);
	assert_true(blamed(b, &containers[1], &containers[2], VST_WAIT_DEVICE, 7) == before);
	vst_blame_free(b);
	vst_wait_rows_free(&wait_rows);
	vst_waits_disk_free(w);
}

/* So many requests of a row are under way since then. */
static void under_way(struct vst_io_row *row, __u32 ios, double since, double now)
{
	struct vst_in_flight *f = &row->in_flight;

	*f = (struct vst_in_flight){ .ios = ios,
				     .oldest_ns = (__u64)(since * 1e9),
				     .sum_ns = (__u64)((now - since) * ios * 1e9) };
	if (now - since >= 1) {
		f->old = ios;
		f->old_ns = f->sum_ns;
	}
	table->n_busy = ios ? 1 : 0;
	table->busy[0] = row;
	table->changed[table->n_changed++] = row;
}

static double device_wait(const struct vst_blame *b, const struct vst_container *holder)
{
	return fmax(0, blamed(b, &containers[1], holder, VST_WAIT_DEVICE, 7));
}

static void test_a_disk_that_does_not_answer_is_charged_as_time_passes(void **state)
{
	struct vst_io_row *one = row_new(1, &containers[1], VST_OP_WRITE),
			  *two = row_new(2, &containers[2], VST_OP_READ);
	struct vst_waits_disk *w;
	struct vst_blame *b;

	assert_int_equal(vst_waits_disk_new(&w), 0);
	assert_int_equal(vst_blame_new(&wait_rows, &b), 0);
	under_way(one, 1, 10, 10.5);
	tick(w, b, 10.5);
	assert_null(vst_blame_pairs(b)); /* a disk may take so long */
	for (int s = 12; s <= 15; s++) {
		under_way(one, 1, 10, s);
		tick(w, b, s);
		assert_true(fabs(device_wait(b, &containers[0]) - (s - 10) * 1e9) < 1e3);
		assert_int_equal(vst_blame_pairs(b)->waiting, 1);
		assert_true(vst_blame_pairs(b)->oldest_ns == 10000000000ULL);
	}
	/* another one's requests are answered meanwhile: it is because of these */
	work(two, 10, 5, true);
	under_way(one, 1, 10, 16);
	tick(w, b, 16);
	assert_true(fabs(device_wait(b, &containers[2]) - 1e9) < 1e3);
	assert_true(fabs(device_wait(b, &containers[0]) - 5e9) < 1e3);
	/* at its end all of it is in the counters, and nothing is counted twice */
	under_way(one, 0, 0, 16.5);
	work(one, 1, 6500, true);
	tick(w, b, 16.5);
	assert_true(fabs(device_wait(b, &containers[0]) + device_wait(b, &containers[2]) - 6.5e9) < 1e6);
	under_way(one, 0, 0, 25);
	tick(w, b, 25);
	assert_true(fabs(device_wait(b, &containers[0]) + device_wait(b, &containers[2]) - 6.5e9) < 1e6);
	vst_blame_free(b);
	vst_wait_rows_free(&wait_rows);
	vst_waits_disk_free(w);
}

/* Its end shows in the table of what is in flight before it shows in the counters, or the other way round. */
static void test_an_end_that_is_seen_late_is_paid_late(void **state)
{
	struct vst_io_row *one = row_new(1, &containers[1], VST_OP_WRITE);
	struct vst_waits_disk *w;
	struct vst_blame *b;

	assert_int_equal(vst_waits_disk_new(&w), 0);
	assert_int_equal(vst_blame_new(&wait_rows, &b), 0);
	under_way(one, 2, 10, 14);
	tick(w, b, 14);
	assert_true(fabs(device_wait(b, &containers[0]) - 8e9) < 1e3);
	under_way(one, 1, 10, 15); /* one of the two has ended */
	tick(w, b, 15);
	assert_true(device_wait(b, &containers[0]) < 9e9 + 1e3);
	work(one, 1, 4500, true);
	under_way(one, 1, 10, 20);
	tick(w, b, 20);
	assert_true(fabs(device_wait(b, &containers[0]) - 14.5e9) < 1e6);
	vst_blame_free(b);
	vst_wait_rows_free(&wait_rows);
	vst_waits_disk_free(w);
}

/* A stacked device's row is looked at only because its requests are old: also once more, when they have ended. */
static void test_the_end_on_a_stacked_device_is_paid_whenever_it_comes(void **state)
{
	for (int end = 12; end <= 20; end++) {
		struct vst_io_row *one;
		struct vst_waits_disk *w;
		struct vst_blame *b;

		table_new(state);
		one = row_new(1, &containers[1], VST_OP_WRITE);
		one->key.layer = VST_LAYER_STACKED;
		assert_int_equal(vst_waits_disk_new(&w), 0);
		assert_int_equal(vst_blame_new(&wait_rows, &b), 0);
		for (int s = 11; s <= end; s++) {
			under_way(one, 1, 10, s);
			tick(w, b, s);
		}
		under_way(one, 0, 0, end + 0.9);
		work(one, 1, (__u64)((end + 0.9 - 10) * 1e3), true);
		tick(w, b, end + 0.9);
		assert_true(fabs(device_wait(b, &containers[0]) - (end + 0.9 - 10) * 1e9) < 2e6);
		vst_blame_free(b);
		vst_wait_rows_free(&wait_rows);
		vst_waits_disk_free(w);
		table_free(state);
	}
}

static void test_looks_cost_a_thousandth(void **state)
{
	assert_true(vst_waits_disk_pace(0) == 0.05);
	assert_true(vst_waits_disk_pace(20e-6) == 0.05);
	assert_true(vst_waits_disk_pace(200e-6) > 0.199 && vst_waits_disk_pace(200e-6) < 0.201);
	assert_true(vst_waits_disk_pace(1) == 1);
	assert_true(vst_waits_disk_window(0) == 0.05);
	assert_true(vst_waits_disk_window(0.1) == 0.4);
	assert_true(vst_waits_disk_window(100) == 4);
}

/* --- dirty pages --- */

static void test_who_pauses_waits_for_who_writes(void **state)
{
	struct vst_io_row *one = row_new(1, &containers[1], VST_OP_WRITE),
			  *two = row_new(2, &containers[2], VST_OP_WRITE);
	struct vst_io_row *reads = row_new(3, &containers[3], VST_OP_READ);
	struct vst_waits_dirty *w;
	struct vst_blame *b;

	assert_int_equal(vst_waits_dirty_new(&w), 0);
	assert_int_equal(vst_blame_new(&wait_rows, &b), 0);
	maps.throttled_fd = THROTTLED_FD;
	work(one, 100, 1, true);
	work(two, 300, 1, true);
	work(reads, 1000, 1, true);
	throttle_key = (struct vst_throttle_key){ .owner = 1 << 2, .dev = 7 };
	throttle = (struct vst_throttle){ .ns = 40000, .waits = 4 };
	throttled = 1;
	assert_int_equal(vst_waits_dirty_collect(w, table, NULL, NULL, b, 1), 0);
	assert_true(blamed(b, &containers[1], &containers[2], VST_WAIT_DIRTY, 7) == 30000);
	assert_true(blamed(b, &containers[1], &containers[1], VST_WAIT_DIRTY, 7) == 10000);
	/* a file system on several disks: whoever writes to any; one on a disk that nothing was written to: nobody known */
	throttle_key.dev = 0;
	table->n_dirty = 0;
	throttled = 1;
	assert_int_equal(vst_waits_dirty_collect(w, table, NULL, NULL, b, 1), 0);
	assert_true(blamed(b, &containers[1], &containers[2], VST_WAIT_DIRTY, 0) == 30000);
	throttle_key.dev = 8;
	throttled = 1;
	assert_int_equal(vst_waits_dirty_collect(w, table, NULL, NULL, b, 1), 0);
	assert_true(blamed(b, &containers[1], &containers[0], VST_WAIT_DIRTY, 8) == 40000);
	vst_blame_free(b);
	vst_waits_dirty_free(w);
	vst_wait_rows_free(&wait_rows);
	assert_true(vst_waits_dirty_left(100, 10) == 50);
}

/* Every nanosecond of it is charged once, whoever comes first: the look or the thread's next pause. */
static void test_a_pause_is_charged_as_it_passes(void **state)
{
	const struct vst_blame_pair *whole;
	struct vst_waits_dirty *w;
	struct vst_pause_open *o;
	struct vst_blame *b;

	assert_int_equal(vst_waits_dirty_new(&w), 0);
	assert_int_equal(vst_blame_new(&wait_rows, &b), 0);
	maps.throttled_fd = THROTTLED_FD;
	maps.pause_opens = calloc(1, sizeof(*maps.pause_opens));
	for (int thread = 0; thread < 2; thread++) { /* of one container */
		maps.pause_opens->thread[8 * thread] = 1000 + thread;
		o = &maps.pause_opens->open[8 * thread];
		*o = (struct vst_pause_open){ .since_ns = 1900000000,
					      .end_ns = 2100000000,
					      .call_ns = 1000000000 + thread,
					      .owner = 1 << 2,
					      .dev = 7 };
	}
	assert_int_equal(vst_waits_dirty_collect(w, table, NULL, NULL, b, 2), 0);
	whole = pair_of_type(b, NULL, VST_WAIT_DIRTY);
	assert_true(whole->ns == 2e8 && whole->waits == 0);
	assert_int_equal(whole->waiting, 2);
	assert_true(whole->oldest_ns == 1000000000);
	assert_true(pair_of_type(b, &containers[0], VST_WAIT_DIRTY)->waiting == 2); /* nobody has written anything */
	vst_blame_collect(b, NULL);
	/* one thread's next pause has begun: the probe charged the rest of its last one */
	*maps.pause_opens->open = (struct vst_pause_open){
		.since_ns = 2150000000, .end_ns = 2350000000, .call_ns = 1000000000, .owner = 1 << 2, .dev = 7
	};
	throttle_key = (struct vst_throttle_key){ .owner = 1 << 2, .dev = 7 };
	throttle = (struct vst_throttle){ .ns = 150000000, .waits = 1 };
	throttled = 1;
	assert_int_equal(vst_waits_dirty_collect(w, table, NULL, NULL, b, 2.2), 0);
	assert_true(fabs(whole->ns - (2e8 + 150e6 + 50e6 + 100e6)) < 1);
	assert_int_equal(whole->waits, 2);
	assert_int_equal(whole->waiting, 1);
	vst_blame_collect(b, NULL);
	assert_int_equal(maps.pause_opens->thread[8], 0); /* its place is free */
	assert_int_equal(vst_waits_dirty_collect(w, table, NULL, NULL, b, 3), 0);
	vst_blame_collect(b, NULL);
	assert_true(fabs(whole->ns - (2e8 + 150e6 + 50e6 + 100e6 + 150e6)) < 1);
	assert_int_equal(whole->waits, 3);
	assert_int_equal(whole->waiting, 0);
	assert_int_equal(maps.pause_opens->thread[0], 0);
	assert_int_equal(vst_waits_dirty_collect(w, table, NULL, NULL, b, 4), 0);
	assert_true(fabs(whole->ns - 650e6) < 1);
	free(maps.pause_opens);
	maps.pause_opens = NULL;
	vst_blame_free(b);
	vst_waits_dirty_free(w);
	vst_wait_rows_free(&wait_rows);
}

static void test_what_is_left_of_a_pause(void **state)
{
	struct vst_pause_open o = { .end_ns = 500 };

	assert_int_equal(vst_waits_dirty_passed(&o, 100, 300), 200);
	assert_int_equal(vst_waits_dirty_passed(&o, 300, 900), 200);
	assert_int_equal(vst_waits_dirty_passed(&o, 500, 900), 0);
	assert_int_equal(vst_waits_dirty_passed(&o, 600, 900), 0);
}

static void test_the_largest_part_of_a_transaction(void **state)
{
	struct vst_commit c = { .others = 5, .owner = { 4, 8 }, .blocks = { 90, 5 } };

	assert_int_equal(vst_commit_largest(&c), 4);
	c.others = 91;
	assert_int_equal(vst_commit_largest(&c), VST_OWNER_OTHERS);
	memset(&c, 0, sizeof(c));
	assert_int_equal(vst_commit_largest(&c), VST_OWNER_NOBODY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_wait_is_what_the_commit_took_of_it),
		cmocka_unit_test(test_a_wait_is_divided_by_blocks),
		cmocka_unit_test(test_what_the_probe_divided_is_added),
		cmocka_unit_test(test_a_wait_for_a_journal_that_goes_on_is_told),
		cmocka_unit_test(test_what_is_left_of_a_pause),
		cmocka_unit_test(test_the_largest_part_of_a_transaction),
		cmocka_unit_test_setup_teardown(test_a_pause_is_charged_as_it_passes, table_new, table_free),
		cmocka_unit_test_setup_teardown(test_a_disk_that_is_fought_for_is_looked_at_in_between, table_new,
						table_free),
		cmocka_unit_test_setup_teardown(test_a_disk_that_does_not_answer_is_charged_as_time_passes, table_new,
						table_free),
		cmocka_unit_test_setup_teardown(test_an_end_that_is_seen_late_is_paid_late, table_new, table_free),
		cmocka_unit_test(test_the_end_on_a_stacked_device_is_paid_whenever_it_comes),
		cmocka_unit_test(test_looks_cost_a_thousandth),
		cmocka_unit_test_setup_teardown(test_who_pauses_waits_for_who_writes, table_new, table_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
