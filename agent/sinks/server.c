// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <microhttpd.h>

#include "agent/sinks/locks_render.h"
#include "agent/base/log.h"
#include "agent/sinks/render.h"
#include "agent/sinks/server.h"

#define CLIENTS_MAX 64
#define CLIENT_MEMORY (32 * 1024) /* a request's head has to fit */
#define CLIENT_SECONDS 3	  /* of silence; vstorctl waits for 5 */

struct vst_server {
	struct vst_agent *agent;
	struct MHD_Daemon *daemon;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int lock_fd;
	bool bound;
	struct stat ours; /* the socket, as it was bound */
	bool made_directory;
};

/* --- requests --- */

/* Path, whether the table is read afresh first, how it is answered. */
/* clang-format off */
static const struct route {
	const char *path;
	bool fresh;
	bool sweep; /* what the probes were not told of is found first */
	bool names; /* of locks */
	void (*render)(struct vst_out *o, const struct vst_agent *a);
	void (*render_since)(struct vst_out *o, const struct vst_agent *a, __u64 since);
} routes[] = {
	{ "/v1/status", false, false, false, vst_render_status, NULL },
	{ "/v1/io", true, false, false, NULL, vst_render_io },
	{ "/v1/check", true, true, false, vst_render_check, NULL },
	{ "/v1/ps", true, false, false, vst_render_ps, NULL },
	{ "/v1/locks", true, false, true, vst_render_locks, NULL },
	{ "/v1/blame", true, false, true, vst_render_blame, NULL },
	{ "/v1/waits", true, false, true, vst_render_waits, NULL },
};
/* clang-format on */

static enum MHD_Result reply(struct MHD_Connection *conn, unsigned int status, struct vst_out *o)
{
	struct MHD_Response *response;
	enum MHD_Result ret;
	size_t len;
	char *text = vst_out_take(o, &len);

	if (!text && status == MHD_HTTP_OK && len == 0)
		response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
	else
		response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/x-ndjson");
	/* a place is taken for one question, not for as long as a client may come back */
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET");
	ret = MHD_queue_response(conn, status, response);
	MHD_destroy_response(response);
	return ret;
}

static enum MHD_Result refuse(struct MHD_Connection *conn, unsigned int status, const char *why)
{
	struct vst_out o = { 0 };

	vst_render_error(&o, why);
	return reply(conn, status, &o);
}

/* The value of ?since=, 0 if there is none. */
static int since_of(struct MHD_Connection *conn, __u64 *ret)
{
	const char *text = MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND, "since");
	char *rest;

	*ret = 0;
	if (!text)
		return 0;
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*ret = strtoull(text, &rest, 10);
	return errno || *rest ? -EINVAL : 0;
}

static enum MHD_Result answer(struct vst_server *s, struct MHD_Connection *conn, const struct route *route)
{
	struct vst_out o = { 0 };
	char why[256];
	__u64 since = 0;
	int err;

	if (route->render_since && since_of(conn, &since))
		return refuse(conn, MHD_HTTP_BAD_REQUEST,
			      "'since' is not a number: give the \"seq\" of an earlier snapshot, or leave it out");
	if (route->sweep)
		vst_probes_sweep(s->agent->probes);
	err = route->fresh ? vst_agent_collect(s->agent) : 0;
	if (err) {
		snprintf(why, sizeof(why), "cannot read the counters: %s; the agent's log may tell more",
			 strerror(-err));
		return refuse(conn, MHD_HTTP_INTERNAL_SERVER_ERROR, why);
	}
	if (route->names)
		vst_lock_naming_now(vst_locks_naming(s->agent->locks), &vst_probes_maps(s->agent->probes)->lock);
	if (route->render_since)
		route->render_since(&o, s->agent, since);
	else
		route->render(&o, s->agent);
	if (o.failed) {
		vst_out_drop(&o);
		return refuse(conn, MHD_HTTP_INTERNAL_SERVER_ERROR,
			      "out of memory: the agent could not make the reply");
	}
	return reply(conn, MHD_HTTP_OK, &o);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *url, const char *method,
				  const char *version, const char *body, size_t *body_len, void **context)
{
	struct vst_server *s = arg;
	static int seen;
	size_t i;

	if (strcmp(method, MHD_HTTP_METHOD_GET))
		return refuse(conn, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET is served here");
	if (!*context) { /* the head is there, a body may follow: refuse that one when it comes */
		*context = &seen;
		return MHD_YES;
	}
	if (*body_len) {
		*body_len = 0;
		return MHD_NO;
	}
	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (!strcmp(url, routes[i].path))
			return answer(s, conn, &routes[i]);
	return refuse(conn, MHD_HTTP_NOT_FOUND,
		      "there is nothing at this path; docs/control-socket.md lists what there is");
}

static void on_log(void *arg, const char *fmt, va_list args)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, args);
	vst_debug("control socket: %s", text);
}

/* --- the socket --- */

/*
 * One agent a socket. The lock is an abstract socket of the same name: the kernel takes it back with its process, so
 * a killed agent leaves nothing that has to be cleaned, and a socket file without a lock is such an agent's.
 */
static int lock(struct vst_server *s)
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

/* The directory part of the socket's path; false: there is none that could be made or removed. */
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

static int make_directory(struct vst_server *s)
{
	char dir[PATH_MAX];

	if (!directory_of(s->path, dir, sizeof(dir)))
		return 0;
	s->made_directory = !mkdir(dir, 0755);
	return s->made_directory || errno == EEXIST ? 0 : -errno;
}

/* Somebody listens there, whoever it is. */
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

static int listen_at(struct vst_server *s, int *ret_fd)
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
	mask = umask(0177); /* who may write to it may ask: root alone, unless its owner changes that */
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

static int open_socket(struct vst_server *s, const char *path, int *ret_fd)
{
	int err;

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
	/* somebody may hold that name for another reason, anybody can: it counts if the socket is answered */
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

int vst_server_new(const char *path, struct vst_agent *agent, struct vst_server **ret)
{
	struct vst_server *s = calloc(1, sizeof(*s));
	int fd = -1, err;

	if (!s)
		return -ENOMEM;
	s->lock_fd = -1;
	s->agent = agent;
	err = open_socket(s, path, &fd);
	if (err) {
		vst_server_free(s);
		return err;
	}
	s->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, s,
				     MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
				     MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CLIENTS_MAX,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CLIENT_MEMORY,
				     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)CLIENT_SECONDS, MHD_OPTION_END);
	if (!s->daemon) {
		vst_err("cannot serve the control socket: libmicrohttpd did not start");
		close(fd);
		vst_server_free(s);
		return -EIO;
	}
	*ret = s;
	return 0;
}

int vst_server_fd(const struct vst_server *s)
{
	return MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

static unsigned int clients(const struct vst_server *s)
{
	return MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
}

void vst_server_run(struct vst_server *s)
{
	unsigned int before = clients(s);

	MHD_run(s->daemon);
	/* With CLIENTS_MAX of them it does not listen any more, and begins again at its next run only: nothing would wake it. */
	if (clients(s) < before)
		MHD_run(s->daemon);
}

int vst_server_timeout_ms(const struct vst_server *s)
{
	unsigned long long ms;

	if (MHD_get_timeout(s->daemon, &ms) != MHD_YES)
		return -1;
	return ms > 60000 ? 60000 : (int)ms;
}

void vst_server_free(struct vst_server *s)
{
	char dir[PATH_MAX];
	struct stat st;

	if (!s)
		return;
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	if (s->bound && !lstat(s->path, &st) && st.st_dev == s->ours.st_dev && st.st_ino == s->ours.st_ino)
		unlink(s->path);
	if (s->made_directory && directory_of(s->path, dir, sizeof(dir)))
		rmdir(dir);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s);
}
