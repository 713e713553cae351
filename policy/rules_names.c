/* SPDX-License-Identifier: GPL-2.0-only */
/* The names of the lists in rules.h, and rules as text. */
#include <stdarg.h>
#include <string.h>

#include "policy/rules_priv.h"

#define NAME(e, n, ...) n,
#define NAMES(fn, LIST)                                                                                                \
	const char *fn(unsigned int i)                                                                                 \
	{                                                                                                              \
		static const char *const names[] = { LIST(NAME) };                                                     \
		return i < VST_ARRAY_SIZE(names) ? names[i] : NULL;                                                    \
	}

NAMES(vst_file_key_name, VST_FILE_KEYS)
NAMES(vst_scope_key_name, VST_SCOPE_KEYS)
NAMES(vst_import_key_name, VST_IMPORT_KEYS)
NAMES(vst_iocost_key_name, VST_IOCOST_KEYS)
NAMES(vst_rule_key_name, VST_RULE_KEYS)
NAMES(vst_condition_key_name, VST_CONDITION_KEYS)
NAMES(vst_match_field_name, VST_MATCH_FIELDS)
NAMES(vst_attr_name, VST_ATTRS)
NAMES(vst_unit_example, VST_RULE_UNITS)
NAMES(vst_metric_name, VST_METRICS)
NAMES(vst_alarm_name, VST_ALARMS)
NAMES(vst_comparison_name, VST_COMPARISONS)
NAMES(vst_limit_name, VST_LIMITS)
NAMES(vst_objective_name, VST_OBJECTIVES)
NAMES(vst_cache_mode_name, VST_CACHE_MODES)
NAMES(vst_ioprio_name, VST_IOPRIOS)
NAMES(vst_verdict_name, VST_VERDICTS)

enum vst_unit vst_metric_unit(enum vst_metric metric)
{
#define X(e, n, u, d) VST_UNIT_##u,
	static const enum vst_unit units[] = { VST_METRICS(X) };
#undef X
	return units[metric];
}

enum vst_unit vst_limit_unit(enum vst_max_part limit)
{
#define X(e, k, u, c) VST_UNIT_##u,
	static const enum vst_unit units[] = { VST_LIMITS(X) };
#undef X
	return units[limit];
}

enum vst_metric vst_objective_metric(enum vst_objective objective)
{
#define X(e, k, m) VST_METRIC_##m,
	static const enum vst_metric metrics[] = { VST_OBJECTIVES(X) };
#undef X
	return metrics[objective];
}

bool vst_attr_is_of_stream(enum vst_attr attr)
{
#define X(e, k, s, d) s,
	static const bool of_stream[] = { VST_ATTRS(X) };
#undef X
	return of_stream[attr];
}

bool vst_ioprio_has_levels(enum vst_ioprio_class class)
{
#define X(e, n, s, l, a, d) l,
	static const bool has_levels[] = { VST_IOPRIOS(X) };
#undef X
	return has_levels[class];
}

const char *vst_ioprio_wanted_name(unsigned int i)
{
#define X(e, n, s, l, a, d) a,
	static const bool wanted[] = { VST_IOPRIOS(X) };
#undef X
	for (unsigned int class = 0; class < VST_IOPRIO__N; class ++)
		if (wanted[class] && !i--)
			return vst_ioprio_name(class);
	return NULL;
}

/* Adds to a text, of which *n bytes are there or, beyond its size, would be. */
static void __attribute__((format(printf, 4, 5))) add(char *buf, size_t size, size_t *n, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vsnprintf(*n < size ? buf + *n : NULL, *n < size ? size - *n : 0, fmt, ap);
	va_end(ap);
	*n += r > 0 ? r : 0;
}

/* "mysql-* or web-* but not web-0" */
static void add_globs(char *buf, size_t size, size_t *n, const char *what, const char *key,
		      const struct vst_globs *globs)
{
	const char *separator = "";

	if (!globs->n)
		return;
	add(buf, size, n, "%s%s%s ", *n ? ", " : "", what, key);
	for (int exclude = 0; exclude < 2; exclude++) {
		for (size_t i = 0; i < globs->n; i++) {
			if (globs->glob[i].exclude != (bool)exclude)
				continue;
			add(buf, size, n, "%s%s%s", separator, exclude ? "not " : "", globs->glob[i].text);
			separator = exclude ? " and " : " or ";
		}
		if (*separator)
			separator = " but ";
	}
}

int vst_rule_match_text(const struct vst_rule *rule, char *buf, size_t size)
{
	size_t n = 0;

	for (unsigned int i = 0; i < VST_MATCH__N; i++)
		add_globs(buf, size, &n, "", vst_match_field_name(i), &rule->match[i]);
	for (size_t i = 0; i < rule->n_labels; i++)
		add_globs(buf, size, &n, "label ", rule->label[i].key, &rule->label[i].value);
	if (!n)
		add(buf, size, &n, "all");
	return n;
}

int vst_policy_scope_text(const struct vst_policy *policy, char *buf, size_t size)
{
	bool both = policy->scope_namespaces.n && policy->scope_cgroups.n;
	size_t n = 0;

	add_globs(buf, size, &n, "", "namespace", &policy->scope_namespaces);
	add_globs(buf, size, &n, both ? "or " : "", "cgroup", &policy->scope_cgroups);
	if (!n)
		add(buf, size, &n, "all containers");
	return n;
}

static int max_text(const struct vst_max *max, char *buf, size_t size)
{
	size_t n = 0;
	char value[64];

	if (max->allowed)
		return snprintf(buf, size, "max allowed");
	for (unsigned int i = 0; i < VST_LIMIT__N; i++) {
		if (!max->limit[i])
			continue;
		vst_quantity_text(max->limit[i], vst_limit_unit(i), value, sizeof(value));
		add(buf, size, &n, "%s %s %s", n ? "," : "max", vst_limit_name(i), value);
	}
	return n ? (int)n : snprintf(buf, size, "max none");
}

static int protect_text(const uint64_t *protect_us, char *buf, size_t size)
{
	size_t n = 0;
	char value[64];

	for (unsigned int i = 0; i < VST_OBJECTIVE__N; i++) {
		if (!protect_us[i])
			continue;
		vst_quantity_text(protect_us[i], VST_UNIT_US, value, sizeof(value));
		add(buf, size, &n, "%s %s %s", n ? "," : "protect", vst_objective_name(i), value);
	}
	return n ? (int)n : snprintf(buf, size, "protect none");
}

int vst_rule_want_text(const struct vst_rule *rule, enum vst_attr attr, char *buf, size_t size)
{
	switch (attr) {
	case VST_ATTR_WEIGHT:
		return snprintf(buf, size, "weight %u", rule->weight);
	case VST_ATTR_MAX:
		return max_text(&rule->max, buf, size);
	case VST_ATTR_IOPRIO:
		if (vst_ioprio_has_levels(rule->ioprio.class))
			return snprintf(buf, size, "ioprio %s/%u", vst_ioprio_name(rule->ioprio.class),
					rule->ioprio.level);
		return snprintf(buf, size, "ioprio %s", vst_ioprio_name(rule->ioprio.class));
	case VST_ATTR_CACHE:
		return snprintf(buf, size, "cache %s", vst_cache_mode_name(rule->cache));
	case VST_ATTR_PROTECT:
		return protect_text(rule->protect_us, buf, size);
	case VST_ATTR_CLASS:
		return snprintf(buf, size, "class %u", rule->class);
	case VST_ATTR__N:
		break;
	}
	return snprintf(buf, size, "nothing");
}

int vst_condition_text(const struct vst_condition *c, char *buf, size_t size)
{
	char what[160], value[64], duration[64];

	if (c->is_alarm) {
		snprintf(what, sizeof(what), "alarm %s", vst_alarm_name(c->alarm));
	} else {
		vst_quantity_text(c->value, vst_metric_unit(c->metric), value, sizeof(value));
		snprintf(what, sizeof(what), "%s %s %s", vst_metric_name(c->metric), vst_comparison_name(c->cmp),
			 value);
	}
	if (!c->for_us)
		return snprintf(buf, size, "%s", what);
	vst_quantity_text(c->for_us, VST_UNIT_US, duration, sizeof(duration));
	return snprintf(buf, size, "%s for %s", what, duration);
}

int vst_rule_note_text(const struct vst_rule *rule, char *buf, size_t size)
{
	for (unsigned int i = 0; rule->wants & 1U << VST_ATTR_IOPRIO && i < VST_MATCH__N; i++)
		if (VST_MATCH_STREAM & 1U << i && rule->match[i].n)
			return snprintf(buf, size,
					"rule '%s' asks for an ioprio by %s, and vstor does not know which threads do "
					"such I/O: the rule has no effect; match the container instead",
					rule->name, vst_match_field_name(i));
	for (size_t i = 0; i < rule->n_when; i++)
		if (rule->when[i].is_alarm)
			return snprintf(buf, size,
					"rule '%s' waits for the alarm %s: it counts only where vstord looks at what "
					"is written (--insight sampled or full)",
					rule->name, vst_alarm_name(rule->when[i].alarm));
	if (size)
		*buf = 0;
	return 0;
}
