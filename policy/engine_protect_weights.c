// SPDX-License-Identifier: GPL-2.0-only
/* Protection by weights: the protected one gets much, those who may be capped get little. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/engine_protect.h"

#define SETTLE_S 3.0
#define RETRY_S 300.0
#define IDLE_S 30.0
#define PROTECTED_WEIGHT "1000"
#define OTHERS_WEIGHT "10"

void vst_protect_drop_weights(struct vst_engine *e, struct protection *l)
{
	for (size_t i = 0; i < l->n_knobs; i++)
		vst_plan_put(e->plan, l->knob[i]);
	l->n_knobs = 0;
}

struct weights {
	struct vst_engine *e;
	struct protection *loop;
	const struct vst_rule *rule;
	const char *attr, *key, *value, *why;
};

static int want_weight(void *arg, const char *target, bool is_scope)
{
	struct weights *w = arg;
	struct vst_plan_knob **list = realloc(w->loop->knob, (w->loop->n_knobs + 1) * sizeof(*list));
	struct vst_want want = { w->value, w->rule->name, w->why, NULL, RANK_WEIGHTS, true };
	struct vst_plan_knob *k;

	if (!list)
		return -ENOMEM;
	w->loop->knob = list;
	k = vst_plan_get(w->e->plan, VST_ACTUATOR_CGROUP_IO, target, 0, w->attr, w->key);
	if (!k)
		return -ENOMEM;
	list[w->loop->n_knobs++] = k;
	return vst_plan_want(w->e->plan, k, &want, w->e->clock);
}

/* NULL: this disk has no controller that weights have an effect on. bfq's do not protect fsync (measured: 1132 ms). */
static const char *weight_attr(const struct vst_engine *e, const struct scene *s)
{
	const struct vst_host_disk *host = s->disk->host;

	if (!host)
		return NULL;
	if (e->host->v2 && !*host->no_iocost)
		return "io.weight";
	if (s->fsync || *host->no_bfq)
		return NULL;
	return e->host->v2 ? "io.bfq.weight" : "blkio.bfq.weight_device";
}

bool vst_protect_follow_weights(struct vst_engine *e, struct scene *s)
{
	struct protection *l = s->loop;
	double ratio = s->worst ? s->worst->ratio : -1;

	if (!weight_attr(e, s) || !s->n_bulk || l->cap.on || e->clock < l->weights_failed_until)
		return l->weights = false;
	if (!l->weights) {
		if (ratio <= 1 || s->used < VST_CAP_FLOOR / 4)
			return false;
		l->weights = true;
		l->weights_since = e->clock;
		l->weights_missed = l->weights_failed_until = l->weights_idle = 0;
		return true;
	}
	if (ratio >= 0)
		l->weights_idle = 0;
	else if (!l->weights_idle)
		l->weights_idle = e->clock;
	if (l->weights_idle && e->clock - l->weights_idle > IDLE_S)
		return l->weights = false;
	if (ratio <= 1)
		l->weights_missed = 0;
	else if (!l->weights_missed)
		l->weights_missed = e->clock;
	if (ratio <= 1 || e->clock - l->weights_since < SETTLE_S || e->clock == l->weights_missed)
		return true;
	l->weights_failed_until = e->clock + RETRY_S;
	return l->weights = false;
}

/* All containers of s->bulk[at]. */
static int weigh_bulk(struct vst_engine *e, const struct scene *s, size_t at, struct weights *w)
{
	int err = 0;

	for (struct econtainer *c = e->containers; !err && c; c = c->hh.next)
		if (c->index < e->measured.n_containers && s->bulk_of[c->index] == (int)at)
			err = vst_engine_weight_targets(w->rule, c->value, want_weight, w);
	return err;
}

int vst_protect_apply_weights(struct vst_engine *e, struct scene *s)
{
	char why[VST_WHY_MAX], key[VST_KEY_MAX];
	struct weights w = { .e = e, .loop = s->loop, .key = key, .why = why, .attr = weight_attr(e, s) };
	int err = 0;

	snprintf(key, sizeof(key), "%s", s->disk->host->key);
	for (size_t i = 0; !err && i < s->n_victims; i++) {
		w.rule = s->victim[i].rule;
		w.value = PROTECTED_WEIGHT;
		snprintf(why, sizeof(why), "%.80s is protected on %.20s: weights are tried before caps",
			 vst_engine_display(s->victim[i].c->value), s->disk->name);
		err = vst_engine_weight_targets(w.rule, s->victim[i].c->value, want_weight, &w);
	}
	for (size_t i = 0; !err && i < s->n_bulk; i++) {
		if (s->bulk[i].used < VST_PROTECT_ACTIVE_BYTES_S && !s->bulk[i].blamed_us_s)
			continue;
		w.rule = s->bulk[i].rule;
		w.value = OTHERS_WEIGHT;
		snprintf(why, sizeof(why),
			 "%.80s uses %.20s beside one that is protected: weights are tried before caps",
			 s->bulk[i].name, s->disk->name);
		err = weigh_bulk(e, s, i, &w);
	}
	return err;
}
