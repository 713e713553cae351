// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/plan.h"

enum { KEY_MAX = VST_TARGET_MAX + VST_ATTR_TEXT_MAX + VST_KEY_MAX + 16 };

void vst_plan_init(struct vst_plan *plan)
{
	*plan = (struct vst_plan){ .next_id = 1 };
	plan->last = &plan->first;
}

static void knob_free(struct vst_plan_knob *k)
{
	free(k->target);
	free(k->value);
	free(k->rule);
	free(k->why);
	free(k->refusal);
	free(k->old);
	free(k->written);
	free(k->text);
	free(k->end_why);
	free(k);
}

void vst_plan_clear(struct vst_plan *plan)
{
	struct vst_plan_knob *k, *next;

	HASH_CLEAR(hh, plan->hash);
	for (k = plan->first; k; k = next) {
		next = k->next;
		knob_free(k);
	}
	vst_plan_init(plan);
}

/* Replaces a text, if it differs. 0 or -ENOMEM; then the old one stays. */
static int set_text(char **text, const char *value)
{
	char *copy;

	if (*text == value || (*text && value && !strcmp(*text, value)))
		return 0;
	copy = value ? strdup(value) : NULL;
	if (value && !copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 1;
}

/* --- knobs --- */

/* A refused step leaves what an earlier one wrote: then .written is set. */
static bool holds_ours(const struct vst_plan_knob *k)
{
	return k->state == VST_KNOB_APPLIED || k->written;
}

/* The hash's key is stored behind the target's path, in one block. */
static struct vst_plan_knob *find(struct vst_plan *plan, uint32_t actuator, const char *target, const char *attr,
				  const char *key, char buf[KEY_MAX], size_t *ret_len)
{
	int len = snprintf(buf, KEY_MAX, "%s\n%s\n%s\n%u", target, attr, key, actuator);
	struct vst_plan_knob *k = NULL;

	*ret_len = 0;
	if (len < 0 || len >= KEY_MAX || strlen(target) >= VST_TARGET_MAX || strlen(attr) >= VST_ATTR_TEXT_MAX ||
	    strlen(key) >= VST_KEY_MAX)
		return NULL;
	*ret_len = len;
	HASH_FIND(hh, plan->hash, buf, *ret_len, k);
	return k;
}

static struct vst_plan_knob *knob_new(uint32_t actuator, uint64_t target_id, const char *attr, const char *key,
				      const char *hash_key, size_t hash_len, size_t target_len)
{
	struct vst_plan_knob *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	/* "target\nattr\nkey\nactuator": the target is cut out by ending it, the hash's key is beside it */
	k->target = malloc(target_len + 1 + hash_len + 1);
	if (!k->target) {
		free(k);
		return NULL;
	}
	memcpy(k->target, hash_key, target_len);
	k->target[target_len] = 0;
	memcpy(k->target + target_len + 1, hash_key, hash_len + 1);
	k->actuator = actuator;
	k->target_id = target_id;
	snprintf(k->attr, sizeof(k->attr), "%s", attr);
	snprintf(k->key, sizeof(k->key), "%s", key);
	k->state = VST_KNOB_PLANNED;
	return k;
}

/*
 * Another cgroup or thread has the knob's name now. Whatever was applied is gone with the earlier one; the actor forgets
 * its record of that when it gets a step with the new id.
 */
static void set_target_id(struct vst_plan *plan, struct vst_plan_knob *k, uint64_t target_id)
{
	bool is_another = k->target_id != 0;

	k->target_id = target_id;
	k->retry_at = k->backoff = 0;
	if (!is_another || !holds_ours(k))
		return;
	k->state = VST_KNOB_PLANNED;
	set_text(&k->written, NULL);
	plan->changes++;
}

struct vst_plan_knob *vst_plan_get(struct vst_plan *plan, enum vst_actuator_id actuator, const char *target,
				   uint64_t target_id, const char *attr, const char *key)
{
	char buf[KEY_MAX];
	size_t len, target_len = strlen(target);
	struct vst_plan_knob *k = find(plan, actuator, target, attr, key, buf, &len);

	if (!k && (!len || plan->n >= VST_PLAN_KNOBS_MAX)) {
		plan->dropped++;
		return NULL;
	}
	if (!k) {
		k = knob_new(actuator, target_id, attr, key, buf, len, target_len);
		if (!k)
			return NULL;
		k->number = ++plan->numbers;
		HASH_ADD_KEYPTR(hh, plan->hash, k->target + target_len + 1, len, k);
		*plan->last = k;
		plan->last = &k->next;
		plan->n++;
	} else if (target_id && k->target_id != target_id) {
		set_target_id(plan, k, target_id);
	}
	k->refs++;
	return k;
}

void vst_plan_put(struct vst_plan *plan, struct vst_plan_knob *knob)
{
	if (knob)
		knob->refs--;
}

void vst_plan_say_end(struct vst_plan_knob *knob, const char *why)
{
	if (knob && (knob->wanted || knob->state == VST_KNOB_APPLIED))
		set_text(&knob->end_why, why);
}

/* --- wants --- */

void vst_plan_begin(struct vst_plan *plan)
{
	plan->pass++;
}

int vst_plan_want(struct vst_plan *plan, struct vst_plan_knob *k, const struct vst_want *want, double now)
{
	int value, rule, why, refusal;
	bool again = k->pass == plan->pass;

	if (again && want->rank <= k->rank)
		return 0;
	k->pass = plan->pass;
	k->rank = want->rank;
	value = set_text(&k->value, want->value);
	rule = set_text(&k->rule, want->rule);
	why = set_text(&k->why, want->why);
	refusal = set_text(&k->refusal, want->refusal);
	if (value < 0 || rule < 0 || why < 0 || refusal < 0)
		return -ENOMEM;
	k->measured = want->measured;
	set_text(&k->end_why, NULL);
	if (!k->wanted || value > 0) {
		k->wanted_since = now;
		if (k->state == VST_KNOB_REFUSED)
			k->retry_at = k->backoff = 0;
	}
	if (!k->wanted || value > 0 || rule > 0 || refusal > 0)
		plan->changes++;
	k->wanted = true;
	k->inherited = false;
	return 0;
}

/* Nothing of ours is left in it, and nobody asks for it. */
static bool is_over(const struct vst_plan_knob *k)
{
	return !k->wanted && !k->refs && !k->step_id && !holds_ours(k);
}

void vst_plan_end(struct vst_plan *plan)
{
	struct vst_plan_knob **at = &plan->first, *k;

	while ((k = *at)) {
		if (k->pass != plan->pass && k->wanted) {
			k->wanted = false;
			k->retry_at = k->backoff = 0;
			plan->changes++;
		}
		if (!is_over(k)) {
			at = &k->next;
			continue;
		}
		*at = k->next;
		HASH_DEL(plan->hash, k);
		plan->n--;
		plan->changes++;
		knob_free(k);
	}
	plan->last = at;
}

/* --- steps --- */

static bool is_set(const struct vst_plan_knob *k)
{
	return k->state == VST_KNOB_APPLIED && k->written && k->value && !strcmp(k->written, k->value);
}

/* What the actor would have to do; it may have to wait. */
bool vst_plan_is_due(const struct vst_plan_knob *k)
{
	if (k->wanted && !k->refusal)
		return !is_set(k) && !(k->state == VST_KNOB_CONFLICT && k->conflicts >= VST_CONFLICTS_MAX);
	return holds_ours(k);
}

static bool same_target(const struct vst_plan_knob *a, const struct vst_plan_knob *b)
{
	return a->actuator == b->actuator && !strcmp(a->target, b->target);
}

/* A measured step was sent to this target in this pass: its effect has to be seen before there is another one. */
static bool target_waits(const struct vst_plan *plan, const struct vst_plan_knob *knob, double now)
{
	if (!knob->measured || !knob->wanted)
		return false;
	for (const struct vst_plan_knob *k = plan->first; k; k = k->next)
		if (k != knob && k->measured && k->stepped >= now && same_target(k, knob))
			return true;
	return false;
}

/* It holds what a predecessor wrote, and a rule may yet ask for that. */
static bool is_inherited(struct vst_plan_knob *k, double now)
{
	if (!k->inherited)
		return false;
	if (!k->kept_until)
		k->kept_until = now + VST_PLAN_INHERITED_S;
	return now < k->kept_until;
}

static void make_step(const struct vst_plan_knob *k, uint64_t id, struct vst_step *ret)
{
	*ret = (struct vst_step){ .id = id };
	vst_knob_init(&ret->knob, k->actuator, k->target, k->target_id, k->attr, k->key);
	snprintf(ret->wanted, sizeof(ret->wanted), "%s", k->wanted && !k->refusal ? k->value : "");
	snprintf(ret->rule, sizeof(ret->rule), "%s", k->rule ? k->rule : "");
	if (k->wanted && !k->refusal)
		snprintf(ret->why, sizeof(ret->why), "%s", k->why);
	else
		snprintf(ret->why, sizeof(ret->why), "%s", k->end_why ? k->end_why : "no rule asks for it any more");
}

struct vst_plan_knob *vst_plan_next_step(struct vst_plan *plan, struct vst_plan_knob *from, double now,
					 struct vst_step *ret)
{
	for (struct vst_plan_knob *k = from ? from->next : plan->first; k; k = k->next) {
		if (k->step_id || now < k->retry_at || !vst_plan_is_due(k) || target_waits(plan, k, now) ||
		    is_inherited(k, now))
			continue;
		make_step(k, plan->next_id, ret);
		return k;
	}
	return NULL;
}

void vst_plan_sent(struct vst_plan *plan, struct vst_plan_knob *k, uint64_t id, double now)
{
	k->step_id = id;
	k->stepped = now;
	plan->next_id = id + 1;
	plan->in_flight++;
}

/* --- outcomes --- */

static void back_off(struct vst_plan_knob *k, double now)
{
	if (k->state == VST_KNOB_CONFLICT) {
		k->retry_at = now + VST_PLAN_CONFLICT_S;
	} else if (k->state == VST_KNOB_REFUSED || (k->state == VST_KNOB_APPLIED && k->result)) {
		k->backoff = k->backoff ? fmin(k->backoff * 2, VST_PLAN_RETRY_MAX_S) : VST_PLAN_RETRY_S;
		k->retry_at = now + k->backoff;
	} else {
		k->retry_at = k->backoff = 0;
	}
}

static bool is_gone(int result)
{
	return result == -ENOENT || result == -ESRCH || result == -ESTALE;
}

/* Does the knob hold what vstor wrote, after this? */
static bool leaves_ours(const struct vst_outcome *o)
{
	return o->state == VST_KNOB_APPLIED || (o->state == VST_KNOB_REFUSED && *o->written && !is_gone(o->result));
}

/*
 * A cgroup can be made again under the same path, and where the engine does not know its inode number, the next step must
 * not insist on the earlier one. A thread's number is reused by strangers, so a thread stays the one that it was.
 */
static bool may_return(const struct vst_plan_knob *k, const struct vst_outcome *o)
{
	return k->actuator == VST_ACTUATOR_CGROUP_IO && (o->state == VST_KNOB_REVERTED || is_gone(o->result));
}

/* It tells of an earlier cgroup or thread of this name. */
static bool is_of_another(const struct vst_plan_knob *k, const struct vst_outcome *o)
{
	return k->target_id && o->knob.target_id && k->target_id != o->knob.target_id;
}

/* Returns whether something changed that people can see. */
static bool take(struct vst_plan_knob *k, const struct vst_outcome *o)
{
	bool changed = k->state != o->state || k->result != o->result || k->conflicts != o->conflicts;

	k->state = o->state;
	k->result = o->result;
	k->conflicts = o->conflicts;
	k->since_us = o->since_us;
	if (o->state != VST_KNOB_REFUSED || *o->old)
		changed |= set_text(&k->old, o->old) > 0;
	changed |= set_text(&k->written, leaves_ours(o) ? o->written : NULL) > 0;
	changed |= set_text(&k->text, *o->text ? o->text : NULL) > 0;
	if (o->knob.target_id && o->state == VST_KNOB_APPLIED)
		k->target_id = o->knob.target_id;
	if (may_return(k, o))
		k->target_id = 0;
	return changed;
}

static struct vst_plan_knob *find_outcome(struct vst_plan *plan, const struct vst_outcome *o)
{
	char buf[KEY_MAX];
	size_t len;

	return find(plan, o->knob.actuator, o->knob.target, o->knob.attr, o->knob.key, buf, &len);
}

struct vst_plan_knob *vst_plan_outcome(struct vst_plan *plan, const struct vst_outcome *o, double now)
{
	struct vst_plan_knob *k = find_outcome(plan, o);

	if (!k)
		return NULL;
	if (k->step_id && k->step_id == o->id) {
		k->step_id = 0;
		plan->in_flight--;
	}
	if (is_of_another(k, o))
		return k;
	plan->changes += take(k, o);
	back_off(k, now);
	return k;
}

void vst_plan_written(struct vst_plan *plan, const struct vst_outcome *o, char ret[VST_VALUE_MAX])
{
	const struct vst_plan_knob *k = find_outcome(plan, o);

	snprintf(ret, VST_VALUE_MAX, "%s", k && k->written ? k->written : "");
}

/* The actor lists what it wrote last, and does not know that the step after that was refused. */
static bool is_refused_beyond(const struct vst_plan_knob *k, const struct vst_outcome *row)
{
	return k->state == VST_KNOB_REFUSED && k->written && row->state == VST_KNOB_APPLIED &&
	       !strcmp(k->written, row->written);
}

struct vst_plan_knob *vst_plan_adopt(struct vst_plan *plan, const struct vst_outcome *row, double now)
{
	struct vst_plan_knob *k = find_outcome(plan, row);
	bool is_news;

	/* the actor remembers a conflict after the last want of the knob is gone; a new want hears of it again */
	if (!k && row->state == VST_KNOB_CONFLICT && plan->pass)
		return NULL;
	if (!k) {
		k = vst_plan_get(plan, row->knob.actuator, row->knob.target, row->knob.target_id, row->knob.attr,
				 row->knob.key);
		if (!k)
			return NULL;
		vst_plan_put(plan, k);
		set_text(&k->rule, row->rule);
		set_text(&k->why, row->why);
		k->inherited = !plan->pass;
	}
	if (k->step_id)
		return k; /* its outcome comes, and is newer */
	if (is_of_another(k, row) || is_refused_beyond(k, row))
		return k;
	is_news = k->state != row->state || k->conflicts != row->conflicts || k->result != row->result;
	plan->changes += take(k, row);
	if (is_news) /* a conflict that goes on does not put off its retry with each list */
		back_off(k, now);
	return k;
}

void vst_plan_disinherit(struct vst_plan *plan)
{
	for (struct vst_plan_knob *k = plan->first; k; k = k->next)
		k->inherited = false;
}

void vst_plan_lost(struct vst_plan *plan)
{
	for (struct vst_plan_knob *k = plan->first; k; k = k->next) {
		k->step_id = 0;
		if (k->state == VST_KNOB_APPLIED)
			k->state = k->wanted ? VST_KNOB_PLANNED : VST_KNOB_REVERTED;
		set_text(&k->written, NULL);
		if (k->state == VST_KNOB_REFUSED)
			k->retry_at = k->backoff = 0;
	}
	plan->in_flight = 0;
	plan->changes++;
}

void vst_plan_forget_conflicts(struct vst_plan *plan)
{
	for (struct vst_plan_knob *k = plan->first; k; k = k->next) {
		if (k->state != VST_KNOB_CONFLICT && k->state != VST_KNOB_REFUSED)
			continue;
		k->state = VST_KNOB_PLANNED;
		k->conflicts = 0;
		k->result = 0;
		k->retry_at = k->backoff = 0;
		set_text(&k->text, NULL);
		plan->changes++;
	}
}

void vst_plan_set_old(struct vst_plan *plan, struct vst_plan_knob *knob, const char *value)
{
	if (knob->state != VST_KNOB_APPLIED)
		plan->changes += set_text(&knob->old, value) > 0;
}

/* --- for people --- */

enum vst_knob_state vst_plan_state(const struct vst_plan_knob *k)
{
	if (k->wanted && k->refusal)
		return VST_KNOB_REFUSED;
	if (k->state == VST_KNOB_REVERTED && k->wanted)
		return VST_KNOB_PLANNED; /* of an earlier time */
	return k->state;
}

const char *vst_plan_text(const struct vst_plan_knob *k)
{
	if (k->wanted && k->refusal)
		return k->refusal;
	return k->text ? k->text : "";
}
