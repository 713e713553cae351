/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What has begun and not ended: requests in flight and tasks that wait. A request that a disk does not answer is in no sum
 * of completed I/O, so it is told by its age. Pure.
 */
#ifndef VSTOR_CTL_UNDERWAY_H
#define VSTOR_CTL_UNDERWAY_H

#include "rows.h"
#include "waits.h"

/* Disks and locks that are well answer within this time: what has taken longer is worth a line of its own. */
#define VST_OLD_US 1e6

struct vst_pending {
	struct vst_who who;
	const char *device;	     /* of requests in flight; NULL: tasks wait */
	double ops[VST_OP__N];	     /* of these requests; those of an unknown op are in open alone */
	const struct vst_wait *wait; /* what tasks wait for; NULL: requests are in flight */
	struct vst_who holder;	     /* who makes these tasks wait; name NULL: not known */
	struct vst_open open;
	bool contains; /* it contains another one of the same container: an fsync */
};

struct vst_underway {
	struct vst_pending *list; /* the oldest first; those that contain others at the end */
	size_t n;
	struct vst_waits *told, *pairs, *holders; /* what list borrows from; NULL: none */
};

/* waits and blame may be NULL. Borrows texts from all of them. Never NULL. */
struct vst_underway *vst_underway_new(const struct vst_rows *rows, const struct vst_waits *waits,
				      const struct vst_waits *blame);
void vst_underway_free(struct vst_underway *u);

/*
 * "x has waited 11 s for loop4: 1 write is in flight and has not completed." Brief: "...: 1 write in flight". Names as people
 * see them. The caller frees.
 */
char *vst_pending_sentence(const struct vst_pending *p, struct vst_who_labels *labels, bool brief);

/* {"resource":"device:loop4","in_flight":{...}}, or "waiting" in place of it. New reference. */
json_t *vst_pending_json(const struct vst_pending *p);

#endif /* VSTOR_CTL_UNDERWAY_H */
