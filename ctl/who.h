/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who a container is. Its identity is its cgroup; its name is a label that several may have. vstor's own words, such as
 * "unattributed", have no cgroup ("host" is the root cgroup), and people see them in brackets: [unattributed]. Pure.
 */
#ifndef VSTOR_CTL_WHO_H
#define VSTOR_CTL_WHO_H

#include "ctl.h"

struct vst_who {
	const char *name, *cgroup;
};

/* Orders by cgroup; vstor's own words by name. 0: the same container. */
int vst_who_compare(const struct vst_who *x, const struct vst_who *y);
bool vst_who_is_own(const struct vst_who *w);

/* Where the id of a container, 64 hex digits, begins in the last component of a path; NULL: there is none. */
const char *vst_who_id(const char *cgroup);

/* What a word of vstor's own stands for, as a sentence; NULL: it is none, or newer than this program. */
const char *vst_who_own_meaning(const char *name);
/* The i-th of them that can be asked for; false: there are no more. */
bool vst_who_own(size_t i, struct vst_who *ret);

/* "own": true in a line of JSON that names one of vstor's own words; field: what it is called there. */
void vst_who_json(json_t *o, const char *field, const struct vst_who *w);

/*
 * How to show each of a set of containers: by its name, and those of one name told apart by a part of their cgroup:
 * "web (4f2a9c31d0aa)". Add all of them, then ask.
 */
struct vst_who_labels;

struct vst_who_labels *vst_who_labels_new(void);
void vst_who_labels_free(struct vst_who_labels *l);
/* Texts are copied. */
void vst_who_labels_add(struct vst_who_labels *l, const struct vst_who *w);
/* Not escaped. Valid as long as l is, and nothing is added. Never NULL. */
const char *vst_who_labels_find(struct vst_who_labels *l, const struct vst_who *w);

#endif /* VSTOR_CTL_WHO_H */
