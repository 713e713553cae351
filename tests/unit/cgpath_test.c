/* SPDX-License-Identifier: GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/who/cgpath.c"

#define CORPUS "tests/fixtures/cgroups.tsv"
#define CORPUS_MIN 80

enum column { PATH, KIND, RUNTIME, ID, POD_UID, USER, SCOPE, OUTER, SOURCE, COLUMNS };

static const char *const column_names[] = { "path", "kind", "runtime", "id", "pod_uid", "user", "scope", "outer" };

/* \n, \t, \\, \xNN in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		unsigned int byte;

		if (*s != '\\') {
			*to++ = *s;
		} else if (s[1] == 'x' && sscanf(s + 2, "%2x", &byte) == 1) {
			*to++ = (char)byte;
			s += 3;
		} else {
			s++;
			*to++ = *s == 'n' ? '\n' : *s == 't' ? '\t' : *s;
		}
	}
	*to = 0;
}

static int wrong(int line, enum column c, const char *path, const char *want, const char *got, size_t len)
{
	if (strlen(want) == len && !memcmp(want, got, len))
		return 0;
	print_error("%s:%d: %s: %s is \"%.*s\", wanted \"%s\"\n", CORPUS, line, path, column_names[c], (int)len, got,
		    want);
	return 1;
}

static int check_row(int line, char *col[COLUMNS])
{
	struct vst_cgpath r;
	char user[24] = "-";
	int bad = 0;

	assert_int_equal(vst_cgpath_parse(col[PATH], &r), 0);
	if (r.uid >= 0)
		snprintf(user, sizeof(user), "%ld", r.uid);
#define CHECK(c, str, len) (bad += wrong(line, c, col[PATH], col[c], str, len))
	CHECK(KIND, vst_cgkind_name(r.kind), strlen(vst_cgkind_name(r.kind)));
	if (r.runtime == VST_RUNTIME_NONE)
		CHECK(RUNTIME, "-", 1);
	else
		CHECK(RUNTIME, vst_runtime_name(r.runtime), strlen(vst_runtime_name(r.runtime)));
	CHECK(ID, r.id ? r.id : "-", r.id ? r.id_len : 1);
	CHECK(POD_UID, r.pod_uid[0] ? r.pod_uid : "-", r.pod_uid[0] ? strlen(r.pod_uid) : 1);
	CHECK(USER, user, strlen(user));
	if (!strcmp(col[SCOPE], "="))
		col[SCOPE] = r.kind == VST_CGKIND_HOST ? "" : col[PATH];
	CHECK(SCOPE, r.path, r.scope_len);
	CHECK(OUTER, r.outer_len ? r.path : "-", r.outer_len ? r.outer_len : 1);
#undef CHECK
	assert_ptr_equal(r.path, col[PATH]);
	return bad;
}

static void corpus(void **state)
{
	FILE *f = fopen(CORPUS, "re");
	char *line = NULL, *p;
	size_t size = 0;
	int n = 0, rows = 0, bad = 0;

	if (!f)
		fail_msg("%s: cannot be opened: run the test from the top of the source tree", CORPUS);
	while (getline(&line, &size, f) > 0) {
		char *col[COLUMNS];
		int c;

		n++;
		if (*line == '#')
			continue;
		line[strcspn(line, "\n")] = 0;
		for (c = 0, p = line; c < COLUMNS; c++) {
			col[c] = strsep(&p, "\t");
			if (!col[c])
				fail_msg("%s:%d: %d columns, wanted %d", CORPUS, n, c, COLUMNS);
			unescape(col[c]);
		}
		if (p || !*col[SOURCE])
			fail_msg("%s:%d: a column too many, or no source", CORPUS, n);
		rows++;
		bad += check_row(n, col);
	}
	free(line);
	fclose(f);
	print_message("%d forms\n", rows);
	assert_true(rows >= CORPUS_MIN);
	if (bad)
		fail_msg("%d of the corpus are wrong", bad);
}

static void null_is_refused(void **state)
{
	struct vst_cgpath r = { .id_len = 42 };

	assert_int_equal(vst_cgpath_parse(NULL, &r), -EINVAL);
	assert_int_equal(r.id_len, 42);
}

/* A component as long as a path may be, and as many components as fit. */
static void long_paths(void **state)
{
	struct vst_cgpath r;
	size_t n = 1 << 20;
	char *path = malloc(n + 1);

	assert_non_null(path);
	memset(path, 'a', n);
	path[0] = '/';
	path[4096] = 0;
	assert_int_equal(vst_cgpath_parse(path, &r), 0);
	assert_int_equal(r.kind, VST_CGKIND_OTHER);
	assert_int_equal(r.scope_len, 4096);

	memcpy(path, "/lxc.payload.", 13);
	assert_int_equal(vst_cgpath_parse(path, &r), 0);
	assert_int_equal(r.kind, VST_CGKIND_CONTAINER);
	assert_int_equal(r.id_len, 4096 - 13);

	path[4096] = 'a';
	for (size_t i = 0; i < n; i += 2)
		path[i] = '/';
	path[n] = 0;
	assert_int_equal(vst_cgpath_parse(path, &r), 0);
	assert_int_equal(r.kind, VST_CGKIND_OTHER);
	assert_int_equal(r.scope_len, n);
	free(path);
}

/* A unit whose tree is delegated: what it makes directly below itself is told apart, with all that is below that. */
static void delegated_units(void **state)
{
	static const struct {
		const char *path;
		const char *scope; /* NULL: the unit stays one container */
		const char *id;
	} rows[] = {
		{ "/system.slice/foo.service/a", "/system.slice/foo.service/a", "foo.service/a" },
		{ "/system.slice/foo.service/b/c/d", "/system.slice/foo.service/b", "foo.service/b" },
		{ "/system.slice/foo.service", NULL, NULL },
		{ "/system.slice/foo.service//", NULL, NULL },
		{ "/system.slice/foo.service/..", NULL, NULL },
		{ "/system.slice/systemd-udevd.service/udev", NULL, NULL },
		{ "/system.slice/nginx.service/runtime", NULL, NULL },
		{ "/user.slice/user-7.slice/user@7.service/init.scope", NULL, NULL },
		{ "/user.slice/user-7.slice/user@7.service/app.slice/x.service/1",
		  "/user.slice/user-7.slice/user@7.service/app.slice/x.service/1", "x.service/1" },
		{ "/lxc.payload.web/system.slice/a.service", NULL,
		  NULL }, /* a container: it is one, whatever is inside */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vst_cgpath r;

		assert_int_equal(vst_cgpath_parse(rows[i].path, &r), 0);
		assert_int_equal(vst_cgpath_delegate(&r, strlen(rows[i].path)), rows[i].scope != NULL);
		if (!rows[i].scope)
			continue;
		assert_int_equal(r.kind, VST_CGKIND_UNIT);
		assert_int_equal(r.scope_len, strlen(rows[i].scope));
		assert_memory_equal(r.path, rows[i].scope, r.scope_len);
		assert_int_equal(r.id_len, strlen(rows[i].id));
		assert_memory_equal(r.id, rows[i].id, r.id_len);
	}
}

static void names(void **state)
{
	assert_string_equal(vst_cgkind_name(VST_CGKIND_HELPER), "helper");
	assert_string_equal(vst_cgkind_name(VST_CGKIND__N), "");
	assert_string_equal(vst_runtime_name(VST_RUNTIME_CRIO), "cri-o");
	assert_string_equal(vst_runtime_name(VST_RUNTIME__N), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(corpus),	   cmocka_unit_test(null_is_refused), cmocka_unit_test(long_paths),
		cmocka_unit_test(delegated_units), cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
