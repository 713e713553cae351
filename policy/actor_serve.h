/* SPDX-License-Identifier: GPL-2.0-only */
/* vstor-actor's loop: serves one vstord, guards the knobs when it dies, waits for a successor when it hands over. */
#ifndef VST_POLICY_ACTOR_SERVE_H
#define VST_POLICY_ACTOR_SERVE_H

#include "policy/actor.h"

/* A line on stderr. Levels as in syslog: 3 error, 4 warning, 6 information. */
void vst_actor_say(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Reverts everything and says so. why: "vstord ended without a goodbye". Returns how many knobs could not be reverted. */
unsigned int vst_actor_undo(struct vst_act *act, bool keep_conflicts, const char *why);

/*
 * Serves until vstord says goodbye, ends, or hands over and no successor comes. Then no knob is set any more, except for
 * those that the kernel does not let us revert, whose number is returned. Takes over conn.
 * signals: a signalfd for SIGTERM.
 */
unsigned int vst_actor_serve(struct vst_act *act, int conn, int signals);

#endif /* VST_POLICY_ACTOR_SERVE_H */
