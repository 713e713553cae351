/* SPDX-License-Identifier: GPL-2.0-only */
/* Watches what containers write to files: switches the probes of insight by who is to be watched, and tells them who that is. */
#ifndef VST_WATCH_H
#define VST_WATCH_H

#include "agent/insight/scope.h"

struct vst_agent;

#define VST_WINDOW 0.08 /* seconds of each tick in which copies are looked for in those that are watched at moments */

struct vst_watch {
	struct vst_scopes scopes;
	bool ready; /* the probes that can come late are there */
	bool on;    /* those of insight are attached */
	__u32 turn; /* of the map vst_scopes */
};

/* The probes can be attached from now on. */
void vst_watch_ready(struct vst_agent *a);

/* Once a tick: forgets containers that ended, tells the probes of new cgroups, and each container how it is watched. */
void vst_watch_tick(struct vst_agent *a);

/*
 * Somebody asks for a container, by its cgroup's path: "on", "off" or "default". 0 or -errno, and a sentence about it, for people. For
 * struct vst_acting_opts.
 */
int vst_watch_ask(void *agent, const char *cgroup, const char *word, char *ret, size_t size);

/* Begins a window, in which copies are looked for in everybody who is watched. False: nobody is watched at moments. */
bool vst_watch_window_begin(struct vst_agent *a);
void vst_watch_window_end(struct vst_agent *a);

/* The share of the time that windows are: 0 if there are none; and the largest share in which anybody is watched. */
double vst_watch_window(const struct vst_agent *a);
double vst_watch_share(const struct vst_agent *a);

#endif /* VST_WATCH_H */
