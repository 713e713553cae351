/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vstor-actor does with a step: check, journal, write, verify; and the way back. No sockets, no clock of its own:
 * the files' roots, the actuators and the time are passed in.
 *
 * Whose is a value? Ours, if the knob shows what we wrote last or what we were about to write. Anything else is foreign:
 * somebody wrote it after us, and it is never overwritten. Each foreign change counts as one conflict. If somebody put
 * the old value back (systemd does on daemon-reload), a later step may try again, up to VST_CONFLICTS_MAX conflicts.
 */
#ifndef VST_POLICY_ACTOR_H
#define VST_POLICY_ACTOR_H

#include "policy/actuator.h"
#include "policy/journal.h"

struct vst_act {
	const struct vst_actuator *const *actuators; /* by enum vst_actuator_id */
	struct vst_roots roots;
	struct vst_journal journal;
	uint64_t writes, reverts, conflicts; /* since the process started */
};

/* Does one step. *ret tells what became of it. */
void vst_act_step(struct vst_act *act, const struct vst_step *step, int64_t now_us, struct vst_outcome *ret);

/* Called with each knob's outcome. */
typedef void (*vst_outcome_fn)(void *ctx, const struct vst_outcome *outcome);

/*
 * Reverts every knob, the last written first. Returns how many could not be reverted and stay in the journal: none,
 * unless the kernel refuses. keep_conflicts: knobs that somebody else changed stay in the journal as well, because steps will
 * follow, which must not take a foreign value for one that they may overwrite.
 */
unsigned int vst_act_revert_all(struct vst_act *act, bool keep_conflicts, vst_outcome_fn f, void *ctx);

/* Reads every knob again and tells what it holds. A knob whose target is gone is told once, as reverted. */
void vst_act_list(struct vst_act *act, vst_outcome_fn f, void *ctx);

/* Lets go of the knobs in conflict: their present values become the administrator's. */
void vst_act_forget_conflicts(struct vst_act *act);

#endif /* VST_POLICY_ACTOR_H */
