/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include "features_priv.h"

/* --- for those who look --- */

void vst_feature_say(struct vst_feature_result *res, const char *fmt, ...)
{
	size_t len = strlen(res->detail), room = sizeof(res->detail) - len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(res->detail + len, room, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n >= room)
		memcpy(res->detail + sizeof(res->detail) - 4, "...", 4);
}

FILE *vst_features_open_below(const struct vst_features_ctx *ctx, const char *fmt, ...)
{
	char path[4096];
	va_list ap;
	int n;

	n = snprintf(path, sizeof(path), "%s", ctx->root);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	va_start(ap, fmt);
	vsnprintf(path + n, sizeof(path) - n, fmt, ap);
	va_end(ap);
	return fopen(path, "re");
}

int vst_features_first_line(FILE *f, char *buf, size_t size)
{
	int err = 0;

	if (!f)
		return -errno;
	if (!fgets(buf, size, f))
		err = ferror(f) ? -EIO : -ENODATA;
	else
		buf[strcspn(buf, "\n")] = 0;
	fclose(f);
	return err;
}

/* --- the table --- */

#define ROW(name, group, required, look, arg, cost, remedy)                                                            \
	{ { name, group, required, cost, remedy, NULL }, look, arg, 0, NULL, NULL, 0 },
#define PROBE(g, program, tracepoint, args, module, one_of, cost)                                                      \
	{ { #tracepoint, "tracepoints", VST_NEEDS_##g, cost, "Use a kernel that has it: Debian's 6.1 and later do.",   \
	    #program },                                                                                                \
	  vst_look_tracepoint,                                                                                         \
	  #tracepoint,                                                                                                 \
	  args,                                                                                                        \
	  module,                                                                                                      \
	  one_of,                                                                                                      \
	  VST_GROUP_##g },
#define FILESYSTEM(name)                                                                                               \
	ROW(name, "filesystems", false, vst_look_filesystem, name,                                                     \
	    "What only its own structures tell is not seen: some of its I/O has kind unknown and no size band.",       \
	    "Use a kernel whose modules have BTF (CONFIG_DEBUG_INFO_BTF_MODULES=y).")
#define AS_ROOT "Run it as root, or give it CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN."

/* clang-format off */
static const struct vst_feature_row rows[] = {
	ROW("kernel-version", "kernel", true, vst_look_version, NULL,
	    "vstord does not start: its probes need what Linux 6.1 brought.",
	    "Boot Linux 6.1 or newer.")
	ROW("btf", "kernel", true, vst_look_btf, NULL,
	    "vstord does not start: its probes cannot be fitted to this kernel.",
	    "Use a kernel with CONFIG_DEBUG_INFO_BTF=y, as distributions build it.")
	ROW("bpf-jit", "kernel", false, vst_look_jit, NULL,
	    "Each probe is interpreted: an I/O costs several times more.",
	    "Switch it on: sysctl net.core.bpf_jit_enable=1; as root if it could not be read.")
	/* the same release keeps a program from interrupting itself (05b24ff9b2cf): the probes take the two as one */
	ROW("bpf_rdonly_cast", "kernel", false, vst_look_cast, NULL,
	    "Probes read by a helper, 20 ns a read instead of 2, and add atomically: some hundreds of ns for each I/O.",
	    "Boot Linux 6.2 or newer if that is too much.")
	ROW("page-size", "kernel", false, vst_look_page_size, NULL,
	    "vstor was never tested with such pages: sizes and kinds may be wrong.",
	    "Compare with vstorctl check, and report what you find.")

	ROW("capabilities", "permission", true, vst_look_capabilities, NULL,
	    "vstord does not start: it may not load its probes.", AS_ROOT)
	ROW("bpf-load", "permission", true, vst_look_load, NULL,
	    "vstord does not start: it cannot load its probes.", AS_ROOT)
	ROW("bpf-stats", "permission", false, vst_look_stats, NULL,
	    "The probes' own cost is not known: it is shown as 0.",
	    "Run it as root, or give it CAP_SYS_ADMIN.")
	ROW("fentry", "permission", false, vst_look_fentry, "bpf_fentry_test1",
	    "Nothing: what would use it is listed among the tracepoints, with its cost.",
	    "None is needed.")

	VST_PROBES(PROBE)

	ROW("cgroup-hierarchy", "cgroups", false, vst_look_hierarchy, NULL,
	    "There are no containers to tell apart: all I/O is the host's.",
	    "Mount the cgroup filesystem: mount -t cgroup2 none /sys/fs/cgroup.")
	ROW("cgroup-io", "cgroups", false, vst_look_controller, "io",
	    "The block layer charges nobody: owners come from the page's memory cgroup or from the task.",
	    "Use a kernel with CONFIG_BLK_CGROUP=y and without cgroup_disable=io on its command line.")
	ROW("cgroup-io-enabled", "cgroups", false, vst_look_io_enabled, NULL,
	    "Below these the block layer charges the cgroup above: owners come from the page's memory cgroup or the task.",
	    "Set DefaultIOAccounting=yes in /etc/systemd/system.conf, or write +io into their cgroup.subtree_control.")
	ROW("cgroup-memory", "cgroups", false, vst_look_controller, "memory",
	    "A page does not say whose it is: each that becomes dirty is noted with its task, which takes time.",
	    "Boot without cgroup_disable=memory, with CONFIG_MEMCG=y.")

	FILESYSTEM("ext4")
	FILESYSTEM("xfs")
	FILESYSTEM("btrfs")
	ROW("completion-functions", "filesystems", false, vst_look_symbols, NULL,
	    "Direct I/O, journals and swap are told by flags and pages alone: much of it is unknown, without a size band.",
	    "Run it as root (CAP_SYSLOG) and with kernel.kptr_restrict below 2.")

	ROW("iostats", "devices", false, vst_look_iostats, NULL,
	    "vstorctl check has nothing of the kernel's to compare these devices with.",
	    "Write 1 to /sys/block/DEVICE/queue/iostats.")
	ROW("bfq-depth", "devices", false, vst_look_bfq, NULL,
	    "Weights change little while fewer requests are in flight than the disk takes: bfq has none left to order.",
	    "Set weights by iocost instead (vstorctl calibrate), or lower /sys/block/DEVICE/device/queue_depth.")
};
/* clang-format on */

size_t vst_features_rows(const struct vst_feature_row **ret)
{
	*ret = rows;
	return N(rows);
}

size_t vst_features_count(void)
{
	return N(rows);
}

static void check_row(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
		      struct vst_feature_result *res)
{
	memset(res, 0, sizeof(*res));
	res->feature = &row->feature;
	res->cost = row->feature.cost;
	res->remedy = row->feature.remedy;
	res->state = row->look(ctx, row, res);
}

void vst_features_check(const struct vst_features_ctx *ctx, struct vst_feature_result *results)
{
	for (size_t i = 0; i < N(rows); i++)
		check_row(ctx, &rows[i], &results[i]);
}

enum vst_exit vst_features_verdict(const struct vst_feature_result *results, size_t n, char *msg, size_t size)
{
	const struct vst_feature_result *worst = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!results[i].feature->required || results[i].state == VST_FEATURE_FOUND)
			continue;
		if (!worst || (worst->state == VST_FEATURE_UNKNOWN && results[i].state == VST_FEATURE_MISSING))
			worst = &results[i];
	}
	if (!worst)
		return VST_EXIT_OK;
	snprintf(msg, size, "%s: %s%s%s. %s %s",
		 worst->state == VST_FEATURE_MISSING ? "not supported here" : "not permitted", worst->feature->name,
		 *worst->detail ? ": " : "", worst->detail, worst->cost, worst->remedy);
	return worst->state == VST_FEATURE_MISSING ? VST_EXIT_UNSUPPORTED : VST_EXIT_DENIED;
}

enum vst_exit vst_features_require(const struct vst_features_ctx *ctx, char *msg, size_t size)
{
	struct vst_feature_result results[N(rows)];
	size_t n = 0;

	for (size_t i = 0; i < N(rows); i++)
		if (rows[i].feature.required)
			check_row(ctx, &rows[i], &results[n++]);
	return vst_features_verdict(results, n, msg, size);
}

const char *vst_feature_state_name(enum vst_feature_state state)
{
	return state == VST_FEATURE_FOUND ? "found" : state == VST_FEATURE_MISSING ? "missing" : "unknown";
}

/* --- this host --- */

static int closed(int fd)
{
	if (fd < 0)
		return fd; /* libbpf gives -errno */
	close(fd);
	return 0;
}

static int try_map(void)
{
	return closed(bpf_map_create(BPF_MAP_TYPE_ARRAY, "vstor_try", sizeof(__u32), sizeof(__u64), 1, NULL));
}

/* Reads kernel memory, as the probes do: that, and not loading, is what a kernel locked down for confidentiality forbids. */
static int try_prog(int attach_type, __u32 btf_id)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_1, .imm = -8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_kernel },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts);

	if (btf_id) {
		opts.expected_attach_type = attach_type;
		opts.attach_btf_id = btf_id;
	}
	return closed(bpf_prog_load(btf_id ? BPF_PROG_TYPE_TRACING : BPF_PROG_TYPE_RAW_TRACEPOINT, "vstor_try", "GPL",
				    insns, N(insns), &opts));
}

static int try_stats(void)
{
	return closed(bpf_enable_stats(BPF_STATS_RUN_TIME));
}

void vst_features_open(struct vst_features_ctx *ctx)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL); /* what fails is told as a struct vst_feature_result */

	memset(ctx, 0, sizeof(*ctx));
	ctx->root = "";
	if (!uname(&ctx->own_name))
		ctx->release = ctx->own_name.release;
	ctx->page_size = sysconf(_SC_PAGESIZE);
	ctx->try_map = try_map;
	ctx->try_prog = try_prog;
	ctx->try_stats = try_stats;
	ctx->own_btf = btf__load_vmlinux_btf();
	ctx->btf_err = ctx->own_btf ? 0 : -errno;
	ctx->btf = ctx->own_btf;
	libbpf_set_print(print);
}

void vst_features_close(struct vst_features_ctx *ctx)
{
	btf__free(ctx->own_btf);
	ctx->own_btf = NULL;
	ctx->btf = NULL;
}
