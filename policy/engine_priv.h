/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the files of the engine. */
#ifndef VST_POLICY_ENGINE_PRIV_H
#define VST_POLICY_ENGINE_PRIV_H

#include <uthash.h>

#include "policy/engine.h"

enum {
	DISKS_MAX = 256,  /* in use, that the engine looks at */
	RANK_WEIGHTS = 0, /* of protection: a rule that names a weight comes before it */
	RANK_RULE = 1,	  /* + the rule's index */
	RANK_CAP = 1 << 20,
};

/* A want of a container, kept from pass to pass until what it follows from changes. */
struct want {
	struct vst_plan_knob *knob; /* a reference */
	char *value, *why, *refusal;
	const struct vst_rule *rule;
	bool measured;
};

/* Do the conditions of a rule hold? */
struct condition {
	const struct vst_rule *rule;
	__u32 dev; /* 0: all disks together */
	bool holds;
	double since;	    /* it holds, or does not */
	double since_other; /* when the value began to say the opposite; 0: it does not */
};

/* Winners on a disk where they differ from those elsewhere. */
struct special {
	__u32 dev;
	const struct vst_rule *winner[VST_ATTR__N];
};

/* A cgroup's cap on a disk, and what its containers did there lately. */
struct capped {
	char *cgroup;
	double value[VST_DIRECTION__N]; /* 0: none */
	double used[VST_DIRECTION__N];	/* bytes in a second, smoothed */
	double active;			/* when it was seen to do much; 0: never */
	bool seen;
	struct vst_plan_knob *knob[VST_DIRECTION__N]; /* references; NULL: not needed yet */
};

struct econtainer {
	UT_hash_handle hh;
	__u32 id;
	__u32 index;				/* in the snapshot */
	const struct vst_snap_container *value; /* the newest that was seen; a reference */
	__u64 identity;				/* of all that rules can match */
	unsigned int generation;		/* of policy, host and disks, when the wants were computed */
	bool seen, stale;
	const struct vst_rule *winner[VST_ATTR__N];
	struct special *special;
	size_t n_special;
	struct want *want;
	size_t n_want, cap_want;
	struct condition *condition;
	size_t n_condition;
	bool has_protect, has_allowed, wants_threads, unknown_blockio;
	bool kept; /* all of its data is to be kept in caches */
};

/* A disk in use. */
struct edisk {
	__u32 dev;
	const struct vst_snap_device *device; /* a reference */
	const char *name;		      /* in it */
	const struct vst_host_disk *host;     /* NULL: not known */
	bool stacked;
	bool cached;
};

/* Protection on a disk. */
struct protection {
	__u32 dev;
	struct vst_cap cap;
	bool weights;
	double weights_since, weights_missed, weights_failed_until, weights_idle;
	struct vst_plan_knob **knob; /* of weights, in this pass: references */
	size_t n_knobs;
	struct capped *capped;
	size_t n_capped;
	double shared;	     /* when the cap was shared out; 0: never */
	double shared_value; /* what it was then */
};

struct vst_engine {
	const struct vst_policy *policy;
	unsigned int generation; /* of everything that wants depend on, apart from the container */
	unsigned int host_generation;
	bool device_rules, latency_rules;
	struct econtainer *containers; /* by id */
	struct edisk disk[DISKS_MAX];
	size_t n_disks;
	struct protection *loop;
	size_t n_loops;
	struct vst_measured measured;
	bool *holds; /* scratch: [n_rules] */
	double last; /* time of the pass before */
	struct vst_engine_condition *conditions;
	size_t n_conditions;
	struct vst_engine_protected *protected;
	size_t n_protected, cap_protected;

	/* of the pass under way */
	const struct vst_snapshot *prev, *now;
	const struct vst_host *host;
	struct vst_plan *plan;
	double clock;
	bool gap;   /* nothing that was seen before lasts until now */
	bool adopt; /* the first pass: what is applied already was wanted by a predecessor's engine */
};

/* The rule that decides about an attribute of a container on a disk (0: on any). */
const struct vst_rule *vst_engine_winner(const struct econtainer *c, __u32 dev, enum vst_attr attr);
/* The same of protection; NULL also if the rule that wins says `protect: none`. */
const struct vst_rule *vst_engine_protection(const struct econtainer *c, __u32 dev);
const struct edisk *vst_engine_disk(const struct vst_engine *e, __u32 dev);
/* "db/mysql-0/mysqld", or the cgroup's path. */
const char *vst_engine_display(const struct vst_snap_container *c);

/* engine_wants.c: 0 or -ENOMEM */
int vst_engine_compute(struct vst_engine *e, struct econtainer *c);
void vst_engine_drop_wants(struct vst_engine *e, struct econtainer *c);
/* The knob of a limit on a disk, as this host has it. A reference, or NULL. */
struct vst_plan_knob *vst_engine_max_knob(struct vst_engine *e, const struct vst_snap_container *c,
					  const struct edisk *disk, enum vst_max_part part);
/* The cgroup above this one that a rule names without wildcards; NULL: it names none. */
const char *vst_engine_named_above(const struct vst_rule *rule, const char *cgroup);
/* The targets on which a weight of a container has to be set. Calls f for each until it returns an error. */
int vst_engine_weight_targets(const struct vst_rule *rule, const struct vst_snap_container *c,
			      int (*f)(void *arg, const char *target, bool is_scope), void *arg);

/* engine_when.c: 0 or -ENOMEM; sets c->stale if a rule begins or ceases to count */
int vst_engine_conditions_bind(struct vst_engine *e, struct econtainer *c);
void vst_engine_conditions_update(struct vst_engine *e, struct econtainer *c);
/* Which rules' conditions hold for a container on a disk: into e->holds. */
void vst_engine_holds(struct vst_engine *e, const struct econtainer *c, __u32 dev);

/* engine_iocost.c: 0 or -ENOMEM */
int vst_engine_iocost(struct vst_engine *e);

/* engine_bcache.c: 0 or -ENOMEM */
int vst_engine_bcache(struct vst_engine *e);
bool vst_engine_bcache_names(const struct vst_policy *policy, const struct vst_subject *disk);

/* engine_keep.c: 0 or -ENOMEM */
int vst_engine_keep(struct vst_engine *e);
/*
 * Which classes of I/O of a subject are to be kept in a cache, bit n for class n, and by which rule. Rules may name kinds and
 * classes, so each of them is asked about: what is of a kind and a size has one class. A rule about a container as a whole gives all of
 * the container's data the highest class, and counts as that: vst_engine_keeps_all().
 */
unsigned int vst_engine_classes_kept(const struct vst_engine *e, struct vst_subject *io, const bool *holds,
				     const struct vst_rule **ret_rule);

/* The rule names a container, and no kind, pattern or class: it keeps all that the container reads and writes. */
bool vst_engine_keeps_all(const struct vst_rule *rule);

/* engine_protect.c: 0 or -ENOMEM */
int vst_engine_protect(struct vst_engine *e);
void vst_engine_drop_loops(struct vst_engine *e);

static inline const struct vst_measured_container *vst_engine_measured_of(const struct vst_engine *e,
									  const struct econtainer *c)
{
	return c->index < e->measured.n_containers && e->measured.container[c->index].container
		       ? &e->measured.container[c->index]
		       : NULL;
}

#endif /* VST_POLICY_ENGINE_PRIV_H */
