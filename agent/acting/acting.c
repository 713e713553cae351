// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/acting/acting_priv.h"
#include "agent/base/log.h"
#include "policy/actor_spawn.h"

static double clock_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double vst_acting_now(void)
{
	return clock_s(CLOCK_MONOTONIC);
}

double vst_acting_unix(void)
{
	return clock_s(CLOCK_REALTIME);
}

/* --- steps --- */

static bool is_ready(const struct vst_acting *a)
{
	struct vst_actor_status status;

	if (!a->actor)
		return false;
	vst_actor_get_status(a->actor, &status);
	return status.state == VST_ACTOR_READY || status.state == VST_ACTOR_REFUSING;
}

/* Until the actor has said what it took over from a predecessor, nobody knows what is applied. */
static bool is_starting(const struct vst_acting *a)
{
	struct vst_actor_status status;

	if (!a->actor)
		return false;
	vst_actor_get_status(a->actor, &status);
	return status.state == VST_ACTOR_STARTING && status.starts <= 1;
}

/* It was asked to act and cannot, for a reason that does not pass by itself. */
static bool is_unable(const struct vst_acting *a)
{
	struct vst_actor_status status;

	if (!a->actor)
		return false;
	vst_actor_get_status(a->actor, &status);
	return status.state == VST_ACTOR_REFUSING || status.not_started;
}

static void send_steps(struct vst_acting *a, double now)
{
	struct vst_plan_knob *k = NULL;
	struct vst_step step;

	if (!is_ready(a))
		return;
	while ((k = vst_plan_next_step(&a->plan, k, now, &step))) {
		if (vst_actor_step(a->actor, &step))
			return; /* its queue is full: the rest follows when it has answered */
		vst_plan_sent(&a->plan, k, step.id, now);
	}
}

/* What is only planned has an old value too: people want to see what would change. */
static void read_old(struct vst_acting *a)
{
	char value[VST_VALUE_MAX];
	int n = 0;

	for (struct vst_plan_knob *k = a->plan.first; k && n < OLD_PER_TICK; k = k->next) {
		if (!k->wanted || k->old || k->state != VST_KNOB_PLANNED)
			continue;
		n++;
		vst_plan_set_old(&a->plan, k, vst_host_facts_read(&a->facts, k, value) ? "" : value);
	}
}

static void add_threads(void *arg, __u32 id, const char *cgroup)
{
	struct vst_acting *a = arg;

	vst_host_facts_add_threads(&a->facts, id, cgroup); /* one that went meanwhile has none */
}

struct kept {
	__u32 number[VST_CACHE_KEPT];
	size_t n;
};

static void add_kept(void *arg, __u32 id)
{
	struct kept *kept = arg;

	if (kept->n < VST_CACHE_KEPT)
		kept->number[kept->n++] = id;
}

static void tell_kept(struct vst_acting *a)
{
	struct kept kept = { .n = 0 };

	if (!a->opts.kept)
		return;
	vst_engine_kept(a->engine, add_kept, &kept);
	a->opts.kept(a->opts.ctx, kept.number, kept.n);
}

static void run_engine(struct vst_acting *a, const struct vst_snapshot *prev, const struct vst_snapshot *now)
{
	int err;

	vst_host_facts_clear_threads(&a->facts);
	vst_engine_wants_threads(a->engine, add_threads, a);
	err = vst_engine_run(a->engine, prev, now, &a->facts.host, &a->plan);
	if (err)
		vst_warn("the policy engine lacks memory, or more than %d knobs are wanted: some are not set",
			 VST_PLAN_KNOBS_MAX);
	tell_kept(a);
	send_steps(a, now->time);
	if (!a->actor)
		read_old(a);
}

void vst_acting_pass(struct vst_acting *a)
{
	const struct vst_snapshot *newest = a->seen ? a->seen : a->snapshot;

	if (newest && !is_starting(a))
		run_engine(a, newest, newest); /* nothing new was measured */
}

/* --- the actor's events --- */

static void on_ready(void *ctx, const struct vst_actor_status *status)
{
	struct vst_acting *a = ctx;

	if (status->adopted) {
		vst_info("vstor-actor: took over %u knobs from the agent before", status->knobs);
		vst_acting_log_text(a, "actor", "took over %u knobs", status->knobs);
	}
	if (status->state == VST_ACTOR_REFUSING && !status->refuses_again) {
		vst_err("vstor-actor refuses to change anything: %s", status->text);
		vst_acting_log_text(a, "actor", "refuses to act: %s", status->text);
	}
	a->changed = true;
	a->listed = vst_acting_now();
	vst_acting_pass(a);
}

/* Once for each reason: it is tried again every half minute. */
static void tell_not_started(struct vst_acting *a, const struct vst_actor_status *status)
{
	if (status->fails_again)
		return;
	vst_err("%s: vstord can change nothing without vstor-actor, so it only observes%s. Install vstor-actor beside "
		"vstord; it is tried again every 30 s",
		status->text, status->starts ? ", and what was set before stays until then" : "");
	vst_acting_log_text(a, "actor", "%s", status->text);
}

static void on_lost(void *ctx, const struct vst_actor_status *status)
{
	struct vst_acting *a = ctx;

	vst_plan_lost(&a->plan);
	vst_acting_keeper_lost(a);
	a->listing = false;
	a->changed = true;
	if (status->not_started) {
		tell_not_started(a, status);
		return;
	}
	if (status->state == VST_ACTOR_REFUSING) /* it is replaced; the next one tells whether it refuses too */
		return;
	vst_warn("vstor-actor ended%s%s; it is started again, and first reverts what it had changed",
		 *status->text ? ": " : "", status->text);
	vst_acting_log_text(a, "actor", "ended: %s", status->text);
}

static void on_outcome(void *ctx, const struct vst_outcome *o)
{
	struct vst_acting *a = ctx;
	char before[VST_VALUE_MAX];
	struct vst_plan_knob *k;
	bool again;

	vst_plan_written(&a->plan, o, before);
	k = vst_plan_outcome(&a->plan, o, a->snapshot ? a->snapshot->time : 0);
	if (!strncmp(o->knob.attr, "io.cost.", 8))
		vst_host_facts_expire(&a->facts); /* weights may have an effect now, or have none any more */
	again = k && o->state == VST_KNOB_REFUSED && k->backoff > VST_PLAN_RETRY_S;
	if (!again && o->result != -ENOENT && o->result != -ESRCH)
		vst_acting_log_knob(a, o, before, k);
}

static void on_knob(void *ctx, const struct vst_outcome *row)
{
	struct vst_acting *a = ctx;
	uint64_t before = a->plan.changes;
	const struct vst_plan_knob *k = vst_plan_adopt(&a->plan, row, a->snapshot ? a->snapshot->time : 0);

	if (k && a->plan.changes != before && row->state == VST_KNOB_CONFLICT)
		vst_acting_log_knob(a, row, row->written, k);
}

static void on_list_end(void *ctx)
{
	struct vst_acting *a = ctx;

	a->listing = false;
}

static void on_read_done(void *ctx, const struct vst_reads_done *done)
{
	vst_acting_read_done(ctx, done);
}

static int start_actor(struct vst_acting *a)
{
	static const struct vst_actor_events events = {
		.ready = on_ready,
		.knob = on_knob,
		.list_end = on_list_end,
		.outcome = on_outcome,
		.read_done = on_read_done,
		.lost = on_lost,
	};
	struct vst_actor_opts opts = {
		.program = a->opts.actor,
		.state_dir = a->opts.state_dir,
		.cgroup_root = a->opts.cgroup_root,
		.sysfs = a->opts.sysfs,
		.handover_s = a->opts.handover_s,
	};

	return vst_actor_start(&opts, &events, a, &a->actor);
}

/* An agent that only plans has no actor that would undo what both left when they were killed. */
static void undo_left(const struct vst_acting *a)
{
	struct vst_actor_opts opts = {
		.program = a->opts.actor,
		.state_dir = a->opts.state_dir,
		.cgroup_root = a->opts.cgroup_root,
		.sysfs = a->opts.sysfs,
	};
	int err = vst_actor_undo_left(&opts);

	if (err < 0)
		vst_warn("cannot run vstor-actor, to undo what it left in %s when it was killed: %s; run "
			 "`vstor-actor --revert`",
			 opts.state_dir ? opts.state_dir : VST_STATE_DIR, strerror(-err));
}

/* --- waiting --- */

static int add_fd(struct vst_acting *a, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

/* The actor's socket changes when it is started again; a closed one has left the epoll by itself. */
static void follow_actor(struct vst_acting *a)
{
	int fd = a->actor ? vst_actor_fd(a->actor) : -1;

	if (fd >= 0 && add_fd(a, fd) && errno != EEXIST)
		vst_warn("cannot wait for vstor-actor: %s; it is looked at once a tick", strerror(errno));
	a->actor_fd = fd;
}

static void set_timer(struct vst_acting *a)
{
	int64_t due = a->actor ? vst_actor_due_us(a->actor) : INT64_MAX;
	struct itimerspec when = { 0 };

	if (a->reload_at && (int64_t)(a->reload_at * 1e6) < due)
		due = (int64_t)(a->reload_at * 1e6);
	if (a->notice_at && (int64_t)(a->notice_at * 1e6) < due)
		due = (int64_t)(a->notice_at * 1e6);
	if (due != INT64_MAX) {
		due = due > 0 ? due : 1;
		when.it_value.tv_sec = due / 1000000;
		when.it_value.tv_nsec = due % 1000000 * 1000 + 1;
	}
	timerfd_settime(a->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

int vst_acting_fd(const struct vst_acting *a)
{
	return a->epoll_fd;
}

/* After anything that may have changed something. */
static void settle(struct vst_acting *a)
{
	double now = a->snapshot ? a->snapshot->time : 0;

	send_steps(a, now);
	follow_actor(a);
	set_timer(a);
	vst_acting_publish(a);
}

static void notice(struct vst_acting *a, double now);

void vst_acting_run(struct vst_acting *a)
{
	double now = vst_acting_now();
	uint64_t expired;

	if (read(a->timer_fd, &expired, sizeof(expired)) < 0 && errno != EAGAIN)
		vst_debug("acting: timer: %s", strerror(errno));
	if (a->actor)
		vst_actor_process(a->actor, (int64_t)(now * 1e6));
	if (a->inotify_fd >= 0)
		vst_acting_watch_read(a);
	if (a->reload_at && now >= a->reload_at) {
		vst_acting_load(a, false);
		vst_acting_pass(a);
	}
	if (a->notice_at && now >= a->notice_at)
		notice(a, now);
	vst_acting_answer(a);
	settle(a);
}

void vst_acting_tick(struct vst_acting *a, const struct vst_snapshot *snapshot)
{
	const struct vst_snapshot *prev = a->snapshot;

	if (vst_host_facts_update(&a->facts, snapshot, snapshot->time))
		vst_warn("out of memory: what the host's disks can do is not read again");
	if (a->actor)
		vst_actor_process(a->actor, (int64_t)(vst_acting_now() * 1e6));
	prev = a->snapshot; /* a pass may have used it */
	a->snapshot = vst_snapshot_ref(snapshot);
	if (!is_starting(a))
		run_engine(a, prev, a->snapshot);
	vst_snapshot_unref(prev);
	vst_snapshot_unref(a->seen);
	a->seen = NULL;
	vst_acting_keep(a);
	if (is_ready(a) && !a->listing && vst_acting_now() - a->listed >= LIST_EVERY_S) {
		a->listed = vst_acting_now();
		a->listing = !vst_actor_list(a->actor);
	}
	settle(a);
}

/* --- new containers --- */

void vst_acting_expect(struct vst_acting *a)
{
	double now = vst_acting_now();

	if (!a->policy || !a->opts.fresh)
		return;
	a->notice_again = true;
	if (a->notice_at)
		return;
	a->notice_at = now + EXPECT_S;
	if (a->notice_at < a->noticed + EXPECT_PAUSE_S)
		a->notice_at = a->noticed + EXPECT_PAUSE_S;
	set_timer(a);
}

static void notice(struct vst_acting *a, double now)
{
	const struct vst_snapshot *s = is_starting(a) ? NULL : a->opts.fresh(a->opts.ctx);

	a->notice_at = a->notice_again ? now + EXPECT_AGAIN_S : 0;
	a->notice_again = false;
	a->noticed = now;
	if (!s)
		return;
	if (vst_engine_notice(a->engine, s, &a->facts.host, &a->plan, now))
		vst_warn("out of memory: a new container gets its knobs with the next tick");
	vst_snapshot_unref(a->seen);
	a->seen = s;
}

void vst_acting_reload(struct vst_acting *a)
{
	if (!a->opts.policy)
		vst_warn("there is no policy to read again: the agent was started without --policy");
	vst_acting_load(a, true);
	vst_acting_pass(a);
	settle(a);
}

/* --- the status --- */

enum vst_acting_mode vst_acting_get_mode(const struct vst_acting *a)
{
	if (!a->policy)
		return VST_MODE_OBSERVE;
	return a->opts.act && !is_unable(a) ? VST_MODE_ACT : VST_MODE_PLAN;
}

void vst_acting_ready_text(const struct vst_acting *a, char *ret, size_t size)
{
	struct vst_actor_status status;

	snprintf(ret, size, "%s", vst_acting_mode_name(vst_acting_get_mode(a)));
	if (!a->opts.act)
		return;
	vst_actor_get_status(a->actor, &status);
	if (is_unable(a))
		snprintf(ret, size, "only observing, in spite of --act, because vstor-actor cannot change anything: %s",
			 status.text);
	else if (status.state == VST_ACTOR_STARTING && a->policy)
		snprintf(ret, size, "%s, as soon as vstor-actor has looked at its state directory",
			 vst_acting_mode_name(VST_MODE_ACT));
}

static void fill_actor(const struct vst_acting *a, struct vst_acting_status *s)
{
	static const char *const states[] = {
		[VST_ACTOR_DOWN] = "down",
		[VST_ACTOR_STARTING] = "starting",
		[VST_ACTOR_READY] = "ready",
		[VST_ACTOR_REFUSING] = "refusing",
	};
	struct vst_actor_status status;

	if (!a->actor)
		return;
	vst_actor_get_status(a->actor, &status);
	s->actor = states[status.state];
	s->actor_text = vst_acting_text(s, status.text);
	s->actor_pid = status.pid ? status.pid : status.adopted_pid;
	s->actor_starts = status.starts;
	s->actor_deaths = status.deaths;
	s->writes = status.writes;
	s->reverts = status.reverts;
	s->conflicts = status.conflicts;
}

static struct vst_acting_status *status_make(const struct vst_acting *a)
{
	struct vst_acting_status *s = vst_acting_status_new();

	if (!s)
		return NULL;
	s->mode = vst_acting_get_mode(a);
	s->may_act = a->opts.act;
	s->file = vst_acting_text(s, a->file);
	s->loaded = a->loaded;
	s->error = vst_acting_text(s, a->error);
	s->error_time = a->error_time;
	s->reverted = a->reverted;
	s->policy = vst_policy_box_ref(a->policy);
	fill_actor(a, s);
	vst_acting_keeper_fill(a, s);
	if (vst_acting_status_fill(s, &a->plan, a->engine, a->snapshot) || vst_acting_log_fill(a, s)) {
		vst_acting_status_unref(s);
		return NULL;
	}
	return s;
}

void vst_acting_publish(struct vst_acting *a)
{
	struct vst_acting_status *s, *old;
	size_t n_protected, n_blame = vst_engine_measured(a->engine)->n_blame;

	vst_engine_protected(a->engine, &n_protected);
	/* Latencies of those who are protected, and blame, change with each tick. The rest is copied when it changed. */
	if (a->status && !a->changed && a->published_changes == a->plan.changes && !n_protected && !n_blame &&
	    !a->status->n_protected && !a->status->n_blame)
		return;
	s = status_make(a);
	if (!s) {
		vst_warn("out of memory: vstorctl policy shows an older state");
		return;
	}
	a->changed = false;
	a->published_changes = a->plan.changes;
	pthread_mutex_lock(&a->lock);
	old = a->status;
	a->status = s;
	pthread_mutex_unlock(&a->lock);
	vst_acting_status_unref(old);
}

struct vst_acting_status *vst_acting_status(struct vst_acting *a)
{
	struct vst_acting_status *s;

	pthread_mutex_lock(&a->lock);
	s = vst_acting_status_ref(a->status);
	pthread_mutex_unlock(&a->lock);
	return s;
}

/* --- start and end --- */

static int open_fds(struct vst_acting *a)
{
	int err;

	a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	a->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	a->request_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->epoll_fd < 0 || a->timer_fd < 0 || a->request_fd < 0)
		return -errno;
	err = add_fd(a, a->timer_fd);
	return err ?: add_fd(a, a->request_fd);
}

static int start(struct vst_acting *a)
{
	int err = open_fds(a);

	a->engine = vst_engine_new();
	if (!err && !a->engine)
		err = -ENOMEM;
	if (!err && a->opts.act) /* before the policy: nothing is wanted that could not be undone */
		err = start_actor(a);
	if (err)
		return err;
	if (!a->opts.act)
		undo_left(a);
	if (a->opts.policy) {
		if (vst_acting_watch(a))
			vst_warn("cannot watch the directory of %s: %s; a change counts after SIGHUP", a->opts.policy,
				 strerror(errno));
		else
			err = add_fd(a, a->inotify_fd);
		vst_acting_load(a, true);
	}
	a->changed = true;
	settle(a);
	return err ?: a->status ? 0 : -ENOMEM;
}

int vst_acting_new(const struct vst_acting_opts *opts, struct vst_acting **ret)
{
	struct vst_acting *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	a->opts = *opts;
	a->epoll_fd = a->inotify_fd = a->timer_fd = a->request_fd = a->actor_fd = -1;
	vst_plan_init(&a->plan);
	pthread_mutex_init(&a->lock, NULL);
	vst_host_facts_open(&a->facts, opts->cgroup_root, opts->sysfs);
	err = start(a);
	if (err) {
		vst_err("cannot prepare acting on a policy: %s", strerror(-err));
		vst_acting_free(a);
		return err;
	}
	*ret = a;
	return 0;
}

void vst_acting_free(struct vst_acting *a)
{
	int fds[] = { a ? a->epoll_fd : -1, a ? a->inotify_fd : -1, a ? a->timer_fd : -1, a ? a->request_fd : -1 };

	if (!a)
		return;
	a->stopping = true;
	if (a->actor && vst_actor_stop(a->actor, a->opts.handover_s > 0, 5000))
		vst_warn("vstor-actor did not confirm that it reverted everything; it does so on its own");
	a->actor = NULL;
	vst_acting_keeper_lost(a);
	vst_acting_refuse_all(a);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	vst_engine_free(a->engine);
	vst_plan_clear(&a->plan);
	vst_acting_log_clear(a);
	vst_host_facts_close(&a->facts);
	vst_snapshot_unref(a->snapshot);
	vst_snapshot_unref(a->seen);
	vst_policy_box_unref(a->policy);
	vst_acting_status_unref(a->status);
	pthread_mutex_destroy(&a->lock);
	free(a->file);
	free(a->content);
	free(a->error);
	free(a);
}
