/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vstord's side of the socket to vstor-actor: starts it, sends steps, receives outcomes, starts it again if it dies.
 * Never blocks. Use it from one thread:
 *
 *	vst_actor_start(&opts, &events, ctx, &actor);
 *	poll: vst_actor_fd() for POLLIN, or until vst_actor_due_us(); then vst_actor_process()
 *	vst_actor_step() for each step of the plan; events.outcome() tells what became of it
 *	vst_actor_stop(): goodbye (everything is reverted) or handover (the knobs stay)
 */
#ifndef VST_POLICY_ACTOR_CLIENT_H
#define VST_POLICY_ACTOR_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/actor_reads.h"
#include "policy/step.h"

struct vst_actor;

struct vst_actor_opts {
	const char *program;	 /* path of vstor-actor; NULL: beside the running program */
	const char *state_dir;	 /* NULL: VST_STATE_DIR */
	const char *cgroup_root; /* NULL: the mount that has the io (v2) or blkio (v1) controller */
	const char *sysfs;	 /* NULL: /sys; tests name others */
	unsigned int handover_s; /* how long the actor keeps the knobs for a successor; 0: never */
};

/*
 * Cgroup and ioprio knobs are gone after a reboot, so the journal need not survive one, and a tmpfs has two advantages:
 * an fsync there never waits for the very disk that is overloaded, and an unclean shutdown leaves nothing to repair.
 */
#define VST_STATE_DIR "/run/vstor"

enum vst_actor_state {
	VST_ACTOR_DOWN,	    /* ended; started again at vst_actor_due_us() */
	VST_ACTOR_STARTING, /* no hello yet */
	VST_ACTOR_READY,    /* takes steps */
	VST_ACTOR_REFUSING, /* runs, but cannot keep its journal: every step is refused with the reason. A new one
			       is tried after 2 s (another actor holds the journal) or 60 s; ready() again then */
	VST_ACTOR_STATE__N,
};

struct vst_actor_status {
	enum vst_actor_state state;
	int pid;	     /* 0: none, or not our child */
	int adopted_pid;     /* of an actor that a predecessor started */
	bool adopted;	     /* took over the knobs of a predecessor: read them from the knob events */
	bool refuses_again;  /* for the same reason as the one before, which it replaces */
	bool not_started;    /* there is none: its program cannot be run, .text says why */
	bool fails_again;    /* ... for the same reason as the last time */
	unsigned int knobs;  /* held now */
	unsigned int starts; /* how often it was started */
	unsigned int deaths; /* how often it ended without being asked */
	uint64_t steps_sent, outcomes;
	uint64_t writes;	 /* of knobs, by this actor process */
	uint64_t reverts;	 /* knobs restored, by this actor process */
	uint64_t conflicts;	 /* foreign changes seen, by this actor process */
	unsigned int in_flight;	 /* steps without an outcome yet */
	char text[VST_TEXT_MAX]; /* why it refuses, or why it ended; "" if all is well */
};

/* Called from the functions below only: mostly vst_actor_process(). Any may be NULL. */
struct vst_actor_events {
	/*
	 * The actor answered hello. With status.adopted, knob() told the predecessor's knobs before this, one by one;
	 * else there are none, because an actor first reverts what it finds in the journal.
	 */
	void (*ready)(void *ctx, const struct vst_actor_status *status);
	void (*knob)(void *ctx, const struct vst_outcome *row); /* a row of a list */
	void (*list_end)(void *ctx);
	void (*outcome)(void *ctx, const struct vst_outcome *outcome);	 /* answers one step, in order */
	void (*read_done)(void *ctx, const struct vst_reads_done *done); /* answers vst_actor_read() */
	/*
	 * The actor ended. Steps in flight have no outcome: plan again after ready(). It is started again after 0.1 s,
	 * then up to 1 s, or 30 s if it does not even say hello. The new one first reverts what the old one left.
	 */
	void (*lost)(void *ctx, const struct vst_actor_status *status);
};

/*
 * Starts vstor-actor, or connects to the one that a predecessor left waiting in state_dir. events and the strings of
 * opts are copied, except that ctx is kept. -errno only if this can never work (no memory, path too long); a program
 * that cannot be executed is reported through lost() and status.text, and tried again.
 */
int vst_actor_start(const struct vst_actor_opts *opts, const struct vst_actor_events *events, void *ctx,
		    struct vst_actor **ret);

/* To be polled for POLLIN. -1 while no actor runs; changes after each vst_actor_process(). */
int vst_actor_fd(const struct vst_actor *actor);

/* When vst_actor_process() must be called even without input: CLOCK_MONOTONIC in microseconds, INT64_MAX for never. */
int64_t vst_actor_due_us(const struct vst_actor *actor);

/* Reads what arrived, notices deaths, starts again what is due. */
void vst_actor_process(struct vst_actor *actor, int64_t now_us);

/*
 * Send, in order; what the socket has no room for is queued. 0: sent or queued; -ENOTCONN: no actor runs, or it has not
 * said hello; -EAGAIN: VST_ACTOR_QUEUE_MAX messages wait, try again after vst_actor_process(); -EINVAL: a string without
 * its end, or id 0. Each step has exactly one outcome unless lost() comes first.
 */
enum { VST_ACTOR_QUEUE_MAX = 4096 };

int vst_actor_step(struct vst_actor *actor, const struct vst_step *step);
int vst_actor_revert_all(struct vst_actor *actor); /* an outcome (id 0) for each, then list_end() */
/* Reads every knob again, which is how foreign changes are noticed between steps: knob() for each, then list_end(). */
int vst_actor_list(struct vst_actor *actor);
/* Forget conflicts, because somebody asked for the policy again (`vstorctl policy apply`). No answer. */
int vst_actor_forget_conflicts(struct vst_actor *actor);

/* Has blocks of a disk read whose keeper is on. One batch at a time: the next one after read_done() or lost(). */
int vst_actor_read(struct vst_actor *actor, const struct vst_reads *reads);

void vst_actor_get_status(const struct vst_actor *actor, struct vst_actor_status *ret);

/*
 * End. With keep, and handover_s of opts above 0, the actor keeps the knobs for a successor; else it reverts them all.
 * Waits for the actor up to timeout_ms (it reverts 1,000 knobs in well under a second), after which the closed socket
 * makes it revert. Frees actor; NULL is allowed. 0, or -ETIME if the actor had not confirmed.
 */
int vst_actor_stop(struct vst_actor *actor, bool keep, int timeout_ms);

#endif /* VST_POLICY_ACTOR_CLIENT_H */
