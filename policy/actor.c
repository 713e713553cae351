/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/actor.h"

/* What a knob holds now, seen from the journal. */
enum holds {
	HOLDS_OURS,
	HOLDS_OLD, /* what was there before us */
	HOLDS_FOREIGN,
	HOLDS_GONE, /* the target or its device does not exist any more */
	HOLDS_ERROR,
};

static const struct vst_actuator *actuator_of(const struct vst_act *act, const struct vst_knob *knob)
{
	return act->actuators[knob->actuator];
}

static bool is_gone(int err)
{
	return err == -ENOENT || err == -ESRCH || err == -ENODEV || err == -ESTALE;
}

static void copy(char *to, const char *from, size_t len)
{
	snprintf(to, len, "%s", from);
}

/* --- outcomes --- */

static void outcome_of(const struct vst_entry *e, enum vst_knob_state state, int result, struct vst_outcome *ret)
{
	ret->id = e->step_id;
	ret->knob = e->knob;
	ret->state = state;
	ret->result = result;
	ret->conflicts = e->conflicts;
	ret->since_us = e->since_us;
	copy(ret->old, e->old, sizeof(ret->old));
	copy(ret->written, e->written, sizeof(ret->written));
	copy(ret->rule, e->rule, sizeof(ret->rule));
	copy(ret->why, e->why, sizeof(ret->why));
}

static void refuse(const struct vst_step *step, int result, struct vst_outcome *ret)
{
	ret->state = VST_KNOB_REFUSED;
	ret->result = result;
	if (!*ret->text) {
		char name[VST_TEXT_MAX];

		vst_explain(ret->text, "%s: %s", vst_knob_describe(&step->knob, name, sizeof(name)), strerror(-result));
	}
}

/* --- whose value is it? --- */

/* Reads the knob of an entry: *ret_now, and *ret_err of HOLDS_GONE and HOLDS_ERROR. */
static enum holds look(struct vst_act *act, struct vst_entry *e, char now[VST_VALUE_MAX], int *ret_err, char *text)
{
	const struct vst_actuator *a = actuator_of(act, &e->knob);

	*now = 0;
	*ret_err = a->read(&act->roots, &e->knob, now, text);
	if (*ret_err)
		return is_gone(*ret_err) ? HOLDS_GONE : HOLDS_ERROR;
	if ((*e->written && a->equal(&e->knob, now, e->written)) ||
	    (*e->pending && a->equal(&e->knob, now, e->pending)))
		return HOLDS_OURS;
	return a->equal(&e->knob, now, e->old) ? HOLDS_OLD : HOLDS_FOREIGN;
}

/* Counts a foreign change once. Returns whether it is new. */
static bool note_foreign(struct vst_act *act, struct vst_entry *e, const char *now)
{
	if (*e->foreign && actuator_of(act, &e->knob)->equal(&e->knob, now, e->foreign))
		return false;
	copy(e->foreign, now, sizeof(e->foreign));
	e->conflicts++;
	act->conflicts++;
	vst_journal_event(&act->journal, VST_EVENT_FOREIGN, e);
	return true;
}

static void explain_foreign(const struct vst_entry *e, const char *now, char *text)
{
	char name[VST_TEXT_MAX];

	vst_knob_describe(&e->knob, name, 256);
	if (e->conflicts >= VST_CONFLICTS_MAX)
		vst_explain(text,
			    "%s: somebody else changed it %u times, now it is %s: vstor does not touch it again until "
			    "vstorctl "
			    "policy apply",
			    name, e->conflicts, now);
	else
		vst_explain(text, "%s: vstor wrote %s, somebody else changed it to %s: left alone (conflict %u of %d)",
			    name, *e->written ? e->written : e->pending, now, e->conflicts, VST_CONFLICTS_MAX);
}

static void close_entry(struct vst_act *act, struct vst_entry *e)
{
	vst_journal_event(&act->journal, VST_EVENT_CLOSED, e);
	vst_entries_remove(&act->journal.entries, e);
}

/* --- the way back --- */

/* Writes the old value. Returns 0 or -errno. */
static int restore(struct vst_act *act, struct vst_entry *e, struct vst_outcome *ret)
{
	const struct vst_actuator *a = actuator_of(act, &e->knob);
	int err = a->write(&act->roots, &e->knob, e->old, ret->text), unused;

	if (err)
		return err;
	act->writes++;
	act->reverts++;
	look(act, e, ret->now, &unused, ret->text);
	return 0;
}

/*
 * Reverts one knob. keep_conflict: a knob that somebody else changed stays in the journal, so that a later step does not
 * take the foreign value for one that it may overwrite. Returns whether nothing of ours is left in it.
 */
static bool revert(struct vst_act *act, struct vst_entry *e, bool keep_conflict, struct vst_outcome *ret)
{
	int err;

	switch (look(act, e, ret->now, &err, ret->text)) {
	case HOLDS_OURS:
		if (actuator_of(act, &e->knob)->equal(&e->knob, ret->now, e->old))
			break; /* the last step was back to the old value */
		err = restore(act, e, ret);
		if (!err || is_gone(err))
			break;
		outcome_of(e, VST_KNOB_APPLIED, err, ret);
		return false;
	case HOLDS_ERROR:
		outcome_of(e, VST_KNOB_APPLIED, err, ret);
		return false;
	case HOLDS_FOREIGN:
		note_foreign(act, e, ret->now);
		explain_foreign(e, ret->now, ret->text);
		outcome_of(e, VST_KNOB_CONFLICT, -EBUSY, ret);
		if (!keep_conflict)
			close_entry(act, e);
		return true;
	case HOLDS_OLD:
		break;
	case HOLDS_GONE:
		vst_explain(ret->text, "what it was set for is gone");
		break;
	}
	outcome_of(e, VST_KNOB_REVERTED, 0, ret);
	close_entry(act, e);
	return true;
}

unsigned int vst_act_revert_all(struct vst_act *act, bool keep_conflicts, vst_outcome_fn f, void *ctx)
{
	unsigned int left = 0;

	for (unsigned int i = act->journal.entries.n; i-- > 0;) {
		struct vst_outcome outcome = { 0 };

		left += !revert(act, act->journal.entries.at[i], keep_conflicts, &outcome);
		if (f)
			f(ctx, &outcome);
	}
	return left;
}

/* --- the way there --- */

/* May this open knob be written? Otherwise *ret is the answer. */
static bool may_write(struct vst_act *act, struct vst_entry *e, const struct vst_step *step, struct vst_outcome *ret)
{
	bool is_new = false;
	int err;

	switch (look(act, e, ret->now, &err, ret->text)) {
	case HOLDS_OURS:
		*e->foreign = 0;
		break;
	case HOLDS_OLD:
	case HOLDS_FOREIGN:
		is_new = note_foreign(act, e, ret->now);
		break;
	case HOLDS_GONE:
	case HOLDS_ERROR:
		refuse(step, err, ret);
		return false;
	}
	if (e->conflicts < VST_CONFLICTS_MAX && !is_new &&
	    (!*e->foreign || actuator_of(act, &e->knob)->equal(&e->knob, ret->now, e->old)))
		return true;
	explain_foreign(e, ret->now, ret->text);
	outcome_of(e, VST_KNOB_CONFLICT, -EBUSY, ret);
	return false;
}

/* The open entry of a knob, whose target_id is known. An entry of a target that had the same name before is closed. */
static struct vst_entry *entry_of(struct vst_act *act, const struct vst_knob *knob)
{
	struct vst_knob any = *knob;
	struct vst_entry *e;

	any.target_id = 0;
	e = vst_entries_find(&act->journal.entries, &any);
	if (!e || e->knob.target_id == knob->target_id)
		return e;
	close_entry(act, e);
	return NULL;
}

/* Writes the knob of an entry whose intent is in the journal, and verifies it. */
static void write_knob(struct vst_act *act, struct vst_entry *e, struct vst_outcome *ret)
{
	int err = actuator_of(act, &e->knob)->write(&act->roots, &e->knob, e->pending, ret->text);

	if (err) {
		outcome_of(e, VST_KNOB_REFUSED, err, ret);
		*e->pending = 0;
		if (*e->written)
			vst_journal_event(&act->journal, VST_EVENT_FAILED, e);
		else
			close_entry(act, e);
		return;
	}
	act->writes++;
	copy(e->written, e->pending, sizeof(e->written));
	*e->pending = 0;
	*e->foreign = 0;
	vst_journal_event(&act->journal, VST_EVENT_WRITTEN, e);
	if (look(act, e, ret->now, &err, ret->text) == HOLDS_OURS || err) {
		outcome_of(e, VST_KNOB_APPLIED, 0, ret);
		return;
	}
	note_foreign(act, e, ret->now);
	vst_explain(ret->text,
		    "the kernel shows %s right after %s was written: either it ignored that, or somebody else "
		    "wrote at the same time. Left alone",
		    ret->now, e->written);
	outcome_of(e, VST_KNOB_CONFLICT, -EBUSY, ret);
}

/* Journals and writes. e: the knob's open entry, or NULL: it is new, and holds ret->now. */
static void apply(struct vst_act *act, struct vst_entry *e, const struct vst_knob *knob, const struct vst_step *step,
		  int64_t now_us, struct vst_outcome *ret)
{
	struct vst_entry before, fresh = { .knob = *knob };
	bool is_new = !e;
	int err;

	if (is_new) {
		copy(fresh.old, ret->now, sizeof(fresh.old));
		e = vst_entries_add(&act->journal.entries, &fresh);
	}
	if (!e) {
		vst_explain(ret->text, "out of memory, or %d knobs are set: no more are", VST_KNOBS_MAX);
		refuse(step, -ENOMEM, ret);
		return;
	}
	before = *e;
	e->step_id = step->id;
	e->since_us = now_us;
	copy(e->pending, step->wanted, sizeof(e->pending));
	copy(e->rule, step->rule, sizeof(e->rule));
	copy(e->why, step->why, sizeof(e->why));
	err = vst_journal_intent(&act->journal, e, ret->text);
	if (!err) {
		write_knob(act, e, ret);
		return;
	}
	refuse(step, err, ret);
	*e = before;
	if (is_new)
		vst_entries_remove(&act->journal.entries, e);
}

static void step_revert(struct vst_act *act, const struct vst_step *step, struct vst_outcome *ret)
{
	struct vst_entry *e = vst_entries_find(&act->journal.entries, &step->knob);

	if (e) {
		revert(act, e, true, ret);
	} else {
		ret->state = VST_KNOB_REVERTED;
		vst_explain(ret->text, "vstor had not changed it");
	}
	ret->id = step->id;
}

/*
 * The knob of a step holds the wanted value. The answer repeats the step's own words: vstord compares them with what it
 * wants, and sends the step again if they differ. e: the knob's entry; NULL: vstor never wrote the knob, and there is
 * nothing to undo.
 */
static void holds_already(struct vst_entry *e, const struct vst_step *step, struct vst_outcome *ret)
{
	if (e) { /* for another reason now */
		copy(e->written, step->wanted, sizeof(e->written));
		copy(e->rule, step->rule, sizeof(e->rule));
		copy(e->why, step->why, sizeof(e->why));
		outcome_of(e, VST_KNOB_APPLIED, 0, ret);
	} else {
		ret->state = VST_KNOB_APPLIED;
		copy(ret->old, ret->now, sizeof(ret->old));
		copy(ret->written, step->wanted, sizeof(ret->written));
	}
	vst_explain(ret->text, "it holds that value already: nothing was written");
}

/*
 * A knob without an entry that holds the wanted value may have inherited it from one that vstor wrote: then vstor undoes
 * it as well, and the value that was there before is the origin's. Returns the origin's entry, or NULL.
 */
static struct vst_entry *inherited(struct vst_act *act, const struct vst_knob *knob, const char *now)
{
	const struct vst_actuator *a = actuator_of(act, knob);
	struct vst_knob origin = *knob;
	char value[VST_VALUE_MAX], text[VST_TEXT_MAX];
	struct vst_entry *e;
	int err;

	origin.target_id = 0;
	for (unsigned int i = 0; a->origin && !a->origin(&act->roots, knob, i, origin.target); i++) {
		e = vst_entries_find(&act->journal.entries, &origin);
		if (e && *e->written && a->equal(knob, now, e->written) &&
		    look(act, e, value, &err, text) == HOLDS_OURS)
			return e;
	}
	return NULL;
}

static void step_apply(struct vst_act *act, const struct vst_step *step, int64_t now_us, struct vst_outcome *ret)
{
	const struct vst_actuator *a = actuator_of(act, &step->knob);
	struct vst_knob knob = step->knob;
	struct vst_entry *e, *origin = NULL;
	int err = a->check(&knob, step->wanted, ret->text);

	if (!err && act->journal.unusable) {
		err = act->journal.unusable;
		vst_explain(ret->text, "%s", act->journal.text);
	}
	if (!err)
		err = a->read(&act->roots, &knob, ret->now, ret->text);
	if (err) {
		if (is_gone(err) && (e = vst_entries_find(&act->journal.entries, &step->knob)))
			close_entry(act, e);
		refuse(step, err, ret);
		return;
	}
	ret->knob = knob;
	e = entry_of(act, &knob);
	if (e && !may_write(act, e, step, ret))
		return;
	if (!e && a->equal(&knob, ret->now, step->wanted))
		origin = inherited(act, &knob, ret->now);
	if (origin) {
		copy(ret->now, origin->old, sizeof(ret->now));
	} else if (a->equal(&knob, ret->now, step->wanted) && (!e || !*e->foreign)) {
		holds_already(e, step, ret);
		return;
	}
	err = a->probe(&act->roots, knob.attr, knob.key, ret->text);
	if (err)
		refuse(step, err, ret);
	else
		apply(act, e, &knob, step, now_us, ret);
}

/* A refused step leaves what an earlier one wrote. vstord has to know, so that it can take that back. */
static void tell_what_stays(struct vst_act *act, const struct vst_step *step, struct vst_outcome *ret)
{
	const struct vst_entry *e = vst_entries_find(&act->journal.entries, &step->knob);

	if (!e)
		return;
	copy(ret->old, e->old, sizeof(ret->old));
	copy(ret->written, e->written, sizeof(ret->written));
	ret->conflicts = e->conflicts;
	ret->since_us = e->since_us;
}

void vst_act_step(struct vst_act *act, const struct vst_step *step, int64_t now_us, struct vst_outcome *ret)
{
	*ret = (struct vst_outcome){ .id = step->id, .knob = step->knob };
	copy(ret->rule, step->rule, sizeof(ret->rule));
	copy(ret->why, step->why, sizeof(ret->why));
	if (step->knob.actuator >= VST_ACTUATOR__N) {
		vst_explain(ret->text, "there is no actuator number %u", step->knob.actuator);
		refuse(step, -EPERM, ret);
	} else if (!*step->wanted) {
		step_revert(act, step, ret);
	} else {
		step_apply(act, step, now_us, ret);
	}
	if (ret->state == VST_KNOB_REFUSED && !*ret->written)
		tell_what_stays(act, step, ret);
	ret->id = step->id;
}

/* --- looking --- */

void vst_act_list(struct vst_act *act, vst_outcome_fn f, void *ctx)
{
	for (unsigned int i = 0; i < act->journal.entries.n;) {
		struct vst_entry *e = act->journal.entries.at[i];
		struct vst_outcome o = { 0 };
		int err;

		switch (look(act, e, o.now, &err, o.text)) {
		case HOLDS_OURS:
			*e->foreign = 0;
			outcome_of(e, e->conflicts >= VST_CONFLICTS_MAX ? VST_KNOB_CONFLICT : VST_KNOB_APPLIED, 0, &o);
			break;
		case HOLDS_OLD:
		case HOLDS_FOREIGN:
			note_foreign(act, e, o.now);
			explain_foreign(e, o.now, o.text);
			outcome_of(e, VST_KNOB_CONFLICT, -EBUSY, &o);
			break;
		case HOLDS_ERROR:
			outcome_of(e, VST_KNOB_APPLIED, err, &o);
			break;
		case HOLDS_GONE:
			vst_explain(o.text, "what it was set for is gone");
			outcome_of(e, VST_KNOB_REVERTED, 0, &o);
			close_entry(act, e);
			i--;
			break;
		}
		i++;
		f(ctx, &o);
	}
}

void vst_act_forget_conflicts(struct vst_act *act)
{
	for (unsigned int i = act->journal.entries.n; i-- > 0;) {
		struct vst_entry *e = act->journal.entries.at[i];

		if (*e->foreign)
			close_entry(act, e);
		else
			e->conflicts = 0;
	}
}
