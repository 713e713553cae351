/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: policy/arena.c policy/rules*.c policy/bcache_file.c policy/step.c -lyaml */
/* Blockio classes as rules, and the annotations that name one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy/rules_priv.h"

/* The file that is imported: its content, and the path by which it was asked for. */
struct import {
	const char *text;
	char path[128];
};

static int read_import(void *arg, const char *path, char **ret_text, size_t *ret_len)
{
	struct import *import = arg;

	snprintf(import->path, sizeof(import->path), "%s", path);
	if (!import->text)
		return -ENOENT;
	*ret_text = strdup(import->text);
	*ret_len = strlen(import->text);
	return *ret_text ? 0 : -ENOMEM;
}

static const char importing[] = "version: 1\n"
				"rules:\n"
				"  - {name: own, match: {namespace: prod}, weight: 500}\n"
				"import: {blockio: blockio.yaml}\n";

static struct vst_policy *parse(const char *policy_text, const char *classes)
{
	struct import import = { .text = classes };
	struct vst_policy *policy = NULL;
	struct vst_policy_errors errors;
	int r = vst_policy_parse(policy_text, strlen(policy_text), "/etc/vstor/p.yaml", read_import, &import, &policy,
				 &errors);

	for (size_t i = 0; i < errors.n; i++)
		print_message("%s:%u:%u: %s\n", errors.item[i].file, errors.item[i].line, errors.item[i].column,
			      errors.item[i].text);
	vst_policy_errors_clear(&errors);
	assert_int_equal(r, 0);
	assert_string_equal(import.path, "/etc/vstor/blockio.yaml");
	return policy;
}

/* goresctrl's own example, in its form. */
static const char example[] = "Classes:\n"
			      "  LowPrioThrottled:\n"
			      "  - Devices:\n"
			      "      - /dev/sd[a-z]\n"
			      "      - /dev/vd[a-z]\n"
			      "    ThrottleReadBps: 50M   # max read bytes per second\n"
			      "    ThrottleWriteBps: 10Mi\n"
			      "    ThrottleReadIOPS: 10k\n"
			      "    ThrottleWriteIOPS: 5000\n"
			      "    Weight: 50\n"
			      "  - Weight: 80\n"
			      "  - Devices: [/dev/disk/by-id/*SSD*]\n"
			      "    ThrottleReadBps: 100M\n"
			      "  HighPrioFullSpeed:\n"
			      "  - Weight: 400\n"
			      "  NoLimits: []\n"
			      "  Nothing:\n";

static void classes_become_rules(void **state)
{
	struct vst_policy *p = parse(importing, example);
	const struct vst_rule *r = p->rule;
	char text[256];

	assert_int_equal(p->n_rules, 5);
	assert_int_equal(p->n_blockio, 4);
	/* the weight without devices first, though it is the second item */
	assert_string_equal(r[0].name, "blockio LowPrioThrottled item 2");
	assert_string_equal(r[0].file, "/etc/vstor/blockio.yaml");
	assert_int_equal(r[0].line, 11);
	assert_int_equal(r[0].wants, 1 << VST_ATTR_WEIGHT);
	assert_int_equal(r[0].weight, 80);
	vst_rule_match_text(&r[0], text, sizeof(text));
	assert_string_equal(text, "blockio LowPrioThrottled");

	assert_string_equal(r[1].name, "blockio LowPrioThrottled");
	assert_int_equal(r[1].wants, 1 << VST_ATTR_WEIGHT | 1 << VST_ATTR_MAX);
	assert_int_equal(r[1].weight, 50);
	assert_int_equal(r[1].max.limit[VST_LIMIT_READ], 50000000);
	assert_int_equal(r[1].max.limit[VST_LIMIT_WRITE], 10485760);
	assert_int_equal(r[1].max.limit[VST_LIMIT_READ_IOPS], 10000);
	assert_int_equal(r[1].max.limit[VST_LIMIT_WRITE_IOPS], 5000);
	vst_rule_match_text(&r[1], text, sizeof(text));
	assert_string_equal(text, "device /dev/sd[a-z] or /dev/vd[a-z], blockio LowPrioThrottled");

	assert_string_equal(r[2].name, "blockio LowPrioThrottled item 3");
	assert_int_equal(r[2].wants, 1 << VST_ATTR_MAX);
	assert_string_equal(r[3].name, "blockio HighPrioFullSpeed");
	assert_int_equal(r[3].weight, 400);
	/* the policy's own rules come last, wherever the import stands */
	assert_string_equal(r[4].name, "own");
	assert_int_equal(r[4].index, 4);

	assert_true(vst_policy_has_blockio(p, "LowPrioThrottled"));
	assert_true(vst_policy_has_blockio(p, "NoLimits"));
	assert_true(vst_policy_has_blockio(p, "Nothing"));
	assert_false(vst_policy_has_blockio(p, "lowpriothrottled"));
	assert_false(vst_policy_has_blockio(p, ""));
	vst_policy_free(p);
}

static void classes_decide(void **state)
{
	static const char *const ssd[] = { "/dev/disk/by-id/ata-SSD-1" };
	struct vst_policy *p = parse(importing, example);
	struct vst_subject s = { .field = {
					 [VST_MATCH_BLOCKIO] = "LowPrioThrottled", [VST_MATCH_DEVICE] = "nvme0n1" } };
	const struct vst_rule *winner[VST_ATTR__N];

	vst_policy_winners(p, &s, NULL, winner);
	assert_int_equal(winner[VST_ATTR_WEIGHT]->weight, 80);
	assert_null(winner[VST_ATTR_MAX]);

	s.field[VST_MATCH_DEVICE] = "sda";
	vst_policy_winners(p, &s, NULL, winner);
	assert_int_equal(winner[VST_ATTR_WEIGHT]->weight, 50);
	assert_int_equal(winner[VST_ATTR_MAX]->max.limit[VST_LIMIT_WRITE], 10485760);

	/* the last item that fits decides about throttling, as a whole; it sets no weight */
	s.device_link = ssd;
	s.n_device_links = 1;
	vst_policy_winners(p, &s, NULL, winner);
	assert_int_equal(winner[VST_ATTR_WEIGHT]->weight, 50);
	assert_int_equal(winner[VST_ATTR_MAX]->max.limit[VST_LIMIT_READ], 100000000);
	assert_int_equal(winner[VST_ATTR_MAX]->max.limit[VST_LIMIT_WRITE], 0);

	/* an administrator's rule wins over an annotation */
	s.field[VST_MATCH_NAMESPACE] = "prod";
	vst_policy_winners(p, &s, NULL, winner);
	assert_int_equal(winner[VST_ATTR_WEIGHT]->weight, 500);

	s.field[VST_MATCH_NAMESPACE] = "x";
	s.field[VST_MATCH_BLOCKIO] = "Unknown";
	vst_policy_winners(p, &s, NULL, winner);
	assert_null(winner[VST_ATTR_WEIGHT]);
	vst_policy_free(p);
}

/* A class is a name, not a glob. */
static void names_are_literal(void **state)
{
	struct vst_policy *p = parse(importing, "Classes: {'a*[x]?\\': [{Weight: 10}]}");
	struct vst_subject s = { .field = { [VST_MATCH_BLOCKIO] = "a*[x]?\\" } };

	assert_true(vst_rule_matches(&p->rule[0], &s));
	s.field[VST_MATCH_BLOCKIO] = "abxc\\";
	assert_false(vst_rule_matches(&p->rule[0], &s));
	vst_policy_free(p);
}

/* As goresctrl reads them. */
static void keys_in_any_case(void **state)
{
	struct vst_policy *p =
		parse(importing, "classes: {a: [{weight: 1000, devices: [/dev/sda], throttlereadbps: 0}]}");

	assert_int_equal(p->rule[0].weight, 1000);
	/* 0 is no limit */
	assert_true(p->rule[0].wants & 1 << VST_ATTR_MAX);
	assert_int_equal(p->rule[0].max.limit[VST_LIMIT_READ], 0);
	vst_policy_free(p);
}

static void only_classes(void **state)
{
	struct vst_policy *p = parse("version: 1\nimport: {blockio: blockio.yaml}\n", "Classes: {a: [{Weight: 10}]}");

	assert_int_equal(p->n_rules, 1);
	vst_policy_free(p);
}

static void quantities(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} rows[] = {
		{ "0", 0 },	      { "100k", 100000 },      { "50M", 50000000 },
		{ "2G", 2000000000 }, { "1T", 1000000000000 }, { "64Ki", 65536 },
		{ "1Mi", 1048576 },   { "1Gi", 1073741824 },   { "1Ti", 1099511627776 },
	};
	char text[256];

	for (size_t i = 0; i < VST_ARRAY_SIZE(rows); i++) {
		struct vst_policy *p;

		snprintf(text, sizeof(text), "Classes: {a: [{Devices: [/dev/sda], ThrottleReadBps: %s}]}",
			 rows[i].text);
		p = parse(importing, text);
		assert_int_equal(p->rule[0].max.limit[VST_LIMIT_READ], rows[i].value);
		vst_policy_free(p);
	}
}

static void errors_are_placed(void **state)
{
	static const struct {
		const char *classes;
		unsigned int line, column;
		const char *message;
	} rows[] = {
		{ "", 1, 1, "is empty" },
		{ "Classes", 1, 1, "a file of blockio classes is a text, not a mapping" },
		{ "Clases: {}", 1, 1, "did you mean 'Classes'?" },
		{ "Classes: []", 1, 10, "there are no classes" },
		{ "Classes:", 1, 9, "there are no classes" },
		{ "{}", 1, 1, "there are no classes" },
		{ "Classes: {a: 5}", 1, 14, "class 'a' is not a list" },
		{ "Classes: {a: {Weight: 5}}", 1, 14, "class 'a' is not a list" },
		{ "Classes: {a: [5]}", 1, 15, "an item of a class is a text, not a mapping" },
		{ "Classes:\n  a: [{Weight: 80}]\n  a: [{Weight: 90}]", 3, 3, "class 'a' is defined twice" },
		{ "Classes: {'': []}", 1, 11, "the name of a class is empty" },
		{ "Classes: {a: [{}]}", 1, 15, "sets nothing" },
		{ "Classes: {a: [{Devices: [/dev/sda]}]}", 1, 15, "sets nothing" },
		{ "Classes: {a: [{Weigth: 80}]}", 1, 16, "did you mean 'Weight'?" },
		{ "Classes: {a: [{Weight: 80, Limit: 5}]}", 1, 28, "unknown key 'Limit' in an item of a class" },
		{ "Classes: {a: [{Weight: 9}]}", 1, 24, "Weight is '9', out of range; write a number from 10 to 1000" },
		{ "Classes: {a: [{Weight: 1001}]}", 1, 24, "out of range" },
		{ "Classes: {a: [{ThrottleReadBps: 5M}]}", 1, 15, "throttling needs to know the disks" },
		{ "Classes: {a: [{Devices: [], Weight: 80}]}", 1, 25, "an empty list" },
		{ "Classes: {a: [{Devices: [/sys/x], Weight: 80}]}", 1, 26, "a device is named as" },
		{ "Classes: {a: [{Devices: [sda], ThrottleReadBps: fast}]}", 1, 49, "not a quantity" },
		{ "Classes: {a: [{Devices: [sda], ThrottleReadBps: 50MB}]}", 1, 49, "not a quantity" },
		{ "Classes: {a: [{Devices: [sda], ThrottleReadBps: 1e6}]}", 1, 49, "not a quantity" },
		{ "Classes: {a: [{Devices: [sda], ThrottleReadBps: -5}]}", 1, 49, "not a quantity" },
		{ "Classes: {a: [{Devices: [sda], ThrottleReadBps: [5]}]}", 1, 49, "is a list, not a single value" },
		{ "Classes: {a: [{Devices: [sda], ThrottleReadBps: 99999999T}]}", 1, 49,
		  "ThrottleReadBps is '99999999T', out of range; write one from 64Ki to 1Ti" },
		{ "Classes: {a: [{Devices: [sda], ThrottleReadBps: 65535}]}", 1, 49,
		  "out of range; write one from 64Ki" },
		{ "Classes: {a: [{Devices: [sda], ThrottleWriteBps: 1}]}", 1, 50, "out of range; write one from 64Ki" },
		{ "Classes: {a: [{Devices: [sda], ThrottleWriteIOPS: 9}]}", 1, 51,
		  "out of range; write one from 10 to 1G" },
		{ "Classes: {a: [{Devices: [sda], ThrottleReadBps: 99999999999999999999}]}", 1, 49, "out of range" },
		{ "Classes: {a: [", 2, 1, "not valid YAML" },
	};

	for (size_t i = 0; i < VST_ARRAY_SIZE(rows); i++) {
		struct import import = { .text = rows[i].classes };
		struct vst_policy *policy = NULL;
		struct vst_policy_errors errors;
		const struct vst_policy_error *e = &errors.item[0];

		assert_int_equal(vst_policy_parse(importing, strlen(importing), "p.yaml", read_import, &import, &policy,
						  &errors),
				 -EINVAL);
		if (errors.total != 1 || e->line != rows[i].line || e->column != rows[i].column ||
		    strcmp(e->file, "blockio.yaml") != 0 || !strstr(e->text, rows[i].message)) {
			print_message("%s\n%zu: %s:%u:%u: %s\n", rows[i].classes, errors.total, e->file, e->line,
				      e->column, e->text);
			fail();
		}
		vst_policy_errors_clear(&errors);
	}
}

/* The policy's own errors first, though the import is read before the rules. */
static void errors_of_both(void **state)
{
	static const char text[] =
		"version: 1\n"
		"import: {blockio: /x/blockio.yaml}\n"
		"rules: [{name: a, match: all, weight: 0}, {name: blockio a, match: all, weight: 1}]\n";
	struct import import = { .text = "Classes: {a: [{Weight: 80}], b: [{Weight: 1}]}" };
	struct vst_policy *policy = NULL;
	struct vst_policy_errors errors;

	assert_int_equal(vst_policy_parse(text, strlen(text), "p.yaml", read_import, &import, &policy, &errors),
			 -EINVAL);
	assert_int_equal(errors.total, 3);
	assert_string_equal(errors.item[0].file, "p.yaml");
	assert_int_equal(errors.item[0].column, 39);
	assert_non_null(strstr(errors.item[1].text, "the rule at /x/blockio.yaml:1 has the name 'blockio a' already"));
	assert_string_equal(errors.item[2].file, "/x/blockio.yaml");
	vst_policy_errors_clear(&errors);

	/* it cannot be read, or must not be */
	import.text = NULL;
	assert_int_equal(
		vst_policy_parse(importing, strlen(importing), "p.yaml", read_import, &import, &policy, &errors),
		-EINVAL);
	assert_int_equal(errors.item[0].line, 4);
	assert_int_equal(errors.item[0].column, 19);
	vst_policy_errors_clear(&errors);
	assert_int_equal(vst_policy_parse(importing, strlen(importing), "p.yaml", NULL, NULL, &policy, &errors),
			 -EINVAL);
	vst_policy_errors_clear(&errors);
}

static void many_classes(void **state)
{
	char *text = malloc(1 << 20), *s = text;
	struct import import = { .text = text };
	struct vst_policy *policy = NULL;
	struct vst_policy_errors errors;

	assert_non_null(text);
	s += sprintf(s, "Classes:\n");
	for (int i = 0; i < 1001; i++)
		s += sprintf(s, "  c%d: [{Weight: 10}]\n", i);
	assert_int_equal(
		vst_policy_parse(importing, strlen(importing), "p.yaml", read_import, &import, &policy, &errors),
		-EINVAL);
	assert_non_null(strstr(errors.item[0].text, "1001 classes; up to 1000 are read"));
	vst_policy_errors_clear(&errors);

	/* a thousand leave no room for the policy's own rule */
	s = strrchr(text, 'c') - 2;
	*s = 0;
	assert_int_equal(
		vst_policy_parse(importing, strlen(importing), "p.yaml", read_import, &import, &policy, &errors),
		-EINVAL);
	assert_string_equal(errors.item[0].file, "p.yaml");
	assert_non_null(strstr(errors.item[0].text, "1001 rules, imported ones included"));
	vst_policy_errors_clear(&errors);
	free(text);
}

#define KEY "blockio.resources.beta.kubernetes.io"

static void annotations(void **state)
{
	static const struct vst_label all[] = {
		{ KEY, "bare" },
		{ KEY "/pod", "pod" },
		{ KEY "/container.mysqld", "container" },
		{ KEY "/container.web", "other" },
		{ "io.kubernetes.cri.blockio-class", "cri" },
		{ "io.kubernetes.cri.container-name", "mysqld" },
	};
	static const struct vst_label empty[] = { { KEY "/container.mysqld", "" }, { KEY "/pod", "pod" } };
	char name[1024];

	assert_string_equal(vst_blockio_class(all, 6, "mysqld"), "cri");
	assert_string_equal(vst_blockio_class(all, 4, "mysqld"), "container");
	assert_string_equal(vst_blockio_class(all, 4, "web"), "other");
	assert_string_equal(vst_blockio_class(all, 4, "x"), "pod");
	assert_string_equal(vst_blockio_class(all, 4, NULL), "pod");
	assert_string_equal(vst_blockio_class(all, 1, "mysqld"), "bare");
	assert_null(vst_blockio_class(all, 0, "mysqld"));
	assert_null(vst_blockio_class(all + 5, 1, "mysqld"));
	/* an empty one takes the pod's class back */
	assert_null(vst_blockio_class(empty, 2, "mysqld"));
	assert_string_equal(vst_blockio_class(empty, 2, "web"), "pod");
	/* a name too long to be one does not become another's, and one with a format does nothing */
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_string_equal(vst_blockio_class(all, 4, name), "pod");
	assert_string_equal(vst_blockio_class(all, 4, "%s%n"), "pod");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes_become_rules), cmocka_unit_test(classes_decide),
		cmocka_unit_test(names_are_literal),	cmocka_unit_test(keys_in_any_case),
		cmocka_unit_test(only_classes),		cmocka_unit_test(quantities),
		cmocka_unit_test(errors_are_placed),	cmocka_unit_test(errors_of_both),
		cmocka_unit_test(many_classes),		cmocka_unit_test(annotations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
