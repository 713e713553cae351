// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/sinks/render.h"
#include "vstor/classes.h"

#define BOOKS_TOLERANCE 0.001

static void begin(struct vst_out *o, const char *type)
{
	vst_out_raw(o, "{\"schema\":1");
	vst_out_kstr(o, "type", type);
}

static void end(struct vst_out *o)
{
	vst_out_raw(o, "}\n");
}

static double unix_time(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

/* --- the agent --- */

static void render_lost(struct vst_out *o, const __u64 *lost, bool zeroes)
{
	vst_out_key(o, "lost");
	vst_out_raw(o, "{");
	for (int i = 0; i < VST_LOSS__N; i++)
		if (lost[i] || zeroes)
			vst_out_ku64(o, vst_loss_name(i), lost[i]);
	vst_out_raw(o, "}");
}

static void render_budget(struct vst_out *o, const struct vst_agent *a)
{
	bool any = false;

	vst_out_kdouble(o, "cost_percent", a->budget.cost, 3);
	vst_out_kdouble(o, "budget_percent", a->budget.limit, 3);
	vst_out_key(o, "given_up");
	vst_out_raw(o, "[");
	for (int i = 0; i < VST_BUDGET__N; i++) {
		if (!a->budget.part[i].given_up)
			continue;
		if (any)
			vst_out_raw(o, ",");
		vst_out_str(o, vst_budget_part_name(i));
		any = true;
	}
	vst_out_raw(o, "]");
}

static void render_self(struct vst_out *o, const struct vst_agent *a)
{
	vst_out_key(o, "self");
	vst_out_raw(o, "{");
	vst_out_kdouble(o, "cpu_percent", a->self.cpu_percent, 3);
	vst_out_ku64(o, "rss_bytes", a->self.rss_bytes);
	vst_out_kdouble(o, "tick_us", a->self.tick_us, 0);
	vst_out_kdouble(o, "tick_max_us", a->self.tick_max_us, 0);
	vst_out_kdouble(o, "event_ns", vst_probes_event_ns(a->probes), 1);
	render_budget(o, a);
	vst_out_ku64(o, "rows", a->table->n_rows);
	vst_out_ku64(o, "rows_max", VST_ROWS);
	vst_out_ku64(o, "slots", a->table->n_slots);
	vst_out_ku64(o, "slots_max", vst_probes_maps(a->probes)->slots);
	vst_out_ku64(o, "containers", vst_owners_count(a->owners));
	render_lost(o, a->table->lost, true);
	vst_out_raw(o, "}");
}

static void render_probe(struct vst_out *o, const struct vst_probe_info *p)
{
	static const char *const states[] = {
		[VST_PROBE_ATTACHED] = "attached",
		[VST_PROBE_OFF] = "off",
		[VST_PROBE_MISSING] = "missing",
	};

	vst_out_raw(o, "{");
	vst_out_kstr(o, "name", p->name);
	vst_out_kstr(o, "tracepoint", p->tracepoint);
	vst_out_kstr(o, "state", states[p->state]);
	vst_out_kstr(o, "why", p->why);
	vst_out_kdouble(o, "run_ns", p->run_ns, 1);
	vst_out_ku64(o, "runs", p->runs);
	vst_out_ku64(o, "missed", p->missed);
	vst_out_raw(o, "}");
}

void vst_render_status(struct vst_out *o, const struct vst_agent *a)
{
	struct vst_probe_info info;
	size_t i;

	begin(o, "status");
	vst_out_kstr(o, "version", VSTOR_VERSION);
	vst_out_ku64(o, "pid", getpid());
	vst_out_kstr(o, "instance", a->instance);
	vst_out_kstr(o, "kernel", a->kernel);
	vst_out_kdouble(o, "uptime", vst_now() - a->started, 3);
	vst_out_kdouble(o, "interval", a->interval, 3);
	vst_out_kstr(o, "mode", "observe");
	vst_out_key(o, "probes");
	vst_out_raw(o, "[");
	for (i = 0; i < vst_probes_count(a->probes); i++) {
		vst_probes_info(a->probes, i, &info);
		if (i)
			vst_out_raw(o, ",");
		render_probe(o, &info);
	}
	vst_out_raw(o, "]");
	render_self(o, a);
	end(o);
}

/* --- rows --- */

static void device_name(const struct vst_agent *a, __u32 dev, char *buf, size_t size, enum vst_layer *ret_layer)
{
	const struct vst_device *d = vst_devices_find((struct vst_devices *)&a->devices, dev);

	*ret_layer = d ? d->layer : VST_LAYER_LEAF;
	if (d)
		snprintf(buf, size, "%s", d->name);
	else
		snprintf(buf, size, "%u:%u", dev >> 20, dev & 0xfffff);
}

static void render_time(struct vst_out *o, const char *key, const struct vst_io_row *row, enum vst_time t)
{
	const struct vst_sparse *h = &row->hist[t];
	unsigned int i;

	vst_out_key(o, key);
	vst_out_raw(o, "{");
	vst_out_kdouble(o, "sum_us", (double)row->sum_ns[t] / 1e3, 1);
	vst_out_kdouble(o, "max_us", (double)row->max_ns[t] / 1e3, 3);
	vst_out_key(o, "buckets");
	vst_out_raw(o, "[");
	for (i = 0; i < h->n; i++) {
		vst_out_raw(o, i ? ",[" : "[");
		vst_out_u64(o, h->bucket[i].index);
		vst_out_raw(o, ",");
		vst_out_u64(o, h->bucket[i].n);
		vst_out_raw(o, "]");
	}
	vst_out_raw(o, "]}");
}

static void render_row(struct vst_out *o, const struct vst_agent *a, const struct vst_io_row *row)
{
	enum vst_layer layer;
	char device[64];
	int i = 0;

	device_name(a, row->key.dev, device, sizeof(device), &layer);
	begin(o, "row");
	vst_out_ku64(o, "row", row->id);
	vst_out_kstr(o, "container", row->container->display);
	vst_out_kstr(o, "cgroup", row->container->cgroup);
	vst_out_kstr(o, "device", device);
	vst_out_kstr(o, "layer", vst_layer_name(row->key.layer));
	vst_out_kstr(o, "op", vst_op_name(row->key.op));
	vst_out_kstr(o, "kind", vst_kind_name(row->key.kind));
	vst_out_kstr(o, "size", vst_size_name(row->key.size));
	vst_out_key(o, "patterns");
	vst_out_raw(o, "[]");
	vst_out_ku64(o, "class", vst_class(row->key.kind, row->key.size));
	vst_out_kstr(o, "witness", vst_witness_name(row->key.witness));
#define X(f, d) vst_out_ku64(o, #f, row->counter[i++]);
	VST_COUNTERS(X)
#undef X
	render_time(o, "latency", row, VST_TIME_LATENCY);
	render_time(o, "queue", row, VST_TIME_QUEUE);
	render_time(o, "device_time", row, VST_TIME_DEVICE);
	end(o);
}

void vst_render_io(struct vst_out *o, const struct vst_agent *a, __u64 since)
{
	const struct vst_io_row *row;

	begin(o, "snapshot");
	vst_out_kstr(o, "instance", a->instance);
	vst_out_ku64(o, "seq", a->table->seq);
	vst_out_kdouble(o, "time", unix_time(), 6);
	vst_out_kdouble(o, "uptime", a->collected - a->started, 6);
	render_self(o, a);
	end(o);
	for (row = a->table->rows; row; row = row->next)
		if (row->changed_seq > since)
			render_row(o, a, row);
}

/* --- the books --- */

static void render_count(struct vst_out *o, const char *key, const struct vst_count *c)
{
	vst_out_key(o, key);
	vst_out_raw(o, "{");
	vst_out_ku64(o, "ios", c->ios);
	vst_out_ku64(o, "bytes", c->bytes);
	vst_out_raw(o, "}");
}

/* The kernel's number moved from low to high while the books were read: where in between is nearest to what was seen? */
static __u64 nearest(__u64 low, __u64 high, __u64 seen)
{
	return seen < low ? low : seen > high ? high : seen;
}

static double difference(__u64 kernel, __u64 seen)
{
	double base = kernel ? (double)kernel : 1;

	return fabs((double)kernel - (double)seen) / base;
}

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

static void render_book(struct vst_out *o, const struct vst_agent *a, const struct vst_device *d)
{
	static const struct vst_seen none;
	const char *why = not_judged(d);
	const struct vst_seen *s = vst_io_table_seen(a->table, d->dev);
	struct vst_count low, high, kernel;
	__u64 lost[VST_LOSS__N];
	double diff;

	if (!s)
		s = &none;
	vst_device_kernel(d, &low, &high);
	if (!high.ios && !s->seen.ios)
		return;
	kernel.ios = nearest(low.ios, high.ios, s->seen.ios);
	kernel.bytes = nearest(low.bytes, high.bytes, s->seen.bytes);
	diff = fmax(difference(kernel.ios, s->seen.ios), difference(kernel.bytes, s->seen.bytes));
	memcpy(lost, s->lost, sizeof(lost));
	lost[VST_LOSS_MISSED] = a->table->lost[VST_LOSS_MISSED]; /* known of the whole host only */
	begin(o, "check");
	vst_out_kdouble(o, "time", unix_time(), 6);
	vst_out_kstr(o, "device", d->name);
	vst_out_kstr(o, "layer", vst_layer_name(d->layer));
	vst_out_kbool(o, "accounted", d->accounted);
	render_count(o, "kernel", &kernel);
	render_count(o, "seen", &s->seen);
	render_count(o, "attributed", &s->attributed);
	render_lost(o, lost, false);
	vst_out_kdouble(o, "difference", *why ? 0 : diff, 6);
	vst_out_kbool(o, "holds", *why || diff <= BOOKS_TOLERANCE);
	vst_out_kstr(o, "why", why);
	end(o);
}

void vst_render_check(struct vst_out *o, const struct vst_agent *a)
{
	for (size_t i = 0; i < a->devices.n; i++)
		render_book(o, a, &a->devices.list[i]);
}

/* --- containers --- */

static int same_name(const struct vst_container *x, const struct vst_container *y)
{
	int d = strcmp(x->display, y->display);

	return d ? d : strcmp(x->runtime, y->runtime);
}

/* By name; of one name those that ended first, and then by age. */
static int by_name(const void *a, const void *b)
{
	const struct vst_container *x = *(struct vst_container *const *)a, *y = *(struct vst_container *const *)b;
	int d = same_name(x, y);

	if (d)
		return d;
	if (!x->ended != !y->ended)
		return x->ended ? -1 : 1;
	return x->since < y->since ? -1 : x->since > y->since;
}

static void render_container(struct vst_out *o, const struct vst_container *c, const struct vst_count *before,
			     unsigned int restarts, double now)
{
	begin(o, "container");
	vst_out_kstr(o, "container", c->display);
	vst_out_kstr(o, "runtime", c->runtime);
	vst_out_kstr(o, "id", c->id);
	vst_out_kstr(o, "cgroup", c->cgroup);
	vst_out_kstr(o, "namespace", c->ns);
	vst_out_kstr(o, "pod", c->pod);
	vst_out_kstr(o, "name", c->name);
	vst_out_kstr(o, "image", c->image);
	vst_out_kstr(o, "state", c->ended ? "exited" : "running");
	vst_out_kdouble(o, "age", now - c->since, 1);
	vst_out_ku64(o, "restarts", restarts);
	vst_out_ku64(o, "ios", before->ios + c->ios);
	vst_out_ku64(o, "bytes", before->bytes + c->bytes);
	end(o);
}

/*
 * What was started anew under its name is one line: that of the run that is or was last, with what all of them did. Those
 * that run at the same time stay apart, whatever they are called.
 */
void vst_render_ps(struct vst_out *o, const struct vst_agent *a)
{
	struct vst_container *c, **all;
	struct vst_count before = { 0 };
	unsigned int restarts = 0;
	double now = vst_now();
	size_t n = 0, i = 0;

	for (c = vst_owners_first(a->owners); c; c = c->hh.next)
		n += c->listed || c->ios;
	all = calloc(n ?: 1, sizeof(*all));
	if (!all) {
		o->failed = true;
		return;
	}
	for (c = vst_owners_first(a->owners); c; c = c->hh.next)
		if (c->listed || c->ios)
			all[i++] = c;
	qsort(all, n, sizeof(*all), by_name);
	for (i = 0; i < n; i++) {
		c = all[i];
		if (c->ended && i + 1 < n && !same_name(c, all[i + 1])) {
			before.ios += c->ios;
			before.bytes += c->bytes;
			restarts += c->restarts + 1;
			continue;
		}
		render_container(o, c, &before, restarts + c->restarts, now);
		before = (struct vst_count){ 0 };
		restarts = 0;
	}
	free(all);
}

void vst_render_error(struct vst_out *o, const char *what)
{
	vst_out_raw(o, "{\"schema\":1");
	vst_out_kstr(o, "error", what);
	end(o);
}
