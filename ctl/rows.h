/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The agent's rows as a client keeps them: it serves totals, the difference between two replies is what happened in
 * between. Pure: lines of a reply go in, differences come out.
 *
 *	vst_rows_begin(), vst_rows_line() for each line, vst_rows_commit()
 *
 * A reply that ends early is simply not committed: nothing of it counts, and the next one covers its time too.
 */
#ifndef VSTOR_CTL_ROWS_H
#define VSTOR_CTL_ROWS_H

#include "ctl.h"
#include "vstor/hist.h"

/* The buckets of a histogram that are not 0. */
struct vst_buckets {
	unsigned int n;
	struct vst_bucket {
		__u32 index;
		__u64 count;
	} *b;
};

struct vst_times {
	struct vst_buckets buckets;
	double sum_us, max_us;
};

struct vst_counts {
#define X(f, d) __u64 f;
	VST_COUNTERS(X)
#undef X
	struct vst_times times[VST_TIME__N];
};

/* What a row is about. X(field): a text of the wire, in the order of the output; enums for those that have one */
#define VST_LABELS(X)                                                                                                  \
	X(container)                                                                                                   \
	X(cgroup)                                                                                                      \
	X(device)                                                                                                      \
	X(layer)                                                                                                       \
	X(op)                                                                                                          \
	X(kind)                                                                                                        \
	X(size)                                                                                                        \
	X(witness)

struct vst_row {
	__u64 id;
	char *text; /* all labels, one after the other */
	size_t text_len;
#define X(f) const char *f;
	VST_LABELS(X)
#undef X
	int op_index, kind_index, size_index; /* -1: newer than this program */
	unsigned int class;
	json_t *patterns;	     /* NULL: none */
	struct vst_counts base, now; /* at the last commit; as in this reply */
	__u64 reply;		     /* the last one that had it */
	struct vst_row *next;
};

/* What a row did between two replies. Borrows from rows: good until the next vst_rows_begin(). */
struct vst_delta {
	const struct vst_row *row;
	struct vst_counts counts; /* max_us is that of the interval */
};

/* A snapshot line. */
struct vst_snapshot {
	char instance[64];
	__u64 seq;
	double time, uptime;
	json_t *self; /* the agent's own cost; NULL: not told */
};

struct vst_rows;

enum vst_commit {
	VST_COMMIT_FIRST, /* there was nothing to compare with: the differences are the totals */
	VST_COMMIT_SAMPLE,
	VST_COMMIT_RESTARTED, /* another agent than before: everything is forgotten, begin again */
};

struct vst_rows *vst_rows_new(void);
void vst_rows_free(struct vst_rows *r);

/* A new reply. Returns the path to ask for: everything, or only what changed. Good until the next call. */
const char *vst_rows_begin(struct vst_rows *r);
/* A line of the reply (a vst_line_fn). 0, -EPROTO if it is not what the contract says. */
int vst_rows_line(void *rows, json_t *line);
/* The reply is complete. 0 with *ret, or -EPROTO: it had no snapshot. */
int vst_rows_commit(struct vst_rows *r, enum vst_commit *ret);

/* After a commit: the rows with something to tell, the snapshot, and its seconds since the one before. */
const struct vst_delta *vst_rows_deltas(const struct vst_rows *r, size_t *n);
const struct vst_snapshot *vst_rows_snapshot(const struct vst_rows *r);
const struct vst_snapshot *vst_rows_before(const struct vst_rows *r); /* that one; empty at the first commit */
double vst_rows_interval(const struct vst_rows *r);

/* Add b to dense[VST_HIST_BUCKETS]. */
void vst_buckets_add(const struct vst_buckets *b, __u64 *dense);
/*
 * The q-quantile of dense[VST_HIST_BUCKETS] in microseconds, the longest of which took max_us: 0 if that is 0. Bucket 0
 * alone cannot tell a request that did not wait from one that waited for half a microsecond.
 */
double vst_dense_quantile(const __u64 *dense, double q, double max_us);
/* The same of t. */
double vst_times_quantile(const struct vst_times *t, double q);
#endif /* VSTOR_CTL_ROWS_H */
