/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control socket: HTTP on a unix socket (docs/control-socket.md), served by a thread of its own. It answers from the newest
 * snapshot and makes the loop wait for nothing.
 */
#ifndef VST_SERVER_H
#define VST_SERVER_H

#include "agent/acting/acting.h"
#include "agent/sinks/relay.h"

struct vst_server;

struct vst_server_opts {
	const char *path;	     /* of the control socket */
	const char *metrics;	     /* ADDR:PORT at which metrics are served, too; NULL: only on the control socket */
	unsigned int metrics_series; /* at most */
};

/* Listens. 0 or -errno, explained on stderr: -EADDRINUSE if another agent serves the socket. The relay outlives it. */
int vst_server_new(const struct vst_server_opts *opts, struct vst_relay *relay, struct vst_server **ret);

/* From now on questions about the policy are answered; acting outlives the server. */
void vst_server_acting(struct vst_server *s, struct vst_acting *acting);

/* Answers who still waits, ends the thread, removes the socket. */
void vst_server_free(struct vst_server *s);

#endif /* VST_SERVER_H */
