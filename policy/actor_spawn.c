/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "policy/actor_msg.h"
#include "policy/actor_spawn.h"
#include "policy/journal.h"

enum { CHILD_FD = 3 };

/* The actor lies beside the program that runs. */
static int default_program(char *ret, size_t len)
{
	ssize_t n = readlink("/proc/self/exe", ret, len - 1);
	char *slash;

	if (n < 0)
		return -errno;
	ret[n] = 0;
	slash = strrchr(ret, '/');
	if (!slash || (size_t)(slash - ret) + sizeof("/vstor-actor") > len)
		return -ENAMETOOLONG;
	strcpy(slash, "/vstor-actor");
	return 0;
}

static int copy_option(char *to, size_t len, const char *from)
{
	return from && snprintf(to, len, "%s", from) >= (int)len ? -ENAMETOOLONG : 0;
}

int vst_actor_place_init(struct vst_actor_place *ret, const struct vst_actor_opts *opts)
{
	int err = opts->program ? copy_option(ret->program, sizeof(ret->program), opts->program)
				: default_program(ret->program, sizeof(ret->program));

	if (!err)
		err = copy_option(ret->state_dir, sizeof(ret->state_dir),
				  opts->state_dir ? opts->state_dir : VST_STATE_DIR);
	if (!err)
		err = copy_option(ret->cgroup_root, sizeof(ret->cgroup_root), opts->cgroup_root);
	if (!err)
		err = copy_option(ret->sysfs, sizeof(ret->sysfs), opts->sysfs);
	return err;
}

int vst_actor_connect(const char *state_dir)
{
	_cleanup_close_ int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	if (dir < 0)
		return -errno;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" VST_ACTOR_SOCKET, dir);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -errno;
	return peer.uid == geteuid() ? TAKE_FD(fd) : -EPERM;
}

/* The child has stdin, stdout, stderr and its socket (-1: none); no signal blocked; a session that a terminal's Ctrl-C misses. */
static int prepare(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attr, int child)
{
	sigset_t none, all;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	err = child < 0 ? 0 : posix_spawn_file_actions_adddup2(actions, child, CHILD_FD);
	if (!err)
		err = posix_spawn_file_actions_addclosefrom_np(actions, child < 0 ? CHILD_FD : CHILD_FD + 1);
	if (!err)
		err = posix_spawnattr_setsigmask(attr, &none);
	if (!err)
		err = posix_spawnattr_setsigdefault(attr, &all);
	if (!err)
		err = posix_spawnattr_setflags(attr,
					       POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	return err;
}

static int spawn(struct vst_actor_place *place, int child, pid_t *ret_pid)
{
	char *argv[10] = { place->program, "--state", place->state_dir };
	char *const env[] = { getenv("JOURNAL_STREAM") ? "JOURNAL_STREAM=1" : NULL, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int n = 3, err;

	if (child < 0) {
		argv[n++] = "--revert";
	} else {
		argv[n++] = "--fd";
		argv[n++] = "3";
	}
	if (*place->cgroup_root) {
		argv[n++] = "--cgroup-root";
		argv[n++] = place->cgroup_root;
	}
	if (*place->sysfs) {
		argv[n++] = "--sysfs";
		argv[n++] = place->sysfs;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	err = prepare(&actions, &attr, child);
	if (!err)
		err = posix_spawn(ret_pid, place->program, &actions, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	if (err)
		*ret_pid = 0;
	return -err;
}

int vst_actor_spawn(struct vst_actor_place *place, pid_t *ret_pid)
{
	_cleanup_close_ int ours = -1, child = -1;
	int pair[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -errno;
	ours = pair[0];
	child = pair[1];
	err = spawn(place, child, ret_pid);
	return err ? err : TAKE_FD(ours);
}

int vst_actor_undo_left(const struct vst_actor_opts *opts)
{
	struct vst_actor_place place = { 0 };
	int err = vst_actor_place_init(&place, opts), status;
	pid_t pid;

	if (err)
		return err;
	if (!vst_journal_is_left(place.state_dir))
		return 0;
	err = spawn(&place, -1, &pid);
	if (err)
		return err;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return !WIFEXITED(status) || WEXITSTATUS(status);
}
