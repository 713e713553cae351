/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/who/labels.c -ljansson */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/snapshot.h"
#include "agent/who/labels.h"

static const char *value_of(const struct vst_labels *l, const char *key)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->label[i].key, key))
			return l->label[i].value;
	return NULL;
}

static void taken(void **state)
{
	json_t *json = json_loads(
		"{\"tier\":\"db\",\"n\":7,\"io.kubernetes.cri-o.Labels\":\"{}\",\"nul\":\"a\\u0000b\",\"empty\":\"\","
		"\"blockio.resources.beta.kubernetes.io/pod\":\"fast\"}",
		JSON_ALLOW_NUL, NULL);
	struct vst_labels l = { 0 };

	assert_non_null(json);
	vst_labels_take(&l, json);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.label[0].key, "blockio.resources.beta.kubernetes.io/pod");
	assert_string_equal(value_of(&l, "tier"), "db");
	assert_string_equal(value_of(&l, "empty"), "");
	/* what is known already stays */
	json_object_set_new(json, "tier", json_string("web"));
	vst_labels_take(&l, json);
	assert_int_equal(l.n, 3);
	assert_string_equal(value_of(&l, "tier"), "db");
	vst_labels_take(&l, NULL);
	assert_int_equal(l.n, 3);
	vst_labels_free(l.label, l.n);
	json_decref(json);
}

/* Somebody has many and long ones: so many are kept, and the class is one of them. */
static void bounded(void **state)
{
	char key[32], *value = malloc(VST_LABEL_VALUE_MAX + 2);
	struct vst_labels l = { 0 };
	json_t *json = json_object();

	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		json_object_set_new(json, key, json_string("v"));
	}
	json_object_set_new(json, "blockio.resources.beta.kubernetes.io/container.db", json_string("slow"));
	vst_labels_take(&l, json);
	assert_int_equal(l.n, VST_LABELS_MAX);
	assert_string_equal(value_of(&l, "blockio.resources.beta.kubernetes.io/container.db"), "slow");
	vst_labels_free(l.label, l.n);
	json_object_clear(json);
	memset(value, 'x', VST_LABEL_VALUE_MAX + 1);
	value[VST_LABEL_VALUE_MAX + 1] = 0;
	json_object_set_new(json, "too long", json_string(value));
	value[VST_LABEL_VALUE_MAX] = 0;
	for (int i = 0; i < 10; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		json_object_set_new(json, key, json_string(value));
	}
	l = (struct vst_labels){ 0 };
	vst_labels_take(&l, json);
	assert_null(value_of(&l, "too long"));
	assert_int_equal(l.n, VST_LABELS_BYTES / (VST_LABEL_VALUE_MAX + 4));
	vst_labels_free(l.label, l.n);
	json_decref(json);
	free(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taken),
		cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
