// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/self.h"
#include "agent/io/io_rows.h"
#include "agent/waits/share.h"
#include "agent/waits/waits_disk.h"

#define WINDOW 0.05    /* seconds, the shortest */
#define WINDOW_MAX 4.0 /* ... and the longest */
#define LATENCIES 4    /* a window is as long as so many requests one after the other */
#define PEEKS 0.001    /* of a core, for all looks between ticks */
#define IDLE 3.0       /* seconds until a row is not looked at any more */
#define FORGET 60.0    /* seconds until the end of requests that are in flight no more is not expected any more */
#define BUSY 0.02      /* of a window, for all requests together: else nobody waits */

/* What a row had counted at the end of a window. */
struct work_seen {
	__u64 ios, bytes, queue_ns, device_ns;
};

/* What is remembered of the row at a place of the table, also while it is in no disk's list. */
struct row_state {
	__u32 id; /* of whose; 0: of none */
	bool listed;
	struct work_seen seen;
	double worked_at;
	double served_ns; /* what the disk did for it in its last window with work, */
	double served_at; /* which ended then */
	/* of requests that are under way for long, or whose end was not seen yet */
	__u64 paid_ns; /* charged */
	double paid_at;
	__u32 old;     /* how many they were then */
	__u64 rest_ns; /* of those that have ended since: still to be charged */
};

/* A row of a disk. The table may free it at any time: then there is none with this id at the place. */
struct disk_row {
	__u32 place, id;
};

struct disk {
	__u32 dev;
	struct vst_share_model model;
	struct disk_row *rows; /* that moved lately */
	size_t n, cap;
	double since;	/* the window's begin */
	double latency; /* seconds, in the window before */
	double contended_at;
};

struct vst_waits_disk {
	struct disk *disks;
	size_t n;
	struct row_state *state; /* by place */
	__u32 n_state;
	struct vst_share_work *work; /* for one window */
	struct vst_share_party *parties;
	size_t cap;
	const struct vst_container *nobody;
	double cost; /* of a peek, seconds */
	bool contended;
};

int vst_waits_disk_new(struct vst_waits_disk **ret)
{
	struct vst_waits_disk *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	*ret = w;
	return 0;
}

void vst_waits_disk_free(struct vst_waits_disk *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n; i++)
		free(w->disks[i].rows);
	free(w->disks);
	free(w->state);
	free(w->work);
	free(w->parties);
	free(w);
}

static struct disk *disk_of(struct vst_waits_disk *w, __u32 dev, double now)
{
	struct disk *d;

	for (d = w->disks; d < w->disks + w->n; d++)
		if (d->dev == dev)
			return d;
	d = realloc(w->disks, (w->n + 1) * sizeof(*d));
	if (!d)
		return NULL;
	w->disks = d;
	d += w->n++;
	memset(d, 0, sizeof(*d));
	d->dev = dev;
	d->since = now;
	d->contended_at = -IDLE;
	return d;
}

/* NULL: out of memory. */
static struct row_state *state_of(struct vst_waits_disk *w, const struct vst_io_row *row)
{
	struct row_state *state;
	__u32 n;

	if (row->place >= w->n_state) {
		for (n = w->n_state ?: 64; n <= row->place; n *= 2)
			;
		state = realloc(w->state, n * sizeof(*state));
		if (!state)
			return NULL;
		memset(state + w->n_state, 0, (n - w->n_state) * sizeof(*state));
		w->state = state;
		w->n_state = n;
	}
	state = &w->state[row->place];
	if (state->id != row->value->id)
		*state = (struct row_state){ .id = row->value->id };
	return state;
}

static int disk_add(struct disk *d, const struct vst_io_row *row)
{
	struct disk_row *rows;
	size_t cap;

	if (d->n == d->cap) {
		cap = d->cap ? 2 * d->cap : 16;
		rows = realloc(d->rows, cap * sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		d->rows = rows;
		d->cap = cap;
	}
	d->rows[d->n++] = (struct disk_row){ row->place, row->value->id };
	return 0;
}

static int scratch(struct vst_waits_disk *w, size_t n)
{
	struct vst_share_party *parties;
	struct vst_share_work *work;

	if (n <= w->cap)
		return 0;
	work = realloc(w->work, 2 * n * sizeof(*work));
	if (work)
		w->work = work;
	parties = realloc(w->parties, 2 * n * sizeof(*parties));
	if (parties)
		w->parties = parties;
	if (!work || !parties)
		return -ENOMEM;
	w->cap = 2 * n;
	return 0;
}

/* --- requests that the disk does not answer --- */

#define MEANWHILE 1.5 /* seconds; a tick, and what it takes */

/* f: what is still under way; NULL: they have ended. */
static void old_add(struct vst_blame *b, const struct vst_io_row *row, const struct vst_container *holder,
		    const struct vst_in_flight *f, double ns, double now)
{
	if (f)
		vst_blame_goes_on(b, VST_WAIT_DEVICE, row->key.dev, row->container, holder, f->old, f->oldest_ns, ns,
				  now);
	else
		vst_blame_add(b, VST_WAIT_DEVICE, row->key.dev, row->container, holder, 1, ns, now);
}

/*
 * Charges what has passed since the last tick of old requests of a row. It is because of those who were served by this disk
 * meanwhile, by the disk's time; if nobody was, the disk itself does not answer, and that is nobody's.
 */
static void old_charge(struct vst_waits_disk *w, const struct vst_io_table *t, const struct vst_io_row *row,
		       struct vst_blame *b, const struct vst_in_flight *f, double ns, double now)
{
	struct disk *d = disk_of(w, row->key.dev, now);
	double served = 0;

	for (int pass = 0; d && pass < 2; pass++) {
		for (size_t i = 0; i < d->n; i++) {
			const struct vst_io_row *by = vst_io_table_at(t, d->rows[i].place);
			const struct row_state *state = &w->state[d->rows[i].place];

			if (!by || by->value->id != d->rows[i].id || now - state->served_at > MEANWHILE ||
			    !(state->served_ns > 0))
				continue;
			if (!pass)
				served += state->served_ns;
			else
				old_add(b, row, by->container, f, ns * state->served_ns / served, now);
		}
		if (!(served > 0))
			break;
	}
	if (!(served > 0))
		old_add(b, row, w->nobody, f, ns, now);
}

/* A request that takes long is charged as its time passes; at its end that much is paid already. */
static int old_requests(struct vst_waits_disk *w, const struct vst_io_table *t, struct vst_blame *b, double now)
{
	for (unsigned int i = 0; i < t->n_busy; i++) {
		const struct vst_io_row *row = t->busy[i];
		const struct vst_in_flight *f = &row->in_flight;
		struct row_state *state;

		if (!f->old_ns || !*row->container->cgroup) /* nobody knows who waits */
			continue;
		state = state_of(w, row);
		if (!state)
			return -ENOMEM;
		old_charge(w, t, row, b, f, f->old_ns > state->paid_ns ? (double)(f->old_ns - state->paid_ns) : 0, now);
		state->paid_ns = f->old_ns > state->paid_ns ? f->old_ns : state->paid_ns;
		state->paid_at = now;
		state->old = f->old;
	}
	return 0;
}

/* --- a window --- */

/* What a row counted until now. */
static struct work_seen row_now(const struct vst_io_table *t, const struct vst_io_row *row, const struct vst_maps *m)
{
	const struct vst_counts *c = &row->value->counts;
	struct work_seen s = { 0 };
	__u32 slot;

	if (!m || !row->number)
		return (struct work_seen){ c->counter[VST_COUNTER_ios], c->counter[VST_COUNTER_bytes],
					   c->time[VST_TIME_QUEUE].sum_ns, c->time[VST_TIME_DEVICE].sum_ns };
	if (row->past)
		s = (struct work_seen){ row->past->counter[VST_COUNTER_ios], row->past->counter[VST_COUNTER_bytes],
					row->past->sum_ns[VST_TIME_QUEUE], row->past->sum_ns[VST_TIME_DEVICE] };
	vst_for_each_slot (t, row, slot) {
		const struct vst_counters *now = &m->counters[slot];

		s.ios += __atomic_load_n(&now->ios, __ATOMIC_RELAXED);
		s.bytes += __atomic_load_n(&now->bytes, __ATOMIC_RELAXED);
		s.queue_ns += __atomic_load_n(&now->time[VST_TIME_QUEUE].sum_ns, __ATOMIC_RELAXED);
		s.device_ns += __atomic_load_n(&now->time[VST_TIME_DEVICE].sum_ns, __ATOMIC_RELAXED);
	}
	return s;
}

/* They are read while they are written. */
static __u64 more(__u64 now, __u64 before)
{
	return now > before ? now - before : 0;
}

struct disk_adding {
	struct vst_blame *blame;
	__u32 dev;
	double now;
};

static void add(void *arg, const struct vst_share_party *waiter, const void *holder, double ns)
{
	const struct vst_container *who = waiter->who;
	const struct disk_adding *a = arg;

	if (*who->cgroup) /* else nobody knows who waits */
		vst_blame_add(a->blame, VST_WAIT_DEVICE, a->dev, who, holder, waiter->waits, ns, a->now);
}

static __u64 at_most(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

/* Requests that took long may have ended: most of their time is paid, and the rest is what has passed since the last tick. */
static void work_pay(struct vst_share_work *work, struct row_state *state, double now)
{
	__u64 all = work->queue_ns + work->device_ns, rest;

	if (!state->paid_ns)
		return;
	work->paid_ns = at_most(all, state->paid_ns);
	state->paid_ns -= work->paid_ns;
	rest = at_most(all - work->paid_ns, (__u64)(state->old * (now - state->paid_at) * 1e9));
	work->paid_ns += rest;
	state->rest_ns += rest;
}

/* Adds what a row did in the window to the list of work; false: it did nothing for so long that the disk forgets it. */
static bool row_work(struct vst_waits_disk *w, const struct vst_io_table *t, const struct vst_io_row *row,
		     const struct vst_maps *m, size_t *n, double now)
{
	struct row_state *state = &w->state[row->place];
	struct work_seen s = row_now(t, row, m), *was = &state->seen;

	if (s.ios > was->ios) {
		struct vst_share_work *work = &w->work[(*n)++];

		*work = (struct vst_share_work){ .who = row->container,
						 .op = row->key.op,
						 .ios = s.ios - was->ios,
						 .bytes = more(s.bytes, was->bytes),
						 .queue_ns = more(s.queue_ns, was->queue_ns),
						 .device_ns = more(s.device_ns, was->device_ns) };
		work_pay(work, state, now);
		if (row->key.layer != VST_LAYER_LEAF) /* its disks have the rest, see docs/blame.md */
			--*n;
		state->served_ns = (double)more(work->device_ns, work->paid_ns);
		state->served_at = now;
		*was = s;
		state->worked_at = now;
	}
	if (now - state->paid_at > FORGET)
		state->paid_ns = 0;
	state->listed = state->paid_ns || now - state->worked_at <= IDLE;
	return state->listed;
}

/* What was left of requests that took long, when they ended. */
static void rest_charge(struct vst_waits_disk *w, const struct vst_io_table *t, const struct vst_io_row *row,
			struct vst_blame *b, double now)
{
	struct row_state *state = &w->state[row->place];

	if (!state->rest_ns)
		return;
	old_charge(w, t, row, b, NULL, (double)state->rest_ns, now);
	state->rest_ns = 0;
}

/* Ends the window. m: the counters are read themselves; NULL: as the table has them. */
static void disk_window(struct vst_waits_disk *w, struct disk *d, const struct vst_io_table *t,
			const struct vst_maps *m, struct vst_blame *b, double now)
{
	struct disk_adding adding = { b, d->dev, now };
	double seconds = now - d->since, all_ns = 0;
	size_t n = 0, kept = 0, parties, i;
	const struct vst_io_row *row;
	__u64 ios = 0;

	if (scratch(w, d->n))
		return;
	for (i = 0; i < d->n; i++) {
		row = vst_io_table_at(t, d->rows[i].place);
		if (row && row->value->id == d->rows[i].id && row_work(w, t, row, m, &n, now))
			d->rows[kept++] = d->rows[i];
	}
	for (i = 0; i < n; i++) {
		all_ns += (double)(w->work[i].queue_ns + w->work[i].device_ns);
		ios += w->work[i].ios;
	}
	d->n = kept;
	d->since = now;
	for (i = 0; i < kept; i++)
		rest_charge(w, t, vst_io_table_at(t, d->rows[i].place), b, now);
	d->latency = ios ? all_ns / (double)ios / 1e9 : 0;
	if (!ios)
		return;
	vst_share_learn(&d->model, w->work, n, seconds);
	parties = vst_share_parties(&d->model, w->work, n, seconds * 1e9, w->parties);
	if (parties < 2 && !(w->parties[0].self > 0))
		return;
	if (parties > 1 && all_ns > BUSY * seconds * 1e9)
		d->contended_at = now;
	vst_share_divide(w->parties, parties, &vst_waits_others, add, &adding);
}

static bool is_due(const struct disk *d, double now)
{
	return now - d->since >= vst_waits_disk_window(d->latency);
}

/* --- the whole --- */

double vst_waits_disk_window(double latency)
{
	return fmin(fmax(LATENCIES * latency, WINDOW), WINDOW_MAX);
}

double vst_waits_disk_pace(double cost)
{
	return fmin(fmax(cost / PEEKS, WINDOW), 1);
}

double vst_waits_disk_pause(const struct vst_waits_disk *w)
{
	return w->contended ? vst_waits_disk_pace(w->cost) : 0;
}

/* Has it requests that take long? */
static bool is_old(const struct vst_io_row *row)
{
	return row->in_flight.old_ns;
}

/* Puts a row that moved into its disk's list. */
static int row_list(struct vst_waits_disk *w, const struct vst_io_row *row, struct disk **d, double now)
{
	struct row_state *state = state_of(w, row);

	if (!state)
		return -ENOMEM;
	if (state->listed)
		return 0;
	if (!*d || (*d)->dev != row->key.dev)
		*d = disk_of(w, row->key.dev, now);
	if (!*d || disk_add(*d, row))
		return -ENOMEM;
	state->listed = true;
	state->worked_at = now;
	return 0;
}

int vst_waits_disk_collect(struct vst_waits_disk *w, const struct vst_io_table *t, struct vst_blame *b,
			   const struct vst_container *nobody, double now)
{
	struct disk *d = NULL;
	int err = 0;

	w->nobody = nobody;
	for (unsigned int i = 0; i < t->n_changed && !err; i++)
		if (t->changed[i]->key.layer == VST_LAYER_LEAF || is_old(t->changed[i]))
			err = row_list(w, t->changed[i], &d, now);
	w->contended = false;
	for (d = w->disks; d < w->disks + w->n; d++) {
		if (d->n && is_due(d, now))
			disk_window(w, d, t, NULL, b, now);
		else if (!d->n)
			d->since = now;
		w->contended = w->contended || now - d->contended_at < IDLE;
	}
	return err ?: old_requests(w, t, b, now);
}

void vst_waits_disk_peek(struct vst_waits_disk *w, const struct vst_io_table *t, const struct vst_maps *m,
			 struct vst_blame *b, double now)
{
	for (struct disk *d = w->disks; d < w->disks + w->n; d++)
		if (d->n && now - d->contended_at < IDLE && is_due(d, now))
			disk_window(w, d, t, m, b, now);
	w->cost += 0.1 * (vst_now() - now - w->cost);
}
