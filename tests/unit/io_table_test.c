/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/io/io_rows.c agent/io/sparse.c agent/io/io_underway.c agent/snapshot.c agent/base/places.c -lbpf -lm */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/io/io_table.c"

/* What the table asks of others: a map without a descriptor, and an owner that is there or gone. */
static struct vst_state state_page = { .next_row = VST_ROWS };
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

void vst_probes_decide_held(const struct vst_probes *p)
{
	fail();
}

struct vst_container *vst_owners_of(struct vst_owners *o, const struct vst_key *key, double now)
{
	return &owner;
}

unsigned int vst_owners_moves(const struct vst_owners *o)
{
	return 0;
}

struct vst_container *vst_owners_known(const struct vst_owners *o, const struct vst_key *key)
{
	return NULL;
}

bool vst_owners_gone(struct vst_owners *o, const struct vst_key *key, double before)
{
	return gone_at > 0 && gone_at < before;
}

static __u32 unreadable; /* slot */

/* The histograms of a slot, when its number is taken from a row that has others. */
int bpf_map_lookup_elem(int fd, const void *key, void *value)
{
	struct vst_hists *h = value;

	if (unreadable && *(const __u32 *)key == unreadable) {
		errno = EFAULT;
		return -1;
	}
	memset(h, 0, sizeof(*h));
	h->n[*(const __u32 *)key][VST_TIME_DEVICE] = h->n[*(const __u32 *)key][VST_TIME_LATENCY] = 1;
	return 0;
}

static unsigned int rows(const struct vst_io_table *t)
{
	unsigned int n = 0;

	for (const struct vst_io_row *row = t->rows; row; row = row->next)
		n++;
	return n;
}

/* Another look at what is in flight, which is nothing. */
static void look(struct vst_io_table *t)
{
	static __u64 nothing[VST_INFLIGHT_WORDS];
	const __u64 *was = maps.in_flight;

	maps.in_flight = nothing;
	assert_int_equal(vst_io_table_in_flight(t, NULL, NULL, 1), 0);
	maps.in_flight = was;
}

static void reclaim_twice(struct vst_io_table *t, double now)
{
	for (int i = 0; i < LOOKS; i++) {
		look(t);
		vst_io_table_reclaim(t, NULL, NULL, now);
	}
}

/* Its place in the maps goes soon, its counts stay for ten minutes: also of one that did nothing for long before its end. */
static void counts_are_kept_ten_minutes_after_the_end(void **state)
{
	struct vst_key key = { .owner = 7, .dev = 1 };
	struct vst_io_row *row;
	struct vst_io_table *t;

	gone_at = 0;
	assert_int_equal(vst_io_table_new(&t), 0);
	row = vst_io_rows_add(t, 3, &key, &owner);
	row->changed_at = t->numbers[3].changed_at = 100;
	vst_io_table_reclaim(t, NULL, NULL, 5000);
	assert_int_equal(row->number, 3); /* alive */
	gone_at = 5000;
	vst_io_table_reclaim(t, NULL, NULL, 5000 + RETIRE_DEAD / 2);
	assert_true(row->retired_at == 0);
	vst_io_table_reclaim(t, NULL, NULL, 5000 + RETIRE_DEAD + 1);
	assert_true(row->retired_at > 0);
	vst_io_table_reclaim(t, NULL, NULL, 5000 + RETIRE_DEAD + 2);
	assert_int_equal(row->number, 3); /* nobody has looked at what is in flight since */
	reclaim_twice(t, 5000 + RETIRE_DEAD + 3);
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

/* When half of the places are taken, the dead make room at once. */
static void the_dead_make_room_at_once(void **state)
{
	struct vst_key key = { .owner = 7, .dev = 1 };
	struct vst_io_table *t;

	gone_at = 0;
	assert_int_equal(vst_io_table_new(&t), 0);
	for (__u32 i = 1; i <= VST_ROWS / 2 + 1; i++) {
		key.dev = i;
		vst_io_rows_add(t, i, &key, &owner);
		t->numbers[i].changed_at = 100;
	}
	vst_io_table_reclaim(t, NULL, NULL, 101);
	reclaim_twice(t, 101);
	assert_int_equal(t->n_rows, VST_ROWS / 2 + 1); /* they live */
	gone_at = 100.5;
	vst_io_table_reclaim(t, NULL, NULL, 101);
	reclaim_twice(t, 101);
	assert_int_equal(t->n_rows, 0);
	assert_int_equal(rows(t), VST_ROWS / 2 + 1);
	vst_io_table_free(t);
}

/* Two cgroups of one container, and one of them made again: one row, which counts what all of them did. */
static void one_row_for_each_key(void **state)
{
	struct vst_io_table *t;
	struct vst_io_row *row;
	__u32 id;

	gone_at = 0;
	memset(counters, 0, sizeof(counters));
	assert_int_equal(vst_io_table_new(&t), 0);
	for (__u32 i = 3; i <= 4; i++) {
		row_keys[i] = (struct vst_key){ .owner = 10 + i, .dev = 1, .op = VST_OP_WRITE };
		assert_non_null(vst_io_rows_of(t, i, &maps, NULL, 100));
		t->slot_first[i] = i;
		counters[i].ios = i;
		counters[i].time[VST_TIME_DEVICE].sum_ns = 100 * i;
	}
	assert_int_equal(rows(t), 1);
	row = t->rows;
	id = row->value->id;
	assert_int_equal(row_read(t, row, &maps), 0);
	assert_int_equal(row->value->counts.counter[VST_COUNTER_ios], 7);
	assert_int_equal(row->value->counts.time[VST_TIME_LATENCY].sum_ns, 700);
	/* both end */
	gone_at = 150;
	vst_io_table_reclaim(t, NULL, NULL, 200);
	reclaim_twice(t, 200);
	assert_int_equal(row->number, 0);
	/* the container's cgroup is made again */
	gone_at = 0;
	row_keys[5] = (struct vst_key){ .owner = 99, .dev = 1, .op = VST_OP_WRITE };
	assert_ptr_equal(vst_io_rows_of(t, 5, &maps, NULL, 300), row);
	assert_int_equal(row->value->id, id);
	t->slot_first[5] = 5;
	counters[5].ios = 2;
	assert_int_equal(row_read(t, row, &maps), 0);
	assert_int_equal(row->value->counts.counter[VST_COUNTER_ios], 9);
	assert_int_equal(row->value->counts.time[VST_TIME_DEVICE].sum_ns, 700);
	assert_int_equal(rows(t), 1);
	/* another key is another row */
	row_keys[6] = (struct vst_key){ .owner = 99, .dev = 2, .op = VST_OP_WRITE };
	assert_ptr_not_equal(vst_io_rows_of(t, 6, &maps, NULL, 300), row);
	vst_io_table_free(t);
}

/* A number that cannot be taken back stays, and what it counted is counted once. */
static void a_failed_take_back_counts_once(void **state)
{
	struct vst_io_table *t;
	struct vst_io_row *row;

	gone_at = 0;
	memset(counters, 0, sizeof(counters));
	assert_int_equal(vst_io_table_new(&t), 0);
	for (__u32 i = 3; i <= 4; i++) {
		row_keys[i] = (struct vst_key){ .owner = 10 + i, .dev = 1, .op = VST_OP_WRITE };
		row = vst_io_rows_of(t, i, &maps, NULL, 100);
		assert_non_null(row);
		t->slot_first[i] = i;
		counters[i].ios = i;
	}
	t->slot_next[3] = 8;
	counters[8].ios = 10;
	assert_int_equal(row_read(t, row, &maps), 0);
	assert_int_equal(row->value->counts.counter[VST_COUNTER_ios], 17);
	unreadable = 8;
	gone_at = 150;
	vst_io_table_reclaim(t, NULL, NULL, 200);
	reclaim_twice(t, 200);
	assert_int_equal(t->slot_first[3], 3);
	assert_int_equal(t->slot_first[4], 0);
	assert_int_equal(row_read(t, row, &maps), 0);
	assert_int_equal(row->value->counts.counter[VST_COUNTER_ios], 17);
	unreadable = 0;
	reclaim_twice(t, 200);
	assert_int_equal(row->number, 0);
	assert_int_equal(row->value->counts.counter[VST_COUNTER_ios], 17);
	gone_at = 0;
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
	assert_int_equal(vst_io_table_in_flight(t, NULL, NULL, 100000000000ULL), 0);
	assert_int_equal(rows(t), 1);
	assert_int_equal(t->rows->number, 3);
	assert_int_equal(t->rows->key.op, VST_OP_WRITE);
	assert_int_equal(t->rows->in_flight.ios, 1);
	assert_int_equal(t->rows->in_flight.sum_ns, 1000000000ULL);
	assert_int_equal(t->rows->value->in_flight, 1);
	assert_int_equal(t->rows->value->oldest_ns, 99000000000ULL);
	assert_int_equal(t->rows->value->in_flight_sum, 1000000000ULL);
	assert_int_equal(t->n_changed, 1);
	t->n_changed = 0;
	assert_int_equal(t->rows->changed_seq, 4);
	vst_io_table_reclaim(t, NULL, NULL, 150);
	assert_int_equal(t->rows->number, 3);
	assert_true(t->rows->retired_at == 0);
	in[64].what = 1ULL << 32;
	t->seq = 5;
	assert_int_equal(vst_io_table_in_flight(t, NULL, NULL, 101000000000ULL), 0);
	assert_int_equal(t->rows->in_flight.ios, 0);
	assert_int_equal(t->rows->changed_seq, 5); /* a client is told that it is over */
	assert_int_equal(t->n_changed, 1);
	assert_int_equal(t->rows->value->in_flight, 0);
	t->seq = 6;
	assert_int_equal(vst_io_table_in_flight(t, NULL, NULL, 102000000000ULL), 0);
	assert_int_equal(t->rows->changed_seq, 5);
	vst_io_table_reclaim(t, NULL, NULL, 150);
	assert_true(t->rows->retired_at > 0);
	/* a request that was submitted just then holds the number */
	in[64].what = 2ULL << 32 | 3 << IN_ROW_SHIFT | IN_ISSUED;
	for (int i = 0; i < 2 * LOOKS; i++) {
		assert_int_equal(vst_io_table_in_flight(t, NULL, NULL, 103000000000ULL), 0);
		vst_io_table_reclaim(t, NULL, NULL, 200);
		assert_int_equal(t->rows->number, 3);
	}
	in[64].what = 2ULL << 32;
	for (int i = 0; i < LOOKS; i++) {
		assert_int_equal(t->rows->number, 3);
		assert_int_equal(vst_io_table_in_flight(t, NULL, NULL, 104000000000ULL), 0);
		vst_io_table_reclaim(t, NULL, NULL, 200);
	}
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
	row = vst_io_rows_add(t, 3, &key, &owner);
	owner.ios = 0;
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
	row = vst_io_rows_add(t, 3, &key, &owner);
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
		cmocka_unit_test(the_dead_make_room_at_once),
		cmocka_unit_test(one_row_for_each_key),
		cmocka_unit_test(a_failed_take_back_counts_once),
		cmocka_unit_test(what_is_in_flight_makes_and_keeps_a_row),
		cmocka_unit_test(bits_are_found_in_their_order),
		cmocka_unit_test(a_row_is_the_sum_of_its_slots),
		cmocka_unit_test(a_row_without_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
