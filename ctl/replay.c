/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <time.h>
#include "agent/sinks/render.h"
#include "client.h"
#include "moment.h"
#include "replay.h"
#include "wire.h"

#define MISSED_TICKS 3 /* as long as this nothing may be recorded before it counts as a gap */

struct vst_replayer {
	struct vst_recording *recording;
	double latest; /* what "-10m" and "02:47" are counted from */
	double at, now;
	char error[600];
};

static int __attribute__((format(printf, 3, 4))) fail(struct vst_replayer *r, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->error, sizeof(r->error), fmt, ap);
	va_end(ap);
	return rc;
}

/* err is the recording's. */
static int fail_recording(struct vst_replayer *r, int err)
{
	return fail(r, err == -EACCES ? VST_EXIT_DENIED : VST_EXIT_FAILED, "%s", vst_recording_error(r->recording));
}

const char *vst_replay_error(const struct vst_replayer *r)
{
	return r->error;
}

/* --- opening --- */

static int take_dir(void *arg, json_t *line)
{
	const char *dir = vst_wire_text(json_object_get(line, "recording"), "dir");
	char **ret = arg;

	if (*dir && !*ret)
		*ret = vst_dup(dir);
	return 0;
}

/* Where the agent records; NULL: *ret_rc is an exit code, and the reason was told. */
static char *ask_dir(const struct vst_ctl *ctl, int *ret_rc)
{
	char *dir = NULL;

	*ret_rc = vst_get(ctl, "/v1/status", take_dir, &dir);
	if (*ret_rc) {
		vst_error("--at needs a recording: name its directory with --replay DIR");
	} else if (!dir) {
		vst_error("the agent does not record: start it with --record DIR, or name another recording with "
			  "--replay DIR");
		*ret_rc = VST_EXIT_FAILED;
	}
	return dir;
}

static void tell(void *unused, const char *sentence)
{
	vst_error("%s", sentence);
}

int vst_replay_jump(struct vst_replayer *r, const char *text, const char **ret_error)
{
	struct vst_record_at at;
	double until, before;
	char first[32];
	int err;

	*ret_error = r->error;
	if (vst_moment_parse(text, r->latest, &until))
		return fail(r, VST_EXIT_USAGE,
			    "'%s' is not a moment: give 02:47, 02:47:11, \"2026-11-30 02:47\", -10m, or @UNIXTIME",
			    text);
	err = vst_recording_until(r->recording, until, &at);
	if (err)
		return fail_recording(r, err);
	if (at.time > until + VST_RECORD_PRINTED_S)
		return fail(r, VST_EXIT_FAILED, "the recording begins at %s: '%s' is before that",
			    vst_record_clock(at.time, first), text);
	before = r->now;
	r->now = until;
	if (until < r->latest && !vst_replay_snapshot(r)) { /* in a gap: the last one before it is not meant */
		r->now = before;
		return VST_EXIT_FAILED;
	}
	r->at = r->now = at.time;
	return 0;
}

int vst_replay_open(const struct vst_ctl *ctl, const char *dir, const char *at, struct vst_replayer **ret)
{
	struct vst_replayer *r = vst_alloc(sizeof(*r));
	struct vst_record_at last;
	const char *error;
	char *own = NULL;
	int err, rc = 0;

	if (!dir)
		dir = own = ask_dir(ctl, &rc);
	if (!rc) {
		err = vst_recording_open(dir, tell, NULL, &r->recording);
		err = err ?: vst_recording_last(r->recording, &last);
		rc = err ? fail_recording(r, err) : 0;
		if (rc)
			vst_error("%s", r->error);
	}
	if (!rc) {
		r->latest = own ? fmax((double)time(NULL), last.time) : last.time;
		r->at = r->now = last.time;
		rc = at ? vst_replay_jump(r, at, &error) : 0;
		if (rc)
			vst_error("%s", error);
	}
	free(own);
	if (rc)
		vst_replay_close(r);
	else
		*ret = r;
	return rc;
}

void vst_replay_close(struct vst_replayer *r)
{
	if (!r)
		return;
	vst_recording_close(r->recording);
	free(r);
}

/* --- the clock --- */

double vst_replay_at(const struct vst_replayer *r)
{
	return r->at;
}

double vst_replay_now(const struct vst_replayer *r)
{
	return r->now;
}

void vst_replay_move(struct vst_replayer *r, double now)
{
	r->now = now;
}

bool vst_replay_step(struct vst_replayer *r, double seconds)
{
	struct vst_record_at from, to;

	if (vst_recording_nearest(r->recording, r->at, &from) ||
	    vst_recording_nearest(r->recording, r->at + seconds, &to))
		return false;
	if ((to.time - from.time) * seconds <= 0) { /* a gap, or a step that is shorter than a tick */
		to = from;
		if (vst_recording_step(r->recording, seconds > 0 ? 1 : -1, &to))
			return false;
	}
	r->at = r->now = to.time;
	return true;
}

int vst_replay_begin(struct vst_replayer *r, double interval)
{
	struct vst_record_at from, at;
	char clock[32];

	if (vst_recording_nearest(r->recording, r->at, &at) ||
	    vst_recording_nearest(r->recording, r->at - interval, &from)) {
		vst_error("%s", vst_recording_error(r->recording));
		return VST_EXIT_FAILED;
	}
	if (from.time >= r->at) {
		from = at;
		if (vst_recording_step(r->recording, -1, &from))
			vst_error("the recording begins at %s: there is no interval of %g s before that",
				  vst_record_clock(at.time, clock), interval);
		else
			vst_error("the snapshot before is of %s: give an interval of %.2f s or more with -d",
				  vst_record_clock(from.time, clock), at.time - from.time);
		return VST_EXIT_FAILED;
	}
	r->now = r->at - interval;
	return 0;
}

/* --- answers --- */

const struct vst_snapshot *vst_replay_snapshot(struct vst_replayer *r)
{
	const struct vst_snapshot *s;
	struct vst_record_at at;
	const char *policy;
	char wanted[32], found[32];
	int err;

	err = vst_recording_nearest(r->recording, r->now, &at);
	err = err ?: vst_recording_read(r->recording, &at, &s, &policy);
	if (err) {
		fail_recording(r, err);
		return NULL;
	}
	if (fabs(at.time - r->now) <= MISSED_TICKS * fmax(s->interval, 1))
		return s;
	vst_record_clock(at.time, found);
	vst_record_clock(r->now, wanted);
	if (at.time < r->now && vst_recording_step(r->recording, 1, &at))
		fail(r, VST_EXIT_FAILED, "the recording ends at %s", found);
	else
		fail(r, VST_EXIT_FAILED, "nothing was recorded at %s: the nearest snapshot is of %s", wanted, found);
	return NULL;
}

static void answer_status(struct vst_out *o, const struct vst_snapshot *s)
{
	vst_render_begin(o, "status");
	vst_out_kstr(o, "kernel", s->kernel);
	vst_render_moment(o, s);
	vst_out_kdouble(o, "interval", s->interval, 3);
	vst_render_probes(o, s);
	vst_render_self(o, &s->self);
	vst_render_end(o);
}

/* What the keepers of caches did is known to the agent that runs, and not recorded. */
static void render_cache(struct vst_out *o, const struct vst_snapshot *s, __u64 since)
{
	vst_render_cache(o, s, NULL, NULL);
}

/* Paths whose replies are in a recording, and who makes them. */
static const struct {
	const char *path;
	vst_render *render;
} routes[] = {
	{ "/v1/io", vst_render_io },
	{ "/v1/check", vst_render_check },
	{ "/v1/ps", vst_render_ps },
	{ "/v1/locks", vst_render_locks },
	{ "/v1/blame", vst_render_blame },
	{ "/v1/waits", vst_render_waits },
	{ "/v1/slow", vst_render_slow },
	{ "/v1/patterns", vst_render_patterns },
	{ "/v1/cache", render_cache },
	{ "/v1/insight", vst_render_insight },
	{ "/v1/lifetimes", vst_render_lifetimes },
	{ "/v1/cache/curves", vst_render_curves },
};

static int answer_policy(struct vst_replayer *r, const struct vst_snapshot *s, struct vst_out *o)
{
	struct vst_record_at at;
	const char *policy;
	int err;

	err = vst_recording_nearest(r->recording, r->now, &at);
	err = err ?: vst_recording_read(r->recording, &at, &s, &policy);
	if (err)
		return fail_recording(r, err);
	vst_render_begin(o, "snapshot");
	vst_render_moment(o, s);
	vst_render_end(o);
	vst_out_raw(o, policy);
	return 0;
}

int vst_replay_answer(struct vst_replayer *r, const char *path, struct vst_out *o)
{
	const char *query = strchrnul(path, '?'), *since = strstr(query, "since=");
	const struct vst_snapshot *s = vst_replay_snapshot(r);
	size_t len = (size_t)(query - path);

	if (!s)
		return VST_EXIT_FAILED;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (strlen(routes[i].path) != len || memcmp(routes[i].path, path, len) != 0)
			continue;
		routes[i].render(o, s, since ? strtoull(since + strlen("since="), NULL, 10) : 0);
		return 0;
	}
	if (len == strlen("/v1/status") && !memcmp(path, "/v1/status", len)) {
		answer_status(o, s);
		return 0;
	}
	if (len == strlen("/v1/policy") && !memcmp(path, "/v1/policy", len))
		return answer_policy(r, s, o);
	return fail(r, VST_EXIT_UNSUPPORTED,
		    "this is not in a recording: ask the agent that runs, without --at and --replay");
}

const struct vst_record_about *vst_replay_about(const struct vst_replayer *r)
{
	return vst_recording_about(r->recording);
}

struct vst_recording *vst_replay_recording(struct vst_replayer *r)
{
	return r->recording;
}
