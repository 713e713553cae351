/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The agent's rows of I/O as a client keeps them. The agent serves totals; the difference between two replies is what
 * happened in between (lib/delta.h). Pure: lines of a reply go in, differences come out.
 *
 *	vst_rows_begin(), vst_rows_line() for each line, vst_rows_commit()
 *
 * A reply that ends early is simply not committed: nothing of it counts, and the next one covers its time too.
 */
#ifndef VSTOR_CTL_ROWS_H
#define VSTOR_CTL_ROWS_H

#include "ctl.h"
#include "wire.h"

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

struct vst_wire_row {
	__u64 id;
	char *text; /* all labels, one after the other */
	size_t text_len;
#define X(f) const char *f;
	VST_LABELS(X)
#undef X
	int op_index, kind_index, size_index; /* -1: newer than this program */
	unsigned int class;
	json_t *patterns;	     /* NULL: none */
	char marks[128];	     /* patterns and class, as a text to compare */
	struct vst_counts base, now; /* at the last commit; as in this reply */
	struct vst_open in_flight;   /* as in this reply */
	__u64 reply;		     /* the last one that had it */
	struct vst_wire_row *next;
};

/*
 * What the rows with equal labels did between two replies: there are several where a cgroup was removed and made again.
 * Borrows from rows: valid until the next vst_rows_begin().
 */
struct vst_io_delta {
	const struct vst_wire_row *row;
	struct vst_counts counts; /* the times' max_ns is that of the interval */
	struct vst_open in_flight;
	struct vst_bucket *buckets; /* where the histograms of counts are stored */
};

/* The line with which a reply begins. */
struct vst_reply_head {
	char instance[64];
	__u64 seq;
	double time, uptime;
	json_t *self; /* the agent's own cost; NULL: not told */
};

struct vst_rows;

enum vst_commit_result {
	VST_COMMIT_FIRST, /* there was nothing to compare with: the differences are the totals */
	VST_COMMIT_SAMPLE,
	VST_COMMIT_RESTARTED, /* another agent than before: everything is forgotten, begin again */
};

struct vst_rows *vst_rows_new(void);
void vst_rows_free(struct vst_rows *r);

/* A new reply. Returns the path to ask for: everything, or only what changed. Valid until the next call. */
const char *vst_rows_begin(struct vst_rows *r);
/* A line of the reply (a vst_line_fn). 0, -EPROTO if it is not what the contract says. */
int vst_rows_line(void *rows, json_t *line);
/* Alarms of the last reply: an array of its lines, NULL: none. Borrowed until the next vst_rows_begin(). */
const json_t *vst_rows_alarms(const struct vst_rows *r);
/* The reply is complete. 0 with *ret, or -EPROTO: it had no snapshot. */
int vst_rows_commit(struct vst_rows *r, enum vst_commit_result *ret);

/* After a commit: the rows that did something or have requests in flight, the reply's head, and the interval in seconds. */
const struct vst_io_delta *vst_rows_deltas(const struct vst_rows *r, size_t *n);
const struct vst_reply_head *vst_rows_head(const struct vst_rows *r);
const struct vst_reply_head *vst_rows_head_before(const struct vst_rows *r); /* empty at the first commit */
double vst_rows_interval(const struct vst_rows *r);
#endif /* VSTOR_CTL_ROWS_H */
