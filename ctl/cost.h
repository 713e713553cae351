/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The agent's time per I/O is a mean, and the first runs find cold caches: it is shown when it is one of enough of them.
 * A snapshot has the mean, only a status line has the runs. Pure.
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
	double event_ns;   /* its mean at that time: while it stays the same, nothing was measured */
};

/* Is it worth asking, once more, how many runs there were? */
bool vst_cost_wanted(const struct vst_cost *c, const struct vst_reply_head *s);
/* A status line (a vst_line_fn). 0, -EPROTO if it is not what the contract says. */
int vst_cost_line(void *cost, json_t *line);
/* Does the snapshot's mean mean something? */
bool vst_cost_known(const struct vst_cost *c, const struct vst_reply_head *s);

/* What the agent has given up because it took too much: "waits for locks, merges"; "": nothing. To be freed. */
char *vst_cost_given_up(const json_t *self);

/* Measured I/Os, of a status line's probes: the fewer of the runs at issue and at completion. */
double vst_cost_runs(const json_t *probes);
#endif /* VSTOR_CTL_COST_H */
