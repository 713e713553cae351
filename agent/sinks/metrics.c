// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/sinks/metrics.h"
#include "agent/sinks/metrics_sum.h"
#include "agent/sinks/metrics_text.h"

#define BYTES_MAX (16 * 1024 * 1024) /* of a text; long names can reach it before the limit of series */
#define RESERVED 8		     /* series about the text itself, which come last and are never left out */
#define SUMS_PER_SERIES 2	     /* a sum has one series or more, but those of pairs may have none */
#define SHOWN_NS 1000000000ULL	     /* locks and pairs are shown when they have cost a second */
#define MORE_MAX 2048

struct vst_metrics {
	struct vst_sums sums;
	unsigned int max_series;
	__u64 rendered; /* texts */
	__u64 dropped;	/* series that were left out, added up over these snapshots */
	__u64 last_seq;
	double render_seconds; /* of the last one */
};

/* --- I/O of containers --- */

/* These are told by class and op, all others of the list by container and device only, to save series. */
static bool is_by_class(int counter)
{
	return counter == VST_COUNTER_ios || counter == VST_COUNTER_bytes;
}

static void io_counter(struct vst_metrics_out *o, const struct vst_sums *sums, int counter)
{
	enum vst_sum_kind kind = is_by_class(counter) ? VST_SUM_IO : VST_SUM_DISK;
	char more[MORE_MAX];
	size_t n;
	struct vst_sum **sum = vst_sums_of(sums, kind, &n);

	for (size_t i = 0; i < n; i++) {
		const struct vst_sum_key *k = &sum[i]->key;

		if (!vst_metrics_room(o, 1))
			continue;
		if (kind == VST_SUM_IO)
			snprintf(more, sizeof(more), "%s,op=\"%s\",class=\"%u\"", k->name[1]->labels,
				 vst_op_name(k->op), k->class);
		else
			snprintf(more, sizeof(more), "%s", k->name[1]->labels);
		vst_metrics_u64(o, "", k->name[0]->labels, more, sum[i]->n[counter]);
	}
}

static void io_counters(struct vst_metrics_out *o, const struct vst_sums *sums, bool by_class)
{
	static const struct vst_family families[] = {
#define X(f, d) { "vstor_io_" #f, VST_METRIC_COUNTER, "I/O of a container: " d "." },
		VST_COUNTERS(X)
#undef X
	};

	for (int i = 0; i < VST_COUNTER__N; i++) {
		if (is_by_class(i) != by_class)
			continue;
		vst_metrics_family(o, &families[i]);
		io_counter(o, sums, i);
	}
}

/* Latency has a histogram, which has the sum too. */
static void io_times(struct vst_metrics_out *o, const struct vst_sums *sums)
{
	static const struct vst_family families[] = {
#define X(e, f)                                                                                                        \
	{ "vstor_io_" #f "_seconds", VST_METRIC_COUNTER,                                                               \
	  "Seconds that the I/O of a container took, added up: " #f                                                    \
	  " time (queue: before the disk had the request; device: in the disk)." },
		VST_TIMES(X)
#undef X
	};
	size_t n;
	struct vst_sum **sum = vst_sums_of(sums, VST_SUM_TIME, &n);

	for (int t = 0; t < VST_TIME__N; t++) {
		if (t == VST_TIME_LATENCY)
			continue;
		vst_metrics_family(o, &families[t]);
		for (size_t i = 0; i < n; i++)
			if (vst_metrics_room(o, 1))
				vst_metrics_ns(o, "", sum[i]->key.name[0]->labels, sum[i]->key.name[1]->labels,
					       sum[i]->n[t]);
	}
}

/* The buckets of one set of labels, then its sum and count. more: "" or ready-made. */
static void histogram(struct vst_metrics_out *o, const char *labels, const char *more, const __u64 *bucket)
{
	static const char *const le[] = {
#define X(log2, le) le,
		VST_METRICS_BUCKETS(X)
#undef X
			"+Inf"
	};
	char with[MORE_MAX + 32];
	__u64 total = 0;

	if (!vst_metrics_room(o, VST_METRICS_BUCKET__N + 2))
		return;
	for (int i = 0; i < VST_METRICS_BUCKET__N; i++) {
		total += bucket[i];
		snprintf(with, sizeof(with), "%s,le=\"%s\"", more, le[i]);
		vst_metrics_u64(o, "_bucket", labels, with, total);
	}
	vst_metrics_ns(o, "_sum", labels, more, bucket[VST_METRICS_SUM_NS]);
	vst_metrics_u64(o, "_count", labels, more, total);
}

static void latencies(struct vst_metrics_out *o, const struct vst_sums *sums, enum vst_sum_kind kind)
{
	static const struct vst_family latency = {
		"vstor_io_latency_seconds", VST_METRIC_HISTOGRAM,
		"Seconds from the queue to the end of a read or write of a container."
	};
	static const struct vst_family fsync = { "vstor_fsync_seconds", VST_METRIC_HISTOGRAM,
						 "Seconds that fsync and its kin took, while they are measured." };
	char more[MORE_MAX];
	size_t n;
	struct vst_sum **sum = vst_sums_of(sums, kind, &n);

	vst_metrics_family(o, kind == VST_SUM_LATENCY ? &latency : &fsync);
	for (size_t i = 0; i < n; i++) {
		const struct vst_sum_key *k = &sum[i]->key;

		if (kind == VST_SUM_LATENCY)
			snprintf(more, sizeof(more), "%s,op=\"%s\"", k->name[1]->labels, vst_op_name(k->op));
		else
			snprintf(more, sizeof(more), "%s", k->name[1]->labels);
		histogram(o, k->name[0]->labels, more, sum[i]->n);
	}
}

/* --- devices and containers --- */

static void device_counters(struct vst_metrics_out *o, const struct vst_sums *sums)
{
	static const struct vst_family families[] = {
#define X(s, f, d) { "vstor_device_" #s "_" #f, VST_METRIC_COUNTER, "I/O of a device: " d "." },
		VST_DEVICE_COUNTERS(X)
#undef X
	};
	size_t n;
	struct vst_sum **sum = vst_sums_of(sums, VST_SUM_DEVICE, &n);

	for (int c = 0; c < VST_DEVICE__N; c++) {
		vst_metrics_family(o, &families[c]);
		for (size_t i = 0; i < n; i++)
			if (vst_metrics_room(o, 1))
				vst_metrics_u64(o, "", sum[i]->key.name[0]->labels, "", sum[i]->n[c]);
	}
}

static void device_lost(struct vst_metrics_out *o, const struct vst_sums *sums)
{
	static const struct vst_family family = { "vstor_device_lost", VST_METRIC_COUNTER,
						  "I/Os (no_part: bytes) of a device that are in no row or not in the "
						  "right one, by cause; causes of 0 are left out." };
	char more[64];
	size_t n;
	struct vst_sum **sum = vst_sums_of(sums, VST_SUM_DEVICE_LOST, &n);

	vst_metrics_family(o, &family);
	for (size_t i = 0; i < n; i++) {
		for (unsigned int c = 0; c < VST_LOSS__N; c++) {
			if (!sum[i]->n[c] || !vst_metrics_room(o, 1))
				continue;
			snprintf(more, sizeof(more), "cause=\"%s\"", vst_loss_name(c));
			vst_metrics_u64(o, "", sum[i]->key.name[0]->labels, more, sum[i]->n[c]);
		}
	}
}

static void device_states(struct vst_metrics_out *o, const struct vst_sums *sums)
{
	static const struct {
		struct vst_family family;
		enum vst_sum_device_now value;
	} states[] = {
		{ { "vstor_device_in_flight", VST_METRIC_GAUGE, "I/Os in flight, as the kernel counts them." },
		  VST_SUM_IN_FLIGHT },
		{ { "vstor_device_judged", VST_METRIC_GAUGE,
		    "1 if the kernel's count of the device can be compared with what the probes saw." },
		  VST_SUM_JUDGED },
	};
	size_t n;
	struct vst_sum **sum = vst_sums_of(sums, VST_SUM_DEVICE_NOW, &n);

	for (size_t f = 0; f < sizeof(states) / sizeof(states[0]); f++) {
		vst_metrics_family(o, &states[f].family);
		for (size_t i = 0; i < n; i++)
			if (sum[i]->n[VST_SUM_PRESENT] && vst_metrics_room(o, 1))
				vst_metrics_u64(o, "", sum[i]->key.name[0]->labels, "", sum[i]->n[states[f].value]);
	}
}

static void container_info(struct vst_metrics_out *o, const struct vst_sums *sums)
{
	static const struct vst_family family = {
		"vstor_container", VST_METRIC_INFO,
		"A container or unit that runs: its id, runtime, image and cgroup. The only series with ids."
	};
	size_t n;
	struct vst_sum **sum = vst_sums_of(sums, VST_SUM_INFO, &n);

	vst_metrics_family(o, &family);
	for (size_t i = 0; i < n; i++)
		if (sum[i]->n[0] && vst_metrics_room(o, 1))
			vst_metrics_u64(o, "", sum[i]->key.name[0]->labels, sum[i]->key.name[1]->labels, 1);
}

/* --- what goes on now --- */

static double age(const struct vst_snapshot *s, __u64 since_ns)
{
	return since_ns ? fmax(s->time - (double)since_ns / 1e9, 0) : 0;
}

/* Of a sum of states that has any: how many, and how old the oldest is. */
static void states(struct vst_metrics_out *o, const struct vst_sums *sums, enum vst_sum_kind kind,
		   const struct vst_family *count, const struct vst_family *oldest)
{
	char more[MORE_MAX];
	size_t n;
	struct vst_sum **sum = vst_sums_of(sums, kind, &n);

	for (int pass = 0; pass < 2; pass++) {
		vst_metrics_family(o, pass ? oldest : count);
		for (size_t i = 0; i < n; i++) {
			const struct vst_sum_key *k = &sum[i]->key;

			if (!sum[i]->n[0] || !vst_metrics_room(o, 1))
				continue;
			if (kind == VST_SUM_FLIGHT)
				snprintf(more, sizeof(more), "%s", k->name[1]->labels);
			else
				snprintf(more, sizeof(more), "resource=\"%s\"", vst_wait_type_name(k->op));
			if (pass)
				vst_metrics_real(o, "", k->name[0]->labels, more, age(sums->last, sum[i]->n[1]));
			else
				vst_metrics_u64(o, "", k->name[0]->labels, more, sum[i]->n[0]);
		}
	}
}

static void under_way(struct vst_metrics_out *o, const struct vst_sums *sums)
{
	static const struct vst_family in_flight = { "vstor_io_in_flight", VST_METRIC_GAUGE,
						     "I/Os of a container that were submitted and have not completed; "
						     "0 is left out." };
	static const struct vst_family oldest = { "vstor_io_oldest_seconds", VST_METRIC_GAUGE,
						  "Age in seconds of the oldest I/O of a container that has not "
						  "completed." };
	static const struct vst_family waiting = { "vstor_waiting_tasks", VST_METRIC_GAUGE,
						   "Tasks of a container that wait now, by what they wait for; 0 is "
						   "left out." };
	static const struct vst_family since = { "vstor_waiting_oldest_seconds", VST_METRIC_GAUGE,
						 "Seconds since the task that waits longest began to wait." };

	states(o, sums, VST_SUM_FLIGHT, &in_flight, &oldest);
	states(o, sums, VST_SUM_WAITING, &waiting, &since);
}

/* --- waits --- */

static void waits(struct vst_metrics_out *o, const struct vst_sums *sums, enum vst_sum_kind kind)
{
	static const struct vst_family waited = { "vstor_wait_seconds", VST_METRIC_COUNTER,
						  "Seconds that the tasks of a container waited, by resource. fsync "
						  "contains the others: do not add it to them." };
	static const struct vst_family blamed = {
		"vstor_blamed_seconds", VST_METRIC_COUNTER,
		"Seconds that the tasks of other containers waited because of this one, by resource."
	};
	char more[64];
	size_t n;
	struct vst_sum **sum = vst_sums_of(sums, kind, &n);

	vst_metrics_family(o, kind == VST_SUM_WAIT ? &waited : &blamed);
	for (size_t i = 0; i < n; i++) {
		if (!vst_metrics_room(o, 1))
			continue;
		snprintf(more, sizeof(more), "resource=\"%s\"", vst_wait_type_name(sum[i]->key.op));
		vst_metrics_ns(o, "", sum[i]->key.name[0]->labels, more, sum[i]->n[0]);
	}
}

static void locks(struct vst_metrics_out *o, const struct vst_sums *sums)
{
	static const struct vst_family seconds = { "vstor_lock_wait_seconds", VST_METRIC_COUNTER,
						   "Seconds that all tasks waited for a lock of the kernel, once they "
						   "are 1 or more." };
	static const struct vst_family count = { "vstor_lock_waits", VST_METRIC_COUNTER,
						 "Waits for a lock of the kernel that ended." };
	size_t n;
	struct vst_sum **sum = vst_sums_of(sums, VST_SUM_LOCK, &n);

	for (int pass = 0; pass < 2; pass++) {
		vst_metrics_family(o, pass ? &count : &seconds);
		for (size_t i = 0; i < n; i++) {
			if (sum[i]->n[0] < SHOWN_NS || !vst_metrics_room(o, 1))
				continue;
			if (pass)
				vst_metrics_u64(o, "", sum[i]->key.name[0]->labels, "", sum[i]->n[1]);
			else
				vst_metrics_ns(o, "", sum[i]->key.name[0]->labels, "", sum[i]->n[0]);
		}
	}
}

static void pairs(struct vst_metrics_out *o, const struct vst_sums *sums)
{
	static const struct vst_family family = {
		"vstor_blame_seconds", VST_METRIC_COUNTER,
		"Seconds that a container waited because of another, by_..., by resource, once they are 1 or more."
	};
	char more[2 * MORE_MAX];
	size_t n;
	struct vst_sum **sum = vst_sums_of(sums, VST_SUM_PAIR, &n);

	vst_metrics_family(o, &family);
	for (size_t i = 0; i < n; i++) {
		const struct vst_sum_key *k = &sum[i]->key;

		if (sum[i]->n[0] < SHOWN_NS || !k->name[1]->by || !vst_metrics_room(o, 1))
			continue;
		snprintf(more, sizeof(more), "%s,resource=\"%s\"", k->name[1]->by, vst_wait_type_name(k->op));
		vst_metrics_ns(o, "", k->name[0]->labels, more, sum[i]->n[0]);
	}
}

/* --- the text --- */

/* The labels of the container with that cgroup, for what is told by cgroups. */
static const char *labels_of(void *ctx, const char *cgroup)
{
	const struct vst_sums *sums = ctx;
	const struct vst_snap_container *c;

	vst_snapshot_for_each(sums->last, VST_SNAP_CONTAINERS, c, i)
	{
		const struct vst_sum_name *name = vst_sums_container(sums, i);

		if (name && !c->own && !c->ended && !strcmp(c->cgroup, cgroup))
			return name->labels;
	}
	return "";
}

static void about_text(struct vst_metrics_out *o, struct vst_metrics *m)
{
	static const struct vst_family dropped = {
		"vstor_metrics_dropped_series", VST_METRIC_COUNTER,
		"Series that were left out because of the limit, added up over all snapshots that were scraped."
	};
	static const struct vst_family no_sum = { "vstor_metrics_dropped_rows", VST_METRIC_COUNTER,
						  "Rows of the agent that found no place in the sums of the metrics." };
	static const struct vst_family series = { "vstor_metrics_series", VST_METRIC_GAUGE, "Series in this text." };
	static const struct vst_family limit = { "vstor_metrics_series_limit", VST_METRIC_GAUGE,
						 "Series that a text may have (--metrics-series)." };
	static const struct vst_family took = { "vstor_metrics_render_seconds", VST_METRIC_GAUGE,
						"Seconds that it took to make the text of the snapshot before." };

	static const struct vst_family renders = {
		"vstor_metrics_renders", VST_METRIC_COUNTER,
		"Texts like this one that were made: one for each snapshot and form that somebody asked for."
	};

	o->max += RESERVED;
	o->bytes_max = SIZE_MAX;
	vst_metrics_family(o, &dropped);
	vst_metrics_room(o, 6);
	vst_metrics_u64(o, "", "", "", m->dropped);
	vst_metrics_family(o, &no_sum);
	vst_metrics_u64(o, "", "", "", m->sums.no_sum);
	vst_metrics_family(o, &renders);
	vst_metrics_u64(o, "", "", "", m->rendered);
	vst_metrics_family(o, &limit);
	vst_metrics_u64(o, "", "", "", m->max_series);
	vst_metrics_family(o, &took);
	vst_metrics_real(o, "", "", "", m->render_seconds);
	vst_metrics_family(o, &series);
	vst_metrics_u64(o, "", "", "", o->series);
}

/* Only containers that raise the alarm have a series. */
static void encrypting(struct vst_metrics_out *o, const struct vst_sums *sums)
{
	static const struct vst_family family = { "vstor_encrypting_files", VST_METRIC_GAUGE,
						  "Files that look encrypted and that a container wrote in the last "
						  "minute, of containers with many of them." };
	const struct vst_snap_container *c;

	vst_metrics_family(o, &family);
	vst_snapshot_for_each(sums->last, VST_SNAP_CONTAINERS, c, i)
	{
		const struct vst_sum_name *name = c->encrypting ? vst_sums_container(sums, i) : NULL;

		if (name && vst_metrics_room(o, 1))
			vst_metrics_u64(o, "", name->labels, "", c->encrypting);
	}
}

/* What is left out first comes last: docs/metrics.md states this order. */
static void families(struct vst_metrics_out *o, struct vst_metrics *m, const struct vst_acting_status *policy)
{
	const struct vst_sums *sums = &m->sums;

	vst_metrics_self(o, sums->last);
	if (policy)
		vst_metrics_policy(o, policy, labels_of, (void *)sums);
	encrypting(o, sums);
	device_counters(o, sums);
	device_lost(o, sums);
	device_states(o, sums);
	io_counters(o, sums, true);
	waits(o, sums, VST_SUM_WAIT);
	waits(o, sums, VST_SUM_BLAMED);
	under_way(o, sums);
	container_info(o, sums);
	io_counters(o, sums, false);
	io_times(o, sums);
	latencies(o, sums, VST_SUM_FSYNC);
	latencies(o, sums, VST_SUM_LATENCY);
	locks(o, sums);
	pairs(o, sums);
}

static double now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

char *vst_metrics_render(struct vst_metrics *m, const struct vst_snapshot *s, const struct vst_acting_status *policy,
			 bool openmetrics, size_t *ret_len)
{
	struct vst_metrics_out o = {
		.openmetrics = openmetrics,
		.max = m->max_series - RESERVED,
		.bytes_max = BYTES_MAX,
	};
	double begin = now_seconds();

	if (vst_sums_update(&m->sums, s))
		return NULL;
	families(&o, m, policy);
	if (m->last_seq != s->seq) {
		m->dropped += o.dropped;
		m->last_seq = s->seq;
	}
	m->rendered++;
	about_text(&o, m);
	if (openmetrics)
		vst_out_raw(&o.out, "# EOF\n");
	m->render_seconds = now_seconds() - begin;
	return vst_out_take(&o.out, ret_len);
}

int vst_metrics_new(unsigned int max_series, struct vst_metrics **ret)
{
	struct vst_metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->max_series = max_series;
	m->sums.max = (size_t)max_series * SUMS_PER_SERIES;
	*ret = m;
	return 0;
}

void vst_metrics_free(struct vst_metrics *m)
{
	if (!m)
		return;
	vst_sums_clear(&m->sums);
	free(m);
}
