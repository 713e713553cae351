/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The agent's time per I/O is a mean. The first runs are slow because caches are cold, so it is shown once enough were measured.
 * The head of a reply has the mean; only the status has the number of runs. Pure.
 *
 *	if vst_cost_wanted(): GET VST_COST_PATH with vst_cost_line()
 */
#ifndef VSTOR_CTL_COST_H
#define VSTOR_CTL_COST_H

#include "rows.h"

#define VST_COST_RUNS 1000
#define VST_COST_PATH "/v1/status"

struct vst_cost {
	char instance[64]; /* the agent that was asked, "": none */
	double runs;	   /* as it said */
	double event_ns;   /* its mean then; as long as that is the same, nothing more was measured */
};

/* True if it is worth asking how many runs there were. */
bool vst_cost_wanted(const struct vst_cost *c, const struct vst_reply_head *s);
/* A status line (a vst_line_fn). 0, -EPROTO if it is not what the contract says. */
int vst_cost_line(void *cost, json_t *line);
/* True if the mean is of enough runs to be shown. */
bool vst_cost_known(const struct vst_cost *c, const struct vst_reply_head *s);

/* What the agent does not watch because it costs too much: "waits for locks, merges"; "": nothing. The caller frees. */
char *vst_cost_given_up(const json_t *self);

/* How many I/Os were measured: the smaller number of runs, of the probe at issue and the one at completion. */
double vst_cost_runs(const json_t *probes);
#endif /* VSTOR_CTL_COST_H */
