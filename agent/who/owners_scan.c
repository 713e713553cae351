// SPDX-License-Identifier: GPL-2.0-only
/* Reading the tree of cgroups: what is there, what its path is, what systemd marked. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/who/owners_priv.h"

#define SCAN_DEPTH 32
#define SCAN_PATH (4 * PATH_MAX)
#define SCAN_SHARE 0.05	   /* of the time, for all scans that somebody can cause */
#define FILEID_KERNFS 0xfe /* include/linux/exportfs.h: a file handle that is an id */

/* A scan of one hierarchy. */
struct scan {
	struct vst_owners *o;
	__u64 hier;
	double now;
	char *path; /* [SCAN_PATH], of the directory that is being read */
	size_t len;
};

static double clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- single cgroups --- */

int vst_owners_path(const struct vst_owners *o, __u64 hier, __u64 id, char *buf, size_t size)
{
	struct {
		struct file_handle head;
		__u64 id;
	} handle = { .head = { .handle_bytes = sizeof(__u64), .handle_type = FILEID_KERNFS }, .id = id };
	const char *where = o->mount[hier].where;
	size_t n = strlen(where);
	int mount = o->mount[hier].mounted ? open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1, fd, err;
	char self[32];
	ssize_t len;

	if (mount < 0)
		return -EPERM;
	fd = open_by_handle_at(mount, &handle.head, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = errno;
	close(mount); /* not held: it would keep the mount busy */
	if (fd < 0)
		return err == ESTALE ? -ENOENT : -EPERM;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	len = readlink(self, buf, size);
	close(fd);
	if (len <= 0 || (size_t)len >= size)
		return -ENAMETOOLONG;
	buf[len] = 0;
	if (len > 10 && !strcmp(buf + len - 10, " (deleted)"))
		return -ENOENT;
	/* below the mount: the mount's own path comes first; elsewhere it is the path from the hierarchy's root */
	if (!strncmp(buf, where, n) && (!buf[n] || buf[n] == '/')) {
		if (!o->mount[hier].whole) /* what is above the mount is not known */
			return -EPERM;
		memmove(buf, buf + n, (size_t)len - n + 1);
	}
	if (!*buf)
		strcpy(buf, "/");
	return 0;
}

bool vst_owners_is_delegated(const struct vst_owners *o, const char *path, size_t len)
{
	/* the first is systemd's own, the second is what its user managers may set */
	static const char *const marks[] = { "trusted.delegate", "user.delegate" };
	char dir[PATH_MAX], value[8];
	ssize_t n;

	for (int h = 0; h < VST_HIER__N; h++) {
		if (!o->mount[h].mounted || !o->mount[h].whole ||
		    snprintf(dir, sizeof(dir), "%s%.*s", o->mount[h].where, (int)len, path) >= (int)sizeof(dir))
			continue;
		for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
			n = lgetxattr(dir, marks[i], value, sizeof(value));
			if (n > 0)
				return value[0] == '1';
		}
	}
	return false;
}

/* --- the scan --- */

static void scan_found(const struct scan *s, __u64 id, long maker)
{
	struct cgroup *cg = vst_owners_cgroup(s->o, s->hier, id, s->len ? s->path : "/", maker, s->now);

	if (cg)
		cg->scan = s->o->scan;
}

static void scan_dir(struct scan *s, int dir_fd, int depth)
{
	struct vst_owners *o = s->o;
	size_t len = s->len;
	struct dirent *e;
	struct stat st;
	long maker;
	DIR *dir;
	int fd;

	dir = fdopendir(dir_fd);
	if (!dir) {
		o->scan_partial = true;
		close(dir_fd);
		return;
	}
	/* who may make cgroups in it */
	maker = fstat(dir_fd, &st) ? 0 : (long)st.st_uid;
	while ((e = readdir(dir))) {
		if (e->d_type != DT_DIR || !strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (len + strlen(e->d_name) + 2 > SCAN_PATH) {
			o->scan_partial = true;
			continue;
		}
		fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0) {
			o->scan_partial = o->scan_partial || errno != ENOENT;
			continue;
		}
		if (fstat(fd, &st)) {
			close(fd);
			continue;
		}
		s->len = len + (size_t)sprintf(s->path + len, "/%s", e->d_name);
		scan_found(s, st.st_ino, maker);
		if (depth < SCAN_DEPTH) {
			scan_dir(s, fd, depth + 1);
		} else {
			o->scan_partial = true;
			close(fd);
		}
		s->len = len;
		s->path[len] = 0;
	}
	closedir(dir);
}

/* What was known and is not there any more: its end was not told. */
static void scan_sweep(struct vst_owners *o, __u64 hier, double now)
{
	struct cgroup *cg;

	for (cg = o->cgroups; cg < o->cgroups + o->places; cg++)
		if (cg->c && (cg->key & 3) == hier && cg->scan != o->scan)
			vst_owners_cgroup_gone(cg, now);
}

static void mounts_read(struct vst_owners *o)
{
	char why[sizeof(o->why)];

	if (vst_cgmounts_read(o->root, o->mount))
		return;
	for (int h = 0; h < VST_HIER__N; h++)
		if (o->lookups && o->mount[h].whole)
			vst_lookups_set_mount(o->lookups, h, o->mount[h].where);
	vst_cgmounts_why(o->mount, why, sizeof(why));
	if (*why && strcmp(why, o->why))
		vst_warn("%s", why);
	memcpy(o->why, why, sizeof(why));
}

int vst_owners_scan(struct vst_owners *o, double now)
{
	struct scan s = { .o = o, .now = now };
	double began = clock_now();
	int fd;

	s.path = malloc(SCAN_PATH);
	if (!s.path)
		return -ENOMEM;
	mounts_read(o);
	o->scan++;
	o->scan_due = 0;
	for (s.hier = 0; s.hier < VST_HIER__N; s.hier++) {
		if (!o->mount[s.hier].mounted)
			continue;
		fd = open(o->mount[s.hier].where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			continue;
		s.len = 0;
		s.path[0] = 0;
		scan_found(&s, ROOT_CGROUP, 0);
		o->scan_partial = !o->mount[s.hier].whole;
		if (o->mount[s.hier].whole) /* else the paths would not begin at the root */
			scan_dir(&s, fd, 0);
		else
			close(fd);
		if (!o->scan_partial)
			scan_sweep(o, s.hier, now);
	}
	free(s.path);
	o->scan_next = now + (clock_now() - began) / SCAN_SHARE;
	return 0;
}

void vst_owners_scan_soon(struct vst_owners *o, double now)
{
	if (now >= o->scan_next)
		vst_owners_scan(o, now);
	else
		o->scan_due = o->scan_next;
}

int vst_owners_hiers(const char *root, struct vst_hiers *ret)
{
	struct vst_cgmount m[VST_HIER__N];
	int err;

	err = vst_cgmounts_read(root, m);
	if (err)
		return err;
	ret->blkio = m[VST_HIER_BLKIO].exists ? VST_HIER_BLKIO : VST_HIER_UNIFIED;
	ret->memory = m[VST_HIER_MEMORY].exists	      ? VST_HIER_MEMORY
		      : m[VST_HIER_MEMORY].with_blkio ? VST_HIER_BLKIO
						      : VST_HIER_UNIFIED;
	return 0;
}
