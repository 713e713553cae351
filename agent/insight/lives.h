/* SPDX-License-Identifier: GPL-2.0-only */
/* How long the data of containers lives, as the probes count it. */
#ifndef VST_LIVES_H
#define VST_LIVES_H

#include "agent/probes/probes.h"
#include "agent/snapshot.h"
#include "agent/who/owners.h"

#define VST_LIVES_MAX 1024 /* rows: containers and ends */

struct vst_lives;

int vst_lives_new(struct vst_lives **ret);
void vst_lives_free(struct vst_lives *l);

/* Adds up what the probes counted, by container. */
void vst_lives_collect(struct vst_lives *l, const struct vst_probes *probes, struct vst_owners *owners, double now);

/* Puts what has changed into a snapshot. 0 or -ENOMEM. */
int vst_lives_put(struct vst_lives *l, struct vst_snapshot *s);

#endif /* VST_LIVES_H */
