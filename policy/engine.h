/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy engine: from two snapshots, a policy, what is known of the host and the time to what each knob should be. It
 * reads no file, no clock and nothing of the kernel; the same input gives the same plan. Its state is in struct vst_engine.
 *
 * Rules without conditions decide about a container for as long as it lives. Rules with conditions do while these hold: a
 * condition has to hold for its time before the rule counts, and has to fail clearly, for the same time, before it counts
 * no more (VST_ENGINE_MARGIN, VST_ENGINE_HOLD_S). `protect` is a loop: first weights, where the disk has a controller for
 * them, then caps on those who may be capped (policy/cap.h).
 */
#ifndef VST_POLICY_ENGINE_H
#define VST_POLICY_ENGINE_H

#include "agent/snapshot.h"
#include "policy/cap.h"
#include "policy/measure.h"
#include "policy/plan.h"
#include "policy/rules.h"

/* A condition `> 10ms` that held does so until the value is below 10ms times this; `< 10ms` until it is above 10ms / this. */
#define VST_ENGINE_MARGIN 0.8
#define VST_ENGINE_HOLD_S 10.0 /* a rule whose conditions hold counts for so long at least */
#define VST_ENGINE_GAP_S 30.0  /* an interval that is longer, or negative, shows nothing that lasts */

/* A disk, as far as knobs are concerned. */
struct vst_host_disk {
	__u32 dev;
	char key[16];		      /* "8:0" */
	char not_leaf[VST_TEXT_MAX];  /* why it takes no knobs; "": it does */
	char no_iocost[VST_TEXT_MAX]; /* why io.weight has no effect on it; "": it has one */
	char no_bfq[VST_TEXT_MAX];    /* the same of bfq's weight */
};

struct vst_host_threads {
	__u32 container; /* id */
	const __u32 *tid;
	size_t n;
};

/* What somebody who may read files knows of the host. */
struct vst_host {
	unsigned int generation;      /* changes whenever anything below does, except threads */
	bool v2;		      /* the io controller is on cgroup v2; else blkio on v1 */
	char no_cgroup[VST_TEXT_MAX]; /* why no knob of a cgroup can be written; "": they can */
	char no_iocost[VST_TEXT_MAX]; /* why io.weight has no effect on any disk; "": on one at least it has */
	char no_bfq[VST_TEXT_MAX];
	char no_ioprio[VST_TEXT_MAX];
	const struct vst_host_disk *disk;
	size_t n_disks;
	const struct vst_host_threads *threads; /* of those for whom vst_engine_wants_threads() asked */
	size_t n_threads;
};

struct vst_engine;

/* NULL if out of memory. */
struct vst_engine *vst_engine_new(void);
void vst_engine_free(struct vst_engine *engine);

/*
 * From now on this policy, borrowed until the next call has returned; NULL: none, and nothing is wanted. Conditions of rules that have
 * the same name and text in both keep their time. 0, or -ENOMEM: then the policy before stays in force.
 */
int vst_engine_set_policy(struct vst_engine *engine, const struct vst_policy *policy);

/*
 * One pass: puts what is wanted into the plan. In the first one, knobs that the plan has as applied were a predecessor's:
 * caps and rules with conditions go on from there, and nothing is written that stays the same. prev NULL: nothing was measured, so only rules without conditions count.
 * The snapshots are borrowed until the call returns; the engine keeps references to values of `now`. 0 or -ENOMEM; then the plan may lack a part, and the next pass makes up for it.
 */
int vst_engine_run(struct vst_engine *engine, const struct vst_snapshot *prev, const struct vst_snapshot *now,
		   const struct vst_host *host, struct vst_plan *plan);

/*
 * Between two passes: tells what is wanted for containers that are new in a snapshot, or that have got their name only now, so
 * that they need not wait for the next pass. Only rules without conditions count. The snapshot is borrowed as in vst_engine_run().
 * 0 or -ENOMEM.
 */
int vst_engine_notice(struct vst_engine *engine, const struct vst_snapshot *snapshot, const struct vst_host *host,
		      struct vst_plan *plan, double now);

/* Containers all of whose data rules want caches to keep: calls f for each. */
void vst_engine_kept(struct vst_engine *engine, void (*f)(void *arg, __u32 id), void *arg);

/* Containers whose threads the next pass wants to know: calls f for each. */
void vst_engine_wants_threads(struct vst_engine *engine, void (*f)(void *arg, __u32 id, const char *cgroup), void *arg);

/* --- what people can ask --- */

/* Whether the conditions of a rule hold for a container on a disk (0: on any). */
struct vst_engine_condition {
	__u32 container; /* id */
	__u32 dev;
	unsigned int rule; /* index */
	bool holds;
};

/* Somebody who is protected, on a disk. */
struct vst_engine_protected {
	__u32 container; /* id */
	__u32 dev;
	const struct vst_rule *rule;
	enum vst_objective objective; /* the one that is missed most, or least held */
	double latency_us;	      /* NAN: nothing to measure */
	double objective_us;
	double cap; /* bytes in a second, of all that are capped on the disk; 0: none */
	bool weights;
	const char *text; /* what the loop does about it */
};

/* Valid until the next pass. */
const struct vst_engine_condition *vst_engine_conditions(const struct vst_engine *engine, size_t *ret_n);
const struct vst_engine_protected *vst_engine_protected(const struct vst_engine *engine, size_t *ret_n);
const struct vst_measured *vst_engine_measured(const struct vst_engine *engine);
/* Containers whose annotations name a blockio class that the policy does not import. */
unsigned int vst_engine_unknown_blockio(const struct vst_engine *engine);
/* What a rule is matched against, for a container (NULL: none) and a disk (NULL: none). Texts are borrowed. */
void vst_engine_subject(const struct vst_snap_container *container, const struct vst_snap_device *disk,
			struct vst_subject *ret);

#endif /* VST_POLICY_ENGINE_H */
