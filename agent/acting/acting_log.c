// SPDX-License-Identifier: GPL-2.0-only
/* The log of actions: the last ones, for `vstorctl policy log`. The agent's own log on stderr has all of them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/acting/acting_priv.h"
#include "agent/base/log.h"

static void event_clear(struct event *e)
{
	free(e->actuator);
	free(e->target);
	free(e->attribute);
	free(e->key);
	free(e->old);
	free(e->new);
	free(e->rule);
	free(e->why);
	free(e->text);
	*e = (struct event){ 0 };
}

void vst_acting_log_clear(struct vst_acting *a)
{
	for (int i = 0; i < EVENTS_MAX; i++)
		event_clear(&a->event[i]);
	a->n_events = 0;
}

static struct event *event_new(struct vst_acting *a, const char *what)
{
	struct event *e = &a->event[a->n_events % EVENTS_MAX];

	event_clear(e);
	e->seq = ++a->n_events;
	e->time = vst_acting_unix();
	e->what = what;
	a->changed = true;
	return e;
}

static const struct vst_rule *rule_named(const struct vst_acting *a, const char *name)
{
	const struct vst_policy *policy = a->policy ? a->policy->policy : NULL;

	for (size_t i = 0; policy && i < policy->n_rules; i++)
		if (!strcmp(policy->rule[i].name, name))
			return &policy->rule[i];
	return NULL;
}

/* Why a knob got its old value back. */
static void undo_text(const struct vst_acting *a, const struct vst_outcome *o, const struct vst_plan_knob *k, char *ret,
		      size_t size)
{
	const struct vst_rule *rule = rule_named(a, o->rule);

	if (*o->text) /* the actor found it changed already, or gone */
		snprintf(ret, size, "%s", o->text);
	else if (a->stopping)
		snprintf(ret, size, "vstord stops");
	else if (a->reverted)
		snprintf(ret, size, "vstorctl policy revert asked for it");
	else if (k && k->end_why)
		snprintf(ret, size, "%s", k->end_why);
	else if (rule && rule->n_when)
		snprintf(ret, size, "the condition of rule %s does not hold any more", rule->name);
	else if (rule)
		snprintf(ret, size, "rule %s does not ask for it any more", rule->name);
	else
		snprintf(ret, size, "no rule asks for it any more");
}

/* Every outcome that changed something, or that failed, is told. A text that found no memory is shown as "". */
void vst_acting_log_knob(struct vst_acting *a, const struct vst_outcome *o, const char *before,
			 const struct vst_plan_knob *k)
{
	char undo[VST_TEXT_MAX + 64];
	char name[VST_TARGET_MAX + VST_ATTR_TEXT_MAX + VST_KEY_MAX + 16];
	struct event *e = event_new(a, "knob");

	e->actuator = strdup(vst_acting_actuator(o->knob.actuator));
	e->target = strdup(o->knob.target);
	e->attribute = strdup(o->knob.attr);
	e->key = strdup(o->knob.key);
	e->old = strdup(*before ? before : o->old);
	e->new = strdup(o->state == VST_KNOB_REVERTED ? o->old : o->state == VST_KNOB_APPLIED ? o->written : o->now);
	e->rule = strdup(o->rule);
	undo_text(a, o, k, undo, sizeof(undo));
	e->why = strdup(o->state == VST_KNOB_REVERTED ? undo : o->why);
	e->text = strdup(o->text);
	e->state = o->state;
	vst_knob_describe(&o->knob, name, sizeof(name));
	if (o->state == VST_KNOB_APPLIED || o->state == VST_KNOB_REVERTED)
		vst_info("%s: %s -> %s: %s", name, e->old, e->new, e->why);
	else
		vst_warn("%s: %s: %s", name, vst_knob_state_name(o->state), *o->text ? o->text : strerror(-o->result));
}

void vst_acting_log_text(struct vst_acting *a, const char *what, const char *fmt, ...)
{
	struct event *e = event_new(a, what);
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&e->text, fmt, args) < 0)
		e->text = NULL;
	va_end(args);
}

int vst_acting_log_fill(const struct vst_acting *a, struct vst_acting_status *s)
{
	unsigned long long n = a->n_events < EVENTS_MAX ? a->n_events : EVENTS_MAX;

	s->event = vst_arena_alloc(s->arena, n, sizeof(*s->event));
	if (!s->event)
		return -ENOMEM;
	for (unsigned long long i = a->n_events - n; i < a->n_events; i++) {
		const struct event *e = &a->event[i % EVENTS_MAX];

		s->event[s->n_events++] = (struct vst_acting_event){
			.seq = e->seq,
			.time = e->time,
			.what = e->what,
			.text = vst_acting_text(s, e->text),
			.row = { .actuator = vst_acting_text(s, e->actuator),
				 .target = vst_acting_text(s, e->target),
				 .attribute = vst_acting_text(s, e->attribute),
				 .key = vst_acting_text(s, e->key),
				 .old = vst_acting_text(s, e->old),
				 .new = vst_acting_text(s, e->new),
				 .rule = vst_acting_text(s, e->rule),
				 .why = vst_acting_text(s, e->why),
				 .text = vst_acting_text(s, e->text),
				 .container = "",
				 .state = e->state },
		};
	}
	return 0;
}
