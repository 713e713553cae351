// SPDX-License-Identifier: GPL-2.0-only
/* vstord: options, start, the loop, the end. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "agent/acting/acting.h"
#include "agent/agent.h"
#include "features/features.h"
#include "agent/base/caps.h"
#include "agent/base/log.h"
#include "agent/collect.h"
#include "agent/sinks/listener.h"
#include "agent/sinks/server.h"
#include "agent/sinks/stuck.h"
#include "policy/actor_client.h"
#include "vstor/cli.h"

#define STATS_EVERY 30	    /* ticks between two moments of run-time statistics */
#define PRIORITY -10	    /* nice */
#define SWEEP_SOON 1	    /* seconds, likewise, if some I/O has not completed for long */
#define SWEEP_EVERY 10	    /* seconds between two looks for completions that did not come, a tick at least */
#define EVENTS_AT_ONCE 2048 /* the rest has its turn after what else there is to do */
#define NAMES_AT_START 0.5  /* seconds that the start waits for the names of containers that run already */
#define ASKED_SHARE 9 /* between two snapshots that were asked for, so many times as long as the last one took ... */
#define ASKED_PAUSE 0.005 /* ... and so many seconds: clients that poll delay no tick */
#define NAME_ROUNDS 3	  /* looks for names of locks that one question can cause */
#define FILES_WANTED 1024
#define FILES_NEEDED 320 /* the probes' and the clients' of the control socket */

struct options {
	const char *socket;
	double interval;
	double budget;
	bool fsync;
	bool verbose;
	struct vst_acting_opts acting;
};

/* --- options --- */

static void print_help(void)
{
	printf("Usage: vstord [OPTION]...\n"
	       "Watch the block I/O of this host's containers; see it with vstorctl. Runs in the foreground.\n"
	       "\n"
	       "      --socket PATH       control socket [" VST_SOCKET_DEFAULT "]\n"
	       "  -i, --interval SECONDS  between two readings of the counters, 0.1 to 60 [1]\n"
	       "      --budget PERCENT    of all processors that may be taken before waits are given up; 0: all [20]\n"
	       "      --policy FILE       rules about containers and disks; vstor.policy(5) describes them\n"
	       "      --act               act on the policy; without it, only plan\n"
	       "      --state DIR         where vstor-actor keeps its journal [" VST_STATE_DIR "]\n"
	       "      --handover SECONDS  after SIGTERM, keep what was set for so long for the next vstord, 0 to 3600 "
	       "[0]\n"
	       "      --fsync             measure how long fsync takes, also without a rule that protects it\n"
	       "  -v, --verbose           log more\n"
	       "  -h, --help              show this\n"
	       "      --version           show the version\n"
	       "\n"
	       "Without --act it changes nothing on the host. Stop it with ^C or SIGTERM; nothing is left behind. "
	       "SIGHUP\n"
	       "reads the policy again.\n");
}

static int parse_handover(const char *text, unsigned int *ret)
{
	char *rest;
	double v = strtod(text, &rest);

	if (rest == text || *rest || !(v >= 0 && v <= 3600)) {
		fprintf(stderr, "vstord: --handover '%s' is not a number of seconds from 0 to 3600\n", text);
		return -EINVAL;
	}
	*ret = (unsigned int)v;
	return 0;
}

/* 0, an exit code + 1 to leave at once, with everything said. */
static int parse_options(int argc, char **argv, struct options *o)
{
	enum { OPT_SOCKET = 256, OPT_BUDGET, OPT_FSYNC, OPT_POLICY, OPT_ACT, OPT_STATE, OPT_HANDOVER, OPT_VERSION };
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, OPT_SOCKET },
		{ "interval", required_argument, NULL, 'i' },
		{ "budget", required_argument, NULL, OPT_BUDGET },
		{ "policy", required_argument, NULL, OPT_POLICY },
		{ "act", no_argument, NULL, OPT_ACT },
		{ "state", required_argument, NULL, OPT_STATE },
		{ "handover", required_argument, NULL, OPT_HANDOVER },
		{ "fsync", no_argument, NULL, OPT_FSYNC },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ 0 },
	};
	char *rest;
	int c;

	while ((c = getopt_long(argc, argv, "i:vh", longs, NULL)) != -1) {
		switch (c) {
		case OPT_SOCKET:
			if (!*optarg) {
				fprintf(stderr,
					"vstord: --socket is empty: give the path of the control socket, or leave it "
					"out for " VST_SOCKET_DEFAULT "\n");
				return VST_EXIT_USAGE + 1;
			}
			o->socket = optarg;
			break;
		case 'i':
			o->interval = strtod(optarg, &rest);
			if (rest == optarg || *rest || !(o->interval >= 0.1 && o->interval <= 60)) {
				fprintf(stderr, "vstord: --interval '%s' is not a number of seconds from 0.1 to 60\n",
					optarg);
				return VST_EXIT_USAGE + 1;
			}
			break;
		case OPT_BUDGET:
			o->budget = strtod(optarg, &rest);
			if (rest == optarg || *rest || !(o->budget >= 0 && o->budget <= 100)) {
				fprintf(stderr, "vstord: --budget '%s' is not a percentage from 0 to 100\n", optarg);
				return VST_EXIT_USAGE + 1;
			}
			break;
		case OPT_POLICY:
			o->acting.policy = optarg;
			break;
		case OPT_ACT:
			o->acting.act = true;
			break;
		case OPT_STATE:
			o->acting.state_dir = optarg;
			break;
		case OPT_HANDOVER:
			if (parse_handover(optarg, &o->acting.handover_s))
				return VST_EXIT_USAGE + 1;
			break;
		case OPT_FSYNC:
			o->fsync = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'h':
			print_help();
			return VST_EXIT_OK + 1;
		case OPT_VERSION:
			printf("vstord " VSTOR_VERSION "\n");
			return VST_EXIT_OK + 1;
		default: /* getopt_long has said what is wrong */
			fprintf(stderr, "vstord: `vstord --help` lists the options\n");
			return VST_EXIT_USAGE + 1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "vstord: unexpected '%s': there are only options; `vstord --help` lists them\n",
			argv[optind]);
		return VST_EXIT_USAGE + 1;
	}
	return 0;
}

/* --- the loop's parts --- */

/* --- snapshots --- */

static void sweep(struct vst_agent *a)
{
	a->swept = vst_now();
	vst_probes_sweep(a->probes);
}

/*
 * Locks that were seen are being named by a thread. Somebody wants the names: true if those questions are answered by the
 * snapshot that was just made.
 */
static bool names_are_there(struct vst_agent *a)
{
	struct vst_lock_naming *n = vst_locks_naming(a->locks);

	vst_lock_naming_begin(n, &vst_probes_maps(a->probes)->lock);
	if (vst_lock_naming_busy(n) && a->name_rounds++ < NAME_ROUNDS)
		return false; /* on_names() goes on */
	a->name_rounds = 0;
	return true;
}

/* Has some I/O or wait been under way for so long? */
static bool is_old(const struct vst_agent *a, double age)
{
	__u64 io = a->table->underway.oldest_ns, lock = vst_locks_oldest_ns(a->locks);
	double before = vst_now() - age;

	return (io && (double)io / 1e9 < before) || (lock && (double)lock / 1e9 < before);
}

/* Makes a snapshot for everybody who has asked until now, and hands it out. 0 or -errno. */
static int publish(struct vst_agent *a)
{
	const struct vst_snapshot *s;
	struct vst_tickets asked;
	double begin = vst_now();
	int err;

	vst_relay_asked(a->relay, &asked);
	if (asked.n[VST_ASK_SWEPT] > a->answered.n[VST_ASK_SWEPT])
		sweep(a);
	err = vst_collect(a, &s);
	if (err)
		vst_warn("cannot read the counters: %s; trying again at the next tick", strerror(-err));
	a->made = vst_now();
	a->made_in = a->made - begin;
	if (!s)
		return err;
	if (asked.n[VST_ASK_NAMED] > a->answered.n[VST_ASK_NAMED] && !names_are_there(a))
		asked.n[VST_ASK_NAMED] = a->answered.n[VST_ASK_NAMED];
	a->answered = asked;
	if (vst_stuck_any(a->stuck) || is_old(a, VST_STUCK_AGE))
		vst_stuck_look(a->stuck, s);
	vst_relay_publish(a->relay, s, &asked);
	return err;
}

/* The thread has ended; its names are in the next snapshot, which somebody may wait for. */
static void on_names(struct vst_agent *a)
{
	vst_lock_naming_take(vst_locks_naming(a->locks), &vst_probes_maps(a->probes)->lock);
	if (a->name_rounds)
		publish(a);
}

/* Seconds until a snapshot may be made that was asked for; 0: now. */
static double asked_pause(const struct vst_agent *a)
{
	return fmax(a->made + fmax(ASKED_PAUSE, ASKED_SHARE * a->made_in) - vst_now(), 0);
}

static int on_event(void *arg, void *data, size_t size)
{
	const struct vst_event_cgroup *event = data;
	struct vst_agent *a = arg;

	if (size >= sizeof(*event)) {
		vst_owners_event(a->owners, event, vst_now());
		if (event->type == VST_EVENT_CGROUP_MKDIR && a->acting)
			vst_acting_expect(a->acting);
	}
	/* whoever makes cgroups faster than this takes their events does not keep the loop for ever */
	return ++a->events_taken % EVENTS_AT_ONCE ? 0 : -EAGAIN;
}

/* Stacked devices come and go; their probes cost every bio something, so they follow. */
static void follow_devices(struct vst_agent *a)
{
	bool want;

	vst_devices_settings(&a->devices);
	want = vst_devices_have_stacked(&a->devices);
	if (want == a->devices.stacked_counted)
		return;
	if (want)
		vst_devices_base(&a->devices, VST_LAYER_STACKED, true);
	if (vst_probes_stacked(a->probes, want)) {
		vst_devices_hold(&a->devices, VST_LAYER_STACKED);
		return;
	}
	a->devices.stacked_counted = want;
	if (!want) {
		publish(a);
		vst_devices_hold(&a->devices, VST_LAYER_STACKED);
	} else if (!vst_devices_read(&a->devices)) {
		vst_devices_base(&a->devices, VST_LAYER_STACKED, false);
	}
}

/* After a measurement of what the probes take: the agent's own time is part of it. */
static void keep_budget(struct vst_agent *a, unsigned int tick)
{
	struct vst_budget *b = &a->budget;
	int part;

	b->cost += a->self.cpu_percent / (double)sysconf(_SC_NPROCESSORS_ONLN);
	part = vst_budget_decide(b, tick);
	if (part < 0)
		return;
	if (vst_probes_give_up(a->probes, part, b->part[part].given_up))
		return; /* told */
	if (b->part[part].given_up)
		vst_warn("%s are not watched for %.0f s: the probes and the agent took %.2f %% of the processors, "
			 "these %.2f %%, and the budget is %g %% (--budget)",
			 vst_budget_part_name(part), (double)b->part[part].pause * a->interval, b->cost,
			 b->part[part].cost, b->limit);
	else
		vst_info("%s are watched again", vst_budget_part_name(part));
}

/* For the containers that are new, between two ticks. */
static const struct vst_snapshot *fresh(void *ctx)
{
	struct vst_tickets answered;
	struct vst_agent *a = ctx;

	return publish(a) ? NULL : vst_relay_get(a->relay, &answered);
}

/* For the keeper of a cache. */
static int choose(void *ctx, __u32 dev, unsigned int classes, __u32 max_unknown, uint64_t **ret_offsets, size_t *ret_n)
{
	struct vst_agent *a = ctx;

	return vst_heating_choose(&a->heating, a->probes, dev, classes, max_unknown, vst_now(), ret_offsets, ret_n);
}

static void keeper(void *ctx, __u32 pid)
{
	struct vst_agent *a = ctx;

	vst_heating_keeper(a->probes, pid);
}

/* The engine judges whole intervals, so it sees one snapshot a tick, not those that clients ask for between. */
static void act(struct vst_agent *a)
{
	struct vst_tickets answered;
	const struct vst_snapshot *s = vst_relay_get(a->relay, &answered);

	if (s)
		vst_acting_tick(a->acting, s);
	vst_snapshot_unref(s);
}

/* Measuring fsync costs every fsync something, so it is done only while somebody asks for it. */
static void follow_fsync(struct vst_agent *a)
{
	vst_probes_want_fsync(a->probes, a->always_fsync || vst_acting_wants_fsync(a->acting));
}

/* Caches come and go, and so do policies, which say what in them is of which class. */
static void follow_caches(struct vst_agent *a)
{
	__u8 class_of[64] = { 0 };

	vst_heating_follow(&a->heating, &a->devices, a->probes, vst_now());
	vst_acting_classes(a->acting, class_of);
	vst_heating_classes(a->probes, class_of);
}

static void on_tick(struct vst_agent *a, unsigned int tick)
{
	double since = vst_now() - a->swept;

	follow_fsync(a);
	/* sooner if something looks stuck: maybe it has ended, and nobody told us */
	if (since >= SWEEP_EVERY - a->interval / 2 || (since >= SWEEP_SOON && is_old(a, VST_STUCK_AGE / 2)))
		sweep(a);
	if (!publish(a))
		act(a);
	vst_owners_tick(a->owners, vst_now());
	vst_io_table_reclaim(a->table, a->probes, a->owners, vst_now());
	vst_locks_reclaim(a->locks, a->probes, a->owners, vst_now());
	vst_blame_reclaim(a->blame, vst_now());
	vst_fsync_reclaim(a->fsync, a->probes, a->owners, vst_now());
	vst_probes_symbols(a->probes);
	vst_probes_follow(a->probes);
	follow_devices(a);
	follow_caches(a);
	vst_self_update(&a->self);
	/* after it: what is read for that is given back before the next look at the own memory */
	vst_lock_naming_begin(vst_locks_naming(a->locks), &vst_probes_maps(a->probes)->lock);
	if (vst_probes_stats_end(a->probes, vst_now(), &a->budget))
		keep_budget(a, tick);
	else if (tick % STATS_EVERY == 1 || a->budget.soon)
		vst_probes_stats_begin(a->probes, vst_now());
}

/* Ready, or stopping, told to systemd if it asked (sd_notify(3) describes the protocol). */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (!len || len >= sizeof(addr.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@')
		addr.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&addr,
		   offsetof(struct sockaddr_un, sun_path) + len) < 0)
		vst_warn("cannot tell systemd '%s': %s", state, strerror(errno));
	close(fd);
}

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

/* interval: seconds; 0: it stops. */
static int timer_set(int fd, double interval)
{
	struct itimerspec when = { 0 };

	timespec_set(&when.it_interval, interval);
	when.it_value = when.it_interval;
	return timerfd_settime(fd, 0, &when, NULL) ? -errno : 0;
}

/* Once. */
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

/* Somebody wants a new snapshot: at once, or when so much time has passed that the loop has time for one. */
static int on_asked(struct vst_agent *a, int pause_fd)
{
	double pause = asked_pause(a);

	if (pause > 0)
		return timer_set_once(pause_fd, pause);
	publish(a);
	return 0;
}

/* Whoever takes over this process from here on does not get what only the start needed. */
static void drop_capabilities(struct vst_agent *a, const struct options *o)
{
	unsigned int when = VST_CAPS_ALWAYS;

	if (!vst_listener_is_removable(o->socket))
		when |= VST_CAPS_FOREIGN_DIR;
	if (o->acting.act && geteuid())
		when |= VST_CAPS_HEIR;
	a->caps.dropped = !vst_caps_drop(VST_CAPS_LOOP, when, &a->caps.kept);
	a->caps.when = when;
}

static void on_late(struct vst_agent *a, const struct options *o)
{
	vst_probes_late(a->probes);
	if (!vst_devices_read(&a->devices)) /* what they count begins with what they say now */
		follow_devices(a);
	follow_caches(a);
	drop_capabilities(a, o);
	vst_info("ready: %s, control socket %s", vst_acting_mode_name(vst_acting_get_mode(a->acting)), o->socket);
	notify("READY=1");
}

/* What the loop waits for; -1: not open. */
struct loop {
	int epoll_fd, signal_fd;
	int timer_fd, peek_fd, pause_fd;
	double peek; /* seconds of .peek_fd; 0: it stands still */
};

static int loop_open(struct loop *l, struct vst_agent *a, int signal_fd)
{
	int err;

	*l = (struct loop){ .signal_fd = signal_fd, .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	l->timer_fd = timer_new(a->interval);
	l->peek_fd = timer_new(0);
	l->pause_fd = timer_new(0);
	if (l->epoll_fd < 0)
		return -errno;
	err = l->timer_fd < 0 ? l->timer_fd : l->peek_fd < 0 ? l->peek_fd : l->pause_fd < 0 ? l->pause_fd : 0;
	err = err ?: add_source(l->epoll_fd, signal_fd, SOURCE_SIGNAL);
	err = err ?: add_source(l->epoll_fd, l->timer_fd, SOURCE_TICK);
	err = err ?: add_source(l->epoll_fd, l->peek_fd, SOURCE_PEEK);
	err = err ?: add_source(l->epoll_fd, l->pause_fd, SOURCE_PAUSED);
	err = err ?: add_source(l->epoll_fd, ring_buffer__epoll_fd(a->events), SOURCE_EVENTS);
	err = err ?: add_source(l->epoll_fd, vst_probes_late_fd(a->probes), SOURCE_LATE);
	err = err ?: add_source(l->epoll_fd, vst_lock_naming_fd(vst_locks_naming(a->locks)), SOURCE_NAMES);
	err = err ?: add_source(l->epoll_fd, vst_owners_fd(a->owners), SOURCE_OWNERS);
	err = err ?: add_source(l->epoll_fd, vst_acting_fd(a->acting), SOURCE_ACTING);
	return err ?: add_source(l->epoll_fd, vst_relay_asked_fd(a->relay), SOURCE_ASKED);
}

static void loop_close(struct loop *l)
{
	const int fds[] = { l->timer_fd, l->peek_fd, l->pause_fd, l->epoll_fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static bool expired(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

/* 0 or -errno; 1: the end has come. */
static int on_source(struct vst_agent *a, struct loop *l, enum source source, const struct options *o)
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
		on_tick(a, tick++);
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
		on_names(a);
		return 0;
	case SOURCE_OWNERS:
		vst_owners_answers(a->owners, vst_now());
		return 0;
	case SOURCE_PAUSED:
		if (expired(l->pause_fd))
			publish(a);
		return 0;
	case SOURCE_ACTING:
		vst_acting_run(a->acting);
		return 0;
	case SOURCE_ASKED:
		return on_asked(a, l->pause_fd);
	}
	return 0;
}

static int loop(struct vst_agent *a, const struct options *o, int signal_fd)
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

/* --- start and end --- */

/* Says what is missing on this host; an exit code. */
static int check_host(void)
{
	struct vst_features_ctx ctx;
	char msg[1024];
	int code;

	vst_features_open(&ctx);
	code = vst_features_require(&ctx, msg, sizeof(msg));
	if (code)
		vst_err("%s", msg);
	vst_features_close(&ctx);
	return code;
}

/* Each client takes a descriptor, and a probe some more. 0 or -EMFILE, explained. */
static int raise_files(void)
{
	struct rlimit now, more;

	if (getrlimit(RLIMIT_NOFILE, &now) || now.rlim_cur >= FILES_WANTED)
		return 0;
	more.rlim_cur = FILES_WANTED;
	more.rlim_max = now.rlim_max > FILES_WANTED ? now.rlim_max : FILES_WANTED;
	if (!setrlimit(RLIMIT_NOFILE, &more))
		return 0;
	more = (struct rlimit){ now.rlim_max, now.rlim_max };
	if (more.rlim_cur >= FILES_NEEDED && !setrlimit(RLIMIT_NOFILE, &more))
		return 0;
	vst_err("the limit of open files is %llu and cannot be raised: the agent needs %d, or it could not answer "
		"vstorctl; raise it with `ulimit -n` or with LimitNOFILE= in its unit",
		(unsigned long long)now.rlim_max, FILES_NEEDED);
	return -EMFILE;
}

static int start_probes(struct vst_agent *a)
{
	struct vst_hiers hiers;
	int err;

	err = vst_owners_hiers("", &hiers);
	err = err ?: vst_devices_read(&a->devices);
	vst_devices_settings(&a->devices);
	err = err ?: vst_probes_load(&hiers, vst_devices_have_stacked(&a->devices), &a->probes);
	err = err ?: vst_owners_new("", &a->owners);
	if (!err)
		vst_owners_tell(a->owners, vst_probes_maps(a->probes)->state->plain,
				vst_probes_maps(a->probes)->shares_fd);
	err = err ?: vst_io_table_new(&a->table);
	err = err ?: vst_locks_new(&a->wait_rows, &a->locks);
	err = err ?: vst_blame_new(&a->wait_rows, &a->blame);
	err = err ?: vst_waits_disk_new(&a->waits_disk);
	err = err ?: vst_stuck_new(&a->stuck);
	err = err ?: vst_waits_journal_new(&a->waits_journal);
	err = err ?: vst_fsync_new(&a->wait_rows, &a->fsync);
	err = err ?: vst_waits_dirty_new(&a->waits_dirty);
	err = err ?: vst_collect_new(&a->collect);
	if (err)
		return err;
	a->events = ring_buffer__new(vst_probes_maps(a->probes)->events_fd, on_event, a, NULL);
	if (!a->events)
		return -errno;
	/* told of new cgroups before the scan: so none falls in between */
	err = vst_probes_attach_cgroup(a->probes);
	err = err ?: vst_owners_scan(a->owners, vst_now());
	err = err ?: vst_devices_read(&a->devices);
	vst_devices_base(&a->devices, VST_LAYER_LEAF, true);
	err = err ?: vst_probes_attach_block(a->probes);
	err = err ?: vst_devices_read(&a->devices);
	vst_devices_base(&a->devices, VST_LAYER_LEAF, false);
	if (!err)
		vst_owners_settle(a->owners, NAMES_AT_START);
	return err;
}

static void agent_free(struct vst_agent *a)
{
	ring_buffer__free(a->events);
	vst_stuck_free(a->stuck);
	vst_waits_disk_free(a->waits_disk);
	vst_waits_journal_free(a->waits_journal);
	vst_fsync_free(a->fsync);
	vst_waits_dirty_free(a->waits_dirty);
	vst_blame_free(a->blame);
	vst_io_table_free(a->table);
	vst_locks_free(a->locks);
	vst_wait_rows_free(&a->wait_rows);
	vst_collect_free(a->collect);
	vst_relay_free(a->relay);
	vst_owners_free(a->owners);
	vst_heating_free(&a->heating);
	vst_devices_free(&a->devices);
	vst_probes_free(a->probes);
}

/* Among the host's other processes. */
static void settle(void)
{
	/*
	 * A reply or a file of megabytes comes from mmap and goes back at once; glibc would learn to keep such blocks.
	 * Measured with 4,000 containers: 18 MiB instead of 25.
	 */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	/* one heap for all threads: each would keep the most that it ever took, replies of megabytes among that */
	mallopt(M_ARENA_MAX, 1);
	/*
	 * What a container of 50 ms is called can be read while it lives or never. Measured on 2 CPUs with 38 processes
	 * that want one: 88 % of the names without, all with this.
	 */
	if (setpriority(PRIO_PROCESS, 0, PRIORITY))
		vst_debug("cannot raise the own priority: %s; short-lived containers may be shown by their ids",
			  strerror(errno));
}

static int block_signals(void)
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

static int run(struct vst_agent *a, const struct options *o, int signal_fd)
{
	struct vst_acting_opts acting = o->acting;
	struct vst_server *server = NULL;
	int err;

	acting.fresh = fresh;
	acting.choose = choose;
	acting.keeper = keeper;
	acting.ctx = a;
	err = vst_relay_new(&a->relay);
	if (err)
		return err;
	/* the socket first: a second agent is told so before it loads anything */
	err = vst_server_new(o->socket, a->relay, &server);
	if (err)
		return err;
	err = start_probes(a);
	err = err ?: publish(a);
	err = err ?: vst_acting_new(&acting, &a->acting);
	if (!err)
		act(a);
	vst_self_update(&a->self);
	if (err)
		vst_err("cannot start: %s; `vstorctl doctor` shows what this host has and lacks", strerror(-err));
	if (!err) {
		vst_server_acting(server, a->acting);
		a->always_fsync = o->fsync;
		follow_fsync(a);
		err = loop(a, o, signal_fd);
		notify("STOPPING=1");
	}
	vst_server_free(server);
	vst_acting_free(a->acting);
	if (!err)
		vst_info("stopped");
	return err;
}

int main(int argc, char **argv)
{
	struct options o = { .socket = VST_SOCKET_DEFAULT, .interval = 1, .budget = 20 };
	struct vst_agent a = { .started = vst_now() };
	struct utsname name;
	uint64_t random;
	int signal_fd, err;

	err = parse_options(argc, argv, &o);
	if (err)
		return err - 1;
	vst_log_open(o.verbose ? VST_LOG_DEBUG : VST_LOG_INFO);
	settle();
	err = check_host();
	if (err)
		return err;
	if (raise_files())
		return VST_EXIT_FAILED;
	a.interval = o.interval;
	a.budget.limit = o.budget;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint64_t)(a.started * 1e9) ^ getpid();
	snprintf(a.instance, sizeof(a.instance), "%016llx", (unsigned long long)random);
	if (!uname(&name))
		snprintf(a.kernel, sizeof(a.kernel), "%.64s", name.release);
	signal_fd = block_signals();
	if (signal_fd < 0) {
		vst_err("cannot receive signals: %s", strerror(errno));
		return VST_EXIT_FAILED;
	}
	err = run(&a, &o, signal_fd);
	agent_free(&a);
	close(signal_fd);
	return err ? VST_EXIT_FAILED : VST_EXIT_OK;
}
