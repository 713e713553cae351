// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/waits/lock_objects.h"
#include "agent/waits/locks_priv.h"
#include "agent/io/sparse.h"

#define RETIRE_DEAD 10.0 /* seconds after its owner's end */
#define RETIRE_IDLE 60.0 /* seconds without a wait, if the table is half full */
#define QUARANTINE 2.0	 /* a run of the probe that found the place before it was taken back has long ended */

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
	l->open = calloc(VST_LOCK_OPEN_MAX, sizeof(*l->open));
	err = l->open ? vst_lock_naming_new(&l->naming) : -ENOMEM;
	if (err) {
		free(l->open);
		free(l);
		return err;
	}
	*ret = l;
	return 0;
}

/* --- finding them; not uthash: its links are 56 bytes in each row --- */

/*
 * The functions of one of the two tables. The newest come first in their list, which no one depends on. `_find` is for a key;
 * `_add` steals what it adds: 0, or -ENOMEM. `_drop` takes out what *at points to, for loops over the list.
 */
#define TABLE(name, type)                                                                                              \
	static struct type *name##_find(const struct vst_locks *l, const void *key, size_t size)                       \
	{                                                                                                              \
		struct type *x;                                                                                        \
                                                                                                                       \
		if (!l->name##_hashes)                                                                                 \
			return NULL;                                                                                   \
		x = l->name##_hash[hash_of(key, size) & (l->name##_hashes - 1)];                                       \
		while (x && memcmp(&x->key, key, size))                                                                \
			x = x->same_hash;                                                                              \
		return x;                                                                                              \
	}                                                                                                              \
                                                                                                                       \
	static void name##_link(struct vst_locks *l, struct type *x)                                                   \
	{                                                                                                              \
		struct type **at = &l->name##_hash[hash_of(&x->key, sizeof(x->key)) & (l->name##_hashes - 1)];         \
                                                                                                                       \
		x->same_hash = *at;                                                                                    \
		*at = x;                                                                                               \
	}                                                                                                              \
                                                                                                                       \
	static int name##_add(struct vst_locks *l, struct type *x)                                                     \
	{                                                                                                              \
		unsigned int n = l->name##_hashes ? 2 * l->name##_hashes : 64;                                         \
		struct type **hash;                                                                                    \
                                                                                                                       \
		if (l->n_all_##name##s >= l->name##_hashes) {                                                          \
			hash = calloc(n, sizeof(*hash));                                                               \
			if (!hash)                                                                                     \
				return -ENOMEM;                                                                        \
			free(l->name##_hash);                                                                          \
			l->name##_hash = hash;                                                                         \
			l->name##_hashes = n;                                                                          \
			for (struct type *old = l->name##s; old; old = old->next)                                      \
				name##_link(l, old);                                                                   \
		}                                                                                                      \
		name##_link(l, x);                                                                                     \
		x->next = l->name##s;                                                                                  \
		l->name##s = x;                                                                                        \
		l->n_all_##name##s++;                                                                                  \
		return 0;                                                                                              \
	}                                                                                                              \
                                                                                                                       \
	static void name##_drop(struct vst_locks *l, struct type **at)                                                 \
	{                                                                                                              \
		struct type *x = *at,                                                                                  \
			    **same = &l->name##_hash[hash_of(&x->key, sizeof(x->key)) & (l->name##_hashes - 1)];       \
                                                                                                                       \
		while (*same != x)                                                                                     \
			same = &(*same)->same_hash;                                                                    \
		*same = x->same_hash;                                                                                  \
		*at = x->next;                                                                                         \
		l->n_all_##name##s--;                                                                                  \
		name##_free(l, x);                                                                                     \
	}

static void row_free(struct vst_locks *l, struct vst_lock_row *row)
{
	vst_wait_row_end(l->wait_rows, &row->row);
	free(row->old_hist);
	free(row->at.on);
	free(row);
}

static void blame_free(struct vst_locks *l, struct vst_lock_blame *b)
{
	vst_wait_row_end(l->wait_rows, &b->row);
	free(b->at.on);
	free(b);
}

TABLE(row, vst_lock_row)
TABLE(blame, vst_lock_blame)

void vst_locks_free(struct vst_locks *l)
{
	if (!l)
		return;
	while (l->rows)
		row_drop(l, &l->rows);
	while (l->blames)
		blame_drop(l, &l->blames);
	free(l->row_hash);
	free(l->blame_hash);
	vst_lock_naming_free(l->naming);
	free(l->open);
	free(l->on_rows);
	free(l->on_blames);
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
static void longest_take(struct vst_wait_row *row, struct vst_lock_sums *sums, const struct vst_lock_maps *m, __u64 *ns,
			 __u64 lock, double now)
{
	__u64 waited = __atomic_exchange_n(ns, 0, __ATOMIC_RELAXED);
	char text[VST_LOCK_OBJECT_TEXT];

	if (row->changed_at < now) /* the first place in this collection */
		sums->longest_ns = 0;
	row->changed_at = now;
	if (waited <= sums->longest_ns || !vst_lock_object_text(m->objects, lock, text))
		return;
	sums->longest_ns = waited;
	vst_wait_row_texts(row, &(struct vst_wait_texts){ .object = text });
}

/* The lock's name and how it is known, in a value that is to be changed. */
static void name_set(struct vst_locks *l, struct vst_wait_row *row, __u64 what)
{
	const struct vst_lock_named *named = vst_lock_naming_get(l->naming, what);

	if (row->value->type == VST_WAIT_FREEZE) /* named after its file system */
		return;
	row->value->named_by = named->by;
	vst_wait_row_texts_shared(l->wait_rows, row, &(struct vst_wait_texts){ .name = named->name });
}

/* Makes new values where a lock got a better name. */
static int rename_all(struct vst_locks *l)
{
	unsigned int changes = vst_lock_naming_changes(l->naming);
	struct vst_lock_blame *b;
	struct vst_lock_row *row;

	if (l->named == changes)
		return 0;
	for (row = l->rows; row; row = row->next) {
		if (row->row.value->type == VST_WAIT_FREEZE ||
		    !strcmp(row->row.value->name, vst_lock_naming_get(l->naming, row->key.what)->name))
			continue;
		if (!vst_wait_row_change(l->wait_rows, &row->row, 0))
			return -ENOMEM;
		name_set(l, &row->row, row->key.what);
	}
	for (b = l->blames; b; b = b->next) {
		if (b->row.value->type == VST_WAIT_FREEZE ||
		    !strcmp(b->row.value->name, vst_lock_naming_get(l->naming, b->key.what)->name))
			continue;
		if (!vst_wait_row_change(l->wait_rows, &b->row, 0))
			return -ENOMEM;
		name_set(l, &b->row, b->key.what);
	}
	l->named = changes;
	return 0;
}

/* Fills in a row of a new key. A lock that only a freeze holds stands for the file system that is frozen. 0 or -ENOMEM. */
static int row_init(struct vst_locks *l, struct vst_wait_row *row, enum vst_wait_side side, __u64 what,
		    struct vst_container *waiter, struct vst_container *holder, const struct vst_lock_maps *m)
{
	__u32 id = VST_LOCK_WHAT_CLASS(what), type = VST_LOCK_WHAT_TYPE(what);
	char object[VST_LOCK_OBJECT_TEXT];
	struct vst_lock_class class = { 0 };
	bool freeze;

	freeze = type == VST_LOCK_PERCPU_RWSEM && !bpf_map_lookup_elem(m->classes_fd, &id, &class) &&
		 class.kind == VST_LOCK_KIND_FREEZE;
	if (vst_wait_row_init(l->wait_rows, row, freeze ? VST_WAIT_FREEZE : VST_WAIT_LOCK, side, waiter, holder))
		return -ENOMEM;
	row->value->lock_type = type;
	if (!freeze) {
		name_set(l, row, what);
		return 0;
	}
	class.name[sizeof(class.name) - 1] = 0;
	row->value->dev = (__u32) class.a;
	snprintf(object, sizeof(object), "file system on %s", class.name); /* as vst_lock_object_text() calls it */
	vst_wait_row_texts(row, &(struct vst_wait_texts){ .name = class.name, .object = object });
	return 0;
}

/* --- rows --- */

struct vst_lock_row *vst_locks_row_of(struct vst_locks *l, const struct vst_lock_maps *m, __u64 owner, __u64 what,
				      struct vst_owners *owners, double now)
{
	struct vst_lock_row_key whole = { owner, VST_LOCK_WHAT_NO_CPU(what) };
	struct vst_lock_row *row;

	row = row_find(l, &whole, sizeof(whole));
	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row || row_init(l, &row->row, VST_WAIT_OF_WAITER, what, container_of_owner(owners, owner, now), NULL, m)) {
		free(row);
		return NULL;
	}
	row->key = whole;
	if (row_add(l, row)) {
		row_free(l, row);
		return NULL;
	}
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
	v->times.sum_ns = total;
	v->times.max_ns = max;
	vst_locks_ended(&row->at, total, v);
	return 0;
}

/*
 * A row without a place has its histogram only in its value, which knows it without the empty buckets. It gets a place again:
 * what the value has becomes what earlier places counted. NULL if out of memory.
 */
static struct vst_lock_hist *old_hist_of(const struct vst_snap_wait *v)
{
	struct vst_lock_hist *old = calloc(1, sizeof(*old));

	for (unsigned int i = 0; old && i < v->times.hist.n; i++)
		old->n[v->times.hist.bucket[i].index] = (__u32)v->times.hist.bucket[i].n;
	return old;
}

/* The row at a place where somebody waited. */
static struct vst_lock_row *row_at(struct vst_locks *l, const struct vst_lock_maps *m, struct vst_owners *owners,
				   __u32 at, double now)
{
	struct vst_lock_row *row = l->row_at[at];

	row = row ?: vst_locks_row_of(l, m, m->rows[at].owner, m->rows[at].what, owners, now);

	if (!row || l->row_at[at])
		return row;
	if (!row->at.n && row->row.value->times.hist.n) {
		row->old_hist = old_hist_of(row->row.value);
		if (!row->old_hist)
			return NULL;
	}
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
		longest_take(&row->row, &row->at, m, &m->rows[at].object_ns, m->rows[at].object, now);
		vst_lock_naming_want(l->naming, what);
	}
	for (row = l->rows; row && !err; row = row->next)
		if (row->row.changed_at >= now)
			err = row_read(l, row, m);
	return err;
}

/* --- pairs --- */

struct vst_lock_blame *vst_locks_blame_of(struct vst_locks *l, const struct vst_lock_maps *m, __u64 waiter,
					  __u64 holder, __u64 what, struct vst_owners *owners, double now)
{
	struct vst_lock_who key = { waiter, holder, VST_LOCK_WHAT_NO_CPU(what) };
	struct vst_lock_blame *b;

	b = blame_find(l, &key, sizeof(key));
	if (b)
		return b;
	b = calloc(1, sizeof(*b));
	if (!b || row_init(l, &b->row, VST_WAIT_OF_PAIR, what, container_of_owner(owners, waiter, now),
			   container_of_owner(owners, holder, now), m)) {
		free(b);
		return NULL;
	}
	b->key = key;
	vst_wait_row_texts_shared(
		l->wait_rows, &b->row,
		&(struct vst_wait_texts){ .evidence = vst_lock_evidence_name(VST_LOCK_WHAT_EVIDENCE(key.what)) });
	if (blame_add(l, b)) {
		blame_free(l, b);
		return NULL;
	}
	return b;
}

static int blame_read(struct vst_locks *l, struct vst_lock_blame *b, const struct vst_lock_maps *m)
{
	struct vst_snap_wait *v = vst_wait_row_change(l->wait_rows, &b->row, 0);
	__u64 ended = b->at.old_ns;
	__u32 at;

	if (!v)
		return -ENOMEM;
	v->waits = b->at.old_waits;
	for (at = b->at.first; at; at = l->blame_next[at - 1]) {
		v->waits += __atomic_load_n(&m->pairs[at - 1].waits, __ATOMIC_RELAXED);
		ended += __atomic_load_n(&m->pairs[at - 1].ns, __ATOMIC_RELAXED);
	}
	vst_locks_ended(&b->at, ended, v);
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
	struct vst_lock_blame *b = l->blame_at[at];
	const struct vst_lock_pair *p = &m->pairs[at];

	b = b ?: vst_locks_blame_of(l, m, p->waiter, p->holder, p->what, owners, now);

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
		longest_take(&b->row, &b->at, m, &m->pairs[at].object_ns, m->pairs[at].object, now);
		vst_lock_naming_want(l->naming, what);
	}
	for (b = l->blames; b && !err; b = b->next) {
		if (b->row.changed_at < now)
			continue;
		err = blame_read(l, b, m);
		if (!err)
			stack_take(b, m);
	}
	return err;
}

/*
 * The tables change while they are read. What has ended is read until none of the waits that are taken for going on has ended
 * meanwhile: then none is counted twice, and none is left out.
 */
#define TRIES 8

int vst_locks_collect(struct vst_locks *l, const struct vst_probes *probes, struct vst_owners *owners, double now)
{
	const struct vst_lock_maps *m = &vst_probes_maps(probes)->lock;
	int err, on, tries = 0;
	bool stay;

	if (!m->pairs)
		return 0;
	vst_locks_open_find(l, probes, (__u64)(now * 1e9));
	do {
		err = collect_rows(l, m, owners, now);
		err = err ?: collect_blames(l, m, owners, now);
		stay = vst_lock_open_stay(l->open, &l->n_open);
	} while (!err && !stay && ++tries < TRIES);
	if (!stay)
		l->n_open = 0; /* that busy, nobody waits for long */
	on = vst_locks_open_collect(l, probes, owners, (__u64)(now * 1e9));
	err = err ?: on;
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
	if (!row->at.n) {
		free(row->old_hist);
		row->old_hist = NULL;
	}
	__atomic_store_n(&m->rtags[at], 0, __ATOMIC_RELEASE);
}

static void reclaim_rows(struct vst_locks *l, const struct vst_lock_maps *m, struct vst_owners *owners, double now)
{
	bool crowded = l->n_rows > VST_LOCK_ROWS / 2;
	struct vst_lock_row *row, **each;
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
	for (each = &l->rows; (row = *each);) {
		if (!row->at.n && !(row->at.on && row->at.on->listed) &&
		    (now - row->row.changed_at > VST_KEEP_DEAD || row->row.waiter->crowded_out))
			row_drop(l, each);
		else
			each = &row->next;
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
	struct vst_lock_blame *b, **each;
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
	for (each = &l->blames; (b = *each);) {
		if (!b->at.n && !(b->at.on && b->at.on->listed) &&
		    (now - b->row.changed_at > VST_KEEP_DEAD || b->row.waiter->crowded_out ||
		     b->row.holder->crowded_out))
			blame_drop(l, each);
		else
			each = &b->next;
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
