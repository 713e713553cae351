/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: policy/arena.c policy/rules*.c policy/bcache_file.c policy/step.c -lyaml */
/* Which rules match, and which of them decides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "policy/rules_priv.h"

static struct vst_policy *parse(const char *text)
{
	struct vst_policy *policy = NULL;
	struct vst_policy_errors errors;
	int r = vst_policy_parse(text, strlen(text), "p.yaml", NULL, NULL, &policy, &errors);

	for (size_t i = 0; i < errors.n; i++)
		print_message("%u:%u: %s\n", errors.item[i].line, errors.item[i].column, errors.item[i].text);
	vst_policy_errors_clear(&errors);
	assert_int_equal(r, 0);
	return policy;
}

static void globs(void **state)
{
	static const struct {
		const char *glob, *text;
		bool matches;
	} rows[] = {
		{ "web", "web", true },
		{ "web", "web1", false },
		{ "web", "we", false },
		{ "web", "Web", false },
		{ "*", "", true },
		{ "*", "anything/at all", true },
		{ "web*", "web", true },
		{ "web*", "web-1", true },
		{ "*web", "web", true },
		{ "*web", "my-web", true },
		{ "*web", "web-1", false },
		{ "w*b*1", "web-b-1", true },
		{ "w*b*1", "web-b-2", false },
		{ "**", "x", true },
		{ "a*b", "ab", true },
		{ "a*ab", "aab", true },
		{ "a*ab", "aaab", true },
		{ "?", "", false },
		{ "?", "x", true },
		{ "?", "xy", false },
		{ "web-?", "web-1", true },
		{ "sd[a-c]", "sdb", true },
		{ "sd[a-c]", "sdd", false },
		{ "sd[!a-c]", "sdd", true },
		{ "sd[^a-c]", "sdb", false },
		{ "sd[!a-c]", "sd", false },
		{ "[abc]", "c", true },
		{ "[]a]", "]", true },
		{ "[]a]", "a", true },
		{ "[!]a]", "]", false },
		{ "[a-]", "-", true },
		{ "[\\]]", "]", true },
		{ "[a\\-c]", "b", false },
		{ "[a\\-c]", "-", true },
		{ "a[0-9]*", "a1bc", true },
		{ "\\*", "*", true },
		{ "\\*", "x", false },
		{ "a\\?c", "a?c", true },
		{ "a\\[b", "a[b", true },
		{ "*/mysql:*", "docker.io/library/mysql:8.4", true },
		{ "*/mysql:*", "docker.io/library/mysqld:8.4", false },
		{ "\xc3\xa4*", "\xc3\xa4pfel", true },
		{ "[\xc3]\xa4", "\xc3\xa4", true },
	};

	for (size_t i = 0; i < VST_ARRAY_SIZE(rows); i++) {
		if (vst_glob_matches(rows[i].glob, rows[i].text) == rows[i].matches)
			continue;
		print_message("'%s' and '%s'\n", rows[i].glob, rows[i].text);
		fail();
	}
}

/* A cgroup matches with all that is below it. */
static void cgroups(void **state)
{
	static const struct {
		const char *glob, *path;
		bool matches;
	} rows[] = {
		{ "/", "/", true },
		{ "/", "/db.slice", true },
		{ "/db.slice", "/db.slice", true },
		{ "/db.slice", "/db.slice/mysql.service", true },
		{ "/db.slice", "/db.slices", false },
		{ "/db.slice", "/", false },
		{ "/db.slice", "/x/db.slice", false },
		{ "/db.slice/mysql.service", "/db.slice", false },
		{ "/*.slice", "/db.slice/x", true },
		{ "/*.slice", "/x/db.slice", false },
		{ "/*", "/db.slice", true },
		{ "/*/mysql.service", "/db.slice/mysql.service", true },
		{ "/*/mysql.service", "/db.slice/x/mysql.service", false },
		{ "/*/mysql*", "/db.slice/mysql.service/child", true },
		{ "/db?slice", "/db/slice", false },
		{ "/db[/]slice", "/db/slice", false },
		{ "/db[!x]slice", "/db/slice", false },
		{ "/kubepods.slice/*/cri-containerd-*", "/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope",
		  true },
	};

	for (size_t i = 0; i < VST_ARRAY_SIZE(rows); i++) {
		struct vst_glob glob = { .text = rows[i].glob };
		struct vst_globs list = { .glob = &glob, .n = 1 };

		if (vst_globs_match_cgroup(&list, rows[i].path) == rows[i].matches)
			continue;
		print_message("'%s' and '%s'\n", rows[i].glob, rows[i].path);
		fail();
	}
}

/* The time of a glob with many stars stays small: trying every star again would take longer than anyone waits. */
static void stars(void **state)
{
	char glob[1025], text[1025];
	clock_t begin = clock();

	for (int i = 0; i < 1024; i++) {
		glob[i] = i % 2 ? 'a' : '*';
		text[i] = 'a';
	}
	glob[1023] = 'b';
	glob[1024] = text[1024] = 0;
	for (int i = 0; i < 100; i++)
		assert_false(vst_glob_matches(glob, text));
	assert_true(clock() - begin < 20 * CLOCKS_PER_SEC);
}

static void lists(void **state)
{
	static const struct vst_glob two[] = { { "web", false }, { "db*", false } };
	static const struct vst_glob but[] = { { "db-1", true }, { "db*", false } };
	static const struct vst_glob not[] = { { "db-1", true }, { "kube-*", true } };
	struct vst_globs any = { .n = 0 }, list = { .glob = two, .n = 2 };

	assert_true(vst_globs_match(&any, "x"));
	assert_true(vst_globs_match(&any, NULL));
	assert_true(vst_globs_match(&list, "web"));
	assert_true(vst_globs_match(&list, "db-1"));
	assert_false(vst_globs_match(&list, "x"));
	assert_false(vst_globs_match(&list, NULL));
	list.glob = but;
	assert_false(vst_globs_match(&list, "db-1"));
	assert_true(vst_globs_match(&list, "db-2"));
	assert_false(vst_globs_match(&list, "x"));
	list.glob = not;
	assert_true(vst_globs_match(&list, "x"));
	assert_false(vst_globs_match(&list, "kube-system"));
	/* what is not known is not known to be something else */
	assert_false(vst_globs_match(&list, NULL));
}

static const struct vst_label labels[] = { { "app", "web" }, { "tier", "front" } };
static const char *const links[] = { "/dev/mapper/vg-data", "/dev/disk/by-id/ata-FastSSD-1" };
static const struct vst_subject mysql = {
	.field = { [VST_MATCH_NAMESPACE] = "prod",
		   [VST_MATCH_POD] = "mysql-0",
		   [VST_MATCH_CONTAINER] = "mysqld",
		   [VST_MATCH_IMAGE] = "docker.io/library/mysql:8.4",
		   [VST_MATCH_CGROUP] = "/kubepods.slice/pod1/mysqld",
		   [VST_MATCH_DEVICE] = "dm-3",
		   [VST_MATCH_BLOCKIO] = "LowPrio",
		   [VST_MATCH_KIND] = "journal",
		   [VST_MATCH_PATTERN] = "sequential",
		   [VST_MATCH_CLASS] = "5" },
	.label = labels,
	.n_labels = 2,
	.device_link = links,
	.n_device_links = 2,
};

/* Each field, with the container above and with one of which nothing is known. */
static void fields(void **state)
{
	static const struct {
		const char *match;
		bool matches;
	} rows[] = {
		{ "{namespace: prod}", true },
		{ "{namespace: '!prod'}", false },
		{ "{pod: mysql-*}", true },
		{ "{pod: mysql}", false },
		{ "{container: mysqld}", true },
		{ "{image: '*/mysql:*'}", true },
		{ "{image: mysql}", false },
		{ "{cgroup: /kubepods.slice}", true },
		{ "{cgroup: /kubepods.slice/pod1/}", true },
		{ "{cgroup: /kubepods.slice/pod2}", false },
		{ "{device: dm-3}", true },
		{ "{device: dm-*}", true },
		{ "{device: sda}", false },
		{ "{device: /dev/dm-3}", true },
		{ "{device: /dev/mapper/vg-data}", true },
		{ "{device: '/dev/disk/by-id/*SSD*'}", true },
		{ "{device: '/dev/disk/by-id/*HDD*'}", false },
		{ "{device: ['dm-*', '!/dev/mapper/vg-data']}", false },
		{ "{device: vg-data}", false },
		{ "{blockio: LowPrio}", true },
		{ "{blockio: HighPrio}", false },
		{ "{kind: journal}", true },
		{ "{kind: [metadata, journal]}", true },
		{ "{kind: data}", false },
		{ "{pattern: sequential}", true },
		{ "{pattern: copy}", false },
		{ "{class: 5}", true },
		{ "{class: [3, 4]}", false },
		{ "{class: '[345]'}", true },
		{ "{labels: {app: web}}", true },
		{ "{labels: {app: w*, tier: [front, back]}}", true },
		{ "{labels: {app: web, tier: back}}", false },
		{ "{labels: {team: a}}", false },
		{ "{labels: {team: '!a'}}", false },
		{ "{namespace: prod, pod: mysql-0, device: sda}", false },
		{ "{namespace: prod, pod: mysql-0, device: dm-3}", true },
	};
	static const struct vst_subject unknown;
	char text[256];

	for (size_t i = 0; i < VST_ARRAY_SIZE(rows); i++) {
		struct vst_policy *p;

		snprintf(text, sizeof(text), "version: 1\nrules: [{name: a, match: %s, ioprio: idle}]\n",
			 rows[i].match);
		p = parse(text);
		if (vst_rule_matches(&p->rule[0], &mysql) != rows[i].matches) {
			print_message("%s\n", rows[i].match);
			fail();
		}
		assert_false(vst_rule_matches(&p->rule[0], &unknown));
		vst_policy_free(p);
	}
}

static void match_all(void **state)
{
	static const struct vst_subject unknown;
	struct vst_policy *p = parse("version: 1\nrules: [{name: a, match: all, weight: 1}]\n");

	assert_true(vst_rule_matches(&p->rule[0], &mysql));
	assert_true(vst_rule_matches(&p->rule[0], &unknown));
	vst_policy_free(p);
}

/* --- precedence --- */

static const char layered[] = "version: 1\n"
			      "rules:\n"
			      "  - {name: default, match: all, weight: 100, max: {write: 10M}}\n"
			      "  - {name: prod, match: {namespace: prod}, weight: 500, max: {read: 5M}}\n"
			      "  - {name: bad day, match: {namespace: prod}, when: blamed > 1s/s, weight: 5}\n"
			      "  - {name: web, match: {pod: web}, weight: 7, ioprio: idle}\n"
			      "  - {name: stream, match: {kind: data}, ioprio: be/7}\n";

static const char *winner_name(const struct vst_rule *const *winner, enum vst_attr attr)
{
	return winner[attr] ? winner[attr]->name : "-";
}

static void last_rule_wins(void **state)
{
	struct vst_policy *p = parse(layered);
	const struct vst_rule *winner[VST_ATTR__N];
	bool holds[5] = { 0 };

	vst_policy_winners(p, &mysql, NULL, winner);
	assert_string_equal(winner_name(winner, VST_ATTR_WEIGHT), "prod");
	/* as a whole: the write limit of the earlier rule is not added */
	assert_string_equal(winner_name(winner, VST_ATTR_MAX), "prod");
	assert_int_equal(winner[VST_ATTR_MAX]->max.limit[VST_LIMIT_WRITE], 0);
	assert_string_equal(winner_name(winner, VST_ATTR_IOPRIO), "-");
	assert_string_equal(winner_name(winner, VST_ATTR_PROTECT), "-");

	holds[2] = true;
	vst_policy_winners(p, &mysql, holds, winner);
	assert_string_equal(winner_name(winner, VST_ATTR_WEIGHT), "bad day");
	assert_string_equal(winner_name(winner, VST_ATTR_MAX), "prod");

	/* what is told of rules without conditions does not count */
	memset(holds, false, sizeof(holds));
	vst_policy_winners(p, &mysql, holds, winner);
	assert_string_equal(winner_name(winner, VST_ATTR_WEIGHT), "prod");
	vst_policy_free(p);
}

static void streams(void **state)
{
	struct vst_policy *p = parse(layered);
	struct vst_subject data = mysql, whole = mysql;
	const struct vst_rule *winner[VST_ATTR__N];

	data.field[VST_MATCH_KIND] = "data";
	vst_policy_winners(p, &data, NULL, winner);
	assert_string_equal(winner_name(winner, VST_ATTR_IOPRIO), "stream");
	/* a container as a whole is no stream */
	whole.field[VST_MATCH_KIND] = NULL;
	vst_policy_winners(p, &whole, NULL, winner);
	assert_string_equal(winner_name(winner, VST_ATTR_IOPRIO), "-");
	vst_policy_free(p);
}

static void outside_the_scope(void **state)
{
	static const struct {
		const char *scope;
		bool in;
	} rows[] = {
		{ "all", true },
		{ "{namespaces: prod}", true },
		{ "{namespaces: ['!kube-*']}", true },
		{ "{namespaces: batch}", false },
		{ "{cgroups: /kubepods.slice}", true },
		{ "{cgroups: /system.slice}", false },
		{ "{namespaces: batch, cgroups: /kubepods.slice}", true },
		{ "{namespaces: prod, cgroups: /system.slice}", true },
		{ "{namespaces: batch, cgroups: /system.slice}", false },
	};
	const struct vst_rule *winner[VST_ATTR__N];
	char text[256];

	for (size_t i = 0; i < VST_ARRAY_SIZE(rows); i++) {
		struct vst_policy *p;

		snprintf(text, sizeof(text), "version: 1\nscope: %s\nrules: [{name: a, match: all, weight: 1}]\n",
			 rows[i].scope);
		p = parse(text);
		assert_int_equal(vst_policy_in_scope(p, &mysql), rows[i].in);
		vst_policy_winners(p, &mysql, NULL, winner);
		assert_string_equal(winner_name(winner, VST_ATTR_WEIGHT), rows[i].in ? "a" : "-");
		vst_policy_free(p);
	}
}

static void losers(void **state)
{
	struct vst_policy *p = parse(layered);
	struct vst_resolution res;

	assert_int_equal(vst_policy_resolve(p, &mysql, NULL, &res), 0);
	assert_true(res.in_scope);
	assert_string_equal(res.attr[VST_ATTR_WEIGHT].winner->name, "prod");
	assert_int_equal(res.attr[VST_ATTR_WEIGHT].n_losers, 3);
	assert_string_equal(res.attr[VST_ATTR_WEIGHT].loser[0].rule->name, "web");
	assert_int_equal(res.attr[VST_ATTR_WEIGHT].loser[0].verdict, VST_VERDICT_MISMATCH);
	assert_int_equal(res.attr[VST_ATTR_WEIGHT].loser[0].field, VST_MATCH_POD);
	assert_string_equal(res.attr[VST_ATTR_WEIGHT].loser[1].rule->name, "bad day");
	assert_int_equal(res.attr[VST_ATTR_WEIGHT].loser[1].verdict, VST_VERDICT_WAITING);
	assert_string_equal(res.attr[VST_ATTR_WEIGHT].loser[2].rule->name, "default");
	assert_int_equal(res.attr[VST_ATTR_WEIGHT].loser[2].verdict, VST_VERDICT_OVERRIDDEN);
	/* nobody sets it */
	assert_null(res.attr[VST_ATTR_PROTECT].winner);
	assert_int_equal(res.attr[VST_ATTR_PROTECT].n_losers, 0);
	/* nobody wins it */
	assert_null(res.attr[VST_ATTR_IOPRIO].winner);
	assert_int_equal(res.attr[VST_ATTR_IOPRIO].n_losers, 2);
	assert_int_equal(res.attr[VST_ATTR_IOPRIO].loser[0].field, VST_MATCH_KIND);
	vst_resolution_clear(&res);
	vst_policy_free(p);

	p = parse("version: 1\nscope: {namespaces: batch}\nrules:\n"
		  "  - {name: a, match: all, weight: 1}\n"
		  "  - {name: b, match: {labels: {app: db}}, weight: 2}\n");
	assert_int_equal(vst_policy_resolve(p, &mysql, NULL, &res), 0);
	assert_false(res.in_scope);
	assert_null(res.attr[VST_ATTR_WEIGHT].winner);
	assert_int_equal(res.attr[VST_ATTR_WEIGHT].loser[0].verdict, VST_VERDICT_MISMATCH);
	assert_int_equal(res.attr[VST_ATTR_WEIGHT].loser[0].field, VST_MATCH__N); /* a label */
	assert_int_equal(res.attr[VST_ATTR_WEIGHT].loser[1].verdict, VST_VERDICT_OUTSIDE);
	vst_resolution_clear(&res);
	vst_policy_free(p);
}

static void hidden_rules(void **state)
{
	struct vst_policy *p = parse("version: 1\nrules:\n"
				     "  - {name: 0, match: {pod: web}, weight: 1}\n"
				     "  - {name: 1, match: {pod: web}, weight: 1, max: allowed}\n"
				     "  - {name: 2, match: {pod: db}, weight: 1}\n"
				     "  - {name: 3, match: {pod: web}, weight: 2}\n"
				     "  - {name: 4, match: {pod: db}, when: read > 1M, weight: 2}\n"
				     "  - {name: 5, match: {pod: x}, ioprio: idle}\n"
				     "  - {name: 6, match: {pod: x, labels: {a: b}}, ioprio: be}\n"
				     "  - {name: 7, match: all, max: none}\n");

	assert_string_equal(vst_policy_hides(p, &p->rule[0])->name, "1");
	assert_null(vst_policy_hides(p, &p->rule[1])); /* its max is hidden, its weight too, but by two rules */
	assert_null(vst_policy_hides(p, &p->rule[2]));
	assert_null(vst_policy_hides(p, &p->rule[3]));
	assert_null(vst_policy_hides(p, &p->rule[5]));
	assert_null(vst_policy_hides(p, &p->rule[7]));
	vst_policy_free(p);
}

static void used_metrics(void **state)
{
	struct vst_policy *p = parse("version: 1\nrules:\n"
				     "  - {name: a, match: all, weight: 1, when: [alarm mass_encryption, read > 1M]}\n"
				     "  - {name: b, match: all, protect: {p99_fsync: 1ms}}\n"
				     "  - {name: c, match: all, protect: none}\n");

	for (unsigned int m = 0; m < VST_METRIC__N; m++)
		assert_int_equal(vst_policy_uses(p, m), m == VST_METRIC_READ || m == VST_METRIC_P99_FSYNC);
	vst_policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(globs),	  cmocka_unit_test(cgroups),	  cmocka_unit_test(stars),
		cmocka_unit_test(lists),	  cmocka_unit_test(fields),	  cmocka_unit_test(match_all),
		cmocka_unit_test(last_rule_wins), cmocka_unit_test(streams),	  cmocka_unit_test(outside_the_scope),
		cmocka_unit_test(losers),	  cmocka_unit_test(hidden_rules), cmocka_unit_test(used_metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
