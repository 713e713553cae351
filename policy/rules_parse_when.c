/* SPDX-License-Identifier: GPL-2.0-only */
/* Conditions: "p99_read > 5ms for 10s", or the same as a mapping. */
#include <string.h>

#include "policy/rules_priv.h"

#define EXAMPLE "'p99_read > 5ms for 10s'"
#define FOR_MAX_US (24 * 3600e6)
#define VALUE_MAX 1e15

/* A part of a scalar. */
struct span {
	size_t begin, len;
};

static struct span trim(const struct vst_yaml *node, size_t begin, size_t end)
{
	if (begin > end)
		begin = end;
	while (begin < end && node->text[begin] == ' ')
		begin++;
	while (end > begin && node->text[end - 1] == ' ')
		end--;
	return (struct span){ begin, end - begin };
}

static void unknown_name(struct vst_parse *p, const struct vst_yaml *node, struct span s, const char *what,
			 vst_name_fn name, unsigned int n)
{
	struct vst_quoted q = vst_quote(node->text + s.begin, s.len);
	char hint[512];

	vst_parse_error_at(p, node->line, s.begin ? vst_yaml_column_of(node, s.begin) : node->column,
			   "unknown %s %s; %s", what, q.text,
			   vst_nearest_hint(node->text + s.begin, s.len, name, n, hint, sizeof(hint)));
}

static bool parse_metric(struct vst_parse *p, struct vst_yaml *node, struct span s, struct vst_condition *ret)
{
	int i = vst_lookup(node->text + s.begin, s.len, vst_metric_name, VST_METRIC__N);

	if (i < 0) {
		unknown_name(p, node, s, "metric", vst_metric_name, VST_METRIC__N);
		return false;
	}
	ret->metric = i;
	return true;
}

static bool parse_alarm(struct vst_parse *p, struct vst_yaml *node, struct span s, struct vst_condition *ret)
{
	int i = vst_lookup(node->text + s.begin, s.len, vst_alarm_name, VST_ALARM__N);

	if (i < 0) {
		unknown_name(p, node, s, "alarm", vst_alarm_name, VST_ALARM__N);
		return false;
	}
	ret->is_alarm = true;
	ret->alarm = i;
	return true;
}

static bool parse_for(struct vst_parse *p, struct vst_yaml *node, struct span s, struct vst_condition *ret)
{
	double us;

	if (!vst_decode_quantity(p, node, s.begin, s.len, "the duration behind 'for'", VST_UNIT_US, 0, FOR_MAX_US, &us))
		return false;
	ret->for_us = us;
	return true;
}

static bool parse_value(struct vst_parse *p, struct vst_yaml *node, struct span s, struct vst_condition *ret)
{
	const char *name = vst_metric_name(ret->metric);

	if (!vst_decode_quantity(p, node, s.begin, s.len, name, vst_metric_unit(ret->metric), 0, VALUE_MAX,
				 &ret->value))
		return false;
	if (ret->value > 0 || ret->cmp == VST_CMP_GT || ret->cmp == VST_CMP_LE)
		return true;
	vst_parse_error(p, node, "%s %s 0 %s; compare it with a greater value", name, vst_comparison_name(ret->cmp),
			ret->cmp == VST_CMP_LT ? "never holds" : "always holds");
	return false;
}

/* Where a comparison begins, and its length in *ret_len; node->len if there is none. */
static size_t find_comparison(const struct vst_yaml *node, size_t *ret_len)
{
	size_t i = strcspn(node->text, "<>=");

	*ret_len = strspn(node->text + i, "<>=");
	return i;
}

/* Where the last " for " of a condition begins; node->len if there is none. */
static size_t find_for(const struct vst_yaml *node, size_t from)
{
	const char *found = NULL, *s = node->text + from;

	while ((s = strstr(s, " for")) != NULL) {
		if (s[4] == ' ' || !s[4])
			found = s;
		s += 4;
	}
	return found ? (size_t)(found - node->text) : node->len;
}

static bool parse_comparison_text(struct vst_parse *p, struct vst_yaml *node, size_t until, struct vst_condition *ret)
{
	size_t len, at = find_comparison(node, &len);
	struct span value = trim(node, at + len, until);
	int cmp = vst_lookup(node->text + at, len, vst_comparison_name, VST_COMPARISON__N);
	struct vst_quoted q = vst_quote(node->text + at, len);

	if (at >= until) {
		vst_parse_error(p, node, "%s is not a condition; write it like " EXAMPLE " or 'alarm mass_encryption'",
				VST_QUOTE(node));
		return false;
	}
	if (cmp < 0) {
		vst_parse_error_at(p, node->line, vst_yaml_column_of(node, at),
				   "unknown comparison %s; write one of >, >=, <, <=", q.text);
		return false;
	}
	ret->cmp = cmp;
	if (!parse_metric(p, node, trim(node, 0, at), ret))
		return false;
	if (!value.len) {
		vst_parse_error_at(p, node->line, vst_yaml_column_of(node, at + len),
				   "there is no value behind %s; write it like " EXAMPLE, q.text);
		return false;
	}
	return parse_value(p, node, value, ret);
}

static bool parse_text(struct vst_parse *p, struct vst_yaml *node, struct vst_condition *ret)
{
	size_t until;

	if (!vst_decode_scalar(p, node, "a condition", EXAMPLE))
		return false;
	until = find_for(node, 0);
	if (until < node->len) {
		struct span s = trim(node, until + 4, node->len);

		if (!s.len) {
			vst_parse_error_at(p, node->line, vst_yaml_column_of(node, until + 1),
					   "there is no duration behind 'for'; write it like " EXAMPLE);
			return false;
		}
		if (!parse_for(p, node, s, ret))
			return false;
	}
	if (!strncmp(node->text, "alarm ", 6))
		return parse_alarm(p, node, trim(node, 6, until), ret);
	return parse_comparison_text(p, node, until, ret);
}

static struct span whole(const struct vst_yaml *node)
{
	return (struct span){ 0, node->len };
}

/* {metric: p99_read, above: 5ms}. Not with signs: a bare '>' begins a text of several lines in YAML. */
static bool parse_metric_keys(struct vst_parse *p, struct vst_yaml *node, struct vst_yaml **key,
			      struct vst_yaml **value, struct vst_condition *ret)
{
	struct vst_yaml *above = value[VST_CONDITION_KEY_ABOVE], *below = value[VST_CONDITION_KEY_BELOW];
	struct vst_yaml *threshold = above ? above : below;

	if (above && below) {
		vst_parse_error(p, key[VST_CONDITION_KEY_BELOW],
				"a condition has 'above' and 'below'; write two conditions");
		return false;
	}
	if (!threshold) {
		vst_parse_error(p, node, "a condition compares with nothing; add 'above: 5ms' or 'below: 5ms'");
		return false;
	}
	ret->cmp = above ? VST_CMP_GT : VST_CMP_LT;
	return vst_decode_scalar(p, value[VST_CONDITION_KEY_METRIC], "metric", "p99_read") &&
	       parse_metric(p, value[VST_CONDITION_KEY_METRIC], whole(value[VST_CONDITION_KEY_METRIC]), ret) &&
	       vst_decode_scalar(p, threshold, above ? "above" : "below",
				 vst_unit_example(vst_metric_unit(ret->metric))) &&
	       parse_value(p, threshold, whole(threshold), ret);
}

static bool parse_map(struct vst_parse *p, struct vst_yaml *node, struct vst_condition *ret)
{
	static const struct vst_keys keys = { .name = vst_condition_key_name,
					      .n = VST_CONDITION_KEY__N,
					      .what = "a condition",
					      .example = "{metric: p99_read, above: 5ms, for: 10s}" };
	struct vst_yaml *key[VST_CONDITION_KEY__N], *value[VST_CONDITION_KEY__N];
	struct vst_yaml *alarm, *metric, *duration;
	size_t errors = p->errors->total + p->skipped;

	if (!vst_decode_map(p, node, &keys, key, value) || p->errors->total + p->skipped != errors)
		return false;
	alarm = value[VST_CONDITION_KEY_ALARM];
	metric = value[VST_CONDITION_KEY_METRIC];
	duration = value[VST_CONDITION_KEY_FOR];
	if (duration && !(vst_decode_scalar(p, duration, "for", "10s") && parse_for(p, duration, whole(duration), ret)))
		return false;
	if (alarm && (metric || value[VST_CONDITION_KEY_ABOVE] || value[VST_CONDITION_KEY_BELOW])) {
		vst_parse_error(p, key[VST_CONDITION_KEY_ALARM],
				"an alarm is not compared with anything; write two conditions");
		return false;
	}
	if (alarm)
		return vst_decode_scalar(p, alarm, "alarm", vst_alarm_name(0)) &&
		       parse_alarm(p, alarm, whole(alarm), ret);
	if (!metric) {
		vst_parse_error(p, node, "a condition has no 'metric'; write it like %s", keys.example);
		return false;
	}
	return parse_metric_keys(p, node, key, value, ret);
}

static bool parse_condition(struct vst_parse *p, struct vst_yaml *node, struct vst_condition *ret)
{
	return node->type == VST_YAML_MAP ? parse_map(p, node, ret) : parse_text(p, node, ret);
}

bool vst_parse_when(struct vst_parse *p, struct vst_yaml *node, struct vst_rule *rule)
{
	size_t n = node->type == VST_YAML_LIST ? node->n : 1;
	struct vst_condition *when;
	bool ok = true;

	if (!n || n > VST_POLICY_MAX_CONDITIONS) {
		vst_parse_error(p, node, "when has %zu conditions; write 1 to %d, or remove the key", n,
				VST_POLICY_MAX_CONDITIONS);
		return false;
	}
	when = vst_parse_alloc(p, n, sizeof(*when));
	if (!when)
		return false;
	rule->when = when;
	if (node->type != VST_YAML_LIST) {
		ok = parse_condition(p, node, &when[rule->n_when++]);
	} else {
		vst_yaml_for_each (item, node)
			ok &= parse_condition(p, item, &when[rule->n_when++]);
	}
	return ok;
}
