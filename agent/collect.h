/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes snapshots; nothing else does. Everything that the rooms know of the host goes through here. */
#ifndef VST_COLLECT_H
#define VST_COLLECT_H

#include "agent/agent.h"
#include "agent/snapshot.h"

struct vst_collect;

int vst_collect_new(struct vst_collect **ret);
void vst_collect_free(struct vst_collect *c);

/*
 * Reads what is new into the rooms and makes a snapshot of it; *ret is a reference for the caller. -errno: the maps could
 * not be read, or not all of them; *ret is NULL or has what could be read.
 */
int vst_collect(struct vst_agent *a, const struct vst_snapshot **ret);

#endif /* VST_COLLECT_H */
