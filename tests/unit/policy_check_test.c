/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: ctl/policy_check.c ctl/json.c policy/arena.c policy/rules*.c policy/bcache_file.c policy/step.c -ljansson -lyaml -lm */
/* What `vstorctl policy check` prints, and how it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "ctl/ctl.h"
#include "ctl/policy_check.h"

/* main.c's, which has the program's main(). */
void vst_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
}

int vst_usage(const char *command, const char *fmt, ...)
{
	fprintf(stderr, "usage of %s\n", command);
	return VST_EXIT_USAGE;
}

int vst_output_end(int rc)
{
	return fflush(stdout) ? VST_EXIT_FAILED : rc;
}

static char dir[] = "/tmp/vstor-policy-check.XXXXXX";
static char path[64], printed[8192];

/* Standard output and error of a check of this text, in order, in printed[]. */
static int check(const char *text, bool json)
{
	FILE *f, *out = tmpfile();
	int saved[2], r;
	size_t n;

	assert_non_null(out);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	for (int fd = 1; fd <= 2; fd++) {
		fflush(fd == 1 ? stdout : stderr);
		saved[fd - 1] = dup(fd);
		assert_int_equal(dup2(fileno(out), fd), fd);
	}
	r = vst_policy_check_file(path, json);
	for (int fd = 1; fd <= 2; fd++) {
		fflush(fd == 1 ? stdout : stderr);
		assert_int_equal(dup2(saved[fd - 1], fd), fd);
		close(saved[fd - 1]);
	}
	rewind(out);
	n = fread(printed, 1, sizeof(printed) - 1, out);
	printed[n] = 0;
	fclose(out);
	return r;
}

static const char good[] = "version: 1\n"
			   "scope: {namespaces: prod}\n"
			   "rules:\n"
			   "  - {name: light, match: {pod: [a, b]}, when: read > 1MiB/s for 10s, weight: 50}\n"
			   "  - {name: old, match: {pod: c}, weight: 7}\n"
			   "  - {name: new, match: {pod: c}, weight: 8, max: allowed}\n";

static void good_policy(void **state)
{
	char expected[1024];

	snprintf(expected, sizeof(expected),
		 "%s: 3 rules: 3 weight, 1 max; scope: namespace prod\n"
		 "  light\n"
		 "      match  pod a or b\n"
		 "      when   read > 1MiB/s for 10s\n"
		 "      wants  weight 50\n"
		 "  old\n"
		 "      match  pod c\n"
		 "      wants  weight 7\n"
		 "      never decides: 'new' in line 6 comes later, matches all of this and sets the same\n"
		 "  new\n"
		 "      match  pod c\n"
		 "      wants  weight 8\n"
		 "      wants  max allowed\n",
		 path);
	assert_int_equal(check(good, false), VST_EXIT_OK);
	assert_string_equal(printed, expected);
}

static void notes_and_iocost(void **state)
{
	static const char text[] = "version: 1\n"
				   "iocost:\n"
				   "  - {device: [sd*, '!sdb'], model: ctrl=auto, qos: enable=1 ctrl=auto}\n"
				   "rules:\n"
				   "  - {name: x, match: all, when: alarm mass_encryption, weight: 50}\n";
	char expected[1024];

	snprintf(expected, sizeof(expected),
		 "%s: 1 rule: 1 weight; scope: all containers\n"
		 "  iocost on sd* !sdb\n"
		 "      model  ctrl=auto\n"
		 "      qos    enable=1 ctrl=auto\n"
		 "  x\n"
		 "      match  all\n"
		 "      when   alarm mass_encryption\n"
		 "      wants  weight 50\n"
		 "      note   rule 'x' waits for the alarm mass_encryption: it counts only where vstord looks at what "
		 "is written (--insight sampled or full)\n",
		 path);
	assert_int_equal(check(text, false), VST_EXIT_OK);
	assert_string_equal(printed, expected);
	assert_int_equal(check(text, true), VST_EXIT_OK);
	assert_non_null(strstr(printed, "\"note\":\"rule 'x' waits for the alarm"));
	assert_non_null(strstr(printed, "\"qos\":\"enable=1 ctrl=auto\""));
}

static void bad_policy(void **state)
{
	char expected[1024];

	snprintf(expected, sizeof(expected),
		 "%s:2:1: unknown key 'rulse' in a policy; did you mean 'rules'?\n"
		 "%s:2:39: weight is '0', out of range; write a number from 1 to 10000\n",
		 path, path);
	assert_int_equal(check("version: 1\nrulse: [{name: a, match: all, weight: 0}]\n", false), VST_EXIT_FAILED);
	assert_string_equal(printed, expected);
}

static json_t *parse_line(void)
{
	json_t *o = json_loads(printed, 0, NULL);

	assert_non_null(o);
	assert_ptr_equal(strchr(printed, '\n'), printed + strlen(printed) - 1);
	assert_int_equal(json_integer_value(json_object_get(o, "schema")), 1);
	assert_string_equal(json_string_value(json_object_get(o, "file")), path);
	return o;
}

static void good_policy_as_json(void **state)
{
	json_t *o, *rules, *rule;

	assert_int_equal(check(good, true), VST_EXIT_OK);
	o = parse_line();
	rules = json_object_get(o, "rules");
	assert_true(json_is_true(json_object_get(o, "good")));
	assert_int_equal(json_array_size(rules), 3);
	assert_int_equal(json_array_size(json_object_get(o, "errors")), 0);
	rule = json_array_get(rules, 0);
	assert_string_equal(json_string_value(json_object_get(rule, "name")), "light");
	assert_string_equal(json_string_value(json_object_get(rule, "match")), "pod a or b");
	assert_string_equal(json_string_value(json_array_get(json_object_get(rule, "when"), 0)),
			    "read > 1MiB/s for 10s");
	assert_string_equal(json_string_value(json_array_get(json_object_get(rule, "wants"), 0)), "weight 50");
	assert_string_equal(json_string_value(json_object_get(json_array_get(rules, 1), "hidden_by")), "new");
	json_decref(o);
}

static void bad_policy_as_json(void **state)
{
	json_t *o, *e;

	assert_int_equal(check("version: 1\nrules: [{name: a, match: all, weight: 0}]\n", true), VST_EXIT_FAILED);
	o = parse_line();
	assert_true(json_is_false(json_object_get(o, "good")));
	assert_int_equal(json_integer_value(json_object_get(o, "errors_total")), 1);
	e = json_array_get(json_object_get(o, "errors"), 0);
	assert_int_equal(json_integer_value(json_object_get(e, "line")), 2);
	assert_int_equal(json_integer_value(json_object_get(e, "column")), 39);
	assert_non_null(strstr(json_string_value(json_object_get(e, "message")), "out of range"));
	json_decref(o);
}

static void no_file(void **state)
{
	assert_int_equal(vst_policy_check_file(NULL, false), VST_EXIT_USAGE);
	assert_int_equal(vst_policy_check_file("", true), VST_EXIT_USAGE);
	assert_int_equal(vst_policy_check_file("/no/such/file", true), VST_EXIT_FAILED);
}

static int make_dir(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/policy.yaml", dir);
	return 0;
}

static int remove_dir(void **state)
{
	remove(path);
	return remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_policy),	      cmocka_unit_test(notes_and_iocost),
		cmocka_unit_test(bad_policy),	      cmocka_unit_test(good_policy_as_json),
		cmocka_unit_test(bad_policy_as_json), cmocka_unit_test(no_file),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
