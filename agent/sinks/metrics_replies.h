/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Replies with metrics: as text or OpenMetrics, plain or compressed. A snapshot is rendered once for each form that somebody asks
 * for, however many ask. For one thread.
 */
#ifndef VST_METRICS_REPLIES_H
#define VST_METRICS_REPLIES_H

#include "agent/acting/acting.h"
#include "agent/snapshot.h"

struct MHD_Connection;
struct MHD_Response;
struct vst_metrics_replies;

int vst_metrics_replies_new(unsigned int max_series, struct vst_metrics_replies **ret);
void vst_metrics_replies_free(struct vst_metrics_replies *r);

/* From now on the metrics tell about the policy, too. On any thread; acting outlives the replies. */
void vst_metrics_replies_acting(struct vst_metrics_replies *r, struct vst_acting *acting);

/* The reply that the headers of the request ask for, borrowed until the next call. NULL: out of memory. */
struct MHD_Response *vst_metrics_replies_get(struct vst_metrics_replies *r, struct MHD_Connection *conn,
					     const struct vst_snapshot *snapshot);

/* Nobody is connected: texts of megabytes are not kept; compressed ones are. */
void vst_metrics_replies_idle(struct vst_metrics_replies *r);

#endif /* VST_METRICS_REPLIES_H */
