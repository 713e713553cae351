/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include "rows.h"

/* Ask for all rows after this many seconds, to forget those that no longer exist. */
#define FULL_EVERY_S 300

struct vst_rows {
	struct vst_wire_row **table; /* by id, chained */
	size_t slots, used;
	struct vst_wire_row **seen; /* in this reply */
	size_t nseen, seen_cap;
	struct vst_io_delta *deltas;
	size_t ndeltas, deltas_cap;
	struct vst_reply_head before, last, now; /* of the last two committed replies, and of this one */
	json_t *alarms;				 /* of this reply; NULL: none */
	bool full, has_head;
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

static void head_clear(struct vst_reply_head *s)
{
	json_decref(s->self);
	memset(s, 0, sizeof(*s));
}

static void counts_clear(struct vst_counts *c)
{
	for (int t = 0; t < VST_TIME__N; t++)
		free(c->time[t].hist.bucket);
	memset(c, 0, sizeof(*c));
}

static void row_free(struct vst_wire_row *row)
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
		free(r->deltas[i].buckets);
	r->ndeltas = 0;
}

static void forget_rows(struct vst_rows *r)
{
	struct vst_wire_row *row;

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
	head_clear(&r->before);
	head_clear(&r->last);
	head_clear(&r->now);
	json_decref(r->alarms);
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
	struct vst_wire_row **table = vst_alloc(slots * sizeof(*table)), *row;

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

static struct vst_wire_row *row_get(struct vst_rows *r, __u64 id)
{
	struct vst_wire_row *row, **slot;

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

static int take_counts(const json_t *line, struct vst_counts *c)
{
	counts_clear(c);
#define X(f, d)                                                                                                        \
	if (vst_wire_u64(line, #f, &c->counter[VST_COUNTER_##f]))                                                      \
		return -EPROTO;
	VST_COUNTERS(X)
#undef X
	for (int t = 0; t < VST_TIME__N; t++)
		if (vst_wire_times(json_object_get(line, times_wire[t]), &c->time[t]))
			return -EPROTO;
	return 0;
}

/* These labels identify a row. An older agent may lack others. */
static int check_labels(const json_t *line)
{
	static const char *const needed[] = { "container", "cgroup", "device" };

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!json_is_string(json_object_get(line, needed[i])))
			return -EPROTO;
	return 0;
}

/* Patterns and class tell rows apart like labels do: what a file is, is found out while it is written. */
static void take_marks(struct vst_wire_row *row, const json_t *patterns, __u64 class)
{
	size_t i, len = 0;
	json_t *p;

	json_array_foreach(patterns, i, p) if (json_is_string(p) && len < sizeof(row->marks)) len +=
		(size_t)snprintf(row->marks + len, sizeof(row->marks) - len, "%s,", json_string_value(p));
	if (len >= sizeof(row->marks))
		len = sizeof(row->marks) - 1;
	snprintf(row->marks + len, sizeof(row->marks) - len, "%llu", (unsigned long long)class);
}

static void take_labels(const json_t *line, struct vst_wire_row *row)
{
	const char *texts[] = {
#define X(f) vst_wire_text(line, #f),
		VST_LABELS(X)
#undef X
	};
	size_t n = sizeof(texts) / sizeof(texts[0]), len = 0;
	const char *marks = row->marks;
	char *text, *p;

	for (size_t i = 0; i < n; i++)
		len += strlen(texts[i]) + 1;
	len += strlen(marks) + 1;
	text = p = vst_alloc(len);
	for (size_t i = 0; i < n; i++)
		p = stpcpy(p, texts[i]) + 1;
	memcpy(p, marks, strlen(marks) + 1);
	if (row->text && row->text_len == len && !memcmp(row->text, text, len)) {
		free(text);
		return;
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
}

static int take_row(struct vst_rows *r, const json_t *line)
{
	json_t *patterns = json_object_get(line, "patterns");
	struct vst_wire_row *row;
	__u64 id, class;

	if (!json_is_integer(json_object_get(line, "row")) || vst_wire_u64(line, "row", &id) ||
	    vst_wire_u64(line, "class", &class) || (patterns && !json_is_array(patterns)) || check_labels(line))
		return -EPROTO;
	row = row_get(r, id);
	take_marks(row, patterns, class);
	take_labels(line, row);
	if (take_counts(line, &row->now) || vst_wire_open(json_object_get(line, "in_flight"), "ios", &row->in_flight))
		return -EPROTO;
	row->class = (unsigned int)class;
	json_decref(row->patterns);
	row->patterns = json_array_size(patterns) ? json_incref(patterns) : NULL;
	if (row->reply != r->reply) {
		row->reply = r->reply;
		r->seen = vst_grow(r->seen, r->nseen, &r->seen_cap, sizeof(struct vst_wire_row *));
		r->seen[r->nseen++] = row;
	}
	return 0;
}

static int take_head(struct vst_rows *r, const json_t *line)
{
	const char *instance = json_string_value(json_object_get(line, "instance"));
	struct vst_reply_head *s = &r->now;

	if (!instance || !*instance || strlen(instance) >= sizeof(s->instance))
		return -EPROTO;
	if (vst_wire_u64(line, "seq", &s->seq) || vst_wire_number(line, "time", &s->time) ||
	    vst_wire_number(line, "uptime", &s->uptime))
		return -EPROTO;
	strcpy(s->instance, instance);
	s->self = json_incref(json_object_get(line, "self"));
	r->has_head = true;
	return 0;
}

const char *vst_rows_begin(struct vst_rows *r)
{
	forget_deltas(r);
	head_clear(&r->now);
	json_decref(r->alarms);
	r->alarms = NULL;
	r->has_head = false;
	r->nseen = 0;
	r->reply++;
	r->full = !*r->last.instance || r->last.uptime - r->full_at >= FULL_EVERY_S;
	if (r->full)
		snprintf(r->path, sizeof(r->path), "/v1/io");
	else
		snprintf(r->path, sizeof(r->path), "/v1/io?since=%llu", (unsigned long long)r->last.seq);
	return r->path;
}

static int take_alarm(struct vst_rows *r, json_t *line)
{
	if (!json_is_string(json_object_get(line, "container")) || !json_is_string(json_object_get(line, "cgroup")))
		return -EPROTO;
	if (!r->alarms)
		r->alarms = json_array();
	json_array_append(r->alarms, line);
	return 0;
}

const json_t *vst_rows_alarms(const struct vst_rows *r)
{
	return r->alarms;
}

int vst_rows_line(void *rows, json_t *line)
{
	struct vst_rows *r = rows;
	const char *type = json_string_value(json_object_get(line, "type"));

	if (!type)
		return -EPROTO;
	if (!strcmp(type, "snapshot"))
		return r->has_head ? -EPROTO : take_head(r, line);
	if (!strcmp(type, "row"))
		return r->has_head ? take_row(r, line) : -EPROTO;
	if (!strcmp(type, "alarm"))
		return r->has_head ? take_alarm(r, line) : -EPROTO;
	return 0; /* lines of other types are from a newer agent */
}

static void add_delta(struct vst_rows *r, struct vst_wire_row *row)
{
	size_t room = vst_delta_room(&row->now);
	struct vst_io_delta d = {
		.row = row,
		.in_flight = row->in_flight,
		.buckets = room ? vst_alloc(room * sizeof(*d.buckets)) : NULL,
	};

	if (vst_delta_counts(&d.counts, &row->now, &row->base, d.buckets) || d.in_flight.n > 0) {
		r->deltas = vst_grow(r->deltas, r->ndeltas, &r->deltas_cap, sizeof(*r->deltas));
		r->deltas[r->ndeltas++] = d;
	} else {
		free(d.buckets);
	}
	counts_clear(&row->base);
	row->base = row->now;
	memset(&row->now, 0, sizeof(row->now));
}

/* Puts rows with equal labels next to each other, the youngest first. */
static int by_labels(const void *a, const void *b)
{
	const struct vst_wire_row *x = ((const struct vst_io_delta *)a)->row,
				  *y = ((const struct vst_io_delta *)b)->row;
	int d = x->text_len == y->text_len ? memcmp(x->text, y->text, x->text_len) : x->text_len < y->text_len ? -1 : 1;

	return d ? d : x->id > y->id ? -1 : x->id < y->id;
}

static bool equal_labels(const struct vst_wire_row *x, const struct vst_wire_row *y)
{
	return x->text_len == y->text_len && !memcmp(x->text, y->text, x->text_len);
}

static void merge_delta(struct vst_io_delta *into, struct vst_io_delta *d)
{
	struct vst_bucket *buckets = vst_alloc((size_t)VST_TIME__N * VST_HIST_BUCKETS * sizeof(*buckets));
	size_t used = 0;

	for (int c = 0; c < VST_COUNTER__N; c++)
		into->counts.counter[c] += d->counts.counter[c];
	for (int t = 0; t < VST_TIME__N; t++) {
		struct vst_histogram h = { 0 };
		struct vst_times *sum = &into->counts.time[t];

		vst_histogram_add(&h, sum, NULL);
		vst_histogram_add(&h, &d->counts.time[t], NULL);
		sum->hist.bucket = buckets + used;
		sum->hist.n = (unsigned int)vst_histogram_pack(h.n, sum->hist.bucket);
		sum->sum_ns = h.sum_ns;
		sum->max_ns = h.max_ns;
		used += sum->hist.n;
	}
	free(into->buckets);
	free(d->buckets);
	into->buckets = buckets;
	vst_open_add(&into->in_flight, &d->in_flight);
}

/* One delta for each set of labels. */
static void merge_deltas(struct vst_rows *r)
{
	size_t kept = 0;

	if (r->ndeltas)
		qsort(r->deltas, r->ndeltas, sizeof(*r->deltas), by_labels);
	for (size_t i = 0; i < r->ndeltas; i++) {
		if (kept && equal_labels(r->deltas[kept - 1].row, r->deltas[i].row))
			merge_delta(&r->deltas[kept - 1], &r->deltas[i]);
		else
			r->deltas[kept++] = r->deltas[i];
	}
	r->ndeltas = kept;
}

/* A row that is missing in a complete reply no longer exists. */
static void forget_unseen(struct vst_rows *r)
{
	struct vst_wire_row *row, **p;

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

int vst_rows_commit(struct vst_rows *r, enum vst_commit_result *ret)
{
	enum vst_delta_base base;

	if (!r->has_head)
		return -EPROTO;
	base = vst_delta_interval(r->now.instance, r->now.uptime, r->last.instance, r->last.uptime, &r->interval);
	if (base == VST_DELTA_RESTARTED) {
		forget_rows(r);
		head_clear(&r->before);
		head_clear(&r->last);
		*ret = VST_COMMIT_RESTARTED;
		return 0;
	}
	if (r->full) {
		forget_unseen(r);
		r->full_at = r->now.uptime;
	}
	for (size_t i = 0; i < r->nseen; i++)
		add_delta(r, r->seen[i]);
	merge_deltas(r);
	head_clear(&r->before);
	r->before = r->last;
	r->last = r->now;
	memset(&r->now, 0, sizeof(r->now));
	*ret = base == VST_DELTA_FIRST ? VST_COMMIT_FIRST : VST_COMMIT_SAMPLE;
	return 0;
}

const struct vst_io_delta *vst_rows_deltas(const struct vst_rows *r, size_t *n)
{
	*n = r->ndeltas;
	return r->deltas;
}

const struct vst_reply_head *vst_rows_head(const struct vst_rows *r)
{
	return &r->last;
}

const struct vst_reply_head *vst_rows_head_before(const struct vst_rows *r)
{
	return &r->before;
}

double vst_rows_interval(const struct vst_rows *r)
{
	return r->interval;
}
