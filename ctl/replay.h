/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A recording in place of the agent: it answers the same requests, as the agent did at a moment of the past. That moment is the
 * clock of whoever asks, so a command that waits for an interval's end gets there at once.
 */
#ifndef VSTOR_CTL_REPLAY_H
#define VSTOR_CTL_REPLAY_H

#include "agent/sinks/out.h"
#include "ctl.h"
#include "lib/record_read.h"

struct vst_replay;

/*
 * Opens the recording in dir (NULL: the one that the agent makes now), at a moment as vst_moment_parse() takes it (NULL: its end). 0, or an
 * exit code, having said why.
 */
int vst_replay_open(const struct vst_ctl *ctl, const char *dir, const char *at, struct vst_replay **ret);
void vst_replay_close(struct vst_replay *r);

/* The snapshot that was asked for. */
double vst_replay_at(const struct vst_replay *r);
/* Another moment, as text. 0, or an exit code and *ret_error says why, and nothing has changed. */
int vst_replay_jump(struct vst_replay *r, const char *at, const char **ret_error);
/* By a number of seconds, at least to the next snapshot in that direction. False: there is none. */
bool vst_replay_step(struct vst_replay *r, double seconds);

/* The clock, in Unix time. */
double vst_replay_now(const struct vst_replay *r);
void vst_replay_move(struct vst_replay *r, double now);
/* Moves to the beginning of the interval that ends at vst_replay_at(). 0, or an exit code, having said why. */
int vst_replay_begin(struct vst_replay *r, double interval);

/* The reply to a path, as lines. 0, or an exit code and vst_replay_error(). */
int vst_replay_answer(struct vst_replay *r, const char *path, struct vst_out *o);
const char *vst_replay_error(const struct vst_replay *r);

/* The snapshot at the clock's moment, borrowed until the clock moves; NULL: see vst_replay_error(). */
const struct vst_snapshot *vst_replay_snapshot(struct vst_replay *r);
const struct vst_record_about *vst_replay_about(const struct vst_replay *r);
struct vst_recording *vst_replay_recording(struct vst_replay *r);
#endif /* VSTOR_CTL_REPLAY_H */
