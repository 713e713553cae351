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

/* Opens path if it is a root that fits. "cgroup2" or "cgroup" as the filesystem's type; NULL: find out. */
static bool try_root(const char *path, const char *type, struct vst_roots *ret)
{
	_cleanup_close_ int fd = open_dir(path);
	bool v2 = type ? !strcmp(type, "cgroup2") : fd >= 0 && !faccessat(fd, "cgroup.controllers", F_OK, 0);

	if (fd < 0 || (type && v2 && !has_io(fd)))
		return false;
	snprintf(ret->cgroup_path, sizeof(ret->cgroup_path), "%s", path);
	ret->cgroup = TAKE_FD(fd);
	ret->v2 = v2;
	return true;
}

/* A mount of v2 with io, or of v1 with blkio: a controller is only ever in one of them. */
static void find_cgroup_root(int proc, struct vst_roots *ret)
{
	_cleanup_close_ int fd = openat(proc, "self/mountinfo", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;

	if (!f)
		return;
	TAKE_FD(fd);
	while (ret->cgroup < 0 && getline(&line, &cap, f) > 0) {
		char root[256], path[256], type[16], options[256];
		const char *rest = strstr(line, " - ");

		if (!rest || sscanf(line, "%*s %*s %*s %255s %255s", root, path) != 2 ||
		    sscanf(rest, " - %15s %*s %255s", type, options) != 2 || strcmp(root, "/"))
			continue;
		if (!strcmp(type, "cgroup2"))
			try_root(path, type, ret);
		else if (!strcmp(type, "cgroup"))
			for (char *save, *o = strtok_r(options, ",\n", &save); o; o = strtok_r(NULL, ",\n", &save))
				if (!strcmp(o, "blkio") && try_root(path, type, ret))
					break;
	}
}

void vst_roots_open(const char *cgroup_root, const char *sysfs, const char *proc, struct vst_roots *ret)
{
	char path[256];

	*ret = (struct vst_roots){ .cgroup = -1 };
	ret->proc = open_dir(proc ? proc : "/proc");
	snprintf(path, sizeof(path), "%s/dev/block", sysfs ? sysfs : "/sys");
	ret->sysfs_block = open_dir(path);
	if (cgroup_root)
		try_root(cgroup_root, NULL, ret);
	else if (ret->proc >= 0)
		find_cgroup_root(ret->proc, ret);
}

void vst_roots_close(struct vst_roots *roots)
{
	vst_cleanup_close(&roots->cgroup);
	vst_cleanup_close(&roots->sysfs_block);
	vst_cleanup_close(&roots->proc);
	*roots = (struct vst_roots){ .cgroup = -1, .sysfs_block = -1, .proc = -1 };
}
