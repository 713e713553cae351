// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sinks/render.h"
#include "vstor/classes.h"

#define BOOKS_TOLERANCE 0.001

/* --- shared --- */

void vst_render_begin(struct vst_out *o, const char *type)
{
	vst_out_raw(o, "{\"schema\":1");
	vst_out_kstr(o, "type", type);
}

void vst_render_end(struct vst_out *o)
{
	vst_out_raw(o, "}\n");
}

void vst_render_moment(struct vst_out *o, const struct vst_snapshot *s)
{
	vst_out_kstr(o, "instance", s->instance);
	vst_out_ku64(o, "seq", s->seq);
	vst_out_kdouble(o, "time", s->unix_time, 6);
	vst_out_kdouble(o, "uptime", s->time - s->started, 6);
}

void vst_render_container(struct vst_out *o, const struct vst_snapshot *s, __u32 index, const char *key,
			  const char *cgroup_key)
{
	const struct vst_snap_container *c = vst_snapshot_container(s, index);

	vst_out_kstr(o, key, c ? c->display : "unattributed");
	vst_out_kstr(o, cgroup_key, c ? c->cgroup : "");
}

void vst_render_identity(struct vst_out *o, const struct vst_snap_container *c)
{
	vst_out_kstr(o, "container", c->display);
	vst_out_kstr(o, "runtime", c->runtime);
	vst_out_kstr(o, "id", c->cid);
	vst_out_kstr(o, "cgroup", c->cgroup);
	vst_out_kstr(o, "namespace", c->ns);
	vst_out_kstr(o, "pod", c->pod);
	vst_out_kstr(o, "name", c->name);
	vst_out_kstr(o, "image", c->image);
	vst_out_kstr(o, "state", c->ended > 0 ? "exited" : "running");
}

void vst_render_buckets(struct vst_out *o, const struct vst_sparse *h)
{
	vst_out_key(o, "buckets");
	vst_out_raw(o, "[");
	for (unsigned int i = 0; i < h->n; i++) {
		vst_out_raw(o, i ? ",[" : "[");
		vst_out_u64(o, h->bucket[i].index);
		vst_out_raw(o, ",");
		vst_out_u64(o, h->bucket[i].n);
		vst_out_raw(o, "]");
	}
	vst_out_raw(o, "]");
}

double vst_render_age_us(const struct vst_snapshot *s, __u64 since_ns)
{
	return fmax(s->time * 1e6 - (double)since_ns / 1e3, 0);
}

void vst_render_error(struct vst_out *o, const char *what)
{
	vst_out_raw(o, "{\"schema\":1");
	vst_out_kstr(o, "error", what);
	vst_render_end(o);
}

/* --- the agent --- */

static void lost(struct vst_out *o, const __u64 *n, bool zeroes)
{
	vst_out_key(o, "lost");
	vst_out_raw(o, "{");
	for (int i = 0; i < VST_LOSS__N; i++)
		if (n[i] || zeroes)
			vst_out_ku64(o, vst_loss_name(i), n[i]);
	vst_out_raw(o, "}");
}

void vst_render_self(struct vst_out *o, const struct vst_snap_self *self)
{
	vst_out_key(o, "self");
	vst_out_raw(o, "{");
	vst_out_kdouble(o, "cpu_percent", self->cpu_percent, 3);
	vst_out_ku64(o, "rss_bytes", self->rss_bytes);
	vst_out_kdouble(o, "tick_us", self->tick_us, 0);
	vst_out_kdouble(o, "tick_max_us", self->tick_max_us, 0);
	vst_out_kdouble(o, "event_ns", self->event_ns, 1);
	vst_out_kdouble(o, "cost_percent", self->cost_percent, 3);
	vst_out_kdouble(o, "budget_percent", self->budget_percent, 3);
	vst_out_key(o, "given_up");
	vst_out_raw(o, "[");
	for (unsigned int i = 0; i < self->n_given_up; i++) {
		vst_out_raw(o, i ? "," : "");
		vst_out_str(o, self->given_up[i]);
	}
	vst_out_raw(o, "]");
	vst_out_ku64(o, "rows", self->rows);
	vst_out_ku64(o, "rows_max", self->rows_max);
	vst_out_ku64(o, "slots", self->slots);
	vst_out_ku64(o, "slots_max", self->slots_max);
	vst_out_ku64(o, "containers", self->containers);
	vst_out_ku64(o, "overflow_cgroups", self->overflow_cgroups);
	vst_out_ku64(o, "hints_refused", self->hints_refused);
	vst_out_ku64(o, "encryption_alarms", self->encryption_alarms);
	lost(o, self->lost, true);
	vst_out_raw(o, "}");
}

static void probe(struct vst_out *o, const struct vst_snap_probe *p)
{
	vst_out_raw(o, "{");
	vst_out_kstr(o, "name", p->name);
	vst_out_kstr(o, "tracepoint", p->tracepoint);
	vst_out_kstr(o, "group", p->group);
	vst_out_kstr(o, "state", p->state);
	vst_out_kstr(o, "why", p->why);
	vst_out_kdouble(o, "run_ns", p->run_ns, 1);
	vst_out_ku64(o, "runs", p->runs);
	vst_out_ku64(o, "missed", p->missed);
	vst_out_raw(o, "}");
}

void vst_render_probes(struct vst_out *o, const struct vst_snapshot *s)
{
	vst_out_key(o, "probes");
	vst_out_raw(o, "[");
	for (size_t i = 0; i < s->n_probes; i++) {
		vst_out_raw(o, i ? "," : "");
		probe(o, &s->probes[i]);
	}
	vst_out_raw(o, "]");
}

/* --- rows --- */

static void times(struct vst_out *o, const char *key, const struct vst_times *t)
{
	vst_out_key(o, key);
	vst_out_raw(o, "{");
	vst_out_kdouble(o, "sum_us", (double)t->sum_ns / 1e3, 1);
	vst_out_kdouble(o, "max_us", (double)t->max_ns / 1e3, 3);
	vst_render_buckets(o, &t->hist);
	vst_out_raw(o, "}");
}

/* d: the device of the row before, and then of this one; most rows that follow each other have the same. */
static void device(struct vst_out *o, const struct vst_snapshot *s, __u32 dev, const struct vst_snap_device **d)
{
	char number[32];

	if (!*d || (*d)->dev != dev)
		*d = vst_snapshot_device_of(s, dev);
	snprintf(number, sizeof(number), "%u:%u", dev >> 20, dev & 0xfffff);
	vst_out_kstr(o, "device", *d ? (*d)->name : number);
}

static void in_flight(struct vst_out *o, const struct vst_snapshot *s, const struct vst_snap_io *io)
{
	if (!io->in_flight)
		return;
	vst_out_key(o, "in_flight");
	vst_out_raw(o, "{");
	vst_out_ku64(o, "ios", io->in_flight);
	vst_out_kdouble(o, "oldest_us", io->oldest_ns ? vst_render_age_us(s, io->oldest_ns) : 0, 1);
	vst_out_kdouble(o, "sum_us", (double)io->in_flight_sum / 1e3, 1);
	vst_out_raw(o, "}");
}

static void patterns(struct vst_out *o, __u8 bits)
{
	bool any = false;

	vst_out_key(o, "patterns");
	vst_out_raw(o, "[");
	for (int i = 0; i < VST_PATTERN__N; i++) {
		if (!(bits >> i & 1))
			continue;
		vst_out_raw(o, any ? "," : "");
		vst_out_str(o, vst_pattern_name(i));
		any = true;
	}
	vst_out_raw(o, "]");
}

static void row(struct vst_out *o, const struct vst_snapshot *s, const struct vst_snap_io *io,
		const struct vst_snap_device **d)
{
	int i = 0;

	vst_render_begin(o, "row");
	vst_out_ku64(o, "row", io->id);
	vst_render_container(o, s, io->container, "container", "cgroup");
	device(o, s, io->dev, d);
	vst_out_kstr(o, "layer", vst_layer_name(io->layer));
	vst_out_kstr(o, "op", vst_op_name(io->op));
	vst_out_kstr(o, "kind", vst_kind_name(io->kind));
	vst_out_kstr(o, "size", vst_size_name(io->size));
	patterns(o, io->patterns);
	vst_out_ku64(o, "class", io->hint ? io->hint - 1U : vst_class(io->kind, io->size));
	vst_out_kstr(o, "witness", vst_witness_name(io->witness));
#define X(f, d) vst_out_ku64(o, #f, io->counts.counter[i++]);
	VST_COUNTERS(X)
#undef X
	times(o, "latency", &io->counts.time[VST_TIME_LATENCY]);
	times(o, "queue", &io->counts.time[VST_TIME_QUEUE]);
	times(o, "device_time", &io->counts.time[VST_TIME_DEVICE]);
	in_flight(o, s, io);
	vst_render_end(o);
}

/* So that who looks at the disks at night sees it, too. */
static void alarms(struct vst_out *o, const struct vst_snapshot *s)
{
	const struct vst_snap_container *c;

	if (!s->self.encryption_alarms)
		return;
	vst_snapshot_for_each(s, VST_SNAP_CONTAINERS, c, i)
	{
		if (!c->encrypting)
			continue;
		vst_render_begin(o, "alarm");
		vst_out_kstr(o, "alarm", "mass_encryption");
		vst_render_container(o, s, i, "container", "cgroup");
		vst_out_ku64(o, "files", c->encrypting);
		vst_render_end(o);
	}
}

void vst_render_io(struct vst_out *o, const struct vst_snapshot *s, __u64 since)
{
	const struct vst_snap_device *d = NULL;
	const struct vst_snap_io *io;

	vst_render_begin(o, "snapshot");
	vst_render_moment(o, s);
	vst_render_self(o, &s->self);
	vst_render_end(o);
	alarms(o, s);
	vst_snapshot_for_each(s, VST_SNAP_IOS, io, i) if (io->changed_seq > since || io->in_flight) row(o, s, io, &d);
}

/* --- the books --- */

/* "SIDE":{"FIELD":N,...} for each side. */
static void device_counters(struct vst_out *o, const __u64 *n)
{
	static const struct {
		const char *side, *field;
	} names[] = {
#define X(s, f, d) { #s, #f },
		VST_DEVICE_COUNTERS(X)
#undef X
	};

	for (int i = 0; i < VST_DEVICE__N; i++) {
		bool new = !i || strcmp(names[i].side, names[i - 1].side);

		if (new && i)
			vst_out_raw(o, "}");
		if (new) {
			vst_out_key(o, names[i].side);
			vst_out_raw(o, "{");
		}
		vst_out_ku64(o, names[i].field, n[i]);
	}
	vst_out_raw(o, "}");
}

static double difference(__u64 kernel, __u64 seen)
{
	double base = kernel ? (double)kernel : 1;

	return fabs((double)kernel - (double)seen) / base;
}

static void book(struct vst_out *o, const struct vst_snapshot *s, const struct vst_snap_device *d)
{
	const __u64 *n = d->counter;
	__u64 causes[VST_LOSS__N];
	double diff;

	if (!n[VST_DEVICE_kernel_ios] && !n[VST_DEVICE_seen_ios])
		return;
	diff = fmax(difference(n[VST_DEVICE_kernel_ios], n[VST_DEVICE_seen_ios]),
		    difference(n[VST_DEVICE_kernel_bytes], n[VST_DEVICE_seen_bytes]));
	memcpy(causes, d->lost, sizeof(causes));
	causes[VST_LOSS_MISSED] = s->self.lost[VST_LOSS_MISSED]; /* known of the whole host only */
	vst_render_begin(o, "check");
	vst_out_kdouble(o, "time", s->unix_time, 6);
	vst_out_kstr(o, "device", d->name);
	vst_out_kstr(o, "layer", vst_layer_name(d->layer));
	vst_out_kbool(o, "accounted", d->accounted);
	device_counters(o, n);
	vst_out_ku64(o, "in_flight", d->in_flight);
	lost(o, causes, false);
	vst_out_kdouble(o, "difference", *d->not_judged ? 0 : diff, 6);
	vst_out_kbool(o, "holds", *d->not_judged || diff <= BOOKS_TOLERANCE);
	vst_out_kstr(o, "why", d->not_judged);
	vst_render_end(o);
}

void vst_render_check(struct vst_out *o, const struct vst_snapshot *s, __u64 since)
{
	const struct vst_snap_device *d;

	vst_snapshot_for_each(s, VST_SNAP_DEVICES, d, i) book(o, s, d);
}

/* --- containers --- */

static int same_name(const struct vst_snap_container *x, const struct vst_snap_container *y)
{
	int d = strcmp(x->display, y->display);

	return d ? d : strcmp(x->runtime, y->runtime);
}

/* By name; of one name those that ended first, and then by age. */
static int by_name(const void *a, const void *b)
{
	const struct vst_snap_container *x = *(const struct vst_snap_container *const *)a;
	const struct vst_snap_container *y = *(const struct vst_snap_container *const *)b;
	int d = same_name(x, y);

	if (d)
		return d;
	if (!x->ended != !y->ended)
		return x->ended ? -1 : 1;
	return x->since < y->since ? -1 : x->since > y->since;
}

static void limits(struct vst_out *o, const struct vst_snap_container *c)
{
	if (!c->n_limits)
		return;
	vst_out_key(o, "limits");
	vst_out_raw(o, "[");
	for (size_t i = 0; i < c->n_limits; i++) {
		vst_out_raw(o, i ? ",{" : "{");
		vst_out_kstr(o, "cgroup", c->limits[i].cgroup);
		vst_out_kstr(o, "attribute", c->limits[i].attribute);
		vst_out_kstr(o, "value", c->limits[i].value);
		vst_out_raw(o, "}");
	}
	vst_out_raw(o, "]");
}

/* What earlier runs of the same name did, and how often it was started anew. */
struct earlier {
	__u64 ios, bytes;
	unsigned int restarts;
};

static void container(struct vst_out *o, const struct vst_snap_container *c, const struct earlier *before, double now)
{
	vst_render_begin(o, "container");
	vst_render_identity(o, c);
	vst_out_kdouble(o, "age", fmax(now - c->since, 0), 1);
	vst_out_ku64(o, "restarts", before->restarts + c->restarts);
	vst_out_ku64(o, "ios", before->ios + c->ios);
	vst_out_ku64(o, "bytes", before->bytes + c->bytes);
	if (c->encrypting)
		vst_out_ku64(o, "encrypting", c->encrypting);
	limits(o, c);
	vst_render_end(o);
}

/* The containers that are shown, sorted; NULL: out of memory. The caller frees. */
static const struct vst_snap_container **shown(const struct vst_snapshot *s, size_t *ret_n)
{
	const struct vst_snap_container *c, **all;
	size_t n = 0;

	all = malloc((s->list[VST_SNAP_CONTAINERS].end ?: 1) * sizeof(*all));
	if (!all)
		return NULL;
	vst_snapshot_for_each(s, VST_SNAP_CONTAINERS, c, i) if (!c->own && (c->listed || c->ios)) all[n++] = c;
	qsort(all, n, sizeof(*all), by_name);
	*ret_n = n;
	return all;
}

/*
 * Containers that were started anew under the same name are one line: that of the last run, with what all of them did. Those
 * that run at the same time stay apart, whatever they are called.
 */
void vst_render_ps(struct vst_out *o, const struct vst_snapshot *s, __u64 since)
{
	const struct vst_snap_container *c, **all;
	struct earlier before = { 0 };
	size_t n = 0, i;

	all = shown(s, &n);
	if (!all) {
		o->failed = true;
		return;
	}
	for (i = 0; i < n; i++) {
		c = all[i];
		if (c->ended > 0 && i + 1 < n && !same_name(c, all[i + 1])) {
			before.ios += c->ios;
			before.bytes += c->bytes;
			before.restarts += c->restarts + 1;
			continue;
		}
		container(o, c, &before, s->time);
		before = (struct earlier){ 0 };
	}
	free(all);
}
