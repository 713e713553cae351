// SPDX-License-Identifier: GPL-2.0-only
/* What the policy wants caches to keep, by the device alone: whoever uses it, and even before anybody does. */
#include <errno.h>
#include <stdio.h>

#include "policy/engine_priv.h"
#include "policy/keep.h"

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
		classes |= 1U << class;
		*ret_rule = winner[VST_ATTR_CACHE];
	}
	io->field[VST_MATCH_KIND] = io->field[VST_MATCH_CLASS] = NULL;
	return classes;
}

static int keep(struct vst_engine *e, const struct edisk *disk)
{
	struct vst_subject io;
	const struct vst_rule *rule = NULL;
	unsigned int classes;
	char value[VST_KEEP_TEXT], why[VST_WHY_MAX];
	struct vst_want w = { .value = value, .why = why };
	struct vst_plan_knob *k;
	int err;

	vst_engine_subject(NULL, disk->device, &io);
	classes = vst_engine_classes_kept(e, &io, NULL, &rule);
	if (!classes)
		return 0;
	vst_keep_text(classes, value);
	snprintf(why, sizeof(why), "'%.64s' (line %u) asks for cache keep for whoever uses %.32s", rule->name,
		 rule->line, disk->name);
	w.rule = rule->name;
	w.rank = RANK_RULE + (int)rule->index;
	k = vst_plan_get(e->plan, VST_ACTUATOR_CACHE, disk->name, 0, "keeper", "");
	err = k ? vst_plan_want(e->plan, k, &w, e->clock) : -ENOMEM;
	vst_plan_put(e->plan, k); /* what is wanted stays in the plan until the end of the next pass */
	return err;
}

int vst_engine_keep(struct vst_engine *e)
{
	int err = 0;

	for (size_t i = 0; i < e->n_disks; i++)
		if (e->disk[i].cached)
			err = keep(e, &e->disk[i]) ?: err;
	return err;
}
