/* SPDX-License-Identifier: GPL-2.0-only */
/* What the policy engine has to know of the host and what no snapshot holds: which knobs would have an effect here. */
#ifndef VST_ACTING_HOST_H
#define VST_ACTING_HOST_H

#include "policy/actuator.h"
#include "policy/engine.h"

struct vst_host_facts {
	struct vst_host host; /* what the engine reads; .disk and .threads are owned by this struct */
	struct vst_roots roots;
	struct vst_host_disk *disks;
	struct vst_host_threads *threads;
	size_t cap_disks, cap_threads;
	double read_at;
};

/* NULLs: find the cgroup mount and /sys. */
void vst_host_facts_open(struct vst_host_facts *facts, const char *cgroup_root, const char *sysfs);
void vst_host_facts_close(struct vst_host_facts *facts);

/*
 * Reads again which disks there are and what has an effect on them, if the last time is VST_HOST_FACTS_S ago or the
 * snapshot has a device that is not known. .host.generation grows if anything is different. 0 or -ENOMEM; then the old
 * facts stay.
 */
#define VST_HOST_FACTS_S 10.0
int vst_host_facts_update(struct vst_host_facts *facts, const struct vst_snapshot *snapshot, double now);
/* A setting changed that the facts depend on: the next update reads them again. */
void vst_host_facts_expire(struct vst_host_facts *f);

/* Threads of a container, at most VST_HOST_THREADS_MAX. The list is emptied by _clear_threads(). 0 or -errno. */
#define VST_HOST_THREADS_MAX 1024
void vst_host_facts_clear_threads(struct vst_host_facts *facts);
int vst_host_facts_add_threads(struct vst_host_facts *facts, __u32 container, const char *cgroup);

/* The value that a knob has now. 0 or -errno. */
int vst_host_facts_read(const struct vst_host_facts *facts, const struct vst_plan_knob *knob, char ret[VST_VALUE_MAX]);

#endif /* VST_ACTING_HOST_H */
