// SPDX-License-Identifier: GPL-2.0-only
/* The policy, what is done about it, and why, as JSON lines. */
#include <stdlib.h>
#include <string.h>

#include "agent/sinks/render.h"

static void row_fields(struct vst_out *o, const struct vst_acting_row *r)
{
	vst_out_kstr(o, "actuator", r->actuator);
	vst_out_kstr(o, "target", r->target);
	vst_out_kstr(o, "container", r->container);
	vst_out_kstr(o, "attribute", r->attribute);
	vst_out_kstr(o, "key", r->key);
	vst_out_kstr(o, "old", r->old);
	vst_out_kstr(o, "new", r->new);
	vst_out_kstr(o, "rule", r->rule);
	vst_out_kstr(o, "why", r->why);
	vst_out_kstr(o, "state", vst_knob_state_name(r->state));
	vst_out_kstr(o, "text", r->text);
}

static void row(struct vst_out *o, const struct vst_acting_row *r)
{
	vst_render_begin(o, "knob");
	vst_out_ku64(o, "row", r->number);
	row_fields(o, r);
	vst_out_ku64(o, "conflicts", r->conflicts);
	vst_out_kdouble(o, "since", r->since, 3);
	vst_render_end(o);
}

static void protected(struct vst_out *o, const struct vst_acting_protected *p)
{
	vst_render_begin(o, "protected");
	vst_out_kstr(o, "container", p->container);
	vst_out_kstr(o, "cgroup", p->cgroup);
	vst_out_kstr(o, "device", p->device);
	vst_out_kstr(o, "rule", p->rule);
	vst_out_kstr(o, "objective", p->objective);
	vst_out_kdouble(o, "objective_us", p->objective_us, 1);
	if (p->latency_us >= 0)
		vst_out_kdouble(o, "latency_us", p->latency_us, 1);
	vst_out_kdouble(o, "cap", p->cap, 0);
	vst_out_kbool(o, "weights", p->weights);
	vst_out_kstr(o, "text", p->text);
	vst_render_end(o);
}

/* Sentences about rules that can never count. */
static void notes(struct vst_out *o, const struct vst_policy *policy)
{
	char text[VST_POLICY_MAX_NAME + 256];
	bool any = false;

	vst_out_key(o, "notes");
	vst_out_raw(o, "[");
	for (size_t i = 0; policy && i < policy->n_rules; i++) {
		if (!vst_rule_note_text(&policy->rule[i], text, sizeof(text)))
			continue;
		vst_out_raw(o, any ? "," : "");
		vst_out_str(o, text);
		any = true;
	}
	vst_out_raw(o, "]");
}

static void head(struct vst_out *o, const struct vst_snapshot *s, const struct vst_acting_status *p)
{
	vst_render_begin(o, "snapshot");
	vst_render_moment(o, s);
	vst_render_end(o);
	vst_render_begin(o, "policy");
	vst_out_kstr(o, "mode", vst_acting_mode_name(p->mode));
	vst_out_kbool(o, "act", p->may_act);
	vst_out_kstr(o, "file", p->file);
	vst_out_kdouble(o, "loaded", p->loaded, 3);
	vst_out_ku64(o, "rules", p->policy ? p->policy->policy->n_rules : 0);
	vst_out_kstr(o, "error", p->error);
	notes(o, p->policy ? p->policy->policy : NULL);
	vst_out_kbool(o, "reverted", p->reverted);
	vst_out_ku64(o, "unknown_blockio", p->unknown_blockio);
	vst_out_ku64(o, "dropped", p->dropped);
	vst_out_kstr(o, "actor", p->actor);
	vst_out_kstr(o, "actor_error", p->actor_text);
	vst_out_ku64(o, "actor_pid", (__u64)p->actor_pid);
	vst_out_ku64(o, "actor_deaths", p->actor_deaths);
	vst_out_ku64(o, "writes", p->writes);
	vst_out_ku64(o, "reverts", p->reverts);
	vst_out_ku64(o, "conflicts", p->conflicts);
	vst_render_end(o);
}

void vst_render_policy(struct vst_out *o, const struct vst_snapshot *s, const struct vst_acting_status *p,
		       const char *argument)
{
	if (!p)
		return;
	head(o, s, p);
	for (size_t i = 0; i < p->n_protected; i++)
	protected(o, &p->protected[i]);
	for (size_t i = 0; i < p->n_rows; i++)
		row(o, &p->row[i]);
}

void vst_render_policy_log(struct vst_out *o, const struct vst_snapshot *s, const struct vst_acting_status *p,
			   const char *argument)
{
	for (size_t i = 0; p && i < p->n_events; i++) {
		const struct vst_acting_event *e = &p->event[i];

		vst_render_begin(o, "action");
		vst_out_ku64(o, "seq", e->seq);
		vst_out_kdouble(o, "time", e->time, 3);
		vst_out_kstr(o, "what", e->what);
		if (!strcmp(e->what, "knob"))
			row_fields(o, &e->row);
		else
			vst_out_kstr(o, "text", e->text);
		vst_render_end(o);
	}
}

/* --- why a container is treated as it is --- */

static void text_of(struct vst_out *o, const char *key, const struct vst_rule *rule, enum vst_attr attr)
{
	char text[256];

	vst_rule_want_text(rule, attr, text, sizeof(text));
	vst_out_kstr(o, key, text);
}

static void conditions(struct vst_out *o, const struct vst_rule *rule)
{
	char text[256];

	vst_out_key(o, "when");
	vst_out_raw(o, "[");
	for (size_t i = 0; i < rule->n_when; i++) {
		vst_condition_text(&rule->when[i], text, sizeof(text));
		vst_out_raw(o, i ? "," : "");
		vst_out_str(o, text);
	}
	vst_out_raw(o, "]");
}

static void verdict(struct vst_out *o, const char *container, const char *device, enum vst_attr attr,
		    const struct vst_candidate *c)
{
	vst_render_begin(o, "rule");
	vst_out_kstr(o, "container", container);
	vst_out_kstr(o, "device", device);
	vst_out_kstr(o, "attribute", vst_attr_name(attr));
	vst_out_kstr(o, "rule", c->rule->name);
	vst_out_kstr(o, "file", c->rule->file);
	vst_out_ku64(o, "line", c->rule->line);
	text_of(o, "wants", c->rule, attr);
	conditions(o, c->rule);
	vst_out_kbool(o, "wins", c->verdict == VST_VERDICT_WINS);
	vst_out_kstr(o, "verdict", vst_verdict_name(c->verdict));
	if (c->verdict == VST_VERDICT_MISMATCH)
		vst_out_kstr(o, "differs", c->field < VST_MATCH__N ? vst_match_field_name(c->field) : "labels");
	vst_render_end(o);
}

/* Which rules' conditions hold for a container on a disk. */
static void find_holds(const struct vst_acting_status *p, __u32 container, __u32 dev, bool *holds)
{
	memset(holds, 0, p->policy->policy->n_rules * sizeof(*holds));
	for (size_t i = 0; i < p->n_conditions; i++) {
		const struct vst_engine_condition *c = &p->condition[i];

		if (c->container == container && (!c->dev || c->dev == dev) && c->rule < p->policy->policy->n_rules)
			holds[c->rule] = c->holds;
	}
}

/* It names this disk, and was decided by something else: that another disk is meant is told once, without a disk. */
static bool is_about_disk(const struct vst_candidate *c)
{
	return c->rule->match[VST_MATCH_DEVICE].n &&
	       !(c->verdict == VST_VERDICT_MISMATCH && c->field == VST_MATCH_DEVICE);
}

/* The rules about a container on a disk (NULL: on any); on a disk, those that name one. */
static void explain_disk(struct vst_out *o, const struct vst_acting_status *p, const struct vst_snap_container *c,
			 const struct vst_snap_device *disk, bool *holds)
{
	struct vst_resolution res;
	struct vst_subject subject;
	const char *device = disk ? disk->name : "";

	vst_engine_subject(c, disk, &subject);
	find_holds(p, c->id, disk ? disk->dev : 0, holds);
	if (vst_policy_resolve(p->policy->policy, &subject, holds, &res)) {
		o->failed = true;
		return;
	}
	for (unsigned int a = 0; a < VST_ATTR__N; a++) {
		struct vst_candidate winner = { .rule = res.attr[a].winner, .verdict = VST_VERDICT_WINS };

		if (winner.rule && (!disk || winner.rule->match[VST_MATCH_DEVICE].n))
			verdict(o, c->display, device, a, &winner);
		for (size_t i = 0; i < res.attr[a].n_losers; i++)
			if (!disk || is_about_disk(&res.attr[a].loser[i]))
				verdict(o, c->display, device, a, &res.attr[a].loser[i]);
	}
	vst_resolution_clear(&res);
}

static bool has_device_rules(const struct vst_policy *policy)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (policy->rule[i].match[VST_MATCH_DEVICE].n)
			return true;
	return false;
}

/* Is the target the container's cgroup, or one above it? */
static bool concerns(const struct vst_acting_row *r, const struct vst_snap_container *c)
{
	size_t len = strlen(r->target);

	return *r->target == '/' && !strncmp(r->target, c->cgroup, len) && (!c->cgroup[len] || c->cgroup[len] == '/');
}

static bool same_blame(const struct vst_acting_blame *x, const struct vst_acting_blame *y)
{
	return x->holder == y->holder && x->waiter == y->waiter && x->type == y->type && x->dev == y->dev;
}

/* Who waits because of this container, and for what. The engine has a row for each object; here they are added up. */
static void blamed(struct vst_out *o, const struct vst_snapshot *s, const struct vst_acting_status *p,
		   const struct vst_snap_container *c)
{
	for (size_t i = 0; i < p->n_blame; i++) {
		const struct vst_acting_blame *b = &p->blame[i];
		const struct vst_snap_container *waiter;
		const struct vst_snap_device *d;
		double us_s = 0;
		size_t k = 0;

		if (b->holder != c->id || !(waiter = vst_snapshot_container_of(s, b->waiter)))
			continue;
		while (!same_blame(&p->blame[k], b))
			k++;
		if (k < i)
			continue; /* told already */
		for (; k < p->n_blame; k++)
			us_s += same_blame(&p->blame[k], b) ? p->blame[k].us_s : 0;
		d = vst_snapshot_device_of(s, b->dev);
		vst_render_begin(o, "blamed");
		vst_out_kstr(o, "container", c->display);
		vst_out_kstr(o, "waiter", waiter->display);
		vst_out_kstr(o, "waiter_cgroup", waiter->cgroup);
		vst_out_kstr(o, "resource", vst_wait_type_name(b->type));
		vst_out_kstr(o, "device", d ? d->name : "");
		vst_out_kdouble(o, "us_per_s", us_s, 1);
		vst_render_end(o);
	}
}

static void explain(struct vst_out *o, const struct vst_snapshot *s, const struct vst_acting_status *p,
		    const struct vst_snap_container *c)
{
	bool *holds = p->policy ? calloc(p->policy->policy->n_rules + 1, sizeof(*holds)) : NULL;
	const struct vst_snap_device *d;

	vst_render_begin(o, "container");
	vst_render_identity(o, c);
	vst_render_end(o);
	if (holds)
		explain_disk(o, p, c, NULL, holds);
	/* as in the engine, a disk that a rule names counts even before its first I/O */
	if (holds && has_device_rules(p->policy->policy))
		vst_snapshot_for_each(s, VST_SNAP_DEVICES, d, i) if (d->present) explain_disk(o, p, c, d, holds);
	blamed(o, s, p, c);
	for (size_t i = 0; i < p->n_protected; i++)
		if (!strcmp(p->protected[i].cgroup, c->cgroup))
	protected(o, &p->protected[i]);
	for (size_t i = 0; i < p->n_rows; i++)
		if (concerns(&p->row[i], c))
			row(o, &p->row[i]);
	free(holds);
}

void vst_render_policy_explain(struct vst_out *o, const struct vst_snapshot *s, const struct vst_acting_status *p,
			       const char *argument)
{
	const struct vst_snap_container *c;
	bool found = false;

	if (!p)
		return;
	vst_snapshot_for_each(s, VST_SNAP_CONTAINERS, c, i)
	{
		if (c->own || !argument || (strcmp(c->display, argument) != 0 && strcmp(c->cgroup, argument) != 0))
			continue;
		explain(o, s, p, c);
		found = true;
	}
	if (!found)
		vst_render_error(o, argument ? "there is no container of that name or cgroup: vstorctl ps lists them"
					     : "which one? give ?container=NAME or its cgroup's path");
}

void vst_render_reply(struct vst_out *o, const struct vst_acting_reply *reply)
{
	if (reply->result) {
		vst_render_error(o, reply->text ? reply->text : strerror(-reply->result));
		return;
	}
	vst_render_begin(o, "reply");
	vst_out_kstr(o, "text", reply->text);
	vst_render_end(o);
	for (size_t i = 0; reply->status && i < reply->status->n_rows; i++)
		row(o, &reply->status->row[i]);
}
