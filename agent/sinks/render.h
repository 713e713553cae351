/* SPDX-License-Identifier: GPL-2.0-only */
/* The snapshot as JSON lines; docs/control-socket.md is the contract. Nothing here reads a map. */
#ifndef VST_RENDER_H
#define VST_RENDER_H

#include "agent/agent.h"
#include "agent/sinks/out.h"

void vst_render_status(struct vst_out *o, const struct vst_agent *a);
/* Rows that changed after snapshot `since`. */
void vst_render_io(struct vst_out *o, const struct vst_agent *a, __u64 since);
void vst_render_check(struct vst_out *o, const struct vst_agent *a);
void vst_render_ps(struct vst_out *o, const struct vst_agent *a);
void vst_render_error(struct vst_out *o, const char *what);

#endif /* VST_RENDER_H */
