/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the metrics count, added up by the labels of a series. Two containers with the same labels are one series, and a container that
 * is restarted under the same name goes on with its series. The agent forgets rows (10 minutes after their container ended, or
 * sooner if tables are full), so their sum can fall. Prometheus would take that for a restart and count everything
 * again. So these sums are kept here, and only what rows grew between two snapshots is added to them.
 */
#ifndef VST_METRICS_SUM_H
#define VST_METRICS_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <uthash.h>

#include "agent/snapshot.h"

/*
 * Upper limits of the buckets of a histogram, as powers of 2 in ns: they lie between two buckets of the agent, so that no sample is
 * counted on the wrong side. X(log2, "the label le, in seconds")
 */
#define VST_METRICS_BUCKETS(X)                                                                                         \
	X(16, "6.5536e-05")                                                                                            \
	X(18, "0.000262144")                                                                                           \
	X(20, "0.001048576")                                                                                           \
	X(22, "0.004194304")                                                                                           \
	X(23, "0.008388608")                                                                                           \
	X(25, "0.033554432")                                                                                           \
	X(27, "0.134217728")                                                                                           \
	X(30, "1.073741824")

enum {
#define X(log2, le) VST_METRICS_BUCKET_##log2,
	VST_METRICS_BUCKETS(X)
#undef X
		VST_METRICS_BUCKET_INF,
	VST_METRICS_BUCKET__N,
	VST_METRICS_SUM_NS = VST_METRICS_BUCKET__N, /* in .n of a histogram: the sum of all samples */
};

/* What is added up, and under which names. Sorted in this order. */
enum vst_sum_kind {
	VST_SUM_INFO,	     /* container, ids: .n[0] is 1 */
	VST_SUM_DEVICE,	     /* device: enum vst_device_counter */
	VST_SUM_DEVICE_LOST, /* device: enum vst_loss */
	VST_SUM_DEVICE_NOW,  /* device: enum vst_sum_device_now */
	VST_SUM_IO,	     /* container, device, op, class: enum vst_counter */
	VST_SUM_DISK,	     /* container, device: enum vst_counter */
	VST_SUM_TIME,	     /* container, device: enum vst_time, in ns */
	VST_SUM_FLIGHT,	     /* container, device: I/Os in flight; when the oldest was submitted */
	VST_SUM_WAIT,	     /* container, wait type: ns */
	VST_SUM_WAITING,     /* container, wait type: tasks that wait; since when the first one does */
	VST_SUM_BLAMED,	     /* holder, wait type: ns that others waited because of it */
	VST_SUM_LATENCY,     /* container, device, op: a histogram */
	VST_SUM_FSYNC,	     /* container, device: a histogram */
	VST_SUM_LOCK,	     /* lock: ns, waits */
	VST_SUM_PAIR,	     /* waiter, holder, wait type: ns */
	VST_SUM__N
};

enum vst_sum_device_now {
	VST_SUM_IN_FLIGHT,
	VST_SUM_PRESENT,
	VST_SUM_JUDGED, /* the kernel's count is a judge of ours */
};

#define VST_SUM_WIDTH 16 /* values of a sum at most */

/* A set of labels: what a series is called. */
struct vst_sum_name {
	UT_hash_handle hh;
	char *labels; /* the key: ready to be printed */
	char *by;     /* of a container: the same as the holder, by_namespace="..."; NULL */
	bool seen;    /* in the newest snapshot */
	__u8 group;   /* 0: vstor's own; 1: lives; 2: ended. Others 1 */
	__u32 rank;   /* by group, then by labels */
};

struct vst_sum_key {
	struct vst_sum_name *name[2];
	__u32 kind;
	__u32 op; /* or the wait type */
	__u32 class;
	__u32 pad;
};

struct vst_sum {
	UT_hash_handle hh;
	struct vst_sum_key key;
	__u64 n[VST_SUM_WIDTH];
};

struct vst_sums {
	const struct vst_snapshot *last;
	struct vst_sum_name *names; /* a hash */
	struct vst_sum *sums;	    /* a hash */
	struct vst_sum **sorted;    /* [n_sorted], by kind, then by names */
	size_t n_sorted;
	size_t max;   /* sums at most */
	__u64 no_sum; /* rows that found no room, added up over all snapshots */
	bool failed;  /* out of memory in this update */

	struct vst_sum_name **container; /* by index of the snapshot that is being added */
};

/*
 * Adds what happened since the snapshot before, and sorts. The sums keep a reference to the snapshot. 0, or -ENOMEM: some of what
 * happened is missing.
 */
int vst_sums_update(struct vst_sums *s, const struct vst_snapshot *now);

/* The labels of a container that the newest snapshot has; NULL: it has none of that index. */
const struct vst_sum_name *vst_sums_container(const struct vst_sums *s, __u32 index);

/* The first sum of a kind in .sorted, and how many there are. */
struct vst_sum **vst_sums_of(const struct vst_sums *s, enum vst_sum_kind kind, size_t *ret_n);

void vst_sums_clear(struct vst_sums *s);

#endif /* VST_METRICS_SUM_H */
