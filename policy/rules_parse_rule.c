/* SPDX-License-Identifier: GPL-2.0-only */
/* One rule, and whether its parts fit together. */
#include <string.h>

#include "policy/rules_priv.h"

/* The keys of a rule, then what it wants. */
#define RULE_KEYS (VST_RULE_KEY__N + VST_ATTR__N)
static const char *rule_key_name(unsigned int i)
{
	return i < VST_RULE_KEY__N ? vst_rule_key_name(i) : vst_attr_name(i - VST_RULE_KEY__N);
}

static const char *rule_elsewhere(const char *text, size_t len)
{
	if (vst_lookup(text, len, vst_match_field_name, VST_MATCH__N) >= 0 || (len == 6 && !memcmp(text, "labels", 6)))
		return "write it into 'match'";
	if (vst_lookup(text, len, vst_objective_name, VST_OBJECTIVE__N) >= 0)
		return "write it into 'protect', or a condition on it into 'when'";
	if (vst_lookup(text, len, vst_limit_name, VST_LIMIT__N) >= 0)
		return "write it into 'max'";
	if (vst_lookup(text, len, vst_condition_key_name, VST_CONDITION_KEY__N) >= 0)
		return "write it into 'when'";
	if (vst_lookup(text, len, vst_file_key_name, VST_FILE_KEY__N) >= 0)
		return "it is a key of the file; write it at the beginning of a line";
	return NULL;
}

static const struct vst_keys rule_keys = { .name = rule_key_name,
					   .n = RULE_KEYS,
					   .what = "a rule",
					   .example = "{name: batch is light, match: {namespace: batch}, weight: 50}",
					   .elsewhere = rule_elsewhere };

static const struct vst_rule *rule_by_name(const struct vst_policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (policy->rule[i].name && !strcmp(policy->rule[i].name, name))
			return &policy->rule[i];
	return NULL;
}

static void parse_name(struct vst_parse *p, struct vst_yaml *node, struct vst_yaml *name,
		       const struct vst_policy *policy, struct vst_rule *rule)
{
	const struct vst_rule *same;

	if (!name) {
		vst_parse_error(p, node, "a rule has no name; add 'name: ...', by which decisions will be explained");
		return;
	}
	if (!vst_decode_scalar(p, name, "name", "name: batch is light"))
		return;
	if (name->len > VST_POLICY_MAX_NAME) {
		vst_parse_error(p, name, "name is %zu bytes long; shorten it to %d", name->len, VST_POLICY_MAX_NAME);
		return;
	}
	same = rule_by_name(policy, name->text);
	if (same)
		vst_parse_error(p, name, "the rule at %s:%u has the name %s already; choose another one", same->file,
				same->line, VST_QUOTE(name));
	rule->name = vst_parse_text(p, name->text, name->len);
}

/* The field of a match that tells streams apart; -1: none. */
static int stream_field(const struct vst_rule *rule)
{
	for (unsigned int i = 0; i < VST_MATCH__N; i++)
		if (VST_MATCH_STREAM & 1U << i && rule->match[i].n)
			return i;
	return -1;
}

/* key[] is that of rule_keys. */
static void check_wants(struct vst_parse *p, struct vst_yaml *node, struct vst_yaml **key, const struct vst_rule *rule)
{
	unsigned int uncached = 1U << VST_ATTR_CACHE | 1U << VST_ATTR_CLASS;
	int field = stream_field(rule);

	if (!rule->wants)
		vst_parse_error(p, node, "rule %s wants nothing; add one of weight, max, ioprio, cache, protect, class",
				vst_quote(rule->name, strlen(rule->name)).text);
	for (unsigned int i = 0; i < VST_ATTR__N && field >= 0; i++)
		if (rule->wants & 1U << i && !vst_attr_is_of_stream(i))
			vst_parse_error(p, key[VST_RULE_KEY__N + i],
					"%s concerns all I/O of a container, but the rule matches by %s; remove one of "
					"them",
					vst_attr_name(i), vst_match_field_name(field));
	if ((rule->wants & uncached) == uncached && rule->cache == VST_CACHE_BYPASS)
		vst_parse_error(p, key[VST_RULE_KEY__N + VST_ATTR_CLASS],
				"class says how much a cache should value the I/O, but cache: bypass keeps it out; "
				"remove one of them");
}

void vst_parse_rule(struct vst_parse *p, struct vst_yaml *node, struct vst_policy *policy, struct vst_rule *rule)
{
	struct vst_yaml *key[RULE_KEYS], *value[RULE_KEYS];
	size_t errors = p->errors->total + p->skipped;

	rule->file = vst_parse_text(p, p->file, strlen(p->file));
	rule->line = node->line;
	rule->column = node->column;
	if (!rule->file || !vst_decode_map(p, node, &rule_keys, key, value))
		return;
	parse_name(p, node, value[VST_RULE_KEY_NAME], policy, rule);
	if (value[VST_RULE_KEY_MATCH])
		vst_parse_match(p, value[VST_RULE_KEY_MATCH], rule);
	else
		vst_parse_error(p, node, "a rule matches nothing; add 'match: {...}', or 'match: all'");
	if (value[VST_RULE_KEY_WHEN])
		vst_parse_when(p, value[VST_RULE_KEY_WHEN], rule);
	for (unsigned int i = 0; i < VST_ATTR__N; i++)
		if (value[VST_RULE_KEY__N + i] && vst_parse_attr(p, value[VST_RULE_KEY__N + i], i, rule))
			rule->wants |= 1U << i;
	/* Contradictions are looked for only where the parts are right: one mistake, one error. */
	if (p->errors->total + p->skipped == errors && !p->no_memory)
		check_wants(p, node, key, rule);
}
