/* SPDX-License-Identifier: GPL-2.0-only */
/* I/O and waits that take so long that a person should know: told in the log, once they are old, and seldom after that. */
#ifndef VST_STUCK_H
#define VST_STUCK_H

#include <stdbool.h>

#include "agent/snapshot.h"

#define VST_STUCK_AGE 2.0 /* seconds */

/* How often something of this age is told: at 2 s, 10 s, 60 s, and every 10 minutes from then on. */
unsigned int vst_stuck_times(double age);

struct vst_stuck;

int vst_stuck_new(struct vst_stuck **ret);
void vst_stuck_free(struct vst_stuck *st);

/* Logs what has become old since the last look, and what is over. Bounded: few lines a minute, the rest is counted. */
void vst_stuck_look(struct vst_stuck *st, const struct vst_snapshot *s);

/* Was something old at the last look? Then another one is due even if nothing seems to be. */
bool vst_stuck_any(const struct vst_stuck *st);

/* What happens, as one line for people; of a row with something under way. Control characters of names are replaced. */
#define VST_STUCK_TEXT 512
void vst_stuck_io_text(const struct vst_snapshot *s, const struct vst_snap_io *io, char text[VST_STUCK_TEXT]);
void vst_stuck_wait_text(const struct vst_snapshot *s, const struct vst_snap_wait *w, char text[VST_STUCK_TEXT]);

#endif /* VST_STUCK_H */
