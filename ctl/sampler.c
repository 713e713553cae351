/* SPDX-License-Identifier: GPL-2.0-only */
#include <time.h>
#include "replay.h"
#include "sampler.h"

/* How long to wait for an agent that is gone: an upgrade restarts it in less. */
#define GONE_S 10.0
#define GONE_RETRY_S 0.2

/* An agent answers a moment before it watches locks. One that has run for this long and does not watch them cannot. */
#define STARTING_S 5.0
#define STARTING_RETRY_S 0.05

/*
 * The agent collects for the first feed of a sample. The others are to be of the same snapshot, so it may be as old as that question is,
 * and by this much older: the two questions may have taken different times to get to the agent.
 */
#define SAME_SAMPLE_S 0.1

static int ask(struct vst_sampler *s, enum vst_feed feed, enum vst_commit_result *ret)
{
	double now = vst_client_now(s->client), max_age = s->max_age;
	/* only once for each sample, because the agent collects again to name locks */
	bool names = !s->live && !s->begun;
	const char *path;
	int rc;

	if (s->begun)
		max_age += now - s->asked + SAME_SAMPLE_S;
	else
		s->asked = now;
	s->begun = true;
	path = vst_feeds_begin(&s->feeds, feed, max_age, names);
	rc = vst_client_get(s->client, path, vst_feeds_line, &s->feeds);
	*ret = VST_COMMIT_SAMPLE;
	if (vst_feeds_refused(&s->feeds, rc))
		return 0;
	if (rc)
		return rc;
	if (!vst_feeds_commit(&s->feeds, ret))
		return 0;
	vst_error("the reply to %s has no snapshot: are agent and vstorctl of one release?", path);
	return VST_EXIT_FAILED;
}

static bool is_asked(const struct vst_sampler *s, int feed)
{
	return s->wanted & ~s->feeds.absent & 1U << feed;
}

/* Prints the error of a request that ask() has not printed. */
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
static int ask_again(struct vst_sampler *s, enum vst_feed feed, enum vst_commit_result *ret)
{
	double until = vst_client_now(s->client) + GONE_S;
	int rc;

	vst_error("%s", vst_client_error(s->client));
	vst_error("waiting up to %.0f s for it to come back", GONE_S);
	do {
		rc = wait_until(s, vst_client_now(s->client) + GONE_RETRY_S);
		if (!rc)
			rc = ask(s, feed, ret);
	} while (rc == VST_EXIT_UNREACHABLE && vst_client_now(s->client) < until);
	return rc;
}

/* The i-th feed of a sample: I/O is the last, because the agent collects anew for the first one that has names of locks. */
static enum vst_feed feed_at(int i)
{
	return (enum vst_feed)((i + 1) % VST_FEED__N);
}

/* Asks for the first state; its differences are the totals since the agent started. */
static int first(struct vst_sampler *s)
{
	enum vst_commit_result what;
	int rc = 0;

	s->begun = false;
	for (int i = 0; !rc && i < VST_FEED__N; i++)
		if (is_asked(s, feed_at(i)))
			rc = say(s, ask(s, feed_at(i), &what));
	s->next = vst_client_now(s->client) + s->delay;
	return rc;
}

/* Asks for one feed's next reply. */
static int advance(struct vst_sampler *s, enum vst_feed feed, bool *told)
{
	enum vst_commit_result what;
	int rc = ask(s, feed, &what);

	if (rc == VST_EXIT_UNREACHABLE)
		rc = ask_again(s, feed, &what);
	if (!rc && what == VST_COMMIT_RESTARTED) {
		if (!*told)
			vst_error("the agent was started anew and its counters begin at 0: this interval is lost, the "
				  "next one begins now");
		*told = true;
		rc = ask(s, feed, &what);
	}
	return say(s, rc);
}

/* Wait, then ask. If the agent restarts meanwhile, say so on stderr and wait for it. */
static int next(struct vst_sampler *s)
{
	bool told;
	int rc;

	do {
		rc = wait_until(s, s->next);
		s->next = vst_pace(s->next, s->delay, vst_client_now(s->client));
		told = false;
		s->begun = false;
		for (int i = 0; !rc && i < VST_FEED__N; i++)
			if (is_asked(s, feed_at(i)))
				rc = advance(s, feed_at(i), &told);
	} while (!rc && s->wanted & ~s->feeds.sampled);
	return rc;
}

/* A command about waits alone has nothing to show if locks are not watched. The totals have what was seen before that. */
static bool is_unsupported(const struct vst_sampler *s, bool total)
{
	bool watched = true, any = s->wanted & VST_FEED(IO);

	for (int feed = VST_FEED_IO + 1; feed < VST_FEED__N; feed++) {
		const struct vst_growth *g = s->feeds.growth[feed];

		if (!is_asked(s, feed))
			continue;
		watched &= json_is_true(json_object_get(g->snapshot, "watched"));
		any |= (total || feed != VST_FEED_LOCKS) && json_object_size(g->now) > 0;
	}
	return !watched && !any;
}

static bool is_starting(const struct vst_sampler *s)
{
	double uptime = STARTING_S;

	for (int feed = VST_FEED_IO + 1; feed < VST_FEED__N; feed++)
		if (is_asked(s, feed))
			uptime = json_number_value(json_object_get(s->feeds.growth[feed]->snapshot, "uptime"));
	return uptime < STARTING_S;
}

/* A command about waits alone says once that those for locks are missing; the agent may stop watching them at any time. */
static void tell_unwatched(struct vst_sampler *s)
{
	bool watched = true;

	if (s->told_unwatched || s->wanted & VST_FEED(IO))
		return;
	for (int feed = VST_FEED_IO + 1; feed < VST_FEED__N; feed++)
		if (is_asked(s, feed))
			watched &= json_is_true(json_object_get(s->feeds.growth[feed]->snapshot, "watched"));
	if (watched)
		return;
	vst_error("locks are not watched now, 'vstorctl status' says why: waits for them are not included");
	s->told_unwatched = true;
}

static int sample(const struct vst_ctl *ctl, struct vst_sampler *s, const struct vst_sampling *what,
		  unsigned long samples)
{
	bool total = ctl->opt[VST_OPT_TOTAL];
	int rc = first(s);

	while (!rc && is_unsupported(s, total) && is_starting(s)) {
		rc = wait_until(s, vst_client_now(s->client) + STARTING_RETRY_S);
		vst_feeds_forget(&s->feeds, s->wanted); /* or else the next reply would be a difference */
		rc = rc ?: first(s);
	}
	if (!rc && is_unsupported(s, total)) {
		vst_error("the agent does not watch locks now: 'vstorctl status' says why");
		return VST_EXIT_UNSUPPORTED;
	}
	if (!rc)
		tell_unwatched(s);
	if (!rc && total)
		rc = what->show(ctl, s, what->arg);
	for (unsigned long i = 0; !rc && !total && (!samples || i < samples) && !vst_output_lost(); i++) {
		rc = next(s);
		if (!rc)
			tell_unwatched(s);
		if (!rc && i && !ctl->json)
			putchar('\n');
		if (!rc)
			rc = what->show(ctl, s, what->arg);
	}
	return rc;
}

int vst_sampling_run(const struct vst_ctl *ctl, const struct vst_sampling *what)
{
	struct vst_sampler s = { .wanted = what->feeds, .delay = what->delay };
	unsigned long samples = what->samples;
	int rc;

	if (vst_opt_seconds(ctl, what->command, 'd', &s.delay) || vst_opt_count(ctl, what->command, 'n', &samples))
		return VST_EXIT_USAGE;
	if (ctl->opt[VST_OPT_TOTAL] && (ctl->opt['d'] || ctl->opt['n']))
		return vst_usage(what->command, "--total is one answer at once: it has no -d or -n");
	s.live = what->live;
	s.max_age = s.live ? s.delay / 2 : 0;
	vst_signals_catch(false);
	rc = what->begin ? what->begin(ctl, s.delay, what->arg) : 0;
	if (!rc && what->typed)
		rc = vst_whom_ask(ctl, what->typed, &s.whom);
	if (rc)
		return rc;
	if (ctl->replay && !ctl->opt[VST_OPT_TOTAL] && vst_replay_begin(ctl->replay, s.delay)) {
		vst_whom_clear(&s.whom);
		return VST_EXIT_FAILED;
	}
	s.client = vst_client_new(ctl);
	vst_feeds_open(&s.feeds);
	rc = sample(ctl, &s, what, samples);
	vst_client_free(s.client);
	vst_feeds_close(&s.feeds);
	vst_whom_clear(&s.whom);
	return rc;
}

bool vst_sampler_shows(const struct vst_sampler *s, const char *name, const char *cgroup)
{
	const struct vst_who named = { s->whom.name, s->whom.cgroup }, who = { name, cgroup };

	return !named.name || !vst_who_compare(&named, &who);
}

void vst_sampling_head(double time, double interval, const char *nothing)
{
	time_t at = (time_t)time;
	char clock[32] = "?";
	struct tm tm;

	if (localtime_r(&at, &tm))
		strftime(clock, sizeof(clock), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s, interval %.2f s%s%s\n", clock, interval, nothing ? ": " : "", nothing ? nothing : "");
}
