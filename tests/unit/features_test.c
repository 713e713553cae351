/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: features/features_kernel.c features/features_host.c -lbpf */
/* Other hosts, made of a directory with their /proc and /sys, a BTF and the answers of bpf(2). */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "features/features.c"
#include "vstor/abi_symbols.h"

#define ROOT_STATUS "Name:\tx\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n"
#define HOST_UID_MAP "         0          0 4294967295\n"

static int map_err, prog_err, stats_err;
static __u32 prog_target;

static int fake_map(void)
{
	return map_err;
}

static int fake_prog(int attach_type, __u32 btf_id)
{
	prog_target = btf_id;
	return prog_err;
}

static int fake_stats(void)
{
	return stats_err;
}

struct host {
	struct vst_features_ctx ctx;
	char root[64];
};

static void put(const struct host *h, const char *path, const char *text)
{
	char full[512];
	FILE *f;

	assert_true(snprintf(full, sizeof(full), "%s%s", h->root, path) < (int)sizeof(full));
	for (char *p = full + strlen(h->root) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		if (mkdir(full, 0755))
			assert_int_equal(errno, EEXIST);
		*p = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void drop(const struct host *h, const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", h->root, path);
	assert_int_equal(nftw(full, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* As pahole writes it: typedef -> pointer -> prototype with the program's own pointer first. */
static void add_tracepoint(struct btf *btf, const char *name, int args)
{
	char full[64];
	int proto = btf__add_func_proto(btf, 0);

	for (int i = 0; i < args + 1; i++)
		assert_int_equal(btf__add_func_param(btf, NULL, 1), 0);
	snprintf(full, sizeof(full), "btf_trace_%s", name);
	assert_true(btf__add_typedef(btf, full, btf__add_ptr(btf, proto)) > 0);
}

static void add_function(struct btf *btf, const char *name)
{
	assert_true(btf__add_func(btf, name, BTF_FUNC_STATIC, btf__add_func_proto(btf, 0)) > 0);
}

/* The tracepoints of the table, without one, and one with other arguments. */
static struct btf *make_btf(const char *without, const char *odd, int odd_args)
{
	struct btf *btf = btf__new_empty();

	assert_non_null(btf);
	assert_int_equal(btf__add_ptr(btf, 0), 1);
	for (size_t i = 0; i < N(rows); i++) {
		if (rows[i].look != vst_look_tracepoint || (without && !strcmp(rows[i].arg, without)))
			continue;
		if (rows[i].args == VST_FUNCTION) {
			assert_true(btf__add_func(btf, rows[i].arg, BTF_FUNC_STATIC, btf__add_func_proto(btf, 0)) > 0);
			continue;
		}
		add_tracepoint(btf, rows[i].arg, odd && !strcmp(rows[i].arg, odd) ? odd_args : (int)rows[i].args);
	}
	return btf;
}

static void host_btf(struct host *h, struct btf *btf)
{
	btf__free(h->ctx.own_btf);
	h->ctx.own_btf = btf;
	h->ctx.btf = btf;
}

/* A host on which nothing is missing: unified cgroups, ext4 built in, the rest modules. */
static int set_up(void **state)
{
	struct host *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	snprintf(h->root, sizeof(h->root), "/tmp/vstor-features-XXXXXX");
	assert_non_null(mkdtemp(h->root));
	h->ctx.root = h->root;
	h->ctx.release = "6.12.74-amd64";
	h->ctx.page_size = 4096;
	h->ctx.try_map = fake_map;
	h->ctx.try_prog = fake_prog;
	h->ctx.try_stats = fake_stats;
	map_err = prog_err = stats_err = 0;
	host_btf(h, make_btf(NULL, NULL, 0));
	assert_true(btf__add_enum(h->ctx.own_btf, "special_kfunc_type", 4) > 0);
	assert_int_equal(btf__add_enum_value(h->ctx.own_btf, "KF_bpf_list_push_front", 2), 0);
	assert_int_equal(btf__add_enum_value(h->ctx.own_btf, "KF_bpf_rdonly_cast", 10), 0);
	add_function(h->ctx.own_btf, "bpf_fentry_test1");
	add_function(h->ctx.own_btf, VST_SYSCALLS_FUNCTION);
	put(h, "/proc/self/status", ROOT_STATUS);
	put(h, "/proc/self/uid_map", HOST_UID_MAP);
	put(h, "/proc/self/mountinfo",
	    "24 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
	    "31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
	put(h, "/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
	put(h, "/sys/fs/cgroup/cgroup.subtree_control", "cpu io memory pids\n");
	put(h, "/sys/fs/cgroup/system.slice/cgroup.subtree_control", "io memory\n");
	put(h, "/proc/filesystems", "nodev\tsysfs\nnodev\tcgroup2\n\text4\n\txfs\n");
	put(h, "/sys/module/xfs/initstate", "live\n");
	put(h, "/sys/kernel/btf/xfs", "");
	put(h, "/lib/modules/6.12.74-amd64/modules.dep",
	    "kernel/fs/btrfs/btrfs.ko.xz: kernel/lib/raid6/raid6_pq.ko.xz\n");
	put(h, "/proc/kallsyms",
	    "ffffffff81000000 T _stext\n"
	    "ffffffff81200000 t iomap_dio_bio_end_io\n"
	    "ffffffff81300000 t iomap_dio_bio_end_io_not\n"
	    "ffffffffc0200000 t xlog_bio_end_io\t[xfs]\n");
	put(h, "/proc/sys/net/core/bpf_jit_enable", "1\n");
	put(h, "/sys/block/sda/size", "4096\n");
	put(h, "/sys/block/sda/queue/iostats", "1\n");
	*state = h;
	return 0;
}

static int tear_down(void **state)
{
	struct host *h = *state;

	drop(h, "");
	btf__free(h->ctx.own_btf);
	free(h);
	return 0;
}

static const struct vst_feature_result *look(const struct host *h, const char *name)
{
	static struct vst_feature_result res;

	for (size_t i = 0; i < N(rows); i++) {
		if (strcmp(rows[i].feature.name, name))
			continue;
		check_row(&h->ctx, &rows[i], &res);
		return &res;
	}
	fail_msg("no row %s", name);
	return NULL;
}

static void expect_row(const struct host *h, const char *name, enum vst_feature_state state, const char *detail)
{
	const struct vst_feature_result *res = look(h, name);

	assert_string_equal(res->detail, detail);
	assert_int_equal(res->state, state);
}

static void expect_verdict(const struct host *h, enum vst_exit verdict, const char *in_message)
{
	struct vst_feature_result results[N(rows)];
	char all[1024] = "", required[1024] = "";

	vst_features_check(&h->ctx, results);
	assert_int_equal(vst_features_verdict(results, N(rows), all, sizeof(all)), verdict);
	assert_int_equal(vst_features_require(&h->ctx, required, sizeof(required)), verdict);
	assert_string_equal(all, required);
	if (!strstr(all, in_message))
		fail_msg("\"%s\" is not in \"%s\"", in_message, all);
}

/* --- the table itself --- */

static void test_rows_are_complete(void **state)
{
	for (size_t i = 0; i < vst_features_count(); i++) {
		const struct vst_feature *f = &rows[i].feature;

		assert_true(*f->name && *f->group);
		assert_int_equal(f->cost[strlen(f->cost) - 1], '.');
		assert_int_equal(f->remedy[strlen(f->remedy) - 1], '.');
		assert_non_null(rows[i].look);
		for (size_t j = 0; j < i; j++)
			assert_true(strcmp(rows[j].feature.name, f->name) ||
				    (f->probe && strcmp(rows[j].feature.probe, f->probe)));
		/* the groups are in one piece each */
		for (size_t j = 0; i && j < i - 1; j++)
			if (strcmp(rows[i - 1].feature.group, f->group))
				assert_string_not_equal(rows[j].feature.group, f->group);
	}
}

static void test_good_host(void **state)
{
	struct host *h = *state;
	struct vst_feature_result results[N(rows)];

	vst_features_check(&h->ctx, results);
	for (size_t i = 0; i < N(rows); i++)
		if (results[i].state != VST_FEATURE_FOUND)
			fail_msg("%s: %s", results[i].feature->name, results[i].detail);
	expect_verdict(h, VST_EXIT_OK, "");
}

/* An empty host: every look has its files missing, and says so. */
static void test_empty_host(void **state)
{
	struct host *h = *state;
	struct vst_feature_result results[N(rows)];

	drop(h, "/proc");
	drop(h, "/sys");
	drop(h, "/lib");
	host_btf(h, NULL);
	h->ctx.btf_err = -ENOENT;
	vst_features_check(&h->ctx, results);
	for (size_t i = 0; i < N(rows); i++)
		if (results[i].state != VST_FEATURE_FOUND && !*results[i].detail)
			fail_msg("%s does not say why", results[i].feature->name);
	expect_verdict(h, VST_EXIT_UNSUPPORTED, "not supported here: btf: ");
	expect_row(h, "cgroup-hierarchy", VST_FEATURE_MISSING, "/proc/self/mountinfo: ENOENT");
	expect_row(h, "iostats", VST_FEATURE_MISSING, "/sys/block: ENOENT");
	expect_row(h, "completion-functions", VST_FEATURE_MISSING, "/proc/kallsyms: ENOENT");
}

/* --- verdicts --- */

static void test_missing_counts_before_unknown(void **state)
{
	struct host *h = *state;

	put(h, "/proc/self/status", "CapEff:\t0000000000000000\n");
	map_err = -EPERM;
	expect_verdict(h, VST_EXIT_DENIED,
		       "not permitted: capabilities: this user does not have CAP_BPF and CAP_PERFMON. vstord does not "
		       "start: ");
	host_btf(h, make_btf("block_rq_issue", NULL, 0));
	expect_verdict(h, VST_EXIT_UNSUPPORTED, "not supported here: block_rq_issue: not in this kernel. ");
}

/* What the agent loads at its start is required, and nothing else is: each probe has its row here. */
static void test_probes_are_rows(void **state)
{
	static const struct {
		const char *probe, *tracepoint;
		enum vst_group group;
	} probes[] = {
#define X(g, p, t, ...) { #p, #t, VST_GROUP_##g },
		VST_PROBES(X)
#undef X
	};
	size_t n = 0;

	for (size_t i = 0; i < N(rows); i++) {
		const struct vst_feature *f = &rows[i].feature;

		if (!f->probe)
			continue;
		assert_string_equal(f->probe, probes[n].probe);
		assert_string_equal(f->name, probes[n].tracepoint);
		assert_int_equal(f->required,
				 probes[n].group == VST_GROUP_BLOCK || probes[n].group == VST_GROUP_CGROUP);
		assert_int_equal(!strncmp(f->cost, "vstord does not start: ", 23), f->required);
		n++;
	}
	assert_int_equal(n, N(probes));
}

/* Each of the five that doctor once took for optional. */
static void test_required_tracepoints(void **state)
{
	static const char *const names[] = { "block_rq_insert", "block_rq_requeue", "block_rq_merge", "cgroup_mkdir",
					     "cgroup_rmdir" };
	struct host *h = *state;
	char message[128];

	for (size_t i = 0; i < N(names); i++) {
		host_btf(h, make_btf(names[i], NULL, 0));
		snprintf(message, sizeof(message),
			 "not supported here: %s: not in this kernel. vstord does not start: ", names[i]);
		expect_verdict(h, VST_EXIT_UNSUPPORTED, message);
	}
}

/* A kernel has one or two of three. */
static void test_tracepoints_in_place_of_others(void **state)
{
	struct host *h = *state;

	host_btf(h, make_btf("ext4_journal_start", NULL, 0));
	expect_row(h, "ext4_journal_start", VST_FEATURE_FOUND,
		   "not needed: this kernel has another tracepoint in its place");
	expect_row(h, "ext4_journal_start_sb", VST_FEATURE_FOUND, "watches the journals of ext4");
	host_btf(h, btf__new_empty());
	expect_row(h, "ext4_journal_start", VST_FEATURE_MISSING, "not in this kernel");
}

static void test_optional_has_no_say(void **state)
{
	struct host *h = *state;

	stats_err = -EPERM;
	put(h, "/proc/filesystems", "nodev\tsysfs\n");
	host_btf(h, make_btf("block_bio_backmerge", NULL, 0));
	expect_row(h, "block_bio_backmerge", VST_FEATURE_MISSING, "not in this kernel");
	expect_row(h, "bpf-stats", VST_FEATURE_UNKNOWN, "tried: EPERM");
	expect_verdict(h, VST_EXIT_OK, "");
}

static void test_short_message_buffer(void **state)
{
	struct host *h = *state;
	char msg[8];

	h->ctx.release = "5.10.0";
	assert_int_equal(vst_features_require(&h->ctx, msg, sizeof(msg)), VST_EXIT_UNSUPPORTED);
	assert_string_equal(msg, "not sup");
}

/* --- kernel --- */

static void test_version(void **state)
{
	static const struct {
		const char *release, *detail;
		enum vst_feature_state state;
	} t[] = {
		{ "6.1.0-44-amd64", "Linux 6.1, one of the tested 6.1 to 6.18", VST_FEATURE_FOUND },
		{ "6.18.44", "Linux 6.18, one of the tested 6.1 to 6.18", VST_FEATURE_FOUND },
		{ "6.19.0-rc1", "Linux 6.19, newer than the tested 6.1 to 6.18", VST_FEATURE_FOUND },
		{ "7.0.1", "Linux 7.0, newer than the tested 6.1 to 6.18", VST_FEATURE_FOUND },
		{ "6.0.19", "Linux 6.0, older than 6.1", VST_FEATURE_MISSING },
		{ "5.14.0-570.el9", "Linux 5.14, older than 6.1", VST_FEATURE_MISSING },
		{ "next", "the kernel does not tell its version", VST_FEATURE_UNKNOWN },
		{ NULL, "the kernel does not tell its version", VST_FEATURE_UNKNOWN },
	};
	struct host *h = *state;

	for (size_t i = 0; i < N(t); i++) {
		h->ctx.release = t[i].release;
		expect_row(h, "kernel-version", t[i].state, t[i].detail);
	}
	h->ctx.release = "5.10.0";
	expect_verdict(h, VST_EXIT_UNSUPPORTED,
		       "older than 6.1. vstord does not start: its probes need what Linux 6.1 "
		       "brought. Boot Linux 6.1 or newer.");
}

static void test_btf_denied(void **state)
{
	struct host *h = *state;

	host_btf(h, NULL);
	h->ctx.btf_err = -EACCES;
	expect_row(h, "btf", VST_FEATURE_UNKNOWN, "/sys/kernel/btf/vmlinux: EACCES");
	expect_row(h, "block_rq_issue", VST_FEATURE_UNKNOWN, "cannot be told without the kernel's BTF");
	expect_row(h, "bpf_rdonly_cast", VST_FEATURE_UNKNOWN, "cannot be told without the kernel's BTF");
	expect_verdict(h, VST_EXIT_DENIED, "not permitted: btf: ");
	expect_row(h, "bpf-load", VST_FEATURE_FOUND, "a map and a program were loaded");
	assert_int_equal(prog_target, 0);
}

static void test_old_kernel_functions(void **state)
{
	struct host *h = *state;

	host_btf(h, make_btf(NULL, NULL, 0));
	expect_row(h, "bpf_rdonly_cast", VST_FEATURE_MISSING, "not in this kernel: it came with Linux 6.2");
	expect_row(h, "fentry", VST_FEATURE_MISSING, "tried: ENOENT");
	expect_verdict(h, VST_EXIT_OK, "");
	assert_false(look(h, "bpf_rdonly_cast")->harmless);
	/* the list of special functions is older than this one */
	assert_true(btf__add_enum(h->ctx.own_btf, "special_kfunc_type", 4) > 0);
	assert_int_equal(btf__add_enum_value(h->ctx.own_btf, "KF_bpf_list_push_front", 2), 0);
	assert_int_equal(look(h, "bpf_rdonly_cast")->state, VST_FEATURE_MISSING);
}

/* Only where the row itself says that nothing is lost. */
static void test_harmless(void **state)
{
	struct host *h = *state;
	struct vst_feature_result results[N(rows)];

	prog_err = -EPERM;
	put(h, "/proc/filesystems", "nodev\tsysfs\n");
	drop(h, "/lib");
	drop(h, "/sys/block");
	host_btf(h, make_btf("writeback_dirty_folio", NULL, 0));
	vst_features_check(&h->ctx, results);
	for (size_t i = 0; i < N(rows); i++) {
		bool is_fs = !strcmp(results[i].feature->group, "filesystems") &&
			     strcmp(results[i].feature->name, "completion-functions");

		bool is_return = !strncmp(results[i].detail, "its return cannot be hooked here", 32);

		assert_int_equal(results[i].harmless,
				 is_fs || is_return || !strcmp(results[i].feature->name, "fentry"));
		assert_int_equal(!strncmp(results[i].cost, "Nothing: ", 9), results[i].harmless);
	}
	assert_int_equal(look(h, "writeback_dirty_folio")->state, VST_FEATURE_MISSING);
}

static void test_jit_and_pages(void **state)
{
	struct host *h = *state;

	put(h, "/proc/sys/net/core/bpf_jit_enable", "0\n");
	expect_row(h, "bpf-jit", VST_FEATURE_MISSING, "off");
	h->ctx.page_size = 65536;
	expect_row(h, "page-size", VST_FEATURE_MISSING, "65536 bytes");
}

static void test_tracepoint_arguments(void **state)
{
	struct host *h = *state;

	host_btf(h, make_btf(NULL, "block_rq_issue", 2));
	expect_row(h, "block_rq_issue", VST_FEATURE_MISSING, "it has 2 arguments here, the probe knows 1");
	expect_row(h, "block_rq_insert", VST_FEATURE_FOUND, "watches requests; vstord does not start without it");
	expect_row(h, "contention_end", VST_FEATURE_FOUND, "watches locks");
	expect_verdict(h, VST_EXIT_UNSUPPORTED, "block_rq_issue: it has 2 arguments here");
	host_btf(h, btf__new_empty());
	btf__add_typedef(h->ctx.own_btf, "btf_trace_block_rq_issue", 0);
	assert_int_equal(look(h, "block_rq_issue")->state, VST_FEATURE_MISSING);
}

/* --- permission --- */

static void test_capabilities(void **state)
{
	static const struct {
		const char *effective, *detail;
		enum vst_feature_state state;
	} t[] = {
		{ "000001ffffffffff", "CAP_SYS_ADMIN", VST_FEATURE_FOUND },
		{ "000000c000000000",
		  "this user does not have CAP_SYS_ADMIN, and struct dm_io is not among the kernel's own types: those "
		  "of "
		  "modules are for CAP_SYS_ADMIN only",
		  VST_FEATURE_UNKNOWN },
		{ "0000000000200000", "CAP_SYS_ADMIN", VST_FEATURE_FOUND },
		{ "0000008000000000", "this user does not have CAP_PERFMON", VST_FEATURE_UNKNOWN },
		{ "0000004000000000", "this user does not have CAP_BPF", VST_FEATURE_UNKNOWN },
		{ "00000000a80425fb", "this user does not have CAP_BPF and CAP_PERFMON", VST_FEATURE_UNKNOWN },
	};
	static const char *const types[] = { "dio", "iomap_dio", "btrfs_bio", "ext4_io_end" };
	struct host *h = *state;
	char status[128];

	if (libbpf_major_version() > 1 || libbpf_minor_version() >= 3)
		skip(); /* this libbpf does without the types of modules */
	for (size_t i = 0; i < N(types); i++)
		assert_true(btf__add_struct(h->ctx.own_btf, types[i], 8) > 0);
	for (size_t i = 0; i < N(t); i++) {
		snprintf(status, sizeof(status), "CapPrm:\t000001ffffffffff\nCapEff:\t%s\n", t[i].effective);
		put(h, "/proc/self/status", status);
		expect_row(h, "capabilities", t[i].state, t[i].detail);
	}
	put(h, "/proc/self/status", "CapEff:\t000000c000000000\n");
	btf__add_struct(h->ctx.own_btf, "dm_io", 8);
	expect_row(h, "capabilities", VST_FEATURE_FOUND, "CAP_BPF and CAP_PERFMON, which is enough here");
	put(h, "/proc/self/status", "Name:\tx\n");
	expect_row(h, "capabilities", VST_FEATURE_UNKNOWN, "/proc/self/status does not tell");
}

static void test_load_refused(void **state)
{
	struct host *h = *state;

	prog_err = -EPERM;
	expect_row(h, "bpf-load", VST_FEATURE_UNKNOWN,
		   "a program was refused (EPERM): a security module or the hypervisor's policy refuses it");
	assert_int_equal(prog_target, btf__find_by_name_kind(h->ctx.btf, "btf_trace_block_rq_issue", BTF_KIND_TYPEDEF));
	put(h, "/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	expect_row(h, "bpf-load", VST_FEATURE_UNKNOWN, "a program was refused (EPERM): the kernel is locked down");
	put(h, "/proc/self/status", "CapEff:\t000001ffffffffff\nSeccomp:\t2\n");
	expect_row(h, "bpf-load", VST_FEATURE_UNKNOWN,
		   "a program was refused (EPERM): a seccomp filter is on and may hold back bpf(2)");
	put(h, "/proc/self/uid_map", "0 0 65536\n");
	assert_non_null(strstr(look(h, "bpf-load")->detail, "user namespace"));
	put(h, "/proc/self/uid_map", "0 100000 65536\n");
	expect_row(h, "bpf-load", VST_FEATURE_UNKNOWN,
		   "a program was refused (EPERM): this is a user namespace, and its capabilities count only inside");
	assert_non_null(strstr(look(h, "bpf-load")->remedy, "rootless"));
	map_err = -EPERM;
	put(h, "/proc/self/status", "CapEff:\t0\n");
	expect_row(h, "bpf-load", VST_FEATURE_UNKNOWN,
		   "a map was refused (EPERM): this user does not have CAP_BPF and CAP_PERFMON");
	assert_string_equal(look(h, "bpf-load")->remedy, AS_ROOT);
	expect_verdict(h, VST_EXIT_DENIED, "capabilities");
}

static void test_load_not_supported(void **state)
{
	struct host *h = *state;

	prog_err = -EINVAL;
	put(h, "/sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
	expect_row(h, "bpf-load", VST_FEATURE_MISSING,
		   "a program was refused (EINVAL): the kernel is locked down for confidentiality, so no program may "
		   "read its memory");
	expect_verdict(h, VST_EXIT_UNSUPPORTED, "Boot with lockdown=integrity");
	put(h, "/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	expect_row(h, "bpf-load", VST_FEATURE_MISSING, "a program was refused (EINVAL)");
	map_err = -ENOSYS;
	expect_row(h, "bpf-load", VST_FEATURE_MISSING,
		   "a map was refused (ENOSYS): the kernel was built without bpf(2)");
}

/* --- cgroups --- */

static void test_io_not_enabled(void **state)
{
	struct host *h = *state;

	put(h, "/sys/fs/cgroup/system.slice/cgroup.subtree_control", "");
	put(h, "/sys/fs/cgroup/kubepods.slice/cgroup.subtree_control", "cpu memory pids\n");
	expect_row(h, "cgroup-hierarchy", VST_FEATURE_FOUND, "unified: version 2");
	expect_row(h, "cgroup-io", VST_FEATURE_FOUND, "io, on version 2");
	expect_row(h, "cgroup-io-enabled", VST_FEATURE_MISSING, "not below system.slice, kubepods.slice");
	put(h, "/sys/fs/cgroup/cgroup.subtree_control", "cpu iox memory\n");
	expect_row(h, "cgroup-io-enabled", VST_FEATURE_MISSING, "not below the root, system.slice, kubepods.slice");
}

static void test_hybrid(void **state)
{
	struct host *h = *state;

	put(h, "/proc/self/mountinfo",
	    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
	    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
	    "38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio\n"
	    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
	put(h, "/sys/fs/cgroup/unified/cgroup.controllers", "\n");
	expect_row(h, "cgroup-hierarchy", VST_FEATURE_FOUND, "hybrid: version 2, with controllers on version 1");
	expect_row(h, "cgroup-io", VST_FEATURE_FOUND, "blkio, on version 1");
	expect_row(h, "cgroup-memory", VST_FEATURE_FOUND, "memory, on version 1");
	assert_int_equal(look(h, "cgroup-io-enabled")->state, VST_FEATURE_FOUND);
}

static void test_version_1(void **state)
{
	struct host *h = *state;

	put(h, "/proc/self/mountinfo",
	    "35 31 0:32 / /sys/fs/cgroup/cpu rw master:7 - cgroup cgroup rw,cpu,cpuacct\n"
	    "38 31 0:35 / /sys/fs/cgroup/all rw - cgroup none rw,pids,blkio,memory\n");
	expect_row(h, "cgroup-hierarchy", VST_FEATURE_FOUND, "version 1");
	expect_row(h, "cgroup-io", VST_FEATURE_FOUND, "blkio, on version 1");
	expect_row(h, "cgroup-memory", VST_FEATURE_FOUND, "memory, on version 1");
}

static void test_no_controllers(void **state)
{
	struct host *h = *state;

	put(h, "/sys/fs/cgroup/cgroup.controllers", "");
	expect_row(h, "cgroup-io", VST_FEATURE_MISSING, "on no hierarchy");
	expect_row(h, "cgroup-memory", VST_FEATURE_MISSING, "on no hierarchy");
	put(h, "/proc/self/mountinfo", "24 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n");
	expect_row(h, "cgroup-hierarchy", VST_FEATURE_MISSING, "no cgroup filesystem is mounted");
	expect_row(h, "cgroup-io-enabled", VST_FEATURE_MISSING, "no version 2 hierarchy can be read");
	expect_verdict(h, VST_EXIT_OK, "");
}

/* --- filesystems --- */

static void test_filesystems(void **state)
{
	struct host *h = *state;

	expect_row(h, "ext4", VST_FEATURE_FOUND, "built in");
	expect_row(h, "xfs", VST_FEATURE_FOUND, "a module, loaded");
	expect_row(h, "btrfs", VST_FEATURE_FOUND, "a module that is not loaded");
	drop(h, "/sys/kernel/btf/xfs");
	expect_row(h, "xfs", VST_FEATURE_MISSING, "a module, loaded, without BTF");
	put(h, "/lib/modules/6.12.74-amd64/modules.dep", "kernel/x.ko: kernel/fs/btrfs/btrfs.ko\n");
	expect_row(h, "btrfs", VST_FEATURE_MISSING, "not in this kernel");
	assert_string_equal(look(h, "btrfs")->cost, "Nothing: this kernel cannot mount it.");
	assert_true(look(h, "btrfs")->harmless);
	assert_false(look(h, "xfs")->harmless);
}

static void test_kallsyms(void **state)
{
	struct host *h = *state;
	const struct vst_feature_result *res = look(h, "completion-functions");

	assert_int_equal(res->state, VST_FEATURE_FOUND);
	assert_memory_equal(res->detail, "2 of ", 5);
	assert_non_null(strstr(res->detail, "bio_chain_endio"));
	assert_null(strstr(res->detail, "iomap_dio_bio_end_io"));
	assert_null(strstr(res->detail, "xlog_bio_end_io"));
	put(h, "/proc/kallsyms", "0000000000000000 t iomap_dio_bio_end_io\n0000000000000000 t bio_chain_endio\n");
	expect_row(h, "completion-functions", VST_FEATURE_UNKNOWN, "/proc/kallsyms shows no addresses to this user");
	put(h, "/proc/kallsyms", "ffffffff81000000 T _stext\n");
	res = look(h, "completion-functions");
	assert_int_equal(res->state, VST_FEATURE_MISSING);
	assert_memory_equal(res->detail, "0 of ", 5);
}

/* Every name of the list is found when it is there: also those that a quick look at the line might pass over. */
static void test_all_symbols_are_found(void **state)
{
#define X(field, symbol, tells) "ffffffff81000000 t " symbol "\n"
	static const char all[] = VST_SYMBOLS(X);
#undef X
	struct host *h = *state;
	const struct vst_feature_result *res;
	unsigned int found, of;

	put(h, "/proc/kallsyms", all);
	res = look(h, "completion-functions");
	assert_int_equal(sscanf(res->detail, "%u of %u", &found, &of), 2);
	assert_true(of > 10);
	assert_int_equal(found, of);
	assert_null(strchr(res->detail, ';'));
}

/* --- devices --- */

static void test_iostats(void **state)
{
	struct host *h = *state;

	expect_row(h, "iostats", VST_FEATURE_FOUND, "all devices are counted");
	put(h, "/sys/block/zram0/size", "2048\n");
	put(h, "/sys/block/zram0/queue/iostats", "0\n");
	put(h, "/sys/block/dm-0/size", "2048\n");
	put(h, "/sys/block/dm-0/queue/iostats", "0\n");
	put(h, "/sys/block/loop0/size", "0\n");
	put(h, "/sys/block/loop0/queue/iostats", "0\n");
	expect_row(h, "iostats", VST_FEATURE_MISSING, "not counted: dm-0, zram0");
	drop(h, "/sys/block");
	put(h, "/sys/block/loop0/size", "0\n");
	expect_row(h, "iostats", VST_FEATURE_FOUND, "no block device");
}

static void test_bfq_depth(void **state)
{
	struct host *h = *state;

	expect_row(h, "bfq-depth", VST_FEATURE_FOUND, "no device has the scheduler bfq");
	put(h, "/sys/block/sda/queue/scheduler", "none mq-deadline [bfq]\n");
	put(h, "/sys/block/sda/mq/0/nr_tags", "32\n");
	expect_row(h, "bfq-depth", VST_FEATURE_FOUND,
		   "no device with the scheduler bfq takes more than 64 requests at once");
	put(h, "/sys/block/sda/mq/1/nr_tags", "33\n");
	expect_row(h, "bfq-depth", VST_FEATURE_MISSING, "sda takes 65 requests at once");
	put(h, "/sys/block/sda/queue/scheduler", "[none] mq-deadline bfq\n");
	expect_row(h, "bfq-depth", VST_FEATURE_FOUND, "no device has the scheduler bfq");
	drop(h, "/sys/block");
	expect_row(h, "bfq-depth", VST_FEATURE_MISSING, "/sys/block: ENOENT");
}

/* More names than a detail holds. */
static void test_long_detail(void **state)
{
	struct host *h = *state;
	char path[128];
	const struct vst_feature_result *res;

	for (int i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "/sys/block/device-with-a-name-%02d/size", i);
		put(h, path, "8\n");
		snprintf(path, sizeof(path), "/sys/block/device-with-a-name-%02d/queue/iostats", i);
		put(h, path, "0\n");
	}
	res = look(h, "iostats");
	assert_int_equal(res->state, VST_FEATURE_MISSING);
	assert_int_equal(strlen(res->detail), sizeof(res->detail) - 1);
	assert_string_equal(res->detail + sizeof(res->detail) - 4, "...");
}

/* --- this host --- */

static void test_this_host_is_stable(void **state)
{
	struct vst_feature_result a[N(rows)], b[N(rows)];
	struct vst_features_ctx ctx;

	vst_features_open(&ctx);
	vst_features_check(&ctx, a);
	vst_features_check(&ctx, b);
	for (size_t i = 0; i < N(rows); i++) {
		assert_int_equal(a[i].state, b[i].state);
		assert_string_equal(a[i].detail, b[i].detail);
	}
	vst_features_close(&ctx);
	assert_null(ctx.btf);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_complete),
		T(test_good_host),
		T(test_empty_host),
		T(test_missing_counts_before_unknown),
		T(test_probes_are_rows),
		T(test_required_tracepoints),
		T(test_tracepoints_in_place_of_others),
		T(test_optional_has_no_say),
		T(test_short_message_buffer),
		T(test_version),
		T(test_btf_denied),
		T(test_old_kernel_functions),
		T(test_harmless),
		T(test_jit_and_pages),
		T(test_tracepoint_arguments),
		T(test_capabilities),
		T(test_load_refused),
		T(test_load_not_supported),
		T(test_io_not_enabled),
		T(test_hybrid),
		T(test_version_1),
		T(test_no_controllers),
		T(test_filesystems),
		T(test_kallsyms),
		T(test_all_symbols_are_found),
		T(test_iostats),
		T(test_bfq_depth),
		T(test_long_detail),
		cmocka_unit_test(test_this_host_is_stable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
