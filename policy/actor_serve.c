/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "policy/actor_msg.h"
#include "policy/actor_serve.h"
#include "policy/actor_reads.h"

enum {
	SEND_WAIT_MS = 5000, /* a vstord that does not read for so long is dead to us */
	HANDOVER_MAX_S = 3600,
};

struct serve {
	struct vst_act *act;
	int conn;     /* to vstord; -1: none, or it is dead */
	int listener; /* for a successor; -1: not waiting */
	int signals;
	uint32_t handover_s;
	int64_t deadline_us; /* of the successor: CLOCK_MONOTONIC */
	bool adopted;
	bool done;
	bool stuck;	   /* vstord lives, but does not read */
	unsigned int left; /* knobs that could not be reverted */
};

void vst_actor_say(int level, const char *fmt, ...)
{
	char line[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (getenv("JOURNAL_STREAM"))
		fprintf(stderr, "<%d>%s\n", level, line);
	else
		fprintf(stderr, "vstor-actor: %s\n", line);
}

static int64_t clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* --- undoing without anybody to tell --- */

struct undo {
	unsigned int reverted, conflicts;
};

static void count_undone(void *ctx, const struct vst_outcome *o)
{
	struct undo *undo = ctx;

	undo->reverted += o->state == VST_KNOB_REVERTED;
	undo->conflicts += o->state == VST_KNOB_CONFLICT;
	if (o->state == VST_KNOB_CONFLICT)
		vst_actor_say(4, "%s", o->text);
	else if (o->state == VST_KNOB_APPLIED)
		vst_actor_say(3, "cannot revert %s: %s; it stays in the journal, and the next start tries again",
			      o->knob.attr, *o->text ? o->text : strerror(-o->result));
}

unsigned int vst_actor_undo(struct vst_act *act, bool keep_conflicts, const char *why)
{
	struct undo undo = { 0 };
	unsigned int left, n = act->journal.entries.n;

	if (!n)
		return 0;
	left = vst_act_revert_all(act, keep_conflicts, count_undone, &undo);
	vst_actor_say(left ? 3 : 6, "%s: reverted %u of %u knobs%s", why, undo.reverted, n,
		      undo.conflicts ? "; the others were changed by somebody else and left alone" : "");
	return left;
}

/* --- answers --- */

static void drop_conn(struct serve *s)
{
	vst_cleanup_close(&s->conn);
	s->conn = -1;
}

static void send_msg(struct serve *s, struct vst_actor_msg *msg)
{
	struct pollfd p = { s->conn, POLLOUT, 0 };
	int err;

	if (s->conn < 0)
		return;
	msg->knobs = s->act->journal.entries.n;
	msg->writes = s->act->writes;
	msg->reverts = s->act->reverts;
	msg->conflicts = s->act->conflicts;
	while ((err = vst_actor_msg_send(s->conn, msg)) == -EAGAIN)
		if (poll(&p, 1, SEND_WAIT_MS) <= 0)
			break;
	if (err) {
		s->stuck = err == -EAGAIN;
		drop_conn(s);
	}
}

static void send_outcome(void *ctx, const struct vst_outcome *outcome)
{
	struct vst_actor_msg msg = { .type = VST_MSG_OUTCOME, .outcome = *outcome };

	send_msg(ctx, &msg);
}

/* Of a knob that no step is about now. */
static void send_reverted(void *ctx, const struct vst_outcome *outcome)
{
	struct vst_actor_msg msg = { .type = VST_MSG_OUTCOME, .outcome = *outcome };

	msg.outcome.id = 0;
	send_msg(ctx, &msg);
}

static void send_knob(void *ctx, const struct vst_outcome *outcome)
{
	struct vst_actor_msg msg = { .type = VST_MSG_KNOB, .outcome = *outcome };

	send_msg(ctx, &msg);
}

/* answers: the type of the message that this answers. */
static void send_state(struct serve *s, uint32_t answers, int result)
{
	const struct vst_act *act = s->act;
	struct vst_actor_msg msg = { .type = answers == VST_MSG_HELLO ? VST_MSG_HELLO : VST_MSG_END };

	msg.hello = (struct vst_actor_hello){
		.protocol = VST_ACTOR_PROTOCOL,
		.handover_s = s->handover_s,
		.pid = getpid(),
		.result = result ? result : act->journal.unusable,
		.adopted = s->adopted,
		.answers = answers,
	};
	memcpy(msg.hello.text, act->journal.text, sizeof(msg.hello.text));
	send_msg(s, &msg);
}

/* --- handover --- */

/* The name of a file in the state directory that fits into a socket's address, however long the directory's path is. */
static socklen_t socket_address(int dir, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/" VST_ACTOR_SOCKET, dir);
	return sizeof(*ret);
}

static int listen_for_successor(struct serve *s)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un address;
	int dir = s->act->journal.dir;

	if (s->act->journal.unusable || !s->handover_s)
		return s->act->journal.unusable ? s->act->journal.unusable : -EINVAL;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (unlinkat(dir, VST_ACTOR_SOCKET, 0) && errno != ENOENT)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, socket_address(dir, &address)) || listen(fd, 4))
		return -errno;
	s->listener = TAKE_FD(fd);
	return 0;
}

static void stop_listening(struct serve *s)
{
	if (s->listener < 0)
		return;
	unlinkat(s->act->journal.dir, VST_ACTOR_SOCKET, 0);
	close(s->listener);
	s->listener = -1;
}

/*
 * The knobs stay. Without any there is nothing to wait for. A container runtime kills all that is in the container's
 * cgroup once its first process has ended, and systemd does so too, unless KillMode= says otherwise.
 */
static void hand_over(struct serve *s)
{
	int err = listen_for_successor(s), left = err ? 0 : vst_leave_cgroups(s->act->roots.proc);

	if (left)
		vst_actor_say(4,
			      "cannot leave the cgroup of vstord (%s): if all its processes are killed, the knobs stay "
			      "set until "
			      "the next vstord starts",
			      strerror(-left));
	send_state(s, VST_MSG_HANDOVER, err);
	if (err) {
		vst_actor_say(4, "cannot keep the knobs for a successor: %s", strerror(-err));
		return;
	}
	drop_conn(s);
	s->deadline_us = clock_us(CLOCK_MONOTONIC) + s->handover_s * 1000000LL;
	s->done = !s->act->journal.entries.n;
	if (!s->done)
		vst_actor_say(6, "keeps %u knobs and waits %u s for the next vstord", s->act->journal.entries.n,
			      s->handover_s);
}

/* The directory lets only its owner connect; the check of the peer does not rely on that. */
static void accept_successor(struct serve *s)
{
	_cleanup_close_ int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || peer.uid != geteuid()) {
		vst_actor_say(4, "turned user %d away, who is not the successor", (int)peer.uid);
		return;
	}
	stop_listening(s);
	s->conn = TAKE_FD(fd);
	s->adopted = true;
	vst_actor_say(6, "hands %u knobs to the next vstord, process %d", s->act->journal.entries.n, (int)peer.pid);
}

/* --- the loop --- */

static void end(struct serve *s, const char *why)
{
	s->left = vst_actor_undo(s->act, false, why);
	s->done = true;
}

static void do_hello(struct serve *s, const struct vst_actor_hello *hello)
{
	if (hello->protocol != VST_ACTOR_PROTOCOL) {
		vst_actor_say(4, "vstord speaks protocol %u, this vstor-actor %d: they are of different versions",
			      hello->protocol, VST_ACTOR_PROTOCOL);
		send_state(s, VST_MSG_HELLO, -EPROTO);
		end(s, "vstord is of another version");
		return;
	}
	s->handover_s = hello->handover_s < HANDOVER_MAX_S ? hello->handover_s : HANDOVER_MAX_S;
	vst_act_list(s->act, send_knob, s);
	send_state(s, VST_MSG_HELLO, 0);
}

static void send_done(struct serve *s, const struct vst_reads_done *done)
{
	struct vst_actor_msg msg = { .type = VST_MSG_READ_DONE, .done = *done };

	send_msg(s, &msg);
}

static void do_read(struct serve *s, const struct vst_reads *reads)
{
	struct vst_reads_done done = { .result = vst_reads_begin(reads) };

	memcpy(done.disk, reads->disk, sizeof(done.disk));
	if (done.result)
		send_done(s, &done);
}

static void do_msg(struct serve *s, const struct vst_actor_msg *msg)
{
	struct vst_outcome outcome;

	switch (msg->type) {
	case VST_MSG_HELLO:
		do_hello(s, &msg->hello);
		break;
	case VST_MSG_STEP:
		vst_act_step(s->act, &msg->step, clock_us(CLOCK_REALTIME), &outcome);
		send_outcome(s, &outcome);
		break;
	case VST_MSG_LIST:
		vst_act_list(s->act, send_knob, s);
		send_state(s, VST_MSG_LIST, 0);
		break;
	case VST_MSG_FORGET_CONFLICTS:
		vst_act_forget_conflicts(s->act);
		break;
	case VST_MSG_READ:
		do_read(s, &msg->reads);
		break;
	case VST_MSG_HANDOVER:
		hand_over(s);
		break;
	case VST_MSG_REVERT_ALL:
	case VST_MSG_GOODBYE:
		s->left = vst_act_revert_all(s->act, false, send_reverted, s);
		send_state(s, msg->type, 0);
		s->done = msg->type == VST_MSG_GOODBYE;
		break;
	default:
		end(s, "vstord sent what only an actor sends");
	}
}

/* One message, or vstord's end. */
static void read_conn(struct serve *s)
{
	static const char gone[] = "vstord ended without a goodbye";
	struct vst_actor_msg msg;
	int got = vst_actor_msg_receive(s->conn, &msg);

	if (got == 1) {
		do_msg(s, &msg);
		if (s->conn < 0 && s->listener < 0 && !s->done)
			end(s, s->stuck ? "vstord does not read its answers" : gone);
	} else if (got != -EAGAIN) {
		drop_conn(s);
		end(s, got == -EPROTO ? "vstord sent a malformed message" : gone);
	}
}

/*
 * SIGTERM ends the actor, with two exceptions. With handover configured, the service manager sends the signal to vstord
 * too, and vstord says what is to become of the knobs; if it cannot, its socket closes. And while the actor waits for a
 * successor it waits because of such a signal; `vstor-actor --revert --now` ends that wait.
 */
static void read_signal(struct serve *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) == sizeof(info) && !s->handover_s)
		end(s, "asked to end");
}

static void wait_once(struct serve *s)
{
	struct pollfd fds[] = { { s->conn, POLLIN, 0 },
				{ s->listener, POLLIN, 0 },
				{ s->signals, POLLIN, 0 },
				{ vst_reads_fd(), POLLIN, 0 } };
	struct vst_reads_done done;
	int timeout = -1;

	if (s->listener >= 0) {
		int64_t us = s->deadline_us - clock_us(CLOCK_MONOTONIC);

		if (us <= 0) {
			end(s, "no successor came");
			return;
		}
		timeout = us / 1000 + 1;
	}
	if (poll(fds, 4, timeout) <= 0)
		return;
	if (fds[0].revents)
		read_conn(s);
	else if (fds[1].revents)
		accept_successor(s);
	if (fds[2].revents && !s->done)
		read_signal(s);
	if (fds[3].revents && vst_reads_process(&done))
		send_done(s, &done);
}

unsigned int vst_actor_serve(struct vst_act *act, int conn, int signals)
{
	struct serve s = { .act = act, .conn = conn, .listener = -1, .signals = signals };

	while (!s.done)
		wait_once(&s);
	stop_listening(&s);
	drop_conn(&s);
	return s.left;
}
