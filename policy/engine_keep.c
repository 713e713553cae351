// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the keeper of each cached device keeps: what rules about the device ask for, whoever uses it, what rules about containers ask
 * for, and what users have pinned. They share the keeper, so it keeps all of that.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/engine_priv.h"
#include "policy/keep.h"

bool vst_engine_keeps_all(const struct vst_rule *rule)
{
	const unsigned int device = 1U << VST_MATCH_DEVICE;
	unsigned int fields = 0;

	for (int f = 0; f < VST_MATCH__N; f++)
		fields |= rule->match[f].n ? 1U << f : 0;
	return rule->cache == VST_CACHE_KEEP && !(fields & VST_MATCH_STREAM) && fields & ~device;
}

unsigned int vst_engine_classes_kept(const struct vst_engine *e, struct vst_subject *io, const bool *holds,
				     const struct vst_rule **ret_rule)
{
	const struct vst_rule *winner[VST_ATTR__N];
	unsigned int classes = 0;
	char text[2] = { 0 };

	for (unsigned int i = 0; i < VST_KIND__N * VST_SIZE__N; i++) {
		unsigned int kind = i / VST_SIZE__N, class = vst_policy_class(e->policy, kind, i % VST_SIZE__N);

		if (class < VST_HEAT_CLASS_MIN)
			continue;
		*text = (char)('0' + class);
		io->field[VST_MATCH_KIND] = vst_kind_name(kind);
		io->field[VST_MATCH_CLASS] = text;
		vst_policy_winners(e->policy, io, holds, winner);
		if (!winner[VST_ATTR_CACHE] || winner[VST_ATTR_CACHE]->cache != VST_CACHE_KEEP)
			continue;
		classes |= 1U << (vst_engine_keeps_all(winner[VST_ATTR_CACHE]) ? VST_CLASS_MAX : class);
		*ret_rule = winner[VST_ATTR_CACHE];
	}
	io->field[VST_MATCH_KIND] = io->field[VST_MATCH_CLASS] = NULL;
	return classes;
}

/* What the keeper of a cached device is wanted for. */
struct keeping {
	const char *disk;
	__u32 dev;
	unsigned int classes;
	int rank;
	const char *rule;
	char why[VST_WHY_MAX];
};

/* A reason with a higher rank is the one that is told. */
static bool add_classes(struct keeping *k, unsigned int classes, int rank, const char *rule)
{
	bool first = classes && rank > k->rank;

	k->classes |= classes;
	if (first) {
		k->rank = rank;
		k->rule = rule;
	}
	return first;
}

static void add_pins(const struct vst_engine *e, struct keeping *k)
{
	const struct vst_snap_pin *pin, *first = NULL;
	unsigned int n = 0;

	vst_snapshot_for_each(e->now, VST_SNAP_PINS, pin, i)
	{
		if (strcmp(pin->state, "kept") != 0 || (!pin->is_container && pin->dev != k->dev))
			continue;
		first = first ? first : pin;
		n++;
	}
	if (!n || !add_classes(k, 1U << VST_CLASS_MAX, RANK_RULE, "vstorctl cache keep"))
		return;
	if (n > 1)
		snprintf(k->why, sizeof(k->why), "'vstorctl cache keep' asks for %.160s and %u more", first->name,
			 n - 1);
	else
		snprintf(k->why, sizeof(k->why), "'vstorctl cache keep' asks for %.160s", first->name);
}

static void add_device_rules(const struct vst_engine *e, struct keeping *k)
{
	const struct edisk *disk = vst_engine_disk(e, k->dev);
	const struct vst_rule *rule = NULL;
	struct vst_subject io;
	unsigned int classes;

	if (!e->policy || !disk)
		return;
	vst_engine_subject(NULL, disk->device, &io);
	classes = vst_engine_classes_kept(e, &io, NULL, &rule);
	if (rule && add_classes(k, classes, RANK_RULE + (int)rule->index, rule->name))
		snprintf(k->why, sizeof(k->why), "'%.64s' (line %u) asks for cache keep for whoever uses %.32s",
			 rule->name, rule->line, disk->name);
}

/* What containers want was told to the plan already, one by one: the last of these wishes would count alone. */
static void add_containers(const struct vst_engine *e, struct keeping *k)
{
	for (const struct econtainer *c = e->policy ? e->containers : NULL; c; c = c->hh.next) {
		for (size_t i = 0; i < c->n_want; i++) {
			const struct want *w = &c->want[i];
			unsigned int classes;

			if (!w->knob || w->refusal || w->knob->actuator != VST_ACTUATOR_CACHE ||
			    strcmp(w->knob->target, k->disk) != 0 || vst_keep_parse(w->value, &classes))
				continue;
			if (add_classes(k, classes, RANK_RULE + (int)w->rule->index, w->rule->name))
				snprintf(k->why, sizeof(k->why), "%s", w->why);
		}
	}
}

static int keep(struct vst_engine *e, const struct vst_snap_cache *cache)
{
	struct keeping keeping = { .disk = cache->name, .dev = cache->dev };
	char value[VST_KEEP_TEXT];
	struct vst_want w = { .value = value, .why = keeping.why };
	struct vst_plan_knob *k;
	int err;

	add_pins(e, &keeping);
	add_device_rules(e, &keeping);
	add_containers(e, &keeping);
	if (!keeping.classes)
		return 0;
	vst_keep_text(keeping.classes, value);
	w.rule = keeping.rule;
	w.rank = keeping.rank + 1; /* before what one container wants */
	k = vst_plan_get(e->plan, VST_ACTUATOR_CACHE, cache->name, 0, "keeper", "");
	err = k ? vst_plan_want(e->plan, k, &w, e->clock) : -ENOMEM;
	vst_plan_put(e->plan, k); /* what is wanted stays in the plan until the end of the next pass */
	return err;
}

int vst_engine_keep(struct vst_engine *e)
{
	const struct vst_snap_cache *cache;
	int err = 0;

	vst_snapshot_for_each(e->now, VST_SNAP_CACHES, cache, i)
	{
		if (!strcmp(cache->type, "bcache"))
			err = keep(e, cache) ?: err;
	}
	return err;
}
