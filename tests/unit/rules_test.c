/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: policy/arena.c policy/rules*.c policy/bcache_file.c policy/step.c -lyaml */
/* Policies that are right: every form of every key, the limits, and that the man page knows all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "policy/rules_priv.h"

#define MAN_PAGE "docs/vstor.policy.5.scd"
#define MIB 1048576.0

/* A policy that has to be right; its errors are shown otherwise. */
static struct vst_policy *parse_len(const char *text, size_t len)
{
	struct vst_policy *policy = NULL;
	struct vst_policy_errors errors;
	int r = vst_policy_parse(text, len, "p.yaml", NULL, NULL, &policy, &errors);

	for (size_t i = 0; i < errors.n; i++)
		print_message("%u:%u: %s\n", errors.item[i].line, errors.item[i].column, errors.item[i].text);
	vst_policy_errors_clear(&errors);
	assert_int_equal(r, 0);
	return policy;
}

static struct vst_policy *parse(const char *text)
{
	return parse_len(text, strlen(text));
}

/* One rule, of which only this is written. */
static struct vst_policy *parse_rule(const char *keys)
{
	char text[2048];

	snprintf(text, sizeof(text), "version: 1\nrules:\n  - {name: a, match: all, %s}\n", keys);
	return parse(text);
}

/* The first error of a policy that has to be wrong. */
static void assert_error(const char *text, size_t len, unsigned int line, unsigned int column, const char *message)
{
	struct vst_policy *policy = NULL;
	struct vst_policy_errors errors;

	assert_int_equal(vst_policy_parse(text, len, "p.yaml", NULL, NULL, &policy, &errors), -EINVAL);
	assert_null(policy);
	assert_true(errors.n > 0);
	if (errors.item[0].line != line || errors.item[0].column != column || !strstr(errors.item[0].text, message)) {
		print_message("%u:%u: %s\n", errors.item[0].line, errors.item[0].column, errors.item[0].text);
		print_message("expected: %u:%u: %s\n", line, column, message);
		fail();
	}
	vst_policy_errors_clear(&errors);
}

static void smallest(void **state)
{
	struct vst_policy *p = parse("version: 1\n"
				     "rules:\n"
				     "  - {name: batch is light, match: {namespace: batch}, weight: 100}\n"
				     "  - name: database first\n"
				     "    match: {cgroup: \"/db.slice\"}\n"
				     "    weight: 800\n"
				     "    protect: {p99_fsync: 8ms}\n");

	assert_int_equal(p->n_rules, 2);
	assert_string_equal(p->file, "p.yaml");
	assert_string_equal(p->rule[0].name, "batch is light");
	assert_int_equal(p->rule[0].line, 3);
	assert_int_equal(p->rule[0].column, 5);
	assert_int_equal(p->rule[0].index, 0);
	assert_int_equal(p->rule[0].wants, 1 << VST_ATTR_WEIGHT);
	assert_int_equal(p->rule[0].weight, 100);
	assert_int_equal(p->rule[0].match[VST_MATCH_NAMESPACE].n, 1);
	assert_string_equal(p->rule[0].match[VST_MATCH_NAMESPACE].glob[0].text, "batch");
	assert_int_equal(p->rule[1].line, 4);
	assert_int_equal(p->rule[1].index, 1);
	assert_int_equal(p->rule[1].wants, 1 << VST_ATTR_WEIGHT | 1 << VST_ATTR_PROTECT);
	assert_int_equal(p->rule[1].protect_us[VST_OBJECTIVE_P99_FSYNC], 8000);
	assert_int_equal(p->rule[1].protect_us[VST_OBJECTIVE_P99_READ], 0);
	assert_int_equal(p->scope_namespaces.n + p->scope_cgroups.n, 0);
	vst_policy_free(p);
}

static void scopes(void **state)
{
	struct vst_policy *p = parse("version: 1\nscope: all\nrules: [{name: a, match: all, weight: 1}]\n");
	char text[128];

	assert_int_equal(p->scope_namespaces.n + p->scope_cgroups.n, 0);
	vst_policy_scope_text(p, text, sizeof(text));
	assert_string_equal(text, "all containers");
	vst_policy_free(p);

	p = parse("version: 1\nscope: {namespaces: [prod, web*, '!web-x'], cgroups: /db.slice/}\n"
		  "rules: [{name: a, match: all, weight: 1}]\n");
	assert_int_equal(p->scope_namespaces.n, 3);
	assert_true(p->scope_namespaces.glob[2].exclude);
	assert_string_equal(p->scope_namespaces.glob[2].text, "web-x");
	assert_string_equal(p->scope_cgroups.glob[0].text, "/db.slice");
	vst_policy_scope_text(p, text, sizeof(text));
	assert_string_equal(text, "namespace prod or web* but not web-x, or cgroup /db.slice");
	vst_policy_free(p);
}

static const struct vst_iocost *iocost_of(const struct vst_policy *p, const char *disk, const char *link)
{
	struct vst_subject s = { .field[VST_MATCH_DEVICE] = disk,
				 .device_link = &link,
				 .n_device_links = link ? 1 : 0 };

	return vst_policy_iocost(p, &s);
}

static void bcache_entries(void **state)
{
	struct vst_policy *p = parse("version: 1\n"
				     "bcache:\n"
				     "- {device: 'bcache*', sequential_cutoff: 4MiB, cache_mode: writeback}\n"
				     "- {device: bcache1, readahead_cache_policy: meta-only, writeback_percent: 20}\n"
				     "rules: [{name: a, match: all, weight: 1}]\n");
	struct vst_subject one = { .field[VST_MATCH_DEVICE] = "bcache1" }, other = { .field[VST_MATCH_DEVICE] = "sda" };
	const struct vst_bcache *b;

	assert_int_equal(p->n_bcache, 2);
	b = vst_policy_bcache(p, &one, VST_BCACHE_ATTR_SEQUENTIAL_CUTOFF);
	assert_ptr_equal(b, &p->bcache[0]);
	assert_string_equal(b->value[VST_BCACHE_ATTR_SEQUENTIAL_CUTOFF], "4194304");
	assert_string_equal(b->value[VST_BCACHE_ATTR_MODE], "writeback");
	b = vst_policy_bcache(p, &one, VST_BCACHE_ATTR_READAHEAD);
	assert_ptr_equal(b, &p->bcache[1]);
	assert_int_equal(b->line, 4);
	assert_null(vst_policy_bcache(p, &one, VST_BCACHE_ATTR_CONGESTED_READ));
	assert_null(vst_policy_bcache(p, &other, VST_BCACHE_ATTR_MODE));
	vst_policy_free(p);
}

static void iocost_entries(void **state)
{
	struct vst_policy *p = parse("version: 1\n"
				     "iocost:\n"
				     "- device: [nvme*, '!nvme0n1']\n"
				     "  model: ctrl=auto\n"
				     "  qos: enable=1 ctrl=auto\n"
				     "- device: /dev/vda\n"
				     "  model: \"ctrl=user model=linear rbps=195000000 rseqiops=4000 rrandiops=300 "
				     "wbps=100 wseqiops=2 wrandiops=1\"\n"
				     "  qos: \"enable=1 ctrl=user rpct=95.00 rlat=1000 wpct=95 wlat=16000 min=25.00 "
				     "max=100.00\"\n"
				     "rules: [{name: a, match: all, weight: 1}]\n");

	assert_int_equal(p->n_iocost, 2);
	assert_ptr_equal(iocost_of(p, "vda", NULL), &p->iocost[1]);
	assert_ptr_equal(iocost_of(p, "nvme1n1", NULL), &p->iocost[0]);
	assert_null(iocost_of(p, "nvme0n1", NULL));
	assert_null(iocost_of(p, "sda", NULL));
	assert_ptr_equal(iocost_of(p, "sda", "/dev/vda"), &p->iocost[1]); /* by its other name */
	assert_int_equal(p->iocost[1].line, 6);
	assert_string_equal(p->iocost[0].qos, "enable=1 ctrl=auto");
	assert_non_null(strstr(p->iocost[1].model, "wrandiops=1"));
	vst_policy_free(p);
}

static void notes(void **state)
{
	struct vst_policy *p =
		parse("version: 1\nrules:\n"
		      "- {name: a, match: all, when: [read > 1MiB/s, alarm mass_encryption], weight: 1}\n"
		      "- {name: b, match: all, when: read > 1MiB/s, weight: 1}\n"
		      "- {name: c, match: {pattern: sequential}, ioprio: idle}\n"
		      "- {name: d, match: {namespace: batch}, ioprio: idle}\n");
	char text[256] = "before";

	assert_true(vst_rule_note_text(&p->rule[0], text, sizeof(text)) > 0);
	assert_string_equal(
		text, "rule 'a' waits for the alarm mass_encryption: it counts only where vstord looks at what is "
		      "written (--insight sampled or full)");
	assert_int_equal(vst_rule_note_text(&p->rule[1], text, sizeof(text)), 0);
	assert_string_equal(text, "");
	assert_true(vst_rule_note_text(&p->rule[2], text, sizeof(text)) > 0);
	assert_string_equal(text,
			    "rule 'c' asks for an ioprio by pattern, and vstor does not know which threads do such "
			    "I/O: the rule has no effect; match the container instead");
	assert_int_equal(vst_rule_note_text(&p->rule[3], text, sizeof(text)), 0);
	vst_policy_free(p);
}

static void class_tables(void **state)
{
	struct vst_policy *p = parse_rule("weight: 1");

	for (unsigned int k = 0; k < VST_KIND__N; k++)
		for (unsigned int s = 0; s < VST_SIZE__N; s++)
			assert_int_equal(vst_policy_class(p, k, s), vst_class(k, s));
	assert_int_equal(vst_policy_class(p, VST_KIND__N, 0), 0);
	assert_int_equal(vst_policy_class(p, VST_KIND_DATA, VST_SIZE__N), 0);
	vst_policy_free(p);

	p = parse("version: 1\nclasses: {swap: 5, lt1m: 1, none: 2}\nrules: [{name: a, match: all, weight: 1}]\n");
	assert_int_equal(vst_policy_class(p, VST_KIND_SWAP, VST_SIZE_NONE), 5);
	assert_int_equal(vst_policy_class(p, VST_KIND_DATA, VST_SIZE_LT1M), 1);
	assert_int_equal(vst_policy_class(p, VST_KIND_DATA, VST_SIZE_NONE), 2);
	assert_int_equal(vst_policy_class(p, VST_KIND_DATA, VST_SIZE_LT2M), 3);
	assert_int_equal(vst_policy_class(p, VST_KIND_METADATA, VST_SIZE_NONE), 5);
	vst_policy_free(p);

	p = parse("version: 1\nclasses: {data: 3}\nrules: [{name: a, match: all, weight: 1}]\n");
	for (unsigned int s = 0; s < VST_SIZE__N; s++)
		assert_int_equal(vst_policy_class(p, VST_KIND_DATA, s), 3);
	vst_policy_free(p);
}

/* A key of the class table is a kind or a size, never both. */
static void class_names_are_unique(void **state)
{
	for (unsigned int k = 0; k < VST_KIND__N; k++)
		for (unsigned int s = 0; s < VST_SIZE__N; s++)
			assert_string_not_equal(vst_kind_name(k), vst_size_name(s));
}

/* What a rule wants, and how it is written again. */
static void wants(void **state)
{
	static const struct {
		const char *yaml;
		enum vst_attr attr;
		const char *text;
	} rows[] = {
		{ "weight: 1", VST_ATTR_WEIGHT, "weight 1" },
		{ "weight: 10000", VST_ATTR_WEIGHT, "weight 10000" },
		{ "weight: '0800'", VST_ATTR_WEIGHT, "weight 800" },
		{ "max: allowed", VST_ATTR_MAX, "max allowed" },
		{ "max: none", VST_ATTR_MAX, "max none" },
		{ "max: {write: 20MiB/s}", VST_ATTR_MAX, "max write 20MiB/s" },
		{ "max: {write: 20 MiB/s}", VST_ATTR_MAX, "max write 20MiB/s" },
		{ "max: {write: 20MiB}", VST_ATTR_MAX, "max write 20MiB/s" },
		{ "max: {write: 20Mi}", VST_ATTR_MAX, "max write 20MiB/s" },
		{ "max: {write: 20MB/s}", VST_ATTR_MAX, "max write 20MB/s" },
		{ "max: {write: 20M}", VST_ATTR_MAX, "max write 20MB/s" },
		{ "max: {read: 1.5GiB/s}", VST_ATTR_MAX, "max read 1.5GiB/s" },
		{ "max: {read: 500kB/s}", VST_ATTR_MAX, "max read 500kB/s" },
		{ "max: {read: 500K}", VST_ATTR_MAX, "max read 500kB/s" },
		{ "max: {read: 65536B/s}", VST_ATTR_MAX, "max read 64KiB/s" },
		{ "max: {read: 1TiB/s}", VST_ATTR_MAX, "max read 1TiB/s" },
		{ "max: {read_iops: 500}", VST_ATTR_MAX, "max read_iops 500/s" },
		{ "max: {write_iops: 2k}", VST_ATTR_MAX, "max write_iops 2000/s" },
		{ "max: {write_iops: 2k/s}", VST_ATTR_MAX, "max write_iops 2000/s" },
		{ "max: {write_iops: 200 iops}", VST_ATTR_MAX, "max write_iops 200/s" },
		{ "max: {read: 1M, write: 2M, read_iops: 30, write_iops: 40}", VST_ATTR_MAX,
		  "max read 1MB/s, write 2MB/s, read_iops 30/s, write_iops 40/s" },
		{ "ioprio: idle", VST_ATTR_IOPRIO, "ioprio idle" },
		{ "ioprio: none", VST_ATTR_IOPRIO, "ioprio none" },
		{ "ioprio: be", VST_ATTR_IOPRIO, "ioprio be/4" },
		{ "ioprio: be/0", VST_ATTR_IOPRIO, "ioprio be/0" },
		{ "ioprio: best-effort/7", VST_ATTR_IOPRIO, "ioprio be/7" },
		{ "cache: keep", VST_ATTR_CACHE, "cache keep" },
		{ "cache: normal", VST_ATTR_CACHE, "cache normal" },
		{ "cache: bypass", VST_ATTR_CACHE, "cache bypass" },
		{ "protect: none", VST_ATTR_PROTECT, "protect none" },
		{ "protect: {p99_fsync: 8ms}", VST_ATTR_PROTECT, "protect p99_fsync 8ms" },
		{ "protect: {p99_read: 800us, p99_write: 1.5s}", VST_ATTR_PROTECT,
		  "protect p99_read 800us, p99_write 1.5s" },
		{ "protect: {p99_read: 1m30s}", VST_ATTR_PROTECT, "protect p99_read 90s" },
		{ "class: 0", VST_ATTR_CLASS, "class 0" },
		{ "class: 5", VST_ATTR_CLASS, "class 5" },
		{ "cache: keep, class: 5", VST_ATTR_CLASS, "class 5" },
		{ "weight: 100, protect: {p99_read: 1ms}", VST_ATTR_PROTECT, "protect p99_read 1ms" },
	};
	char text[256];

	for (size_t i = 0; i < VST_ARRAY_SIZE(rows); i++) {
		struct vst_policy *p = parse_rule(rows[i].yaml);

		assert_true(p->rule[0].wants & 1U << rows[i].attr);
		vst_rule_want_text(&p->rule[0], rows[i].attr, text, sizeof(text));
		assert_string_equal(text, rows[i].text);
		vst_policy_free(p);
	}
}

static void values(void **state)
{
	struct vst_policy *p = parse_rule("max: {write: 20MiB/s, read_iops: 2k}, ioprio: idle");

	assert_false(p->rule[0].max.allowed);
	assert_int_equal(p->rule[0].max.limit[VST_LIMIT_WRITE], 20 * 1048576);
	assert_int_equal(p->rule[0].max.limit[VST_LIMIT_READ], 0);
	assert_int_equal(p->rule[0].max.limit[VST_LIMIT_READ_IOPS], 2000);
	/* the numbers of linux/ioprio.h */
	assert_int_equal(p->rule[0].ioprio.class, 3);
	assert_int_equal(VST_IOPRIO_BE, 2);
	assert_int_equal(VST_IOPRIO_RT, 1);
	vst_policy_free(p);
}

/* Conditions, and how they are written again. */
static void conditions(void **state)
{
	static const char *const rows[][2] = {
		{ "p99_read > 5ms for 10s", "p99_read > 5ms for 10s" },
		{ "p99_read > 5 ms for 10 s", "p99_read > 5ms for 10s" },
		{ "p99_read>5ms", "p99_read > 5ms" },
		{ "p99_read >= 5ms", "p99_read >= 5ms" },
		{ "p99_write < 1.5s for 2m", "p99_write < 1.5s for 2m" },
		{ "p99_fsync <= 800us for 1h", "p99_fsync <= 800us for 1h" },
		{ "p99_fsync > 100\xc2\xb5s", "p99_fsync > 100us" },
		{ "blamed > 200ms/s", "blamed > 200ms/s" },
		{ "blamed > 0", "blamed > 0us/s" },
		{ "waiting > 2s/s for 500ms", "waiting > 2s/s for 500ms" },
		{ "read > 50MiB/s", "read > 50MiB/s" },
		{ "write > 50M for 1m30s", "write > 50MB/s for 90s" },
		{ "read_iops > 1000", "read_iops > 1000/s" },
		{ "write_iops > 1k/s", "write_iops > 1000/s" },
		{ "device_queue > 8.5", "device_queue > 8.5" },
		{ "alarm mass_encryption", "alarm mass_encryption" },
		{ "alarm mass_encryption for 10s", "alarm mass_encryption for 10s" },
		{ "{metric: p99_read, above: 5ms}", "p99_read > 5ms" },
		{ "{metric: device_queue, below: 8, for: 10s}", "device_queue < 8 for 10s" },
		{ "{for: 1s, alarm: mass_encryption}", "alarm mass_encryption for 1s" },
	};
	char keys[256], text[256];

	for (size_t i = 0; i < VST_ARRAY_SIZE(rows); i++) {
		struct vst_policy *p;

		snprintf(keys, sizeof(keys), "weight: 1, when: [%s]", rows[i][0]);
		p = parse_rule(keys);
		assert_int_equal(p->rule[0].n_when, 1);
		vst_condition_text(&p->rule[0].when[0], text, sizeof(text));
		assert_string_equal(text, rows[i][1]);
		vst_policy_free(p);
	}
}

static void condition_values(void **state)
{
	struct vst_policy *p = parse_rule("weight: 1, when: [p99_read > 5ms for 10s, blamed <= 200ms/s, "
					  "alarm mass_encryption, write > 1MiB/s]");
	const struct vst_condition *when = p->rule[0].when;

	assert_int_equal(p->rule[0].n_when, 4);
	assert_int_equal(when[0].metric, VST_METRIC_P99_READ);
	assert_int_equal(when[0].cmp, VST_CMP_GT);
	assert_true(when[0].value == 5000);
	assert_int_equal(when[0].for_us, 10000000);
	assert_false(when[0].is_alarm);
	assert_int_equal(when[1].cmp, VST_CMP_LE);
	assert_true(when[1].value == 200000);
	assert_int_equal(when[1].for_us, 0);
	assert_true(when[2].is_alarm);
	assert_int_equal(when[2].alarm, VST_ALARM_MASS_ENCRYPTION);
	assert_true(when[3].value == MIB);
	vst_policy_free(p);

	/* without a list */
	p = parse_rule("weight: 1, when: read > 1M");
	assert_int_equal(p->rule[0].n_when, 1);
	vst_policy_free(p);
}

static void match_texts(void **state)
{
	static const char *const rows[][2] = {
		{ "all", "all" },
		{ "{pod: web}", "pod web" },
		{ "{pod: [web, db]}", "pod web or db" },
		{ "{pod: ['!web', db, '!x']}", "pod db but not web and not x" },
		{ "{pod: '!web'}", "pod not web" },
		{ "{namespace: prod, device: sda, labels: {app: web, tier: [a, b]}}",
		  "namespace prod, device sda, label app web, label tier a or b" },
		{ "{image: '*/mysql:*', container: mysqld, blockio: LowPrio}",
		  "container mysqld, image */mysql:*, blockio LowPrio" },
	};
	char yaml[256], text[256];

	for (size_t i = 0; i < VST_ARRAY_SIZE(rows); i++) {
		struct vst_policy *p;

		snprintf(yaml, sizeof(yaml), "version: 1\nrules: [{name: a, weight: 1, match: %s}]\n", rows[i][0]);
		p = parse(yaml);
		assert_int_equal(vst_rule_match_text(&p->rule[0], NULL, 0), strlen(rows[i][1]));
		vst_rule_match_text(&p->rule[0], text, sizeof(text));
		assert_string_equal(text, rows[i][1]);
		vst_policy_free(p);
	}
}

static void quantities(void **state)
{
	static const struct {
		const char *text;
		enum vst_unit unit;
		int r;
		double value;
	} rows[] = {
		{ "1us", VST_UNIT_US, 0, 1 },
		{ "1\xce\xbcs", VST_UNIT_US, 0, 1 },
		{ "0.5ms", VST_UNIT_US, 0, 500 },
		{ "1m30s", VST_UNIT_US, 0, 90e6 },
		{ "1h 2m 3s", VST_UNIT_US, 0, 3723e6 },
		{ "2min", VST_UNIT_US, 0, 120e6 },
		{ "5sec", VST_UNIT_US, 0, 5e6 },
		{ "0", VST_UNIT_US, 0, 0 },
		{ "5", VST_UNIT_US, -ENODATA, 0 },
		{ "1m30", VST_UNIT_US, -ENODATA, 0 },
		{ "", VST_UNIT_US, -EINVAL, 0 },
		{ "ms", VST_UNIT_US, -EINVAL, 0 },
		{ ".5ms", VST_UNIT_US, -EINVAL, 0 },
		{ "5.ms", VST_UNIT_US, -EINVAL, 0 },
		{ "-5ms", VST_UNIT_US, -EINVAL, 0 },
		{ "+5ms", VST_UNIT_US, -EINVAL, 0 },
		{ "5Ms", VST_UNIT_US, -EINVAL, 0 },
		{ "nan", VST_UNIT_US, -EINVAL, 0 },
		{ "1234567890123456ms", VST_UNIT_US, -EINVAL, 0 },
		{ "123456789012345h", VST_UNIT_US, -ERANGE, 0 },
		{ "1s/s", VST_UNIT_US_PER_S, 0, 1e6 },
		{ "1s", VST_UNIT_US_PER_S, -EINVAL, 0 },
		{ "1B/s", VST_UNIT_BYTES_PER_S, 0, 1 },
		{ "1B", VST_UNIT_BYTES_PER_S, 0, 1 },
		{ "1Ki", VST_UNIT_BYTES_PER_S, 0, 1024 },
		{ "1KB", VST_UNIT_BYTES_PER_S, 0, 1000 },
		{ "1T/s", VST_UNIT_BYTES_PER_S, -EINVAL, 0 },
		{ "1b/s", VST_UNIT_BYTES_PER_S, -EINVAL, 0 },
		{ "1", VST_UNIT_BYTES_PER_S, -ENODATA, 0 },
		{ "1", VST_UNIT_IOPS, 0, 1 },
		{ "1/s", VST_UNIT_IOPS, 0, 1 },
		{ "1M", VST_UNIT_IOPS, 0, 1e6 },
		{ "1ms", VST_UNIT_IOPS, -EINVAL, 0 },
		{ "1.25", VST_UNIT_NUMBER, 0, 1.25 },
		{ "1x", VST_UNIT_NUMBER, -EINVAL, 0 },
	};

	for (size_t i = 0; i < VST_ARRAY_SIZE(rows); i++) {
		double value = -1;
		int r = vst_quantity_parse(rows[i].text, strlen(rows[i].text), rows[i].unit, &value);

		if (r != rows[i].r || (!r && value != rows[i].value)) {
			print_message("'%s': %d %g\n", rows[i].text, r, value);
			fail();
		}
		/* untouched on failure */
		assert_true(!r || value == -1);
	}
}

/* --- limits --- */

static char *repeat(const char *head, const char *text, size_t n, const char *tail)
{
	char *buf = malloc(strlen(head) + n * (strlen(text) + 16) + strlen(tail) + 1), *s = buf;

	assert_non_null(buf);
	s += sprintf(s, "%s", head);
	for (size_t i = 0; i < n; i++)
		s += sprintf(s, text, (int)i);
	sprintf(s, "%s", tail);
	return buf;
}

static void many_rules(void **state)
{
	char *text = repeat("version: 1\nrules:\n", "  - {name: r%d, match: all, weight: 1}\n", 1000, "");
	struct vst_policy *p = parse(text);

	assert_int_equal(p->n_rules, 1000);
	assert_int_equal(p->rule[999].index, 999);
	vst_policy_free(p);
	free(text);

	text = repeat("version: 1\nrules:\n", "  - {name: r%d, match: all, weight: 1}\n", 1001, "");
	assert_error(text, strlen(text), 3, 3, "1001 rules");
	free(text);
}

static void large_files(void **state)
{
	size_t len = VST_POLICY_MAX_BYTES + 1;
	char *text = malloc(len);

	assert_non_null(text);
	memset(text, '#', len);
	assert_error(text, len, 0, 0, "larger than 1 MiB");
	assert_error(text, len - 1, 1, 1, "is empty");
	free(text);

	text = repeat("version: 1\nscope: {namespaces: [", "a%d,", VST_POLICY_MAX_NODES, "]}\n");
	/*
	 * Seven nodes come before a0, so a65529 is one too many. Before it are 21 characters of the line, and for each
	 * of the others two and its digits.
	 */
	assert_error(text, strlen(text), 2, 21 + 2 * 65529 + 10 + 90 * 2 + 900 * 3 + 9000 * 4 + 55529 * 5 + 1,
		     "more than 65536 entries");
	free(text);
}

static void long_texts(void **state)
{
	char text[1100];
	int begin = sprintf(text, "version: 1\nrules:\n  - {name: a, weight: 1, match: {pod: ");
	struct vst_policy *p;

	memset(text + begin, 'x', 1025);
	strcpy(text + begin + 1024, "}}\n");
	p = parse(text);
	assert_int_equal(strlen(p->rule[0].match[VST_MATCH_POD].glob[0].text), 1024);
	vst_policy_free(p);

	text[begin + 1024] = 'x';
	strcpy(text + begin + 1025, "}}\n");
	assert_error(text, strlen(text), 3, 39, "a text of 1025 bytes");
}

static void many_labels(void **state)
{
	char *text = repeat("version: 1\nrules:\n  - {name: a, weight: 1, match: {labels: {", "l%d: x, ", 65, "}}}\n");

	assert_error(text, strlen(text), 3, 42, "65 labels; up to 64");
	free(text);
}

static void not_text(void **state)
{
	static const char invalid[] = "version: 1\nrules:\n  - {name: \"\xc3\xa4\xff\"}\n";
	static const char nul[] = "version: 1\0\nrules: []\n";
	static const char control[] = "version: 1\nrules: \x1b[31m\n";
	static const char utf16[] = "\xff\xfev\0e\0r\0";

	assert_error(invalid, sizeof(invalid) - 1, 3, 14, "not a text in UTF-8");
	assert_error(nul, sizeof(nul) - 1, 1, 11, "not a text in UTF-8");
	assert_error(control, sizeof(control) - 1, 2, 8, "not a text in UTF-8");
	assert_error(utf16, sizeof(utf16) - 1, 1, 1, "not a text in UTF-8");
	assert_error("", 0, 1, 1, "is empty");
}

/* As editors on other systems write files. */
static void other_line_ends(void **state)
{
	struct vst_policy *p =
		parse("\xef\xbb\xbfversion: 1\r\nrules:\r\n  - name: a\r\n    match: all\r\n    weight: 1\r\n");

	assert_string_equal(p->rule[0].name, "a");
	assert_int_equal(p->rule[0].line, 3);
	vst_policy_free(p);
}

static void many_errors(void **state)
{
	char *text = repeat("version: 1\nrules:\n", "  - {name: r%d, match: all, weight: 0}\n", 60, "");
	struct vst_policy *policy = NULL;
	struct vst_policy_errors errors;
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	assert_int_equal(vst_policy_parse(text, strlen(text), "p.yaml", NULL, NULL, &policy, &errors), -EINVAL);
	assert_int_equal(errors.n, VST_POLICY_MAX_ERRORS);
	assert_int_equal(errors.total, 60);
	for (size_t i = 0; i < errors.n; i++)
		assert_int_equal(errors.item[i].line, 3 + i);
	assert_non_null(f);
	vst_policy_errors_print(&errors, f);
	fclose(f);
	assert_ptr_equal(strstr(out, "p.yaml:3:36: weight is '0', out of range; write a number from 1 to 10000\n"),
			 out);
	assert_non_null(strstr(out, "\n... and 10 more errors\n"));
	free(out);
	free(text);
	vst_policy_errors_clear(&errors);
}

/* A message shows what was written, without letting it control the terminal. */
static void quoting(void **state)
{
	char text[300];

	assert_string_equal(vst_quote("a\x1b[31m\xc2\x9b", 7).text, "'a?[31m?'");
	assert_string_equal(vst_quote("", 0).text, "''");
	memset(text, 'x', sizeof(text));
	assert_true(strlen(vst_quote(text, sizeof(text)).text) < sizeof(struct vst_quoted));
	/* cut off between characters only, wherever the end falls */
	for (size_t shift = 0; shift < 3; shift++) {
		for (size_t i = 0; i < 99; i++)
			memcpy(text + shift + 3 * i, "\xe2\x82\xac", 3);
		assert_true((strlen(vst_quote(text, 290).text) - 5 - shift) % 3 == 0);
	}
}

static void nearest_names(void **state)
{
	static const struct {
		const char *text, *nearest;
		bool close;
	} rows[] = {
		{ "wieght", "weight", true }, { "Weight", "weight", true }, { "protekt", "protect", true },
		{ "prio", "ioprio", true },   { "cach", "cache", true },    { "clas", "class", true },
		{ "mx", "max", true },	      { "zzz", "max", false },	    { "", "max", false },
	};
	bool close;

	for (size_t i = 0; i < VST_ARRAY_SIZE(rows); i++) {
		const char *s = vst_nearest(rows[i].text, strlen(rows[i].text), vst_attr_name, VST_ATTR__N, &close);

		assert_string_equal(s, rows[i].nearest);
		assert_int_equal(close, rows[i].close);
	}
}

static void files(void **state)
{
	char path[] = "/tmp/vstor-rules-test.XXXXXX", fifo[64];
	struct vst_policy *policy = NULL;
	struct vst_policy_errors errors;
	FILE *f;

	assert_non_null(mkdtemp(path));
	snprintf(fifo, sizeof(fifo), "%s/p", path);
	assert_int_equal(vst_policy_load(fifo, &policy, &errors), -EINVAL);
	assert_non_null(strstr(errors.item[0].text, "No such file"));
	vst_policy_errors_clear(&errors);
	assert_int_equal(vst_policy_load(path, &policy, &errors), -EINVAL);
	assert_non_null(strstr(errors.item[0].text, "Is a directory"));
	vst_policy_errors_clear(&errors);
	/* does not wait for a writer */
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(vst_policy_load(fifo, &policy, &errors), -EINVAL);
	assert_non_null(strstr(errors.item[0].text, "not a regular file"));
	vst_policy_errors_clear(&errors);
	assert_int_equal(remove(fifo), 0);

	f = fopen(fifo, "w");
	assert_non_null(f);
	fputs("version: 1\nrules: [{name: a, match: all, weight: 7}]\n", f);
	fclose(f);
	assert_int_equal(vst_policy_load(fifo, &policy, &errors), 0);
	assert_int_equal(policy->rule[0].weight, 7);
	assert_string_equal(policy->rule[0].file, fifo);
	vst_policy_free(policy);
	policy = NULL;
	assert_int_equal(truncate(fifo, VST_POLICY_MAX_BYTES + 1), 0);
	assert_int_equal(vst_policy_load(fifo, &policy, &errors), -EINVAL);
	assert_non_null(strstr(errors.item[0].text, "larger than 1 MiB"));
	vst_policy_errors_clear(&errors);
	assert_int_equal(remove(fifo), 0);
	assert_int_equal(remove(path), 0);
}

/* --- the man page --- */

static char *read_man_page(void)
{
	FILE *f = fopen(MAN_PAGE, "r");
	char *text = calloc(1, 1 << 18);

	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 18) - 1, f) > 1000);
	fclose(f);
	return text;
}

/* Every name that a user may write is in the man page, as *name* or, of values, as a word. */
static void man_page_knows_all(void **state)
{
	static const struct {
		vst_name_fn name;
		unsigned int n;
		bool bold;
	} lists[] = {
		{ vst_file_key_name, VST_FILE_KEY__N, true },
		{ vst_scope_key_name, VST_SCOPE_KEY__N, true },
		{ vst_import_key_name, VST_IMPORT_KEY__N, false },
		{ vst_rule_key_name, VST_RULE_KEY__N, true },
		{ vst_condition_key_name, VST_CONDITION_KEY__N, true },
		{ vst_match_field_name, VST_MATCH__N, true },
		{ vst_attr_name, VST_ATTR__N, true },
		{ vst_metric_name, VST_METRIC__N, true },
		{ vst_alarm_name, VST_ALARM__N, true },
		{ vst_comparison_name, VST_COMPARISON__N, false },
		{ vst_limit_name, VST_LIMIT__N, true },
		{ vst_objective_name, VST_OBJECTIVE__N, true },
		{ vst_cache_mode_name, VST_CACHE__N, true },
		{ vst_ioprio_name, VST_IOPRIO__N, true },
		{ vst_kind_name, VST_KIND__N, false },
		{ vst_pattern_name, VST_PATTERN__N, false },
		{ vst_size_name, VST_SIZE__N, false },
	};
	char *page = read_man_page(), word[64];
	unsigned int missing = 0;

	for (size_t i = 0; i < VST_ARRAY_SIZE(lists); i++) {
		for (unsigned int j = 0; j < lists[i].n; j++) {
			snprintf(word, sizeof(word), lists[i].bold ? "*%s" : "%s", lists[i].name(j));
			if (strstr(page, word))
				continue;
			print_message("%s: '%s' is not there\n", MAN_PAGE, word);
			missing++;
		}
	}
	assert_int_equal(missing, 0);
	free(page);
}

/* Its examples are policies. */
static void man_page_examples(void **state)
{
	static const char begin[] = "```\nversion: 1\n";
	char *page = read_man_page(), *s = page, *end;
	unsigned int n = 0;

	while ((s = strstr(s, begin)) != NULL) {
		s += 4;
		end = strstr(s, "```");
		assert_non_null(end);
		vst_policy_free(parse_len(s, end - s));
		s = end;
		n++;
	}
	assert_true(n >= 5);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smallest),
		cmocka_unit_test(scopes),
		cmocka_unit_test(iocost_entries),
		cmocka_unit_test(bcache_entries),
		cmocka_unit_test(notes),
		cmocka_unit_test(class_tables),
		cmocka_unit_test(class_names_are_unique),
		cmocka_unit_test(wants),
		cmocka_unit_test(values),
		cmocka_unit_test(conditions),
		cmocka_unit_test(condition_values),
		cmocka_unit_test(match_texts),
		cmocka_unit_test(quantities),
		cmocka_unit_test(many_rules),
		cmocka_unit_test(large_files),
		cmocka_unit_test(long_texts),
		cmocka_unit_test(many_labels),
		cmocka_unit_test(not_text),
		cmocka_unit_test(other_line_ends),
		cmocka_unit_test(many_errors),
		cmocka_unit_test(quoting),
		cmocka_unit_test(nearest_names),
		cmocka_unit_test(files),
		cmocka_unit_test(man_page_knows_all),
		cmocka_unit_test(man_page_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
