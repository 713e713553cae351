/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/io/in_flight.c agent/io/sparse.c agent/snapshot.c agent/base/places.c -lbpf -lm */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/io/io_table.c"

/* What the table asks of others: a map without a descriptor, and an owner that is there or gone. */
static struct vst_state state_page;
static struct vst_counters counters[VST_SLOTS_MIN];
static struct vst_key row_keys[VST_ROWS];
static struct vst_maps maps = {
	.state = &state_page,
	.counters = counters,
	.slots = VST_SLOTS_MIN,
	.row_keys = row_keys,
	.cpus = 1,
	.rows_fd = -1,
	.hists_fd = -1,
	.free_rows_fd = -1,
	.lost_fd = -1,
};
static struct vst_container owner;
static double gone_at;

const struct vst_maps *vst_probes_maps(const struct vst_probes *p)
{
	return &maps;
}

struct vst_container *vst_owners_of(struct vst_owners *o, const struct vst_key *key, double now)
{
	return &owner;
}

void vst_probes_decide_held(const struct vst_probes *p)
{
	fail();
}

bool vst_owners_gone(struct vst_owners *o, const struct vst_key *key, double before)
{
	return gone_at > 0 && gone_at < before;
}

static unsigned int rows(const struct vst_io_table *t)
{
	unsigned int n = 0;

	for (const struct vst_io_row *row = t->rows; row; row = row->next)
		n++;
	return n;
}

/* Its place in the maps goes soon, its counts stay for ten minutes: also of one that did nothing for long before its end. */
static void counts_are_kept_ten_minutes_after_the_end(void **state)
{
	struct vst_key key = { .owner = 7, .dev = 1 };
	struct vst_io_row *row;
	struct vst_io_table *t;

	assert_int_equal(vst_io_table_new(&t), 0);
	row = row_new(t, 3, &key, &owner);
	row->changed_at = 100;
	vst_io_table_reclaim(t, NULL, NULL, 5000);
	assert_int_equal(row->number, 3); /* alive */
	gone_at = 5000;
	vst_io_table_reclaim(t, NULL, NULL, 5000 + RETIRE_DEAD / 2);
	assert_true(row->retired_at == 0);
	vst_io_table_reclaim(t, NULL, NULL, 5000 + RETIRE_DEAD + 1);
	assert_true(row->retired_at > 0);
	vst_io_table_reclaim(t, NULL, NULL, row->retired_at + QUARANTINE + 1);
	assert_int_equal(row->number, 0);
	assert_int_equal(t->n_rows, 0);
	vst_io_table_reclaim(t, NULL, NULL, 5000 + VST_KEEP_DEAD);
	assert_int_equal(rows(t), 1);
	assert_int_equal(owner.rows, 1);
	vst_io_table_reclaim(t, NULL, NULL, row->retired_at + VST_KEEP_DEAD + 1);
	assert_int_equal(rows(t), 0);
	assert_int_equal(owner.rows, 0);
	vst_io_table_free(t);
}

/* One request of a container that is gone, and that has not completed anything: it keeps its row until it has. */
static void what_is_in_flight_makes_and_keeps_a_row(void **state)
{
	static __u64 table[VST_INFLIGHT_WORDS];
	struct vst_inflight *in = (void *)table;
	struct vst_io_table *t;

	assert_int_equal(vst_io_table_new(&t), 0);
	maps.in_flight = table;
	row_keys[3] = (struct vst_key){ .owner = 7, .dev = 1, .op = VST_OP_WRITE };
	in[64].what = 1ULL << 32 | 3 << IN_ROW_SHIFT | IN_ISSUED;
	in[64].when = 99000000000ULL;
	table[VST_INFLIGHT_USED] = 2;
	gone_at = 50;
	t->seq = 4;
	t->n_dirty = 0;
	assert_int_equal(vst_io_table_in_flight(t, NULL, NULL, 100000000000ULL), 0);
	assert_int_equal(rows(t), 1);
	assert_int_equal(t->rows->number, 3);
	assert_int_equal(t->rows->key.op, VST_OP_WRITE);
	assert_int_equal(t->rows->value->in_flight, 1);
	assert_int_equal(t->rows->value->in_flight_sum, 1000000000ULL);
	assert_int_equal(t->rows->changed_seq, 4);
	vst_io_table_reclaim(t, NULL, NULL, 1000);
	assert_int_equal(t->rows->number, 3);
	assert_true(t->rows->retired_at == 0);
	in[64].what = 1ULL << 32;
	t->seq = 5;
	assert_int_equal(vst_io_table_in_flight(t, NULL, NULL, 101000000000ULL), 0);
	assert_int_equal(t->rows->value->in_flight, 0);
	assert_int_equal(t->rows->changed_seq, 5); /* a client is told that it is over */
	t->seq = 6;
	assert_int_equal(vst_io_table_in_flight(t, NULL, NULL, 102000000000ULL), 0);
	assert_int_equal(t->rows->changed_seq, 5);
	vst_io_table_reclaim(t, NULL, NULL, 1000);
	assert_true(t->rows->retired_at > 0);
	/* a request that was submitted just then holds the number */
	in[64].what = 2ULL << 32 | 3 << IN_ROW_SHIFT | IN_ISSUED;
	assert_int_equal(vst_io_table_in_flight(t, NULL, NULL, 103000000000ULL), 0);
	vst_io_table_reclaim(t, NULL, NULL, 1000 + 2 * QUARANTINE);
	assert_int_equal(t->rows->number, 3);
	in[64].what = 2ULL << 32;
	assert_int_equal(vst_io_table_in_flight(t, NULL, NULL, 104000000000ULL), 0);
	vst_io_table_reclaim(t, NULL, NULL, 1000 + 3 * QUARANTINE);
	assert_int_equal(t->rows->number, 0);
	vst_io_table_free(t);
}

static void bits_are_found_in_their_order(void **state)
{
	__u64 bits[4] = { 0 };

	assert_int_equal(bit_next(bits, 0, 256), 256);
	bit_set(bits, 1);
	bit_set(bits, 63);
	bit_set(bits, 64);
	bit_set(bits, 255);
	assert_int_equal(bit_next(bits, 0, 256), 1);
	assert_int_equal(bit_next(bits, 1, 256), 1);
	assert_int_equal(bit_next(bits, 2, 256), 63);
	assert_int_equal(bit_next(bits, 64, 256), 64);
	assert_int_equal(bit_next(bits, 65, 256), 255);
	assert_int_equal(bit_next(bits, 65, 255), 255);
	assert_int_equal(bit_next(bits, 2, 63), 63);
}

/* Slots of two CPUs, with nothing in most buckets; what went to the driver directly waited the shortest time. */
static void a_row_is_the_sum_of_its_slots(void **state)
{
	static struct vst_hists one, two;
	struct vst_key key = { .owner = 7, .dev = 1 };
	const struct vst_counts *c;
	struct vst_snap_io *before;
	struct vst_io_row *row;
	struct vst_io_table *t;

	assert_int_equal(vst_io_table_new(&t), 0);
	row = row_new(t, 3, &key, &owner);
	t->slot_first[3] = 9;
	t->slot_next[9] = 5;
	counters[5].ios = 3;
	counters[9].ios = 4;
	counters[9].time[VST_TIME_QUEUE].sum_ns = 100;
	counters[5].time[VST_TIME_DEVICE].max_ns = 30;
	one.n[0][VST_TIME_QUEUE] = 1;
	one.n[20][VST_TIME_LATENCY] = 3; /* two of them directly */
	one.n[20][VST_TIME_DEVICE] = 3;
	two.n[20][VST_TIME_DEVICE] = 4;
	two.n[191][VST_TIME_LATENCY] = 4;
	two.n[190][VST_TIME_QUEUE] = 4;
	for (int again = 0; again < 2; again++) {
		t->n_cells = 0;
		assert_int_equal(cells_keep(t, 5, &one), 0);
		assert_int_equal(cells_keep(t, 9, &two), 0);
		assert_int_equal(t->n_cells, 5);
		assert_int_equal(row_read(t, row, &maps), 0);
		c = &row->value->counts;
		assert_int_equal(c->counter[VST_COUNTER_ios], 7);
		assert_int_equal(c->time[VST_TIME_LATENCY].sum_ns, 100);
		assert_int_equal(c->time[VST_TIME_LATENCY].max_ns, 30);
		assert_int_equal(c->time[VST_TIME_DEVICE].hist.n, 1);
		assert_int_equal(c->time[VST_TIME_DEVICE].hist.bucket[0].n, 7);
		assert_int_equal(c->time[VST_TIME_LATENCY].hist.n, 2);
		assert_int_equal(c->time[VST_TIME_LATENCY].hist.bucket[0].n, 3);
		assert_int_equal(c->time[VST_TIME_LATENCY].hist.bucket[1].index, 191);
		assert_int_equal(c->time[VST_TIME_QUEUE].hist.n, 2);
		assert_int_equal(c->time[VST_TIME_QUEUE].hist.bucket[0].n, 3);
		assert_int_equal(c->time[VST_TIME_QUEUE].hist.bucket[1].index, 190);
		assert_int_equal(owner.ios, 7);
		assert_int_equal(vst_io_table_seen(t, 1)->seen.ios, 7);
	}
	/* whoever keeps a value keeps what it said */
	before = vst_value_ref(row->value);
	counters[5].ios = 30;
	t->n_cells = 0;
	t->slot_cells[5].n = t->slot_cells[9].n = 0;
	assert_int_equal(row_read(t, row, &maps), 0);
	assert_int_equal(row->value->counts.counter[VST_COUNTER_ios], 34);
	assert_int_equal(row->value->id, before->id);
	assert_int_equal(before->counts.counter[VST_COUNTER_ios], 7);
	assert_int_equal(before->counts.time[VST_TIME_DEVICE].hist.bucket[0].n, 7);
	vst_value_unref(before);
	assert_ptr_equal(vst_io_table_at(t, row->place), row);
	assert_null(vst_io_table_at(t, row->place + 1));
	memset(counters, 0, sizeof(counters));
	vst_io_table_free(t);
}

/* What only failed has no times: its value has to go all the same. */
static void a_row_without_times(void **state)
{
	struct vst_key key = { .owner = 7, .dev = 1 };
	struct vst_io_row *row;
	struct vst_io_table *t;

	assert_int_equal(vst_io_table_new(&t), 0);
	row = row_new(t, 3, &key, &owner);
	t->slot_first[3] = 5;
	counters[5].errors = 1;
	assert_int_equal(row_read(t, row, &maps), 0);
	assert_int_equal(row->value->counts.counter[VST_COUNTER_errors], 1);
	for (int i = 0; i < VST_TIME__N; i++)
		assert_null(row->value->counts.time[i].hist.bucket);
	memset(counters, 0, sizeof(counters));
	vst_io_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_are_kept_ten_minutes_after_the_end),
		cmocka_unit_test(what_is_in_flight_makes_and_keeps_a_row),
		cmocka_unit_test(bits_are_found_in_their_order),
		cmocka_unit_test(a_row_is_the_sum_of_its_slots),
		cmocka_unit_test(a_row_without_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
