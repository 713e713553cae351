/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Acting on what is seen: loads the policy, runs the engine on each snapshot, sends its steps to vstor-actor, keeps what
 * became of them. Everything runs on the loop's thread and never blocks it, except where a function says otherwise; sinks
 * on other threads read the published status.
 */
#ifndef VST_ACTING_H
#define VST_ACTING_H

#include "agent/acting/status.h"
#include "agent/snapshot.h"
#include "policy/keep.h"

struct vst_acting;

struct vst_acting_opts {
	const char *policy;	 /* file; NULL: none yet, one may be sent by `vstorctl policy apply` */
	bool act;		 /* else the agent only plans */
	const char *state_dir;	 /* NULL: the actor's default */
	unsigned int handover_s; /* how long the actor keeps the knobs for a successor of this agent; 0: never */
	/* Makes a snapshot now, a reference, for vst_acting_expect(); NULL: it cannot. fresh NULL: new containers wait. */
	const struct vst_snapshot *(*fresh)(void *ctx);
	void *ctx;
	/*
	 * Which blocks of a cached device to read, so that its cache keeps them, as in vst_heating_choose(); and which process
	 * reads them (0: none does). NULL: no keeper works.
	 */
	int (*choose)(void *ctx, __u32 dev, const struct vst_keep_pass *pass, uint64_t **ret_offsets, size_t *ret_n,
		      size_t *ret_known);
	void (*keeper)(void *ctx, __u32 pid);
	/* Of which container, by its cgroup, to watch what it writes, see vst_watch_ask(). NULL: of none. */
	int (*insight)(void *ctx, const char *cgroup, const char *word, char *ret, size_t size);
	/* Keeps a path or a container in caches, or no more: see vst_heating_pin(). NULL: it cannot. */
	int (*pin)(void *ctx, bool undo, const char *text, char *ret, size_t size);
	/* The containers, by number, that rules keep in caches, all of them. NULL: nobody wants to know. */
	void (*kept)(void *ctx, const __u32 *numbers, size_t n);
	const char *actor;		 /* tests: its program; NULL: beside the running program */
	const char *cgroup_root, *sysfs; /* tests; NULL: the host's */
};

/*
 * Starts the actor if opts->act, and loads the policy; a bad one is told and leaves the agent without a policy. The texts of
 * opts are borrowed. 0 or -errno, explained in the log.
 */
int vst_acting_new(const struct vst_acting_opts *opts, struct vst_acting **ret);
/* Hands over, or reverts everything: waits up to 5 s for the actor. NULL is allowed. */
void vst_acting_free(struct vst_acting *a);

enum vst_acting_mode vst_acting_get_mode(const struct vst_acting *a);
/* What the agent does now, and why it is less than it was asked to do. */
void vst_acting_ready_text(const struct vst_acting *a, char *ret, size_t size);
/* Has the policy a rule that needs to know how long fsync takes? */
bool vst_acting_wants_fsync(const struct vst_acting *a);

/* The class of each kind and size by the policy in force, or by default: class_of[VST_CLASS_INDEX()]. */
void vst_acting_classes(const struct vst_acting *a, __u8 class_of[64]);

int vst_acting_fd(const struct vst_acting *a); /* readable: call _run */
void vst_acting_run(struct vst_acting *a);
void vst_acting_tick(struct vst_acting *a, const struct vst_snapshot *snapshot); /* after each that was published */
/* A cgroup was made: what is in it gets its knobs soon, without waiting for the next tick. */
void vst_acting_expect(struct vst_acting *a);
void vst_acting_reload(struct vst_acting *a); /* SIGHUP */

/* --- on any thread --- */

enum vst_acting_request {
	VST_ACTING_APPLY, /* text: a policy; it is in force until the file changes, the agent is told to reload, or ends */
	VST_ACTING_PLAN, /* text: a policy; what it would do. Nothing is changed. */
	VST_ACTING_PIN,	 /* text: see vst_pins_add() */
	VST_ACTING_UNPIN,
	VST_ACTING_REVERT,  /* undo everything; nothing is wanted until the next policy */
	VST_ACTING_INSIGHT, /* name: a container's cgroup, text: whether to watch what it writes */
	VST_ACTING_REQUEST__N
};

struct vst_acting_reply {
	int result;			  /* 0; -EINVAL: bad policy; other -errno */
	char *text;			  /* what happened, for people; owned */
	struct vst_acting_status *status; /* of PLAN: what it would do; owned */
};

struct vst_acting_question;

/*
 * Hands a request to the loop. name: what the text is called in messages, and where its relative imports start. wake_fd is an
 * eventfd that is written to when the request has been answered. Texts are copied. NULL: out of memory.
 */
struct vst_acting_question *vst_acting_ask(struct vst_acting *a, enum vst_acting_request what, const char *name,
					   const char *text, size_t len, int wake_fd);
/* True: the reply is in *ret, and the question is released. */
bool vst_acting_answered(struct vst_acting *a, struct vst_acting_question *q, struct vst_acting_reply *ret);
/* Nobody waits for the answer any more; q is released, now or when it has been answered. NULL is allowed. */
void vst_acting_forget(struct vst_acting *a, struct vst_acting_question *q);
void vst_acting_reply_clear(struct vst_acting_reply *reply);

/* The newest status; a reference. Never NULL. */
struct vst_acting_status *vst_acting_status(struct vst_acting *a);

#endif /* VST_ACTING_H */
