// SPDX-License-Identifier: GPL-2.0-only
#define HASH_NONFATAL_OOM 1
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sinks/metrics_sum.h"
#include "agent/sinks/metrics_text.h"
#include "lib/delta_snapshot.h"

_Static_assert(VST_COUNTER__N <= VST_SUM_WIDTH, "counters of a row");
_Static_assert(VST_DEVICE__N <= VST_SUM_WIDTH, "counters of a device");
_Static_assert(VST_LOSS__N <= VST_SUM_WIDTH, "causes of losses");
_Static_assert(VST_TIME__N <= VST_SUM_WIDTH, "times of a row");
_Static_assert(VST_METRICS_SUM_NS < VST_SUM_WIDTH, "buckets of a histogram and their sum");

/* --- names --- */

/* labels is taken over. NULL: out of memory. */
static struct vst_sum_name *name_get(struct vst_sums *s, struct vst_out *labels)
{
	struct vst_sum_name *name;
	size_t len;
	char *text;

	vst_out_raw(labels, "");
	text = vst_out_take(labels, &len);
	if (!text) {
		s->failed = true;
		return NULL;
	}
	HASH_FIND(hh, s->names, text, len, name);
	if (name) {
		free(text);
		name->seen = true;
		return name;
	}
	name = calloc(1, sizeof(*name));
	if (name && (name->labels = realloc(text, len + 1))) {
		text = NULL;
		name->labels[len] = 0;
		name->seen = true;
		name->group = 1;
		HASH_ADD_KEYPTR(hh, s->names, name->labels, len, name);
	}
	if (!name || !name->hh.tbl) {
		s->failed = true;
		free(text);
		if (name)
			free(name->labels);
		free(name);
		return NULL;
	}
	return name;
}

static void name_free(struct vst_sum_name *name)
{
	free(name->labels);
	free(name->by);
	free(name);
}

/* --- sums --- */

/* NULL: out of memory, or there are too many. */
static struct vst_sum *sum_get(struct vst_sums *s, enum vst_sum_kind kind, struct vst_sum_name *a,
			       struct vst_sum_name *b, unsigned int op, unsigned int class)
{
	struct vst_sum_key key = { .name = { a, b }, .kind = kind, .op = op, .class = class };
	struct vst_sum *sum;

	if (!a)
		return NULL;
	HASH_FIND(hh, s->sums, &key, sizeof(key), sum);
	if (sum)
		return sum;
	if (HASH_COUNT(s->sums) >= s->max) {
		s->no_sum++;
		return NULL;
	}
	sum = calloc(1, sizeof(*sum));
	if (sum) {
		sum->key = key;
		HASH_ADD(hh, s->sums, key, sizeof(key), sum);
	}
	if (!sum || !sum->hh.tbl) {
		free(sum);
		s->failed = true;
		return NULL;
	}
	return sum;
}

/* --- what a snapshot says: containers --- */

/* Names that no user's container can have: vstor's own are in brackets, as in top. */
static const char *container_word(const struct vst_snap_container *c, char *buf, size_t size)
{
	if (c->own || !strcmp(c->cgroup, "/")) {
		snprintf(buf, size, "[%s]", c->display);
		return buf;
	}
	/* an id in place of a name would make a new series for each container that starts */
	return *c->name ? c->name : *c->pod ? "[pod]" : "[unknown]";
}

static char *by_labels(const struct vst_snap_container *c, const char *word)
{
	struct vst_out o = { 0 };
	size_t len;
	char *text;

	vst_label_put(&o, "by_namespace", c->ns);
	vst_label_put(&o, "by_pod", c->pod);
	vst_label_put(&o, "by_container", word);
	text = vst_out_take(&o, &len);
	if (!text)
		return NULL;
	o.buf = realloc(text, len + 1);
	if (!o.buf) {
		free(text);
		return NULL;
	}
	o.buf[len] = 0;
	return o.buf;
}

static struct vst_sum_name *container_name(struct vst_sums *s, const struct vst_snap_container *c)
{
	struct vst_sum_name *name;
	struct vst_out o = { 0 };
	char buf[64];
	const char *word = container_word(c, buf, sizeof(buf));
	unsigned int group = c->own ? 0 : c->ended > 0 ? 2 : 1;

	vst_label_put(&o, "namespace", c->ns);
	vst_label_put(&o, "pod", c->pod);
	vst_label_put(&o, "container", word);
	name = name_get(s, &o);
	if (!name)
		return NULL;
	if (!name->by) {
		name->by = by_labels(c, word);
		s->failed = s->failed || !name->by;
		name->group = 2;
	}
	if (group < name->group) /* one that lives counts for all of the same name */
		name->group = (__u8)group;
	return name;
}

/* Ids and paths are in this series only, so that others do not change when a container is restarted. */
static void container_info(struct vst_sums *s, struct vst_sum_name *name, const struct vst_snap_container *c)
{
	struct vst_out o = { 0 };
	struct vst_sum *sum;

	if (c->own || c->ended > 0 || (!c->listed && !c->ios) || (!*c->cid && !c->ios))
		return;
	vst_label_put(&o, "id", c->cid);
	vst_label_put(&o, "runtime", c->runtime);
	vst_label_put(&o, "image", c->image);
	vst_label_put(&o, "cgroup", c->cgroup);
	sum = sum_get(s, VST_SUM_INFO, name, name_get(s, &o), 0, 0);
	if (sum)
		sum->n[0] = 1;
}

static void add_containers(struct vst_sums *s, const struct vst_snapshot *now)
{
	const struct vst_snap_container *c;

	vst_snapshot_for_each(now, VST_SNAP_CONTAINERS, c, i)
	{
		s->container[i] = container_name(s, c);
		container_info(s, s->container[i], c);
	}
}

const struct vst_sum_name *vst_sums_container(const struct vst_sums *s, __u32 index)
{
	return s->last && index < s->last->list[VST_SNAP_CONTAINERS].end ? s->container[index] : NULL;
}

/* --- devices --- */

static struct vst_sum_name *device_name(struct vst_sums *s, const struct vst_snap_device *d, __u32 dev)
{
	struct vst_out o = { 0 };
	char number[32];

	snprintf(number, sizeof(number), "%u:%u", dev >> 20, dev & 0xfffff);
	vst_label_put(&o, "device", d ? d->name : number);
	vst_label_put(&o, "layer", d ? vst_layer_name(d->layer) : "");
	return name_get(s, &o);
}

static void add_device(struct vst_sums *s, struct vst_sum_name *name, const struct vst_snap_device *d,
		       const struct vst_snap_device *old)
{
	struct vst_sum *sum;

	if (old == d || !name)
		goto now;
	sum = sum_get(s, VST_SUM_DEVICE, name, NULL, 0, 0);
	for (int i = 0; sum && i < VST_DEVICE__N; i++)
		sum->n[i] += vst_delta(d->counter[i], old ? old->counter[i] : 0);
	sum = sum_get(s, VST_SUM_DEVICE_LOST, name, NULL, 0, 0);
	for (int i = 0; sum && i < VST_LOSS__N; i++)
		sum->n[i] += vst_delta(d->lost[i], old ? old->lost[i] : 0);
now:
	sum = sum_get(s, VST_SUM_DEVICE_NOW, name, NULL, 0, 0);
	if (!sum || !d->present)
		return;
	sum->n[VST_SUM_IN_FLIGHT] += d->in_flight;
	sum->n[VST_SUM_PRESENT] = 1;
	sum->n[VST_SUM_JUDGED] = !*d->not_judged;
}

static void add_devices(struct vst_sums *s, const struct vst_snapshot *base, const struct vst_snapshot *now)
{
	const struct vst_snap_device *d, *old;

	vst_snapshot_for_each(now, VST_SNAP_DEVICES, d, i)
	{
		/* the kernel lists loop devices that nobody uses */
		if (!d->counter[VST_DEVICE_kernel_ios] && !d->counter[VST_DEVICE_seen_ios])
			continue;
		old = base ? vst_snapshot_device(base, i) : NULL;
		add_device(s, device_name(s, d, d->dev), d, old && old->dev == d->dev ? old : NULL);
	}
}

/* --- I/O --- */

static void add_histogram(struct vst_sum *sum, const struct vst_times *now, const struct vst_times *before)
{
	static const unsigned char log2[] = {
#define X(log2, le) log2,
		VST_METRICS_BUCKETS(X)
#undef X
	};
	struct vst_bucket room[VST_HIST_BUCKETS];
	struct vst_times grown;

	vst_delta_times(&grown, now, before, room);
	for (unsigned int i = 0; i < grown.hist.n; i++) {
		unsigned int to = 0;

		while (to < VST_METRICS_BUCKET_INF && grown.hist.bucket[i].index >= vst_hist_index(1ULL << log2[to]))
			to++;
		sum->n[to] += grown.hist.bucket[i].n;
	}
	sum->n[VST_METRICS_SUM_NS] += grown.sum_ns;
}

static void add_io(struct vst_sums *s, struct vst_sum_name *c, struct vst_sum_name *d, const struct vst_snap_io *io,
		   const struct vst_snap_io *old)
{
	unsigned int class = io->hint ? io->hint - 1U : vst_class(io->kind, io->size);
	struct vst_sum *by_class = sum_get(s, VST_SUM_IO, c, d, io->op, class);
	struct vst_sum *disk = sum_get(s, VST_SUM_DISK, c, d, 0, 0), *times = sum_get(s, VST_SUM_TIME, c, d, 0, 0);
	struct vst_sum *latency = NULL;

	for (int i = 0; i < VST_COUNTER__N; i++) {
		__u64 grown = vst_delta_io(io, old, i);

		if (by_class)
			by_class->n[i] += grown;
		if (disk)
			disk->n[i] += grown;
	}
	for (int i = 0; times && i < VST_TIME__N; i++)
		times->n[i] += vst_delta(io->counts.time[i].sum_ns, old ? old->counts.time[i].sum_ns : 0);
	if (io->op == VST_OP_READ || io->op == VST_OP_WRITE)
		latency = sum_get(s, VST_SUM_LATENCY, c, d, io->op, 0);
	if (latency)
		add_histogram(latency, &io->counts.time[VST_TIME_LATENCY],
			      old ? &old->counts.time[VST_TIME_LATENCY] : NULL);
}

/* The older of two moments; 0 is none. */
static void note_oldest(__u64 *oldest, __u64 ns)
{
	if (ns && (!*oldest || ns < *oldest))
		*oldest = ns;
}

static void add_ios(struct vst_sums *s, const struct vst_snapshot *base, const struct vst_snapshot *now)
{
	struct vst_sum_name *device = NULL;
	const struct vst_snap_io *io, *old;
	__u32 dev = ~0U;

	vst_snapshot_for_each(now, VST_SNAP_IOS, io, i)
	{
		struct vst_sum_name *c =
			io->container < now->list[VST_SNAP_CONTAINERS].end ? s->container[io->container] : NULL;

		if (!device || io->dev != dev) /* most rows that follow each other have the same */
			device = device_name(s, vst_snapshot_device_of(now, io->dev), io->dev);
		dev = io->dev;
		old = vst_delta_snapshot_io(base, i, io);
		if (old != io)
			add_io(s, c, device, io, old);
		if (io->in_flight) {
			struct vst_sum *sum = sum_get(s, VST_SUM_FLIGHT, c, device, 0, 0);

			if (sum) {
				sum->n[0] += io->in_flight;
				note_oldest(&sum->n[1], io->oldest_ns);
			}
		}
	}
}

/* --- waits --- */

static struct vst_sum_name *lock_name(struct vst_sums *s, const struct vst_snap_wait *w)
{
	struct vst_out o = { 0 };

	vst_label_put(&o, "lock", w->name);
	vst_label_put(&o, "type", vst_lock_type_name(w->lock_type));
	return name_get(s, &o);
}

static void add_waiter(struct vst_sums *s, const struct vst_snapshot *now, struct vst_sum_name *c,
		       const struct vst_snap_wait *w, const struct vst_snap_wait *old, __u64 ns)
{
	struct vst_sum *sum = sum_get(s, VST_SUM_WAIT, c, NULL, w->type, 0);

	if (sum)
		sum->n[0] += ns;
	if (w->type == VST_WAIT_LOCK && (sum = sum_get(s, VST_SUM_LOCK, lock_name(s, w), NULL, 0, 0))) {
		sum->n[0] += ns;
		sum->n[1] += vst_delta(w->waits, old ? old->waits : 0);
	}
	if (w->type == VST_WAIT_FSYNC && w != old) {
		struct vst_sum_name *d = device_name(s, vst_snapshot_device_of(now, w->dev), w->dev);

		sum = sum_get(s, VST_SUM_FSYNC, c, d, 0, 0);
		if (sum)
			add_histogram(sum, &w->times, old ? &old->times : NULL);
	}
	if (w->waiting && (sum = sum_get(s, VST_SUM_WAITING, c, NULL, w->type, 0))) {
		sum->n[0] += w->waiting;
		note_oldest(&sum->n[1], w->oldest_ns);
	}
}

static void add_pair(struct vst_sums *s, struct vst_sum_name *waiter, struct vst_sum_name *holder,
		     const struct vst_snap_wait *w, __u64 ns)
{
	struct vst_sum *sum;

	if (!holder || !ns || waiter == holder)
		return;
	sum = sum_get(s, VST_SUM_BLAMED, holder, NULL, w->type, 0);
	if (sum)
		sum->n[0] += ns;
	sum = sum_get(s, VST_SUM_PAIR, waiter, holder, w->type, 0);
	if (sum)
		sum->n[0] += ns;
}

static void add_waits(struct vst_sums *s, const struct vst_snapshot *base, const struct vst_snapshot *now)
{
	const __u32 end = now->list[VST_SNAP_CONTAINERS].end;
	const struct vst_snap_wait *w, *old;

	vst_snapshot_for_each(now, VST_SNAP_WAITS, w, i)
	{
		struct vst_sum_name *c = w->waiter < end ? s->container[w->waiter] : NULL;
		__u64 ns;

		old = vst_delta_snapshot_wait(base, i, w);
		ns = vst_delta_wait_ns(w, old);
		if (w->side == VST_WAIT_OF_PAIR)
			add_pair(s, c, w->holder < end ? s->container[w->holder] : NULL, w, ns);
		else
			add_waiter(s, now, c, w, old, ns);
	}
}

/* --- the update --- */

static bool is_state(enum vst_sum_kind kind)
{
	return kind == VST_SUM_INFO || kind == VST_SUM_FLIGHT || kind == VST_SUM_WAITING || kind == VST_SUM_DEVICE_NOW;
}

/* What is a state and not a count is found anew. */
static void forget_states(struct vst_sums *s)
{
	struct vst_sum *sum, *next;
	struct vst_sum_name *name, *next_name;

	HASH_ITER(hh, s->sums, sum, next)
	{
		if (is_state(sum->key.kind))
			memset(sum->n, 0, sizeof(sum->n));
	}
	HASH_ITER(hh, s->names, name, next_name)
	{
		name->seen = false;
		if (name->by && name->group)
			name->group = 2;
	}
}

/* A lock's name is seen as long as the agent has a row with it. */
static bool is_gone(const struct vst_sum *sum)
{
	const struct vst_sum_key *k = &sum->key;

	return !k->name[0]->seen || (k->name[1] && !k->name[1]->seen);
}

static void forget_gone(struct vst_sums *s)
{
	struct vst_sum *sum, *next;
	struct vst_sum_name *name, *next_name;

	HASH_ITER(hh, s->sums, sum, next)
	{
		if (!is_gone(sum))
			continue;
		HASH_DEL(s->sums, sum);
		free(sum);
	}
	HASH_ITER(hh, s->names, name, next_name)
	{
		if (name->seen)
			continue;
		HASH_DEL(s->names, name);
		name_free(name);
	}
}

static int by_labels_order(const void *a, const void *b)
{
	const struct vst_sum_name *x = *(const struct vst_sum_name *const *)a;
	const struct vst_sum_name *y = *(const struct vst_sum_name *const *)b;

	return x->group != y->group ? x->group - y->group : strcmp(x->labels, y->labels);
}

static int compare(__u64 x, __u64 y)
{
	return x < y ? -1 : x > y;
}

/* Pairs: those with the longest wait first, so that the limit of series leaves out the others. */
static int by_key_order(const void *a, const void *b)
{
	const struct vst_sum *x = *(const struct vst_sum *const *)a, *y = *(const struct vst_sum *const *)b;
	const struct vst_sum_key *k = &x->key, *l = &y->key;
	int d = compare(k->kind, l->kind);

	if (!d && (k->kind == VST_SUM_PAIR || k->kind == VST_SUM_LOCK))
		d = compare(y->n[0], x->n[0]);
	d = d ?: compare(k->name[0]->rank, l->name[0]->rank);
	d = d ?: compare(k->name[1] ? k->name[1]->rank : 0, l->name[1] ? l->name[1]->rank : 0);
	d = d ?: compare(k->op, l->op);
	return d ?: compare(k->class, l->class);
}

static int sort(struct vst_sums *s)
{
	size_t n = HASH_COUNT(s->names), i = 0;
	struct vst_sum_name **names = malloc((n + 1) * sizeof(struct vst_sum_name *)), *name, *next_name;
	struct vst_sum *sum, *next;

	free(s->sorted);
	s->n_sorted = 0;
	s->sorted = malloc((HASH_COUNT(s->sums) + 1) * sizeof(struct vst_sum *));
	if (!names || !s->sorted) {
		free(names);
		return -ENOMEM;
	}
	HASH_ITER(hh, s->names, name, next_name)
	names[i++] = name;
	qsort(names, n, sizeof(*names), by_labels_order);
	for (i = 0; i < n; i++)
		names[i]->rank = (__u32)i + 1;
	free(names);
	HASH_ITER(hh, s->sums, sum, next)
	s->sorted[s->n_sorted++] = sum;
	qsort(s->sorted, s->n_sorted, sizeof(struct vst_sum *), by_key_order);
	return 0;
}

int vst_sums_update(struct vst_sums *s, const struct vst_snapshot *now)
{
	const struct vst_snapshot *base = vst_delta_snapshot_base(s->last, now);
	struct vst_sum_name **container;
	int err;

	if (s->last && s->last->seq == now->seq)
		return 0;
	container = calloc(now->list[VST_SNAP_CONTAINERS].end + 1U, sizeof(struct vst_sum_name *));
	if (!container)
		return -ENOMEM;
	free(s->container);
	s->container = container;
	s->failed = false;
	forget_states(s);
	add_containers(s, now);
	add_devices(s, base, now);
	add_ios(s, base, now);
	add_waits(s, base, now);
	forget_gone(s);
	vst_snapshot_unref(s->last);
	s->last = vst_snapshot_ref(now);
	err = sort(s);
	return err ?: s->failed ? -ENOMEM : 0;
}

struct vst_sum **vst_sums_of(const struct vst_sums *s, enum vst_sum_kind kind, size_t *ret_n)
{
	size_t from = 0, to;

	while (from < s->n_sorted && s->sorted[from]->key.kind < (__u32)kind)
		from++;
	for (to = from; to < s->n_sorted && s->sorted[to]->key.kind == (__u32)kind;)
		to++;
	*ret_n = to - from;
	return s->sorted + from;
}

void vst_sums_clear(struct vst_sums *s)
{
	struct vst_sum_name *name, *next_name;
	struct vst_sum *sum, *next;

	HASH_ITER(hh, s->sums, sum, next)
	{
		HASH_DEL(s->sums, sum);
		free(sum);
	}
	HASH_ITER(hh, s->names, name, next_name)
	{
		HASH_DEL(s->names, name);
		name_free(name);
	}
	free(s->sorted);
	free(s->container);
	vst_snapshot_unref(s->last);
	memset(s, 0, sizeof(*s));
}
