// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "agent/waits/share.h"

#define FORGET 3600.0	  /* seconds until a time counts as twice as long */
#define ENOUGH 4	  /* requests: the mean of fewer may be a few hits in a cache */
#define SLACK 1.25	  /* the shortest mean is not the usual one: up to here a device varies by itself */
#define SMALL 0.02	  /* of all weight */
#define FEW 32		  /* parties that are all told apart */
#define SMALLEST_SHIFT 12 /* 4 KiB */

static int size_of(double bytes)
{
	int k = 0;

	while (k < VST_SHARE_SIZES - 1 && bytes > (double)(1ULL << (SMALLEST_SHIFT + k)))
		k++;
	return k;
}

void vst_share_learn(struct vst_share_model *m, const struct vst_share_work *work, size_t n, double seconds)
{
	double grow = exp2(seconds / FORGET), mean, *base;

	for (int op = 0; op < VST_OP__N; op++)
		for (int k = 0; k < VST_SHARE_SIZES; k++)
			m->base_ns[op][k] *= grow;
	for (size_t i = 0; i < n; i++) {
		if (work[i].ios < ENOUGH && (work[i].op == VST_OP_READ || work[i].op == VST_OP_WRITE))
			continue;
		mean = (double)work[i].device_ns / (double)work[i].ios;
		base = &m->base_ns[work[i].op][size_of((double)work[i].bytes / (double)work[i].ios)];
		if (mean > 0 && (!(*base > 0) || mean < *base))
			*base = mean;
	}
}

static double least(double a, double b)
{
	return a > 0 && (!(b > 0) || a < b) ? a : b;
}

double vst_share_base(const struct vst_share_model *m, enum vst_op op, double bytes)
{
	int k = size_of(bytes), i;
	double base = 0;

	/* a smaller request takes no longer than a larger one, a larger one no longer than as many small ones */
	for (i = 0; i < VST_SHARE_SIZES; i++)
		base = least(m->base_ns[op][i] * (i < k ? (double)(1U << (k - i)) : 1), base);
	return base;
}

/*
 * What a request is to the device, as far as others wait for it. Reads and writes alike: a write into a cache is over
 * soon, and has to be paid for nevertheless.
 */
static double cost_of(const struct vst_share_model *m, const struct vst_share_work *w)
{
	double bytes = (double)w->bytes / (double)w->ios, base;

	if (w->op == VST_OP_READ || w->op == VST_OP_WRITE)
		base = least(vst_share_base(m, VST_OP_READ, bytes), vst_share_base(m, VST_OP_WRITE, bytes));
	else
		base = vst_share_base(m, w->op, bytes);
	return base > 0 ? base : (double)w->device_ns / (double)w->ios;
}

static int by_who(const void *a, const void *b)
{
	const struct vst_share_work *x = a, *y = b;

	return x->who < y->who ? -1 : x->who > y->who;
}

/* Nobody waits for more than is under way for it at a time; with one request at a time, for nothing of its own. */
static void party_end(struct vst_share_party *p, double window_ns)
{
	/* of n requests that ended in a window, one may have begun long before it */
	double depth = p->limit_ns * (double)(p->waits - 1) / (double)p->waits / window_ns;

	p->self = depth > 1 ? 1 - 1 / depth : 0;
	p->presence = fmin(1, p->limit_ns / window_ns);
}

size_t vst_share_parties(const struct vst_share_model *m, struct vst_share_work *work, size_t n, double window_ns,
			 struct vst_share_party *ret_parties)
{
	struct vst_share_party *p = NULL;
	size_t parties = 0, i;
	double base, wait;

	qsort(work, n, n ? sizeof(*work) : 1, by_who);
	for (i = 0; i < n; i++) {
		if (!work[i].ios)
			continue;
		if (!p || p->who != work[i].who) {
			if (p)
				party_end(p, window_ns);
			p = &ret_parties[parties++];
			*p = (struct vst_share_party){ .who = work[i].who };
		}
		base = vst_share_base(m, work[i].op, (double)work[i].bytes / (double)work[i].ios);
		p->waits += work[i].ios;
		wait = (double)work[i].queue_ns;
		if (base > 0)
			wait += fmax(0, (double)work[i].device_ns - SLACK * base * (double)work[i].ios);
		p->wait_ns += fmax(0, wait - (double)work[i].paid_ns);
		p->limit_ns += (double)work[i].queue_ns + (double)work[i].device_ns;
		p->weight += cost_of(m, &work[i]) * (double)work[i].ios;
	}
	if (p)
		party_end(p, window_ns);
	return parties;
}

struct sums {
	double weight, small_weight, small_presence;
	double least; /* weight of one that is told apart */
};

/*
 * What it waits for its own requests: at most what they were under way behind each other. Else who is alone would have all of the
 * wait as soon as the numbers make it hardly more than one at a time.
 */
static double own_part(const struct vst_share_party *p, double all)
{
	return fmin(p->wait_ns * p->weight * p->self / all, p->limit_ns * p->self);
}

static void divide_one(const struct vst_share_party *parties, size_t n, const struct sums *s,
		       const struct vst_share_party *waiter, const void *others, vst_share_emit *emit, void *arg)
{
	double all = s->weight - waiter->weight * (1 - waiter->self), small = s->small_weight,
	       presence = s->small_presence, ns;

	if (!(waiter->wait_ns > 0) || !(all > 0))
		return;
	for (size_t i = 0; i < n; i++) {
		const struct vst_share_party *holder = &parties[i];

		if (holder->weight < s->least)
			continue;
		ns = holder == waiter
			     ? own_part(waiter, all)
			     : fmin(waiter->wait_ns * holder->weight / all, waiter->limit_ns * holder->presence);
		if (ns > 0)
			emit(arg, waiter, holder->who, ns);
	}
	if (waiter->weight < s->least) {
		small -= waiter->weight;
		presence -= waiter->presence;
		if (waiter->self > 0)
			emit(arg, waiter, waiter->who, own_part(waiter, all));
	}
	ns = fmin(waiter->wait_ns * small / all, waiter->limit_ns * fmin(1, presence));
	if (ns > waiter->wait_ns * 1e-9) /* not what is left of rounding */
		emit(arg, waiter, others, ns);
}

void vst_share_divide(const struct vst_share_party *parties, size_t n, const void *others, vst_share_emit *emit,
		      void *arg)
{
	struct sums s = { 0 };
	size_t i;

	for (i = 0; i < n; i++)
		s.weight += parties[i].weight;
	s.least = n > FEW ? s.weight * SMALL : 0;
	for (i = 0; i < n; i++) {
		if (parties[i].weight >= s.least)
			continue;
		s.small_weight += parties[i].weight;
		s.small_presence += parties[i].presence;
	}
	for (i = 0; i < n; i++)
		divide_one(parties, n, &s, &parties[i], others, emit, arg);
}
