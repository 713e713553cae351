/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * At which cgroups knobs belong. A weight counts among siblings only, so a container's counts against the containers of
 * its pod, and its pod's against other pods. The levels above (the kubelet's root and its QoS classes) are the kubelet's,
 * and what is inside a container is the container's own. Pure.
 */
#ifndef VST_POLICY_LEVEL_H
#define VST_POLICY_LEVEL_H

#include <stddef.h>

#include "policy/step.h"

struct vst_levels {
	size_t scope_len; /* path[0..scope_len): the container or unit that the path belongs to */
	size_t pod_len;	  /* path[0..pod_len): its pod; 0: it is in none */
};

/* Where the knobs of what runs in this cgroup belong. 0; -EPERM with a text: nowhere (the root, a QoS class). */
int vst_levels_of(const char *path, struct vst_levels *ret, char text[VST_TEXT_MAX]);

/* May knobs be set on exactly this cgroup? 0 or -EPERM with a text. */
int vst_level_check(const char *path, char text[VST_TEXT_MAX]);

#endif /* VST_POLICY_LEVEL_H */
