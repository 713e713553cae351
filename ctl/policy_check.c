/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl policy check: what is wrong with a policy file, or what it says. Needs no agent. */
#include <errno.h>

#include "ctl.h"
#include "policy/rules.h"
#include "policy_check.h"

#define TEXT_MAX 512 /* of a condition or of what is wanted */

/* A path may be any bytes; jansson takes UTF-8 only. */
static json_t *json_text(const char *text)
{
	json_t *o = json_string(text);

	return o ? o : json_string("(not UTF-8)");
}

/* The caller frees. */
static char *match_text(const struct vst_rule *rule)
{
	size_t size = vst_rule_match_text(rule, NULL, 0) + 1;
	char *text = vst_alloc(size);

	vst_rule_match_text(rule, text, size);
	return text;
}

static json_t *rule_json(const struct vst_policy *policy, const struct vst_rule *rule)
{
	json_t *o = json_object(), *when = json_array(), *wants = json_array();
	const struct vst_rule *hidden = vst_policy_hides(policy, rule);
	char text[TEXT_MAX], *match = match_text(rule);

	json_object_set_new(o, "name", json_string(rule->name));
	json_object_set_new(o, "file", json_text(rule->file));
	json_object_set_new(o, "line", json_integer(rule->line));
	json_object_set_new(o, "match", json_text(match));
	free(match);
	for (size_t i = 0; i < rule->n_when; i++) {
		vst_condition_text(&rule->when[i], text, sizeof(text));
		json_array_append_new(when, json_string(text));
	}
	json_object_set_new(o, "when", when);
	for (unsigned int a = 0; a < VST_ATTR__N; a++) {
		if (!(rule->wants & 1U << a))
			continue;
		vst_rule_want_text(rule, a, text, sizeof(text));
		json_array_append_new(wants, json_string(text));
	}
	json_object_set_new(o, "wants", wants);
	if (vst_rule_note_text(rule, text, sizeof(text)))
		json_object_set_new(o, "note", json_string(text));
	if (hidden)
		json_object_set_new(o, "hidden_by", json_string(hidden->name));
	return o;
}

static json_t *bcache_json(const struct vst_bcache *b)
{
	json_t *o = json_pack("{s:i}", "line", (int)b->line);

	for (int a = 0; a < VST_BCACHE_ATTR__N; a++)
		if (b->value[a])
			json_object_set_new(o, vst_bcache_attrs[a].name, json_string(b->value[a]));
	return o;
}

static void print_json(const char *path, const struct vst_policy *policy, const struct vst_policy_errors *errors)
{
	json_t *o = json_object(), *list = json_array();

	json_object_set_new(o, "schema", json_integer(1));
	json_object_set_new(o, "file", json_text(path));
	json_object_set_new(o, "good", json_boolean(policy));
	for (size_t i = 0; policy && i < policy->n_rules; i++)
		json_array_append_new(list, rule_json(policy, &policy->rule[i]));
	json_object_set_new(o, "rules", list);
	list = json_array();
	for (size_t i = 0; policy && i < policy->n_iocost; i++)
		json_array_append_new(list, json_pack("{s:i,s:s,s:s}", "line", (int)policy->iocost[i].line, "model",
						      policy->iocost[i].model, "qos", policy->iocost[i].qos));
	json_object_set_new(o, "iocost", list);
	list = json_array();
	for (size_t i = 0; policy && i < policy->n_bcache; i++)
		json_array_append_new(list, bcache_json(&policy->bcache[i]));
	json_object_set_new(o, "bcache", list);
	list = json_array();
	for (size_t i = 0; i < errors->n; i++) {
		json_t *e = json_object();

		json_object_set_new(e, "file", json_text(errors->item[i].file));
		json_object_set_new(e, "line", json_integer(errors->item[i].line));
		json_object_set_new(e, "column", json_integer(errors->item[i].column));
		json_object_set_new(e, "message", json_text(errors->item[i].text));
		json_array_append_new(list, e);
	}
	json_object_set_new(o, "errors", list);
	json_object_set_new(o, "errors_total", json_integer(errors->total));
	vst_json_line(o);
}

static void print_rule(const struct vst_policy *policy, const struct vst_rule *rule)
{
	const struct vst_rule *hidden = vst_policy_hides(policy, rule);
	char text[TEXT_MAX], *match = match_text(rule);

	printf("  %s\n", rule->name);
	printf("      match  %s\n", match);
	free(match);
	for (size_t i = 0; i < rule->n_when; i++) {
		vst_condition_text(&rule->when[i], text, sizeof(text));
		printf("      when   %s\n", text);
	}
	for (unsigned int a = 0; a < VST_ATTR__N; a++) {
		if (!(rule->wants & 1U << a))
			continue;
		vst_rule_want_text(rule, a, text, sizeof(text));
		printf("      wants  %s\n", text);
	}
	if (vst_rule_note_text(rule, text, sizeof(text)))
		printf("      note   %s\n", text);
	if (hidden)
		printf("      never decides: '%s' in line %u comes later, matches all of this and sets the same\n",
		       hidden->name, hidden->line);
}

static void print_scope(const struct vst_policy *policy)
{
	size_t size = vst_policy_scope_text(policy, NULL, 0) + 1;
	char *text = vst_alloc(size);

	vst_policy_scope_text(policy, text, size);
	printf("; scope: %s\n", text);
	free(text);
}

static void print_iocost(const struct vst_policy *policy)
{
	for (size_t i = 0; i < policy->n_iocost; i++) {
		const struct vst_iocost *c = &policy->iocost[i];

		printf("  iocost on");
		for (size_t k = 0; k < c->device.n; k++)
			printf(" %s%s", c->device.glob[k].exclude ? "!" : "", c->device.glob[k].text);
		printf("\n      model  %s\n      qos    %s\n", c->model, c->qos);
	}
}

static void print_bcache(const struct vst_policy *policy)
{
	for (size_t i = 0; i < policy->n_bcache; i++) {
		const struct vst_bcache *b = &policy->bcache[i];

		printf("  bcache on");
		for (size_t k = 0; k < b->device.n; k++)
			printf(" %s%s", b->device.glob[k].exclude ? "!" : "", b->device.glob[k].text);
		printf("\n");
		for (int a = 0; a < VST_BCACHE_ATTR__N; a++)
			if (b->value[a])
				printf("      %s  %s\n", vst_bcache_attrs[a].name, b->value[a]);
	}
}

/* "policy.yaml: 3 rules: 2 weight, 1 protect" and the rules. */
static void print_policy(const struct vst_policy *policy)
{
	unsigned int n[VST_ATTR__N] = { 0 };
	const char *separator = ": ";

	for (size_t i = 0; i < policy->n_rules; i++)
		for (unsigned int a = 0; a < VST_ATTR__N; a++)
			n[a] += policy->rule[i].wants >> a & 1;
	printf("%s: %zu rule%s", policy->file, policy->n_rules, policy->n_rules == 1 ? "" : "s");
	for (unsigned int a = 0; a < VST_ATTR__N; a++) {
		if (!n[a])
			continue;
		printf("%s%u %s", separator, n[a], vst_attr_name(a));
		separator = ", ";
	}
	if (policy->n_blockio)
		printf("; %zu blockio class%s", policy->n_blockio, policy->n_blockio == 1 ? "" : "es");
	print_scope(policy);
	print_iocost(policy);
	print_bcache(policy);
	for (size_t i = 0; i < policy->n_rules; i++)
		print_rule(policy, &policy->rule[i]);
}

int vst_policy_check_file(const char *path, bool json)
{
	struct vst_policy *policy __attribute__((cleanup(vst_policy_freep))) = NULL;
	struct vst_policy_errors errors;
	int r;

	if (!path || !*path)
		return vst_usage("policy", "check needs the file of a policy");
	r = vst_policy_load(path, &policy, &errors);
	if (r == -ENOMEM) {
		vst_policy_errors_clear(&errors);
		vst_error("out of memory");
		return VST_EXIT_FAILED;
	}
	if (json)
		print_json(path, policy, &errors);
	else if (policy)
		print_policy(policy);
	else
		vst_policy_errors_print(&errors, stderr);
	vst_policy_errors_clear(&errors);
	return vst_output_end(r ? VST_EXIT_FAILED : VST_EXIT_OK);
}
