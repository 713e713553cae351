// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/delta_snapshot.h"
#include "policy/measure.h"

/* Times of one kind, and the ages of what goes on. */
struct times {
	struct vst_histogram done;
	__u32 pending;
	double oldest_ns, ages_ns;
};

/* While a container is measured. */
struct work {
	struct times *io[VST_DIRECTION__N]; /* [.n_io] of it */
	struct times all[VST_DIRECTION__N], fsync;
	double fsync_longest;
};

struct build {
	struct vst_measured *m;
	const struct vst_snapshot *base;
	struct work **work; /* by index of the container; NULL: its latencies are not wanted */
	double now_ns;
	vst_measure_wanted_fn wanted;
	void *arg;
};

/* --- times --- */

static void add_pending(struct times *t, __u32 n, __u64 oldest_ns, double ages_ns, double now_ns)
{
	double oldest = oldest_ns ? vst_delta_real(now_ns, (double)oldest_ns) : 0;

	t->pending += n;
	t->ages_ns += ages_ns;
	t->oldest_ns = fmax(t->oldest_ns, oldest);
}

static void add_age(struct vst_histogram *h, double age_ns, __u32 n)
{
	h->n[vst_hist_index((__u64)age_ns)] += n;
	h->samples += n;
	h->max_ns = age_ns > (double)h->max_ns ? (__u64)age_ns : h->max_ns;
}

static void merge(struct times *into, const struct times *t)
{
	vst_histogram_merge(&into->done, &t->done);
	into->pending += t->pending;
	into->ages_ns += t->ages_ns;
	into->oldest_ns = fmax(into->oldest_ns, t->oldest_ns);
}

/*
 * What goes on will have taken at least its age. It counts only once it is older than what completed: a young request
 * says nothing yet, and many of them would hide a slow one.
 */
static double p99(struct times *t)
{
	double done = vst_histogram_quantile(&t->done, 0.99);
	double rest = t->pending > 1 ? (t->ages_ns - t->oldest_ns) / (t->pending - 1) : 0;

	if (!t->done.samples && !t->pending)
		return NAN;
	if (t->pending && t->oldest_ns / 1e3 > done)
		add_age(&t->done, t->oldest_ns, 1);
	if (rest / 1e3 > done)
		add_age(&t->done, rest, t->pending - 1);
	return vst_histogram_quantile(&t->done, 0.99);
}

/* --- rows --- */

static struct vst_measured_container *container_at(struct build *b, __u32 index)
{
	return index < b->m->n_containers && b->m->container[index].container ? &b->m->container[index] : NULL;
}

/* The container's place for a disk; n_io grows. NULL: out of memory. */
static struct vst_measured_io *io_at(struct vst_measured_container *c, struct work *w, __u32 dev)
{
	struct vst_measured_io *io;

	for (size_t i = 0; i < c->n_io; i++)
		if (c->io[i].dev == dev)
			return &c->io[i];
	io = realloc(c->io, (c->n_io + 1) * sizeof(*io));
	if (!io)
		return NULL;
	c->io = io;
	for (int d = 0; w && d < VST_DIRECTION__N; d++) {
		struct times *t = realloc(w->io[d], (c->n_io + 1) * sizeof(*t));

		if (!t)
			return NULL;
		w->io[d] = t;
		t[c->n_io] = (struct times){ 0 };
	}
	io[c->n_io] = (struct vst_measured_io){ .dev = dev, .p99_us = { NAN, NAN } };
	return &io[c->n_io++];
}

static int add_io(struct build *b, const struct vst_snap_io *io, const struct vst_snap_io *old)
{
	struct vst_measured_container *c = container_at(b, io->container);
	struct work *w = c ? b->work[io->container] : NULL;
	int d = io->op == VST_OP_WRITE ? VST_WRITES : VST_READS;
	struct vst_measured_io *at;

	if (!c || io->layer != VST_LAYER_LEAF || (io->op != VST_OP_WRITE && io->op != VST_OP_READ) ||
	    (old == io && !io->in_flight))
		return 0;
	at = io_at(c, w, io->dev);
	if (!at)
		return -ENOMEM;
	at->bytes_s[d] += vst_delta_rate((double)vst_delta_io(io, old, VST_COUNTER_bytes), b->m->seconds);
	at->ios_s[d] += vst_delta_rate((double)vst_delta_io(io, old, VST_COUNTER_ios), b->m->seconds);
	c->busy = c->busy || at->ios_s[d] > 0 || io->in_flight;
	if (w) {
		struct times *t = &w->io[d][at - c->io];

		vst_histogram_add(&t->done, &io->counts.time[VST_TIME_LATENCY],
				  old ? &old->counts.time[VST_TIME_LATENCY] : NULL);
		add_pending(t, io->in_flight, io->oldest_ns, (double)io->in_flight_sum, b->now_ns);
	}
	return 0;
}

static void add_fsync(struct build *b, struct vst_measured_container *c, struct work *w,
		      const struct vst_snap_wait *wait, const struct vst_snap_wait *old)
{
	double ns = (double)vst_delta_wait_ns(wait, old);

	if (!w)
		return;
	vst_histogram_add(&w->fsync.done, &wait->times, old ? &old->times : NULL);
	add_pending(&w->fsync, wait->waiting, wait->oldest_ns, 0, b->now_ns);
	c->busy = c->busy || ns > 0;
	if (ns > w->fsync_longest) {
		w->fsync_longest = ns;
		c->fsync_dev = wait->dev;
		c->fsync_name = wait->name ? wait->name : "";
	}
}

static void add_wait(struct build *b, const struct vst_snap_wait *wait, const struct vst_snap_wait *old)
{
	struct vst_measured_container *c = container_at(b, wait->waiter), *holder;
	double us_s = vst_delta_rate((double)vst_delta_wait_ns(wait, old) / 1e3, b->m->seconds);

	if (!c)
		return;
	if (wait->side == VST_WAIT_OF_WAITER) {
		if (wait->type == VST_WAIT_FSYNC)
			add_fsync(b, c, b->work[wait->waiter], wait, old);
		else
			c->value[VST_METRIC_WAITING] += us_s;
		return;
	}
	holder = container_at(b, wait->holder);
	if (us_s <= 0 || !holder || wait->holder == wait->waiter)
		return;
	holder->value[VST_METRIC_BLAMED] += us_s;
	b->m->blame[b->m->n_blame++] =
		(struct vst_measured_blame){ wait->waiter, wait->holder, wait->type, wait->dev, us_s };
}

/* --- the end --- */

static int by_waiter(const void *a, const void *b)
{
	const struct vst_measured_blame *x = a, *y = b;

	if (x->waiter != y->waiter)
		return x->waiter < y->waiter ? -1 : 1;
	return x->us_s > y->us_s ? -1 : x->us_s < y->us_s;
}

static void finish_blame(struct vst_measured *m)
{
	if (!m->n_blame)
		return;
	qsort(m->blame, m->n_blame, sizeof(*m->blame), by_waiter);
	for (size_t i = 0; i < m->n_blame; i++) {
		struct vst_measured_container *c = &m->container[m->blame[i].waiter];

		if (!c->n_blame++)
			c->blame = &m->blame[i];
	}
}

static void finish_container(struct vst_measured_container *c, struct work *w)
{
	double *value = c->value;

	for (size_t i = 0; i < c->n_io; i++) {
		value[VST_METRIC_READ] += c->io[i].bytes_s[VST_READS];
		value[VST_METRIC_WRITE] += c->io[i].bytes_s[VST_WRITES];
		value[VST_METRIC_READ_IOPS] += c->io[i].ios_s[VST_READS];
		value[VST_METRIC_WRITE_IOPS] += c->io[i].ios_s[VST_WRITES];
		for (int d = 0; w && d < VST_DIRECTION__N; d++) {
			merge(&w->all[d], &w->io[d][i]);
			c->io[i].p99_us[d] = p99(&w->io[d][i]);
		}
	}
	if (!w)
		return;
	value[VST_METRIC_P99_READ] = p99(&w->all[VST_READS]);
	value[VST_METRIC_P99_WRITE] = p99(&w->all[VST_WRITES]);
	value[VST_METRIC_P99_FSYNC] = p99(&w->fsync);
}

static void work_free(struct work *w)
{
	for (int d = 0; w && d < VST_DIRECTION__N; d++)
		free(w->io[d]);
	free(w);
}

static int begin(struct build *b, const struct vst_snapshot *now)
{
	struct vst_measured *m = b->m;
	const struct vst_snap_container *container;
	size_t pairs = 0;
	const struct vst_snap_wait *wait;

	vst_snapshot_for_each(now, VST_SNAP_CONTAINERS, container, i) m->n_containers = i + 1;
	vst_snapshot_for_each(now, VST_SNAP_WAITS, wait, i) pairs += wait->side == VST_WAIT_OF_PAIR;
	m->container = calloc(m->n_containers + 1, sizeof(*m->container));
	b->work = calloc(m->n_containers + 1, sizeof(struct work *));
	m->blame = calloc(pairs + 1, sizeof(*m->blame));
	if (!m->container || !b->work || !m->blame)
		return -ENOMEM;
	vst_snapshot_for_each(now, VST_SNAP_CONTAINERS, container, i)
	{
		struct vst_measured_container *c = &m->container[i];

		c->container = container;
		c->fsync_name = "";
		c->value[VST_METRIC_P99_READ] = c->value[VST_METRIC_P99_WRITE] = c->value[VST_METRIC_P99_FSYNC] = NAN;
		c->value[VST_METRIC_DEVICE_QUEUE] = NAN;
		if (!b->wanted || container->own || !b->wanted(b->arg, container))
			continue;
		b->work[i] = calloc(1, sizeof(struct work));
		if (!b->work[i])
			return -ENOMEM;
	}
	return 0;
}

static int measure(struct build *b, const struct vst_snapshot *now)
{
	const struct vst_snap_wait *wait;
	const struct vst_snap_io *io;
	int err = begin(b, now);

	if (err || b->m->seconds <= 0)
		return err;
	vst_snapshot_for_each(now, VST_SNAP_IOS, io, i)
	{
		err = add_io(b, io, vst_delta_snapshot_io(b->base, i, io));
		if (err)
			return err;
	}
	vst_snapshot_for_each(now, VST_SNAP_WAITS, wait, i)
		add_wait(b, wait, vst_delta_snapshot_wait(b->base, i, wait));
	for (__u32 i = 0; i < b->m->n_containers; i++)
		if (b->m->container[i].container)
			finish_container(&b->m->container[i], b->work[i]);
	finish_blame(b->m);
	return 0;
}

int vst_measure(const struct vst_snapshot *prev, const struct vst_snapshot *now, vst_measure_wanted_fn wanted,
		void *arg, struct vst_measured *ret)
{
	struct build b = { .m = ret, .wanted = wanted, .arg = arg, .now_ns = now->time * 1e9 };
	int err;

	*ret = (struct vst_measured){ .now = now->time, .snapshot = now };
	b.base = vst_delta_snapshot_base(prev, now);
	ret->seconds = b.base ? vst_delta_snapshot_seconds(b.base, now) : 0;
	err = measure(&b, now);
	for (__u32 i = 0; b.work && i < ret->n_containers; i++)
		work_free(b.work[i]);
	free(b.work);
	return err;
}

void vst_measured_clear(struct vst_measured *m)
{
	for (__u32 i = 0; m->container && i < m->n_containers; i++)
		free(m->container[i].io);
	free(m->container);
	free(m->blame);
	*m = (struct vst_measured){ 0 };
}

const struct vst_measured_io *vst_measured_io_of(const struct vst_measured_container *c, __u32 dev)
{
	for (size_t i = 0; i < c->n_io; i++)
		if (c->io[i].dev == dev)
			return &c->io[i];
	return NULL;
}

/* Little's law: the time that requests spent, over the time that passed. */
double vst_measured_queue(const struct vst_measured *m, const struct vst_snapshot *prev, __u32 dev)
{
	const struct vst_snapshot *base = vst_delta_snapshot_base(prev, m->snapshot);
	const struct vst_snap_io *io;
	double ns = 0;

	if (m->seconds <= 0)
		return NAN;
	vst_snapshot_for_each(m->snapshot, VST_SNAP_IOS, io, i)
	{
		const struct vst_snap_io *old = vst_delta_snapshot_io(base, i, io);

		if (io->dev != dev || io->layer != VST_LAYER_LEAF)
			continue;
		ns += (double)vst_delta(io->counts.time[VST_TIME_LATENCY].sum_ns,
					old ? old->counts.time[VST_TIME_LATENCY].sum_ns : 0);
		ns += fmin((double)io->in_flight_sum, io->in_flight * m->seconds * 1e9);
	}
	return ns / (m->seconds * 1e9);
}
