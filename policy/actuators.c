/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "policy/actuator.h"

const struct vst_actuator *const vst_actuators[VST_ACTUATOR__N] = {
	[VST_ACTUATOR_CGROUP_IO] = &vst_cgroup_io,
	[VST_ACTUATOR_IOPRIO] = &vst_ioprio,
	[VST_ACTUATOR_CACHE] = &vst_cache,
};

int vst_read_small(int dir, const char *path, char *buf, size_t len)
{
	_cleanup_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t got = read(fd, buf + n, len - 1 - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		n += got;
		if (n == len - 1)
			return -E2BIG;
	}
	buf[n] = 0;
	return n;
}

static int open_dir(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Does a cgroup v2 root offer the io controller? On a hybrid host it is on v1. */
static bool has_io(int cgroup)
{
	char controllers[512];

	if (vst_read_small(cgroup, "cgroup.controllers", controllers, sizeof(controllers)) < 0)
		return false;
	for (char *save, *c = strtok_r(controllers, " \n", &save); c; c = strtok_r(NULL, " \n", &save))
		if (!strcmp(c, "io"))
			return true;
	return false;
}

/*
 * Is a directory the root of a whole hierarchy? Only that has no cgroup.events (v2), or a release_agent (v1). The path in
 * mountinfo does not say: in a container with a cgroup namespace, "/" is the container's own cgroup.
 */
static bool is_whole(int dir, bool v2)
{
	return v2 ? faccessat(dir, "cgroup.events", F_OK, 0) != 0 : !faccessat(dir, "release_agent", F_OK, 0);
}

static void use_root(int dir, const char *path, bool v2, struct vst_roots *ret)
{
	snprintf(ret->cgroup_path, sizeof(ret->cgroup_path), "%s", path);
	ret->cgroup = dir;
	ret->v2 = v2;
}

struct hierarchy {
	const char *path;
	bool v2;
	int dir;       /* open while f runs */
	char *options; /* of the mount: v1's controllers are among them */
};

/* Calls f with each cgroup hierarchy that is mounted whole, until f returns true. */
static void each_hierarchy(int proc, bool (*f)(void *ctx, struct hierarchy *h), void *ctx)
{
	_cleanup_close_ int fd = openat(proc, "self/mountinfo", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *mounts = fd >= 0 ? fdopen(fd, "r") : NULL;
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;
	bool done = false;

	if (!mounts)
		return;
	TAKE_FD(fd);
	while (!done && getline(&line, &cap, mounts) > 0) {
		char path[256], type[16], options[256];
		const char *rest = strstr(line, " - ");
		struct hierarchy h = { .path = path, .options = options };

		if (!rest || sscanf(line, "%*s %*s %*s %*s %255s", path) != 1 ||
		    sscanf(rest, " - %15s %*s %255s", type, options) != 2 || strncmp(type, "cgroup", 6))
			continue;
		h.v2 = !strcmp(type, "cgroup2");
		h.dir = open_dir(path);
		if (h.dir >= 0 && is_whole(h.dir, h.v2))
			done = f(ctx, &h);
		vst_cleanup_close(&h.dir);
	}
}

/* v2 with io, or v1 with blkio: a controller is only ever in one of them. */
static bool use_hierarchy(void *ctx, struct hierarchy *h)
{
	bool fits = h->v2 && has_io(h->dir);

	if (!h->v2)
		for (char *save, *o = strtok_r(h->options, ",\n", &save); o; o = strtok_r(NULL, ",\n", &save))
			fits |= !strcmp(o, "blkio");
	if (fits)
		use_root(TAKE_FD(h->dir), h->path, h->v2, ctx);
	return fits;
}

static bool leave_one(void *ctx, struct hierarchy *h)
{
	_cleanup_close_ int fd = openat(h->dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	int *err = ctx;

	if (fd < 0 || write(fd, "0", 1) != 1)
		*err = -errno;
	return false;
}

int vst_leave_cgroups(int proc)
{
	int err = 0;

	each_hierarchy(proc, leave_one, &err);
	return err;
}

void vst_roots_open(const char *cgroup_root, const char *sysfs, const char *proc, struct vst_roots *ret)
{
	char path[256];

	*ret = (struct vst_roots){ .cgroup = -1 };
	ret->proc = open_dir(proc ? proc : "/proc");
	snprintf(path, sizeof(path), "%s/dev/block", sysfs ? sysfs : "/sys");
	ret->sysfs_block = open_dir(path);
	if (!cgroup_root && ret->proc >= 0)
		each_hierarchy(ret->proc, use_hierarchy, ret);
	if (!cgroup_root)
		return;
	ret->cgroup = open_dir(cgroup_root);
	if (ret->cgroup >= 0)
		use_root(ret->cgroup, cgroup_root, !faccessat(ret->cgroup, "cgroup.controllers", F_OK, 0), ret);
}

void vst_roots_close(struct vst_roots *roots)
{
	vst_cleanup_close(&roots->cgroup);
	vst_cleanup_close(&roots->sysfs_block);
	vst_cleanup_close(&roots->proc);
	*roots = (struct vst_roots){ .cgroup = -1, .sysfs_block = -1, .proc = -1 };
}
