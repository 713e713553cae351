/* SPDX-License-Identifier: GPL-2.0-only */
/* How vstord comes to a socket of vstor-actor: a process of its own, or one that its predecessor left. */
#ifndef VST_POLICY_ACTOR_SPAWN_H
#define VST_POLICY_ACTOR_SPAWN_H

#include <sys/types.h>

#include "policy/actor_client.h"

/* The options of a start, copied. "" where there is no option. */
struct vst_actor_place {
	char program[4096], state_dir[256], cgroup_root[256], sysfs[256];
};

/* ret is all zeros. 0 or -errno. */
int vst_actor_place_init(struct vst_actor_place *ret, const struct vst_actor_opts *opts);

/* Connects to the actor that waits for a successor in the state directory. Its socket, or -errno: none waits. */
int vst_actor_connect(const char *state_dir);

/* Starts an actor. Its socket and its pid, or -errno. */
int vst_actor_spawn(struct vst_actor_place *place, pid_t *ret_pid);

/*
 * Undoes what an actor left that was killed: if there is a journal that no actor has open, runs `vstor-actor --revert` and
 * waits for it. 0: nothing is left, 1: something is, and vstor-actor has said what; -errno.
 */
int vst_actor_undo_left(const struct vst_actor_opts *opts);

#endif /* VST_POLICY_ACTOR_SPAWN_H */
