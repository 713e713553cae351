/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "policy/actor_msg.h"

/* Strings of a socket's packet end where their array does at the latest. */
#define ENDS(array) (memchr(array, 0, sizeof(array)) != NULL)

size_t vst_actor_msg_len(uint32_t type)
{
	const size_t head = offsetof(struct vst_actor_msg, hello);

	switch (type) {
	case VST_MSG_HELLO:
	case VST_MSG_END:
		return head + sizeof(struct vst_actor_hello);
	case VST_MSG_STEP:
		return head + sizeof(struct vst_step);
	case VST_MSG_OUTCOME:
	case VST_MSG_KNOB:
		return head + sizeof(struct vst_outcome);
	case VST_MSG_READ:
		return head + sizeof(struct vst_reads);
	case VST_MSG_READ_DONE:
		return head + sizeof(struct vst_reads_done);
	case VST_MSG_REVERT_ALL:
	case VST_MSG_LIST:
	case VST_MSG_FORGET_CONFLICTS:
	case VST_MSG_HANDOVER:
	case VST_MSG_GOODBYE:
		return head;
	}
	return 0;
}

static bool knob_valid(const struct vst_knob *knob)
{
	return knob->actuator < VST_ACTUATOR__N && ENDS(knob->target) && ENDS(knob->attr) && ENDS(knob->key);
}

static bool step_valid(const struct vst_step *s)
{
	return knob_valid(&s->knob) && ENDS(s->wanted) && ENDS(s->rule) && ENDS(s->why);
}

static bool outcome_valid(const struct vst_outcome *o)
{
	return knob_valid(&o->knob) && o->state < VST_KNOB_STATE__N && ENDS(o->old) && ENDS(o->now) &&
	       ENDS(o->written) && ENDS(o->rule) && ENDS(o->why) && ENDS(o->text);
}

static bool reads_valid(const struct vst_reads *r)
{
	bool valid = ENDS(r->disk) && r->n && r->n <= VST_READS_MAX;

	for (uint32_t i = 0; valid && i < r->n; i++)
		valid = !(r->offset[i] % VST_READ_BYTES) && r->offset[i] <= INT64_MAX - VST_READ_BYTES;
	return valid;
}

bool vst_actor_msg_valid(const struct vst_actor_msg *msg, size_t len)
{
	if (len < offsetof(struct vst_actor_msg, hello) || len != vst_actor_msg_len(msg->type))
		return false;
	switch (msg->type) {
	case VST_MSG_HELLO:
	case VST_MSG_END:
		return ENDS(msg->hello.text);
	case VST_MSG_STEP:
		return step_valid(&msg->step);
	case VST_MSG_OUTCOME:
	case VST_MSG_KNOB:
		return outcome_valid(&msg->outcome);
	case VST_MSG_READ:
		return reads_valid(&msg->reads);
	case VST_MSG_READ_DONE:
		return ENDS(msg->done.disk);
	}
	return true;
}

int vst_actor_msg_send(int fd, const struct vst_actor_msg *msg)
{
	ssize_t n;

	do
		n = send(fd, msg, vst_actor_msg_len(msg->type), MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int vst_actor_msg_receive(int fd, struct vst_actor_msg *ret)
{
	struct iovec iov = { ret, sizeof(*ret) };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	do
		n = recvmsg(fd, &header, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (!n)
		return 0;
	return !(header.msg_flags & MSG_TRUNC) && vst_actor_msg_valid(ret, n) ? 1 : -EPROTO;
}
