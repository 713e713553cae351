// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/acting/status.h"
#include "policy/actuator.h"

struct vst_policy_box *vst_policy_box_new(struct vst_policy *policy)
{
	struct vst_policy_box *box = calloc(1, sizeof(*box));

	if (!box) {
		vst_policy_free(policy);
		return NULL;
	}
	box->refs = 1;
	box->policy = policy;
	return box;
}

struct vst_policy_box *vst_policy_box_ref(struct vst_policy_box *box)
{
	if (box)
		__atomic_add_fetch(&box->refs, 1, __ATOMIC_RELAXED);
	return box;
}

void vst_policy_box_unref(struct vst_policy_box *box)
{
	if (!box || __atomic_sub_fetch(&box->refs, 1, __ATOMIC_ACQ_REL))
		return;
	vst_policy_free(box->policy);
	free(box);
}

struct vst_acting_status *vst_acting_status_new(void)
{
	struct vst_acting_status *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->refs = 1;
	s->file = s->error = s->actor = s->actor_text = "";
	s->arena = vst_arena_new();
	if (!s->arena) {
		free(s);
		return NULL;
	}
	return s;
}

struct vst_acting_status *vst_acting_status_ref(struct vst_acting_status *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void vst_acting_status_unref(struct vst_acting_status *s)
{
	if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
		return;
	vst_policy_box_unref(s->policy);
	vst_arena_free(s->arena);
	free(s);
}

const char *vst_acting_text(struct vst_acting_status *s, const char *text)
{
	char *copy = text && *text ? vst_arena_text(s->arena, text, strlen(text)) : NULL;

	return copy ? copy : "";
}

const char *vst_acting_actuator(unsigned int actuator)
{
	return actuator < VST_ACTUATOR__N ? vst_actuators[actuator]->name : "none";
}

/* --- rows --- */

/* What a target is called: the container whose scope it is. */
static const char *container_at(const struct vst_snapshot *snapshot, const char *target)
{
	const struct vst_snap_container *c;

	if (!snapshot || *target != '/')
		return "";
	vst_snapshot_for_each(snapshot, VST_SNAP_CONTAINERS, c, i)
	{
		if (!c->own && !c->ended && !strcmp(c->cgroup, target))
			return c->display;
	}
	return "";
}

static void fill_row(struct vst_acting_status *s, struct vst_acting_row *r, const struct vst_plan_knob *k,
		     const struct vst_snapshot *snapshot)
{
	r->number = k->number;
	r->actuator = vst_acting_actuator(k->actuator);
	r->target = vst_acting_text(s, k->target);
	r->attribute = vst_acting_text(s, k->attr);
	r->key = vst_acting_text(s, k->key);
	r->old = vst_acting_text(s, k->old);
	r->new = vst_acting_text(s, k->wanted ? k->value : k->written);
	r->rule = vst_acting_text(s, k->rule);
	r->why = vst_acting_text(s, k->why);
	r->text = vst_acting_text(s, vst_plan_text(k));
	r->container = vst_acting_text(s, container_at(snapshot, k->target));
	r->state = vst_plan_state(k);
	r->conflicts = k->conflicts;
	r->since = (double)k->since_us / 1e6;
}

static void fill_protected(struct vst_acting_status *s, const struct vst_engine *engine,
			   const struct vst_snapshot *snapshot)
{
	size_t n;
	const struct vst_engine_protected *p = vst_engine_protected(engine, &n);

	s->protected = vst_arena_alloc(s->arena, n, sizeof(*s->protected));
	for (size_t i = 0; s->protected && i < n; i++) {
		const struct vst_snap_container *c = vst_snapshot_container_of(snapshot, p[i].container);
		const struct vst_snap_device *d = vst_snapshot_device_of(snapshot, p[i].dev);

		if (!c)
			continue;
		s->protected[s->n_protected++] = (struct vst_acting_protected){
			.container = vst_acting_text(s, c->display),
			.cgroup = vst_acting_text(s, c->cgroup),
			.device = vst_acting_text(s, d ? d->name : ""),
			.rule = vst_acting_text(s, p[i].rule->name),
			.objective = vst_objective_name(p[i].objective),
			.text = p[i].text,
			.latency_us = p[i].latency_us >= 0 ? p[i].latency_us : -1,
			.objective_us = p[i].objective_us,
			.cap = p[i].cap,
			.weights = p[i].weights,
		};
	}
}

static void fill_blame(struct vst_acting_status *s, const struct vst_measured *m)
{
	if (!m->n_blame)
		return;
	s->blame = vst_arena_alloc(s->arena, m->n_blame, sizeof(*s->blame));
	for (size_t i = 0; s->blame && i < m->n_blame; i++) {
		const struct vst_measured_blame *b = &m->blame[i];

		s->blame[s->n_blame++] = (struct vst_acting_blame){
			.waiter = m->container[b->waiter].container->id,
			.holder = m->container[b->holder].container->id,
			.dev = b->dev,
			.type = b->type,
			.us_s = b->us_s,
		};
	}
}

int vst_acting_status_fill(struct vst_acting_status *s, const struct vst_plan *plan, const struct vst_engine *engine,
			   const struct vst_snapshot *snapshot)
{
	const struct vst_engine_condition *condition;
	size_t n;

	s->row = vst_arena_alloc(s->arena, plan->n, sizeof(*s->row));
	if (!s->row)
		return -ENOMEM;
	for (const struct vst_plan_knob *k = plan->first; k; k = k->next)
		if (k->wanted || k->state == VST_KNOB_APPLIED || k->state == VST_KNOB_CONFLICT)
			fill_row(s, &s->row[s->n_rows++], k, snapshot);
	s->dropped = plan->dropped;
	if (!snapshot)
		return 0;
	fill_protected(s, engine, snapshot);
	fill_blame(s, vst_engine_measured(engine));
	condition = vst_engine_conditions(engine, &n);
	s->condition = vst_arena_alloc(s->arena, n, sizeof(*s->condition));
	if (!s->condition)
		return -ENOMEM;
	if (n)
		memcpy(s->condition, condition, n * sizeof(*condition));
	s->n_conditions = n;
	s->unknown_blockio = vst_engine_unknown_blockio(engine);
	return 0;
}
