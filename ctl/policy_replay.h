/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl policy plan FILE --replay: what a policy would have done in the time of a recording. */
#ifndef VSTOR_CTL_POLICY_REPLAY_H
#define VSTOR_CTL_POLICY_REPLAY_H

#include "client.h"
#include "policy/rules.h"

/*
 * Runs the engine over all snapshots of ctl's recording until its moment, as if each step had been applied at once, and hands a line
 * of type "action" for each step to take(), after one of type "reply". 0, or an exit code, having said why.
 */
int vst_policy_replay(const struct vst_ctl *ctl, const struct vst_policy *policy, vst_line_fn *take, void *arg);
#endif /* VSTOR_CTL_POLICY_REPLAY_H */
