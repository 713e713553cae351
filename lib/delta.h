/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happened between two states of the same counters: vstorctl gets the states from the control socket, the policy
 * engine from snapshots (lib/delta_snapshot.h). Pure. Nothing here allocates memory.
 *
 * Counters only grow. One that seems to fall did not grow; an interval that seems to be negative has no length, and rates
 * in it are 0. So an error in the input gives too little, never 2^64.
 */
#ifndef VST_DELTA_H
#define VST_DELTA_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/counts.h"
#include "vstor/hist.h"

static inline __u64 vst_delta(__u64 now, __u64 before)
{
	return now > before ? now - before : 0;
}

/* The same of a value that is not a whole number; NaN did not grow either. */
static inline double vst_delta_real(double now, double before)
{
	return now > before ? now - before : 0;
}

static inline double vst_delta_rate(double n, double seconds)
{
	return seconds > 0 ? n / seconds : 0;
}

/* --- the interval --- */

enum vst_delta_base {
	VST_DELTA_FIRST,     /* no earlier state: everything since the agent started is new */
	VST_DELTA_NEXT,	     /* a later state of the same agent */
	VST_DELTA_RESTARTED, /* another agent: its counters began at 0, and the time between the two is unknown */
};

/*
 * Compares two states by the agent's instance and its uptime in seconds. before: "" if there is no earlier state.
 * *ret_seconds is the interval; 0 after a restart.
 */
enum vst_delta_base vst_delta_interval(const char *instance, double uptime, const char *before, double before_uptime,
				       double *ret_seconds);

/* --- counters and times of a row. before may be NULL: nothing was counted before --- */

/* How many buckets vst_delta_counts() needs for the histograms of *ret. */
size_t vst_delta_room(const struct vst_counts *now);

/*
 * What was counted between the two. The histograms of *ret are stored in room and live as long as it does. Their max_ns is
 * that of the interval: see vst_delta_max(). False if no counter grew; then *ret is all 0.
 */
bool vst_delta_counts(struct vst_counts *ret, const struct vst_counts *now, const struct vst_counts *before,
		      struct vst_bucket *room);

/* The same of one histogram; room for now->hist.n buckets. Returns how many of them it used. */
size_t vst_delta_times(struct vst_times *ret, const struct vst_times *now, const struct vst_times *before,
		       struct vst_bucket *room);

/*
 * The longest time of an interval whose slowest sample fell into bucket `last`; -1: there was no sample. max_ns is kept
 * since the row was made, so it is exact only if it grew. Otherwise the end of that bucket is the best upper limit.
 */
__u64 vst_delta_max(const struct vst_times *now, const struct vst_times *before, int last);

/* --- several rows together --- */

/* A histogram with room for every bucket. All 0 is an empty one. */
struct vst_histogram {
	__u64 n[VST_HIST_BUCKETS];
	__u64 samples, sum_ns, max_ns;
};

/* Adds what one row measured between two states. */
void vst_histogram_add(struct vst_histogram *h, const struct vst_times *now, const struct vst_times *before);
void vst_histogram_merge(struct vst_histogram *h, const struct vst_histogram *other);

/*
 * The q-quantile in microseconds (0 < q <= 1); 0 without samples. It is 0 also if the longest took no time: bucket 0 alone
 * cannot tell a request that did not wait from one that waited for half a microsecond.
 */
double vst_histogram_quantile(const struct vst_histogram *h, double q);
double vst_times_quantile(const struct vst_times *t, double q);

/* Packs the buckets that are not 0 into room[VST_HIST_BUCKETS]. Returns how many there are. */
size_t vst_histogram_pack(const __u64 *n, struct vst_bucket *room);

#endif /* VST_DELTA_H */
