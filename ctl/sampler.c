/* SPDX-License-Identifier: GPL-2.0-only */
#include "sampler.h"

/* An agent that is gone is waited for this long: an upgrade restarts it in less. */
#define GONE_S 10.0
#define GONE_RETRY_S 0.2

void vst_sampler_open(struct vst_sampler *s, const char *socket, double delay)
{
	s->client = vst_client_new(socket);
	s->rows = vst_rows_new();
	s->delay = delay;
	s->next = vst_now();
}

void vst_sampler_close(struct vst_sampler *s)
{
	vst_client_free(s->client);
	vst_rows_free(s->rows);
}

static int ask(struct vst_sampler *s, enum vst_commit *ret)
{
	const char *path = vst_rows_begin(s->rows);
	int rc = vst_client_get(s->client, path, vst_rows_line, s->rows);

	if (rc)
		return rc;
	if (!vst_rows_commit(s->rows, ret))
		return 0;
	vst_error("the reply to %s has no snapshot: are agent and vstorctl of one release?", path);
	return VST_EXIT_FAILED;
}

/* What ask() did not say itself. */
static int say(struct vst_sampler *s, int rc)
{
	if (rc && rc != VST_EXIT_INTERRUPTED && *vst_client_error(s->client))
		vst_error("%s", vst_client_error(s->client));
	return rc;
}

static int wait_until(struct vst_sampler *s, double when)
{
	while (vst_client_wait(s->client, -1, when) != VST_WAIT_TIME)
		if (vst_stopped())
			return VST_EXIT_INTERRUPTED;
	return 0;
}

/* The agent was there and is gone: ask until it is back. */
static int ask_again(struct vst_sampler *s, enum vst_commit *ret)
{
	double until = vst_now() + GONE_S;
	int rc;

	vst_error("%s", vst_client_error(s->client));
	vst_error("waiting up to %.0f s for it to come back", GONE_S);
	do {
		rc = wait_until(s, vst_now() + GONE_RETRY_S);
		if (!rc)
			rc = ask(s, ret);
	} while (rc == VST_EXIT_UNREACHABLE && vst_now() < until);
	return rc;
}

int vst_sampler_first(struct vst_sampler *s)
{
	enum vst_commit what;
	int rc = say(s, ask(s, &what));

	s->next = vst_now() + s->delay;
	return rc;
}

int vst_sampler_next(struct vst_sampler *s)
{
	enum vst_commit what = VST_COMMIT_FIRST;
	int rc;

	while (what != VST_COMMIT_SAMPLE) {
		rc = wait_until(s, s->next);
		if (rc)
			return rc;
		s->next = vst_pace(s->next, s->delay, vst_now());
		rc = ask(s, &what);
		if (rc == VST_EXIT_UNREACHABLE)
			rc = ask_again(s, &what);
		if (!rc && what == VST_COMMIT_RESTARTED) {
			vst_error("the agent was started anew, its counters too: this interval is lost, going on from "
				  "here");
			rc = ask(s, &what);
		}
		if (rc)
			return say(s, rc);
	}
	return 0;
}
