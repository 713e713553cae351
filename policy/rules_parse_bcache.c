// SPDX-License-Identifier: GPL-2.0-only
/* The list of settings of bcache devices. */
#include <string.h>

#include "policy/rules_priv.h"

#define BCACHE_KEYS (VST_BCACHE_ATTR__N + 1)

/* The settings have the names of their files. */
static const char *key_name(unsigned int i)
{
	if (!i)
		return "device";
	return i < BCACHE_KEYS ? vst_bcache_attrs[i - 1].name : NULL;
}

static const char *parse_value(struct vst_parse *p, struct vst_yaml *node, const struct vst_bcache_attr *attr)
{
	char value[VST_VALUE_MAX], text[VST_TEXT_MAX];

	if (!vst_decode_scalar(p, node, attr->name, attr->form == VST_BCACHE_CHOICE ? attr->choices : "0"))
		return NULL;
	if (!vst_bcache_value(attr, node->text, value, text))
		return vst_parse_text(p, value, strlen(value));
	vst_parse_error(p, node, "%s", text);
	return NULL;
}

static void parse_entry(struct vst_parse *p, struct vst_yaml *node, struct vst_bcache *ret)
{
	static const struct vst_keys keys = { .name = key_name,
					      .n = BCACHE_KEYS,
					      .what = "an entry of bcache",
					      .example = "{device: \"bcache*\", sequential_cutoff: 0}" };
	struct vst_yaml *key[BCACHE_KEYS], *value[BCACHE_KEYS];
	bool any = false;

	ret->line = node->line;
	if (!vst_decode_map(p, node, &keys, key, value))
		return;
	if (value[0])
		vst_parse_globs(p, value[0], VST_MATCH_DEVICE, &ret->device);
	else
		vst_parse_error(p, node, "an entry of bcache has no device; add one, as in device: \"bcache*\"");
	for (int i = 0; i < VST_BCACHE_ATTR__N; i++) {
		if (!value[i + 1])
			continue;
		any = true;
		ret->value[i] = parse_value(p, value[i + 1], &vst_bcache_attrs[i]);
	}
	if (!any)
		vst_parse_error(p, node, "an entry of bcache has no setting; add one, as in sequential_cutoff: 0");
}

void vst_parse_bcache(struct vst_parse *p, struct vst_yaml *node, struct vst_policy *policy)
{
	struct vst_bcache *list;

	if (node->type != VST_YAML_LIST || !node->n) {
		vst_parse_error(p, node, "bcache is not a list of devices; write each as '- device: ...'");
		return;
	}
	if (node->n > VST_POLICY_MAX_BCACHE) {
		vst_parse_error(p, node, "%zu entries of bcache; up to %d are read: use globs of devices", node->n,
				VST_POLICY_MAX_BCACHE);
		return;
	}
	list = vst_parse_alloc(p, node->n, sizeof(*list));
	if (!list)
		return;
	policy->bcache = list;
	vst_yaml_for_each (item, node)
		parse_entry(p, item, &list[policy->n_bcache++]);
}
