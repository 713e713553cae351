/* SPDX-License-Identifier: GPL-2.0-only */
/* Waits for locks as JSON lines; docs/control-socket.md is the contract. Nothing here reads a table of the probe's. */
#ifndef VST_LOCKS_RENDER_H
#define VST_LOCKS_RENDER_H

#include "agent/agent.h"
#include "agent/sinks/out.h"

void vst_render_locks(struct vst_out *o, const struct vst_agent *a);
/* Waits of all types, one row for each waiter and resource. */
void vst_render_waits(struct vst_out *o, const struct vst_agent *a);
void vst_render_blame(struct vst_out *o, const struct vst_agent *a);

#endif /* VST_LOCKS_RENDER_H */
