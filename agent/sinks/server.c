// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "agent/base/caps.h"
#include "agent/base/log.h"
#include "agent/sinks/listener.h"
#include "agent/sinks/metrics_http.h"
#include "agent/sinks/render.h"
#include "agent/sinks/server.h"

#define CLIENTS_MAX 64
#define CLIENTS_NEW 16		  /* places for new clients while older ones are thrown out */
#define CLIENT_MEMORY (32 * 1024) /* a request's head has to fit */
#define CLIENT_SILENCE 3	  /* seconds; vstorctl waits for 5 */
#define GRACE_SECONDS 1.0	  /* from connecting, in which nobody is thrown out for a newer client */
#define HEAD_SECONDS 5.0	  /* from connecting to the end of the request's head, however it comes */
#define REPLY_SECONDS 30.0	  /* from connecting to the end of the reply */
#define CACHED 8		  /* replies that are kept while somebody may ask the same */
#define STOP_MS 500		  /* for the replies to those who wait at the end */

enum client_state {
	CLIENT_ASKS,  /* the request's head is not complete */
	CLIENT_WAITS, /* suspended until there is a new snapshot */
	CLIENT_READS, /* the reply is on its way */
};

struct client {
	struct MHD_Connection *conn;
	enum client_state state;
	int fd;
	double since; /* when it connected */
	bool dropped; /* its connection was shut down */
	enum vst_ask ask;
	__u64 ticket;			      /* that it waits for; 0: none */
	struct vst_acting_question *question; /* the same */
	const struct post *post;	      /* what the body is for; NULL: there must be none */
	char *body;
	size_t body_len, body_cap;
	struct client *prev, *next;
};

struct reply {
	const struct route *route;
	__u64 seq, since;
	struct MHD_Response *response;
};

struct vst_server {
	struct vst_relay *relay;
	struct vst_acting *_Atomic acting; /* NULL: the agent starts */
	struct vst_listener listener;
	struct vst_metrics_replies *metrics;
	struct vst_metrics_http *metrics_http; /* NULL: metrics are on the control socket only */
	struct MHD_Daemon *daemon;
	struct client *oldest, *newest;
	unsigned int n_clients;
	struct reply cache[CACHED]; /* of the newest snapshot that was asked for */
	unsigned int n_cached;
	pthread_t thread;
	bool has_thread;
	int epoll_fd;
	int wake_fd; /* an eventfd: there is a new snapshot, or the end has come */
	_Atomic bool stopping;
};

/* Path; what is asked of the loop if the newest snapshot is too old; how it is answered. */
/* clang-format off */
static const struct route {
	const char *path;
	enum vst_ask ask;
	bool since; /* is understood */
	bool names; /* of locks: ?names=1 waits for them */
	vst_render *render;
	vst_render_acting *render_acting; /* in place of it */
	const char *argument;		  /* of render_acting, in the query */
} routes[] = {
	{ "/v1/status", VST_ASK_FRESH, false, false, NULL, vst_render_status, NULL },
	{ "/v1/io", VST_ASK_FRESH, true, false, vst_render_io, NULL, NULL },
	{ "/v1/check", VST_ASK_SWEPT, false, false, vst_render_check, NULL, NULL },
	{ "/v1/ps", VST_ASK_FRESH, false, false, vst_render_ps, NULL, NULL },
	{ "/v1/locks", VST_ASK_FRESH, false, true, vst_render_locks, NULL, NULL },
	{ "/v1/blame", VST_ASK_FRESH, false, true, vst_render_blame, NULL, NULL },
	{ "/v1/waits", VST_ASK_FRESH, false, true, vst_render_waits, NULL, NULL },
	{ "/v1/slow", VST_ASK_FRESH, false, false, vst_render_slow, NULL, NULL },
	{ "/v1/patterns", VST_ASK_FRESH, false, false, vst_render_patterns, NULL, NULL },
	{ "/v1/lifetimes", VST_ASK_FRESH, false, false, vst_render_lifetimes, NULL, NULL },
	{ "/v1/insight", VST_ASK_FRESH, false, false, vst_render_insight, NULL, NULL },
	{ "/v1/cache/curves", VST_ASK_FRESH, false, false, vst_render_curves, NULL, NULL },
	{ "/v1/cache", VST_ASK_FRESH, false, false, NULL, vst_render_cache, NULL },
	{ "/v1/policy", VST_ASK_FRESH, false, false, NULL, vst_render_policy, NULL },
	{ "/v1/policy/log", VST_ASK_FRESH, false, false, NULL, vst_render_policy_log, NULL },
	{ "/v1/policy/explain", VST_ASK_FRESH, false, false, NULL, vst_render_policy_explain, "container" },
};

/* Requests that change something, or whose question is too long for a path. */
static const struct post {
	const char *path;
	enum vst_acting_request what;
	const char *argument; /* in the query: what the body is about */
	const char *without;  /* what it is about if there is no argument */
} posts[] = {
	{ "/v1/policy/apply", VST_ACTING_APPLY, "file", "the policy that was sent" },
	{ "/v1/policy/plan", VST_ACTING_PLAN, "file", "the policy that was sent" },
	{ "/v1/policy/revert", VST_ACTING_REVERT, "file", "" },
	{ "/v1/insight", VST_ACTING_INSIGHT, "container", "" },
	{ "/v1/cache/keep", VST_ACTING_PIN, "file", "" },
	{ "/v1/cache/unkeep", VST_ACTING_UNPIN, "file", "" },
};
/* clang-format on */

static double monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* --- replies --- */

static struct MHD_Response *response_of(struct vst_out *o)
{
	struct MHD_Response *response;
	size_t len;
	char *text = vst_out_take(o, &len);

	if (text)
		response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	else
		response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
	if (!response) {
		free(text);
		return NULL;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/x-ndjson");
	/* a place is taken for one question, not for as long as a client may come back */
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	return response;
}

static enum MHD_Result refuse(struct client *c, unsigned int status, const char *why)
{
	struct MHD_Response *response;
	struct vst_out o = { 0 };
	enum MHD_Result ret;

	c->state = CLIENT_READS;
	vst_render_error(&o, why);
	response = response_of(&o);
	if (!response)
		return MHD_NO;
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, POST");
	ret = MHD_queue_response(c->conn, status, response);
	MHD_destroy_response(response);
	return ret;
}

static void cache_drop(struct vst_server *s)
{
	while (s->n_cached)
		MHD_destroy_response(s->cache[--s->n_cached].response);
}

/*
 * The reply, which others that ask the same of the same snapshot get too: many clients that poll cost the time of one. NULL: out
 * of memory.
 */
static struct MHD_Response *reply_of(struct vst_server *s, const struct route *route,
				     const struct vst_snapshot *snapshot, __u64 since)
{
	struct MHD_Response *response;
	struct vst_out o = { 0 };
	struct reply *r;

	if (s->n_cached && s->cache[0].seq != snapshot->seq)
		cache_drop(s);
	for (r = s->cache; r < s->cache + s->n_cached; r++)
		if (r->route == route && r->since == since)
			return r->response;
	route->render(&o, snapshot, since);
	if (o.failed) {
		vst_out_drop(&o);
		return NULL;
	}
	response = response_of(&o);
	if (!response)
		return NULL;
	if (s->n_cached == CACHED)
		cache_drop(s);
	s->cache[s->n_cached++] = (struct reply){ route, snapshot->seq, since, response };
	return response;
}

static const char *argument(struct client *c, const char *key)
{
	return MHD_lookup_connection_value(c->conn, MHD_GET_ARGUMENT_KIND, key);
}

/* What is done about the policy changes without a new snapshot, so this is never kept. */
static enum MHD_Result reply_acting(struct vst_server *s, struct client *c, const struct route *route,
				    const struct vst_snapshot *snapshot)
{
	struct vst_acting *acting = s->acting;
	struct vst_acting_status *status = acting ? vst_acting_status(acting) : NULL;
	struct MHD_Response *response;
	struct vst_out o = { 0 };
	enum MHD_Result ret;

	route->render_acting(&o, snapshot, status, route->argument ? argument(c, route->argument) : NULL);
	vst_acting_status_unref(status);
	if (o.failed) {
		vst_out_drop(&o);
		return refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory: the agent could not make the reply");
	}
	response = response_of(&o);
	if (!response)
		return MHD_NO;
	c->state = CLIENT_READS;
	ret = MHD_queue_response(c->conn, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return ret;
}

static enum MHD_Result reply(struct vst_server *s, struct client *c, const struct route *route,
			     const struct vst_snapshot *snapshot, __u64 since)
{
	struct MHD_Response *response;

	if (route->render_acting)
		return reply_acting(s, c, route, snapshot);
	response = reply_of(s, route, snapshot, since);
	if (!response)
		return refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory: the agent could not make the reply");
	c->state = CLIENT_READS;
	return MHD_queue_response(c->conn, MHD_HTTP_OK, response);
}

/* --- requests --- */

/* The value of ?since=, 0 if there is none. */
static int since_of(struct client *c, __u64 *ret)
{
	const char *text = argument(c, "since");
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

/* The value of ?max_age=, in seconds; as old as it may be if there is none. */
static int max_age_of(struct client *c, double *ret)
{
	const char *text = argument(c, "max_age");
	char *rest;

	*ret = INFINITY;
	if (!text)
		return 0;
	if (*text < '0' || *text > '9')
		return -EINVAL;
	*ret = strtod(text, &rest);
	return *rest || !(*ret >= 0) ? -EINVAL : 0;
}

static bool wants_names(struct client *c, const struct route *route)
{
	const char *text = route->names ? argument(c, "names") : NULL;

	return text && !strcmp(text, "1");
}

/* Answers from the newest snapshot if it is good enough, or else makes the client wait for the next one. */
static enum MHD_Result answer(struct vst_server *s, struct client *c, const struct route *route, __u64 since,
			      double max_age)
{
	const struct vst_snapshot *snapshot;
	struct vst_tickets answered;
	enum MHD_Result ret = MHD_YES;
	bool good;

	snapshot = vst_relay_get(s->relay, &answered);
	if (c->ticket)
		good = answered.n[c->ask] >= c->ticket;
	else
		good = snapshot && !wants_names(c, route) && monotonic() - snapshot->time <= max_age;
	if (good && snapshot) {
		ret = reply(s, c, route, snapshot, since);
	} else if (s->stopping) {
		ret = refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, "the agent is just being stopped");
	} else {
		if (!c->ticket) {
			c->ask = wants_names(c, route) ? VST_ASK_NAMED : route->ask;
			c->ticket = vst_relay_ask(s->relay, c->ask);
		}
		c->state = CLIENT_WAITS;
		MHD_suspend_connection(c->conn);
	}
	vst_snapshot_unref(snapshot);
	return ret;
}

/* The metrics of the newest snapshot, for who has no TCP address of the agent. */
static enum MHD_Result on_metrics(struct vst_server *s, struct client *c)
{
	const struct vst_snapshot *snapshot;
	struct MHD_Response *response;
	struct vst_tickets answered;

	snapshot = vst_relay_get(s->relay, &answered);
	if (!snapshot)
		return refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, "the agent is just being started");
	response = vst_metrics_replies_get(s->metrics, c->conn, snapshot);
	vst_snapshot_unref(snapshot);
	if (!response)
		return refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory: the agent could not make the reply");
	c->state = CLIENT_READS;
	return MHD_queue_response(c->conn, MHD_HTTP_OK, response);
}

static enum MHD_Result on_route(struct vst_server *s, struct client *c, const struct route *route)
{
	double max_age;
	__u64 since = 0;

	if (route->since && since_of(c, &since))
		return refuse(c, MHD_HTTP_BAD_REQUEST,
			      "'since' is not a number: give the \"seq\" of an earlier snapshot, or leave it out");
	if (max_age_of(c, &max_age))
		return refuse(c, MHD_HTTP_BAD_REQUEST,
			      "'max_age' is not a number of seconds: give the age of the oldest snapshot that is good "
			      "enough, 0 for a new one, or leave it out");
	return answer(s, c, route, since, max_age);
}

/* --- requests with a body --- */

/* 0, -ENOMEM, or -EFBIG. */
static int take_body(struct client *c, const char *body, size_t len)
{
	char *more;

	if (len > VST_POLICY_MAX_BYTES - c->body_len)
		return -EFBIG;
	if (c->body_len + len > c->body_cap) {
		size_t cap = (c->body_len + len) * 2;

		more = realloc(c->body, cap);
		if (!more)
			return -ENOMEM;
		c->body = more;
		c->body_cap = cap;
	}
	memcpy(c->body + c->body_len, body, len);
	c->body_len += len;
	return 0;
}

static enum MHD_Result reply_answer(struct client *c, const struct vst_acting_reply *reply)
{
	unsigned int status = !reply->result		 ? MHD_HTTP_OK
			      : reply->result == -EINVAL ? MHD_HTTP_BAD_REQUEST
							 : MHD_HTTP_INTERNAL_SERVER_ERROR;
	struct MHD_Response *response;
	struct vst_out o = { 0 };
	enum MHD_Result ret;

	vst_render_reply(&o, reply);
	response = response_of(&o);
	if (!response)
		return MHD_NO;
	c->state = CLIENT_READS;
	ret = MHD_queue_response(c->conn, status, response);
	MHD_destroy_response(response);
	return ret;
}

/* All of the body is there: asks the loop, and waits for its answer without holding up others. */
static enum MHD_Result on_post(struct vst_server *s, struct client *c)
{
	struct vst_acting *acting = s->acting;
	struct vst_acting_reply reply = { 0 };
	enum MHD_Result ret;

	if (!acting)
		return refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, "the agent is just being started or stopped");
	if (!c->question) {
		const char *name = argument(c, c->post->argument);

		c->question = vst_acting_ask(acting, c->post->what, name ? name : c->post->without,
					     c->body ? c->body : "", c->body_len, s->wake_fd);
		if (!c->question)
			return refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory: nothing was done");
	}
	if (!vst_acting_answered(acting, c->question, &reply)) {
		if (s->stopping)
			return refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, "the agent is just being stopped");
		c->state = CLIENT_WAITS;
		MHD_suspend_connection(c->conn);
		return MHD_YES;
	}
	c->question = NULL;
	ret = reply_answer(c, &reply);
	vst_acting_reply_clear(&reply);
	return ret;
}

static enum MHD_Result on_post_part(struct vst_server *s, struct client *c, const char *body, size_t *body_len)
{
	int err;

	if (!*body_len)
		return on_post(s, c);
	err = take_body(c, body, *body_len);
	if (err) /* libmicrohttpd takes no reply before the body's end */
		return MHD_NO;
	*body_len = 0;
	return MHD_YES;
}

/*
 * An administrator can let a group connect, so that its members see what root sees. To change what vstor does takes root, or the user as
 * which the agent runs.
 */
static bool may_change(const struct client *c)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return !getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) && (!peer.uid || peer.uid == geteuid());
}

/* The head of a POST. */
static enum MHD_Result on_post_head(struct client *c, const char *url)
{
	const char *length = MHD_lookup_connection_value(c->conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	for (size_t i = 0; i < sizeof(posts) / sizeof(posts[0]); i++)
		if (!strcmp(url, posts[i].path))
			c->post = &posts[i];
	if (!c->post)
		return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED,
			      "nothing at this path takes POST; docs/control-socket.md lists what does");
	/* a plan, too: the agent reads the files that it imports, and may read any */
	if (!may_change(c))
		return refuse(c, MHD_HTTP_FORBIDDEN, "only root may do this: nothing was changed");
	if (length && strtoull(length, NULL, 10) > VST_POLICY_MAX_BYTES)
		return refuse(c, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too long: it may have 1 MiB");
	return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *url, const char *method,
				  const char *version, const char *body, size_t *body_len, void **context)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct client *c = info ? info->socket_context : NULL;
	struct vst_server *s = arg;
	size_t i;

	if (!c) /* there was no memory for it */
		return MHD_NO;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_POST) != 0)
		return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and POST are served here");
	if (!*context) { /* the head is there, a body may follow: of a GET, refuse it when it comes */
		*context = c;
		return strcmp(method, MHD_HTTP_METHOD_POST) ? MHD_YES : on_post_head(c, url);
	}
	if (c->post)
		return on_post_part(s, c, body, body_len);
	if (*body_len) {
		*body_len = 0;
		return MHD_NO;
	}
	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (!strcmp(url, routes[i].path))
			return on_route(s, c, &routes[i]);
	if (!strcmp(url, "/metrics"))
		return on_metrics(s, c);
	return refuse(c, MHD_HTTP_NOT_FOUND,
		      "there is nothing at this path; docs/control-socket.md lists what there is");
}

static void on_log(void *arg, const char *fmt, va_list args)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, args);
	vst_debug("control socket: %s", text);
}

/* --- clients --- */

static void drop(struct client *c)
{
	c->dropped = true;
	shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd sees it and closes the connection */
}

/*
 * One more than there is room for: throws out the client that has taken longest to send its question or to read its answer.
 * Both take a well-behaved client some milliseconds, so a younger one stays as long as there are places for new clients. A
 * client that waits for a snapshot stays, too.
 */
static void make_room(struct vst_server *s)
{
	bool is_full = s->n_clients >= CLIENTS_MAX + CLIENTS_NEW / 2;
	double now = monotonic();
	struct client *c;

	for (c = s->oldest; c; c = c->next) {
		if (c->dropped || c->state == CLIENT_WAITS)
			continue;
		if (is_full || now - c->since > GRACE_SECONDS)
			drop(c);
		return;
	}
}

static void client_add(struct vst_server *s, struct MHD_Connection *conn, void **ret)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct client *c = calloc(1, sizeof(*c));

	if (!c || !info) {
		free(c);
		return;
	}
	if (s->n_clients >= CLIENTS_MAX)
		make_room(s);
	c->conn = conn;
	c->fd = info->connect_fd;
	c->since = monotonic();
	c->prev = s->newest;
	*(c->prev ? &c->prev->next : &s->oldest) = c;
	s->newest = c;
	s->n_clients++;
	*ret = c;
}

static void client_remove(struct vst_server *s, struct client *c)
{
	if (c->question)
		vst_acting_forget(s->acting, c->question);
	free(c->body);
	*(c->prev ? &c->prev->next : &s->oldest) = c->next;
	*(c->next ? &c->next->prev : &s->newest) = c->prev;
	s->n_clients--;
	free(c);
	if (s->n_clients)
		return;
	cache_drop(s); /* megabytes, maybe */
	vst_metrics_replies_idle(s->metrics);
}

static void on_connection(void *arg, struct MHD_Connection *conn, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		client_add(arg, conn, context);
	else if (*context)
		client_remove(arg, *context);
}

/* Drops those whose time is up; the seconds until the next one's is, -1: there is none. */
static double expire(struct vst_server *s, double now)
{
	double next = -1, left;
	struct client *c;

	for (c = s->oldest; c; c = c->next) {
		if (c->dropped)
			continue;
		left = c->since + (c->state == CLIENT_ASKS ? HEAD_SECONDS : REPLY_SECONDS) - now;
		if (left > 0)
			next = next < 0 ? left : fmin(next, left);
		else if (c->state != CLIENT_WAITS)
			drop(c);
	}
	return next;
}

/* Goes on with those who have waited for the newest snapshot; all: with everybody. */
static void resume(struct vst_server *s, bool all)
{
	struct vst_tickets answered;
	struct client *c;

	vst_snapshot_unref(vst_relay_get(s->relay, &answered));
	for (c = s->oldest; c; c = c->next) {
		if (c->state != CLIENT_WAITS || (!all && !c->question && answered.n[c->ask] < c->ticket))
			continue;
		c->state = CLIENT_READS;
		MHD_resume_connection(c->conn);
	}
}

/* --- the thread --- */

/* The shorter of two times to wait; -1: for ever. */
static int shorter(int x, int y)
{
	return x < 0 ? y : y < 0 || x < y ? x : y;
}

/* Milliseconds to wait at most; -1: for ever. */
static int timeout_ms(struct vst_server *s)
{
	double now = monotonic(), next = expire(s, now);
	MHD_UNSIGNED_LONG_LONG ms;
	int own = next < 0 ? -1 : (int)(next * 1000) + 1;

	if (s->metrics_http)
		own = shorter(own, vst_metrics_http_timeout_ms(s->metrics_http, now));
	if (MHD_get_timeout(s->daemon, &ms) != MHD_YES)
		return own;
	if (ms > 60000)
		ms = 60000;
	return shorter(own, (int)ms);
}

static void run(struct vst_server *s)
{
	unsigned int before = s->n_clients;

	if (s->metrics_http)
		vst_metrics_http_run(s->metrics_http, monotonic());

	MHD_run(s->daemon);
	/* At its limit it does not listen any more, and begins again at its next run only: nothing would wake it. */
	if (s->n_clients < before)
		MHD_run(s->daemon);
}

static void *serve(void *arg)
{
	struct vst_server *s = arg;
	struct epoll_event ev;
	uint64_t n;

	/* the loop goes first: this thread took over its priority */
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 0);
	vst_caps_drop(VST_CAPS_SERVER, VST_CAPS_ALWAYS, NULL);
	while (!s->stopping) {
		if (epoll_wait(s->epoll_fd, &ev, 1, timeout_ms(s)) < 0 && errno != EINTR) {
			vst_err("the control socket is not served any more: %s", strerror(errno));
			return NULL;
		}
		if (read(s->wake_fd, &n, sizeof(n)) == sizeof(n))
			resume(s, false);
		run(s);
	}
	resume(s, true);
	for (double end = monotonic() + STOP_MS / 1e3; s->n_clients && monotonic() < end;) {
		run(s);
		epoll_wait(s->epoll_fd, &ev, 1, 10);
	}
	return NULL;
}

static int watch(struct vst_server *s, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int start(struct vst_server *s, int listen_fd)
{
	int err;

	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->wake_fd < 0 || s->epoll_fd < 0) {
		err = -errno;
		close(listen_fd);
		return err;
	}
	s->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
				     on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET,
				     listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)(CLIENTS_MAX + CLIENTS_NEW),
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CLIENT_MEMORY,
				     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)CLIENT_SILENCE,
				     MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_END);
	if (!s->daemon) {
		close(listen_fd);
		return -EIO;
	}
	err = watch(s, s->wake_fd);
	err = err ?: watch(s, MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
	if (s->metrics_http)
		err = err ?: watch(s, vst_metrics_http_fd(s->metrics_http));
	if (err)
		return err;
	vst_relay_wake(s->relay, s->wake_fd);
	err = -pthread_create(&s->thread, NULL, serve, s);
	s->has_thread = !err;
	return err;
}

void vst_server_acting(struct vst_server *s, struct vst_acting *acting)
{
	s->acting = acting;
	vst_metrics_replies_acting(s->metrics, acting);
}

int vst_server_new(const struct vst_server_opts *opts, struct vst_relay *relay, struct vst_server **ret)
{
	struct vst_server *s = calloc(1, sizeof(*s));
	int fd = -1, err;

	if (!s)
		return -ENOMEM;
	s->epoll_fd = s->wake_fd = s->listener.lock_fd = -1;
	s->relay = relay;
	err = vst_metrics_replies_new(opts->metrics_series, &s->metrics);
	if (!err && opts->metrics)
		err = vst_metrics_http_new(opts->metrics, relay, s->metrics, &s->metrics_http);
	err = err ?: vst_listener_open(&s->listener, opts->path, &fd);
	if (!err) {
		err = start(s, fd);
		if (err)
			vst_err("cannot serve the control socket %s: %s", opts->path, strerror(-err));
	}
	if (err) {
		vst_server_free(s);
		return err;
	}
	*ret = s;
	return 0;
}

void vst_server_free(struct vst_server *s)
{
	uint64_t one = 1;

	if (!s)
		return;
	s->stopping = true;
	if (s->has_thread) {
		if (write(s->wake_fd, &one, sizeof(one)) < 0) /* it is readable already */
			vst_debug("control socket: %s", strerror(errno));
		pthread_join(s->thread, NULL);
	}
	vst_relay_wake(s->relay, -1);
	cache_drop(s);
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	vst_metrics_http_free(s->metrics_http);
	vst_metrics_replies_free(s->metrics);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	vst_listener_close(&s->listener);
	free(s);
}
