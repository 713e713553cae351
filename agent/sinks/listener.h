/* SPDX-License-Identifier: GPL-2.0-only */
/* The unix socket of the agent: one agent serves it, and nothing of it is left behind. */
#ifndef VST_LISTENER_H
#define VST_LISTENER_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/un.h>

struct vst_listener {
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int lock_fd;
	bool bound;
	struct stat ours; /* the socket, as it was bound */
	bool made_directory;
};

/*
 * Listens at path. 0 or -errno, explained on stderr: -EADDRINUSE if another agent serves it. *ret_fd is the caller's. To be
 * closed either way.
 */
int vst_listener_open(struct vst_listener *l, const char *path, int *ret_fd);

/* Can the socket at path, and its directory, be removed without CAP_DAC_OVERRIDE? */
bool vst_listener_is_removable(const char *path);

/* Removes the socket, and its directory if it was made for it. */
void vst_listener_close(struct vst_listener *l);

#endif /* VST_LISTENER_H */
