/* SPDX-License-Identifier: GPL-2.0-only */
/* What a rule wants. */
#include <string.h>

#include "policy/rules_priv.h"
#include "policy/step.h"

#define WEIGHT_MIN 1 /* as the kernel's io.weight */
#define WEIGHT_MAX 10000
#define BYTES_MAX 1099511627776.0
#define IOPS_MAX 1e9
/* Shorter than any disk needs, and longer than anyone waits. */
#define OBJECTIVE_MIN_US 10.0
#define OBJECTIVE_MAX_US 600e6

static bool parse_weight(struct vst_parse *p, struct vst_yaml *node, struct vst_rule *rule)
{
	return vst_decode_integer(p, node, "weight", WEIGHT_MIN, WEIGHT_MAX, &rule->weight);
}

void vst_limit_range(enum vst_max_part limit, double *ret_min, double *ret_max)
{
	bool bytes = vst_limit_unit(limit) == VST_UNIT_BYTES_PER_S;

	*ret_min = bytes ? VST_LIMIT_BYTES_MIN : VST_LIMIT_IOPS_MIN;
	*ret_max = bytes ? BYTES_MAX : IOPS_MAX;
}

static bool parse_limit(struct vst_parse *p, struct vst_yaml *node, enum vst_max_part i, struct vst_rule *rule)
{
	enum vst_unit unit = vst_limit_unit(i);
	double value, min, max;

	vst_limit_range(i, &min, &max);
	if (!vst_decode_scalar(p, node, vst_limit_name(i), vst_unit_example(unit)) ||
	    !vst_decode_quantity(p, node, 0, node->len, vst_limit_name(i), unit, min, max, &value))
		return false;
	rule->max.limit[i] = value;
	return true;
}

static bool parse_max(struct vst_parse *p, struct vst_yaml *node, struct vst_rule *rule)
{
	static const struct vst_keys keys = { .name = vst_limit_name,
					      .n = VST_LIMIT__N,
					      .what = "max",
					      .example = "max: {write: 20MiB/s}, or max: allowed" };
	struct vst_yaml *key[VST_LIMIT__N], *value[VST_LIMIT__N];
	bool ok = true;

	if (vst_decode_is(node, "allowed") || vst_decode_is(node, "none")) {
		rule->max.allowed = *node->text == 'a';
		return true;
	}
	if (node->type == VST_YAML_SCALAR) {
		vst_parse_error(p, node, "max is %s; write allowed, none, or limits like {write: 20MiB/s}",
				VST_QUOTE(node));
		return false;
	}
	if (node->type == VST_YAML_MAP && !node->n) {
		vst_parse_error(p, node, "max is empty; write max: none if there is to be no limit");
		return false;
	}
	if (!vst_decode_map(p, node, &keys, key, value))
		return false;
	for (unsigned int i = 0; i < VST_LIMIT__N; i++)
		if (value[i])
			ok &= parse_limit(p, value[i], i, rule);
	return ok;
}

static const char *ioprio_long_name(unsigned int i)
{
#define X(e, n, s, l, a, d) s,
	static const char *const names[] = { VST_IOPRIOS(X) };
#undef X
	return i < VST_ARRAY_SIZE(names) ? names[i] : NULL;
}

/* May a rule ask for it? */
static bool is_wanted(enum vst_ioprio_class class)
{
	const char *name;

	for (unsigned int i = 0; (name = vst_ioprio_wanted_name(i)); i++)
		if (!strcmp(name, vst_ioprio_name(class)))
			return true;
	return false;
}

static unsigned int count_wanted(void)
{
	unsigned int n = 0;

	while (vst_ioprio_wanted_name(n))
		n++;
	return n;
}

/* "be/4", "idle"; a class without its level has level 4, as ionice's. */
static bool parse_ioprio(struct vst_parse *p, struct vst_yaml *node, struct vst_rule *rule)
{
	char hint[512];
	const char *slash, *level;
	size_t len;
	int class;

	if (!vst_decode_scalar(p, node, "ioprio", "be/4 or idle"))
		return false;
	slash = strchr(node->text, '/');
	len = slash ? (size_t)(slash - node->text) : node->len;
	class = vst_lookup(node->text, len, vst_ioprio_name, VST_IOPRIO__N);
	if (class < 0)
		class = vst_lookup(node->text, len, ioprio_long_name, VST_IOPRIO__N);
	if (class < 0) {
		vst_parse_error(
			p, node, "unknown ioprio %s; %s", VST_QUOTE(node),
			vst_nearest_hint(node->text, len, vst_ioprio_wanted_name, count_wanted(), hint, sizeof(hint)));
		return false;
	}
	if (!is_wanted(class)) {
		vst_parse_error(p, node,
				"ioprio %s is served before all others and can starve them, so vstor does not set it; "
				"write be/0 for the first of the others",
				VST_QUOTE(node));
		return false;
	}
	rule->ioprio.class = class;
	rule->ioprio.level = vst_ioprio_has_levels(class) ? 4 : 0;
	if (!slash)
		return true;
	level = slash + 1;
	if (!vst_ioprio_has_levels(class)) {
		vst_parse_error_at(p, node->line, vst_yaml_column_of(node, len),
				   "ioprio %s has no levels; write ioprio: %s", vst_ioprio_name(class),
				   vst_ioprio_name(class));
		return false;
	}
	if (level[0] < '0' || level[0] > '7' || level[1]) {
		vst_parse_error_at(p, node->line, vst_yaml_column_of(node, len + 1),
				   "ioprio %s has a level from 0, the first, to 7; write it like %s/4", VST_QUOTE(node),
				   vst_ioprio_name(class));
		return false;
	}
	rule->ioprio.level = level[0] - '0';
	return true;
}

static bool parse_cache(struct vst_parse *p, struct vst_yaml *node, struct vst_rule *rule)
{
	char hint[512];
	int i;

	if (!vst_decode_scalar(p, node, "cache", "cache: keep"))
		return false;
	i = vst_lookup(node->text, node->len, vst_cache_mode_name, VST_CACHE__N);
	if (i < 0) {
		vst_parse_error(
			p, node, "unknown cache mode %s; %s", VST_QUOTE(node),
			vst_nearest_hint(node->text, node->len, vst_cache_mode_name, VST_CACHE__N, hint, sizeof(hint)));
		return false;
	}
	rule->cache = i;
	return true;
}

static bool parse_objective(struct vst_parse *p, struct vst_yaml *node, enum vst_objective i, struct vst_rule *rule)
{
	double us;

	if (!vst_decode_scalar(p, node, vst_objective_name(i), "8ms") ||
	    !vst_decode_quantity(p, node, 0, node->len, vst_objective_name(i), VST_UNIT_US, OBJECTIVE_MIN_US,
				 OBJECTIVE_MAX_US, &us))
		return false;
	rule->protect_us[i] = us;
	return true;
}

static bool parse_protect(struct vst_parse *p, struct vst_yaml *node, struct vst_rule *rule)
{
	static const struct vst_keys keys = { .name = vst_objective_name,
					      .n = VST_OBJECTIVE__N,
					      .what = "protect",
					      .example = "protect: {p99_fsync: 8ms}" };
	struct vst_yaml *key[VST_OBJECTIVE__N], *value[VST_OBJECTIVE__N];
	bool ok = true;

	if (vst_decode_is(node, "none"))
		return true;
	if (node->type == VST_YAML_MAP && !node->n) {
		vst_parse_error(p, node, "protect has no objective; write it like protect: {p99_fsync: 8ms}, or none");
		return false;
	}
	if (!vst_decode_map(p, node, &keys, key, value))
		return false;
	for (unsigned int i = 0; i < VST_OBJECTIVE__N; i++)
		if (value[i])
			ok &= parse_objective(p, value[i], i, rule);
	return ok;
}

static bool parse_class(struct vst_parse *p, struct vst_yaml *node, struct vst_rule *rule)
{
	return vst_decode_integer(p, node, "class", 0, VST_CLASS_MAX, &rule->class);
}

bool vst_parse_attr(struct vst_parse *p, struct vst_yaml *node, enum vst_attr attr, struct vst_rule *rule)
{
	static bool (*const parsers[])(struct vst_parse *, struct vst_yaml *, struct vst_rule *) = {
		[VST_ATTR_WEIGHT] = parse_weight, [VST_ATTR_MAX] = parse_max,	      [VST_ATTR_IOPRIO] = parse_ioprio,
		[VST_ATTR_CACHE] = parse_cache,	  [VST_ATTR_PROTECT] = parse_protect, [VST_ATTR_CLASS] = parse_class,
	};

	_Static_assert(VST_ARRAY_SIZE(parsers) == VST_ATTR__N, "a parser for each of VST_ATTRS");
	return parsers[attr](p, node, rule);
}
