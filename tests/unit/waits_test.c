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
	maps.journal_waits_fd = WAITS_FD;
	pairs[0] = (struct vst_journal_pair){ 1 << 2, 2 << 2, 7, 0 };
	pairs[1] = (struct vst_journal_pair){ 1 << 2, VST_OWNER_KERNEL, 7, 0 };
	pairs[2] = (struct vst_journal_pair){ 1 << 2, VST_OWNER_NOBODY, 7, 0 };
	pairs[3] = (struct vst_journal_pair){ VST_OWNER_KERNEL, 2 << 2, 7, 0 };
	for (int i = 0; i < 4; i++)
		waits[i] = (struct vst_journal_wait){ 100 + i, 1 };
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
	struct timespec hz;
	struct vst_blame *b;

	assert_int_equal(vst_waits_dirty_new(&w), 0);
	assert_int_equal(vst_blame_new(&wait_rows, &b), 0);
	assert_int_equal(clock_getres(CLOCK_MONOTONIC_COARSE, &hz), 0);
	maps.throttled_fd = THROTTLED_FD;
	work(one, 100, 1, true);
	work(two, 300, 1, true);
	work(reads, 1000, 1, true);
	throttle_key = (struct vst_throttle_key){ .owner = 1 << 2, .dev = 7 };
	throttle = (struct vst_throttle){ .jiffies = 40, .waits = 4 };
	throttled = 1;
	assert_int_equal(vst_waits_dirty_collect(w, table, NULL, NULL, b, 1), 0);
	assert_true(blamed(b, &containers[1], &containers[2], VST_WAIT_DIRTY, 7) == 30.0 * hz.tv_nsec);
	assert_true(blamed(b, &containers[1], &containers[1], VST_WAIT_DIRTY, 7) == 10.0 * hz.tv_nsec);
	/* a file system on several disks: whoever writes to any; one on a disk that nothing was written to: nobody known */
	throttle_key.dev = 0;
	table->n_dirty = 0;
	throttled = 1;
	assert_int_equal(vst_waits_dirty_collect(w, table, NULL, NULL, b, 1), 0);
	assert_true(blamed(b, &containers[1], &containers[2], VST_WAIT_DIRTY, 0) == 30.0 * hz.tv_nsec);
	throttle_key.dev = 8;
	throttled = 1;
	assert_int_equal(vst_waits_dirty_collect(w, table, NULL, NULL, b, 1), 0);
	assert_true(blamed(b, &containers[1], &containers[0], VST_WAIT_DIRTY, 8) == 40.0 * hz.tv_nsec);
	vst_blame_free(b);
	vst_waits_dirty_free(w);
	vst_wait_rows_free(&wait_rows);
	assert_true(vst_waits_dirty_left(100, 10) == 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_wait_is_what_the_commit_took_of_it),
		cmocka_unit_test(test_a_wait_is_divided_by_blocks),
		cmocka_unit_test(test_what_the_probe_divided_is_added),
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
