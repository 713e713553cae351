/* SPDX-License-Identifier: GPL-2.0-only */
/* A whole policy. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "policy/rules_priv.h"

static const char *file_elsewhere(const char *text, size_t len)
{
	if (vst_lookup(text, len, vst_rule_key_name, VST_RULE_KEY__N) >= 0 ||
	    vst_lookup(text, len, vst_attr_name, VST_ATTR__N) >= 0)
		return "it is a key of a rule; write it below 'rules', indented";
	return NULL;
}

static void parse_version(struct vst_parse *p, struct vst_yaml *root, struct vst_yaml *node)
{
	unsigned int version;

	if (!node)
		vst_parse_error(p, root, "there is no version; begin with 'version: 1'");
	else
		vst_decode_integer(p, node, "version", VST_POLICY_VERSION, VST_POLICY_VERSION, &version);
}

static void parse_scope(struct vst_parse *p, struct vst_yaml *node, struct vst_policy *policy)
{
	static const struct vst_keys keys = { .name = vst_scope_key_name,
					      .n = VST_SCOPE_KEY__N,
					      .what = "scope",
					      .example = "scope: {namespaces: [prod]}, or scope: all" };
	struct vst_yaml *key[VST_SCOPE_KEY__N], *value[VST_SCOPE_KEY__N];

	if (!node || vst_decode_is(node, "all"))
		return;
	if (node->type == VST_YAML_MAP && !node->n) {
		vst_parse_error(p, node, "scope is empty, so nothing would be done; write scope: all");
		return;
	}
	if (!vst_decode_map(p, node, &keys, key, value))
		return;
	if (value[VST_SCOPE_KEY_NAMESPACES])
		vst_parse_globs(p, value[VST_SCOPE_KEY_NAMESPACES], VST_MATCH_NAMESPACE, &policy->scope_namespaces);
	if (value[VST_SCOPE_KEY_CGROUPS])
		vst_parse_globs(p, value[VST_SCOPE_KEY_CGROUPS], VST_MATCH_CGROUP, &policy->scope_cgroups);
}

/* The class table's keys: the kinds, then the sizes. No kind has the name of a size. */
#define CLASS_KEYS (VST_KIND__N + VST_SIZE__N)
static const char *class_key_name(unsigned int i)
{
	return i < VST_KIND__N ? vst_kind_name(i) : vst_size_name(i - VST_KIND__N);
}

static void default_classes(struct vst_policy *policy)
{
#define X(e, n, c) policy->class_by_kind[VST_KIND_##e] = c;
	VST_KINDS(X)
#undef X
#define X(e, n, l, c) policy->class_by_size[VST_SIZE_##e] = c;
	VST_SIZES(X)
#undef X
}

static void parse_classes(struct vst_parse *p, struct vst_yaml *node, struct vst_policy *policy)
{
	static const struct vst_keys keys = {
		.name = class_key_name, .n = CLASS_KEYS, .what = "classes", .example = "classes: {journal: 5, lt1m: 4}"
	};
	struct vst_yaml *key[CLASS_KEYS], *value[CLASS_KEYS];
	unsigned int class;

	if (!node || !vst_decode_map(p, node, &keys, key, value))
		return;
	if (!node->n)
		vst_parse_error(p, node, "classes is empty; remove the key, or write it like %s", keys.example);
	for (unsigned int i = 0; i < CLASS_KEYS; i++) {
		if (!value[i] || !vst_decode_integer(p, value[i], class_key_name(i), 0, VST_CLASS_MAX, &class))
			continue;
		if (i < VST_KIND__N)
			policy->class_by_kind[i] = class;
		else
			policy->class_by_size[i - VST_KIND__N] = class;
		if (i >= VST_KIND__N && key[VST_KIND_DATA])
			vst_parse_error(p, key[i],
					"%s is a size of data, and all data has a class by 'data' in line %u; "
					"remove one of them",
					class_key_name(i), key[VST_KIND_DATA]->line);
	}
}

static void parse_import(struct vst_parse *p, struct vst_yaml *node, struct vst_policy *policy)
{
	static const struct vst_keys keys = { .name = vst_import_key_name,
					      .n = VST_IMPORT_KEY__N,
					      .what = "import",
					      .example = "import: {blockio: /etc/containers/blockio.yaml}" };
	struct vst_yaml *key[VST_IMPORT_KEY__N], *value[VST_IMPORT_KEY__N];

	if (!node || !vst_decode_map(p, node, &keys, key, value))
		return;
	if (!node->n)
		vst_parse_error(p, node, "import is empty; remove the key, or write it like %s", keys.example);
	if (value[VST_IMPORT_KEY_BLOCKIO])
		vst_parse_blockio(p, value[VST_IMPORT_KEY_BLOCKIO], policy);
}

/* Appends room for n rules; NULL, with an error, if there are too many. */
struct vst_rule *vst_parse_add_rules(struct vst_parse *p, struct vst_yaml *node, struct vst_policy *policy, size_t n)
{
	struct vst_rule *rules;

	if (n > VST_POLICY_MAX_RULES - policy->n_rules) {
		vst_parse_error(p, node, "%zu rules, imported ones included; up to %d are read: use globs or lists",
				policy->n_rules + n, VST_POLICY_MAX_RULES);
		return NULL;
	}
	rules = vst_parse_alloc(p, policy->n_rules + n, sizeof(*rules));
	if (!rules)
		return NULL;
	if (policy->n_rules)
		memcpy(rules, policy->rule, policy->n_rules * sizeof(*rules));
	for (size_t i = 0; i < policy->n_rules + n; i++)
		rules[i].index = i;
	policy->rule = rules;
	return rules + policy->n_rules;
}

static void parse_rules(struct vst_parse *p, struct vst_yaml *root, struct vst_yaml *node, struct vst_policy *policy)
{
	struct vst_rule *rules;

	if (!node) {
		if (!policy->n_rules)
			vst_parse_error(p, root, "there are no rules; add 'rules:' and a list of them");
		return;
	}
	if (node->type != VST_YAML_LIST || !node->n) {
		vst_parse_error(p, node, "rules is not a list of rules; write each as '- name: ...'");
		return;
	}
	rules = vst_parse_add_rules(p, node, policy, node->n);
	if (!rules)
		return;
	vst_yaml_for_each (item, node) {
		vst_parse_rule(p, item, policy, rules++);
		policy->n_rules++;
	}
}

static void parse_file(struct vst_parse *p, struct vst_yaml *root, struct vst_policy *policy)
{
	static const struct vst_keys keys = { .name = vst_file_key_name,
					      .n = VST_FILE_KEY__N,
					      .what = "a policy",
					      .example = "version: 1",
					      .elsewhere = file_elsewhere };
	struct vst_yaml *key[VST_FILE_KEY__N], *value[VST_FILE_KEY__N];

	if (!vst_decode_map(p, root, &keys, key, value))
		return;
	default_classes(policy);
	parse_version(p, root, value[VST_FILE_KEY_VERSION]);
	parse_scope(p, value[VST_FILE_KEY_SCOPE], policy);
	parse_classes(p, value[VST_FILE_KEY_CLASSES], policy);
	if (value[VST_FILE_KEY_IOCOST])
		vst_parse_iocost(p, value[VST_FILE_KEY_IOCOST], policy);
	if (value[VST_FILE_KEY_BCACHE])
		vst_parse_bcache(p, value[VST_FILE_KEY_BCACHE], policy);
	/* Imported rules are the earlier ones wherever the key stands: the policy's own come after, and win. */
	parse_import(p, value[VST_FILE_KEY_IMPORT], policy);
	parse_rules(p, root, value[VST_FILE_KEY_RULES], policy);
}

/* NULL if there are errors. The policy owns p->arena. */
static struct vst_policy *build(struct vst_parse *p, const char *text, size_t len)
{
	struct vst_policy *policy = vst_parse_alloc(p, 1, sizeof(*policy));
	struct vst_yaml *root;

	if (!policy)
		return NULL;
	policy->arena = p->arena;
	policy->file = vst_parse_text(p, p->file, strlen(p->file));
	root = vst_yaml_parse(p, text, len);
	if (!policy->file || !root)
		return NULL;
	parse_file(p, root, policy);
	return p->errors->total || p->no_memory ? NULL : policy;
}

int vst_policy_parse(const char *text, size_t len, const char *file, vst_policy_read_fn read, void *arg,
		     struct vst_policy **ret, struct vst_policy_errors *errors)
{
	struct vst_arena *arena __attribute__((cleanup(vst_arena_freep))) = vst_arena_new();
	struct vst_arena *nodes __attribute__((cleanup(vst_arena_freep))) = vst_arena_new();
	struct vst_parse p = { .file = file, .errors = errors, .read = read, .read_arg = arg };
	struct vst_policy *policy;

	memset(errors, 0, sizeof(*errors));
	if (!arena || !nodes)
		return -ENOMEM;
	p.arena = arena;
	p.nodes = nodes;
	policy = build(&p, text, len);
	if (!policy)
		return p.no_memory ? -ENOMEM : -EINVAL;
	arena = NULL;
	*ret = policy;
	return 0;
}

void vst_policy_free(struct vst_policy *policy)
{
	if (policy)
		vst_arena_free(policy->arena);
}
