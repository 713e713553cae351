/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <curl/curl.h>
#include "client.h"
#include "replay.h"

#define LINE_MAX_BYTES (1 << 20)
#define REPLY_MAX_BYTES (1 << 28)

struct vst_client {
	CURL *easy;
	CURLM *multi;
	const char *socket;
	struct vst_replay *replay; /* answers in place of the agent; NULL: none */
	char *path;		   /* that it was asked for */
	vst_line_fn *line;
	void *arg;
	bool busy;
	char *buf; /* the reply, as far as it has come */
	size_t len, cap;
	size_t open; /* how much of that is a line without its end */
	unsigned long lines;
	double heard; /* when the agent last sent something */
	int rc;
	char error[512];
};

static volatile sig_atomic_t stopped, resized;
static int signal_fd = -1;

static void on_signal(int sig)
{
	int saved = errno;

	if (sig == SIGWINCH)
		resized = 1;
	else
		stopped = 1;
	if (eventfd_write(signal_fd, 1)) {
		/* cannot fail below 2^64 signals */
	}
	errno = saved;
}

void vst_signals_catch(bool resize)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };

	signal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (signal_fd < 0)
		return; /* signals keep ending the program */
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaction(ends[i], &sa, NULL);
	if (resize)
		sigaction(SIGWINCH, &sa, NULL);
}

bool vst_stopped(void)
{
	return stopped;
}

bool vst_resized(void)
{
	bool was = resized;

	resized = 0;
	return was;
}

double vst_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The first reason counts: what follows from it does not help the user. */
static void __attribute__((format(printf, 3, 4))) fail(struct vst_client *c, int rc, const char *fmt, ...)
{
	va_list ap;

	if (c->rc)
		return;
	c->rc = rc;
	va_start(ap, fmt);
	vsnprintf(c->error, sizeof(c->error), fmt, ap);
	va_end(ap);
}

static void fail_status(struct vst_client *c, long status, const char *why)
{
	int rc = status == 403			  ? VST_EXIT_DENIED
		 : status == 404 || status == 501 ? VST_EXIT_UNSUPPORTED
						  : VST_EXIT_FAILED;

	if (why && *why)
		fail(c, rc, "the agent at %s refused: %s", c->socket, why);
	else if (rc == VST_EXIT_UNSUPPORTED)
		fail(c, rc, "the agent at %s does not know this question (status %ld): it is older than this vstorctl",
		     c->socket, status);
	else
		fail(c, rc, "the agent at %s refused, status %ld, and did not say why: see its log", c->socket, status);
}

/* A reply with an error status: its first object may say why. */
static void take_refusal(struct vst_client *c, const char *text, size_t len, long status)
{
	json_t *obj = json_loadb(text, len, 0, NULL);

	fail_status(c, status, json_string_value(json_object_get(obj, "error")));
	json_decref(obj);
}

static void take_object(struct vst_client *c, const char *text, size_t len)
{
	json_error_t why;
	json_t *obj = json_loadb(text, len, 0, &why), *schema = json_object_get(obj, "schema");

	if (!json_is_object(obj))
		fail(c, VST_EXIT_FAILED, "line %lu of the reply from %s is not a JSON object: is it vstord's socket?",
		     c->lines, c->socket);
	else if (json_integer_value(schema) != 1)
		fail(c, VST_EXIT_FAILED,
		     "the agent at %s speaks schema %lld, this vstorctl understands 1: use those of one release",
		     c->socket, (long long)json_integer_value(schema));
	else if (c->line(c->arg, obj))
		fail(c, VST_EXIT_FAILED,
		     "line %lu of the reply from %s has a field missing or of a wrong type: are agent and vstorctl of "
		     "one release?",
		     c->lines, c->socket);
	json_decref(obj);
}

static void take_line(struct vst_client *c, const char *text, size_t len)
{
	long status = 200;

	while (len && (text[len - 1] == '\r' || text[len - 1] == ' '))
		len--;
	if (!len)
		return;
	c->lines++;
	if (!c->replay)
		curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		take_refusal(c, text, len, status);
	else
		take_object(c, text, len);
}

static void take_lines(struct vst_client *c)
{
	const char *p = c->buf, *end = c->buf + c->len, *nl;

	for (; !c->rc && p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			nl = end;
		take_line(c, p, (size_t)(nl - p));
	}
}

/* All of it is taken before its lines are looked at: the agent waits for nobody, and who reads what we print may take
 * his time.
 */
static size_t on_data(char *data, size_t one, size_t n, void *arg)
{
	struct vst_client *c = arg;
	const char *nl = memrchr(data, '\n', n);

	c->heard = vst_now();
	c->open = nl ? (size_t)(data + n - nl) - 1 : c->open + n;
	if (c->open > LINE_MAX_BYTES)
		fail(c, VST_EXIT_FAILED, "the reply from %s has a line longer than 1 MiB: is it vstord's socket?",
		     c->socket);
	else if (c->len + n > REPLY_MAX_BYTES)
		fail(c, VST_EXIT_FAILED, "the reply from %s is longer than 256 MiB: is it vstord's socket?", c->socket);
	if (c->rc)
		return 0;
	while (c->cap < c->len + n)
		c->buf = vst_grow(c->buf, c->cap, &c->cap, 1);
	memcpy(c->buf + c->len, data, n);
	c->len += n;
	return n;
}

static void fail_connect(struct vst_client *c, int err)
{
	if (err == EACCES || err == EPERM)
		fail(c, VST_EXIT_DENIED,
		     "not permitted to use the agent's socket %s: run vstorctl as root, or as the owner of it",
		     c->socket);
	else if (err == ENOENT)
		fail(c, VST_EXIT_UNREACHABLE,
		     "no agent: there is no socket %s. Start vstord, or name the socket of a running one with --socket "
		     "PATH",
		     c->socket);
	else if (err == ECONNREFUSED)
		fail(c, VST_EXIT_UNREACHABLE,
		     "no agent: nobody listens on %s any more. Start vstord; its log says why it ended", c->socket);
	else
		fail(c, VST_EXIT_UNREACHABLE,
		     "the agent's socket %s cannot be reached: %s. Is it vstord's? See its log", c->socket,
		     err ? strerror(err) : "the connection was closed at once");
}

static void fail_curl(struct vst_client *c, CURLcode code)
{
	long err = 0;

	curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &err);
	switch (code) {
	case CURLE_OK:
		break;
	case CURLE_COULDNT_CONNECT:
		fail_connect(c, (int)err);
		break;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		fail(c, VST_EXIT_UNREACHABLE,
		     "the agent at %s broke off its reply: it ended or has too much to do. Try again; its log says "
		     "more",
		     c->socket);
		break;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		fail(c, VST_EXIT_FAILED, "what answers at %s does not speak HTTP: is it vstord's socket?", c->socket);
		break;
	default:
		fail(c, VST_EXIT_FAILED, "asking the agent at %s failed: %s", c->socket, curl_easy_strerror(code));
	}
}

static void finish(struct vst_client *c)
{
	c->busy = false;
	if (!c->replay)
		curl_multi_remove_handle(c->multi, c->easy);
}

/* The recording answers at once. */
static void answer(struct vst_client *c)
{
	struct vst_out o = { 0 };
	int rc = vst_replay_answer(c->replay, c->path, &o);

	free(c->buf);
	c->buf = vst_out_take(&o, &c->len);
	c->cap = c->len;
	if (rc)
		fail(c, rc, "%s", vst_replay_error(c->replay));
	else
		take_lines(c);
	finish(c);
}

/* True when the request has ended. */
static bool step(struct vst_client *c)
{
	CURLMsg *msg;
	long status = 0;
	int running, left;

	curl_multi_perform(c->multi, &running);
	msg = curl_multi_info_read(c->multi, &left);
	if (!msg || msg->msg != CURLMSG_DONE) {
		if (vst_now() < c->heard + VST_SILENCE_S)
			return false;
		fail(c, VST_EXIT_UNREACHABLE,
		     "the agent at %s does not answer: nothing came for %.0f s. It hangs or the machine is overloaded; "
		     "see its log",
		     c->socket, VST_SILENCE_S);
	} else {
		fail_curl(c, msg->data.result);
		take_lines(c);
		curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
		if (!c->rc && status != 200)
			fail_status(c, status, NULL);
	}
	finish(c);
	return true;
}

struct vst_client *vst_client_new(const struct vst_ctl *ctl)
{
	struct vst_client *c = vst_alloc(sizeof(*c));

	c->socket = ctl->socket;
	c->replay = ctl->replay;
	c->easy = curl_easy_init();
	c->multi = curl_multi_init();
	if (!c->easy || !c->multi) {
		vst_error("libcurl cannot be set up: out of memory?");
		exit(VST_EXIT_FAILED);
	}
	curl_easy_setopt(c->easy, CURLOPT_UNIX_SOCKET_PATH, c->socket);
	curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->easy, CURLOPT_PROXY, ""); /* http_proxy in the environment is not about us */
	curl_easy_setopt(c->easy, CURLOPT_USERAGENT, "vstorctl/" VSTOR_VERSION);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	return c;
}

void vst_client_free(struct vst_client *c)
{
	if (!c)
		return;
	if (c->busy)
		finish(c);
	curl_easy_cleanup(c->easy);
	curl_multi_cleanup(c->multi);
	free(c->path);
	free(c->buf);
	free(c);
}

double vst_client_now(const struct vst_client *c)
{
	return c->replay ? vst_replay_now(c->replay) : vst_now();
}

void vst_client_start(struct vst_client *c, const char *path, vst_line_fn *line, void *arg)
{
	char *url = vst_alloc(strlen(path) + 16);

	sprintf(url, "http://vstor%s", path);
	curl_easy_setopt(c->easy, CURLOPT_URL, url); /* copied */
	free(url);
	free(c->path);
	c->path = vst_dup(path);
	c->line = line;
	c->arg = arg;
	c->len = 0;
	c->open = 0;
	c->lines = 0;
	c->rc = 0;
	c->error[0] = '\0';
	c->heard = vst_now();
	c->busy = true;
	if (!c->replay)
		curl_multi_add_handle(c->multi, c->easy);
}

void vst_client_body(struct vst_client *c, const char *body, size_t len)
{
	curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, body);
}

bool vst_client_busy(const struct vst_client *c)
{
	return c->busy;
}

enum vst_woken vst_client_wait(struct vst_client *c, int fd, double deadline)
{
	struct curl_waitfd extra[2];
	double now, until;
	eventfd_t count;
	unsigned int n;

	if (c->busy && c->replay) {
		answer(c);
		return VST_WAIT_DONE;
	}
	if (c->replay && fd < 0) { /* its clock goes as fast as one likes */
		vst_replay_move(c->replay, deadline);
		return VST_WAIT_TIME;
	}
	for (;;) {
		if (c->busy && step(c))
			return VST_WAIT_DONE;
		now = vst_now();
		if (now >= deadline)
			return VST_WAIT_TIME;
		until = c->busy ? fmin(deadline, c->heard + VST_SILENCE_S) : deadline;
		n = 0;
		if (signal_fd >= 0)
			extra[n++] = (struct curl_waitfd){ .fd = signal_fd, .events = CURL_WAIT_POLLIN };
		if (fd >= 0)
			extra[n++] = (struct curl_waitfd){ .fd = fd, .events = CURL_WAIT_POLLIN };
		curl_multi_poll(c->multi, extra, n, (int)ceil(fmin(fmax(until - now, 0), 3600) * 1e3), NULL);
		if (signal_fd >= 0 && !eventfd_read(signal_fd, &count))
			return VST_WAIT_SIGNAL;
		if (fd >= 0 && extra[n - 1].revents)
			return VST_WAIT_INPUT;
	}
}

int vst_client_result(const struct vst_client *c)
{
	return c->rc;
}

const char *vst_client_error(const struct vst_client *c)
{
	return c->error;
}

int vst_client_get(struct vst_client *c, const char *path, vst_line_fn *line, void *arg)
{
	vst_client_start(c, path, line, arg);
	while (vst_client_wait(c, -1, INFINITY) != VST_WAIT_DONE) {
		if (!vst_stopped())
			continue;
		finish(c);
		c->rc = VST_EXIT_INTERRUPTED;
		break;
	}
	return c->rc;
}

int vst_get(const struct vst_ctl *ctl, const char *path, vst_line_fn *line, void *arg)
{
	struct vst_client *c = vst_client_new(ctl);
	int rc = vst_client_get(c, path, line, arg);

	if (rc)
		vst_error("%s", vst_client_error(c));
	vst_client_free(c);
	return rc;
}

int vst_post(const struct vst_ctl *ctl, const char *path, const char *body, size_t len, vst_line_fn *line, void *arg)
{
	struct vst_client *c = vst_client_new(ctl);
	int rc;

	vst_client_body(c, body, len);
	rc = vst_client_get(c, path, line, arg);
	if (rc)
		vst_error("%s", vst_client_error(c));
	vst_client_free(c);
	return rc;
}

char *vst_query(const char *path, const char *key, const char *value)
{
	char *escaped = curl_easy_escape(NULL, value, 0), *ret;

	if (!escaped) {
		vst_error("out of memory");
		exit(VST_EXIT_FAILED);
	}
	ret = vst_alloc(strlen(path) + strlen(key) + strlen(escaped) + 3);
	sprintf(ret, "%s?%s=%s", path, key, escaped);
	curl_free(escaped);
	return ret;
}
