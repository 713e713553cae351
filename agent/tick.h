/* SPDX-License-Identifier: GPL-2.0-only */
/* What the loop does at each tick, and when somebody asks for a snapshot. */
#ifndef VST_TICK_H
#define VST_TICK_H

#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

struct vst_agent;
struct vst_keep_pass;
struct vst_snapshot;

/* Makes a snapshot for everybody who has asked until now, and hands it out. 0 or -errno. */
int vst_tick_publish(struct vst_agent *a);
/* Seconds until a snapshot may be made that was asked for; 0: now. */
double vst_tick_asked_pause(const struct vst_agent *a);
/* Takes the names from the thread that has found them, and publishes a snapshot if somebody waits for them. */
void vst_tick_names(struct vst_agent *a);
/* For vst_acting_opts: a snapshot made now, or NULL. */
const struct vst_snapshot *vst_tick_fresh(void *agent);
/* Hands the newest snapshot to the engine. */
void vst_tick_act(struct vst_agent *a);
/* Turns the measurement of fsync on or off, as somebody needs it. */
void vst_tick_follow_fsync(struct vst_agent *a);
/* Attaches the probes of stacked devices while there are such devices. */
void vst_tick_follow_devices(struct vst_agent *a);
/* Attaches the probes of caches while there is one, and tells them the classes of the policy. */
void vst_tick_follow_caches(struct vst_agent *a);
/* For vst_acting_opts: which blocks of a cached device to read, and which process reads them. */
int vst_tick_choose(void *agent, __u32 dev, const struct vst_keep_pass *pass, uint64_t **ret_offsets, size_t *ret_n,
		    size_t *ret_known);
void vst_tick_keeper(void *agent, __u32 pid);
/* The same: what users want caches to keep, and the containers that rules want kept. */
int vst_tick_pin(void *agent, bool undo, const char *text, char *ret, size_t size);
void vst_tick_kept(void *agent, const __u32 *numbers, size_t n);
/* Does the work of one tick. tick: how many there were before. */
void vst_tick_run(struct vst_agent *a, unsigned int tick);

#endif /* VST_TICK_H */
