// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/caps.h"
#include "agent/base/log.h"
#include "agent/sinks/record_ring.h"
#include "agent/sinks/recorder.h"
#include "agent/sinks/render.h"

#define WAITING_MAX 8	   /* snapshots that wait for the disk */
#define RETRY_SECONDS 10.0 /* after an error of the disk */
#define STOP_SECONDS 3	   /* for what waits at the end */
/*
 * Each snapshot that was shown to somebody can be shown again, but clients that ask all the time must not fill the ring:
 * of those between two ticks this many are recorded at once, and so many for each tick.
 */
#define EXTRA_AT_ONCE 60.0
#define EXTRA_A_TICK 3.0

struct vst_recorder {
	const char *dir;
	struct vst_acting *acting;
	/* of the loop */
	double credit, credited;
	/* shared, under the lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	const struct vst_snapshot *waiting[WAITING_MAX];
	unsigned int n_waiting;
	bool stopping;
	struct vst_snap_recording status;
	/* of the thread */
	pthread_t thread;
	struct vst_record_ring *ring;
	struct vst_record_encoder encoder;
	struct vst_record_about about;
	const struct vst_snapshot *before; /* the last one that was written; NULL: the next one has everything */
	char *policy;			   /* as it was told with that one */
	double retry;			   /* not before this moment; 0: all is well */
	__u64 told_skipped;
};

static double monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int vst_recorder_parse_size(const char *text, __u64 *ret)
{
	return vst_record_parse_size(text, ret);
}

/* --- the loop's side --- */

/* Is this one recorded, too? Those of ticks always are: a tick brings more than it takes. */
static bool takes(struct vst_recorder *r, const struct vst_snapshot *s)
{
	double ticks = s->interval > 0 ? fmax(s->time - r->credited, 0) / s->interval : 1;

	r->credit = fmin(r->credit + EXTRA_A_TICK * ticks, EXTRA_AT_ONCE);
	r->credited = s->time;
	if (r->credit < 1)
		return false;
	r->credit -= 1;
	return true;
}

void vst_recorder_offer(struct vst_recorder *r, const struct vst_snapshot *s)
{
	if (!r || !takes(r, s))
		return;
	pthread_mutex_lock(&r->lock);
	if (r->n_waiting == WAITING_MAX)
		r->status.skipped++;
	else
		r->waiting[r->n_waiting++] = vst_snapshot_ref(s);
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

void vst_recorder_status(struct vst_recorder *r, struct vst_snap_recording *ret)
{
	*ret = (struct vst_snap_recording){ 0 };
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	*ret = r->status;
	pthread_mutex_unlock(&r->lock);
}

/* --- the thread --- */

/* What /v1/policy tells, without its first line, which is about the snapshot; the caller frees. NULL: out of memory. */
static char *policy_text(struct vst_recorder *r, const struct vst_snapshot *s)
{
	struct vst_acting_status *status = r->acting ? vst_acting_status(r->acting) : NULL;
	struct vst_out o = { 0 };
	char *text, *first;

	vst_render_policy(&o, s, status, NULL);
	vst_acting_status_unref(status);
	if (o.failed) {
		vst_out_drop(&o);
		return NULL;
	}
	first = o.len ? memchr(o.buf, '\n', o.len) : NULL;
	text = first ? strndup(first + 1, (size_t)(o.buf + o.len - first - 1)) : strdup("");
	vst_out_drop(&o);
	return text;
}

/* Everything is written again with the next snapshot. */
static void forget(struct vst_recorder *r)
{
	vst_snapshot_unref(r->before);
	r->before = NULL;
	free(r->policy);
	r->policy = NULL;
}

static int write_snapshot(struct vst_recorder *r, const struct vst_snapshot *s, double now)
{
	char *policy = policy_text(r, s);
	int err;

	if (!policy)
		return -ENOMEM;
	if (vst_record_ring_is_new(r->ring, now))
		forget(r);
	snprintf(r->about.instance, sizeof(r->about.instance), "%s", s->instance);
	snprintf(r->about.kernel, sizeof(r->about.kernel), "%s", s->kernel);
	err = vst_record_encode(&r->encoder, r->before, s, r->policy && !strcmp(r->policy, policy) ? NULL : policy);
	err = err ?: vst_record_ring_write(r->ring, &r->about, &r->encoder.frame, s->unix_time, s->seq, now);
	if (err) {
		free(policy);
		return err;
	}
	vst_snapshot_unref(r->before);
	r->before = vst_snapshot_ref(s);
	free(r->policy);
	r->policy = policy;
	return 0;
}

static void tell_error(struct vst_recorder *r, int err)
{
	if (err == -ENOSPC || err == -EDQUOT)
		vst_warn("nothing is recorded: there is no room for the recording in %s; it goes on when there is: "
			 "remove something, or give it less with --record-size",
			 r->dir);
	else
		vst_warn("nothing is recorded: writing to %s failed: %s; trying again every %.0f s", r->dir,
			 strerror(-err), RETRY_SECONDS);
}

static void record(struct vst_recorder *r, const struct vst_snapshot *s)
{
	double now = monotonic();
	int err;

	if (now < r->retry)
		return;
	err = write_snapshot(r, s, now);
	if (err) {
		forget(r);
		if (!r->retry)
			tell_error(r, err);
		r->retry = now + RETRY_SECONDS;
	} else {
		if (r->retry > 0)
			vst_info("recording to %s goes on", r->dir);
		r->retry = 0;
	}
	pthread_mutex_lock(&r->lock);
	r->status.error = -err;
	r->status.bytes = vst_record_ring_bytes(r->ring);
	pthread_mutex_unlock(&r->lock);
}

/* The oldest snapshot that waits, a reference; NULL: the end has come. */
static const struct vst_snapshot *next(struct vst_recorder *r, __u64 *ret_skipped)
{
	const struct vst_snapshot *s = NULL;

	pthread_mutex_lock(&r->lock);
	while (!r->n_waiting && !r->stopping)
		pthread_cond_wait(&r->wake, &r->lock);
	if (r->n_waiting) {
		s = r->waiting[0];
		memmove(r->waiting, r->waiting + 1, --r->n_waiting * sizeof(s));
	}
	*ret_skipped = r->status.skipped;
	pthread_mutex_unlock(&r->lock);
	return s;
}

static void *run(void *arg)
{
	struct vst_recorder *r = arg;
	const struct vst_snapshot *s;
	__u64 skipped;

	/* the loop goes first: this thread took over its priority */
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 0);
	pthread_setname_np(pthread_self(), "recorder");
	vst_caps_drop(VST_CAPS_RECORDER, VST_CAPS_ALWAYS, NULL);
	while ((s = next(r, &skipped))) {
		if (skipped > r->told_skipped)
			vst_warn("%llu snapshots were not recorded: the disk of %s was too slow for them",
				 (unsigned long long)(skipped - r->told_skipped), r->dir);
		r->told_skipped = skipped;
		record(r, s);
		vst_snapshot_unref(s);
	}
	return NULL;
}

/* --- start and end --- */

/* Who this host is: a recording may be read on another one. */
static void find_out(struct vst_record_about *about)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	snprintf(about->version, sizeof(about->version), "%s", VSTOR_VERSION);
	if (gethostname(about->host, sizeof(about->host) - 1))
		strcpy(about->host, "?");
	if (!f || !fgets(about->boot, sizeof(about->boot), f))
		strcpy(about->boot, "?");
	about->boot[strcspn(about->boot, "\n")] = '\0';
	if (f)
		fclose(f);
}

static void tell_start(const char *dir, int err)
{
	if (err == -EBUSY)
		vst_err("--record %s: another vstord records there; give each its own directory", dir);
	else
		vst_err("--record %s: %s: it has to be a directory that vstord may write to, or a new name in one", dir,
			strerror(-err));
}

int vst_recorder_new(const struct vst_recorder_opts *opts, struct vst_acting *acting, struct vst_recorder **ret)
{
	struct vst_recorder *r;
	int err;

	*ret = NULL;
	if (!opts->dir)
		return 0;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->dir = opts->dir;
	r->acting = acting;
	r->credit = EXTRA_AT_ONCE;
	r->status = (struct vst_snap_recording){ .dir = r->dir, .size = opts->size };
	find_out(&r->about);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	err = vst_record_ring_new(opts->dir, opts->size, &r->ring);
	err = err ?: -pthread_create(&r->thread, NULL, run, r);
	if (err) {
		tell_start(opts->dir, err);
		vst_record_ring_free(r->ring);
		free(r);
		return err;
	}
	*ret = r;
	return 0;
}

void vst_recorder_free(struct vst_recorder *r)
{
	struct timespec until;

	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_SECONDS;
	if (pthread_timedjoin_np(r->thread, NULL, &until)) {
		vst_warn("the disk below %s is too slow: the last snapshots are not recorded", r->dir);
		/* the thread has its own until the process ends, but what these snapshots borrow is freed next */
		pthread_mutex_lock(&r->lock);
		while (r->n_waiting)
			vst_snapshot_unref(r->waiting[--r->n_waiting]);
		pthread_mutex_unlock(&r->lock);
		return;
	}
	forget(r);
	vst_record_encoder_clear(&r->encoder);
	vst_record_ring_free(r->ring);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
