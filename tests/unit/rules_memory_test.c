/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: policy/arena.c policy/rules*.c policy/bcache_file.c policy/step.c -lyaml -Wl,--wrap=calloc,--wrap=strdup,--wrap=vasprintf */
/* Out of memory at every place where the parser asks for some: -ENOMEM, and nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy/rules.h"

static unsigned int calls, fail_at; /* 0: never */

static bool is_to_fail(void)
{
	return ++calls == fail_at;
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return is_to_fail() ? NULL : __real_calloc(n, size);
}

char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__wrap_strdup(const char *s)
{
	return is_to_fail() ? NULL : __real_strdup(s);
}

int __real_vasprintf(char **ret, const char *fmt, va_list ap);
int __wrap_vasprintf(char **ret, const char *fmt, va_list ap);
int __wrap_vasprintf(char **ret, const char *fmt, va_list ap)
{
	return is_to_fail() ? -1 : __real_vasprintf(ret, fmt, ap);
}

static const char classes[] = "Classes: {a: [{Weight: 10}, {Devices: [/dev/sda], ThrottleReadBps: 1M}]}";

static int read_classes(void *arg, const char *path, char **ret_text, size_t *ret_len)
{
	*ret_text = malloc(sizeof(classes));
	assert_non_null(*ret_text);
	memcpy(*ret_text, classes, sizeof(classes));
	*ret_len = sizeof(classes) - 1;
	return 0;
}

/* Long lists, so that the arenas need several pieces of memory. */
static char *make_policy(const char *weight)
{
	char *text = malloc(1 << 17), *s = text;

	assert_non_null(text);
	s += sprintf(s, "version: 1\nimport: {blockio: x}\nscope: {namespaces: [a, b]}\nrules:\n");
	for (int i = 0; i < 40; i++) {
		s += sprintf(s, "  - {name: r%d, when: read > 1M, weight: %s, match: {labels: {a: b}, pod: [", i,
			     weight);
		for (int j = 0; j < 60; j++)
			s += sprintf(s, "pod-%d-*,", j);
		s += sprintf(s, "]}}\n");
	}
	return text;
}

/* With the n-th request for memory refused. */
static int parse(const char *text, unsigned int n)
{
	struct vst_policy *policy = NULL;
	struct vst_policy_errors errors;
	int r;

	calls = 0;
	fail_at = n;
	r = vst_policy_parse(text, strlen(text), "p.yaml", read_classes, NULL, &policy, &errors);
	fail_at = 0;
	assert_int_equal(!policy, r != 0);
	vst_policy_errors_clear(&errors);
	vst_policy_free(policy);
	return r;
}

static void good_policy(void **state)
{
	char *text = make_policy("5");
	unsigned int n;

	assert_int_equal(parse(text, 0), 0);
	n = calls;
	assert_true(n > 20);
	for (unsigned int i = 1; i <= n; i++)
		assert_int_equal(parse(text, i), -ENOMEM);
	assert_int_equal(parse(text, n + 1), 0);
	free(text);
}

static void bad_policy(void **state)
{
	char *text = make_policy("0");
	unsigned int n;

	assert_int_equal(parse(text, 0), -EINVAL);
	n = calls;
	assert_true(n > 100);
	for (unsigned int i = 1; i <= n; i++)
		assert_int_equal(parse(text, i), -ENOMEM);
	free(text);
}

static void resolution(void **state)
{
	static const char text[] =
		"version: 1\nrules: [{name: a, match: all, weight: 1}, {name: b, match: all, weight: 2,"
		"max: none}, {name: c, match: all, max: allowed}]\n";
	struct vst_subject subject = { .field = { NULL } };
	struct vst_resolution res = { .in_scope = false };
	struct vst_policy *policy = NULL;
	struct vst_policy_errors errors;

	assert_int_equal(vst_policy_parse(text, strlen(text), "p.yaml", NULL, NULL, &policy, &errors), 0);
	for (unsigned int i = 1; i <= 2; i++) {
		calls = 0;
		fail_at = i;
		assert_int_equal(vst_policy_resolve(policy, &subject, NULL, &res), -ENOMEM);
		assert_false(res.in_scope); /* untouched */
	}
	fail_at = 0;
	assert_int_equal(vst_policy_resolve(policy, &subject, NULL, &res), 0);
	vst_resolution_clear(&res);
	vst_policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_policy),
		cmocka_unit_test(bad_policy),
		cmocka_unit_test(resolution),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
