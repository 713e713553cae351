/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel offers and what we may use of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include "features_priv.h"

#define OLDEST_MAJOR 6
#define OLDEST_MINOR 1
#define TESTED_MAJOR 6
#define TESTED_MINOR 18

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif

/* --- kernel --- */

enum vst_feature_state vst_look_version(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
					struct vst_feature_result *res)
{
	int major, minor;

	if (!ctx->release || sscanf(ctx->release, "%d.%d", &major, &minor) != 2) {
		vst_feature_say(res, "the kernel does not tell its version");
		return VST_FEATURE_UNKNOWN;
	}
	vst_feature_say(res, "Linux %d.%d, ", major, minor);
	if (major < OLDEST_MAJOR || (major == OLDEST_MAJOR && minor < OLDEST_MINOR)) {
		vst_feature_say(res, "older than %d.%d", OLDEST_MAJOR, OLDEST_MINOR);
		return VST_FEATURE_MISSING;
	}
	vst_feature_say(res, "%s %d.%d to %d.%d",
			major > TESTED_MAJOR || (major == TESTED_MAJOR && minor > TESTED_MINOR)
				? "newer than the tested"
				: "one of the tested",
			OLDEST_MAJOR, OLDEST_MINOR, TESTED_MAJOR, TESTED_MINOR);
	return VST_FEATURE_FOUND;
}

enum vst_feature_state vst_look_btf(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
				    struct vst_feature_result *res)
{
	if (ctx->btf) {
		vst_feature_say(res, "the kernel describes its types");
		return VST_FEATURE_FOUND;
	}
	vst_feature_say(res, "/sys/kernel/btf/vmlinux: %s", vst_features_error(ctx->btf_err));
	return vst_features_is_denied(ctx->btf_err) ? VST_FEATURE_UNKNOWN : VST_FEATURE_MISSING;
}

static enum vst_feature_state no_btf(struct vst_feature_result *res)
{
	vst_feature_say(res, "cannot be told without the kernel's BTF");
	return VST_FEATURE_UNKNOWN;
}

static bool has_enumerator(const struct btf *btf, const char *type, const char *name)
{
	const struct btf_type *t;
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_ENUM);

	if (id <= 0)
		return false;
	t = btf__type_by_id(btf, id);
	for (int i = 0; i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_enum(t)[i].name_off), name))
			return true;
	return false;
}

/* Asks what the probes ask (VST_HAVE_CAST in bpf/compat.bpf.h). */
enum vst_feature_state vst_look_cast(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
				     struct vst_feature_result *res)
{
	if (!ctx->btf)
		return no_btf(res);
	if (has_enumerator(ctx->btf, "special_kfunc_type", "KF_bpf_rdonly_cast"))
		return VST_FEATURE_FOUND;
	vst_feature_say(res, "not in this kernel: it came with Linux 6.2");
	return VST_FEATURE_MISSING;
}

enum vst_feature_state vst_look_jit(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
				    struct vst_feature_result *res)
{
	char line[16];
	int err = vst_features_first_line(vst_features_open_below(ctx, "/proc/sys/net/core/bpf_jit_enable"), line,
					  sizeof(line));

	if (err) {
		vst_feature_say(res, "/proc/sys/net/core/bpf_jit_enable: %s", vst_features_error(err));
		return vst_features_is_denied(err) ? VST_FEATURE_UNKNOWN : VST_FEATURE_MISSING;
	}
	vst_feature_say(res, atoi(line) > 0 ? "on" : "off");
	return atoi(line) > 0 ? VST_FEATURE_FOUND : VST_FEATURE_MISSING;
}

enum vst_feature_state vst_look_page_size(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
					  struct vst_feature_result *res)
{
	vst_feature_say(res, "%ld bytes", ctx->page_size);
	return ctx->page_size == 4096 ? VST_FEATURE_FOUND : VST_FEATURE_MISSING;
}

/* --- permission --- */

/* The value of a field of /proc/self/status, as a number in base; -1: not known. */
static long long own_status(const struct vst_features_ctx *ctx, const char *field, int base)
{
	FILE *f = vst_features_open_below(ctx, "/proc/self/status");
	size_t len = strlen(field);
	long long value = -1;
	char line[512];

	if (!f)
		return -1;
	while (value < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, len) && line[len] == ':')
			value = strtoll(line + len + 1, NULL, base);
	fclose(f);
	return value;
}

static bool has_capability(unsigned long long effective, int cap)
{
	return effective >> cap & 1;
}

/*
 * One type of each module whose types the probes of vstord's start read. libbpf looks into all modules for a type that the
 * kernel itself does not describe, which the kernel permits with CAP_SYS_ADMIN only. Before version 1.3 libbpf then fails;
 * since then it does without.
 */
static const char *type_of_a_module(const struct vst_features_ctx *ctx)
{
	static const char *const types[] = { "dio", "iomap_dio", "dm_io", "btrfs_bio", "ext4_io_end" };

	if (!ctx->btf || libbpf_major_version() > 1 || (libbpf_major_version() == 1 && libbpf_minor_version() >= 3))
		return NULL;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (btf__find_by_name_kind(ctx->btf, types[i], BTF_KIND_STRUCT) < 0)
			return types[i];
	return NULL;
}

enum vst_feature_state vst_look_capabilities(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
					     struct vst_feature_result *res)
{
	long long caps = own_status(ctx, "CapEff", 16);
	const char *type;

	if (caps < 0) {
		vst_feature_say(res, "/proc/self/status does not tell");
		return VST_FEATURE_UNKNOWN;
	}
	if (has_capability(caps, CAP_SYS_ADMIN)) { /* the kernel takes it for the two others as well */
		vst_feature_say(res, "CAP_SYS_ADMIN");
		return VST_FEATURE_FOUND;
	}
	if (has_capability(caps, CAP_BPF) && has_capability(caps, CAP_PERFMON)) {
		type = type_of_a_module(ctx);
		if (!type) {
			vst_feature_say(res, "CAP_BPF and CAP_PERFMON, which is enough here");
			return VST_FEATURE_FOUND;
		}
		vst_feature_say(
			res,
			"this user does not have CAP_SYS_ADMIN, and struct %s is not among the kernel's own types: "
			"those of modules are for CAP_SYS_ADMIN only",
			type);
		return VST_FEATURE_UNKNOWN;
	}
	vst_feature_say(res, "this user does not have %s",
			has_capability(caps, CAP_BPF)	    ? "CAP_PERFMON"
			: has_capability(caps, CAP_PERFMON) ? "CAP_BPF"
							    : "CAP_BPF and CAP_PERFMON");
	return VST_FEATURE_UNKNOWN;
}

static bool lockdown_is(const struct vst_features_ctx *ctx, const char *mode)
{
	char line[128];

	return !vst_features_first_line(vst_features_open_below(ctx, "/sys/kernel/security/lockdown"), line,
					sizeof(line)) &&
	       strstr(line, mode);
}

static bool in_user_namespace(const struct vst_features_ctx *ctx)
{
	unsigned long inside, outside, count;
	char line[128];

	if (vst_features_first_line(vst_features_open_below(ctx, "/proc/self/uid_map"), line, sizeof(line)) ||
	    sscanf(line, "%lu %lu %lu", &inside, &outside, &count) != 3)
		return false;
	return inside || outside || count != 4294967295UL;
}

/* Who said no? The kernel gives one errno for all of them, so ask each what it is set to. */
static void explain_denied(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
			   struct vst_feature_result *res)
{
	struct vst_feature_result caps = { .detail = "" };

	if (vst_look_capabilities(ctx, row, &caps) != VST_FEATURE_FOUND) {
		vst_feature_say(res, ": %s", caps.detail);
	} else if (in_user_namespace(ctx)) {
		vst_feature_say(res, ": this is a user namespace, and its capabilities count only inside");
		res->remedy =
			"Run it in the host's user namespace: a container needs to be privileged and not rootless.";
	} else if (own_status(ctx, "Seccomp", 10) > 0) {
		vst_feature_say(res, ": a seccomp filter is on and may hold back bpf(2)");
		res->remedy =
			"Allow bpf(2) in the seccomp profile, for example with seccomp=unconfined for this container.";
	} else if (lockdown_is(ctx, "[integrity]") || lockdown_is(ctx, "[confidentiality]")) {
		vst_feature_say(res, ": the kernel is locked down");
		res->remedy = "Boot with lockdown=none on the kernel's command line, or without Secure Boot.";
	} else {
		vst_feature_say(res, ": a security module or the hypervisor's policy refuses it");
		res->remedy = "Look for a denial in the kernel's log (dmesg) and in the audit log.";
	}
}

enum vst_feature_state vst_look_load(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
				     struct vst_feature_result *res)
{
	const char *what = "a map";
	int err = ctx->try_map(), id = 0;

	if (!err) {
		what = "a program";
		if (ctx->btf)
			id = btf__find_by_name_kind(ctx->btf, "btf_trace_block_rq_issue", BTF_KIND_TYPEDEF);
		err = ctx->try_prog(BPF_TRACE_RAW_TP, id > 0 ? id : 0);
	}
	if (!err) {
		vst_feature_say(res, "a map and a program were loaded");
		return VST_FEATURE_FOUND;
	}
	vst_feature_say(res, "%s was refused (%s)", what, vst_features_error(err));
	if (vst_features_is_denied(err)) {
		explain_denied(ctx, row, res);
		return VST_FEATURE_UNKNOWN;
	}
	if (err == -EINVAL && lockdown_is(ctx, "[confidentiality]")) {
		vst_feature_say(res,
				": the kernel is locked down for confidentiality, so no program may read its memory");
		res->remedy = "Boot with lockdown=integrity or lockdown=none on the kernel's command line.";
	} else if (err == -ENOSYS) {
		vst_feature_say(res, ": the kernel was built without bpf(2)");
		res->remedy = "Use a kernel with CONFIG_BPF_SYSCALL=y and CONFIG_BPF_EVENTS=y.";
	} else {
		res->remedy = "Use a kernel with CONFIG_BPF_EVENTS=y; if it has that, please report this line.";
	}
	return VST_FEATURE_MISSING;
}

static enum vst_feature_state attempted(int err, struct vst_feature_result *res)
{
	if (!err) {
		vst_feature_say(res, "tried: it works");
		return VST_FEATURE_FOUND;
	}
	vst_feature_say(res, "tried: %s", vst_features_error(err));
	return vst_features_is_denied(err) ? VST_FEATURE_UNKNOWN : VST_FEATURE_MISSING;
}

enum vst_feature_state vst_look_stats(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
				      struct vst_feature_result *res)
{
	return attempted(ctx->try_stats(), res);
}

enum vst_feature_state vst_look_fentry(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
				       struct vst_feature_result *res)
{
	int id;

	res->harmless = true;
	if (!ctx->btf)
		return no_btf(res);
	id = btf__find_by_name_kind(ctx->btf, row->arg, BTF_KIND_FUNC);
	return attempted(id > 0 ? ctx->try_prog(BPF_TRACE_FENTRY, id) : -ENOENT, res);
}

static bool functions_can_be_hooked(const struct vst_features_ctx *ctx)
{
	int id = btf__find_by_name_kind(ctx->btf, "bpf_fentry_test1", BTF_KIND_FUNC);

	return id > 0 && !ctx->try_prog(BPF_TRACE_FENTRY, id);
}

bool vst_features_can_hook_functions(void)
{
	struct vst_features_ctx ctx;
	bool can;

	vst_features_open(&ctx);
	can = ctx.btf && functions_can_be_hooked(&ctx);
	vst_features_close(&ctx);
	return can;
}

/* --- tracepoints --- */

/* Parameters of the type behind btf_trace_NAME: typedef -> pointer -> prototype, whose first is the program's own. */
static int tracepoint_args(const struct btf *btf, int id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	for (int i = 0; i < 2 && t; i++)
		t = btf__type_by_id(btf, t->type);
	return t && btf_is_func_proto(t) ? (int)btf_vlen(t) - 1 : -1;
}

static int args_in(const struct btf *btf, const struct vst_feature_row *row, const char *name)
{
	bool function = row->args == VST_FUNCTION;
	int id = btf__find_by_name_kind(btf, function ? row->arg : name, function ? BTF_KIND_FUNC : BTF_KIND_TYPEDEF);

	if (id <= 0)
		return -1;
	return function ? 0 : tracepoint_args(btf, id);
}

/* A module has types of its own. -1: it is not loaded, or has no such tracepoint. */
static int module_args(const struct vst_features_ctx *ctx, const struct vst_feature_row *row, const char *name)
{
	struct btf *btf;
	char path[4096];
	int args;

	snprintf(path, sizeof(path), "%s/sys/kernel/btf/%s", ctx->root, row->module);
	btf = btf__parse_split(path, (struct btf *)ctx->btf);
	if (!btf)
		return -1;
	args = args_in(btf, row, name);
	btf__free(btf);
	return args;
}

/* -1: this kernel has no such tracepoint, or has it in a module that is not loaded. */
static int args_of(const struct vst_features_ctx *ctx, const struct vst_feature_row *row)
{
	char name[64];
	int args;

	if (row->module && !strcmp(row->module, VST_SYSCALLS)) {
		args = btf__find_by_name_kind(ctx->btf, VST_SYSCALLS_FUNCTION, BTF_KIND_FUNC);
		return args > 0 ? 0 : -1;
	}
	snprintf(name, sizeof(name), "btf_trace_%s", row->arg);
	args = args_in(ctx->btf, row, name);
	return args < 0 && row->module ? module_args(ctx, row, name) : args;
}

static bool has_another(const struct vst_features_ctx *ctx, const struct vst_feature_row *row)
{
	const struct vst_feature_row *rows;
	size_t n = vst_features_rows(&rows);

	for (size_t i = 0; row->one_of && i < n; i++)
		if (rows[i].one_of && !strcmp(rows[i].one_of, row->one_of) && args_of(ctx, &rows[i]) >= 0)
			return true;
	return false;
}

static bool is_in_unloaded_module(const struct vst_features_ctx *ctx, const struct vst_feature_row *row)
{
	return row->module && vst_features_is_on_disk(ctx, row->module) &&
	       !vst_features_exists(ctx, "/sys/module/%s/initstate", row->module);
}

/* What vstord watches with the probes of each group. */
static const char *watched(enum vst_group group)
{
	static const char *const names[] = {
#define X(g, s, when, what, ...) [VST_GROUP_##g] = what,
		VST_OBJECTS(X)
#undef X
	};

	return names[group];
}

enum vst_feature_state vst_look_tracepoint(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
					   struct vst_feature_result *res)
{
	int args;

	if (!ctx->btf)
		return no_btf(res);
	args = args_of(ctx, row);
	if (args < 0 && is_in_unloaded_module(ctx, row)) {
		vst_feature_say(res, "in a module that is not loaded");
		return VST_FEATURE_FOUND;
	}
	if (args < 0 && has_another(ctx, row)) {
		vst_feature_say(res, "not needed: this kernel has another tracepoint in its place");
		return VST_FEATURE_FOUND;
	}
	if (args < 0) {
		vst_feature_say(res, "not in this kernel");
		return VST_FEATURE_MISSING;
	}
	if (row->args == VST_FUNCTION && !functions_can_be_hooked(ctx)) {
		vst_feature_say(res, "its return cannot be hooked here: see fentry");
		res->harmless = true;
		res->cost = "Nothing: the returns of system calls are watched instead.";
		return VST_FEATURE_MISSING;
	}
	if (row->args > 0 && args != row->args) {
		/* block_rq_issue and its like took (queue, request) before 5.11, a54895fa057c */
		vst_feature_say(res, "it has %d arguments here, the probe knows %d", args, row->args);
		return VST_FEATURE_MISSING;
	}
	vst_feature_say(res, "watches %s%s%s", watched(row->group),
			row->args == VST_FUNCTION ? ", where the function returns" : "",
			row->feature.required ? "; vstord does not start without it" : "");
	return VST_FEATURE_FOUND;
}
