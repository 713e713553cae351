// SPDX-License-Identifier: GPL-2.0-only
/* What the policy wants of the settings of bcache devices: the entries of `bcache:`. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/engine_priv.h"

bool vst_engine_bcache_names(const struct vst_policy *policy, const struct vst_subject *disk)
{
	for (int i = 0; i < VST_BCACHE_ATTR__N; i++)
		if (vst_policy_bcache(policy, disk, i))
			return true;
	return false;
}

static const struct vst_snap_cache *cache_of(const struct vst_engine *e, __u32 dev)
{
	const struct vst_snap_cache *cache;

	vst_snapshot_for_each(e->now, VST_SNAP_CACHES, cache, i)
	{
		if (cache->dev == dev)
			return cache;
	}
	return NULL;
}

/* NULL: they can be written. */
static const char *refusal_of(const struct vst_snap_cache *cache)
{
	if (!cache || !cache->type || strcmp(cache->type, "bcache") != 0)
		return "it is not a bcache that has a cache attached";
	/* These settings are for what is read again to stay: a cache that throws out anything keeps nothing by them. */
	if (!cache->replacement || strcmp(cache->replacement, "lru") != 0)
		return "its cache pays no attention to what is read, because its cache_replacement_policy is not lru: "
		       "write lru there, or remove the device from the policy";
	return NULL;
}

/* Does the entry of a disk before this one set it for the whole cache set already? */
static bool is_set_before(const struct vst_engine *e, size_t disk, const struct vst_snap_cache *cache,
			  enum vst_bcache_attr_id attr)
{
	for (size_t i = 0; i < disk && cache && vst_bcache_attrs[attr].of_set; i++) {
		const struct vst_snap_cache *other = cache_of(e, e->disk[i].dev);
		struct vst_subject subject;

		vst_engine_subject(NULL, e->disk[i].device, &subject);
		if (other && other->set && cache->set && !strcmp(other->set, cache->set) &&
		    vst_policy_bcache(e->policy, &subject, attr))
			return true;
	}
	return false;
}

static int want(struct vst_engine *e, const struct edisk *disk, const struct vst_snap_cache *cache,
		enum vst_bcache_attr_id attr, const struct vst_bcache *entry)
{
	char why[VST_WHY_MAX];
	struct vst_want w = {
		.rule = "bcache",
		.refusal = refusal_of(cache),
		.rank = RANK_RULE,
		.why = why,
	};
	struct vst_plan_knob *k =
		vst_plan_get(e->plan, VST_ACTUATOR_CACHE, disk->name, 0, vst_bcache_attrs[attr].name, "");
	int err;

	w.value = w.refusal ? "" : entry->value[attr];
	snprintf(why, sizeof(why), "'bcache' (line %u) sets %s of %.32s", entry->line, vst_bcache_attrs[attr].name,
		 disk->name);
	err = k ? vst_plan_want(e->plan, k, &w, e->clock) : -ENOMEM;
	vst_plan_put(e->plan, k); /* what is wanted stays in the plan until the end of the next pass */
	return err;
}

int vst_engine_bcache(struct vst_engine *e)
{
	int err = 0;

	for (size_t i = 0; i < e->n_disks && e->policy->n_bcache; i++) {
		const struct vst_snap_cache *cache = cache_of(e, e->disk[i].dev);
		struct vst_subject subject;

		vst_engine_subject(NULL, e->disk[i].device, &subject);
		for (int attr = 0; attr < VST_BCACHE_ATTR__N; attr++) {
			const struct vst_bcache *entry = vst_policy_bcache(e->policy, &subject, attr);

			if (entry && !is_set_before(e, i, cache, attr))
				err = want(e, &e->disk[i], cache, attr, entry) ?: err;
		}
	}
	return err;
}
