/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rows of the agent that are few and simple. They are kept as JSON; how much a field grew between the last two replies is
 * computed when it is asked for. Pure.
 *
 *	vst_growth_begin(), vst_growth_line() for each line, vst_growth_commit()
 *
 * As with rows.h, a reply that ends early is not committed, and nothing of it counts.
 */
#ifndef VSTOR_CTL_GROWTH_H
#define VSTOR_CTL_GROWTH_H

#include "rows.h"

struct vst_growth {
	const char *type;		       /* of the lines that are rows */
	json_t *before, *now, *coming;	       /* rows by "row", as texts: the last two replies, the one under way */
	json_t *was, *snapshot, *new_snapshot; /* their snapshots. NULL: there is none */
	double interval;		       /* seconds between the last two replies */
};

/* type is borrowed. Never NULL. */
struct vst_growth *vst_growth_new(const char *type);
void vst_growth_free(struct vst_growth *g);
/* As it was when it was new: the next reply is the first. */
void vst_growth_forget(struct vst_growth *g);

void vst_growth_begin(struct vst_growth *g);
/* A line of the reply (a vst_line_fn). 0, -EPROTO if it is not what the contract says. */
int vst_growth_line(void *growth, json_t *line);
/* The reply is complete. 0 with *ret, or -EPROTO: it had no snapshot. */
int vst_growth_commit(struct vst_growth *g, enum vst_commit_result *ret);

/* By how much row->field grew; before NULL: since the row was made. */
double vst_growth_of(const json_t *row, const json_t *before, const char *field);
/* The row as it was before; NULL: it was not there. */
const json_t *vst_growth_before(const struct vst_growth *g, const char *id);
double vst_growth_interval(const struct vst_growth *g);
#endif /* VSTOR_CTL_GROWTH_H */
