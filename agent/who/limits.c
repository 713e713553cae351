// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/snapshot.h"
#include "agent/who/limits.h"

#define FILE_BYTES 4096 /* of a cgroup file: some 60 devices */
#define DEPTH_MAX 32	/* levels above the container */

/* The files that hold a task's I/O back. io.latency and io.cost delay others for somebody; they are no limits. */
static const struct {
	enum vst_hierarchy hier;
	const char *file;
} attributes[] = {
	{ VST_HIER_UNIFIED, "io.max" },
	{ VST_HIER_BLKIO, "blkio.throttle.read_bps_device" },
	{ VST_HIER_BLKIO, "blkio.throttle.write_bps_device" },
	{ VST_HIER_BLKIO, "blkio.throttle.read_iops_device" },
	{ VST_HIER_BLKIO, "blkio.throttle.write_iops_device" },
};

struct list {
	struct vst_limit *limit;
	size_t n;
};

void vst_limits_free(struct vst_limit *limits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(limits[i].cgroup);
		free(limits[i].attribute);
		free(limits[i].value);
	}
	free(limits);
}

static int list_add(struct list *l, const char *cgroup, const char *attribute, const char *value)
{
	struct vst_limit *limit;

	limit = realloc(l->limit, (l->n + 1) * sizeof(*limit));
	if (!limit)
		return -ENOMEM;
	l->limit = limit;
	limit += l->n;
	limit->cgroup = strdup(*cgroup ? cgroup : "/");
	limit->attribute = strdup(attribute);
	limit->value = strdup(value);
	l->n++;
	return limit->cgroup && limit->attribute && limit->value ? 0 : -ENOMEM;
}

/* At most FILE_BYTES of it, as a string. False: there is no such file, or nothing in it. */
static bool read_file(const char *path, char *buf)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, FILE_BYTES - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = 0;
	return true;
}

/* The limits of one cgroup: mount, and the path's first len bytes. */
static int level_read(const char *mount, enum vst_hierarchy hier, const char *path, size_t len, struct list *l)
{
	char cgroup[PATH_MAX], file[PATH_MAX], buf[FILE_BYTES], *line, *rest;
	int err = 0;

	if (snprintf(cgroup, sizeof(cgroup), "%.*s", (int)len, path) >= (int)sizeof(cgroup))
		return 0;
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]) && !err; i++) {
		if (attributes[i].hier != hier ||
		    snprintf(file, sizeof(file), "%s%s/%s", mount, cgroup, attributes[i].file) >= (int)sizeof(file))
			continue;
		if (!read_file(file, buf))
			continue;
		for (rest = buf; !err && l->n < VST_LIMITS_MAX && (line = strsep(&rest, "\n"));)
			if (*line)
				err = list_add(l, cgroup, attributes[i].file, line);
	}
	return err;
}

int vst_limits_read(const char *const mounts[VST_HIER__N], const char *path, struct vst_limit **ret, size_t *ret_n)
{
	static const enum vst_hierarchy hiers[] = { VST_HIER_UNIFIED, VST_HIER_BLKIO };
	size_t len = strlen(path);
	struct list l = { 0 };
	int err = 0, depth;

	while (len && path[len - 1] == '/')
		len--;
	/* the root has no limits */
	for (depth = 0; len && depth < DEPTH_MAX && l.n < VST_LIMITS_MAX && !err; depth++) {
		for (size_t i = 0; i < sizeof(hiers) / sizeof(hiers[0]) && !err; i++)
			if (mounts[hiers[i]] && *mounts[hiers[i]])
				err = level_read(mounts[hiers[i]], hiers[i], path, len, &l);
		while (len && path[len - 1] != '/')
			len--;
		while (len && path[len - 1] == '/')
			len--;
	}
	if (err) {
		vst_limits_free(l.limit, l.n);
		return err;
	}
	*ret = l.limit;
	*ret_n = l.n;
	return 0;
}
