/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rows of the agent that are few and simple: kept as they came, and shown as how much they grew. What they count only
 * grows, so two replies tell what happened in between.
 */
#ifndef VSTOR_CTL_GROWTH_H
#define VSTOR_CTL_GROWTH_H

#include "client.h"
#include "vstor/hist.h"

struct vst_growth {
	struct vst_client *client;
	const char *path, *type; /* of the request; of the reply's lines that are rows */
	double delay, next;
	json_t *before, *now; /* rows by "row", as texts; NULL: none yet */
	json_t *snapshot;     /* of .now */
	double since;	      /* the agent's uptime at .before */
};

/* What the options -d, -n and --total say. */
struct vst_growth_wish {
	double delay;
	unsigned long samples; /* 0: until interrupted */
	bool total;
};

/* Shows one sample: g->now against g->before. */
typedef void vst_growth_show(const struct vst_ctl *ctl, const struct vst_growth *g);

/* All of a command that samples rows of a type at a path. Returns an exit code, having said why. */
int vst_growth_run(const struct vst_ctl *ctl, const char *command, const char *path, const char *type,
		   vst_growth_show *show);

/* By how much row->field grew; before may be NULL: since it began. */
double vst_growth_of(const json_t *row, const json_t *before, const char *field);
/* The row as it was before; NULL: it was not there. */
const json_t *vst_growth_before(const struct vst_growth *g, const char *id);
double vst_growth_interval(const struct vst_growth *g);
const char *vst_growth_text(const json_t *row, const char *field); /* "" if it is none */

/* Adds the growth of a histogram to dense[VST_HIST_BUCKETS]. */
void vst_growth_buckets(const json_t *times, const json_t *before, __u64 *dense);
/* The longest of the interval: of a histogram that grew by dense[VST_HIST_BUCKETS], in microseconds. */
double vst_growth_max(const json_t *times, const json_t *before, const __u64 *dense);

/* The line above a table: when, how long, and what nothing to show means. */
void vst_growth_head(const struct vst_growth *g, const char *nothing);
#endif /* VSTOR_CTL_GROWTH_H */
