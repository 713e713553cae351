/* SPDX-License-Identifier: GPL-2.0-only */
/* The control socket: HTTP on a unix socket (docs/control-socket.md). */
#ifndef VST_SERVER_H
#define VST_SERVER_H

#include "agent/agent.h"

struct vst_server;

/* Listens at path. 0 or -errno, explained on stderr: -EADDRINUSE if another agent serves it. */
int vst_server_new(const char *path, struct vst_agent *agent, struct vst_server **ret);

int vst_server_fd(const struct vst_server *s); /* readable: call _run */
void vst_server_run(struct vst_server *s);
int vst_server_timeout_ms(const struct vst_server *s); /* call _run after this time at the latest; -1: never */

/* Removes the socket too. */
void vst_server_free(struct vst_server *s);

#endif /* VST_SERVER_H */
