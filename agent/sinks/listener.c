// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/sinks/listener.h"

/*
 * One agent per socket. The lock is an abstract socket of the same name. The kernel releases it when the process ends, so
 * a killed agent leaves nothing to clean up, and a socket file without a lock is left over from one.
 */
static int lock(struct vst_listener *s)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char real[PATH_MAX], dir[PATH_MAX], *slash;
	unsigned long long hash = 14695981039346656037ULL;
	const char *c;
	int n;

	snprintf(dir, sizeof(dir), "%s", s->path);
	slash = strrchr(dir, '/');
	if (slash)
		*slash = 0;
	if (!realpath(!slash ? "." : slash == dir ? "/" : dir, real))
		return -errno;
	for (c = real; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 1099511628211ULL;
	for (c = slash ? slash + 1 : s->path; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 1099511628211ULL;
	n = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "vstord-%016llx", hash);
	s->lock_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->lock_fd < 0)
		return -errno;
	if (bind(s->lock_fd, (struct sockaddr *)&addr, offsetof(struct sockaddr_un, sun_path) + 1 + n))
		return -errno;
	return 0;
}

/* The directory part of the socket's path. False: it has none that could be made or removed. */
static bool directory_of(const char *path, char *buf, size_t size)
{
	char *slash;

	snprintf(buf, size, "%s", path);
	slash = strrchr(buf, '/');
	if (!slash || slash == buf)
		return false;
	*slash = 0;
	return true;
}

static int make_directory(struct vst_listener *s)
{
	char dir[PATH_MAX];

	if (!directory_of(s->path, dir, sizeof(dir)))
		return 0;
	s->made_directory = !mkdir(dir, 0755);
	return s->made_directory || errno == EEXIST ? 0 : -errno;
}

/* Does anybody listen there? */
static bool is_served(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool served;

	if (fd < 0)
		return false;
	served = !connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) || errno == EAGAIN || errno == EACCES;
	close(fd);
	return served;
}

static int listen_at(struct vst_listener *s, int *ret_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t mask;
	int fd, err = 0;

	strcpy(addr.sun_path, s->path);
	if (!lstat(s->path, &st)) {
		if (!S_ISSOCK(st.st_mode)) /* somebody's file: not ours to remove */
			return -EEXIST;
		if (is_served(&addr))
			return -EADDRINUSE;
		unlink(s->path);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	mask = umask(0177); /* whoever may write to it may ask: only root, unless an administrator changes that */
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		err = -errno;
	umask(mask);
	if (!err) {
		s->bound = !lstat(s->path, &s->ours);
		err = listen(fd, 64) ? -errno : 0;
	}
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

int vst_listener_open(struct vst_listener *s, const char *path, int *ret_fd)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->lock_fd = -1;
	if (strlen(path) >= sizeof(s->path)) {
		vst_err("socket path is too long: %zu bytes, at most %zu are possible; choose a shorter one with "
			"--socket",
			strlen(path), sizeof(s->path) - 1);
		return -ENAMETOOLONG;
	}
	strcpy(s->path, path);
	err = make_directory(s);
	if (err) {
		vst_err("cannot make the directory of the socket %s: %s; make it, or choose another with --socket",
			path, strerror(-err));
		return err;
	}
	err = lock(s);
	/* anybody can take that abstract name, so what counts is whether somebody answers at the socket */
	if (!err || err == -EADDRINUSE)
		err = listen_at(s, ret_fd);
	if (err == -EADDRINUSE) {
		vst_err("another vstord, or another program, serves %s; stop it first, or give this one another "
			"--socket",
			path);
		return err;
	}
	if (err == -EEXIST)
		vst_err("%s exists and is not a socket; remove it, or choose another path with --socket", path);
	else if (err)
		vst_err("cannot listen at %s: %s; vstorctl would not reach the agent; choose another path with "
			"--socket",
			path, strerror(-err));
	return err;
}

static bool is_ours(const char *dir)
{
	struct stat st;

	return !stat(dir, &st) && st.st_uid == geteuid() && st.st_mode & S_IWUSR;
}

bool vst_listener_is_removable(const char *path)
{
	char dir[PATH_MAX], above[PATH_MAX + 4];

	if (!directory_of(path, dir, sizeof(dir)))
		return is_ours(strchr(path, '/') ? "/" : ".");
	snprintf(above, sizeof(above), "%s/..", dir);
	return is_ours(dir) && is_ours(above);
}

void vst_listener_close(struct vst_listener *s)
{
	char dir[PATH_MAX];
	struct stat st;

	if (s->bound && !lstat(s->path, &st) && st.st_dev == s->ours.st_dev && st.st_ino == s->ours.st_ino)
		unlink(s->path);
	if (s->made_directory && directory_of(s->path, dir, sizeof(dir)))
		rmdir(dir);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	s->lock_fd = -1;
}
