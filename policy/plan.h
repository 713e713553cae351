/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The plan: for each knob what is wanted and what is applied, and the steps from one to the other. Pure: time is passed
 * in, steps are taken out, outcomes are put in.
 *
 * The engine tells all wants in a pass: vst_plan_begin(), vst_plan_want() for each, vst_plan_end(). What was not told in
 * the pass is not wanted any more, and is reverted if it was applied.
 */
#ifndef VST_POLICY_PLAN_H
#define VST_POLICY_PLAN_H

#include <stdbool.h>
#include <uthash.h>

#include "policy/step.h"

enum {
	VST_PLAN_KNOBS_MAX = 16384,
	VST_PLAN_RETRY_S = 5, /* after a refusal, doubled each time up to VST_PLAN_RETRY_MAX_S */
	VST_PLAN_RETRY_MAX_S = 300,
	VST_PLAN_CONFLICT_S = 30, /* after somebody else changed a knob */
	/*
	 * A predecessor's knob that no rule asks for is left for so long: rules match names of containers, which are looked up
	 * after the start.
	 */
	VST_PLAN_INHERITED_S = 30,
};

struct vst_plan_knob {
	UT_hash_handle hh;
	struct vst_plan_knob *next; /* in the order in which they were first wanted */
	uint64_t number;	    /* unique in the plan, never given again */
	uint32_t actuator;
	uint64_t target_id;
	char *target;
	char attr[VST_ATTR_TEXT_MAX], key[VST_KEY_MAX];
	unsigned int refs; /* of the engine */

	/* what is wanted */
	bool wanted;
	bool measured; /* a measured condition decides about it: one such step per target and pass */
	char *value;   /* "" if .refusal */
	char *rule, *why;
	char *refusal; /* why it cannot be done; NULL: it can */
	char *end_why; /* why it is not wanted any more, if whoever wanted it said so; NULL */
	double wanted_since;

	/* what is applied, as far as the actor told */
	enum vst_knob_state state; /* PLANNED: no step was done */
	int result;
	unsigned int conflicts;
	char *old, *written, *text; /* NULL: not known */
	int64_t since_us;	    /* CLOCK_REALTIME */
	uint64_t step_id;	    /* in flight; 0: none */
	double stepped, retry_at, backoff;
	bool inherited;	   /* from a predecessor, and not wanted since */
	double kept_until; /* if .inherited; 0: no step was looked for yet */

	unsigned int pass; /* in which it was wanted last */
	int rank;	   /* of the want in this pass */
};

struct vst_plan {
	struct vst_plan_knob *hash;
	struct vst_plan_knob *first, **last;
	unsigned int n, pass;
	unsigned int in_flight;
	uint64_t next_id, numbers;
	uint64_t changes; /* grows with whatever a reader of the knobs can see */
	uint64_t dropped; /* wants beyond VST_PLAN_KNOBS_MAX */
};

void vst_plan_init(struct vst_plan *plan);
void vst_plan_clear(struct vst_plan *plan);

/* In place of an actuator: what is wanted, but nothing can do it. */
#define VST_PLAN_NO_ACTUATOR VST_ACTUATOR__N

/* The knob, made if it is missing, with one more reference. NULL: out of memory or too many, or a part is too long. */
struct vst_plan_knob *vst_plan_get(struct vst_plan *plan, enum vst_actuator_id actuator, const char *target,
				   uint64_t target_id, const char *attr, const char *key);
/* Says why the knob, which may be NULL, will not be wanted in this pass. Without memory the reason is missing. */
void vst_plan_say_end(struct vst_plan_knob *knob, const char *why);
void vst_plan_put(struct vst_plan *plan, struct vst_plan_knob *knob);

struct vst_want {
	const char *value;   /* "" if .refusal */
	const char *rule;    /* its name */
	const char *why;     /* a sentence */
	const char *refusal; /* NULL: it can be done */
	int rank;	     /* the highest of a pass wins */
	bool measured;
};

void vst_plan_begin(struct vst_plan *plan);
/* 0 or -ENOMEM; then the want of the last pass stays. */
int vst_plan_want(struct vst_plan *plan, struct vst_plan_knob *knob, const struct vst_want *want, double now);
/* Forgets knobs that nobody wants and that hold nothing of ours. */
void vst_plan_end(struct vst_plan *plan);

/*
 * The next step to send, after `from` (NULL: the first knob). It counts as sent only after vst_plan_sent(). NULL: none is
 * left.
 */
struct vst_plan_knob *vst_plan_next_step(struct vst_plan *plan, struct vst_plan_knob *from, double now,
					 struct vst_step *ret);
void vst_plan_sent(struct vst_plan *plan, struct vst_plan_knob *knob, uint64_t id, double now);

/* What became of a step, or what the actor holds. Returns the knob; NULL: the plan does not know it. */
struct vst_plan_knob *vst_plan_outcome(struct vst_plan *plan, const struct vst_outcome *outcome, double now);
/* What we had written to the knob of an outcome that is not taken yet; "": nothing. */
void vst_plan_written(struct vst_plan *plan, const struct vst_outcome *outcome, char ret[VST_VALUE_MAX]);
/*
 * A knob that the actor took over from a predecessor, or lists: as above, and it is added if it is missing. Except that
 * after the first pass, a conflict about a knob that nobody wants is not news: NULL.
 */
struct vst_plan_knob *vst_plan_adopt(struct vst_plan *plan, const struct vst_outcome *row, double now);
/* What a predecessor had set is not waited for any more: it is reverted unless it is wanted. */
void vst_plan_disinherit(struct vst_plan *plan);
/* The actor ended: it reverted what it held, and steps in flight have no outcome. */
void vst_plan_lost(struct vst_plan *plan);
/* Try again what was refused or in conflict. */
void vst_plan_forget_conflicts(struct vst_plan *plan);
/* What the knob held before we ever changed it, read by somebody who may. */
void vst_plan_set_old(struct vst_plan *plan, struct vst_plan_knob *knob, const char *value);

/* The state that people see. */
enum vst_knob_state vst_plan_state(const struct vst_plan_knob *knob);
/* Why it is refused or in conflict; "" if all is well. */
const char *vst_plan_text(const struct vst_plan_knob *knob);
/* A knob has a step to do now or later. */
bool vst_plan_is_due(const struct vst_plan_knob *knob);

#endif /* VST_POLICY_PLAN_H */
