/* SPDX-License-Identifier: GPL-2.0-only */
/* How the host is set up: cgroups, filesystems, devices. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "vstor/abi_symbols.h"
#include "features_priv.h"

static bool has_word(const char *list, const char *word, const char *separators)
{
	size_t len = strlen(word);

	for (const char *p = list; *p; p += strcspn(p, separators)) {
		p += strspn(p, separators);
		if (!strncmp(p, word, len) && (!p[len] || strchr(separators, p[len])))
			return true;
	}
	return false;
}

/* --- cgroups --- */

struct cgroups {
	char unified[256]; /* mount points; "": none */
	char blkio[256];
	char memory[256];
};

static void keep(char *slot, const char *mount_point)
{
	if (!*slot)
		snprintf(slot, 256, "%s", mount_point);
}

static int find_cgroups(const struct vst_features_ctx *ctx, struct cgroups *ret)
{
	FILE *f = vst_features_open_below(ctx, "/proc/self/mountinfo");
	char *line = NULL, at[256], type[32], options[512];
	size_t cap = 0;

	memset(ret, 0, sizeof(*ret));
	if (!f)
		return -errno;
	while (getline(&line, &cap, f) > 0) {
		const char *tail = strstr(line, " - ");

		if (!tail || sscanf(line, "%*s %*s %*s %*s %255s", at) != 1 ||
		    sscanf(tail, " - %31s %*s %511s", type, options) != 2)
			continue;
		if (!strcmp(type, "cgroup2"))
			keep(ret->unified, at);
		else if (!strcmp(type, "cgroup") && has_word(options, "blkio", ","))
			keep(ret->blkio, at);
		if (!strcmp(type, "cgroup") && has_word(options, "memory", ","))
			keep(ret->memory, at);
	}
	free(line);
	fclose(f);
	return 0;
}

static enum vst_feature_state no_cgroups(int err, struct vst_feature_result *res)
{
	vst_feature_say(res, "/proc/self/mountinfo: %s", vst_features_error(err));
	return vst_features_is_denied(err) ? VST_FEATURE_UNKNOWN : VST_FEATURE_MISSING;
}

/* Is the controller in this file of that cgroup? -errno: there is no such cgroup. */
static int controller_in(const struct vst_features_ctx *ctx, const char *at, const char *below, const char *file,
			 const char *controller)
{
	char line[512];
	int err = vst_features_first_line(vst_features_open_below(ctx, "%s%s/%s", at, below, file), line, sizeof(line));

	if (err == -ENODATA) /* an empty list */
		return 0;
	return err ?: has_word(line, controller, " ");
}

enum vst_feature_state vst_look_hierarchy(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
					  struct vst_feature_result *res)
{
	struct cgroups cg;
	int err = find_cgroups(ctx, &cg);

	if (err)
		return no_cgroups(err, res);
	if (*cg.unified)
		vst_feature_say(res, *cg.blkio || *cg.memory ? "hybrid: version 2, with controllers on version 1"
							     : "unified: version 2");
	else if (*cg.blkio || *cg.memory)
		vst_feature_say(res, "version 1");
	else
		vst_feature_say(res, "no cgroup filesystem is mounted");
	return *res->detail == 'n' ? VST_FEATURE_MISSING : VST_FEATURE_FOUND;
}

/* A controller that is on version 1 (arg: its file there) or on version 2. */
enum vst_feature_state vst_look_controller(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
					   struct vst_feature_result *res)
{
	bool is_io = !strcmp(row->arg, "io");
	struct cgroups cg;
	int err = find_cgroups(ctx, &cg);

	if (err)
		return no_cgroups(err, res);
	if (*cg.unified && controller_in(ctx, cg.unified, "", "cgroup.controllers", row->arg) > 0) {
		vst_feature_say(res, "%s, on version 2", row->arg);
		return VST_FEATURE_FOUND;
	}
	if (is_io ? *cg.blkio : *cg.memory) {
		vst_feature_say(res, "%s, on version 1", is_io ? "blkio" : "memory");
		return VST_FEATURE_FOUND;
	}
	vst_feature_say(res, "on no hierarchy");
	return VST_FEATURE_MISSING;
}

enum vst_feature_state vst_look_io_enabled(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
					   struct vst_feature_result *res)
{
	static const char *const usual[] = {
		"", "/system.slice", "/user.slice", "/machine.slice", "/kubepods.slice", "/kubepods", "/docker", "/lxc"
	};
	const char *sep = "not below ";
	int there = 0, off = 0, err;
	struct cgroups cg;

	err = find_cgroups(ctx, &cg);
	if (err)
		return no_cgroups(err, res);
	if (*cg.blkio) {
		vst_feature_say(res, "blkio on version 1 counts in every cgroup of its own hierarchy");
		return VST_FEATURE_FOUND;
	}
	for (size_t i = 0; i < N(usual); i++) {
		int on = *cg.unified ? controller_in(ctx, cg.unified, usual[i], "cgroup.subtree_control", "io") : -1;

		there += on >= 0;
		if (on)
			continue;
		off++;
		vst_feature_say(res, "%s%s", sep, *usual[i] ? usual[i] + 1 : "the root");
		sep = ", ";
	}
	if (!there)
		vst_feature_say(res, "no version 2 hierarchy can be read");
	else if (!off)
		vst_feature_say(res, "below the root and below each of the usual slices");
	return there && !off ? VST_FEATURE_FOUND : VST_FEATURE_MISSING;
}

/* --- filesystems and their functions --- */

static bool can_mount(const struct vst_features_ctx *ctx, const char *fs)
{
	FILE *f = vst_features_open_below(ctx, "/proc/filesystems");
	bool found = false;
	char line[128];

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = has_word(line, fs, " \t\n");
	fclose(f);
	return found;
}

bool vst_features_exists(const struct vst_features_ctx *ctx, const char *fmt, const char *name)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), fmt, name);
	f = vst_features_open_below(ctx, "%s", path);
	if (f)
		fclose(f);
	return f || errno != ENOENT;
}

bool vst_features_is_on_disk(const struct vst_features_ctx *ctx, const char *module)
{
	FILE *f = vst_features_open_below(ctx, "/lib/modules/%s/modules.dep", ctx->release ?: "");
	char *line = NULL, name[64];
	bool found = false;
	size_t cap = 0;

	if (!f)
		return false;
	snprintf(name, sizeof(name), "/%s.ko", module);
	while (!found && getline(&line, &cap, f) > 0) {
		line[strcspn(line, ":")] = 0;
		found = strstr(line, name);
	}
	free(line);
	fclose(f);
	return found;
}

enum vst_feature_state vst_look_filesystem(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
					   struct vst_feature_result *res)
{
	if (!can_mount(ctx, row->arg)) {
		if (vst_features_is_on_disk(ctx, row->arg)) {
			vst_feature_say(res, "a module that is not loaded");
			return VST_FEATURE_FOUND;
		}
		vst_feature_say(res, "not in this kernel");
		res->harmless = true;
		res->cost = "Nothing: this kernel cannot mount it.";
		res->remedy = "None is needed.";
		return VST_FEATURE_MISSING;
	}
	/* only what was loaded has a state */
	if (!vst_features_exists(ctx, "/sys/module/%s/initstate", row->arg)) {
		vst_feature_say(res, "built in");
		return VST_FEATURE_FOUND;
	}
	if (vst_features_exists(ctx, "/sys/kernel/btf/%s", row->arg)) {
		vst_feature_say(res, "a module, loaded");
		return VST_FEATURE_FOUND;
	}
	vst_feature_say(res, "a module, loaded, without BTF");
	return VST_FEATURE_MISSING;
}

enum vst_feature_state vst_look_symbols(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
					struct vst_feature_result *res)
{
#define X(field, symbol, tells) symbol,
	static const char *const wanted[] = { VST_SYMBOLS(X) };
#undef X
	bool listed[N(wanted)] = {};
	unsigned int found = 0, addressed = 0;
	unsigned long long address;
	char line[512], name[128];
	FILE *f = vst_features_open_below(ctx, "/proc/kallsyms");
	int err = -errno;

	if (!f) {
		vst_feature_say(res, "/proc/kallsyms: %s", vst_features_error(err));
		return vst_features_is_denied(err) ? VST_FEATURE_UNKNOWN : VST_FEATURE_MISSING;
	}
	while (fgets(line, sizeof(line), f)) {
		const char *at = strchr(line, ' ');

		if (!at || !strstr(at, "end") || sscanf(line, "%llx %*c %127s", &address, name) != 2)
			continue;
		for (size_t i = 0; i < N(wanted); i++) {
			if (listed[i] || strcmp(name, wanted[i]))
				continue;
			listed[i] = true;
			found++;
			addressed += !!address;
		}
	}
	fclose(f);
	if (found && !addressed) {
		vst_feature_say(res, "/proc/kallsyms shows no addresses to this user");
		return VST_FEATURE_UNKNOWN;
	}
	vst_feature_say(res, "%u of %zu", found, N(wanted));
	for (size_t i = 0, n = 0; found && i < N(wanted); i++)
		if (!listed[i])
			vst_feature_say(res, "%s%s", n++ ? ", " : "; not loaded or not in this kernel: ", wanted[i]);
	return found ? VST_FEATURE_FOUND : VST_FEATURE_MISSING;
}

/* --- devices --- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Calls a function for each device that has a size: a loop device without a file, an empty drive do no I/O. 0 or -errno. */
static int each_device(const struct vst_features_ctx *ctx, struct vst_feature_result *res,
		       void (*one)(const struct vst_features_ctx *ctx, const char *dev, void *arg), void *arg)
{
	struct dirent **list;
	char path[4096], line[64];
	int n;

	snprintf(path, sizeof(path), "%s/sys/block", ctx->root);
	n = scandir(path, &list, NULL, by_name);
	if (n < 0) {
		n = -errno;
		vst_feature_say(res, "/sys/block: %s", vst_features_error(n));
		return n;
	}
	for (int i = 0; i < n; i++) {
		const char *dev = list[i]->d_name;

		if (*dev != '.' &&
		    !vst_features_first_line(vst_features_open_below(ctx, "/sys/block/%s/size", dev), line,
					     sizeof(line)) &&
		    atoll(line) > 0)
			one(ctx, dev, arg);
		free(list[i]);
	}
	free(list);
	return 0;
}

struct look {
	struct vst_feature_result *res;
	unsigned int devices, bad;
};

static void look_iostats(const struct vst_features_ctx *ctx, const char *dev, void *arg)
{
	struct look *look = arg;
	char line[64];

	look->devices++;
	if (!vst_features_first_line(vst_features_open_below(ctx, "/sys/block/%s/queue/iostats", dev), line,
				     sizeof(line)) &&
	    !atoi(line))
		vst_feature_say(look->res, "%s%s", look->bad++ ? ", " : "not counted: ", dev);
}

enum vst_feature_state vst_look_iostats(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
					struct vst_feature_result *res)
{
	struct look look = { .res = res };
	int err = each_device(ctx, res, look_iostats, &look);

	if (err)
		return vst_features_is_denied(err) ? VST_FEATURE_UNKNOWN : VST_FEATURE_MISSING;
	if (!look.devices)
		vst_feature_say(res, "no block device");
	else if (!look.bad)
		vst_feature_say(res, "all devices are counted");
	return look.bad ? VST_FEATURE_MISSING : VST_FEATURE_FOUND;
}

/* How many requests a disk takes at once: the tags of all its hardware queues. 0: not known. */
static unsigned long disk_depth(const struct vst_features_ctx *ctx, const char *dev)
{
	unsigned long depth = 0;
	struct dirent **list;
	char path[4096], line[64];
	int n;

	snprintf(path, sizeof(path), "%s/sys/block/%s/mq", ctx->root, dev);
	n = scandir(path, &list, NULL, by_name);
	for (int i = 0; i < n; i++) {
		if (*list[i]->d_name != '.' &&
		    !vst_features_first_line(
			    vst_features_open_below(ctx, "/sys/block/%s/mq/%s/nr_tags", dev, list[i]->d_name), line,
			    sizeof(line)))
			depth += strtoul(line, NULL, 10);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return depth;
}

/*
 * bfq orders what waits in it. With 200 requests in flight, a disk that took 256 left it none, and weights of 100 and 800
 * gave 1.04 to 1; one that took 32 gave 2 to 1 (docs/acting.md).
 */
#define DEEP 64

static void look_bfq(const struct vst_features_ctx *ctx, const char *dev, void *arg)
{
	struct look *look = arg;
	unsigned long depth;
	char line[128];

	if (vst_features_first_line(vst_features_open_below(ctx, "/sys/block/%s/queue/scheduler", dev), line,
				    sizeof(line)) ||
	    !strstr(line, "[bfq]"))
		return;
	look->devices++;
	depth = disk_depth(ctx, dev);
	if (depth > DEEP)
		vst_feature_say(look->res, "%s%s takes %lu requests at once", look->bad++ ? ", " : "", dev, depth);
}

enum vst_feature_state vst_look_bfq(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
				    struct vst_feature_result *res)
{
	struct look look = { .res = res };
	int err = each_device(ctx, res, look_bfq, &look);

	if (err)
		return vst_features_is_denied(err) ? VST_FEATURE_UNKNOWN : VST_FEATURE_MISSING;
	if (!look.devices)
		vst_feature_say(res, "no device has the scheduler bfq");
	else if (!look.bad)
		vst_feature_say(res, "no device with the scheduler bfq takes more than %d requests at once", DEEP);
	return look.bad ? VST_FEATURE_MISSING : VST_FEATURE_FOUND;
}
