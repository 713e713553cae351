/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which containers are watched by insight, and since when: the mode that vstord was started with, and what somebody asked for
 * one container while it runs. Decides only. Pure.
 */
#ifndef VST_SCOPE_H
#define VST_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "vstor/classes.h"

#define VST_SCOPES_MAX 64 /* containers that can be switched on or off on their own */

/* What somebody asked for one container. */
struct vst_scope {
	__u32 number; /* the container's, which is never given again */
	__u8 mode;    /* enum vst_insight_mode: full or off */
	double since; /* monotonic seconds */
};

struct vst_scopes {
	__u8 mode;    /* of all others */
	double since; /* when that began; 0: not yet */
	struct vst_scope list[VST_SCOPES_MAX];
	size_t n;
};

/* How one container is watched. */
struct vst_scope_view {
	__u8 mode;    /* enum vst_insight_mode */
	bool set;     /* somebody asked for it */
	double since; /* 0: it is not watched */
};

/* "on", "off" or "default". What it asks for: full, off, or VST_INSIGHT__N to forget the request; -EINVAL: none of them. */
int vst_scope_parse(const char *word);

/* mode: as vst_scope_parse() returns it. 0, or -ENOSPC: there are VST_SCOPES_MAX others already. */
int vst_scope_set(struct vst_scopes *s, __u32 number, int mode, double now);

/* Forgets the request for a container that has ended. */
void vst_scope_drop(struct vst_scopes *s, __u32 number);

/* born: since when there is the container. */
struct vst_scope_view vst_scope_of(const struct vst_scopes *s, __u32 number, double born);

/* Is anybody watched; is anybody watched all the time? */
bool vst_scope_any(const struct vst_scopes *s);
bool vst_scope_any_full(const struct vst_scopes *s);

#endif /* VST_SCOPE_H */
