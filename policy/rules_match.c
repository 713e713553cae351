/* SPDX-License-Identifier: GPL-2.0-only */
/* Which rules are about a container, and which of them decides. Pure. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/rules_priv.h"

/* One character of a text that a glob's [set] is compared with. *set is behind the '['; on return behind its ']'. */
static bool in_set(const char **set, char c)
{
	const unsigned char *s = (const unsigned char *)*set;
	unsigned char x = c;
	bool negated = *s == '!' || *s == '^', found = false;

	s += negated;
	/* a ']' right at the beginning is one of the characters */
	for (const unsigned char *first = s; *s && (*s != ']' || s == first); s++) {
		unsigned char low = *s == '\\' && s[1] ? *++s : *s, high = low;

		if (s[1] == '-' && s[2] && s[2] != ']') {
			s += 2;
			high = *s == '\\' && s[1] ? *++s : *s;
		}
		found |= x >= low && x <= high;
	}
	*set = (const char *)s + (*s == ']');
	return found != negated;
}

/* Where the glob goes on if its first element, which is not a '*', matches this character; otherwise NULL. */
static const char *match_one(const char *glob, char c, bool is_path)
{
	if (!c)
		return NULL;
	switch (*glob) {
	case 0:
		return NULL;
	case '?':
		return is_path && c == '/' ? NULL : glob + 1;
	case '[':
		glob++;
		return in_set(&glob, c) && !(is_path && c == '/') ? glob : NULL;
	case '\\':
		if (glob[1])
			glob++;
		/* fallthrough */
	default:
		return *glob == c ? glob + 1 : NULL;
	}
}

/*
 * Not fnmatch(): its ranges and ? depend on the locale, so vstord and vstorctl could disagree about a rule. This one
 * compares bytes. Only the last star is tried again, so the time is bounded by the product of both lengths.
 */
static bool glob_matches(const char *glob, const char *text, bool is_path)
{
	const char *star = NULL, *retry = NULL, *next;

	for (;;) {
		if (*glob == '*') {
			star = ++glob;
			retry = text;
			continue;
		}
		if (!*glob && (!*text || (is_path && *text == '/')))
			return true;
		next = match_one(glob, *text, is_path);
		if (next) {
			glob = next;
			text++;
			continue;
		}
		if (!star || !*retry || (is_path && *retry == '/'))
			return false;
		text = ++retry;
		glob = star;
	}
}

bool vst_glob_matches(const char *glob, const char *text)
{
	return glob_matches(glob, text, false);
}

static bool cgroup_matches(const char *glob, const char *path)
{
	return !strcmp(glob, "/") || glob_matches(glob, path, true);
}

/* "/dev/..." is compared with all paths of the device, anything else with its kernel name. */
static bool device_matches(const char *glob, const struct vst_subject *s)
{
	const char *name = s->field[VST_MATCH_DEVICE];
	char path[128];

	if (strncmp(glob, "/dev/", 5) != 0)
		return vst_glob_matches(glob, name);
	if (snprintf(path, sizeof(path), "/dev/%s", name) < (int)sizeof(path) && vst_glob_matches(glob, path))
		return true;
	for (size_t i = 0; i < s->n_device_links; i++)
		if (vst_glob_matches(glob, s->device_link[i]))
			return true;
	return false;
}

static bool field_glob_matches(const char *glob, enum vst_match_field field, const struct vst_subject *s)
{
	switch (field) {
	case VST_MATCH_CGROUP:
		return cgroup_matches(glob, s->field[field]);
	case VST_MATCH_DEVICE:
		return device_matches(glob, s);
	default:
		return vst_glob_matches(glob, s->field[field]);
	}
}

static bool field_matches(const struct vst_globs *globs, enum vst_match_field field, const struct vst_subject *s)
{
	bool included = true, asked = false;

	if (!globs->n)
		return true;
	if (!s->field[field])
		return false;
	for (size_t i = 0; i < globs->n; i++) {
		const struct vst_glob *g = &globs->glob[i];

		if (g->exclude) {
			if (field_glob_matches(g->text, field, s))
				return false;
			continue;
		}
		if (!asked)
			included = false;
		asked = true;
		included = included || field_glob_matches(g->text, field, s);
	}
	return included;
}

bool vst_globs_match(const struct vst_globs *globs, const char *text)
{
	struct vst_subject s = { .field[VST_MATCH_NAMESPACE] = text };

	return field_matches(globs, VST_MATCH_NAMESPACE, &s);
}

bool vst_globs_match_device(const struct vst_globs *globs, const struct vst_subject *disk)
{
	return field_matches(globs, VST_MATCH_DEVICE, disk);
}

const struct vst_iocost *vst_policy_iocost(const struct vst_policy *policy, const struct vst_subject *disk)
{
	for (size_t i = policy->n_iocost; i--;)
		if (vst_globs_match_device(&policy->iocost[i].device, disk))
			return &policy->iocost[i];
	return NULL;
}

const struct vst_bcache *vst_policy_bcache(const struct vst_policy *policy, const struct vst_subject *disk,
					   enum vst_bcache_attr_id attr)
{
	for (size_t i = policy->n_bcache; i--;)
		if (policy->bcache[i].value[attr] && vst_globs_match_device(&policy->bcache[i].device, disk))
			return &policy->bcache[i];
	return NULL;
}

bool vst_globs_match_cgroup(const struct vst_globs *globs, const char *path)
{
	struct vst_subject s = { .field[VST_MATCH_CGROUP] = path };

	return field_matches(globs, VST_MATCH_CGROUP, &s);
}

static bool label_matches(const struct vst_label_match *m, const struct vst_subject *s)
{
	for (size_t i = 0; i < s->n_labels; i++)
		if (!strcmp(s->label[i].key, m->key))
			return vst_globs_match(&m->value, s->label[i].value);
	return false;
}

/* True, or the field that differs in *ret_field; VST_MATCH__N for a label. */
static bool rule_matches(const struct vst_rule *rule, const struct vst_subject *s, enum vst_match_field *ret_field)
{
	for (unsigned int i = 0; i < VST_MATCH__N; i++) {
		*ret_field = i;
		if (!field_matches(&rule->match[i], i, s))
			return false;
	}
	*ret_field = VST_MATCH__N;
	for (size_t i = 0; i < rule->n_labels; i++)
		if (!label_matches(&rule->label[i], s))
			return false;
	return true;
}

bool vst_rule_matches(const struct vst_rule *rule, const struct vst_subject *subject)
{
	enum vst_match_field field;

	return rule_matches(rule, subject, &field);
}

bool vst_policy_in_scope(const struct vst_policy *policy, const struct vst_subject *s)
{
	const struct vst_globs *namespaces = &policy->scope_namespaces, *cgroups = &policy->scope_cgroups;

	if (!namespaces->n && !cgroups->n)
		return true;
	return (namespaces->n && vst_globs_match(namespaces, s->field[VST_MATCH_NAMESPACE])) ||
	       (cgroups->n && vst_globs_match_cgroup(cgroups, s->field[VST_MATCH_CGROUP]));
}

static bool does_hold(const struct vst_rule *rule, const bool *holds)
{
	return !rule->n_when || (holds && holds[rule->index]);
}

void vst_policy_winners(const struct vst_policy *policy, const struct vst_subject *subject, const bool *holds,
			const struct vst_rule *winner[VST_ATTR__N])
{
	unsigned int open = (1U << VST_ATTR__N) - 1;

	memset(winner, 0, VST_ATTR__N * sizeof(winner[0]));
	if (!vst_policy_in_scope(policy, subject))
		return;
	for (size_t i = policy->n_rules; i-- && open;) {
		const struct vst_rule *rule = &policy->rule[i];

		if (!(rule->wants & open) || !does_hold(rule, holds) || !vst_rule_matches(rule, subject))
			continue;
		for (unsigned int a = 0; a < VST_ATTR__N; a++)
			if (rule->wants & open & 1U << a)
				winner[a] = rule;
		open &= ~rule->wants;
	}
}

/* Why a rule that sets an attribute does or does not decide about it. */
static struct vst_candidate judge(const struct vst_rule *rule, const struct vst_subject *subject, const bool *holds,
				  const struct vst_rule *winner, bool in_scope)
{
	struct vst_candidate c = { .rule = rule, .verdict = VST_VERDICT_MISMATCH };

	if (!rule_matches(rule, subject, &c.field))
		return c;
	c.verdict = !in_scope		      ? VST_VERDICT_OUTSIDE
		    : !does_hold(rule, holds) ? VST_VERDICT_WAITING
		    : rule == winner	      ? VST_VERDICT_WINS
					      : VST_VERDICT_OVERRIDDEN;
	return c;
}

int vst_policy_resolve(const struct vst_policy *policy, const struct vst_subject *subject, const bool *holds,
		       struct vst_resolution *ret)
{
	struct vst_resolution res = { .in_scope = vst_policy_in_scope(policy, subject) };
	const struct vst_rule *winner[VST_ATTR__N];

	vst_policy_winners(policy, subject, holds, winner);
	for (unsigned int a = 0; a < VST_ATTR__N; a++) {
		size_t n = 0;

		res.attr[a].winner = winner[a];
		for (size_t i = 0; i < policy->n_rules; i++)
			n += policy->rule[i].wants >> a & 1;
		n -= winner[a] != NULL;
		if (!n)
			continue;
		res.attr[a].loser = calloc(n, sizeof(struct vst_candidate));
		if (!res.attr[a].loser) {
			vst_resolution_clear(&res);
			return -ENOMEM;
		}
		for (size_t i = policy->n_rules; i--;) {
			const struct vst_rule *rule = &policy->rule[i];

			if (rule->wants >> a & 1 && rule != winner[a])
				res.attr[a].loser[res.attr[a].n_losers++] =
					judge(rule, subject, holds, winner[a], res.in_scope);
		}
	}
	*ret = res;
	return 0;
}

void vst_resolution_clear(struct vst_resolution *resolution)
{
	for (unsigned int a = 0; a < VST_ATTR__N; a++)
		free(resolution->attr[a].loser);
	memset(resolution, 0, sizeof(*resolution));
}

static bool are_same_globs(const struct vst_globs *a, const struct vst_globs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->glob[i].exclude != b->glob[i].exclude || strcmp(a->glob[i].text, b->glob[i].text) != 0)
			return false;
	return true;
}

/* Does `wide` surely match all that `rule` matches? */
static bool covers(const struct vst_rule *wide, const struct vst_rule *rule)
{
	for (unsigned int i = 0; i < VST_MATCH__N; i++)
		if (wide->match[i].n && !are_same_globs(&wide->match[i], &rule->match[i]))
			return false;
	return !wide->n_labels;
}

const struct vst_rule *vst_policy_hides(const struct vst_policy *policy, const struct vst_rule *rule)
{
	for (size_t i = rule->index + 1; i < policy->n_rules; i++) {
		const struct vst_rule *later = &policy->rule[i];

		if (!later->n_when && !(rule->wants & ~later->wants) && covers(later, rule))
			return later;
	}
	return NULL;
}

static bool rule_uses(const struct vst_rule *rule, enum vst_metric metric)
{
	for (size_t i = 0; i < rule->n_when; i++)
		if (!rule->when[i].is_alarm && rule->when[i].metric == metric)
			return true;
	for (unsigned int i = 0; i < VST_OBJECTIVE__N; i++)
		if (rule->wants & 1U << VST_ATTR_PROTECT && rule->protect_us[i] && vst_objective_metric(i) == metric)
			return true;
	return false;
}

bool vst_policy_uses(const struct vst_policy *policy, enum vst_metric metric)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (rule_uses(&policy->rule[i], metric))
			return true;
	return false;
}

unsigned int vst_policy_class(const struct vst_policy *policy, enum vst_kind kind, enum vst_size size)
{
	unsigned int class = (unsigned int)kind < VST_KIND__N ? policy->class_by_kind[kind] : 0;

	if (class != VST_CLASS_BY_SIZE)
		return class;
	return (unsigned int)size < VST_SIZE__N ? policy->class_by_size[size] : 0;
}
