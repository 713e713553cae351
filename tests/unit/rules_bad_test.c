/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: policy/arena.c policy/rules*.c policy/bcache_file.c policy/step.c -lyaml */
/*
 * Policies that are wrong. Each file in tests/fixtures/policies/bad begins with a comment for each error that it has,
 * and has no others: "# LINE:COLUMN part of the message". The lines of these comments count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy/rules.h"

#define BAD "tests/fixtures/policies/bad"
#define EXPECTED_MAX 8

struct expected {
	unsigned int line, column;
	char text[256];
};

static size_t read_expected(const char *path, struct expected *e)
{
	FILE *f = fopen(path, "r");
	char line[512];
	size_t n = 0;

	assert_non_null(f);
	while (n < EXPECTED_MAX && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (sscanf(line, "# %u:%u %255[^\n]", &e[n].line, &e[n].column, e[n].text) != 3)
			break;
		n++;
	}
	fclose(f);
	return n;
}

static bool is_as_expected(const struct vst_policy_errors *errors, const struct expected *e, size_t n)
{
	if (errors->total != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (errors->item[i].line != e[i].line || errors->item[i].column != e[i].column ||
		    !strstr(errors->item[i].text, e[i].text))
			return false;
	return true;
}

/* Says what was expected and what came, if they differ. */
static bool check(const char *name)
{
	struct expected e[EXPECTED_MAX];
	struct vst_policy_errors errors;
	struct vst_policy *policy = NULL;
	char path[512];
	size_t n;
	bool ok;
	int r;

	snprintf(path, sizeof(path), "%s/%s", BAD, name);
	n = read_expected(path, e);
	r = vst_policy_load(path, &policy, &errors);
	ok = n && r == -EINVAL && !policy && is_as_expected(&errors, e, n);
	if (!ok) {
		print_message("%s: expected\n", path);
		for (size_t i = 0; i < n; i++)
			print_message("  %u:%u ...%s...\n", e[i].line, e[i].column, e[i].text);
		print_message("but it returned %d with\n", r);
		for (size_t i = 0; i < errors.n; i++)
			print_message("  %u:%u %s\n", errors.item[i].line, errors.item[i].column, errors.item[i].text);
	}
	vst_policy_errors_clear(&errors);
	vst_policy_free(policy);
	return ok;
}

static int is_yaml(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return dot && !strcmp(dot, ".yaml");
}

static void bad_policies(void **state)
{
	struct dirent **file;
	int n = scandir(BAD, &file, is_yaml, alphasort), failed = 0;

	assert_true(n >= 200);
	for (int i = 0; i < n; i++) {
		failed += !check(file[i]->d_name);
		free(file[i]);
	}
	free(file);
	print_message("%d of %d bad policies gave the expected errors\n", n - failed, n);
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
