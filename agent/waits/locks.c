// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/waits/lock_objects.h"
#include "agent/waits/locks.h"
#include "agent/io/sparse.h"

#define RETIRE_DEAD 10.0 /* seconds after its owner's end */
#define RETIRE_IDLE 60.0 /* seconds without a wait, if the table is half full */
#define QUARANTINE 2.0	 /* a run of the probe that found the place before it was taken back has long ended */

struct vst_locks {
	struct vst_wait_rows *wait_rows;
	struct vst_lock_row *rows;
	struct vst_lock_blame *blames;
	struct vst_lock_naming *naming;
	/* by place in the maps */
	struct vst_lock_row *row_at[VST_LOCK_ROWS];
	__u16 row_next[VST_LOCK_ROWS]; /* place + 1 of the next one of the same row */
	__u64 row_seen[VST_LOCK_ROWS]; /* waits when it was last read */
	struct vst_lock_blame *blame_at[VST_LOCK_PAIRS];
	__u16 blame_next[VST_LOCK_PAIRS];
	__u64 blame_seen[VST_LOCK_PAIRS];
	double row_retired[VST_LOCK_ROWS], blame_retired[VST_LOCK_PAIRS]; /* 0: no */
	unsigned int n_rows, n_blames;					  /* places in use */
	unsigned int named;						  /* changes of names that the rows show */
};

/* Of a key of numbers; in a tick with thousands of new rows uthash's own takes longer than the rest. */
static unsigned int hash_of(const void *key, size_t size)
{
	const __u64 *word = key;
	__u64 h = 0;

	for (size_t i = 0; i < size / sizeof(*word); i++) {
		h = (h ^ word[i]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 32;
	}
	return (unsigned int)h;
}

int vst_locks_new(struct vst_wait_rows *rows, struct vst_locks **ret)
{
	struct vst_locks *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	l->wait_rows = rows;
	err = vst_lock_naming_new(&l->naming);
	if (err) {
		free(l);
		return err;
	}
	*ret = l;
	return 0;
}

static void row_free(struct vst_locks *l, struct vst_lock_row *row)
{
	HASH_DEL(l->rows, row);
	vst_wait_row_end(l->wait_rows, &row->row);
	free(row->old_hist);
	free(row);
}

static void blame_free(struct vst_locks *l, struct vst_lock_blame *b)
{
	HASH_DEL(l->blames, b);
	vst_wait_row_end(l->wait_rows, &b->row);
	free(b);
}

void vst_locks_free(struct vst_locks *l)
{
	struct vst_lock_row *row, *next_row;
	struct vst_lock_blame *b, *next_b;

	if (!l)
		return;
	HASH_ITER(hh, l->rows, row, next_row)
	row_free(l, row);
	HASH_ITER(hh, l->blames, b, next_b)
	blame_free(l, b);
	vst_lock_naming_free(l->naming);
	free(l);
}

/* --- owners and objects --- */

static struct vst_container *container_of_owner(struct vst_owners *owners, __u64 owner, double now)
{
	struct vst_key key = { .owner = owner >> 2, .hier = owner & 3, .witness = VST_WITNESS_TASK };

	if (owner == VST_LOCK_KERNEL)
		return &vst_waits_kernel;
	if (owner == VST_LOCK_NOBODY)
		key = (struct vst_key){ .witness = VST_WITNESS_NONE };
	return vst_owners_of(owners, &key, now);
}

/*
 * Sets the object of the longest wait at a place since it was asked before, if it is the longest of all places in this
 * collection.
 */
static void longest_take(struct vst_wait_row *row, struct vst_lock_longest *longest, const struct vst_lock_maps *m,
			 __u64 *ns, __u64 lock, double now)
{
	__u64 waited = __atomic_exchange_n(ns, 0, __ATOMIC_RELAXED);
	char text[VST_LOCK_OBJECT_TEXT];

	if (longest->at < now)
		longest->ns = 0;
	if (waited <= longest->ns || !vst_lock_object_text(m->objects, lock, text))
		return;
	longest->ns = waited;
	longest->at = now;
	vst_wait_row_texts(row, &(struct vst_wait_texts){ .object = text });
}

/* The lock's name and how it is known, in a value that is to be changed. */
static void name_set(struct vst_locks *l, struct vst_wait_row *row, __u64 what)
{
	const struct vst_lock_named *named = vst_lock_naming_get(l->naming, what);

	row->value->named_by = named->by;
	vst_wait_row_texts(row, &(struct vst_wait_texts){ .name = named->name });
}

/* Makes new values where a lock got a better name. */
static int rename_all(struct vst_locks *l)
{
	unsigned int changes = vst_lock_naming_changes(l->naming);
	struct vst_lock_blame *b;
	struct vst_lock_row *row;

	if (l->named == changes)
		return 0;
	for (row = l->rows; row; row = row->hh.next) {
		if (!strcmp(row->row.value->name, vst_lock_naming_get(l->naming, row->key.what)->name))
			continue;
		if (!vst_wait_row_change(l->wait_rows, &row->row, 0))
			return -ENOMEM;
		name_set(l, &row->row, row->key.what);
	}
	for (b = l->blames; b; b = b->hh.next) {
		if (!strcmp(b->row.value->name, vst_lock_naming_get(l->naming, b->key.what)->name))
			continue;
		if (!vst_wait_row_change(l->wait_rows, &b->row, 0))
			return -ENOMEM;
		name_set(l, &b->row, b->key.what);
	}
	l->named = changes;
	return 0;
}

/* --- rows --- */

static struct vst_lock_row *row_of(struct vst_locks *l, const struct vst_lock_counters *c, struct vst_owners *owners,
				   double now)
{
	struct vst_lock_row_key whole = { c->owner, VST_LOCK_WHAT_NO_CPU(c->what) };
	struct vst_lock_row *row;

	HASH_FIND_BYHASHVALUE(hh, l->rows, &whole, sizeof(whole), hash_of(&whole, sizeof(whole)), row);
	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row || vst_wait_row_init(l->wait_rows, &row->row, VST_WAIT_LOCK, VST_WAIT_OF_WAITER,
				      container_of_owner(owners, c->owner, now), NULL)) {
		free(row);
		return NULL;
	}
	row->key = whole;
	row->row.value->lock_type = VST_LOCK_WHAT_TYPE(whole.what);
	name_set(l, &row->row, whole.what);
	HASH_ADD_BYHASHVALUE(hh, l->rows, key, sizeof(row->key), hash_of(&row->key, sizeof(row->key)), row);
	return row;
}

/* A bit for each bucket that is not 0. */
static void touched_of(const struct vst_lock_hist *h, __u64 *ret_bits)
{
	__u32 any, i, j;

	memset(ret_bits, 0, VST_HIST_BUCKETS / 8);
	for (i = 0; i < VST_HIST_BUCKETS; i += VST_TOGETHER) {
		for (any = 0, j = i; j < i + VST_TOGETHER; j++)
			any |= h->n[j];
		for (j = i; any && j < i + VST_TOGETHER; j++)
			ret_bits[j / 64] |= (__u64)(h->n[j] != 0) << (j % 64);
	}
}

/* A new value with the counts of all its places, one for each CPU. */
static int row_read(struct vst_locks *l, struct vst_lock_row *row, const struct vst_lock_maps *m)
{
	__u64 waits = row->at.old_waits, total = row->at.old_ns, max = row->row.value->times.max_ns;
	__u64 touched[VST_HIST_BUCKETS / 64];
	struct vst_bucket all[VST_HIST_BUCKETS];
	struct vst_lock_hist sum, h, *to = row->old_hist ? &h : &sum;
	struct vst_snap_wait *v;
	unsigned int n;
	__u32 at, place;

	if (row->old_hist)
		sum = *row->old_hist;
	else if (!row->at.first)
		memset(&sum, 0, sizeof(sum));
	for (at = row->at.first; at; at = l->row_next[at - 1]) {
		const struct vst_lock_counters *c = &m->rows[at - 1];

		place = at - 1;
		if (bpf_map_lookup_elem(m->hists_fd, &place, to))
			return -errno;
		waits += __atomic_load_n(&c->waits, __ATOMIC_RELAXED);
		total += __atomic_load_n(&c->total_ns, __ATOMIC_RELAXED);
		max = c->max_ns > max ? c->max_ns : max;
		for (int i = 0; to == &h && i < VST_HIST_BUCKETS; i++)
			sum.n[i] += h.n[i];
		to = &h;
	}
	touched_of(&sum, touched);
	n = vst_sparse_merge(&row->row.value->times.hist, sum.n, touched, all);
	v = vst_wait_row_change(l->wait_rows, &row->row, n);
	if (!v)
		return -ENOMEM;
	if (n)
		memcpy(v->times.hist.bucket, all, n * sizeof(*all));
	v->waits = waits;
	v->total_ns = v->times.sum_ns = total;
	v->times.max_ns = max;
	return 0;
}

/* The row at a place where somebody waited. */
static struct vst_lock_row *row_at(struct vst_locks *l, const struct vst_lock_maps *m, struct vst_owners *owners,
				   __u32 at, double now)
{
	struct vst_lock_row *row = l->row_at[at] ?: row_of(l, &m->rows[at], owners, now);

	if (!row || l->row_at[at])
		return row;
	l->row_at[at] = row;
	l->row_next[at] = row->at.first;
	row->at.first = at + 1;
	row->at.n++;
	l->n_rows++;
	return row;
}

static int collect_rows(struct vst_locks *l, const struct vst_lock_maps *m, struct vst_owners *owners, double now)
{
	struct vst_lock_row *row;
	__u64 what, waits;
	int err = 0;
	__u32 at;

	for (at = 0; at < VST_LOCK_ROWS; at++) {
		if (!(__atomic_load_n(&m->rtags[at], __ATOMIC_ACQUIRE) & VST_LOCK_TAKEN))
			continue;
		what = __atomic_load_n(&m->rows[at].what, __ATOMIC_ACQUIRE);
		if (!what)
			continue;
		waits = __atomic_load_n(&m->rows[at].waits, __ATOMIC_RELAXED);
		if (waits == l->row_seen[at])
			continue;
		l->row_seen[at] = waits;
		row = row_at(l, m, owners, at, now);
		if (!row || !vst_wait_row_change(l->wait_rows, &row->row, 0))
			return -ENOMEM;
		row->row.changed_at = now;
		longest_take(&row->row, &row->longest, m, &m->rows[at].object_ns, m->rows[at].object, now);
		vst_lock_naming_want(l->naming, what);
	}
	for (row = l->rows; row && !err; row = row->hh.next)
		if (row->row.changed_at >= now)
			err = row_read(l, row, m);
	return err;
}

/* --- pairs --- */

static struct vst_lock_blame *blame_of(struct vst_locks *l, const struct vst_lock_pair *p, struct vst_owners *owners,
				       double now)
{
	struct vst_lock_who key = { p->waiter, p->holder, VST_LOCK_WHAT_NO_CPU(p->what) };
	struct vst_lock_blame *b;

	HASH_FIND_BYHASHVALUE(hh, l->blames, &key, sizeof(key), hash_of(&key, sizeof(key)), b);
	if (b)
		return b;
	b = calloc(1, sizeof(*b));
	if (!b || vst_wait_row_init(l->wait_rows, &b->row, VST_WAIT_LOCK, VST_WAIT_OF_PAIR,
				    container_of_owner(owners, key.waiter, now),
				    container_of_owner(owners, key.holder, now))) {
		free(b);
		return NULL;
	}
	b->key = key;
	b->row.value->lock_type = VST_LOCK_WHAT_TYPE(key.what);
	vst_wait_row_texts(&b->row, &(struct vst_wait_texts){
					    .evidence = vst_lock_evidence_name(VST_LOCK_WHAT_EVIDENCE(key.what)) });
	name_set(l, &b->row, key.what);
	HASH_ADD_BYHASHVALUE(hh, l->blames, key, sizeof(b->key), hash_of(&b->key, sizeof(b->key)), b);
	return b;
}

static int blame_read(struct vst_locks *l, struct vst_lock_blame *b, const struct vst_lock_maps *m)
{
	struct vst_snap_wait *v = vst_wait_row_change(l->wait_rows, &b->row, 0);
	__u32 at;

	if (!v)
		return -ENOMEM;
	v->waits = b->at.old_waits;
	v->total_ns = b->at.old_ns;
	for (at = b->at.first; at; at = l->blame_next[at - 1]) {
		v->waits += __atomic_load_n(&m->pairs[at - 1].waits, __ATOMIC_RELAXED);
		v->total_ns += __atomic_load_n(&m->pairs[at - 1].ns, __ATOMIC_RELAXED);
	}
	return 0;
}

static void stack_take(struct vst_lock_blame *b, const struct vst_lock_maps *m)
{
	struct vst_lock_holder_stack now;
	char *frames[VST_LOCK_STACK_FRAMES];

	if (!vst_lock_stack_read(m->stacks, b->key.waiter, b->key.holder, b->key.what, &now))
		return;
	for (__u32 i = 0; i < now.n; i++)
		frames[i] = now.frame[i];
	vst_wait_row_texts(&b->row, &(struct vst_wait_texts){ .stack = frames, .n_stack = now.n });
}

static struct vst_lock_blame *blame_at(struct vst_locks *l, const struct vst_lock_maps *m, struct vst_owners *owners,
				       __u32 at, double now)
{
	struct vst_lock_blame *b = l->blame_at[at] ?: blame_of(l, &m->pairs[at], owners, now);

	if (!b || l->blame_at[at])
		return b;
	l->blame_at[at] = b;
	l->blame_next[at] = b->at.first;
	b->at.first = at + 1;
	b->at.n++;
	l->n_blames++;
	return b;
}

static int collect_blames(struct vst_locks *l, const struct vst_lock_maps *m, struct vst_owners *owners, double now)
{
	struct vst_lock_blame *b;
	__u64 what, waits;
	int err = 0;
	__u32 at;

	for (at = 0; at < VST_LOCK_PAIRS; at++) {
		if (!(__atomic_load_n(&m->ptags[at], __ATOMIC_ACQUIRE) & VST_LOCK_TAKEN))
			continue;
		what = __atomic_load_n(&m->pairs[at].what, __ATOMIC_ACQUIRE);
		waits = __atomic_load_n(&m->pairs[at].waits, __ATOMIC_RELAXED);
		if (!what || waits == l->blame_seen[at])
			continue;
		l->blame_seen[at] = waits;
		b = blame_at(l, m, owners, at, now);
		if (!b || !vst_wait_row_change(l->wait_rows, &b->row, 0))
			return -ENOMEM;
		b->row.changed_at = now;
		longest_take(&b->row, &b->longest, m, &m->pairs[at].object_ns, m->pairs[at].object, now);
		vst_lock_naming_want(l->naming, what);
	}
	for (b = l->blames; b && !err; b = b->hh.next) {
		if (b->row.changed_at < now)
			continue;
		err = blame_read(l, b, m);
		if (!err)
			stack_take(b, m);
	}
	return err;
}

int vst_locks_collect(struct vst_locks *l, const struct vst_probes *probes, struct vst_owners *owners, double now)
{
	const struct vst_lock_maps *m = &vst_probes_maps(probes)->lock;
	int err;

	if (!m->pairs)
		return 0;
	err = collect_rows(l, m, owners, now);
	err = err ?: collect_blames(l, m, owners, now);
	return err ?: rename_all(l);
}

/* --- taking back --- */

static bool owner_is_gone(struct vst_owners *owners, __u64 owner, double before)
{
	struct vst_key key = { .owner = owner >> 2, .hier = owner & 3, .witness = VST_WITNESS_TASK };

	return owner != VST_LOCK_KERNEL && owner != VST_LOCK_NOBODY && vst_owners_gone(owners, &key, before);
}

static bool is_over(double changed_at, bool crowded, double now)
{
	return now - changed_at > (crowded ? RETIRE_IDLE : RETIRE_DEAD);
}

/* Not found any more from now on, neither by its tag nor by what stands there, but somebody may still be writing. */
static void retire(__u64 *tag, __u64 *what, double *retired, double now)
{
	__atomic_store_n(tag, VST_LOCK_RETIRED, __ATOMIC_RELEASE);
	__atomic_store_n(what, VST_LOCK_RETIRED, __ATOMIC_RELEASE);
	*retired = now;
}

/* Takes a place out of a chain. */
static void unchain(__u16 *first, __u16 *next, __u32 at)
{
	while (*first != at + 1)
		first = &next[*first - 1];
	*first = next[at];
}

static void row_take_back(struct vst_locks *l, const struct vst_lock_maps *m, __u32 at)
{
	static const struct vst_lock_hist zero;
	struct vst_lock_counters *c = &m->rows[at];
	struct vst_lock_row *row = l->row_at[at];
	struct vst_lock_hist h;

	if (!row->old_hist)
		row->old_hist = calloc(1, sizeof(*row->old_hist));
	if (!row->old_hist || row_read(l, row, m) || bpf_map_lookup_elem(m->hists_fd, &at, &h) ||
	    bpf_map_update_elem(m->hists_fd, &at, &zero, BPF_ANY))
		return; /* the next tick may have more luck */
	unchain(&row->at.first, l->row_next, at);
	row->at.n--;
	row->at.old_waits += c->waits;
	row->at.old_ns += c->total_ns;
	for (int i = 0; i < VST_HIST_BUCKETS; i++)
		row->old_hist->n[i] += h.n[i];
	memset(c, 0, sizeof(*c));
	l->row_at[at] = NULL;
	l->row_seen[at] = 0;
	l->row_retired[at] = 0;
	l->n_rows--;
	__atomic_store_n(&m->rtags[at], 0, __ATOMIC_RELEASE);
}

static void reclaim_rows(struct vst_locks *l, const struct vst_lock_maps *m, struct vst_owners *owners, double now)
{
	bool crowded = l->n_rows > VST_LOCK_ROWS / 2;
	struct vst_lock_row *row, *next;
	__u32 at;

	for (at = 0; at < VST_LOCK_ROWS; at++) {
		row = l->row_at[at];
		if (!row)
			continue;
		if (l->row_retired[at] > 0 && now - l->row_retired[at] > QUARANTINE)
			row_take_back(l, m, at);
		else if (!(l->row_retired[at] > 0) && is_over(row->row.changed_at, crowded, now) &&
			 (crowded || owner_is_gone(owners, row->key.owner, now - RETIRE_DEAD)))
			retire(&m->rtags[at], &m->rows[at].what, &l->row_retired[at], now);
	}
	HASH_ITER(hh, l->rows, row, next)
	{
		if (!row->at.n && (now - row->row.changed_at > VST_KEEP_DEAD || row->row.waiter->crowded_out))
			row_free(l, row);
	}
}

static void blame_take_back(struct vst_locks *l, const struct vst_lock_maps *m, __u32 at)
{
	struct vst_lock_blame *b = l->blame_at[at];
	struct vst_lock_pair *p = &m->pairs[at];

	if (blame_read(l, b, m))
		return; /* the next tick may have more luck */
	unchain(&b->at.first, l->blame_next, at);
	b->at.n--;
	b->at.old_waits += p->waits;
	b->at.old_ns += p->ns;
	memset(p, 0, sizeof(*p));
	l->blame_at[at] = NULL;
	l->blame_seen[at] = 0;
	l->blame_retired[at] = 0;
	l->n_blames--;
	__atomic_store_n(&m->ptags[at], 0, __ATOMIC_RELEASE);
}

static void reclaim_blames(struct vst_locks *l, const struct vst_lock_maps *m, struct vst_owners *owners, double now)
{
	bool crowded = l->n_blames > VST_LOCK_PAIRS / 2;
	struct vst_lock_blame *b, *next;
	__u32 at;

	for (at = 0; at < VST_LOCK_PAIRS; at++) {
		b = l->blame_at[at];
		if (!b)
			continue;
		if (l->blame_retired[at] > 0 && now - l->blame_retired[at] > QUARANTINE)
			blame_take_back(l, m, at);
		else if (!(l->blame_retired[at] > 0) && is_over(b->row.changed_at, crowded, now) &&
			 (crowded || owner_is_gone(owners, b->key.waiter, now - RETIRE_DEAD) ||
			  owner_is_gone(owners, b->key.holder, now - RETIRE_DEAD)))
			retire(&m->ptags[at], &m->pairs[at].what, &l->blame_retired[at], now);
	}
	HASH_ITER(hh, l->blames, b, next)
	{
		if (!b->at.n && (now - b->row.changed_at > VST_KEEP_DEAD || b->row.waiter->crowded_out ||
				 b->row.holder->crowded_out))
			blame_free(l, b);
	}
}

void vst_locks_reclaim(struct vst_locks *l, const struct vst_probes *probes, struct vst_owners *owners, double now)
{
	const struct vst_lock_maps *m = &vst_probes_maps(probes)->lock;

	if (!m->pairs)
		return;
	reclaim_rows(l, m, owners, now);
	reclaim_blames(l, m, owners, now);
}

/* --- for collect.c and tests --- */

struct vst_lock_naming *vst_locks_naming(const struct vst_locks *l)
{
	return l->naming;
}

const struct vst_lock_row *vst_locks_rows(const struct vst_locks *l)
{
	return l->rows;
}

const struct vst_lock_blame *vst_locks_blames(const struct vst_locks *l)
{
	return l->blames;
}
