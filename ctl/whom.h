/* SPDX-License-Identifier: GPL-2.0-only */
/* Which container somebody means by what was typed. */
#ifndef VSTOR_CTL_WHOM_H
#define VSTOR_CTL_WHOM_H

#include "ctl.h"

struct vst_whom {
	char *name;
	char *cgroup; /* NULL: all of this name, since it is one, started anew at times */
};

/* A line of /v1/ps, as far as it is needed. */
struct vst_known {
	char *name, *cgroup, *id;
	bool running;
};

/*
 * Those of list[0..n) that are meant: its name as a whole, its cgroup's path, the beginning of its id (6 digits at
 * least); else part of its name that ends where a word does; else any part of it. Running ones before others. Pure.
 * Returns how many, their places in ret[n].
 */
size_t vst_whom_find(const struct vst_known *list, size_t n, const char *typed, size_t *ret);

/* Asks the agent. 0, or an exit code, having said why and what there is. */
int vst_whom_ask(const struct vst_ctl *ctl, const char *typed, struct vst_whom *ret);
void vst_whom_clear(struct vst_whom *w);
#endif /* VSTOR_CTL_WHOM_H */
