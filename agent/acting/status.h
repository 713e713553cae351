/* SPDX-License-Identifier: GPL-2.0-only */
/* What the agent does and did about its policy, at a moment. Immutable once published; shared by references. */
#ifndef VST_ACTING_STATUS_H
#define VST_ACTING_STATUS_H

#include <stdbool.h>

#include "policy/arena.h"
#include "policy/engine.h"
#include "vstor/abi_cache.h"

/* X(ENUM, "name", "what it means") */
#define VST_ACTING_MODES(X)                                                                                            \
	X(OBSERVE, "observe", "there is no policy")                                                                    \
	X(PLAN, "plan", "the policy is planned only: start the agent with --act to act on it")                         \
	X(ACT, "act", "the policy is acted on")

enum vst_acting_mode {
#define X(e, n, d) VST_MODE_##e,
	VST_ACTING_MODES(X)
#undef X
		VST_MODE__N
};

VST_NAMES1(vst_acting_mode_name, VST_ACTING_MODES)

/* A policy with references: the status and the engine share it. */
struct vst_policy_box {
	int refs;
	struct vst_policy *policy;
};

struct vst_policy_box *vst_policy_box_new(struct vst_policy *policy); /* takes it over; NULL: out of memory */
struct vst_policy_box *vst_policy_box_ref(struct vst_policy_box *box);
void vst_policy_box_unref(struct vst_policy_box *box);

/* A knob, or what happened to one. Texts are never NULL. */
struct vst_acting_row {
	unsigned long long number; /* unique while the agent runs, never given again; 0: of the log */
	const char *actuator, *target, *attribute, *key, *old, *new, *rule, *why;
	const char *text;      /* what went wrong, and what to do; "" */
	const char *container; /* what the target is called; "" if not known */
	enum vst_knob_state state;
	unsigned int conflicts;
	double since; /* Unix time; 0: not applied yet */
};

struct vst_acting_protected {
	const char *container, *cgroup, *device, *rule, *objective, *text;
	double latency_us; /* negative: not measured */
	double objective_us, cap;
	bool weights;
};

/* Who waits because of whom, as the engine measured it over its last interval. Ids of containers. */
struct vst_acting_blame {
	__u32 waiter, holder, dev;
	enum vst_wait_type type;
	double us_s; /* in each second */
};

/* What keeps the blocks of a cached device in its cache. */
struct vst_acting_keeper {
	__u32 dev;
	const char *state; /* "off", "on", "reads", "waits" */
	unsigned long long reads, bytes, errors, passes;
};

/* An entry of the log. */
struct vst_acting_event {
	unsigned long long seq;
	double time;		   /* Unix time */
	const char *what;	   /* "knob", "policy", "actor" */
	struct vst_acting_row row; /* of a knob */
	const char *text;	   /* of others */
};

struct vst_acting_status {
	int refs;
	struct vst_arena *arena; /* owns the texts and lists */
	enum vst_acting_mode mode;
	bool may_act;
	const char *file;	       /* of the policy in force; "" if there is none */
	double loaded;		       /* Unix time */
	const char *error;	       /* why the newest policy is not in force; "" if it is */
	double error_time;	       /* Unix time */
	bool reverted;		       /* `vstorctl policy revert` */
	struct vst_policy_box *policy; /* NULL: none */
	unsigned int unknown_blockio;
	unsigned long long dropped; /* knobs that found no room */

	const char *actor; /* "down", "starting", "ready", "refusing"; "" without --act */
	const char *actor_text;
	int actor_pid;
	unsigned int actor_starts, actor_deaths;
	unsigned long long writes, reverts, conflicts;

	struct vst_acting_row *row;
	size_t n_rows;
	struct vst_acting_protected *protected;
	size_t n_protected;
	struct vst_engine_condition *condition;
	size_t n_conditions;
	struct vst_acting_blame *blame;
	size_t n_blame;
	struct vst_acting_event *event; /* oldest first */
	size_t n_events;
	struct vst_acting_keeper keeper[VST_CACHES];
	size_t n_keepers;
};

struct vst_acting_status *vst_acting_status_ref(struct vst_acting_status *s);
void vst_acting_status_unref(struct vst_acting_status *s); /* NULL is allowed */

/* The rows of a plan, in the memory of a status that is being built. 0 or -ENOMEM. */
int vst_acting_status_fill(struct vst_acting_status *s, const struct vst_plan *plan, const struct vst_engine *engine,
			   const struct vst_snapshot *snapshot);
/* NULL if out of memory. */
struct vst_acting_status *vst_acting_status_new(void);
/* A copy in the status's memory; "" if out of memory. */
const char *vst_acting_text(struct vst_acting_status *s, const char *text);
const char *vst_acting_actuator(unsigned int actuator);

#endif /* VST_ACTING_STATUS_H */
