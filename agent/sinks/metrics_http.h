/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The metrics at a TCP address: HTTP, read only, for whoever reaches it. It has no thread: the server of the control socket waits for
 * its descriptor and runs it.
 */
#ifndef VST_METRICS_HTTP_H
#define VST_METRICS_HTTP_H

#include "agent/sinks/metrics_replies.h"
#include "agent/sinks/relay.h"

struct vst_metrics_http;

/* Listens at address, see vst_address_parse(). 0 or -errno, explained on stderr. relay and replies outlive it. */
int vst_metrics_http_new(const char *address, struct vst_relay *relay, struct vst_metrics_replies *replies,
			 struct vst_metrics_http **ret);
void vst_metrics_http_free(struct vst_metrics_http *h); /* NULL is allowed */

int vst_metrics_http_fd(const struct vst_metrics_http *h); /* readable: call _run */
/* Serves what is to be served, and throws out clients whose time is up. */
void vst_metrics_http_run(struct vst_metrics_http *h, double now);
/* Milliseconds until _run is to be called even if nothing happens; -1: never. */
int vst_metrics_http_timeout_ms(struct vst_metrics_http *h, double now);

#endif /* VST_METRICS_HTTP_H */
