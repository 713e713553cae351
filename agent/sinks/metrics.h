/* SPDX-License-Identifier: GPL-2.0-only */
/* A snapshot as metrics for Prometheus; docs/metrics.md lists them. */
#ifndef VST_METRICS_H
#define VST_METRICS_H

#include <stdbool.h>

#include "agent/acting/acting.h"
#include "agent/snapshot.h"

#define VST_METRICS_SERIES 10000 /* at most, unless the user says otherwise */
#define VST_METRICS_SERIES_MIN 500
#define VST_METRICS_SERIES_MAX 1000000

struct vst_metrics;

int vst_metrics_new(unsigned int max_series, struct vst_metrics **ret);
void vst_metrics_free(struct vst_metrics *m);

/*
 * The text, to be freed by the caller; NULL if out of memory. Counters go on from the snapshot before. The same snapshot may be rendered
 * again, in another format. policy: NULL while the agent starts.
 */
char *vst_metrics_render(struct vst_metrics *m, const struct vst_snapshot *s, const struct vst_acting_status *policy,
			 bool openmetrics, size_t *ret_len);

/* --- shared by metrics*.c --- */

struct vst_metrics_out;

/* The agent: build, cost, losses, probes. */
void vst_metrics_self(struct vst_metrics_out *o, const struct vst_snapshot *s);

/* What is done about the policy. labels: of a container by its cgroup, "" if it is not known. */
void vst_metrics_policy(struct vst_metrics_out *o, const struct vst_acting_status *p,
			const char *(*labels)(void *ctx, const char *cgroup), void *ctx);

#endif /* VST_METRICS_H */
