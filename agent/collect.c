// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "agent/collect.h"
#include "agent/insight/watch.h"

/* A container that has a place in the snapshot. */
struct known {
	const struct vst_container *container; /* NULL: the place is free */
	struct vst_snap_container *value;
	__u32 changed; /* container->changed when .value got its texts */
	__u64 seq;     /* the snapshot for which it was found last */
};

struct vst_collect {
	const struct vst_snapshot *last;
	struct vst_places places; /* of containers */
	struct known *known;	  /* by place */
	__u32 n_known, last_id;
};

int vst_collect_new(struct vst_collect **ret)
{
	struct vst_collect *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->places.end = VST_CONTAINER__OWN;
	*ret = c;
	return 0;
}

void vst_collect_free(struct vst_collect *c)
{
	if (!c)
		return;
	for (__u32 i = 0; i < c->n_known; i++)
		vst_value_unref(c->known[i].value);
	free(c->known);
	vst_places_free(&c->places);
	vst_snapshot_unref(c->last);
	free(c);
}

/* --- reading --- */

/* Takes the events; where the ring had no room for some, cgroups came and went of which we were not told. */
static void take_events(struct vst_agent *a)
{
	__u32 lost = __atomic_load_n(&vst_probes_maps(a->probes)->state->events_lost, __ATOMIC_RELAXED);

	ring_buffer__consume(a->events);
	if (lost == a->table->events_lost)
		return;
	a->table->events_lost = lost;
	vst_owners_scan_soon(a->owners, vst_now());
}

static void take_alarms(struct vst_agent *a, double now)
{
	for (struct vst_container *c = vst_owners_first(a->owners); c; c = c->hh.next)
		c->encrypting = vst_patterns_encrypting(a->patterns, c, now);
}

static int read_rooms(struct vst_agent *a, double now)
{
	int err;

	take_events(a);
	err = vst_devices_read(&a->devices);
	if (!err)
		err = vst_io_table_collect(a->table, a->probes, a->owners, now);
	if (!err)
		err = vst_io_table_in_flight(a->table, a->probes, a->owners, (__u64)(now * 1e9));
	if (!err)
		err = vst_waits_disk_collect(a->waits_disk, a->table, a->blame, vst_owners_nobody(a->owners), now);
	if (!err)
		err = vst_waits_journal_collect(a->waits_journal, a->probes, a->owners, a->blame, now);
	if (!err)
		err = vst_waits_dirty_collect(a->waits_dirty, a->table, a->probes, a->owners, a->blame, now);
	if (!err)
		err = vst_locks_collect(a->locks, a->probes, a->owners, now);
	if (!err)
		err = vst_fsync_collect(a->fsync, a->probes, a->owners, &a->devices, now);
	if (!err)
		err = vst_heating_collect(&a->heating, a->probes, a->owners, now);
	vst_blame_collect(a->blame, &a->devices);
	if (!err)
		vst_slows_collect(a->slows, a->table, a->probes, a->attrs, now);
	if (!err)
		vst_patterns_collect(a->patterns, a->table, a->probes, a->attrs, vst_watch_window(a), now);
	vst_attrs_turn(a->attrs, vst_probes_maps(a->probes));
	vst_lives_collect(a->lives, a->probes, a->owners, now);
	take_alarms(a, now);
	/* read around the table, so that the kernel's numbers at its time lie between the two */
	return err ?: vst_devices_read(&a->devices);
}

/* Takes away the values at places that were given back. */
static int put_gone(struct vst_snapshot *s, enum vst_snap_list list, struct vst_places *places)
{
	int err = 0;
	__u32 place;

	while (!err && (place = vst_places_gone(places)) != VST_NO_PLACE)
		err = vst_snapshot_put(s, list, place, NULL);
	return err;
}

/* --- containers --- */

static struct known *known_at(struct vst_collect *c, __u32 place)
{
	struct known *known;
	__u32 n;

	if (place < c->n_known)
		return &c->known[place];
	for (n = c->n_known ?: 64; n <= place; n *= 2)
		;
	known = realloc(c->known, n * sizeof(*known));
	if (!known)
		return NULL;
	memset(known + c->n_known, 0, (n - c->n_known) * sizeof(*known));
	c->known = known;
	c->n_known = n;
	return &known[place];
}

static bool same_numbers(const struct vst_snap_container *v, const struct vst_container *from)
{
	return v->ios == from->ios && v->bytes == from->bytes && v->since >= from->since && v->since <= from->since &&
	       v->ended >= from->ended && v->ended <= from->ended && v->restarts == from->restarts &&
	       v->encrypting == from->encrypting && v->insight == from->insight &&
	       v->insight_set == from->insight_set && v->insight_since >= from->insight_since &&
	       v->insight_since <= from->insight_since;
}

static void set_numbers(struct vst_snap_container *v, const struct vst_container *from)
{
	v->ios = from->ios;
	v->bytes = from->bytes;
	v->since = from->since;
	v->ended = from->ended;
	v->restarts = from->restarts;
	v->encrypting = from->encrypting;
	v->insight = from->insight;
	v->insight_set = from->insight_set;
	v->insight_since = from->insight_since;
}

static struct vst_snap_container *value_of(struct vst_collect *c, const struct known *k,
					   const struct vst_container *from, bool own)
{
	struct vst_snap_container *v;

	if (k->value && k->changed == from->changed) { /* numbers only */
		v = vst_value_copy(VST_SNAP_CONTAINERS, k->value, 0, NULL);
		if (v)
			set_numbers(v, from);
		return v;
	}
	v = vst_value_new(VST_SNAP_CONTAINERS);
	if (!v)
		return NULL;
	v->id = k->value ? k->value->id : ++c->last_id;
	v->own = own;
	v->listed = from->listed;
	v->cgroup = from->cgroup;
	v->cgroup_ino = from->ino;
	v->display = from->display;
	v->ns = from->ns;
	v->pod = from->pod;
	v->name = from->name;
	v->image = from->image;
	v->cid = from->id;
	v->runtime = from->runtime;
	v->labels = from->labels;
	v->n_labels = from->n_labels;
	v->limits = from->limits;
	v->n_limits = from->n_limits;
	set_numbers(v, from);
	if (!vst_value_own_texts(VST_SNAP_CONTAINERS, v))
		return v;
	/* what it points to is not its own */
	v->cgroup = v->display = v->ns = v->pod = v->name = v->image = v->cid = v->runtime = NULL;
	v->labels = NULL;
	v->limits = NULL;
	v->n_labels = v->n_limits = 0;
	vst_value_unref(v);
	return NULL;
}

static int put_container(struct vst_collect *c, struct vst_snapshot *s, const struct vst_container *from, __u32 place)
{
	struct known *k = known_at(c, place);
	struct vst_snap_container *v;

	if (!k)
		return -ENOMEM;
	k->container = from;
	k->seq = s->seq;
	if (k->value && k->changed == from->changed && same_numbers(k->value, from))
		return 0;
	v = value_of(c, k, from, place < VST_CONTAINER__OWN);
	if (!v)
		return -ENOMEM;
	vst_value_unref(k->value);
	k->value = v;
	k->changed = from->changed;
	return vst_snapshot_put(s, VST_SNAP_CONTAINERS, place, vst_value_ref(v));
}

/* Those that are no cgroups. */
static int put_own(struct vst_collect *c, struct vst_snapshot *s, struct vst_owners *owners)
{
	struct vst_container *overflow = vst_owners_overflow(owners);
	int err;

	overflow->place = VST_CONTAINER_OVERFLOW;
	err = put_container(c, s, vst_owners_nobody(owners), VST_CONTAINER_UNATTRIBUTED);
	err = err ?: put_container(c, s, &vst_waits_kernel, VST_CONTAINER_KERNEL);
	err = err ?: put_container(c, s, &vst_waits_others, VST_CONTAINER_OTHERS);
	return err ?: put_container(c, s, overflow, VST_CONTAINER_OVERFLOW);
}

static int put_containers(struct vst_collect *c, struct vst_snapshot *s, struct vst_owners *owners)
{
	struct vst_container *from;
	struct known *k;
	int err = put_own(c, s, owners);

	s->self.containers = 0;
	for (from = vst_owners_first(owners); from && !err; from = from->hh.next) {
		if (!from->place)
			from->place = vst_places_take(&c->places);
		if (from->place == VST_NO_PLACE) {
			from->place = 0;
			return -ENOMEM;
		}
		err = put_container(c, s, from, from->place);
		if (!err)
			vst_container_share_texts(from, c->known[from->place].value);
		s->self.containers += from->listed;
	}
	if (err)
		return err;
	for (__u32 place = VST_CONTAINER__OWN; place < c->n_known; place++) {
		k = &c->known[place];
		if (!k->container || k->seq == s->seq)
			continue;
		vst_value_unref(k->value);
		*k = (struct known){ 0 };
		vst_places_give_back(&c->places, place);
	}
	return put_gone(s, VST_SNAP_CONTAINERS, &c->places);
}

/* --- rows --- */

static int put_ios(struct vst_snapshot *s, struct vst_io_table *t)
{
	int err = put_gone(s, VST_SNAP_IOS, &t->places);

	for (unsigned int i = 0; i < t->n_changed && !err; i++) {
		struct vst_io_row *row = t->changed[i];

		row->value->container = row->container->place;
		row->value->changed_seq = s->seq;
		err = vst_snapshot_put(s, VST_SNAP_IOS, row->place, vst_value_ref(row->value));
	}
	return err;
}

static int put_waits(struct vst_snapshot *s, struct vst_wait_rows *rows)
{
	int err = put_gone(s, VST_SNAP_WAITS, &rows->places);
	struct vst_wait_row *row;

	while (!err && (row = vst_wait_rows_changed(rows))) {
		row->value->waiter = row->waiter->place;
		row->value->holder = row->holder ? row->holder->place : VST_CONTAINER_UNATTRIBUTED;
		row->value->changed_seq = s->seq;
		err = vst_snapshot_put(s, VST_SNAP_WAITS, row->place, vst_value_ref(row->value));
	}
	return err;
}

/* --- devices --- */

/* Why a device's books cannot be judged; "": they can. */
static const char *not_judged(const struct vst_device *d)
{
	if (!d->accounted)
		return "the kernel does not count all of this device's I/O: its queue/iostats is 0";
	if (!d->present)
		return "the device is gone, and with it the kernel's count of its last I/O";
	if (d->reused)
		return "another device had this number before, and the kernel's count of its last I/O went with it";
	return "";
}

/* The kernel's number moved from low to high while the books were read: where in between is nearest to what was seen? */
static __u64 nearest(__u64 low, __u64 high, __u64 seen)
{
	return seen < low ? low : seen > high ? high : seen;
}

struct book {
	struct vst_count kernel;
	struct vst_seen seen;
};

static struct book book_of(const struct vst_io_table *t, const struct vst_device *d)
{
	static const struct vst_seen none;
	struct book b = { .seen = *(vst_io_table_seen(t, d->dev) ?: &none) };
	struct vst_count low, high;

	vst_device_kernel(d, &low, &high);
	b.kernel.ios = nearest(low.ios, high.ios, b.seen.seen.ios);
	b.kernel.bytes = nearest(low.bytes, high.bytes, b.seen.seen.bytes);
	return b;
}

/* Where each of VST_DEVICE_COUNTERS is: one that is missing here does not compile. */
#define DEVICE_kernel_ios b.kernel.ios
#define DEVICE_kernel_bytes b.kernel.bytes
#define DEVICE_seen_ios b.seen.seen.ios
#define DEVICE_seen_bytes b.seen.seen.bytes
#define DEVICE_attributed_ios b.seen.attributed.ios
#define DEVICE_attributed_bytes b.seen.attributed.bytes

/* The texts stay those of the device's room. */
static void device_now(const struct vst_io_table *t, const struct vst_device *d, struct vst_snap_device *ret)
{
	const struct book b = book_of(t, d);

	ret->dev = d->dev;
	ret->layer = d->layer;
	ret->name = (char *)d->name;
	ret->links = (char **)d->links.path;
	ret->n_links = d->links.n;
	ret->present = d->present;
	ret->accounted = d->accounted;
	ret->not_judged = (char *)not_judged(d);
#define X(side, field, d) ret->counter[VST_DEVICE_##side##_##field] = DEVICE_##side##_##field;
	VST_DEVICE_COUNTERS(X)
#undef X
	memcpy(ret->lost, b.seen.lost, sizeof(ret->lost));
	ret->in_flight = d->in_flight;
}

static bool same_links(const struct vst_snap_device *x, const struct vst_snap_device *y)
{
	if (x->n_links != y->n_links)
		return false;
	for (size_t i = 0; i < x->n_links; i++)
		if (strcmp(x->links[i], y->links[i]))
			return false;
	return true;
}

static bool same_device(const struct vst_snap_device *x, const struct vst_snap_device *y)
{
	return x->dev == y->dev && x->layer == y->layer && x->present == y->present && x->accounted == y->accounted &&
	       x->in_flight == y->in_flight && !strcmp(x->name, y->name) && !strcmp(x->not_judged, y->not_judged) &&
	       !memcmp(x->counter, y->counter, sizeof(x->counter)) && !memcmp(x->lost, y->lost, sizeof(x->lost)) &&
	       same_links(x, y);
}

static int put_device(struct vst_snapshot *s, const struct vst_io_table *t, const struct vst_device *d, __u32 place)
{
	const struct vst_snap_device *was = vst_snapshot_device(s, place);
	struct vst_snap_device now = { 0 }, *v;

	device_now(t, d, &now);
	if (was && same_device(was, &now))
		return 0;
	v = vst_value_new(VST_SNAP_DEVICES);
	if (!v)
		return -ENOMEM;
	device_now(t, d, v);
	if (vst_value_own_texts(VST_SNAP_DEVICES, v)) {
		v->name = v->not_judged = NULL; /* not its own */
		v->links = NULL;
		v->n_links = 0;
		vst_value_unref(v);
		return -ENOMEM;
	}
	return vst_snapshot_put(s, VST_SNAP_DEVICES, place, v);
}

static int put_devices(struct vst_snapshot *s, const struct vst_agent *a)
{
	int err = 0;

	for (size_t i = 0; i < a->devices.n && !err; i++)
		err = put_device(s, a->table, &a->devices.list[i], (__u32)i);
	return err;
}

/* --- the agent itself --- */

static int put_probes(struct vst_snapshot *s, const struct vst_probes *p)
{
	static const char *const states[] = {
		[VST_PROBE_ATTACHED] = "attached",
		[VST_PROBE_OFF] = "off",
		[VST_PROBE_MISSING] = "missing",
	};
	size_t n = vst_probes_count(p);
	struct vst_snap_probe *probes;
	struct vst_probe_info info;

	probes = s->n_probes == n ? (struct vst_snap_probe *)s->probes : calloc(n, sizeof(*probes));
	if (!probes)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		vst_probes_info(p, i, &info);
		probes[i] = (struct vst_snap_probe){
			.name = info.name,
			.tracepoint = info.tracepoint,
			.group = info.group,
			.state = states[info.state],
			.why = info.why,
			.run_ns = info.run_ns,
			.runs = info.runs,
			.missed = info.missed,
		};
	}
	s->probes = probes;
	s->n_probes = n;
	return 0;
}

static void put_lost(struct vst_snapshot *s, const struct vst_agent *a)
{
	const struct vst_maps *m = vst_probes_maps(a->probes);
	struct vst_snap_self *self = &s->self;

	self->hints_refused = __atomic_load_n(&m->state->hints_refused, __ATOMIC_RELAXED);
	memcpy(self->lost, a->table->lost, sizeof(self->lost));
	for (size_t i = 0; i < s->n_probes; i++)
		self->lost[VST_LOSS_MISSED] += s->probes[i].missed;
	for (int i = 0; m->lock.state && i < VST_LOCK_LOSS__N; i++)
		self->lock_lost[i] = __atomic_load_n(&m->lock.state->lost[i].waits, __ATOMIC_RELAXED);
	if (m->journal_state)
		self->journal_lost = __atomic_load_n(&m->journal_state->lost, __ATOMIC_RELAXED);
	if (m->pauses_lost)
		self->pause_lost = __atomic_load_n(m->pauses_lost, __ATOMIC_RELAXED);
}

static void put_self(struct vst_snapshot *s, const struct vst_agent *a)
{
	struct vst_snap_self *self = &s->self;
	const unsigned int max = sizeof(self->given_up) / sizeof(self->given_up[0]);

	self->cpu_percent = a->self.cpu_percent;
	self->rss_bytes = a->self.rss_bytes;
	self->tick_us = a->self.tick_us;
	self->tick_max_us = a->self.tick_max_us;
	self->event_ns = vst_probes_event_ns(a->probes);
	self->cost_percent = a->budget.cost;
	self->budget_percent = a->budget.limit;
	self->caps = a->caps;
	self->n_given_up = 0;
	for (int i = 0; i < VST_BUDGET__N && self->n_given_up < max; i++)
		if (a->budget.part[i].given_up)
			self->given_up[self->n_given_up++] = vst_budget_part_name(i);
	self->rows = a->table->n_rows;
	self->rows_max = VST_ROWS;
	self->slots = a->table->n_slots;
	self->slots_max = vst_probes_maps(a->probes)->slots;
	self->overflow_cgroups = vst_owners_overflowed(a->owners);
	self->watch_locks = vst_probes_watch_locks(a->probes);
	self->insight = vst_watch_share(a);
	self->insight_mode = a->watch.scopes.mode;
	self->insight_given_up = a->budget.part[VST_BUDGET_INSIGHT].given_up;
	if (vst_probes_maps(a->probes)->insight)
		self->files_lost = vst_probes_maps(a->probes)->insight->lost;
	self->encryption_alarms = vst_patterns_alarms(a->patterns);
	self->cache_lost = a->heating.lost;
	vst_recorder_status(a->recorder, &self->recording);
	put_lost(s, a);
}

/* --- the whole --- */

static struct vst_snapshot *begin(const struct vst_agent *a, double now)
{
	struct vst_snapshot *s = vst_snapshot_next(a->collect->last);
	struct timeval tv;

	if (!s)
		return NULL;
	gettimeofday(&tv, NULL);
	s->time = now;
	s->unix_time = (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
	s->started = a->started;
	s->interval = a->interval;
	memcpy(s->instance, a->instance, sizeof(s->instance));
	memcpy(s->kernel, a->kernel, sizeof(s->kernel));
	return s;
}

int vst_collect(struct vst_agent *a, const struct vst_snapshot **ret)
{
	struct vst_collect *c = a->collect;
	double now = vst_now();
	struct vst_snapshot *s = begin(a, now);
	int err, put;

	*ret = NULL;
	if (!s)
		return -ENOMEM;
	err = read_rooms(a, now);
	put = put_containers(c, s, a->owners);
	put = put ?: put_ios(s, a->table);
	put = put ?: put_waits(s, &a->wait_rows);
	put = put ?: vst_slows_put(a->slows, s, c->last);
	put = put ?: vst_patterns_put(a->patterns, s);
	put = put ?: vst_lives_put(a->lives, s);
	put = put ?: put_devices(s, a);
	put = put ?: vst_heating_put(&a->heating, a->probes, s);
	put = put ?: put_probes(s, a->probes);
	vst_self_tick(&a->self, (vst_now() - now) * 1e6);
	put_self(s, a);
	vst_snapshot_unref(c->last);
	c->last = s;
	*ret = vst_snapshot_ref(s);
	return err ?: put;
}
