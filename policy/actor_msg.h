/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages between vstord and vstor-actor, on a SOCK_SEQPACKET socket: each is one packet, with the part of the union
 * that its type has and nothing more. A packet of any other length, a string without its end or an unknown type is a
 * protocol error: the receiver closes the socket.
 */
#ifndef VST_POLICY_ACTOR_MSG_H
#define VST_POLICY_ACTOR_MSG_H

#include "policy/actor_reads.h"
#include "policy/step.h"

enum { VST_ACTOR_PROTOCOL = 2 };

/* The socket on which an actor that was handed over waits, in the state directory. */
#define VST_ACTOR_SOCKET "actor.sock"

enum vst_actor_msg_type {
	/* from vstord */
	VST_MSG_HELLO = 1,	  /* hello: the first message; answered by KNOBs and HELLO */
	VST_MSG_STEP,		  /* step: answered by OUTCOME */
	VST_MSG_REVERT_ALL,	  /* answered by OUTCOMEs and END */
	VST_MSG_LIST,		  /* answered by KNOBs and END */
	VST_MSG_FORGET_CONFLICTS, /* no answer */
	VST_MSG_HANDOVER,	  /* keep the knobs for a successor; answered by END, then close the socket */
	VST_MSG_GOODBYE,	  /* revert everything and end; answered by OUTCOMEs and END */
	VST_MSG_READ,		  /* reads: of a disk whose keeper is on; answered by READ_DONE, one at a time */
	/* from the actor */
	VST_MSG_OUTCOME,   /* outcome */
	VST_MSG_KNOB,	   /* outcome */
	VST_MSG_READ_DONE, /* done */
	VST_MSG_END,	   /* hello: all that was asked for is done */
	VST_MSG__N,
};

/* From vstord only protocol, handover_s and pid count. */
struct vst_actor_hello {
	uint32_t protocol;
	uint32_t handover_s;
	int32_t pid;	/* of the sender */
	int32_t result; /* 0, or the -errno with which every step is refused; of HANDOVER's END: why it cannot be done */
	uint32_t knobs; /* held now */
	uint32_t adopted;
	uint32_t answers;		     /* of END: the type of the message that it answers */
	uint32_t pad;			     /* 0 */
	uint64_t writes, reverts, conflicts; /* of this actor process */
	char text[VST_TEXT_MAX];
};

struct vst_actor_msg {
	uint32_t type;
	uint32_t knobs; /* held now; from the actor only, as are those of this actor process: */
	uint64_t writes, reverts, conflicts;
	union {
		struct vst_actor_hello hello;
		struct vst_step step;
		struct vst_outcome outcome;
		struct vst_reads reads;
		struct vst_reads_done done;
	};
};

/* The exact length of a message of this type; 0: no such type. */
size_t vst_actor_msg_len(uint32_t type);

/* Has a received packet the right length, and does every string in it end? Pure. */
bool vst_actor_msg_valid(const struct vst_actor_msg *msg, size_t len);

/*
 * One packet. Send: 0 or -errno (-EAGAIN: the socket is full). Receive: 1: *ret is a valid message; 0: the other side
 * closed; -EAGAIN: nothing there; -EPROTO: not a message; other -errno.
 */
int vst_actor_msg_send(int fd, const struct vst_actor_msg *msg);
int vst_actor_msg_receive(int fd, struct vst_actor_msg *ret);

#endif /* VST_POLICY_ACTOR_MSG_H */
