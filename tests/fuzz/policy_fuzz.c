/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Any bytes as a policy, and as the file of blockio classes that it imports. What is accepted has to keep what rules.h
 * promises, and is matched.
 *
 * LINK: policy lib agent/snapshot.c
 * LIBS: -lyaml -lzstd -lcap -lseccomp -lm
 * RUN: -dict=tests/fuzz/policy.dict -max_len=8192
 * SEED: tests/fixtures/policies tests/fuzz/policy_corpus
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/rules.h"

#define CHECK(what)                                                                                                    \
	do {                                                                                                           \
		if (!(what))                                                                                           \
			abort();                                                                                       \
	} while (0)

struct input {
	const char *text;
	size_t len;
};

/* The file that is imported is what follows the first "\n#import\n", or the whole input. */
static int read_input(void *arg, const char *path, char **ret_text, size_t *ret_len)
{
	const struct input *in = arg;

	*ret_text = malloc(in->len ? in->len : 1);
	if (!*ret_text)
		return -ENOMEM;
	memcpy(*ret_text, in->text, in->len);
	*ret_len = in->len;
	return 0;
}

static void check_errors(const struct vst_policy_errors *errors)
{
	CHECK(errors->total >= errors->n && errors->n <= VST_POLICY_MAX_ERRORS);
	for (size_t i = 0; i < errors->n; i++) {
		CHECK(errors->item[i].file && errors->item[i].text && *errors->item[i].text);
		for (const char *s = errors->item[i].text; *s; s++)
			CHECK((unsigned char)*s >= 0x20 && *s != 0x7f);
	}
}

/* What a quantity is written as is read as the same again, to three decimals. */
static void check_quantity(double value, enum vst_unit unit)
{
	char text[64];
	double again;

	vst_quantity_text(value, unit, text, sizeof(text));
	CHECK(!vst_quantity_parse(text, strlen(text), unit, &again));
	CHECK(fabs(again - value) <= 0.001 + value * 1e-9);
}

static void check_rule(const struct vst_policy *policy, const struct vst_rule *rule)
{
	char text[4096];

	CHECK(rule->name && *rule->name && rule->file && rule->wants && rule->wants < 1U << VST_ATTR__N);
	CHECK(rule == &policy->rule[rule->index]);
	for (unsigned int a = 0; a < VST_ATTR__N; a++)
		if (rule->wants & 1U << a)
			CHECK(vst_rule_want_text(rule, a, text, sizeof(text)) > 0);
	CHECK(!(rule->wants & 1U << VST_ATTR_WEIGHT) || (rule->weight >= 1 && rule->weight <= 10000));
	CHECK(!(rule->wants & 1U << VST_ATTR_CLASS) || rule->class <= VST_CLASS_MAX);
	CHECK(!(rule->wants & 1U << VST_ATTR_CACHE) || rule->cache < VST_CACHE__N);
	CHECK(!(rule->wants & 1U << VST_ATTR_IOPRIO) || (rule->ioprio.class < VST_IOPRIO__N && rule->ioprio.level < 8));
	CHECK(rule->n_when <= VST_POLICY_MAX_CONDITIONS);
	for (size_t i = 0; i < rule->n_when; i++) {
		const struct vst_condition *c = &rule->when[i];

		CHECK(c->is_alarm ? c->alarm < VST_ALARM__N : c->metric < VST_METRIC__N && c->cmp < VST_COMPARISON__N);
		CHECK(vst_condition_text(c, text, sizeof(text)) > 0);
		check_quantity(c->for_us, VST_UNIT_US);
		if (!c->is_alarm)
			check_quantity(c->value, vst_metric_unit(c->metric));
	}
}

static void check_policy(const struct vst_policy *policy)
{
	static const struct vst_label labels[] = { { "app", "web" }, { "tier", "" } };
	static const char *const links[] = { "/dev/mapper/vg-data" };
	struct vst_subject subject = { .field = { "prod", "mysql-0", "mysqld", "docker.io/library/mysql:8",
						  "/kubepods.slice/pod1/x", "sda", "LowPrio", "journal", "copy", "5" },
				       .label = labels,
				       .n_labels = 2,
				       .device_link = links,
				       .n_device_links = 1 };
	const struct vst_rule *winner[VST_ATTR__N];
	struct vst_resolution res;

	CHECK(policy->n_rules <= VST_POLICY_MAX_RULES);
	for (size_t i = 0; i < policy->n_rules; i++)
		check_rule(policy, &policy->rule[i]);
	for (int pass = 0; pass < 2; pass++) {
		vst_policy_winners(policy, &subject, NULL, winner);
		CHECK(!vst_policy_resolve(policy, &subject, NULL, &res));
		for (unsigned int a = 0; a < VST_ATTR__N; a++) {
			CHECK(res.attr[a].winner == winner[a]);
			CHECK(!winner[a] || (!winner[a]->n_when && vst_rule_matches(winner[a], &subject)));
		}
		vst_resolution_clear(&res);
		memset(&subject, 0, sizeof(subject)); /* nothing is known */
	}
	for (unsigned int k = 0; k < VST_KIND__N; k++)
		for (unsigned int s = 0; s < VST_SIZE__N; s++)
			CHECK(vst_policy_class(policy, k, s) <= VST_CLASS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char mark[] = "\n#import\n";
	const char *text = (const char *)data, *second = size ? memmem(text, size, mark, sizeof(mark) - 1) : NULL;
	struct input in = { .text = text, .len = size };
	struct vst_policy *policy = NULL;
	struct vst_policy_errors errors;
	int r;

	if (second) {
		in.text = second + sizeof(mark) - 1;
		in.len = text + size - in.text;
		size = second + 1 - text;
	}
	r = vst_policy_parse(text, size, "p.yaml", read_input, &in, &policy, &errors);
	check_errors(&errors);
	CHECK(r == -ENOMEM || (r == 0 && policy && !errors.total) || (r == -EINVAL && !policy && errors.total));
	if (!r)
		check_policy(policy);
	vst_policy_free(policy);
	vst_policy_errors_clear(&errors);
	return 0;
}
