/* SPDX-License-Identifier: GPL-2.0-only */
/* What vstor-actor gives up before it reads the first message. */
#ifndef VST_POLICY_ACTOR_GUARD_H
#define VST_POLICY_ACTOR_GUARD_H

/*
 * Keeps only two capabilities, and lets nothing that is executed later have more:
 *   CAP_DAC_OVERRIDE  a rootless user's cgroup files belong to that user
 *   CAP_SYS_NICE      ioprio_set() on other users' threads
 * 0 or -errno; *ret_step names what failed.
 */
int vst_actor_drop_capabilities(const char **ret_step);

/* From now on only the system calls that the actor needs. 0 or -errno. */
int vst_actor_filter_syscalls(void);

#endif /* VST_POLICY_ACTOR_GUARD_H */
