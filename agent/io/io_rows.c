// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/io/io_rows.h"
#include "agent/io/sparse.h"

#define FREED_MANY 512 /* rows; glibc keeps what they took otherwise */

static struct vst_io_row_key key_of(const struct vst_key *key, const struct vst_container *container)
{
	return (struct vst_io_row_key){
		.container = container,
		.dev = key->dev,
		.witness = key->witness,
		.op = key->op,
		.kind = key->kind,
		.size = key->size,
		.layer = key->layer,
		.patterns = key->patterns,
		.hint = key->hint,
	};
}

_Static_assert(sizeof(struct vst_io_row_key) == offsetof(struct vst_io_row_key, pad) + 5, "all bytes are compared");

static void past_free(struct vst_io_past *past)
{
	for (int i = 0; past && i < VST_TIME__N; i++)
		free(past->hist[i].bucket);
	free(past);
}

static void past_set(struct vst_io_row *row, struct vst_io_past *past)
{
	past_free(row->past);
	row->past = past;
}

/* 0 or -ENOMEM; what *to has then is freed by past_free(). */
static int hist_copy(struct vst_sparse *to, const struct vst_sparse *from)
{
	if (!from->n)
		return 0;
	to->bucket = malloc(from->n * sizeof(*to->bucket));
	if (!to->bucket)
		return -ENOMEM;
	to->n = from->n;
	memcpy(to->bucket, from->bucket, from->n * sizeof(*to->bucket));
	return 0;
}

void vst_io_rows_free(struct vst_io_table *t, struct vst_io_row *row)
{
	HASH_DEL(t->by_key, row);
	past_free(row->past);
	vst_value_unref(row->value);
	t->at[row->place] = NULL;
	vst_places_give_back(&t->places, row->place);
	row->container->rows--;
	free(row);
}

/* --- numbers --- */

static void number_attach(struct vst_io_table *t, struct vst_io_row *row, __u32 number, const struct vst_key *key,
			  double now)
{
	t->numbers[number] = (struct vst_io_number){ .row = row, .next = row->number, .key = *key, .changed_at = now };
	row->number = number;
	row->key = *key;
	row->retired_at = 0;
	t->n_rows++;
}

static void number_detach(struct vst_io_table *t, __u32 number)
{
	struct vst_io_row *row = t->numbers[number].row;
	__u32 *at;

	for (at = &row->number; *at != number; at = &t->numbers[*at].next)
		;
	*at = t->numbers[number].next;
	t->numbers[number] = (struct vst_io_number){ 0 };
	t->n_rows--;
}

/* All that the row has counted so far is of numbers that it has not any more. */
static int past_begin(struct vst_io_row *row)
{
	struct vst_io_past *past = calloc(1, sizeof(*past));
	const struct vst_counts *c = &row->value->counts;
	int err = 0;

	if (!past)
		return -ENOMEM;
	memcpy(past->counter, c->counter, sizeof(past->counter));
	for (int i = 0; i < VST_TIME__N && !err; i++) {
		past->sum_ns[i] = c->time[i].sum_ns;
		err = hist_copy(&past->hist[i], &c->time[i].hist);
	}
	if (err)
		past_free(past);
	else
		past_set(row, past);
	return err;
}

/* A copy of the row's past, or an empty one. NULL: out of memory. */
static struct vst_io_past *past_copy(const struct vst_io_row *row)
{
	struct vst_io_past *past = calloc(1, sizeof(*past));
	int err = 0;

	if (!past || !row->past)
		return past;
	memcpy(past->counter, row->past->counter, sizeof(past->counter));
	memcpy(past->sum_ns, row->past->sum_ns, sizeof(past->sum_ns));
	for (int i = 0; i < VST_TIME__N && !err; i++)
		err = hist_copy(&past->hist[i], &row->past->hist[i]);
	if (!err)
		return past;
	past_free(past);
	return NULL;
}

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
	v->patterns = key->patterns;
	v->hint = key->hint;
	return v;
}

struct vst_io_row *vst_io_rows_add(struct vst_io_table *t, __u32 number, const struct vst_key *key,
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
	row->container = container;
	container->rows++;
	row->row_key = key_of(key, container);
	row->next = t->rows;
	t->rows = row;
	t->at[row->place] = row;
	HASH_ADD(hh, t->by_key, row_key, sizeof(row->row_key), row);
	number_attach(t, row, number, key, 0);
	return row;
}

struct vst_io_row *vst_io_rows_of(struct vst_io_table *t, __u32 number, const struct vst_maps *m,
				  struct vst_owners *owners, double now)
{
	const struct vst_key *key = &m->row_keys[number];
	struct vst_io_row *row = t->numbers[number].row;
	struct vst_container *container;
	struct vst_io_row_key k;

	if (row && !memcmp(&t->numbers[number].key, key, sizeof(*key)))
		return row;
	if (row) /* the number was given to another key while it was still counted for the old one */
		number_detach(t, number);
	container = vst_owners_of(owners, key, now);
	if (!container)
		return NULL;
	k = key_of(key, container);
	HASH_FIND(hh, t->by_key, &k, sizeof(k), row);
	if (!row)
		return vst_io_rows_add(t, number, key, container);
	if (!row->number && past_begin(row))
		return NULL;
	number_attach(t, row, number, key, now);
	return row;
}

/* --- taking back --- */

/* 0 or -ENOMEM, then nothing has changed. */
static int past_hist(struct vst_sparse *h, const __u32 *now)
{
	static const __u64 every[VST_HIST_BUCKETS / 64] = { ~0ULL, ~0ULL, ~0ULL };
	struct vst_bucket all[VST_HIST_BUCKETS], *bucket;
	unsigned int n = vst_sparse_merge(h, now, every, all);

	if (!n)
		return 0;
	bucket = realloc(h->bucket, n * sizeof(*bucket));
	if (!bucket)
		return -ENOMEM;
	memcpy(bucket, all, n * sizeof(*bucket));
	*h = (struct vst_sparse){ bucket, n };
	return 0;
}

/* Adds what is in a slot to the past of a row. */
static int past_add(struct vst_io_past *past, const struct vst_counters *c, const struct vst_hists *h)
{
	__u32 now[VST_HIST_BUCKETS], direct;
	int i = 0, err = 0;

#define X(f, d) past->counter[i++] += c->f;
	VST_COUNTERS(X)
#undef X
	for (i = 0; i < VST_TIME__N; i++)
		if (i != VST_TIME_LATENCY)
			past->sum_ns[i] += c->time[i].sum_ns;
	past->sum_ns[VST_TIME_LATENCY] += c->time[VST_TIME_QUEUE].sum_ns + c->time[VST_TIME_DEVICE].sum_ns;
	for (i = 0; i < VST_TIME__N && !err; i++) {
		memset(now, 0, sizeof(now));
		for (unsigned int b = 0; b < past->hist[i].n; b++)
			now[past->hist[i].bucket[b].index] = (__u32)past->hist[i].bucket[b].n;
		for (unsigned int b = direct = 0; b < VST_HIST_BUCKETS; b++) {
			now[b] += h->n[b][i];
			direct += h->n[b][VST_TIME_LATENCY] - h->n[b][VST_TIME_QUEUE];
		}
		/* what went to the driver directly did not wait: the shortest queue time */
		now[0] += i == VST_TIME_QUEUE ? direct : 0;
		err = past_hist(&past->hist[i], now);
	}
	return err;
}

/* What a number counted, before it is taken from a row that has others. 0 or -errno, then nothing has changed. */
static int past_take(struct vst_io_table *t, struct vst_io_row *row, __u32 number, const struct vst_maps *m)
{
	/* The number stays with the row if a slot cannot be read: then none of its slots may be in the past, or it counts twice. */
	struct vst_io_past *past = past_copy(row);
	__u32 slot;
	int err = 0;

	if (!past)
		return -ENOMEM;
	for (slot = t->slot_first[number]; slot && !err; slot = t->slot_next[slot]) {
		if (bpf_map_lookup_elem(m->hists_fd, &slot, t->scratch))
			err = -errno;
		else
			err = past_add(past, &m->counters[slot], t->scratch);
	}
	if (err)
		past_free(past);
	else
		past_set(row, past);
	return err;
}

static void number_take_back(struct vst_io_table *t, __u32 number, const struct vst_maps *m)
{
	static const struct vst_hists zero_hists;
	struct vst_io_row *row = t->numbers[number].row;
	__u32 slot, next;

	if (row->number != number || t->numbers[number].next) { /* it has others */
		if (past_take(t, row, number, m))
			return;
	} else {
		past_set(row, NULL);
	}
	for (slot = t->slot_first[number]; slot; slot = next) {
		next = t->slot_next[slot];
		bpf_map_update_elem(m->hists_fd, &slot, &zero_hists, BPF_ANY);
		memset(&m->counters[slot].pad, 0, sizeof(m->counters[slot]) - offsetof(struct vst_counters, pad));
		__atomic_store_n(&m->counters[slot].tag, 0, __ATOMIC_RELEASE); /* from here on it is anybody's */
		t->slot_row[slot] = 0;
		t->slot_seen[slot] = 0;
		t->slot_next[slot] = 0;
		t->n_slots--;
	}
	t->slot_first[number] = 0;
	number_detach(t, number);
	__atomic_sub_fetch(&m->state->share_rows[m->state->row_share[number]], 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&m->state->rows_used, 1, __ATOMIC_RELAXED);
	bpf_map_update_elem(m->free_rows_fd, NULL, &number, BPF_ANY);
}

/* How urgently room is needed. */
struct pressure {
	bool some; /* the dead go at once */
	bool much; /* the idle go, too */
	bool moved; /* cgroups have become other containers', and so go their numbers: the next ones are those containers' */
};

static bool number_is_over(const struct vst_io_table *t, __u32 number, const struct pressure *p,
			   const struct vst_maps *m, struct vst_owners *owners, double now)
{
	const struct vst_io_number *n = &t->numbers[number];
	double wait = p->some ? 0 : RETIRE_DEAD, idle = now - n->changed_at;
	const struct vst_state *s = m->state;
	const struct vst_container *c = p->moved ? vst_owners_known(owners, &n->key) : NULL;

	if (c && c != n->row->container)
		return true;
	if (t->underway.row[number].parts)
		return false;
	if (idle > wait && vst_owners_gone(owners, &n->key, now - wait))
		return true;
	if (!p->much)
		return false;
	if (s->share_rows[s->row_share[number]] > VST_SHARE_ROWS(s->rows_used))
		return idle > RETIRE_IDLE_SHARE;
	return idle > RETIRE_IDLE;
}

/*
 * A request in flight remembers its rows' numbers, so a number is nobody's only when no request in flight has it: at two
 * looks after nobody could find it any more, because a request that changes at the moment of a look is not seen.
 */
static bool number_is_free(struct vst_io_table *t, __u32 number)
{
	struct vst_io_number *n = &t->numbers[number];

	if (t->underway.row[number].parts) {
		n->looks = 0;
		n->looked = t->looks;
	} else if (n->looked != t->looks) {
		n->looks++;
		n->looked = t->looks;
	}
	return n->looks >= LOOKS;
}

static void reclaim_numbers(struct vst_io_table *t, const struct pressure *p, const struct vst_maps *m,
			    struct vst_owners *owners, double now)
{
	for (__u32 i = 1; i < VST_ROWS && i < m->state->next_row; i++) {
		struct vst_io_number *n = &t->numbers[i];

		if (!n->row)
			continue;
		if (n->retired) {
			if (number_is_free(t, i))
				number_take_back(t, i, m);
		} else if (number_is_over(t, i, p, m, owners, now)) {
			bpf_map_delete_elem(m->rows_fd, &n->key);
			n->retired = true;
			n->looked = t->looks;
			n->row->retired_at = now;
		}
	}
}

static bool row_is_forgotten(const struct vst_io_row *row, double now)
{
	if (row->number || row->in_flight.parts)
		return false;
	return row->container->crowded_out || now - fmax(row->changed_at, row->retired_at) > VST_KEEP_DEAD;
}

void vst_io_table_reclaim(struct vst_io_table *t, const struct vst_probes *probes, struct vst_owners *owners,
			  double now)
{
	const struct vst_maps *m = vst_probes_maps(probes);
	struct pressure p = {
		.some = t->n_rows > VST_ROWS / 2 || t->n_slots > m->slots / 2,
		.much = t->n_rows > VST_ROWS / 4 * 3 || t->n_slots > m->slots / 4 * 3,
	};
	struct vst_io_row *row, **at;
	unsigned int freed = 0;

	p.moved = vst_owners_moves(owners) != t->moves;
	t->moves = vst_owners_moves(owners);
	reclaim_numbers(t, &p, m, owners, now);
	for (at = &t->rows; (row = *at);) {
		if (row_is_forgotten(row, now)) {
			*at = row->next;
			vst_io_rows_free(t, row);
			freed++;
		} else {
			at = &row->next;
		}
	}
	if (freed >= FREED_MANY)
		malloc_trim(0);
	/* also where no row was retired: it bounds how long the probes believe what they remember */
	__atomic_add_fetch(&m->state->epoch, 1, __ATOMIC_RELEASE);
}
