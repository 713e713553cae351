// SPDX-License-Identifier: GPL-2.0-only
/* What the policy wants of iocost: the two settings of each disk that an entry of `iocost:` names. */
#include <errno.h>
#include <stdio.h>

#include "policy/engine_priv.h"

/* NULL: they can be written. */
static const char *refusal_of(const struct vst_engine *e, const struct edisk *disk)
{
	if (*e->host->no_cgroup)
		return e->host->no_cgroup;
	if (!e->host->v2)
		return "iocost is cgroup v2's, and the block I/O controller is on cgroup v1 here";
	if (disk->stacked)
		return "a stacked device has no queue of its own: name the disks below it";
	if (!disk->host)
		return "nothing is known of this disk";
	return *disk->host->not_leaf ? disk->host->not_leaf : NULL;
}

static int want(struct vst_engine *e, const struct edisk *disk, const char *attr, const struct vst_want *want)
{
	const char *key = disk->host ? disk->host->key : disk->name;
	struct vst_plan_knob *k = vst_plan_get(e->plan, VST_ACTUATOR_CGROUP_IO, "/", 0, attr, key);
	int err = k ? vst_plan_want(e->plan, k, want, e->clock) : -ENOMEM;

	vst_plan_put(e->plan, k); /* what is wanted stays in the plan until the end of the next pass */
	return err;
}

int vst_engine_iocost(struct vst_engine *e)
{
	int err = 0;

	for (size_t i = 0; i < e->n_disks; i++) {
		const struct edisk *disk = &e->disk[i];
		const struct vst_iocost *entry;
		struct vst_subject subject;
		const char *refusal;
		struct vst_want w;
		char why[VST_WHY_MAX];

		vst_engine_subject(NULL, disk->device, &subject);
		entry = vst_policy_iocost(e->policy, &subject);
		if (!entry)
			continue;
		refusal = refusal_of(e, disk);
		w = (struct vst_want){ .rule = "iocost", .refusal = refusal, .rank = RANK_RULE };
		snprintf(why, sizeof(why), "'iocost' (line %u) enables iocost on %.32s, so that weights count there",
			 entry->line, disk->name);
		w.why = why;
		/* The kernel would judge the disk by its own guess between the two writes, so the model comes first. */
		w.value = refusal ? "" : entry->model;
		err = want(e, disk, "io.cost.model", &w) ?: err;
		w.value = refusal ? "" : entry->qos;
		err = want(e, disk, "io.cost.qos", &w) ?: err;
	}
	return err;
}
