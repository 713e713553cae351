// SPDX-License-Identifier: GPL-2.0-only
/* The event loop: what it waits for, and what is done about each. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "agent/agent.h"
#include "agent/base/caps.h"
#include "agent/base/log.h"
#include "agent/base/notify.h"
#include "agent/loop.h"
#include "agent/options.h"
#include "agent/sinks/listener.h"
#include "agent/tick.h"

#define EVENTS_AT_ONCE 2048 /* the rest has its turn after what else there is to do */

enum source {
	SOURCE_SIGNAL,
	SOURCE_TICK,
	SOURCE_PEEK,
	SOURCE_EVENTS,
	SOURCE_LATE,
	SOURCE_NAMES,
	SOURCE_OWNERS,
	SOURCE_ASKED,
	SOURCE_PAUSED,
	SOURCE_ACTING,
	SOURCE_WINDOW,
};

static int add_source(int epoll_fd, int fd, enum source source)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = source };

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static void timespec_set(struct timespec *ts, double seconds)
{
	double whole;

	ts->tv_nsec = (long)(modf(seconds, &whole) * 1e9);
	ts->tv_sec = (time_t)whole;
}

/* interval: seconds; 0 stops the timer. */
static int timer_set(int fd, double interval)
{
	struct itimerspec when = { 0 };

	timespec_set(&when.it_interval, interval);
	when.it_value = when.it_interval;
	return timerfd_settime(fd, 0, &when, NULL) ? -errno : 0;
}

/* Lets the timer expire once. */
static int timer_set_once(int fd, double seconds)
{
	struct itimerspec when = { 0 };

	timespec_set(&when.it_value, seconds);
	return timerfd_settime(fd, 0, &when, NULL) ? -errno : 0;
}

static int timer_new(double interval)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), err;

	if (fd < 0)
		return -errno;
	err = timer_set(fd, interval);
	if (err)
		close(fd);
	return err ?: fd;
}

int vst_loop_event(void *arg, void *data, size_t size)
{
	const struct vst_event_cgroup *event = data;
	struct vst_agent *a = arg;

	if (size >= sizeof(*event)) {
		vst_owners_event(a->owners, event, vst_now());
		if (event->type == VST_EVENT_CGROUP_MKDIR && a->acting)
			vst_acting_expect(a->acting);
	}
	/* a user who makes cgroups faster than we take their events must not keep the loop here for ever */
	return ++a->events_taken % EVENTS_AT_ONCE ? 0 : -EAGAIN;
}

/* Looks at the disks between two ticks, as long as containers fight for one. */
static void on_peek(struct vst_agent *a)
{
	vst_waits_disk_peek(a->waits_disk, a->table, vst_probes_maps(a->probes), a->blame, vst_now());
}

/* Sets the timer of on_peek() by what the tick found. */
static int follow_waits(struct vst_agent *a, int fd, double *pause)
{
	double want = vst_waits_disk_pause(a->waits_disk);

	if (want >= a->interval)
		want = 0;
	if (want == *pause)
		return 0;
	*pause = want;
	return timer_set(fd, want);
}

/* Somebody wants a new snapshot. Makes it now, or starts the timer if the last one is too recent. */
static int on_asked(struct vst_agent *a, int pause_fd)
{
	double pause = vst_tick_asked_pause(a);

	if (pause > 0)
		return timer_set_once(pause_fd, pause);
	vst_tick_publish(a);
	return 0;
}

/* An attacker who takes over this process after the start gets none of the capabilities that only the start needed. */
static void drop_capabilities(struct vst_agent *a, const struct vst_options *o)
{
	unsigned int when = VST_CAPS_ALWAYS;

	if (!vst_listener_is_removable(o->socket))
		when |= VST_CAPS_FOREIGN_DIR;
	/* with no_new_privs (systemd's NoNewPrivileges=) execve() gives root no more than the caller has, either */
	if (o->acting.act && (geteuid() || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1))
		when |= VST_CAPS_HEIR;
	a->caps.dropped = !vst_caps_drop(VST_CAPS_LOOP, when, &a->caps.kept);
	a->caps.when = when;
}

static void on_late(struct vst_agent *a, const struct vst_options *o)
{
	char text[512];

	vst_probes_late(a->probes);
	vst_watch_ready(a);
	if (!vst_devices_read(&a->devices)) /* counting begins at their present counters */
		vst_tick_follow_devices(a);
	vst_tick_follow_caches(a);
	drop_capabilities(a, o);
	vst_acting_ready_text(a->acting, text, sizeof(text));
	vst_info("ready: %s, control socket %s", text, o->socket);
	vst_notify("READY=1");
}

/* What the loop waits for; -1: not open. */
struct loop {
	int epoll_fd, signal_fd;
	int timer_fd, peek_fd, pause_fd, window_fd;
	double peek; /* interval of .peek_fd in seconds; 0: stopped */
};

static int loop_open(struct loop *l, struct vst_agent *a, int signal_fd)
{
	int err;

	*l = (struct loop){ .signal_fd = signal_fd, .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	l->timer_fd = timer_new(a->interval);
	l->peek_fd = timer_new(0);
	l->pause_fd = timer_new(0);
	l->window_fd = timer_new(0);
	if (l->epoll_fd < 0)
		return -errno;
	err = l->timer_fd < 0	 ? l->timer_fd
	      : l->peek_fd < 0	 ? l->peek_fd
	      : l->pause_fd < 0	 ? l->pause_fd
	      : l->window_fd < 0 ? l->window_fd
				 : 0;
	err = err ?: add_source(l->epoll_fd, signal_fd, SOURCE_SIGNAL);
	err = err ?: add_source(l->epoll_fd, l->timer_fd, SOURCE_TICK);
	err = err ?: add_source(l->epoll_fd, l->peek_fd, SOURCE_PEEK);
	err = err ?: add_source(l->epoll_fd, l->pause_fd, SOURCE_PAUSED);
	err = err ?: add_source(l->epoll_fd, l->window_fd, SOURCE_WINDOW);
	err = err ?: add_source(l->epoll_fd, ring_buffer__epoll_fd(a->events), SOURCE_EVENTS);
	err = err ?: add_source(l->epoll_fd, vst_probes_late_fd(a->probes), SOURCE_LATE);
	err = err ?: add_source(l->epoll_fd, vst_lock_naming_fd(vst_locks_naming(a->locks)), SOURCE_NAMES);
	err = err ?: add_source(l->epoll_fd, vst_owners_fd(a->owners), SOURCE_OWNERS);
	err = err ?: add_source(l->epoll_fd, vst_acting_fd(a->acting), SOURCE_ACTING);
	return err ?: add_source(l->epoll_fd, vst_relay_asked_fd(a->relay), SOURCE_ASKED);
}

static void loop_close(struct loop *l)
{
	const int fds[] = { l->timer_fd, l->peek_fd, l->pause_fd, l->window_fd, l->epoll_fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static bool expired(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

/* 0 or -errno; 1: the loop has to end. */
static int on_source(struct vst_agent *a, struct loop *l, enum source source, const struct vst_options *o)
{
	static unsigned int tick;
	struct signalfd_siginfo info;

	switch (source) {
	case SOURCE_SIGNAL:
		if (read(l->signal_fd, &info, sizeof(info)) != sizeof(info))
			return 0;
		if (info.ssi_signo != SIGHUP)
			return 1;
		vst_acting_reload(a->acting);
		return 0;
	case SOURCE_TICK:
		if (!expired(l->timer_fd))
			return 0;
		vst_tick_run(a, tick++);
		if (vst_watch_window_begin(a))
			timer_set_once(l->window_fd, fmin(VST_WINDOW, a->interval / 2));
		vst_notify_watchdog();
		return follow_waits(a, l->peek_fd, &l->peek);
	case SOURCE_PEEK:
		if (expired(l->peek_fd))
			on_peek(a);
		return 0;
	case SOURCE_EVENTS:
		ring_buffer__consume(a->events);
		return 0;
	case SOURCE_LATE:
		on_late(a, o);
		return 0;
	case SOURCE_NAMES:
		vst_tick_names(a);
		return 0;
	case SOURCE_OWNERS:
		vst_owners_answers(a->owners, vst_now());
		return 0;
	case SOURCE_PAUSED:
		if (expired(l->pause_fd))
			vst_tick_publish(a);
		return 0;
	case SOURCE_WINDOW:
		if (expired(l->window_fd))
			vst_watch_window_end(a);
		return 0;
	case SOURCE_ACTING:
		vst_acting_run(a->acting);
		return 0;
	case SOURCE_ASKED:
		return on_asked(a, l->pause_fd);
	}
	return 0;
}

int vst_loop_run(struct vst_agent *a, const struct vst_options *o, int signal_fd)
{
	struct epoll_event ev;
	struct loop l;
	int err, n;

	err = loop_open(&l, a, signal_fd);
	while (!err) {
		n = epoll_wait(l.epoll_fd, &ev, 1, -1);
		if (n < 0 && errno != EINTR)
			err = -errno;
		if (n > 0)
			err = on_source(a, &l, ev.data.u32, o);
	}
	if (err < 0)
		vst_err("the event loop failed: %s", strerror(-err));
	loop_close(&l);
	return err < 0 ? err : 0;
}

int vst_loop_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}
