/* SPDX-License-Identifier: GPL-2.0-only */
#include <math.h>
#include "cost.h"
#include "frame.h"

#define CLASSES 6

/* Histograms that a line needs. */
enum { ALL, READS, WRITES, QUEUE, DEVICE, HISTS };

struct sum {
	__u64 ios[VST_OP__N], op_bytes[VST_OP__N];
	__u64 all[VST_COUNTER__N];
	__u64 moved, meta_bytes, size_bytes[VST_SIZE__N], class_weight[CLASSES], witness_ios[VST_WITNESS__N];
	struct vst_histogram hist[HISTS];
	struct vst_open open;
};

const char *vst_frame_text(struct vst_frame *f, const char *s)
{
	if (!*s)
		return "";
	f->texts = vst_grow(f->texts, f->ntexts, &f->texts_cap, sizeof(*f->texts));
	return f->texts[f->ntexts++] = vst_dup(s);
}

static struct vst_line *new_line(struct vst_line **lines, size_t *n, size_t *cap)
{
	struct vst_line *l;

	*lines = vst_grow(*lines, *n, cap, sizeof(**lines));
	l = &(*lines)[(*n)++];
	*l = (struct vst_line){
		.p50 = VST_NO_TIME,
		.p99 = VST_NO_TIME,
		.max = VST_NO_TIME,
		.read_p99 = VST_NO_TIME,
		.write_p99 = VST_NO_TIME,
		.queue_p99 = VST_NO_TIME,
		.device_p99 = VST_NO_TIME,
		.wait = VST_NO_TIME,
		.oldest = VST_NO_TIME,
		.since = VST_NO_TIME,
	};
	return l;
}

struct vst_line *vst_frame_line(struct vst_frame *f)
{
	return new_line(&f->lines, &f->nlines, &f->lines_cap);
}

struct vst_line *vst_frame_total(struct vst_frame *f)
{
	return new_line(&f->totals, &f->ntotals, &f->totals_cap);
}

static void add_hist(struct sum *s, int which, const struct vst_times *t)
{
	vst_histogram_add(&s->hist[which], t, NULL);
}

static double quantile(const struct sum *s, int which, double q)
{
	return s->hist[which].samples ? vst_histogram_quantile(&s->hist[which], q) : VST_NO_TIME;
}

static int witness_index(const char *name)
{
	for (int i = 0; i < VST_WITNESS__N; i++)
		if (!strcmp(name, vst_witness_name((unsigned int)i)))
			return i;
	return VST_WITNESS_NONE;
}

static void add(struct sum *s, const struct vst_io_delta *d)
{
	const struct vst_wire_row *row = d->row;
	/* discarded bytes do not move, so they count neither for the order of lines nor for the shares of sizes */
	__u64 ios = d->counts.counter[VST_COUNTER_ios], all_bytes = d->counts.counter[VST_COUNTER_bytes];
	__u64 bytes = row->op_index == VST_OP_DISCARD ? 0 : all_bytes;

	for (int c = 0; c < VST_COUNTER__N; c++)
		s->all[c] += d->counts.counter[c];
	vst_open_add(&s->open, &d->in_flight);
	s->moved += bytes;
	if (row->op_index >= 0) {
		s->ios[row->op_index] += ios;
		s->op_bytes[row->op_index] += all_bytes;
	}
	if (row->kind_index == VST_KIND_METADATA || row->kind_index == VST_KIND_JOURNAL)
		s->meta_bytes += bytes;
	if (row->size_index >= 0)
		s->size_bytes[row->size_index] += bytes;
	s->class_weight[row->class < CLASSES ? row->class : 0] += bytes + ios;
	s->witness_ios[witness_index(row->witness)] += ios + !ios;
	add_hist(s, ALL, &d->counts.time[VST_TIME_LATENCY]);
	if (row->op_index == VST_OP_READ)
		add_hist(s, READS, &d->counts.time[VST_TIME_LATENCY]);
	if (row->op_index == VST_OP_WRITE)
		add_hist(s, WRITES, &d->counts.time[VST_TIME_LATENCY]);
	add_hist(s, QUEUE, &d->counts.time[VST_TIME_QUEUE]);
	add_hist(s, DEVICE, &d->counts.time[VST_TIME_DEVICE]);
}

static unsigned int most(const __u64 *n, unsigned int len)
{
	unsigned int best = 0;

	for (unsigned int i = 1; i < len; i++)
		if (n[i] > n[best])
			best = i;
	return best;
}

static void fill_line(struct vst_line *l, const struct sum *s, double interval)
{
	double second = vst_delta_rate(1, interval), percent = s->moved ? 100.0 / (double)s->moved : 0;

	for (int i = 0; i < VST_OP__N; i++) {
		l->ops[i] = (double)s->ios[i] * second;
		l->op_bytes[i] = (double)s->op_bytes[i] * second;
	}
#define X(field, w) l->field = (double)s->all[VST_COUNTER_##field] * second;
	VST_COUNTERS(X)
#undef X
	l->bytes = (double)s->moved * second;
	l->meta_percent = (double)s->meta_bytes * percent;
	for (int i = 0; i < VST_SIZE__N; i++)
		l->size_percent[i] = (double)s->size_bytes[i] * percent;
	l->p50 = quantile(s, ALL, 0.5);
	l->p99 = quantile(s, ALL, 0.99);
	l->max = s->hist[ALL].samples ? (double)s->hist[ALL].max_ns / 1e3 : VST_NO_TIME;
	l->read_p99 = quantile(s, READS, 0.99);
	l->write_p99 = quantile(s, WRITES, 0.99);
	l->queue_p99 = quantile(s, QUEUE, 0.99);
	l->device_p99 = quantile(s, DEVICE, 0.99);
	l->class = most(s->class_weight, CLASSES);
	l->witness = vst_witness_name(most(s->witness_ios, VST_WITNESS__N));
	l->open = s->open.n;
	l->oldest = s->open.n > 0 ? s->open.oldest_us : VST_NO_TIME;
}

static int by_container(const struct vst_wire_row *x, const struct vst_wire_row *y)
{
	const struct vst_who wx = { x->container, x->cgroup }, wy = { y->container, y->cgroup };
	int d = vst_who_compare(&wx, &wy);

	return d ? d : strcmp(x->device, y->device);
}

static int by_kind(const struct vst_wire_row *x, const struct vst_wire_row *y)
{
	int d = by_container(x, y);

	d = d ? d : strcmp(x->kind, y->kind);
	return d ? d : strcmp(x->size, y->size);
}

static int compare_kind(const void *a, const void *b)
{
	return by_kind((*(const struct vst_io_delta *const *)a)->row, (*(const struct vst_io_delta *const *)b)->row);
}

static int compare_device(const void *a, const void *b)
{
	const struct vst_wire_row *x = (*(const struct vst_io_delta *const *)a)->row;
	const struct vst_wire_row *y = (*(const struct vst_io_delta *const *)b)->row;

	return strcmp(x->device, y->device);
}

static int compare_bytes(const void *a, const void *b)
{
	const struct vst_line *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x->ios < y->ios ? 1 : x->ios > y->ios ? -1 : 0;
}

static int compare_totals(const void *a, const void *b)
{
	const struct vst_line *x = a, *y = b;
	double dx = x->op_bytes[VST_OP_READ] + x->op_bytes[VST_OP_WRITE];
	double dy = y->op_bytes[VST_OP_READ] + y->op_bytes[VST_OP_WRITE];

	return dx < dy ? 1 : dx > dy ? -1 : strcmp(x->device, y->device);
}

/* Adds one line that sums up d[0..n). Returns its index, because the array may move when the next is added. */
static size_t add_line(struct vst_frame *f, const struct vst_io_delta **d, size_t n)
{
	struct sum *s = vst_alloc(sizeof(*s));
	struct vst_line *l = vst_frame_line(f);

	for (size_t i = 0; i < n; i++)
		add(s, d[i]);
	fill_line(l, s, f->interval);
	free(s);
	return f->nlines - 1;
}

/* Adds the lines of one container and device: d[0..n), sorted by kind and size. */
static void add_group(struct vst_frame *f, const struct vst_io_delta **d, size_t n)
{
	const struct vst_wire_row *row = d[0]->row;
	size_t parent = add_line(f, d, n), from, to, at;
	struct vst_line *p = &f->lines[parent], *child;

	p->container = vst_frame_text(f, row->container);
	p->cgroup = vst_frame_text(f, row->cgroup);
	p->device = vst_frame_text(f, row->device);
	p->layer = vst_frame_text(f, row->layer);
	for (from = 0; from < n; from = to) {
		for (to = from + 1; to < n && !by_kind(d[from]->row, d[to]->row); to++)
			;
		at = add_line(f, d + from, to - from); /* the array may move */
		child = &f->lines[at];
		p = &f->lines[parent];
		child->container = p->container;
		child->cgroup = p->cgroup;
		child->device = p->device;
		child->layer = p->layer;
		child->kind = vst_frame_text(f, d[from]->row->kind);
		child->size = vst_frame_text(f, d[from]->row->size);
		p->children++;
	}
	qsort(p + 1, p->children, sizeof(*p), compare_bytes);
}

static void add_total(struct vst_frame *f, const struct vst_io_delta **d, size_t n)
{
	size_t at = add_line(f, d, n); /* only to compute its sums; it is removed again */
	struct vst_line *t = vst_frame_total(f);

	*t = f->lines[at];
	t->device = vst_frame_text(f, d[0]->row->device);
	f->nlines--;
}

/* What a cause counts. no_event, missed and no_part do not count I/Os; the I/Os that they lose have another cause. */
enum loss { LOSS_OTHER, LOSS_TIMES, LOSS_IO };

static enum loss loss_of(const char *cause)
{
	static const unsigned char of[VST_LOSS__N] = {
		[VST_LOSS_NO_START] = LOSS_TIMES,
		[VST_LOSS_NO_STATE] = LOSS_IO,
		[VST_LOSS_NO_END] = LOSS_TIMES,
		[VST_LOSS_NO_CELL] = LOSS_IO,
	};

	for (unsigned int i = 0; i < VST_LOSS__N; i++)
		if (!strcmp(cause, vst_loss_name(i)))
			return (enum loss)of[i];
	return LOSS_IO; /* newer than this program: better to warn needlessly */
}

static void take_lost(struct vst_frame *f, json_t *lost, const json_t *before)
{
	enum loss loss, worst = LOSS_OTHER;
	double now, most = 0;
	const char *cause;
	json_t *n;

	json_object_foreach(lost, cause, n)
	{
		loss = loss_of(cause);
		if (loss == LOSS_OTHER)
			continue;
		f->lost += json_number_value(n);
		now = before ? json_number_value(n) - json_number_value(json_object_get(before, cause)) : 0;
		if (now <= 0)
			continue;
		f->lost_now += now;
		if (loss < worst || (loss == worst && now <= most))
			continue;
		worst = loss;
		most = now;
		f->lost_cause = vst_frame_text(f, cause);
	}
	f->lost_io = worst == LOSS_IO;
}

static void take_given_up(struct vst_frame *f, const json_t *self)
{
	char *all = vst_cost_given_up(self);

	if (*all)
		f->given_up = vst_frame_text(f, all);
	free(all);
}

static void take_self(struct vst_frame *f, const json_t *self, const json_t *before)
{
	f->cpu_percent = json_number_value(json_object_get(self, "cpu_percent"));
	f->rss_bytes = json_number_value(json_object_get(self, "rss_bytes"));
	f->event_ns = json_number_value(json_object_get(self, "event_ns"));
	f->tick_us = json_number_value(json_object_get(self, "tick_us"));
	f->containers = json_number_value(json_object_get(self, "containers"));
	take_lost(f, json_object_get(self, "lost"), json_object_get(before, "lost"));
	take_given_up(f, self);
}

struct vst_frame *vst_frame_new(const struct vst_sample *s)
{
	struct vst_frame *f = vst_alloc(sizeof(*f));

	f->time = vst_rows_head(s->rows)->time;
	f->interval = vst_rows_interval(s->rows);
	f->unwatched = (s->blame && !s->blame->watched) || (s->locks && !s->locks->watched);
	take_self(f, vst_rows_head(s->rows)->self, vst_rows_head_before(s->rows)->self);
	return f;
}

static void add_totals(struct vst_frame *f, const struct vst_io_delta **d, size_t n)
{
	size_t from, to;

	qsort(d, n, sizeof(*d), compare_device);
	for (from = 0; from < n; from = to) {
		for (to = from + 1; to < n && !strcmp(d[from]->row->device, d[to]->row->device); to++)
			;
		add_total(f, d + from, to - from);
	}
	if (f->ntotals)
		qsort(f->totals, f->ntotals, sizeof(*f->totals), compare_totals);
}

void vst_frame_io(struct vst_frame *f, const struct vst_sample *s)
{
	const struct vst_io_delta *deltas, **d;
	size_t n, from, to, leaf = 0;

	deltas = vst_rows_deltas(s->rows, &n);
	d = vst_alloc(n * sizeof(*d));
	for (size_t i = 0; i < n; i++)
		if (!strcmp(deltas[i].row->layer, vst_layer_name(VST_LAYER_LEAF)))
			d[leaf++] = &deltas[i];
	add_totals(f, d, leaf);
	for (size_t i = 0; i < n; i++)
		d[i] = &deltas[i];
	qsort(d, n, sizeof(*d), compare_kind);
	for (from = 0; from < n; from = to) {
		for (to = from + 1; to < n && !by_container(d[from]->row, d[to]->row); to++)
			;
		add_group(f, d + from, to - from);
	}
	free(d);
	if (s->blame)
		vst_frame_add_waits(f, s->blame);
}

void vst_frame_free(struct vst_frame *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->ntexts; i++)
		free(f->texts[i]);
	free(f->texts);
	free(f->totals);
	free(f->lines);
	free(f);
}
