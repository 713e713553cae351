// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protection: on each disk, the latencies of those who are protected against their objectives, and what is done about it:
 * weights where they have an effect, then caps.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/engine_protect.h"

static void drop_loop(struct vst_engine *e, struct protection *loop, const char *why)
{
	vst_protect_drop_weights(e, loop);
	vst_protect_drop_caps(e, loop, why);
	free(loop->knob);
}

void vst_engine_drop_loops(struct vst_engine *e)
{
	for (size_t i = 0; i < e->n_loops; i++)
		drop_loop(e, &e->loop[i], NULL);
	free(e->loop);
	e->loop = NULL;
	e->n_loops = 0;
}

static struct protection *loop_of(struct vst_engine *e, __u32 dev)
{
	struct protection *list;

	for (size_t i = 0; i < e->n_loops; i++)
		if (e->loop[i].dev == dev)
			return &e->loop[i];
	list = realloc(e->loop, (e->n_loops + 1) * sizeof(*list));
	if (!list)
		return NULL;
	e->loop = list;
	list[e->n_loops] = (struct protection){ .dev = dev };
	return &list[e->n_loops++];
}

/* Is this disk one on which requests are held back? */
static bool is_leaf(const struct edisk *disk)
{
	return !disk->stacked && disk->host && !*disk->host->not_leaf;
}

/* A disk that was removed, or that became a part of another, leaves no wants behind. */
static void drop_gone(struct vst_engine *e)
{
	for (size_t i = 0; i < e->n_loops;) {
		bool there = false;

		for (size_t d = 0; d < e->n_disks && !there; d++)
			there = e->disk[d].dev == e->loop[i].dev && is_leaf(&e->disk[d]);
		if (there) {
			i++;
			continue;
		}
		drop_loop(e, &e->loop[i], "the disk is gone");
		e->loop[i] = e->loop[--e->n_loops];
	}
}

/* --- one who may not be capped --- */

/* The one who is blamed most and whom no rule allows to cap: people have to know that this is why nothing happens. */
static int tell_culprit(struct vst_engine *e, struct scene *s)
{
	const struct vst_measured_container *m = vst_engine_measured_of(e, s->worst->c), *holder;
	char why[VST_WHY_MAX], refusal[VST_TEXT_MAX];
	struct vst_want want = { "", s->worst->rule->name, why, refusal, RANK_WEIGHTS, true };
	struct vst_plan_knob *k;
	int err;

	if (!m || !m->n_blame || m->blame[0].us_s < 1e4)
		return 0;
	holder = &e->measured.container[m->blame[0].holder];
	if (holder->container->own || !*holder->container->cgroup)
		return 0;
	snprintf(why, sizeof(why), "%.90s waits %.0f ms/s because of %.90s", vst_engine_display(s->worst->c->value),
		 m->blame[0].us_s / 1e3, vst_engine_display(holder->container));
	snprintf(refusal, sizeof(refusal),
		 "no rule allows protection to cap %.150s: add a rule that matches it and says `max: allowed`",
		 vst_engine_display(holder->container));
	k = vst_engine_max_knob(e, holder->container, s->disk, VST_LIMIT_WRITE);
	if (!k)
		return -ENOMEM;
	err = vst_plan_want(e->plan, k, &want, e->clock);
	vst_plan_put(e->plan, k);
	return err;
}

/* --- a disk --- */

static const char *text_of(const struct vst_engine *e, const struct scene *s)
{
	if (s->loop->weights)
		return "weights protect it";
	if (s->result == VST_CAP_ALONE && s->fsync && s->disk->host && !*s->disk->host->no_bfq)
		return "the objective is missed; bfq's weights do not protect fsync, and nobody who may be capped uses "
		       "the "
		       "disk";
	if (s->journal && s->loop->cap.on)
		return "they share a journal with it, where a cap may do harm: each step is watched";
	return vst_cap_result_text(s->result);
}

static int list_protected(struct vst_engine *e, const struct scene *s)
{
	for (size_t i = 0; i < s->n_victims; i++) {
		const struct victim *v = &s->victim[i];

		if (e->n_protected == e->cap_protected) {
			size_t cap = e->cap_protected * 2 + 16;
			struct vst_engine_protected *list = realloc(e->protected, cap * sizeof(*list));

			if (!list)
				return -ENOMEM;
			e->protected = list;
			e->cap_protected = cap;
		}
		e->protected[e->n_protected++] = (struct vst_engine_protected){
			.container = v->c->id,
			.dev = s->disk->dev,
			.rule = v->rule,
			.objective = v->objective,
			.latency_us = v->latency_us,
			.objective_us = (double)v->rule->protect_us[v->objective],
			.cap = s->loop->cap.on ? s->loop->cap.value : 0,
			.weights = s->loop->weights,
			.text = text_of(e, s),
		};
	}
	return 0;
}

static int act(struct vst_engine *e, struct scene *s)
{
	struct vst_cap_sample sample = { .now = e->clock, .ratio = -1, .used = s->used, .watched = s->journal };
	int err = 0;

	for (size_t i = 0; i < s->n_bulk; i++)
		sample.blamed += s->bulk[i].blamed_us_s / 1e6;
	if (s->worst) {
		sample.ratio = s->worst->ratio;
		sample.latency = s->worst->latency_us / 1e6;
	}
	if (vst_protect_follow_weights(e, s)) {
		err = vst_protect_apply_weights(e, s);
	} else {
		/* without a measurement (the first pass, a gap) nothing is decided, and what is set stays */
		s->result = e->measured.seconds > 0 ? vst_cap_next(&s->loop->cap, &sample) : VST_CAP_WAIT;
		if (s->loop->cap.on)
			err = vst_protect_apply_caps(e, s);
		else
			vst_protect_drop_caps(e, s->loop, vst_cap_result_text(s->result));
		if (s->result == VST_CAP_ALONE)
			err = tell_culprit(e, s) ?: err;
	}
	return list_protected(e, s) ?: err;
}

static int protect_disk(struct vst_engine *e, const struct edisk *disk)
{
	struct scene s = { .disk = disk, .loop = loop_of(e, disk->dev) };
	int err = s.loop ? vst_scene_init(e, &s) : -ENOMEM;

	if (!err) {
		vst_protect_drop_weights(e, s.loop);
		if (s.n_victims && e->adopt)
			vst_protect_adopt_caps(e, &s);
		if (s.n_victims) {
			err = act(e, &s);
		} else {
			s.loop->cap = (struct vst_cap){ 0 };
			vst_protect_drop_caps(e, s.loop, vst_cap_result_text(VST_CAP_IDLE));
		}
	}
	vst_scene_clear(&s);
	return err;
}

int vst_engine_protect(struct vst_engine *e)
{
	bool any = false;
	int err = 0;

	e->n_protected = 0;
	for (struct econtainer *c = e->containers; c; c = c->hh.next)
		any = any || c->has_protect;
	if (!any) {
		vst_engine_drop_loops(e);
		return 0;
	}
	drop_gone(e);
	for (size_t i = 0; i < e->n_disks; i++)
		if (is_leaf(&e->disk[i]))
			err = protect_disk(e, &e->disk[i]) ?: err;
	return err;
}
