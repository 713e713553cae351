// SPDX-License-Identifier: GPL-2.0-only
/* Requests of other threads: handed to the loop through a list, answered there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "agent/acting/acting_priv.h"
#include "lib/cleanup.h"

void vst_acting_reply_clear(struct vst_acting_reply *reply)
{
	free(reply->text);
	vst_acting_status_unref(reply->status);
	*reply = (struct vst_acting_reply){ 0 };
}

static void request_free(struct vst_acting_question *r)
{
	vst_acting_reply_clear(&r->reply);
	free(r->name);
	free(r->text);
	free(r);
}

/* --- on the loop --- */

static void say(struct vst_acting_question *r, int result, const char *text)
{
	r->reply.result = result;
	r->reply.text = strdup(text);
}

static void apply(struct vst_acting *a, struct vst_acting_question *r)
{
	_cleanup_free_ char *why = NULL;
	char text[512];
	int err = vst_acting_use_text(a, r->text, r->len, r->name, &why);

	if (err) {
		say(r, err, why ? why : strerror(-err));
		return;
	}
	vst_plan_forget_conflicts(&a->plan);
	if (a->actor)
		vst_actor_forget_conflicts(a->actor);
	vst_acting_pass(a);
	snprintf(text, sizeof(text), "%.200s is in force, %zu rules%s", r->name,
		 a->policy ? a->policy->policy->n_rules : 0,
		 a->opts.act ? "" : ", but only planned: start vstord with --act to act on them");
	say(r, 0, text);
}

/* What a plan comes to; its rows follow. */
static void plan_text(const struct vst_acting_status *s, const struct vst_policy *policy, char *ret, size_t size)
{
	size_t refused = 0, measured = 0, len;

	for (size_t i = 0; i < s->n_rows; i++)
		refused += s->row[i].state == VST_KNOB_REFUSED;
	for (size_t i = 0; i < policy->n_rules; i++)
		measured += policy->rule[i].n_when > 0 || policy->rule[i].wants & 1U << VST_ATTR_PROTECT;
	if (s->n_rows > refused)
		snprintf(ret, size, "%zu value%s would be written now", s->n_rows - refused,
			 s->n_rows - refused > 1 ? "s" : "");
	else
		snprintf(ret, size, "nothing would be written now");
	len = strlen(ret);
	if (refused)
		snprintf(ret + len, size - len, "; %zu cannot be, for the reasons that are told", refused);
	else if (!s->n_rows)
		snprintf(ret + len, size - len,
			 ": no rule asks for a weight, a limit or a priority of a container that runs; "
			 "'vstorctl ps --all' lists those, and 'vstorctl policy check' what the rules match");
	len = strlen(ret);
	if (measured)
		snprintf(ret + len, size - len, "; %zu rule%s with 'when' or 'protect' act%s on what is measured later",
			 measured, measured > 1 ? "s" : "", measured > 1 ? "" : "s");
}

/* What a policy would do, with an engine and a plan of its own: of rules with conditions only that they are there. */
static void plan(struct vst_acting *a, struct vst_acting_question *r)
{
	_cleanup_free_ char *why = NULL;
	struct vst_policy *policy = NULL;
	struct vst_engine *engine = NULL;
	struct vst_plan plan;
	char old[VST_VALUE_MAX], text[512];
	int err = vst_acting_parse(r->text, r->len, r->name, &policy, &why);

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
		err = vst_engine_set_policy(engine, policy)
			      ?: vst_engine_run(engine, NULL, a->snapshot, &a->facts.host, &plan);
		for (struct vst_plan_knob *k = plan.first; k; k = k->next)
			if (!vst_host_facts_read(&a->facts, k, old))
				vst_plan_set_old(&plan, k, old);
		err = err ?: vst_acting_status_fill(r->reply.status, &plan, engine, a->snapshot);
		plan_text(r->reply.status, policy, text, sizeof(text));
		say(r, err, err ? strerror(-err) : text);
	}
	vst_engine_free(engine);
	vst_plan_clear(&plan);
	vst_policy_free(policy);
}

static void revert(struct vst_acting *a, struct vst_acting_question *r)
{
	unsigned int n = 0;
	char text[256];

	for (const struct vst_plan_knob *k = a->plan.first; k; k = k->next)
		n += k->state == VST_KNOB_APPLIED;
	vst_acting_use(a, NULL, "");
	vst_acting_log_text(a, "policy", "reverted on request");
	vst_acting_pass(a);
	snprintf(text, sizeof(text),
		 "%u knobs are being reverted; nothing is wanted until the policy changes or one is applied", n);
	say(r, 0, text);
}

/* No policy is about this, but it is a request that only the loop can fulfil, like the others. */
static void insight(struct vst_acting *a, struct vst_acting_question *r)
{
	char text[512] = "this agent cannot watch what containers write";
	int err = -EOPNOTSUPP;

	if (a->opts.insight)
		err = a->opts.insight(a->opts.ctx, r->name, r->text, text, sizeof(text));
	say(r, err, text);
}

static void pin(struct vst_acting *a, struct vst_acting_question *r, bool undo)
{
	char text[512] = "this agent watches no caches";
	int err = a->opts.pin ? a->opts.pin(a->opts.ctx, undo, r->text, text, sizeof(text)) : -EINVAL;

	if (!err) {
		size_t len = strlen(text);

		if (!undo && !a->opts.act)
			snprintf(text + len, sizeof(text) - len,
				 ", but only planned: start vstord with --act, so that it reads what is to be kept");
		vst_acting_log_text(a, "cache", "%s", text);
	}
	say(r, err, text);
}

static void answer(struct vst_acting *a, struct vst_acting_question *r)
{
	switch (r->what) {
	case VST_ACTING_APPLY:
		apply(a, r);
		break;
	case VST_ACTING_PLAN:
		plan(a, r);
		break;
	case VST_ACTING_INSIGHT:
		insight(a, r);
		break;
	case VST_ACTING_PIN:
	case VST_ACTING_UNPIN:
		pin(a, r, r->what == VST_ACTING_UNPIN);
		break;
	default:
		revert(a, r);
		break;
	}
}

static struct vst_acting_question *take(struct vst_acting *a)
{
	struct vst_acting_question *r;

	pthread_mutex_lock(&a->lock);
	r = a->questions;
	if (r)
		a->questions = r->next;
	pthread_mutex_unlock(&a->lock);
	return r;
}

static void finish(struct vst_acting *a, struct vst_acting_question *r)
{
	bool forgotten;

	pthread_mutex_lock(&a->lock);
	r->done = true;
	forgotten = r->forgotten;
	if (!forgotten)
		eventfd_write(r->wake_fd, 1);
	pthread_mutex_unlock(&a->lock);
	if (forgotten)
		request_free(r);
}

void vst_acting_answer(struct vst_acting *a)
{
	struct vst_acting_question *r;
	eventfd_t n;

	if (eventfd_read(a->request_fd, &n))
		return; /* nobody asked */
	while ((r = take(a))) {
		answer(a, r);
		vst_acting_publish(a); /* who asks for the status next sees what the answer says */
		finish(a, r);
	}
}

void vst_acting_refuse_all(struct vst_acting *a)
{
	struct vst_acting_question *r;

	while ((r = take(a))) {
		say(r, -ECANCELED, "the agent is stopping");
		finish(a, r);
	}
}

/* --- on another thread --- */

struct vst_acting_question *vst_acting_ask(struct vst_acting *a, enum vst_acting_request what, const char *name,
					   const char *text, size_t len, int wake_fd)
{
	struct vst_acting_question *r = calloc(1, sizeof(*r)), **at;

	if (!r)
		return NULL;
	r->name = strdup(name);
	r->text = malloc(len + 1);
	if (!r->name || !r->text) {
		request_free(r);
		return NULL;
	}
	if (len)
		memcpy(r->text, text, len);
	r->text[len] = 0;
	r->len = len;
	r->what = what;
	r->wake_fd = wake_fd;
	pthread_mutex_lock(&a->lock);
	for (at = &a->questions; *at; at = &(*at)->next)
		;
	*at = r;
	pthread_mutex_unlock(&a->lock);
	eventfd_write(a->request_fd, 1);
	return r;
}

bool vst_acting_answered(struct vst_acting *a, struct vst_acting_question *r, struct vst_acting_reply *ret)
{
	bool done;

	pthread_mutex_lock(&a->lock);
	done = r->done;
	pthread_mutex_unlock(&a->lock);
	if (!done)
		return false;
	*ret = r->reply;
	r->reply = (struct vst_acting_reply){ 0 };
	request_free(r);
	return true;
}

void vst_acting_forget(struct vst_acting *a, struct vst_acting_question *r)
{
	bool done;

	if (!r)
		return;
	pthread_mutex_lock(&a->lock);
	done = r->done;
	r->forgotten = true;
	pthread_mutex_unlock(&a->lock);
	if (done)
		request_free(r);
}
