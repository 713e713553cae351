/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the files of the room. */
#ifndef VST_ACTING_PRIV_H
#define VST_ACTING_PRIV_H

#include <pthread.h>

#include "agent/acting/acting.h"
#include "agent/acting/host.h"
#include "policy/actor_client.h"
#include "policy/keep.h"

enum {
	EVENTS_MAX = 512,  /* entries of the log */
	OLD_PER_TICK = 64, /* knobs that are only planned, whose present value is read in a tick */
};

#define LIST_EVERY_S 10.0 /* the knobs are read again: that is how a change by somebody else is noticed */
#define EXPECT_S 0.01	  /* from a cgroup's making until its container is looked at: its runtime writes the name ... */
#define EXPECT_AGAIN_S 0.04 /* ... or takes a little longer */
#define EXPECT_PAUSE_S 0.04 /* between two such looks, however many cgroups are made */
#define RELOAD_WAIT_S 0.1   /* after a change in the policy's directory: editors and ConfigMaps make several */

/* An entry of the log, with texts of its own. */
struct event {
	unsigned long long seq;
	double time;
	const char *what; /* a literal */
	char *actuator, *target, *attribute, *key, *old, *new, *rule, *why, *text;
	enum vst_knob_state state;
};

/* A request of another thread. */
struct vst_acting_question {
	struct vst_acting_question *next;
	enum vst_acting_request what;
	char *name, *text;
	size_t len;
	int wake_fd;
	struct vst_acting_reply reply;
	bool done, forgotten;
};

/* Of a cached device. */
struct vst_keeper {
	__u32 dev;
	char disk[VST_DISK_NAME_MAX];
	unsigned int classes; /* that it keeps, bit n for class n; 0: it is off */
	struct vst_keep pace;
	uint64_t *offset; /* of the pass under way, [n]; NULL: none is */
	uint64_t pinned;  /* bytes that users want kept, when they were last looked at */
	uint64_t prime;	  /* reads that may still be made to bring them in */
	unsigned int due; /* classes that it reads because they are due */
	size_t n, next;
	double retry_at;
	bool told; /* that it does not work, until it does */
	bool seen; /* in this snapshot */
	unsigned long long reads, bytes, errors, passes;
	bool reading; /* the actor reads a batch of it; the last one of a pass has no .offset any more */
};

struct vst_acting {
	struct vst_acting_opts opts;
	int epoll_fd, inotify_fd, timer_fd, request_fd;
	int actor_fd; /* in epoll_fd; -1: none */

	struct vst_policy_box *policy; /* in force; NULL: none */
	char *file;		       /* its name for people */
	double loaded;
	char *content; /* of the policy's file, as it was read last: told a change from a mere event */
	size_t content_len;
	char *error; /* of the newest policy, if it is bad; NULL */
	double error_time;
	bool reverted;
	double reload_at; /* 0: no */
	double notice_at; /* new containers are looked at; 0: no */
	double noticed;	  /* when they were last */
	bool notice_again;

	struct vst_engine *engine;
	struct vst_plan plan;
	struct vst_host_facts facts;
	const struct vst_snapshot *snapshot; /* of the last tick */
	const struct vst_snapshot *seen;     /* newer: new containers were looked for in it; NULL */
	struct vst_actor *actor;	     /* NULL: only planning */
	struct vst_keeper keeper[VST_CACHES];
	size_t n_keepers;
	bool reading; /* a batch is with the actor */
	bool listing;
	bool stopping; /* the agent ends */
	double listed;

	struct event event[EVENTS_MAX]; /* a ring */
	unsigned long long n_events;	/* ever */

	unsigned long long published_changes;
	bool changed; /* beside the plan: publish a new status */

	pthread_mutex_t lock; /* of what follows */
	struct vst_acting_question *questions;
	struct vst_acting_status *status;
};

double vst_acting_now(void);  /* CLOCK_MONOTONIC, seconds */
double vst_acting_unix(void); /* Unix time, seconds */

/* acting_policy.c */
int vst_acting_watch(struct vst_acting *a); /* the policy's directory; 0 or -errno */
void vst_acting_watch_read(struct vst_acting *a);
/* Reads the policy's file again; force: even if it is the same as last time. */
void vst_acting_load(struct vst_acting *a, bool force);
/* A policy's text: 0 and it is in force, or -EINVAL, -ENOMEM and *ret_why, which the caller frees. */
int vst_acting_use_text(struct vst_acting *a, const char *text, size_t len, const char *name, char **ret_why);
int vst_acting_parse(const char *text, size_t len, const char *name, struct vst_policy **ret, char **ret_why);
/* Takes the policy over; NULL: none, which cannot fail. 0, or -ENOMEM: the one before stays in force. */
int vst_acting_use(struct vst_acting *a, struct vst_policy *policy, const char *name);

/* acting_log.c */
/* before: what we had written until then; "": nothing. k: the knob in the plan; NULL: it is not there any more. */
void vst_acting_log_knob(struct vst_acting *a, const struct vst_outcome *o, const char *before,
			 const struct vst_plan_knob *k);
void vst_acting_log_text(struct vst_acting *a, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int vst_acting_log_fill(const struct vst_acting *a, struct vst_acting_status *s);
void vst_acting_log_clear(struct vst_acting *a);

/* acting_request.c */
void vst_acting_answer(struct vst_acting *a); /* all that wait */
void vst_acting_refuse_all(struct vst_acting *a);

/* keeper.c */
void vst_acting_keep(struct vst_acting *a); /* once a tick */
void vst_acting_read_done(struct vst_acting *a, const struct vst_reads_done *done);
void vst_acting_keeper_lost(struct vst_acting *a); /* the actor ended, or the agent does */
void vst_acting_keeper_fill(const struct vst_acting *a, struct vst_acting_status *s);

/* acting.c */
void vst_acting_pass(struct vst_acting *a); /* runs the engine on the last snapshot, sends steps */
void vst_acting_publish(struct vst_acting *a);

#endif /* VST_ACTING_PRIV_H */
