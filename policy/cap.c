// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <string.h>

#include "policy/cap.h"

#define SAMPLES_MAX 8.0 /* older ones count less and less */
#define SAMPLES_RAISE 3.0
#define SAMPLES_INNOCENT 5.0

const char *vst_cap_result_text(enum vst_cap_result result)
{
#define X(e, t) t,
	static const char *const texts[] = { VST_CAP_RESULTS(X) };
#undef X
	return (unsigned int)result < VST_CAP_RESULT__N ? texts[result] : "";
}

/* Since when something is so; 0: it is not. */
static void follow(double *since, bool is_so, double now)
{
	if (!is_so)
		*since = 0;
	else if (!*since)
		*since = now;
}

static bool lasts(double since, double now, double seconds)
{
	return since && now - since >= seconds;
}

/* The geometric mean: one second with a single slow request weighs no more than one in which all went well. */
static double mean(const struct vst_cap *c, const struct vst_cap_sample *s)
{
	return c->n > 0 ? exp(c->log_sum / c->n) : s->ratio;
}

static void add_sample(struct vst_cap *c, const struct vst_cap_sample *s)
{
	double keep = c->n < SAMPLES_MAX ? 1 : (SAMPLES_MAX - 1) / c->n;

	c->log_sum = c->log_sum * keep + log(fmax(s->ratio, 0.01));
	c->n = c->n * keep + 1;
	c->blamed += (s->blamed - c->blamed) / c->n;
}

static void step(struct vst_cap *c, const struct vst_cap_sample *s, double value)
{
	c->before = c->on ? c->value : 0;
	c->ratio_before = mean(c, s);
	c->value = fmax(value, VST_CAP_FLOOR);
	c->on = true;
	c->stepped = s->now;
	c->judged = false;
	c->missed_since = c->slack_since = c->log_sum = c->n = c->blamed = 0;
}

static void release(struct vst_cap *c)
{
	if (c->good)
		c->last = c->good;
	c->on = false;
	c->stepped = c->before = 0;
	c->good = c->bad = 0;
	c->idle_since = c->slack_since = c->missed_since = c->stuck_until = c->log_sum = c->n = c->blamed = 0;
	c->n_tried = 0;
	memset(c->tried, 0, sizeof(c->tried));
}

/* Without a cap. */
static enum vst_cap_result start(struct vst_cap *c, const struct vst_cap_sample *s)
{
	/* the worst of lately, which fades: the first second of trouble is seldom what it is like without a cap */
	c->ratio_free = fmax(s->ratio, c->ratio_free * 0.98);
	if (s->ratio <= 1) {
		c->missed_since = 0;
		return VST_CAP_FREE;
	}
	if (s->now < c->paused_until)
		return VST_CAP_PAUSED;
	if (s->used < VST_CAP_FLOOR / 4)
		return VST_CAP_ALONE;
	/* a little is measured twice before anything is done: one slow request is no pattern */
	if (!c->missed_since && s->ratio < 2) {
		c->missed_since = s->now;
		return VST_CAP_WAIT;
	}
	c->free = s->used;
	c->good = c->bad = 0;
	step(c, s, c->last && c->last < s->used ? c->last : s->used * (s->ratio < 4 ? 0.6 : 0.4));
	return VST_CAP_FIRST;
}

/* No cap at all, for a time. */
static void give_up(struct vst_cap *c, const struct vst_cap_sample *s)
{
	release(c);
	c->last = 0;
	c->pause = c->pause ? fmin(c->pause * 2, VST_CAP_PAUSE_MAX_S) : VST_CAP_PAUSE_S;
	c->paused_until = s->now + c->pause;
}

/* The last step did harm: back to what was before it, and if that was no cap at all, none for a time. */
static enum vst_cap_result take_back(struct vst_cap *c, const struct vst_cap_sample *s)
{
	if (c->before) {
		c->bad = c->value;
		c->bad_at = s->now;
		step(c, s, c->before);
		c->judged = true;
		return VST_CAP_HARM;
	}
	give_up(c, s);
	return VST_CAP_HARM;
}

/* A smaller cap would not hold the objective either: the largest of those that came about as close as the best. */
static enum vst_cap_result settle_for(struct vst_cap *c, const struct vst_cap_sample *s)
{
	double best = mean(c, s), value = c->value;

	for (int i = 0; i < VST_CAP_TRIED; i++)
		if (c->tried[i].value)
			best = fmin(best, c->tried[i].ratio);
	if (best > c->ratio_free * 0.7) {
		give_up(c, s);
		return VST_CAP_FUTILE;
	}
	for (int i = 0; i < VST_CAP_TRIED; i++)
		if (c->tried[i].value > value && c->tried[i].ratio <= best * VST_CAP_WORSE)
			value = c->tried[i].value;
	c->stuck_until = s->now + VST_CAP_MEMORY_S;
	c->stuck_ratio = best;
	step(c, s, value);
	return VST_CAP_CLOSE;
}

/*
 * A cap of twice as much or more came about as close: what is left of the latency has another cause (a slow disk, a busy
 * processor, an objective that is out of reach), and a smaller cap would only cost the others what they do.
 */
static bool is_in_vain(const struct vst_cap *c, const struct vst_cap_sample *s)
{
	if (c->n < 2)
		return false;
	for (int i = 0; i < VST_CAP_TRIED; i++)
		if (c->tried[i].value >= c->value * 2 && mean(c, s) > c->tried[i].ratio * VST_CAP_HELPED)
			return true;
	return false;
}

/*
 * The first step of all, to a value that held the last time. What is missed now is the backlog of the time without a cap:
 * measured in a guest, writers with a cap of 10.3 MB/s still did 13.6 after 3 s, and a cut to 40 % of what had held took half a
 * minute to make good.
 */
static bool is_remembered(const struct vst_cap *c)
{
	return !c->before && c->last && c->value >= c->last;
}

static enum vst_cap_result lower(struct vst_cap *c, const struct vst_cap_sample *s)
{
	double ratio = mean(c, s), factor = ratio > 4 ? 0.4 : ratio > 2 ? 0.6 : ratio > 1.3 ? 0.8 : 0.9;

	if (is_remembered(c))
		factor = fmax(factor, 0.8);
	if (!c->bad || c->value < c->bad) {
		c->bad = c->value;
		c->bad_at = s->now;
	}
	if (c->good && c->good < c->value * 0.97) {
		step(c, s, c->good);
		c->good *= 0.9; /* if it does not hold either, what follows is below it */
		return VST_CAP_BACK;
	}
	c->good = 0;
	if (c->value <= VST_CAP_FLOOR || is_in_vain(c, s))
		return settle_for(c, s);
	step(c, s, c->value * factor);
	return VST_CAP_LOWER;
}

/*
 * A step takes 4 to 5 s until it is judged. With 30 % below half of the objective, 12 % below 0.7 and else 5 %, a cap that
 * had fallen to 8 of 50 MB/s took half a minute to get to 17; measured in a guest: 11.7 MB/s after 25 s, with p99 at two thirds
 * of the objective.
 */
static double growth(double ratio)
{
	return ratio < 0.5 ? 1.5 : ratio < 0.7 ? 1.3 : 1.1;
}

static enum vst_cap_result raise(struct vst_cap *c, const struct vst_cap_sample *s)
{
	double next, ratio = mean(c, s);

	c->good = fmax(c->good, c->value);
	c->stuck_until = 0;
	if (c->bad && s->now - c->bad_at > VST_CAP_MEMORY_S) {
		c->bad *= 1.1;
		c->bad_at = s->now;
	}
	next = c->value * growth(ratio);
	if (c->bad)
		next = fmin(next, c->value + (c->bad - c->value) / 2);
	if (next < c->value * 1.03)
		return VST_CAP_KEEP;
	step(c, s, next);
	return VST_CAP_RAISE;
}

/*
 * What took longer than the time since the step was submitted before it. The first cap is judged later than the others: what
 * the writers had submitted before it is still in the disk's queue.
 */
static bool is_stale(const struct vst_cap *c, const struct vst_cap_sample *s)
{
	double since = s->now - c->stepped;

	if (!c->before && s->ratio > 1 && since < VST_CAP_SETTLE_FIRST_S)
		return true;
	return since < VST_CAP_SETTLE_S || (s->latency > since && since < VST_CAP_STALE_S);
}

/* It looks as if a step that was to help made the latency worse; two samples are evidence. */
static bool may_have_harmed(const struct vst_cap *c, const struct vst_cap_sample *s)
{
	bool lowered = !c->before || c->value < c->before;
	double factor = s->watched ? VST_CAP_WORSE_WATCHED : VST_CAP_WORSE;
	double than = c->before ? c->ratio_before : fmax(c->ratio_before, c->ratio_free);

	return lowered && !c->judged && mean(c, s) > 1 && mean(c, s) > than * factor;
}

static void remember(struct vst_cap *c, const struct vst_cap_sample *s)
{
	unsigned int i = c->n_tried++ % VST_CAP_TRIED;

	c->tried[i].value = c->value;
	c->tried[i].ratio = mean(c, s);
}

/* The nearer to the objective, the more samples it takes to know on which side of it the latency is. */
static bool is_missed(const struct vst_cap *c, const struct vst_cap_sample *s)
{
	double over = c->n < 2 ? 2.5 : c->n < 3 ? 1.4 : c->n < 4 ? 1.15 : 1;

	return mean(c, s) > over;
}

/*
 * Measured in a guest whose processor was busy: p99 was two to four times the objective in single seconds, while the capped ones
 * were blamed for 1 to 2 ms of each second, and for 27 to 190 ms when the cap was really too large.
 */
static bool is_innocent(const struct vst_cap *c, const struct vst_cap_sample *s)
{
	return c->blamed < VST_CAP_LITTLE_BLAME && mean(c, s) < VST_CAP_LITTLE_RATIO;
}

/* With a cap whose effect can be seen. */
static enum vst_cap_result judge(struct vst_cap *c, const struct vst_cap_sample *s)
{
	bool missed = is_missed(c, s);

	if (!missed && c->n < SAMPLES_RAISE)
		return mean(c, s) > 1 ? VST_CAP_WAIT : VST_CAP_KEEP;
	remember(c, s);
	c->judged = true;
	if (missed && s->now < c->stuck_until && mean(c, s) < c->stuck_ratio * 1.5)
		return VST_CAP_CLOSE;
	if (missed && is_innocent(c, s))
		return c->n >= SAMPLES_INNOCENT && raise(c, s) == VST_CAP_RAISE ? VST_CAP_RAISE : VST_CAP_INNOCENT;
	if (missed)
		return lower(c, s);
	if (!c->slack_since && mean(c, s) < VST_CAP_HELD)
		return raise(c, s);
	return VST_CAP_KEEP;
}

enum vst_cap_result vst_cap_next(struct vst_cap *c, const struct vst_cap_sample *s)
{
	if (s->now < c->now || s->now - c->now > 30) { /* the clock jumped, or nobody looked for long */
		c->idle_since = c->slack_since = c->missed_since = c->log_sum = c->n = c->blamed = 0;
		c->stepped = c->on ? s->now : 0;
		if (c->paused_until > s->now + c->pause)
			c->paused_until = s->now + c->pause;
	}
	c->now = s->now;
	follow(&c->idle_since, s->ratio < 0, s->now);
	if (!c->on)
		return start(c, s);
	if (lasts(c->idle_since, s->now, VST_CAP_IDLE_S)) {
		release(c);
		return VST_CAP_IDLE;
	}
	if (s->ratio < 0)
		return VST_CAP_WAIT;
	follow(&c->slack_since, s->ratio <= 1 && s->used < c->value * 0.7, s->now);
	if (lasts(c->slack_since, s->now, VST_CAP_SLACK_S)) {
		release(c);
		return VST_CAP_SLACK;
	}
	if (is_stale(c, s))
		return VST_CAP_WAIT;
	add_sample(c, s);
	if (may_have_harmed(c, s))
		return c->n >= 2 ? take_back(c, s) : VST_CAP_WAIT;
	return judge(c, s);
}
