// SPDX-License-Identifier: GPL-2.0-only
/* Conditions: when does a rule with `when` begin to count for a container, and when does it cease to? */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy/engine_priv.h"

/* --- which conditions a container has --- */

static bool same_conditions(const struct vst_rule *a, const struct vst_rule *b)
{
	char x[256], y[256];

	if (strcmp(a->name, b->name) != 0 || a->n_when != b->n_when)
		return false;
	for (size_t i = 0; i < a->n_when; i++) {
		vst_condition_text(&a->when[i], x, sizeof(x));
		vst_condition_text(&b->when[i], y, sizeof(y));
		if (strcmp(x, y) != 0)
			return false;
	}
	return true;
}

/* The state of before, if the rule is the same one. Rules of an old policy are told apart before it is freed. */
static void carry_over(const struct econtainer *c, struct condition *condition)
{
	for (size_t i = 0; i < c->n_condition; i++) {
		const struct condition *old = &c->condition[i];

		if (old->dev != condition->dev ||
		    (old->rule != condition->rule && !same_conditions(old->rule, condition->rule)))
			continue;
		condition->holds = old->holds;
		condition->since = old->since;
		condition->since_other = old->since_other;
		return;
	}
}

/* A predecessor's engine, whose knobs the actor kept, found that the rule counts. */
static bool was_applied(const struct vst_engine *e, const struct econtainer *c, const struct vst_rule *rule)
{
	for (const struct vst_plan_knob *k = e->plan->first; k; k = k->next)
		if (k->state == VST_KNOB_APPLIED && k->rule && !strcmp(k->rule, rule->name) &&
		    !strcmp(k->target, c->value->cgroup))
			return true;
	return false;
}

/* May the rule be about this subject, whatever the stream? */
static bool matches(const struct vst_rule *rule, const struct vst_subject *subject)
{
	struct vst_rule any = *rule;

	for (int f = 0; f < VST_MATCH__N; f++)
		if (VST_MATCH_STREAM & 1U << f)
			any.match[f].n = 0;
	return vst_rule_matches(&any, subject);
}

int vst_engine_conditions_bind(struct vst_engine *e, struct econtainer *c)
{
	struct condition *list = NULL, *more;
	struct vst_subject subject;
	size_t n = 0;

	for (size_t i = 0; e->policy && i < e->policy->n_rules; i++) {
		const struct vst_rule *rule = &e->policy->rule[i];
		bool per_disk = rule->match[VST_MATCH_DEVICE].n;

		for (size_t k = 0; rule->n_when && k < (per_disk ? e->n_disks : 1); k++) {
			vst_engine_subject(c->value, per_disk ? e->disk[k].device : NULL, &subject);
			if (!matches(rule, &subject))
				continue;
			more = realloc(list, (n + 1) * sizeof(*list));
			if (!more) {
				free(list);
				return -ENOMEM;
			}
			list = more;
			list[n] = (struct condition){ .rule = rule, .dev = per_disk ? e->disk[k].dev : 0 };
			if (e->adopt && was_applied(e, c, rule)) {
				list[n].holds = true;
				list[n].since = e->clock;
			}
			carry_over(c, &list[n++]);
		}
	}
	free(c->condition);
	c->condition = list;
	c->n_condition = n;
	return 0;
}

/* --- what they say --- */

/* NAN: not measured. */
static double value_of(const struct vst_engine *e, const struct vst_measured_container *m, __u32 dev,
		       enum vst_metric metric)
{
	const struct vst_measured_io *io = dev ? vst_measured_io_of(m, dev) : NULL;

	if (metric == VST_METRIC_DEVICE_QUEUE) {
		double most = dev ? vst_measured_queue(&e->measured, e->prev, dev) : NAN;

		for (size_t i = 0; !dev && i < m->n_io; i++)
			most = fmax(most, vst_measured_queue(&e->measured, e->prev, m->io[i].dev));
		return most;
	}
	if (!dev)
		return m->value[metric];
	switch (metric) {
	case VST_METRIC_P99_READ:
		return io ? io->p99_us[VST_READS] : NAN;
	case VST_METRIC_P99_WRITE:
		return io ? io->p99_us[VST_WRITES] : NAN;
	case VST_METRIC_READ:
		return io ? io->bytes_s[VST_READS] : 0;
	case VST_METRIC_WRITE:
		return io ? io->bytes_s[VST_WRITES] : 0;
	case VST_METRIC_READ_IOPS:
		return io ? io->ios_s[VST_READS] : 0;
	case VST_METRIC_WRITE_IOPS:
		return io ? io->ios_s[VST_WRITES] : 0;
	default: /* of the container as a whole */
		return m->value[metric];
	}
}

static bool compare(double value, enum vst_comparison cmp, double limit)
{
	switch (cmp) {
	case VST_CMP_GT:
		return value > limit;
	case VST_CMP_GE:
		return value >= limit;
	case VST_CMP_LT:
		return value < limit;
	default:
		return value <= limit;
	}
}

/*
 * Does one condition hold now? One that held until now still does while the value is between the limit and the limit with
 * its margin: otherwise a value near the limit would change the knob with each tick.
 */
static bool holds_now(const struct vst_engine *e, const struct vst_measured_container *m, __u32 dev,
		      const struct vst_condition *c, bool held)
{
	double value, limit = c->value;

	if (c->is_alarm) /* of which there is one */
		return m->container->encrypting > 0;
	value = value_of(e, m, dev, c->metric);
	if (isnan(value))
		return false;
	if (held)
		limit = c->cmp == VST_CMP_GT || c->cmp == VST_CMP_GE ? limit * VST_ENGINE_MARGIN
								     : limit / VST_ENGINE_MARGIN;
	return compare(value, c->cmp, limit);
}

/* All of them; *ret_for_s is the longest time that one of them asks for. */
static bool all_hold(const struct vst_engine *e, const struct vst_measured_container *m, const struct condition *c,
		     double *ret_for_s)
{
	bool all = true;

	*ret_for_s = 0;
	for (size_t i = 0; i < c->rule->n_when; i++) {
		all = all && holds_now(e, m, c->dev, &c->rule->when[i], c->holds);
		*ret_for_s = fmax(*ret_for_s, (double)c->rule->when[i].for_us / 1e6);
	}
	return all;
}

/* Returns whether the rule begins or ceases to count. */
static bool update(struct vst_engine *e, const struct vst_measured_container *m, struct condition *c)
{
	double for_s, now = e->clock;
	bool other;

	if (e->measured.seconds <= 0 && !e->gap)
		return false; /* the same snapshot again */
	other = all_hold(e, m, c, &for_s) != c->holds;

	if (e->gap) { /* nothing is known of the time between: begin to wait anew, and keep what is */
		c->since_other = 0;
		c->since = now;
		return false;
	}
	if (!other) {
		c->since_other = 0;
		return false;
	}
	/* the condition held during the interval that ends now: it began with it */
	if (!c->since_other)
		c->since_other = fmax(now - e->measured.seconds, 1e-9);
	/* half a tick of tolerance, or "for 10s" would take 11 when the tick is a hair early */
	if (now - c->since_other < for_s - e->measured.seconds / 2)
		return false;
	if (c->holds && now - c->since < VST_ENGINE_HOLD_S)
		return false;
	c->holds = !c->holds;
	c->since = now;
	c->since_other = 0;
	return true;
}

void vst_engine_conditions_update(struct vst_engine *e, struct econtainer *c)
{
	const struct vst_measured_container *m = vst_engine_measured_of(e, c);

	for (size_t i = 0; m && i < c->n_condition; i++)
		if (update(e, m, &c->condition[i]))
			c->stale = true;
}

void vst_engine_holds(struct vst_engine *e, const struct econtainer *c, __u32 dev)
{
	memset(e->holds, 0, e->policy->n_rules * sizeof(*e->holds));
	for (size_t i = 0; i < c->n_condition; i++)
		if (!c->condition[i].dev || c->condition[i].dev == dev)
			e->holds[c->condition[i].rule->index] = c->condition[i].holds;
}
