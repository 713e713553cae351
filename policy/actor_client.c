/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "policy/actor_client.h"
#include "policy/actor_msg.h"
#include "policy/actor_spawn.h"

#define MS 1000LL
#define S 1000000LL

#define BACKOFF_MIN (100 * MS)
#define BACKOFF_MAX (1 * S)	    /* of an actor that came to life: undoing must not wait long */
#define BACKOFF_MAX_SILENT (30 * S) /* of one that does not */
#define RETRY_NO_PROGRAM (10 * S)   /* nothing can be undone without it, so nobody waits */
#define LIVED_LONG (10 * S)
#define HELLO_WAIT (15 * S) /* it waits 5 s for the journal's lock */

/* An actor that refuses is replaced, in case the reason is gone: another one held the journal; it was damaged. */
#define RETRY_LOCKED (2 * S)
#define RETRY_REFUSING (60 * S)

enum { REAP_MAX = 4 };

struct vst_actor {
	struct vst_actor_place place;
	struct vst_actor_events events;
	void *ctx;
	int fd; /* -1: none */
	unsigned int handover_s;
	pid_t reap[REAP_MAX]; /* ended, or about to */
	int64_t started_us, due_us, backoff_us;
	struct vst_actor_status status;
	struct vst_actor_msg *queue; /* VST_ACTOR_QUEUE_MAX of them */
	unsigned int queue_head, queue_n;
	bool stopping; /* vst_actor_stop() waits for the END of stop_type */
	bool end_received;
	uint32_t stop_type;
	int end_result;
	char refusal[VST_TEXT_MAX]; /* why the last one refused */
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * S + t.tv_nsec / 1000;
}

/* --- starting --- */

static void set_down(struct vst_actor *a, bool was_alive, int64_t now)
{
	int64_t max = was_alive ? BACKOFF_MAX : BACKOFF_MAX_SILENT;

	if (was_alive && now - a->started_us > LIVED_LONG)
		a->backoff_us = BACKOFF_MIN;
	if (a->backoff_us > max)
		a->backoff_us = max;
	a->status.state = VST_ACTOR_DOWN;
	a->due_us = now + a->backoff_us;
	a->backoff_us = a->backoff_us * 2 < max ? a->backoff_us * 2 : max;
	a->queue_n = 0;
	a->status.in_flight = 0;
	a->status.knobs = 0;
}

/* The program is missing, or cannot be executed. */
static void fail_start(struct vst_actor *a, int error, int64_t now)
{
	char before[VST_TEXT_MAX];

	memcpy(before, a->status.text, sizeof(before));
	vst_explain(a->status.text, "cannot run %s: %s", a->place.program, strerror(error));
	a->status.fails_again = a->status.not_started && !strcmp(before, a->status.text);
	a->status.not_started = true;
	a->fd = -1;
	set_down(a, false, now);
	a->due_us = now + RETRY_NO_PROGRAM;
}

static void launch(struct vst_actor *a, int64_t now)
{
	struct vst_actor_msg hello = { .type = VST_MSG_HELLO };

	a->status.pid = 0;
	a->fd = vst_actor_connect(a->place.state_dir);
	if (a->fd < 0)
		a->fd = vst_actor_spawn(&a->place, &a->status.pid);
	if (a->fd < 0) {
		fail_start(a, -a->fd, now);
		if (a->events.lost)
			a->events.lost(a->ctx, &a->status);
		return;
	}
	a->started_us = now;
	a->due_us = now + HELLO_WAIT;
	a->status.starts++;
	a->status.not_started = false;
	a->status.state = VST_ACTOR_STARTING;
	a->status.adopted = false;
	a->status.writes = a->status.reverts = a->status.conflicts = 0;
	hello.hello.protocol = VST_ACTOR_PROTOCOL;
	hello.hello.handover_s = a->handover_s;
	hello.hello.pid = getpid();
	vst_actor_msg_send(a->fd, &hello); /* if the actor died already, the next read tells */
}

/* --- its end --- */

static void reap_later(struct vst_actor *a, pid_t pid)
{
	for (int i = 0; pid > 0 && i < REAP_MAX; i++)
		if (!a->reap[i]) {
			a->reap[i] = pid;
			return;
		}
}

static void reap(struct vst_actor *a)
{
	for (int i = 0; i < REAP_MAX; i++)
		if (a->reap[i] && waitpid(a->reap[i], NULL, WNOHANG))
			a->reap[i] = 0;
}

/* How the child ended, if it has; else it is reaped later. */
static void explain_end(struct vst_actor *a, const char *why)
{
	int status;

	if (a->status.pid <= 0)
		vst_explain(a->status.text, "%s", why);
	else if (waitpid(a->status.pid, &status, WNOHANG) != a->status.pid) {
		vst_explain(a->status.text, "%s", why);
		reap_later(a, a->status.pid);
	} else if (WIFSIGNALED(status))
		vst_explain(a->status.text, "vstor-actor was killed by signal %d", WTERMSIG(status));
	else
		vst_explain(a->status.text, "vstor-actor ended with status %d", WEXITSTATUS(status));
}

static void lose(struct vst_actor *a, const char *why, int64_t now)
{
	bool was_alive = a->status.state != VST_ACTOR_STARTING;

	vst_cleanup_close(&a->fd);
	a->fd = -1;
	if (a->end_received) /* as it was asked to */
		return;
	explain_end(a, why);
	a->status.pid = 0;
	a->status.deaths++;
	set_down(a, was_alive, now);
	if (a->events.lost)
		a->events.lost(a->ctx, &a->status);
}

/* --- receiving --- */

static void take_counts(struct vst_actor *a, const struct vst_actor_msg *msg)
{
	a->status.knobs = msg->knobs;
	a->status.writes = msg->writes;
	a->status.reverts = msg->reverts;
	a->status.conflicts = msg->conflicts;
}

static void on_hello(struct vst_actor *a, const struct vst_actor_hello *hello, int64_t now)
{
	if (!a->status.pid)
		a->status.adopted_pid = hello->pid;
	a->status.adopted = hello->adopted;
	a->status.state = hello->result ? VST_ACTOR_REFUSING : VST_ACTOR_READY;
	memcpy(a->status.text, hello->text, sizeof(a->status.text));
	a->status.refuses_again = hello->result && !strcmp(a->refusal, hello->text);
	memcpy(a->refusal, hello->text, sizeof(a->refusal));
	a->due_us = !hello->result		    ? INT64_MAX
		    : hello->result == -EWOULDBLOCK ? now + RETRY_LOCKED
						    : now + RETRY_REFUSING;
	if (a->events.ready)
		a->events.ready(a->ctx, &a->status);
}

static void on_outcome(struct vst_actor *a, const struct vst_outcome *outcome)
{
	a->status.outcomes++;
	if (outcome->id && a->status.in_flight)
		a->status.in_flight--;
	if (a->events.outcome)
		a->events.outcome(a->ctx, outcome);
}

static void on_end(struct vst_actor *a, const struct vst_actor_hello *hello)
{
	if (a->stopping && hello->answers == a->stop_type) {
		a->end_received = true;
		a->end_result = hello->result;
		return;
	}
	if (a->events.list_end)
		a->events.list_end(a->ctx);
}

static void on_msg(struct vst_actor *a, const struct vst_actor_msg *msg, int64_t now)
{
	take_counts(a, msg);
	switch (msg->type) {
	case VST_MSG_HELLO:
		on_hello(a, &msg->hello, now);
		break;
	case VST_MSG_OUTCOME:
		on_outcome(a, &msg->outcome);
		break;
	case VST_MSG_KNOB:
		if (a->events.knob)
			a->events.knob(a->ctx, &msg->outcome);
		break;
	case VST_MSG_END:
		on_end(a, &msg->hello);
		break;
	case VST_MSG_READ_DONE:
		if (a->events.read_done)
			a->events.read_done(a->ctx, &msg->done);
		break;
	default:
		lose(a, "vstor-actor sent what only vstord sends", now);
	}
}

static void flush(struct vst_actor *a)
{
	while (a->queue_n && a->fd >= 0) {
		if (vst_actor_msg_send(a->fd, &a->queue[a->queue_head])) /* full; or dead, and the next read tells */
			return;
		a->queue_head = (a->queue_head + 1) % VST_ACTOR_QUEUE_MAX;
		a->queue_n--;
	}
}

static void receive_all(struct vst_actor *a, int64_t now)
{
	struct vst_actor_msg msg;

	while (a->fd >= 0) {
		int got = vst_actor_msg_receive(a->fd, &msg);

		if (got == -EAGAIN)
			return;
		if (got == 1)
			on_msg(a, &msg, now);
		else
			lose(a, got == -EPROTO ? "vstor-actor sent a malformed message" : "vstor-actor ended", now);
		flush(a);
	}
}

/* Ends an actor that refuses, in case the next one need not. Nobody answers the steps that it has not answered. */
static void replace(struct vst_actor *a, int64_t now)
{
	vst_cleanup_close(&a->fd);
	a->fd = -1;
	reap_later(a, a->status.pid);
	a->queue_n = 0;
	a->status.in_flight = 0;
	a->status.knobs = 0;
	if (a->events.lost)
		a->events.lost(a->ctx, &a->status);
	launch(a, now);
}

void vst_actor_process(struct vst_actor *a, int64_t now)
{
	receive_all(a, now);
	flush(a);
	reap(a);
	if (now < a->due_us)
		return;
	if (a->status.state == VST_ACTOR_DOWN) {
		launch(a, now);
	} else if (a->status.state == VST_ACTOR_REFUSING) {
		replace(a, now);
	} else if (a->status.state == VST_ACTOR_STARTING) {
		if (a->status.pid > 0)
			kill(a->status.pid, SIGKILL);
		lose(a, "vstor-actor did not say hello", now);
	}
}

/* --- sending --- */

static int send_or_queue(struct vst_actor *a, const struct vst_actor_msg *msg)
{
	int err;

	if (a->status.state != VST_ACTOR_READY && a->status.state != VST_ACTOR_REFUSING)
		return -ENOTCONN;
	flush(a);
	err = a->queue_n ? -EAGAIN : vst_actor_msg_send(a->fd, msg);
	if (err != -EAGAIN)
		return err ? -ENOTCONN : 0;
	if (a->queue_n == VST_ACTOR_QUEUE_MAX)
		return -EAGAIN;
	a->queue[(a->queue_head + a->queue_n++) % VST_ACTOR_QUEUE_MAX] = *msg;
	return 0;
}

int vst_actor_step(struct vst_actor *a, const struct vst_step *step)
{
	struct vst_actor_msg msg = { .type = VST_MSG_STEP, .step = *step };
	int err;

	if (!step->id || !vst_actor_msg_valid(&msg, vst_actor_msg_len(VST_MSG_STEP)))
		return -EINVAL;
	err = send_or_queue(a, &msg);
	if (!err) {
		a->status.steps_sent++;
		a->status.in_flight++;
	}
	return err;
}

static int send_type(struct vst_actor *a, enum vst_actor_msg_type type)
{
	struct vst_actor_msg msg = { .type = type };

	return send_or_queue(a, &msg);
}

int vst_actor_read(struct vst_actor *a, const struct vst_reads *reads)
{
	struct vst_actor_msg msg = { .type = VST_MSG_READ, .reads = *reads };

	if (!vst_actor_msg_valid(&msg, vst_actor_msg_len(VST_MSG_READ)))
		return -EINVAL;
	return send_or_queue(a, &msg);
}

int vst_actor_revert_all(struct vst_actor *a)
{
	return send_type(a, VST_MSG_REVERT_ALL);
}

int vst_actor_list(struct vst_actor *a)
{
	return send_type(a, VST_MSG_LIST);
}

int vst_actor_forget_conflicts(struct vst_actor *a)
{
	return send_type(a, VST_MSG_FORGET_CONFLICTS);
}

/* --- the whole --- */

int vst_actor_start(const struct vst_actor_opts *opts, const struct vst_actor_events *events, void *ctx,
		    struct vst_actor **ret)
{
	struct vst_actor *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	a->fd = -1;
	a->events = *events;
	a->ctx = ctx;
	a->handover_s = opts->handover_s;
	a->backoff_us = BACKOFF_MIN;
	a->queue = malloc(VST_ACTOR_QUEUE_MAX * sizeof(*a->queue)); /* 12 MB, of which only what is used takes memory */
	err = a->queue ? 0 : -ENOMEM;
	if (!err)
		err = vst_actor_place_init(&a->place, opts);
	if (err) {
		free(a->queue);
		free(a);
		return err;
	}
	*ret = a;
	launch(a, now_us());
	return 0;
}

int vst_actor_fd(const struct vst_actor *a)
{
	return a->fd;
}

int64_t vst_actor_due_us(const struct vst_actor *a)
{
	return a->due_us;
}

void vst_actor_get_status(const struct vst_actor *a, struct vst_actor_status *ret)
{
	*ret = a->status;
}

/* Processes input until a condition holds, the actor is gone, or the time is over. Returns whether it holds. */
static bool wait_for(struct vst_actor *a, bool (*holds)(const struct vst_actor *a), int64_t end)
{
	while (!holds(a)) {
		struct pollfd p = { a->fd, POLLIN, 0 };
		int64_t now = now_us();

		if (a->fd < 0 || now >= end)
			return false;
		poll(&p, 1, (end - now) / MS + 1);
		receive_all(a, now_us());
	}
	return true;
}

static bool has_hello(const struct vst_actor *a)
{
	return a->status.state != VST_ACTOR_STARTING;
}

static bool has_end(const struct vst_actor *a)
{
	return a->end_received;
}

/* Sends, and waits for the END that answers it. Returns its result, or -ETIME. */
static int ask(struct vst_actor *a, enum vst_actor_msg_type type, int64_t end)
{
	struct vst_actor_msg msg = { .type = type };

	a->stopping = true;
	a->stop_type = type;
	a->end_received = false;
	while (vst_actor_msg_send(a->fd, &msg) == -EAGAIN && now_us() < end) {
		poll(NULL, 0, 1);
		receive_all(a, now_us());
	}
	return wait_for(a, has_end, end) ? a->end_result : -ETIME;
}

static void wait_child(pid_t pid, int64_t end)
{
	while (pid > 0 && !waitpid(pid, NULL, WNOHANG) && now_us() < end)
		poll(NULL, 0, 1);
}

int vst_actor_stop(struct vst_actor *a, bool keep, int timeout_ms)
{
	int64_t end = now_us() + timeout_ms * MS;
	int err = -ETIME;

	if (!a)
		return 0;
	a->queue_n = 0;
	if (a->status.state == VST_ACTOR_DOWN) /* a new one undoes what the dead one left */
		launch(a, now_us());
	if (wait_for(a, has_hello, end) && a->fd >= 0) {
		err = keep && a->handover_s ? ask(a, VST_MSG_HANDOVER, end) : -EINVAL;
		if (err && a->fd >= 0) {
			keep = false;
			err = ask(a, VST_MSG_GOODBYE, end);
		}
	}
	vst_cleanup_close(&a->fd);
	if (!keep || !a->handover_s)
		wait_child(a->status.pid, end);
	for (int i = 0; i < REAP_MAX; i++)
		wait_child(a->reap[i], end);
	free(a->queue);
	free(a);
	return err == -ETIME ? -ETIME : 0;
}
