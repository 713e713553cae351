// SPDX-License-Identifier: GPL-2.0-only
/* Requests of other threads: handed to the loop through a list, answered there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "agent/acting/acting_priv.h"
#include "lib/cleanup.h"

#define PATIENCE_S 5 /* vstorctl waits for as long */

void vst_acting_reply_clear(struct vst_acting_reply *reply)
{
	free(reply->text);
	vst_acting_status_unref(reply->status);
	*reply = (struct vst_acting_reply){ 0 };
}

static void request_free(struct request *r)
{
	vst_acting_reply_clear(&r->reply);
	free(r->text);
	free(r);
}

/* --- on the loop --- */

static void say(struct request *r, int result, const char *text)
{
	r->reply.result = result;
	r->reply.text = strdup(text);
}

static void apply(struct vst_acting *a, struct request *r)
{
	_cleanup_free_ char *why = NULL;
	char text[256];
	int err = vst_acting_use_text(a, r->text, r->len, "policy sent by vstorctl", &why);

	if (err) {
		say(r, err, why ? why : strerror(-err));
		return;
	}
	vst_plan_forget_conflicts(&a->plan);
	if (a->actor)
		vst_actor_forget_conflicts(a->actor);
	vst_acting_pass(a);
	snprintf(text, sizeof(text), "%zu rules are in force%s", a->policy ? a->policy->policy->n_rules : 0,
		 a->opts.act ? "" : ", but only planned: start vstord with --act to act on them");
	say(r, 0, text);
}

/* What a policy would do, with an engine and a plan of its own: of rules with conditions only that they are there. */
static void plan(struct vst_acting *a, struct request *r)
{
	_cleanup_free_ char *why = NULL;
	struct vst_policy *policy = NULL;
	struct vst_engine *engine = NULL;
	struct vst_plan plan;
	char old[VST_VALUE_MAX];
	int err = vst_acting_parse(r->text, r->len, "policy", &policy, &why);

	if (err) {
		say(r, err, why ? why : strerror(-err));
		return;
	}
	vst_plan_init(&plan);
	engine = vst_engine_new();
	r->reply.status = vst_acting_status_new();
	if (!engine || !r->reply.status || !a->snapshot) {
		say(r, a->snapshot ? -ENOMEM : -EAGAIN, a->snapshot ? "out of memory" : "the agent has just started");
	} else {
		vst_engine_set_policy(engine, policy);
		err = vst_engine_run(engine, NULL, a->snapshot, &a->facts.host, &plan);
		for (struct vst_plan_knob *k = plan.first; k; k = k->next)
			if (!vst_host_facts_read(&a->facts, k, old))
				vst_plan_set_old(&plan, k, old);
		err = err ?: vst_acting_status_fill(r->reply.status, &plan, engine, a->snapshot);
		say(r, err, err ? strerror(-err) : "planned");
	}
	vst_engine_free(engine);
	vst_plan_clear(&plan);
	vst_policy_free(policy);
}

static void revert(struct vst_acting *a, struct request *r)
{
	unsigned int n = 0;
	char text[256];

	for (const struct vst_plan_knob *k = a->plan.first; k; k = k->next)
		n += k->state == VST_KNOB_APPLIED;
	vst_acting_use(a, NULL, "");
	vst_acting_log_text(a, "policy", "reverted on request");
	vst_acting_pass(a);
	snprintf(text, sizeof(text),
		 "%u knobs are being reverted; nothing is wanted until the policy changes or is applied", n);
	say(r, 0, text);
}

static void answer(struct vst_acting *a, struct request *r)
{
	switch (r->what) {
	case VST_ACTING_APPLY:
		apply(a, r);
		break;
	case VST_ACTING_PLAN:
		plan(a, r);
		break;
	default:
		revert(a, r);
		break;
	}
}

static struct request *take(struct vst_acting *a)
{
	struct request *r;

	pthread_mutex_lock(&a->lock);
	r = a->requests;
	if (r)
		a->requests = r->next;
	pthread_mutex_unlock(&a->lock);
	return r;
}

static void finish(struct vst_acting *a, struct request *r)
{
	bool abandoned;

	pthread_mutex_lock(&a->lock);
	r->done = true;
	abandoned = r->abandoned;
	pthread_cond_broadcast(&a->answered);
	pthread_mutex_unlock(&a->lock);
	if (abandoned)
		request_free(r);
}

void vst_acting_answer(struct vst_acting *a)
{
	struct request *r;
	eventfd_t n;

	eventfd_read(a->request_fd, &n);
	while ((r = take(a))) {
		answer(a, r);
		vst_acting_publish(a); /* who asks for the status next sees what the answer says */
		finish(a, r);
	}
}

void vst_acting_refuse_all(struct vst_acting *a)
{
	struct request *r;

	while ((r = take(a))) {
		say(r, -ECANCELED, "the agent is stopping");
		finish(a, r);
	}
}

/* --- on another thread --- */

void vst_acting_request(struct vst_acting *a, enum vst_acting_request what, const char *text, size_t len,
			struct vst_acting_reply *ret)
{
	struct request *r = calloc(1, sizeof(*r)), **at;
	struct timespec until;

	*ret = (struct vst_acting_reply){ .result = -ENOMEM };
	if (r)
		r->text = malloc(len + 1);
	if (!r || !r->text) {
		free(r);
		return;
	}
	memcpy(r->text, text, len);
	r->text[len] = 0;
	r->len = len;
	r->what = what;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&a->lock);
	for (at = &a->requests; *at; at = &(*at)->next)
		;
	*at = r;
	eventfd_write(a->request_fd, 1);
	while (!r->done && !pthread_cond_timedwait(&a->answered, &a->lock, &until))
		;
	r->abandoned = !r->done;
	if (r->done) {
		*ret = r->reply;
		r->reply = (struct vst_acting_reply){ 0 };
	} else {
		ret->result = -ETIMEDOUT;
		ret->text = strdup("the agent did not answer within 5 s; its log may tell why");
	}
	pthread_mutex_unlock(&a->lock);
	if (ret->result != -ETIMEDOUT)
		request_free(r);
}
