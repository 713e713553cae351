/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the files of protection: what the engine sees on one disk in one pass. */
#ifndef VST_POLICY_ENGINE_PROTECT_H
#define VST_POLICY_ENGINE_PROTECT_H

#include "policy/engine_priv.h"

#define VST_PROTECT_ACTIVE_BYTES_S (64 * 1024.0) /* a container that does less is left alone */

/* A container that is protected on a disk. */
struct victim {
	struct econtainer *c;
	const struct vst_rule *rule;
	enum vst_objective objective;
	double ratio, latency_us; /* ratio negative: nothing was measured */
};

/*
 * A cgroup that may be capped: a container's, or a cgroup that a rule names and that holds only containers which this rule
 * allows to cap. One limit on such a parent leaves it to the kernel who below it uses how much.
 */
struct bulk {
	const struct vst_snap_container *container; /* the only one; of several, any */
	const char *cgroup, *name;		    /* to write to, and to show */
	const struct vst_rule *rule;
	struct capped *capped; /* NULL: it was never capped */
	size_t n_containers;
	double bytes_s[VST_DIRECTION__N], used;
	double blamed_us_s; /* by those who are protected */
	double share;	    /* its part of the cap, of both directions together */
	bool parent, active;
};

/* A disk in this pass. */
struct scene {
	const struct edisk *disk;
	struct protection *loop;
	struct victim *victim;
	size_t n_victims;
	struct bulk *bulk;
	size_t n_bulk;
	int *bulk_of;		    /* by index of a container: in bulk[]; -1: it may not be capped */
	const struct victim *worst; /* NULL: nobody is measured */
	double used;
	bool journal; /* somebody waited for a journal because of those who may be capped */
	bool fsync;   /* the worst objective is one of fsync */
	enum vst_cap_result result;
};

/* engine_protect_scene.c: 0 or -ENOMEM; released by vst_scene_clear() in any case */
int vst_scene_init(struct vst_engine *e, struct scene *s);
void vst_scene_clear(struct scene *s);

/* engine_protect_weights.c */
void vst_protect_drop_weights(struct vst_engine *e, struct protection *loop);
/* Do weights decide now? Otherwise caps may. */
bool vst_protect_follow_weights(struct vst_engine *e, struct scene *s);
int vst_protect_apply_weights(struct vst_engine *e, struct scene *s);

/* engine_protect_caps.c */
/* why: NULL if the policy is exchanged, so that the rules tell */
void vst_protect_drop_caps(struct vst_engine *e, struct protection *loop, const char *why);
/* The caps of a predecessor's engine, which the actor kept, are where the search goes on. */
void vst_protect_adopt_caps(struct vst_engine *e, struct scene *s);
/* Shares loop->cap out. */
int vst_protect_apply_caps(struct vst_engine *e, struct scene *s);

#endif /* VST_POLICY_ENGINE_PROTECT_H */
