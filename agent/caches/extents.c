// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/fiemap.h>
#include <linux/fs.h>

#include "agent/caches/extents.h"
#include "lib/cleanup.h"

#define AT_ONCE 128 /* extents that one call returns */
/* Their place is not known, or it is not theirs alone, or they have no data of their own. */
#define USELESS                                                                                                        \
	(FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_NOT_ALIGNED |          \
	 FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_UNWRITTEN)

int vst_extents_fiemap(int fd, int (*add)(void *arg, __u64 offset, __u64 bytes), void *arg)
{
	_cleanup_free_ struct fiemap *map = calloc(1, sizeof(*map) + AT_ONCE * sizeof(map->fm_extents[0]));
	int err = map ? 0 : -ENOMEM;
	bool last = false;

	while (!err && !last) {
		map->fm_length = FIEMAP_MAX_OFFSET - map->fm_start;
		map->fm_extent_count = AT_ONCE;
		if (ioctl(fd, FS_IOC_FIEMAP, map))
			return -errno;
		last = !map->fm_mapped_extents;
		for (__u32 i = 0; i < map->fm_mapped_extents && !err; i++) {
			const struct fiemap_extent *e = &map->fm_extents[i];

			last = last || e->fe_flags & FIEMAP_EXTENT_LAST ||
			       e->fe_logical + e->fe_length <= map->fm_start;
			map->fm_start = e->fe_logical + e->fe_length;
			if (!(e->fe_flags & USELESS))
				err = add(arg, e->fe_physical, e->fe_length);
		}
	}
	return err;
}

struct tree_walk {
	vst_extents_of *extents_of;
	struct vst_extents *ret;
	dev_t dev;
	int result; /* of the first file that failed */
};

static int add_extent(void *arg, __u64 offset, __u64 bytes)
{
	struct vst_extents *e = arg;
	struct vst_extent *list;

	if (e->n == VST_EXTENTS_MAX) {
		e->cut = true;
		return -EFBIG;
	}
	if (e->n == e->cap) {
		size_t cap = e->cap ? 2 * e->cap : 64;

		list = realloc(e->list, cap * sizeof(*list));
		if (!list)
			return -ENOMEM;
		e->list = list;
		e->cap = cap;
	}
	e->list[e->n++] = (struct vst_extent){ offset, bytes };
	e->bytes += bytes;
	return 0;
}

static void take_file(struct tree_walk *w, int fd)
{
	int err = w->extents_of(fd, add_extent, w->ret);

	w->ret->files++;
	if (err && err != -EFBIG && !w->result)
		w->result = err;
}

static bool is_full(struct tree_walk *w)
{
	if (w->ret->files >= VST_EXTENTS_FILES)
		w->ret->cut = true;
	return w->ret->cut;
}

static void take_directory(struct tree_walk *w, int fd, int depth);

/* Reading should not change access times, but only an owner may ask for that. dir: AT_FDCWD or a directory. */
static int open_quietly(int dir, const char *path)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	int fd = openat(dir, path, flags | O_NOATIME);

	return fd < 0 && errno == EPERM ? openat(dir, path, flags) : fd;
}

/* What lies in a directory. Files that vanish meanwhile are no error. */
static void take_entry(struct tree_walk *w, int dir, const char *name, int depth)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) || st.st_dev != w->dev ||
	    !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
		return;
	fd = open_quietly(dir, name);
	if (fd < 0 || fstat(fd, &st) || st.st_dev != w->dev)
		return;
	if (S_ISREG(st.st_mode))
		take_file(w, fd);
	else if (S_ISDIR(st.st_mode))
		take_directory(w, TAKE_FD(fd), depth + 1);
}

/* Takes fd over. */
static void take_directory(struct tree_walk *w, int fd, int depth)
{
	const struct dirent *d;
	DIR *dir = fdopendir(fd);

	if (!dir) {
		close(fd);
		return;
	}
	w->ret->files++;
	if (depth >= VST_EXTENTS_DEPTH)
		w->ret->cut = true;
	while (!is_full(w) && (d = readdir(dir)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			take_entry(w, dirfd(dir), d->d_name, depth);
	closedir(dir);
}

int vst_extents_find(const char *path, vst_extents_of *extents_of, struct vst_extents *ret)
{
	struct tree_walk w = { .extents_of = extents_of, .ret = ret };
	_cleanup_close_ int fd = -1;
	struct stat st;

	*ret = (struct vst_extents){ 0 };
	if (lstat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -EMEDIUMTYPE;
	fd = open_quietly(AT_FDCWD, path);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	w.dev = st.st_dev;
	ret->dev = major(st.st_dev) << 20 | minor(st.st_dev);
	if (S_ISREG(st.st_mode))
		take_file(&w, fd);
	else if (S_ISDIR(st.st_mode))
		take_directory(&w, TAKE_FD(fd), 0);
	else
		return -EMEDIUMTYPE;
	return w.result;
}

void vst_extents_clear(struct vst_extents *e)
{
	free(e->list);
	*e = (struct vst_extents){ 0 };
}
