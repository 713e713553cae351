/* SPDX-License-Identifier: GPL-2.0-only */
/* Which container somebody means by what was typed. */
#ifndef VSTOR_CTL_WHOM_H
#define VSTOR_CTL_WHOM_H

#include "who.h"

struct vst_whom {
	char *name, *cgroup;
	json_t *limits; /* as in /v1/ps; NULL: none that is known */
	bool ended;
	char **alike; /* cgroups of others with the same name */
	size_t n_alike;
};

/* A container that can be meant: a line of /v1/ps, one of vstor's own words, or somebody who waits. */
struct vst_known {
	char *name, *cgroup, *id;
	bool running;
	double age;
	json_t *limits;	   /* NULL: none */
	const char *label; /* as people see it; NULL: as the name */
};

/*
 * Those of list[0..n) that are meant: by the name or label as a whole, the cgroup's path, or the beginning of the id (6 digits
 * or more); else by a part of the name that ends where a word does; else by any part of it; else by a word of
 * the path.
 * Running ones before others. Pure. Returns how many, their places in ret[n].
 */
size_t vst_whom_find(const struct vst_known *list, size_t n, const char *typed, size_t *ret);

/* The one that a cgroup is in: the one with the longest path above it, not the root; n: there is none. Pure. */
size_t vst_whom_above(const struct vst_known *list, size_t n, const char *path);

/* Asks the agent. 0, or an exit code, having said why and what there is. */
int vst_whom_ask(const struct vst_ctl *ctl, const char *typed, struct vst_whom *ret);
void vst_whom_clear(struct vst_whom *w);
#endif /* VSTOR_CTL_WHOM_H */
