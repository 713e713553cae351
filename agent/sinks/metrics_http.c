// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "agent/base/log.h"
#include "agent/sinks/address.h"
#include "agent/sinks/metrics_http.h"

#define CLIENTS_MAX 16 /* a scrape takes some milliseconds; two or three Prometheus are many */
#define CLIENTS_NEW 8  /* places for new clients while older ones are thrown out */
#define CLIENT_MEMORY (16 * 1024)
#define CLIENT_SECONDS 10.0 /* from connecting to the end of the reply, Prometheus' own limit by default */

struct scraper {
	int fd;
	double since; /* when it connected */
	bool dropped; /* its connection was shut down */
	struct scraper *prev, *next;
};

struct vst_metrics_http {
	struct vst_relay *relay;
	struct vst_metrics_replies *replies;
	struct MHD_Daemon *daemon;
	struct scraper *oldest, *newest;
	unsigned int n_clients;
};

static double monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* --- replies --- */

static enum MHD_Result say(struct MHD_Connection *conn, unsigned int status, const char *text)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result ret;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	ret = MHD_queue_response(conn, status, response);
	MHD_destroy_response(response);
	return ret;
}

static enum MHD_Result metrics(struct vst_metrics_http *h, struct MHD_Connection *conn)
{
	struct vst_tickets answered;
	const struct vst_snapshot *snapshot = vst_relay_get(h->relay, &answered);
	struct MHD_Response *response;

	if (!snapshot)
		return say(conn, MHD_HTTP_SERVICE_UNAVAILABLE, "the agent is just being started\n");
	response = vst_metrics_replies_get(h->replies, conn, snapshot);
	vst_snapshot_unref(snapshot);
	if (!response)
		return say(conn, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory: the agent could not make the reply\n");
	return MHD_queue_response(conn, MHD_HTTP_OK, response);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *url, const char *method,
				  const char *version, const char *body, size_t *body_len, void **context)
{
	static const char head_seen;

	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return say(conn, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are served here\n");
	if (!*context) { /* a body may follow: refuse it when it comes */
		*context = (void *)(uintptr_t)&head_seen;
		return MHD_YES;
	}
	if (*body_len) {
		*body_len = 0;
		return MHD_NO;
	}
	if (!strcmp(url, "/metrics"))
		return metrics(arg, conn);
	if (!strcmp(url, "/"))
		return say(conn, MHD_HTTP_OK, "vstord " VSTOR_VERSION ": the metrics are at /metrics\n");
	return say(conn, MHD_HTTP_NOT_FOUND, "there is nothing at this path; the metrics are at /metrics\n");
}

static void on_log(void *arg, const char *fmt, va_list args)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, args);
	vst_debug("metrics: %s", text);
}

/* --- clients --- */

static void drop(struct scraper *c)
{
	c->dropped = true;
	shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd sees it and closes the connection */
}

/* One more than there is room for: throws out the one that has been here longest. */
static void make_room(struct vst_metrics_http *h)
{
	for (struct scraper *c = h->oldest; c; c = c->next) {
		if (c->dropped)
			continue;
		drop(c);
		return;
	}
}

static void scraper_add(struct vst_metrics_http *h, struct MHD_Connection *conn, void **ret)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct scraper *c = calloc(1, sizeof(*c));

	if (!c || !info) {
		free(c);
		return;
	}
	if (h->n_clients >= CLIENTS_MAX)
		make_room(h);
	c->fd = info->connect_fd;
	c->since = monotonic();
	c->prev = h->newest;
	*(c->prev ? &c->prev->next : &h->oldest) = c;
	h->newest = c;
	h->n_clients++;
	*ret = c;
}

static void scraper_remove(struct vst_metrics_http *h, struct scraper *c)
{
	*(c->prev ? &c->prev->next : &h->oldest) = c->next;
	*(c->next ? &c->next->prev : &h->newest) = c->prev;
	h->n_clients--;
	free(c);
	if (!h->n_clients)
		vst_metrics_replies_idle(h->replies);
}

static void on_connection(void *arg, struct MHD_Connection *conn, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		scraper_add(arg, conn, context);
	else if (*context)
		scraper_remove(arg, *context);
}

/* --- run by the server --- */

int vst_metrics_http_fd(const struct vst_metrics_http *h)
{
	return MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

void vst_metrics_http_run(struct vst_metrics_http *h, double now)
{
	unsigned int before = h->n_clients;

	for (struct scraper *c = h->oldest; c; c = c->next)
		if (!c->dropped && c->since + CLIENT_SECONDS <= now)
			drop(c);
	MHD_run(h->daemon);
	/* At its limit it does not listen any more, and begins again at its next run only: nothing would wake it. */
	if (h->n_clients < before)
		MHD_run(h->daemon);
}

int vst_metrics_http_timeout_ms(struct vst_metrics_http *h, double now)
{
	double next = -1, left;
	MHD_UNSIGNED_LONG_LONG ms;
	int own;

	for (struct scraper *c = h->oldest; c; c = c->next) {
		left = fmax(c->since + CLIENT_SECONDS - now, 0);
		if (!c->dropped)
			next = next < 0 ? left : fmin(next, left);
	}
	own = next < 0 ? -1 : (int)(next * 1000) + 1;
	if (MHD_get_timeout(h->daemon, &ms) != MHD_YES)
		return own;
	ms = ms < 60000 ? ms : 60000;
	return own < 0 || (int)ms < own ? (int)ms : own;
}

/* --- start and end --- */

/* A descriptor or -errno. addr becomes what the kernel chose. */
static int listen_at(struct sockaddr_storage *addr, socklen_t len)
{
	int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, err;

	if (fd < 0)
		return -errno;
	/* after a restart the port is still taken by connections that have ended */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) || bind(fd, (struct sockaddr *)addr, len) ||
	    listen(fd, CLIENTS_MAX) || getsockname(fd, (struct sockaddr *)addr, &len)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int start(struct vst_metrics_http *h, int listen_fd)
{
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, h,
				     MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd,
				     MHD_OPTION_CONNECTION_LIMIT, (unsigned int)(CLIENTS_MAX + CLIENTS_NEW),
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CLIENT_MEMORY,
				     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)CLIENT_SECONDS,
				     MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_END);
	if (h->daemon)
		return 0;
	close(listen_fd);
	return -EIO;
}

int vst_metrics_http_new(const char *address, struct vst_relay *relay, struct vst_metrics_replies *replies,
			 struct vst_metrics_http **ret)
{
	struct sockaddr_storage addr;
	struct vst_metrics_http *h;
	const char *why = "";
	char text[64];
	socklen_t len;
	int fd, err;

	err = vst_address_parse(address, &addr, &len, &why);
	if (err) {
		vst_err("cannot serve metrics at '%s': %s", address, why);
		return err;
	}
	fd = listen_at(&addr, len);
	if (fd < 0) {
		vst_err("cannot serve metrics at %s: %s; choose another address or port with --metrics", address,
			strerror(-fd));
		return fd;
	}
	h = calloc(1, sizeof(*h));
	if (!h) {
		close(fd);
		return -ENOMEM;
	}
	h->relay = relay;
	h->replies = replies;
	err = start(h, fd);
	if (err) {
		vst_err("cannot serve metrics at %s: %s", address, strerror(-err));
		free(h);
		return err;
	}
	vst_address_text(&addr, text, sizeof(text));
	vst_info("metrics at http://%s/metrics", text);
	if (!vst_address_is_loopback(&addr))
		vst_warn("whoever reaches %s can read the names of containers and what they do to the disks: limit "
			 "that with a firewall, or give --metrics a loopback address",
			 text);
	*ret = h;
	return 0;
}

void vst_metrics_http_free(struct vst_metrics_http *h)
{
	if (!h)
		return;
	MHD_stop_daemon(h->daemon);
	free(h);
}
