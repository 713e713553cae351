/* SPDX-License-Identifier: GPL-2.0-only */
/* What sysfs says about the disks that knobs name. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "policy/actuator.h"
#include "policy/cgroup_file.h"

static void cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* A disk's entry in /sys/dev/block, which is a symbolic link to its directory. */
static int disk_open(const struct vst_roots *roots, const char *dev, size_t dev_len)
{
	char name[32];
	int fd;

	if (roots->sysfs_block < 0)
		return -ENOENT;
	snprintf(name, sizeof(name), "%.*s", (int)dev_len, dev);
	fd = openat(roots->sysfs_block, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Has a directory an entry? */
static bool has_entries(int dir, const char *path)
{
	int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(cleanup_closedir) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		vst_cleanup_close(&fd);
		return false;
	}
	while ((e = readdir(d)))
		if (*e->d_name != '.')
			return true;
	return false;
}

int vst_disk_is_leaf(const struct vst_roots *roots, const char *dev, size_t dev_len, char *text)
{
	_cleanup_close_ int fd = disk_open(roots, dev, dev_len);

	if (fd < 0) {
		vst_explain(text, "no block device %.*s (%s)", (int)dev_len, dev, strerror(-fd));
		return fd == -ENOENT ? -ENODEV : fd;
	}
	if (faccessat(fd, "queue", F_OK, 0)) {
		vst_explain(text, "%.*s is a partition: name its disk", (int)dev_len, dev);
		return -EOPNOTSUPP;
	}
	if (has_entries(fd, "slaves")) {
		vst_explain(text, "%.*s is stacked on other disks (dm, md, bcache): name the disks below it",
			    (int)dev_len, dev);
		return -EOPNOTSUPP;
	}
	return 0;
}

int vst_disk_scheduler(const struct vst_roots *roots, const char *dev, size_t dev_len, char ret[32])
{
	_cleanup_close_ int fd = disk_open(roots, dev, dev_len);
	char all[256], *begin;
	size_t len;
	int n;

	if (fd < 0)
		return fd;
	n = vst_read_small(fd, "queue/scheduler", all, sizeof(all));
	if (n < 0)
		return n;
	begin = strchr(all, '[');
	begin = begin ? begin + 1 : all; /* "none" stands alone where a queue takes no scheduler */
	len = strcspn(begin, "]\n");
	if (len >= 32)
		return -E2BIG;
	memcpy(ret, begin, len);
	ret[len] = 0;
	return 0;
}

/* A loop or zram device that nobody set up has no bytes. */
static bool is_empty(const struct vst_roots *roots, const char *dev)
{
	char path[300], size[32];

	snprintf(path, sizeof(path), "%s/size", dev);
	return vst_read_small(roots->sysfs_block, path, size, sizeof(size)) > 0 && !strcmp(size, "0\n");
}

int vst_disk_each(const struct vst_roots *roots, int (*f)(void *ctx, const char *dev), void *ctx)
{
	int fd = roots->sysfs_block < 0 ? -1 : openat(roots->sysfs_block, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(cleanup_closedir) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	char text[VST_TEXT_MAX];
	int ret = 0;

	if (!d) {
		vst_cleanup_close(&fd);
		return 0;
	}
	while (!ret && (e = readdir(d))) {
		size_t len = vst_cgroup_key_device(e->d_name);

		if (len && !e->d_name[len] && !vst_disk_is_leaf(roots, e->d_name, len, text) &&
		    !is_empty(roots, e->d_name))
			ret = f(ctx, e->d_name);
	}
	return ret;
}

struct scheduler_search {
	const struct vst_roots *roots;
	const char *scheduler;
};

static int disk_uses(void *ctx, const char *dev)
{
	const struct scheduler_search *search = ctx;
	char scheduler[32];

	return !vst_disk_scheduler(search->roots, dev, strlen(dev), scheduler) && !strcmp(scheduler, search->scheduler);
}

bool vst_disk_any_uses(const struct vst_roots *roots, const char *scheduler)
{
	struct scheduler_search search = { roots, scheduler };

	return vst_disk_each(roots, disk_uses, &search) == 1;
}
