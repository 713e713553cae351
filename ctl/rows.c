/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include "rows.h"

/* All rows are asked for after this many seconds, so that those which are gone for good can be forgotten. */
#define FULL_EVERY_S 300

struct vst_rows {
	struct vst_row **table; /* by id, chained */
	size_t slots, used;
	struct vst_row **seen; /* in this reply */
	size_t nseen, seen_cap;
	struct vst_delta *deltas;
	size_t ndeltas, deltas_cap;
	struct vst_snapshot before, last, now; /* as committed: the one before, the last; of this reply */
	bool full, has_snapshot;
	double full_at, interval;
	__u64 reply;
	char path[64];
};

static const char *const times_wire[] = {
	[VST_TIME_DEVICE] = "device_time",
	[VST_TIME_LATENCY] = "latency",
	[VST_TIME_QUEUE] = "queue",
};
_Static_assert(sizeof(times_wire) / sizeof(times_wire[0]) == VST_TIME__N, "one name for each of VST_TIMES");

static int index_of(const char *name, const char *(*names)(unsigned int))
{
	const char *n;

	for (unsigned int i = 0; (n = names(i)); i++)
		if (!strcmp(n, name))
			return (int)i;
	return -1;
}

static void snapshot_clear(struct vst_snapshot *s)
{
	json_decref(s->self);
	memset(s, 0, sizeof(*s));
}

static void counts_clear(struct vst_counts *c)
{
	for (int t = 0; t < VST_TIME__N; t++)
		free(c->times[t].buckets.b);
	memset(c, 0, sizeof(*c));
}

static void row_free(struct vst_row *row)
{
	counts_clear(&row->base);
	counts_clear(&row->now);
	json_decref(row->patterns);
	free(row->text);
	free(row);
}

static void forget_deltas(struct vst_rows *r)
{
	for (size_t i = 0; i < r->ndeltas; i++)
		counts_clear(&r->deltas[i].counts);
	r->ndeltas = 0;
}

static void forget_rows(struct vst_rows *r)
{
	struct vst_row *row;

	forget_deltas(r);
	for (size_t i = 0; i < r->slots; i++) {
		while ((row = r->table[i])) {
			r->table[i] = row->next;
			row_free(row);
		}
	}
	r->used = r->nseen = 0;
}

struct vst_rows *vst_rows_new(void)
{
	struct vst_rows *r = vst_alloc(sizeof(*r));

	r->slots = 256;
	r->table = vst_alloc(r->slots * sizeof(*r->table));
	return r;
}

void vst_rows_free(struct vst_rows *r)
{
	if (!r)
		return;
	forget_rows(r);
	snapshot_clear(&r->before);
	snapshot_clear(&r->last);
	snapshot_clear(&r->now);
	free(r->table);
	free(r->seen);
	free(r->deltas);
	free(r);
}

static size_t slot_of(__u64 id, size_t slots)
{
	return (size_t)(id * 0x9e3779b97f4a7c15ULL >> 20) & (slots - 1);
}

static void table_double(struct vst_rows *r)
{
	size_t slots = r->slots * 2;
	struct vst_row **table = vst_alloc(slots * sizeof(*table)), *row;

	for (size_t i = 0; i < r->slots; i++) {
		while ((row = r->table[i])) {
			r->table[i] = row->next;
			row->next = table[slot_of(row->id, slots)];
			table[slot_of(row->id, slots)] = row;
		}
	}
	free(r->table);
	r->table = table;
	r->slots = slots;
}

static struct vst_row *row_get(struct vst_rows *r, __u64 id)
{
	struct vst_row *row, **slot;

	for (row = r->table[slot_of(id, r->slots)]; row; row = row->next)
		if (row->id == id)
			return row;
	if (r->used == r->slots)
		table_double(r);
	row = vst_alloc(sizeof(*row));
	row->id = id;
	slot = &r->table[slot_of(id, r->slots)];
	row->next = *slot;
	*slot = row;
	r->used++;
	return row;
}

static int take_u64(const json_t *obj, const char *field, __u64 *ret)
{
	const json_t *v = json_object_get(obj, field);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return -EPROTO;
	*ret = (__u64)json_integer_value(v);
	return 0;
}

static int take_number(const json_t *obj, const char *field, double *ret)
{
	const json_t *v = json_object_get(obj, field);

	if (!json_is_number(v) || json_number_value(v) < 0)
		return -EPROTO;
	*ret = json_number_value(v);
	return 0;
}

/* The buckets of dense[VST_HIST_BUCKETS] that are not 0. */
static void buckets_pack(struct vst_buckets *b, const __u64 *dense)
{
	unsigned int n = 0;

	for (__u32 i = 0; i < VST_HIST_BUCKETS; i++)
		n += dense[i] != 0;
	b->n = 0;
	b->b = n ? vst_alloc(n * sizeof(*b->b)) : NULL;
	for (__u32 i = 0; i < VST_HIST_BUCKETS; i++)
		if (dense[i])
			b->b[b->n++] = (struct vst_bucket){ i, dense[i] };
}

void vst_buckets_add(const struct vst_buckets *b, __u64 *dense)
{
	for (unsigned int i = 0; i < b->n; i++)
		dense[b->b[i].index] += b->b[i].count;
}

/* A histogram of the wire. One that is not there has no samples. */
static int take_times(const json_t *obj, struct vst_times *t)
{
	__u64 dense[VST_HIST_BUCKETS] = { 0 };
	json_t *list, *pair;
	size_t i;

	if (!obj)
		return 0;
	list = json_object_get(obj, "buckets");
	if (take_number(obj, "sum_us", &t->sum_us) || take_number(obj, "max_us", &t->max_us) || !json_is_array(list))
		return -EPROTO;
	json_array_foreach(list, i, pair)
	{
		json_t *index = json_array_get(pair, 0), *count = json_array_get(pair, 1);

		if (!json_is_integer(index) || !json_is_integer(count) || json_integer_value(index) < 0 ||
		    json_integer_value(index) >= VST_HIST_BUCKETS || json_integer_value(count) < 0)
			return -EPROTO;
		dense[json_integer_value(index)] += (__u64)json_integer_value(count);
	}
	buckets_pack(&t->buckets, dense);
	return 0;
}

static int take_counts(const json_t *line, struct vst_counts *c)
{
	counts_clear(c);
#define X(f, d)                                                                                                        \
	if (take_u64(line, #f, &c->f))                                                                                 \
		return -EPROTO;
	VST_COUNTERS(X)
#undef X
	for (int t = 0; t < VST_TIME__N; t++)
		if (take_times(json_object_get(line, times_wire[t]), &c->times[t]))
			return -EPROTO;
	return 0;
}

static int take_labels(const json_t *line, struct vst_row *row)
{
	const char *texts[] = {
#define X(f) json_string_value(json_object_get(line, #f)),
		VST_LABELS(X)
#undef X
	};
	size_t n = sizeof(texts) / sizeof(texts[0]), len = 0;
	char *text, *p;

	for (size_t i = 0; i < n; i++) {
		if (!texts[i])
			return -EPROTO;
		len += strlen(texts[i]) + 1;
	}
	text = p = vst_alloc(len);
	for (size_t i = 0; i < n; i++)
		p = stpcpy(p, texts[i]) + 1;
	if (row->text && row->text_len == len && !memcmp(row->text, text, len)) {
		free(text);
		return 0;
	}
	free(row->text);
	row->text = p = text;
	row->text_len = len;
#define X(f) row->f = p, p += strlen(p) + 1;
	VST_LABELS(X)
#undef X
	row->op_index = index_of(row->op, vst_op_name);
	row->kind_index = index_of(row->kind, vst_kind_name);
	row->size_index = index_of(row->size, vst_size_name);
	return 0;
}

static int take_row(struct vst_rows *r, const json_t *line)
{
	json_t *patterns = json_object_get(line, "patterns");
	struct vst_row *row;
	__u64 id, class;

	if (take_u64(line, "row", &id) || take_u64(line, "class", &class) || !json_is_array(patterns))
		return -EPROTO;
	row = row_get(r, id);
	if (take_labels(line, row) || take_counts(line, &row->now))
		return -EPROTO;
	row->class = (unsigned int)class;
	json_decref(row->patterns);
	row->patterns = json_array_size(patterns) ? json_incref(patterns) : NULL;
	if (row->reply != r->reply) {
		row->reply = r->reply;
		r->seen = vst_grow(r->seen, r->nseen, &r->seen_cap, sizeof(struct vst_row *));
		r->seen[r->nseen++] = row;
	}
	return 0;
}

static int take_snapshot(struct vst_rows *r, const json_t *line)
{
	const char *instance = json_string_value(json_object_get(line, "instance"));
	struct vst_snapshot *s = &r->now;

	if (!instance || !*instance || strlen(instance) >= sizeof(s->instance))
		return -EPROTO;
	if (take_u64(line, "seq", &s->seq) || take_number(line, "time", &s->time) ||
	    take_number(line, "uptime", &s->uptime))
		return -EPROTO;
	strcpy(s->instance, instance);
	s->self = json_incref(json_object_get(line, "self"));
	r->has_snapshot = true;
	return 0;
}

const char *vst_rows_begin(struct vst_rows *r)
{
	forget_deltas(r);
	snapshot_clear(&r->now);
	r->has_snapshot = false;
	r->nseen = 0;
	r->reply++;
	r->full = !*r->last.instance || r->last.uptime - r->full_at >= FULL_EVERY_S;
	if (r->full)
		snprintf(r->path, sizeof(r->path), "/v1/io");
	else
		snprintf(r->path, sizeof(r->path), "/v1/io?since=%llu", (unsigned long long)r->last.seq);
	return r->path;
}

int vst_rows_line(void *rows, json_t *line)
{
	struct vst_rows *r = rows;
	const char *type = json_string_value(json_object_get(line, "type"));

	if (!type)
		return -EPROTO;
	if (!strcmp(type, "snapshot"))
		return r->has_snapshot ? -EPROTO : take_snapshot(r, line);
	if (!strcmp(type, "row"))
		return r->has_snapshot ? take_row(r, line) : -EPROTO;
	return 0; /* a newer agent may have more to say */
}

static __u64 less(__u64 now, __u64 base)
{
	return now > base ? now - base : 0;
}

/*
 * The longest of the interval. If the longest ever grew, it is that one; if not, what is known is the bucket of the
 * interval's slowest, and that none was slower than the longest ever.
 */
static double interval_max(const struct vst_times *now, const struct vst_times *base, const struct vst_buckets *diff)
{
	double upper;

	if (!diff->n || (!now->max_us && !diff->b[diff->n - 1].index))
		return 0; /* nothing happened, or none of it ever took any time */
	if (now->max_us > base->max_us || diff->b[diff->n - 1].index == VST_HIST_BUCKETS - 1)
		return now->max_us; /* the last bucket has no end */
	upper = (double)vst_hist_lower(diff->b[diff->n - 1].index + 1) / 1e3;
	return now->max_us > 0 && upper > now->max_us ? now->max_us : upper;
}

static void times_diff(struct vst_times *ret, const struct vst_times *now, const struct vst_times *base)
{
	__u64 dense[VST_HIST_BUCKETS] = { 0 };

	vst_buckets_add(&now->buckets, dense);
	for (unsigned int i = 0; i < base->buckets.n; i++) {
		__u64 *n = &dense[base->buckets.b[i].index];

		*n = less(*n, base->buckets.b[i].count);
	}
	buckets_pack(&ret->buckets, dense);
	ret->sum_us = now->sum_us > base->sum_us ? now->sum_us - base->sum_us : 0;
	ret->max_us = interval_max(now, base, &ret->buckets);
}

static void add_delta(struct vst_rows *r, struct vst_row *row)
{
	struct vst_counts d = { 0 };
	__u64 any = 0;

#define X(f, t) any |= d.f = less(row->now.f, row->base.f);
	VST_COUNTERS(X)
#undef X
	if (any) {
		for (int t = 0; t < VST_TIME__N; t++)
			times_diff(&d.times[t], &row->now.times[t], &row->base.times[t]);
		r->deltas = vst_grow(r->deltas, r->ndeltas, &r->deltas_cap, sizeof(*r->deltas));
		r->deltas[r->ndeltas++] = (struct vst_delta){ row, d };
	}
	counts_clear(&row->base);
	row->base = row->now;
	memset(&row->now, 0, sizeof(row->now));
}

/* Rows that a complete reply does not have any more will not come back. */
static void forget_unseen(struct vst_rows *r)
{
	struct vst_row *row, **p;

	for (size_t i = 0; i < r->slots; i++) {
		for (p = &r->table[i]; (row = *p);) {
			if (row->reply == r->reply) {
				p = &row->next;
				continue;
			}
			*p = row->next;
			r->used--;
			row_free(row);
		}
	}
}

int vst_rows_commit(struct vst_rows *r, enum vst_commit *ret)
{
	bool first = !*r->last.instance;

	if (!r->has_snapshot)
		return -EPROTO;
	if (!first && strcmp(r->last.instance, r->now.instance)) {
		forget_rows(r);
		snapshot_clear(&r->before);
		snapshot_clear(&r->last);
		*ret = VST_COMMIT_RESTARTED;
		return 0;
	}
	if (r->full) {
		forget_unseen(r);
		r->full_at = r->now.uptime;
	}
	for (size_t i = 0; i < r->nseen; i++)
		add_delta(r, r->seen[i]);
	r->interval = first ? r->now.uptime : r->now.uptime - r->last.uptime;
	snapshot_clear(&r->before);
	r->before = r->last;
	r->last = r->now;
	memset(&r->now, 0, sizeof(r->now));
	*ret = first ? VST_COMMIT_FIRST : VST_COMMIT_SAMPLE;
	return 0;
}

const struct vst_delta *vst_rows_deltas(const struct vst_rows *r, size_t *n)
{
	*n = r->ndeltas;
	return r->deltas;
}

const struct vst_snapshot *vst_rows_snapshot(const struct vst_rows *r)
{
	return &r->last;
}

const struct vst_snapshot *vst_rows_before(const struct vst_rows *r)
{
	return &r->before;
}

double vst_rows_interval(const struct vst_rows *r)
{
	return r->interval;
}

double vst_dense_quantile(const __u64 *dense, double q, double max_us)
{
	return max_us > 0 ? vst_hist_quantile_us(dense, q, (__u64)(max_us * 1e3)) : 0;
}

double vst_times_quantile(const struct vst_times *t, double q)
{
	__u64 dense[VST_HIST_BUCKETS] = { 0 };

	vst_buckets_add(&t->buckets, dense);
	return vst_dense_quantile(dense, q, t->max_us);
}
