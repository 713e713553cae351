// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/base/log.h"
#include "agent/io/sparse.h"
#include "agent/io/io_table.h"

#define BATCH 64		/* histograms read at once */
#define GAP 8			/* to read so many more for nothing costs less than another system call */
#define CELLS_KEPT (128 * 1024) /* bytes */

int vst_io_table_new(struct vst_io_table **ret)
{
	struct vst_io_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->scratch = calloc(BATCH, sizeof(*t->scratch));
	t->dirty = calloc(VST_ROWS, sizeof(*t->dirty));
	t->busy = calloc(VST_ROWS, sizeof(*t->busy));
	if (!t->scratch || !t->dirty || !t->busy) {
		vst_io_table_free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

static void row_free(struct vst_io_table *t, struct vst_io_row *row)
{
	vst_value_unref(row->value);
	t->at[row->place] = NULL;
	vst_places_give_back(&t->places, row->place);
	row->container->rows--;
	free(row);
}

void vst_io_table_free(struct vst_io_table *t)
{
	struct vst_io_row *row, *next;

	if (!t)
		return;
	for (row = t->rows; row; row = next) {
		next = row->next;
		row_free(t, row);
	}
	free(t->seen);
	free(t->scratch);
	free(t->cells);
	free(t->dirty);
	free(t->busy);
	free(t->at);
	vst_places_free(&t->places);
	free(t);
}

/* --- rows --- */

/* Room for the row at a place. */
static int at_grow(struct vst_io_table *t, __u32 place)
{
	struct vst_io_row **at;
	__u32 n;

	if (place < t->n_at)
		return 0;
	n = t->n_at ? 2 * t->n_at : 64;
	at = realloc(t->at, n * sizeof(struct vst_io_row *));
	if (!at)
		return -ENOMEM;
	memset(at + t->n_at, 0, (n - t->n_at) * sizeof(struct vst_io_row *));
	t->at = at;
	t->n_at = n;
	return 0;
}

/* A value without counts. */
static struct vst_snap_io *value_first(struct vst_io_table *t, const struct vst_key *key,
				       const struct vst_container *container)
{
	struct vst_snap_io *v = vst_value_new(VST_SNAP_IOS);

	if (!v)
		return NULL;
	v->id = ++t->last_id;
	v->container = container->place;
	v->dev = key->dev;
	v->layer = key->layer;
	v->op = key->op;
	v->kind = key->kind;
	v->size = key->size;
	v->witness = key->witness;
	return v;
}

static struct vst_io_row *row_new(struct vst_io_table *t, __u32 number, const struct vst_key *key,
				  struct vst_container *container)
{
	struct vst_io_row *row = calloc(1, sizeof(*row));

	if (!row)
		return NULL;
	row->place = vst_places_take(&t->places);
	row->value = value_first(t, key, container);
	if (row->place == VST_NO_PLACE || !row->value || at_grow(t, row->place)) {
		vst_places_give_back(&t->places, row->place);
		vst_value_unref(row->value);
		free(row);
		return NULL;
	}
	row->number = number;
	row->key = *key;
	row->container = container;
	container->rows++;
	row->next = t->rows;
	t->rows = row;
	t->n_rows++;
	t->by_number[number] = row;
	t->at[row->place] = row;
	return row;
}

/* The row with this number, a new one if need be; NULL only if out of memory. */
static struct vst_io_row *row_of(struct vst_io_table *t, __u32 number, const struct vst_maps *m,
				 struct vst_owners *owners, double now)
{
	struct vst_io_row *row = t->by_number[number];
	const struct vst_key *key = &m->row_keys[number];

	if (row && !memcmp(&row->key, key, sizeof(row->key)))
		return row;
	if (row) /* the number was given to another key while it was still counted for the old one */
		row->number = 0;
	return row_new(t, number, key, vst_owners_of(owners, key, now));
}

/* It is among the rows that this collection found changed. */
static void dirty_add(struct vst_io_table *t, struct vst_io_row *row, double now)
{
	row->changed_at = now;
	if (row->changed_seq == t->seq)
		return;
	row->changed_seq = t->seq;
	t->dirty[t->n_dirty++] = row;
}

struct vst_io_row *vst_io_table_at(const struct vst_io_table *t, __u32 place)
{
	return place < t->n_at ? t->at[place] : NULL;
}

static struct vst_seen *seen_of(struct vst_io_table *t, __u32 dev)
{
	struct vst_seen *seen;

	for (seen = t->seen; seen < t->seen + t->n_seen; seen++)
		if (seen->dev == dev)
			return seen;
	seen = realloc(t->seen, (t->n_seen + 1) * sizeof(*seen));
	if (!seen)
		return NULL;
	t->seen = seen;
	seen += t->n_seen++;
	memset(seen, 0, sizeof(*seen));
	seen->dev = dev;
	return seen;
}

const struct vst_seen *vst_io_table_seen(const struct vst_io_table *t, __u32 dev)
{
	for (size_t i = 0; i < t->n_seen; i++)
		if (t->seen[i].dev == dev)
			return &t->seen[i];
	return NULL;
}

static __u64 counters_sum(const struct vst_counters *c)
{
	__u64 sum = 0;

#define X(f, d) sum += __atomic_load_n(&c->f, __ATOMIC_RELAXED);
	VST_COUNTERS(X)
#undef X
	return sum;
}

static void counters_add(__u64 *sum, const struct vst_counters *c)
{
	int i = 0;

#define X(f, d) sum[i++] += __atomic_load_n(&c->f, __ATOMIC_RELAXED);
	VST_COUNTERS(X)
#undef X
}

/* Sums over the row's slots, one for each CPU that worked for it; what is new goes to its owner and its device. */
static void row_counters(struct vst_io_table *t, struct vst_io_row *row, const struct vst_maps *m,
			 struct vst_counts *now)
{
	const struct vst_counts *was = &row->value->counts;
	struct vst_seen *seen = seen_of(t, row->key.dev);
	struct vst_count more;
	__u32 slot;
	int i;

	for (slot = t->slot_first[row->number]; slot; slot = t->slot_next[slot]) {
		counters_add(now->counter, &m->counters[slot]);
		for (i = 0; i < VST_TIME__N; i++) {
			now->time[i].sum_ns += m->counters[slot].time[i].sum_ns;
			if (m->counters[slot].time[i].max_ns > now->time[i].max_ns)
				now->time[i].max_ns = m->counters[slot].time[i].max_ns;
		}
	}
	/* what went to the driver directly has its latency in the device time alone */
	now->time[VST_TIME_LATENCY].sum_ns = now->time[VST_TIME_QUEUE].sum_ns + now->time[VST_TIME_DEVICE].sum_ns;
	if (now->time[VST_TIME_LATENCY].max_ns < now->time[VST_TIME_DEVICE].max_ns)
		now->time[VST_TIME_LATENCY].max_ns = now->time[VST_TIME_DEVICE].max_ns;
	more.ios = now->counter[VST_COUNTER_ios] - was->counter[VST_COUNTER_ios];
	more.bytes = now->counter[VST_COUNTER_bytes] - was->counter[VST_COUNTER_bytes];
	row->container->ios += more.ios;
	row->container->bytes += more.bytes;
	if (seen) {
		seen->seen.ios += more.ios;
		seen->seen.bytes += more.bytes;
		if (row->key.witness != VST_WITNESS_NONE) {
			seen->attributed.ios += more.ios;
			seen->attributed.bytes += more.bytes;
		}
	}
}

/* --- histograms --- */

static void bit_set(__u64 *bits, __u32 i)
{
	bits[i / 64] |= 1ULL << (i % 64);
}

/* The first bit from i on that is set; end if there is none before. */
static __u32 bit_next(const __u64 *bits, __u32 i, __u32 end)
{
	__u64 word;

	for (; i < end; i = (i / 64 + 1) * 64) {
		word = bits[i / 64] >> (i % 64);
		if (word) {
			i += (__u32)__builtin_ctzll(word);
			return i < end ? i : end;
		}
	}
	return end;
}

static bool are_zero(const __u32 (*n)[VST_TIME__N])
{
	__u64 word, any = 0;

	for (size_t i = 0; i < VST_TOGETHER * sizeof(*n); i += sizeof(word)) {
		memcpy(&word, (const char *)n + i, sizeof(word));
		any |= word;
	}
	return !any;
}

/* Keeps of a slot's histograms what is not 0. */
static int cells_keep(struct vst_io_table *t, __u32 slot, const struct vst_hists *h)
{
	struct vst_cell *cells;
	size_t cap;
	__u32 i, j;

	if (t->n_cells + VST_HIST_BUCKETS > t->cap_cells) {
		cap = 2 * t->cap_cells + 4 * VST_HIST_BUCKETS;
		cells = realloc(t->cells, cap * sizeof(*cells));
		if (!cells)
			return -ENOMEM;
		t->cells = cells;
		t->cap_cells = cap;
	}
	cells = t->cells + t->n_cells;
	for (i = 0; i < VST_HIST_BUCKETS; i += VST_TOGETHER) {
		if (are_zero(&h->n[i]))
			continue;
		for (j = i; j < i + VST_TOGETHER; j++) {
			cells->bucket = j;
			memcpy(cells->n, h->n[j], sizeof(cells->n));
			cells += (cells->n[0] | cells->n[1] | cells->n[2]) != 0;
		}
	}
	t->slot_cells[slot].first = (__u32)t->n_cells;
	t->slot_cells[slot].n = (__u32)(cells - t->cells) - (__u32)t->n_cells;
	t->n_cells = (size_t)(cells - t->cells);
	return 0;
}

/* With thousands of rows they are half a megabyte, which the agent needs for some milliseconds a second. */
static void cells_forget(struct vst_io_table *t)
{
	t->n_cells = 0;
	if (t->cap_cells * sizeof(*t->cells) < CELLS_KEPT)
		return;
	free(t->cells);
	t->cells = NULL;
	t->cap_cells = 0;
}

/*
 * Reads the histograms of all slots of the rows that changed, in the order of the slots and not of the rows: so it takes few
 * system calls, also where each row has one of its slots here and another one there.
 */
static int read_hists(struct vst_io_table *t, const struct vst_maps *m)
{
	__u32 first, last, next, before, count, i, keys[BATCH];
	__u64 wanted[VST_SLOTS_MAX / 64] = { 0 };
	int err = 0;

	for (i = 0; i < t->n_dirty; i++)
		for (next = t->slot_first[t->dirty[i]->number]; next; next = t->slot_next[next])
			bit_set(wanted, next);
	t->n_cells = 0;
	for (first = bit_next(wanted, 1, m->slots); first < m->slots && !err;
	     first = bit_next(wanted, last, m->slots)) {
		for (last = first + 1; last < m->slots; last = next + 1) {
			next = bit_next(wanted, last, m->slots);
			if (next >= last + GAP || next >= first + BATCH || next == m->slots)
				break;
		}
		before = first - 1;
		count = last - first;
		if (bpf_map_lookup_batch(m->hists_fd, &before, &next, keys, t->scratch, &count, NULL) &&
		    errno != ENOENT)
			return -errno;
		if (count < last - first)
			return -EIO;
		for (i = first; i < first + count && !err; i++)
			if (wanted[i / 64] >> (i % 64) & 1)
				err = cells_keep(t, i, &t->scratch[i - first]);
	}
	return err;
}

/* The row's histograms on all CPUs, added up: into buckets[VST_TIME__N][VST_HIST_BUCKETS], and their numbers. */
static void row_hists(struct vst_io_table *t, const struct vst_io_row *row,
		      struct vst_bucket (*buckets)[VST_HIST_BUCKETS], unsigned int *n)
{
	__u64 touched[VST_HIST_BUCKETS / 64] = { 0 };
	__u32 slot, bucket, direct = 0;
	const struct vst_cell *c, *end;
	int time;

	for (slot = t->slot_first[row->number]; slot; slot = t->slot_next[slot]) {
		c = t->cells + t->slot_cells[slot].first;
		for (end = c + t->slot_cells[slot].n; c < end; c++) {
			bit_set(touched, c->bucket);
			for (time = 0; time < VST_TIME__N; time++)
				t->sum[time][c->bucket] += c->n[time];
			direct += c->n[VST_TIME_LATENCY] - c->n[VST_TIME_QUEUE];
		}
	}
	/* what went to the driver directly did not wait: the shortest queue time */
	bit_set(touched, 0);
	t->sum[VST_TIME_QUEUE][0] += direct;
	for (time = 0; time < VST_TIME__N; time++)
		n[time] = vst_sparse_merge(&row->value->counts.time[time].hist, t->sum[time], touched, buckets[time]);
	for (bucket = bit_next(touched, 0, VST_HIST_BUCKETS); bucket < VST_HIST_BUCKETS;
	     bucket = bit_next(touched, bucket + 1, VST_HIST_BUCKETS))
		for (time = 0; time < VST_TIME__N; time++)
			t->sum[time][bucket] = 0;
}

/* A new value in the place of the row's. */
static int row_read(struct vst_io_table *t, struct vst_io_row *row, const struct vst_maps *m)
{
	struct vst_bucket all[VST_TIME__N][VST_HIST_BUCKETS], *room;
	unsigned int n[VST_TIME__N], sum = 0;
	struct vst_snap_io *v;
	void *extra;
	int time;

	row_hists(t, row, all, n);
	for (time = 0; time < VST_TIME__N; time++)
		sum += n[time];
	v = vst_value_copy(VST_SNAP_IOS, row->value, sum * sizeof(*room), &extra);
	if (!v)
		return -ENOMEM;
	memset(v->counts.counter, 0, sizeof(v->counts.counter));
	for (time = 0, room = extra; time < VST_TIME__N; room += n[time++]) {
		memcpy(room, all[time], n[time] * sizeof(*room));
		v->counts.time[time].hist = (struct vst_sparse){ n[time] ? room : NULL, n[time] };
		v->counts.time[time].sum_ns = 0; /* the longest time stays */
	}
	row_counters(t, row, m, &v->counts);
	vst_value_unref(row->value);
	row->value = v;
	return 0;
}

/* --- collecting --- */

/* Finds the slots that moved since the last time, and thereby the rows: t->dirty. */
static int find_dirty(struct vst_io_table *t, const struct vst_maps *m, struct vst_owners *owners, double now)
{
	__u32 slot, number;
	struct vst_io_row *row;
	__u64 sum;

	t->n_dirty = 0;
	for (slot = 0; slot < m->slots; slot++) {
		if (slot % 64 == 0) {
			slot = 64 * bit_next(m->state->slots_used, slot / 64, m->slots / 64);
			if (slot >= m->slots)
				break;
		}
		number = VST_SLOT_ROW(__atomic_load_n(&m->counters[slot].tag, __ATOMIC_ACQUIRE));
		if (!number || number >= VST_ROWS)
			continue;
		if (t->slot_row[slot] != number) {
			t->slot_row[slot] = number;
			t->n_slots++;
			t->slot_next[slot] = t->slot_first[number];
			t->slot_first[number] = slot;
		}
		sum = counters_sum(&m->counters[slot]);
		if (sum == t->slot_seen[slot])
			continue;
		t->slot_seen[slot] = sum;
		row = row_of(t, number, m, owners, now);
		if (!row)
			return -ENOMEM;
		dirty_add(t, row, now);
	}
	return 0;
}

static int read_lost(struct vst_io_table *t, const struct vst_maps *m)
{
	struct vst_loss_key key, *prev = NULL;
	struct vst_lost lost;
	struct vst_seen *seen;
	__u64 n;

	memset(t->lost, 0, sizeof(t->lost));
	while (!bpf_map_get_next_key(m->lost_fd, prev, &key)) {
		prev = &key;
		if (key.cause >= VST_LOSS__N || bpf_map_lookup_elem(m->lost_fd, &key, &lost))
			continue;
		seen = seen_of(t, key.dev);
		if (!seen)
			return -ENOMEM;
		if (key.cause == VST_LOSS_NO_CELL) { /* in no row: the device's books need it all the same */
			seen->seen.ios += lost.ios - seen->lost[VST_LOSS_NO_CELL];
			seen->seen.bytes += lost.bytes - seen->no_cell_bytes;
			seen->no_cell_bytes = lost.bytes;
		}
		n = key.cause == VST_LOSS_NO_PART ? lost.bytes : lost.ios;
		seen->lost[key.cause] = n;
		t->lost[key.cause] += n;
	}
	return 0;
}

int vst_io_table_collect(struct vst_io_table *t, const struct vst_probes *probes, struct vst_owners *owners, double now)
{
	const struct vst_maps *m = vst_probes_maps(probes);
	unsigned int i;
	int err;

	t->seq++;
	err = find_dirty(t, m, owners, now);
	err = err ?: read_hists(t, m);
	for (i = 0; i < t->n_dirty && !err; i++)
		err = row_read(t, t->dirty[i], m);
	cells_forget(t);
	if (!err)
		err = read_lost(t, m);
	t->lost[VST_LOSS_NO_EVENT] = m->state->events_lost;
	return err;
}

/* --- what is in flight --- */

/* A copy of the row's value in its place, histograms and all. */
static int value_renew(struct vst_io_row *row)
{
	const struct vst_counts *was = &row->value->counts;
	struct vst_bucket *room;
	struct vst_snap_io *v;
	unsigned int sum = 0;
	void *extra;
	int time;

	for (time = 0; time < VST_TIME__N; time++)
		sum += was->time[time].hist.n;
	v = vst_value_copy(VST_SNAP_IOS, row->value, sum * sizeof(*room), &extra);
	if (!v)
		return -ENOMEM;
	for (time = 0, room = extra; time < VST_TIME__N; time++) {
		const struct vst_sparse *h = &was->time[time].hist;

		if (h->n)
			memcpy(room, h->bucket, h->n * sizeof(*room));
		v->counts.time[time].hist = (struct vst_sparse){ h->n ? room : NULL, h->n };
		room += h->n;
	}
	vst_value_unref(row->value);
	row->value = v;
	return 0;
}

static int set_in_flight(struct vst_io_table *t, struct vst_io_row *row, const struct vst_in_flight *f, double now)
{
	if (row->changed_seq != t->seq && value_renew(row)) /* else it is nobody else's yet */
		return -ENOMEM;
	row->value->in_flight = f->ios;
	row->value->oldest_ns = f->oldest_ns;
	row->value->in_flight_sum = f->sum_ns;
	dirty_add(t, row, now);
	return 0;
}

/* What had something in flight at the last look and has nothing now. */
static int end_busy(struct vst_io_table *t, double now)
{
	static const struct vst_in_flight none;
	int err = 0;

	for (unsigned int i = 0; i < t->n_busy; i++) {
		struct vst_io_row *row = t->busy[i];

		row->busy = row->number && t->underway.row[row->number].parts;
		if (!row->busy)
			err = set_in_flight(t, row, &none, now) ?: err;
	}
	t->n_busy = 0;
	return err;
}

int vst_io_table_in_flight(struct vst_io_table *t, const struct vst_probes *probes, struct vst_owners *owners,
			   __u64 now_ns)
{
	const struct vst_maps *m = vst_probes_maps(probes);
	struct vst_in_flight_look *u = &t->underway;
	double now = (double)now_ns / 1e9;
	struct vst_io_row *row;
	int err;

	vst_underway_scan(u, m->in_flight, now_ns);
	if (u->undecided) {
		vst_probes_decide_held(probes);
		vst_underway_scan(u, m->in_flight, now_ns);
	}
	err = end_busy(t, now);
	for (unsigned int i = 0; i < u->n_touched && !err; i++) {
		row = row_of(t, u->touched[i], m, owners, now);
		err = row ? set_in_flight(t, row, &u->row[row->number], now) : -ENOMEM;
		if (err)
			break;
		row->busy = true;
		t->busy[t->n_busy++] = row;
	}
	return err;
}

/* --- taking back --- */

#define RETIRE_DEAD 10.0 /* seconds after its owner's end */
#define RETIRE_IDLE 60.0 /* seconds without I/O, if the table is nearly full */
#define QUARANTINE 30.0	 /* a request in flight may still remember the row's number */

static bool row_is_over(const struct vst_io_row *row, struct vst_owners *owners, bool crowded, double now)
{
	if (row->busy)
		return false;
	if (crowded && now - row->changed_at > RETIRE_IDLE)
		return true;
	return now - row->changed_at > RETIRE_DEAD && vst_owners_gone(owners, &row->key, now - RETIRE_DEAD);
}

static void row_take_back(struct vst_io_table *t, struct vst_io_row *row, const struct vst_maps *m)
{
	static const struct vst_hists zero_hists;
	__u32 slot, next;

	for (slot = t->slot_first[row->number]; slot; slot = next) {
		next = t->slot_next[slot];
		bpf_map_update_elem(m->hists_fd, &slot, &zero_hists, BPF_ANY);
		memset(&m->counters[slot].pad, 0, sizeof(m->counters[slot]) - offsetof(struct vst_counters, pad));
		__atomic_store_n(&m->counters[slot].tag, 0, __ATOMIC_RELEASE); /* from here on it is anybody's */
		t->slot_row[slot] = 0;
		t->slot_seen[slot] = 0;
		t->slot_next[slot] = 0;
		t->n_slots--;
	}
	t->slot_first[row->number] = 0;
	t->by_number[row->number] = NULL;
	bpf_map_update_elem(m->free_rows_fd, NULL, &row->number, BPF_ANY);
	row->number = 0;
	t->n_rows--;
}

void vst_io_table_reclaim(struct vst_io_table *t, const struct vst_probes *probes, struct vst_owners *owners,
			  double now)
{
	const struct vst_maps *m = vst_probes_maps(probes);
	bool crowded = t->n_rows > VST_ROWS * 3 / 4 || t->n_slots > m->slots * 3 / 4;
	struct vst_io_row *row, **at;

	for (at = &t->rows; (row = *at);) {
		if (row->number && !row->retired_at && row_is_over(row, owners, crowded, now)) {
			bpf_map_delete_elem(m->rows_fd, &row->key);
			row->retired_at = now;
		} else if (row->number && row->retired_at && !row->busy && now - row->retired_at > QUARANTINE) {
			row_take_back(t, row, m);
		} else if (!row->number && !row->busy &&
			   (row->container->crowded_out ||
			    now - fmax(row->changed_at, row->retired_at) > VST_KEEP_DEAD)) {
			*at = row->next;
			row_free(t, row);
			continue;
		}
		at = &row->next;
	}
	/* also where no row was retired: it bounds how long the probes believe what they remember */
	__atomic_add_fetch(&m->state->epoch, 1, __ATOMIC_RELEASE);
}
