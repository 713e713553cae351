/* SPDX-License-Identifier: GPL-2.0-only */
/* What a rule is about: globs of names, and labels. */
#include <string.h>

#include "policy/rules_priv.h"

#define LABELS_MAX 64

/* Names of the classes, 0 to 5, for globs over them. */
static const char *class_name(unsigned int i)
{
	static const char *const names[] = { "0", "1", "2", "3", "4", "5" };

	return i < VST_ARRAY_SIZE(names) ? names[i] : NULL;
}

/* Fields whose values are all known: a glob that matches none of them is a mistake. */
static vst_name_fn known_values(enum vst_match_field field, unsigned int *ret_n)
{
	switch (field) {
	case VST_MATCH_KIND:
		*ret_n = VST_KIND__N;
		return vst_kind_name;
	case VST_MATCH_PATTERN:
		*ret_n = VST_PATTERN__N;
		return vst_pattern_name;
	case VST_MATCH_CLASS:
		*ret_n = VST_CLASS_MAX + 1;
		return class_name;
	default:
		return NULL;
	}
}

static const char *field_example(enum vst_match_field field)
{
	switch (field) {
	case VST_MATCH_CGROUP:
		return "/db.slice";
	case VST_MATCH_DEVICE:
		return "sda or 'dm-*'";
	case VST_MATCH_KIND:
		return "metadata";
	case VST_MATCH_PATTERN:
		return "copy";
	case VST_MATCH_CLASS:
		return "5";
	default:
		return "mysql-0 or 'mysql-*'";
	}
}

/* What is wrong with the form of a glob, or NULL. */
static const char *glob_mistake(const char *glob)
{
	if (!*glob)
		return "there is nothing behind the '!'; write '!name'";
	for (const char *s = glob; *s; s++) {
		if (*s == '\\' && !*++s)
			return "it ends in a backslash; write \\\\ for a backslash itself";
		if (*s != '[')
			continue;
		s += s[1] == '!' || s[1] == '^' ? 2 : 1;
		s += *s == ']';
		while (*s && *s != ']')
			s += *s == '\\' && s[1] ? 2 : 1;
		if (!*s)
			return "a '[' has no ']'; write \\[ for the character itself";
	}
	return NULL;
}

static const char *field_mistake(enum vst_match_field field, const char *glob)
{
	if (field == VST_MATCH_CGROUP && *glob != '/')
		return "the path of a cgroup begins with '/', as in /db.slice; 'vstorctl ps' shows the paths";
	if (field == VST_MATCH_CGROUP && strstr(glob, "//"))
		return "it has two slashes in a row; remove one";
	if (field == VST_MATCH_DEVICE && *glob == '/' && strncmp(glob, "/dev/", 5) != 0)
		return "a device is named as sda or /dev/disk/by-id/...; 'lsblk' lists them";
	return NULL;
}

static bool check_value(struct vst_parse *p, struct vst_yaml *node, enum vst_match_field field, const char *glob)
{
	unsigned int n;
	vst_name_fn name = known_values(field, &n);
	char hint[512];

	if (!name)
		return true;
	for (unsigned int i = 0; i < n; i++)
		if (vst_glob_matches(glob, name(i)))
			return true;
	vst_parse_error(p, node, "%s %s does not exist; %s", vst_match_field_name(field), VST_QUOTE(node),
			vst_nearest_hint(glob, strlen(glob), name, n, hint, sizeof(hint)));
	return false;
}

/* `name` is that of the field, for messages. */
static bool parse_glob(struct vst_parse *p, struct vst_yaml *node, enum vst_match_field field, const char *name,
		       struct vst_glob *ret)
{
	const char *mistake;
	size_t len;
	char *glob;

	if (!vst_decode_scalar(p, node, name, field_example(field)))
		return false;
	ret->exclude = *node->text == '!';
	len = node->len - ret->exclude;
	if (field == VST_MATCH_CGROUP)
		while (len > 1 && node->text[ret->exclude + len - 1] == '/' &&
		       node->text[ret->exclude + len - 2] != '\\')
			len--;
	glob = vst_parse_text(p, node->text + ret->exclude, len);
	if (!glob)
		return false;
	ret->text = glob;
	mistake = glob_mistake(glob);
	if (!mistake)
		mistake = field_mistake(field, glob);
	if (mistake)
		vst_parse_error(p, node, "%s %s: %s", name, VST_QUOTE(node), mistake);
	return !mistake && check_value(p, node, field, glob);
}

static bool parse_globs(struct vst_parse *p, struct vst_yaml *node, enum vst_match_field field, const char *name,
			struct vst_globs *ret)
{
	bool ok = true;
	struct vst_glob *globs;
	size_t n = 0;

	if (node->type == VST_YAML_LIST && !node->n) {
		vst_parse_error(p, node, "%s is an empty list, which would match nothing; remove it, or write %s", name,
				field_example(field));
		return false;
	}
	globs = vst_parse_alloc(p, node->type == VST_YAML_LIST ? node->n : 1, sizeof(*globs));
	if (!globs)
		return false;
	if (node->type == VST_YAML_LIST) {
		vst_yaml_for_each (item, node)
			ok &= parse_glob(p, item, field, name, &globs[n++]);
	} else {
		ok = parse_glob(p, node, field, name, &globs[n++]);
	}
	ret->glob = globs;
	ret->n = n;
	return ok;
}

bool vst_parse_globs(struct vst_parse *p, struct vst_yaml *node, enum vst_match_field field, struct vst_globs *ret)
{
	return parse_globs(p, node, field, vst_match_field_name(field), ret);
}

static bool parse_label(struct vst_parse *p, struct vst_yaml *key, const struct vst_rule *rule,
			struct vst_label_match *ret)
{
	char name[128];

	if (!vst_decode_scalar(p, key, "the name of a label", "app"))
		return false;
	for (size_t i = 0; i < rule->n_labels; i++) {
		if (!strcmp(rule->label[i].key, key->text)) {
			vst_parse_error(p, key, "label %s is matched already; write a list of globs for it",
					VST_QUOTE(key));
			return false;
		}
	}
	ret->key = vst_parse_text(p, key->text, key->len);
	snprintf(name, sizeof(name), "label %s", VST_QUOTE(key));
	/* The value of a label is a name like a container's. */
	return ret->key && parse_globs(p, key->next, VST_MATCH_CONTAINER, name, &ret->value);
}

static bool parse_labels(struct vst_parse *p, struct vst_yaml *node, struct vst_rule *rule)
{
	struct vst_label_match *labels;
	bool ok = true;

	if (node->type != VST_YAML_MAP || !node->n) {
		vst_parse_error(p, node, "labels need names and values; write them like labels: {app: web}");
		return false;
	}
	if (node->n > LABELS_MAX) {
		vst_parse_error(p, node, "%zu labels; up to %d are matched in a rule", node->n, LABELS_MAX);
		return false;
	}
	labels = vst_parse_alloc(p, node->n, sizeof(*labels));
	if (!labels)
		return false;
	rule->label = labels;
	vst_yaml_for_each_pair (key, node) {
		if (parse_label(p, key, rule, &labels[rule->n_labels]))
			rule->n_labels++;
		else
			ok = false;
	}
	return ok;
}

/* The keys of `match`: the fields, then labels. */
#define MATCH_KEYS (VST_MATCH__N + 1)
static const char *match_key_name(unsigned int i)
{
	return i == VST_MATCH__N ? "labels" : vst_match_field_name(i);
}

static const char *match_elsewhere(const char *text, size_t len)
{
	if (vst_lookup(text, len, vst_attr_name, VST_ATTR__N) >= 0 ||
	    vst_lookup(text, len, vst_rule_key_name, VST_RULE_KEY__N) >= 0)
		return "it is a key of the rule; write it beside 'match', not in it";
	if (vst_lookup(text, len, vst_metric_name, VST_METRIC__N) >= 0)
		return "it is measured; write it into 'when'";
	return NULL;
}

bool vst_parse_match(struct vst_parse *p, struct vst_yaml *node, struct vst_rule *rule)
{
	static const struct vst_keys keys = { .name = match_key_name,
					      .n = MATCH_KEYS,
					      .what = "match",
					      .example = "match: {namespace: prod}, or match: all",
					      .elsewhere = match_elsewhere };
	struct vst_yaml *key[MATCH_KEYS], *value[MATCH_KEYS];
	bool ok = true;

	if (vst_decode_is(node, "all"))
		return true;
	if (node->type == VST_YAML_MAP && !node->n) {
		vst_parse_error(p, node, "match is empty; write match: all if every container is meant");
		return false;
	}
	if (!vst_decode_map(p, node, &keys, key, value))
		return false;
	for (unsigned int i = 0; i < VST_MATCH__N; i++)
		if (value[i])
			ok &= vst_parse_globs(p, value[i], i, &rule->match[i]);
	if (value[VST_MATCH__N])
		ok &= parse_labels(p, value[VST_MATCH__N], rule);
	return ok;
}
