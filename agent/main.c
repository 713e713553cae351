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

#include "agent/agent.h"
#include "features/features.h"
#include "agent/base/log.h"
#include "agent/sinks/server.h"
#include "vstor/cli.h"

#define STATS_EVERY 30 /* ticks between two moments of run-time statistics */
#define PRIORITY -10   /* nice */
#define SWEEP_EVERY 10 /* seconds between two looks for completions that did not come, a tick at least */
#define FRESH 0.005    /* seconds: a snapshot younger than this is fresh enough for a client */

struct options {
	const char *socket;
	double interval;
	double budget;
	bool verbose;
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
	       "  -v, --verbose           log more\n"
	       "  -h, --help              show this\n"
	       "      --version           show the version\n"
	       "\n"
	       "Observes only: it changes nothing on the host. Stop it with ^C or SIGTERM; nothing is left behind.\n");
}

/* 0, an exit code + 1 to leave at once, with everything said. */
static int parse_options(int argc, char **argv, struct options *o)
{
	enum { OPT_SOCKET = 256, OPT_BUDGET, OPT_VERSION };
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, OPT_SOCKET },
		{ "interval", required_argument, NULL, 'i' },
		{ "budget", required_argument, NULL, OPT_BUDGET },
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

/* Takes the events; where the ring had no room for some, cgroups came and went of which we were not told. */
static void take_events(struct vst_agent *a)
{
	__u32 lost = __atomic_load_n(&vst_probes_maps(a->probes)->state->events_lost, __ATOMIC_RELAXED);

	ring_buffer__consume(a->events);
	if (lost == a->table->events_lost)
		return;
	a->table->events_lost = lost;
	vst_owners_scan(a->owners, vst_now());
}

int vst_agent_collect(struct vst_agent *a)
{
	double begin = vst_now();
	int err;

	if (a->collected && begin - a->collected < FRESH)
		return 0;
	take_events(a);
	err = vst_devices_read(&a->devices);
	if (!err)
		err = vst_io_table_collect(a->table, a->probes, a->owners, begin);
	if (!err)
		err = vst_waits_disk_collect(a->waits_disk, a->table, a->blame, begin);
	if (!err)
		err = vst_waits_journal_collect(a->waits_journal, a->probes, a->owners, a->blame, begin);
	if (!err)
		err = vst_waits_dirty_collect(a->table, a->probes, a->owners, a->blame, begin);
	if (!err)
		err = vst_locks_collect(a->locks, a->probes, a->owners, begin);
	/* read around the table, so that the kernel's numbers at its time lie between the two */
	if (!err)
		err = vst_devices_read(&a->devices);
	a->collected = vst_now();
	vst_self_tick(&a->self, (a->collected - begin) * 1e6);
	return err;
}

static int on_event(void *arg, void *data, size_t size)
{
	struct vst_agent *a = arg;

	if (size >= sizeof(struct vst_event_cgroup))
		vst_owners_event(a->owners, data, vst_now());
	return 0;
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
		vst_agent_collect(a);
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

static void on_tick(struct vst_agent *a, unsigned int tick)
{
	int err;

	if (vst_now() - a->swept >= SWEEP_EVERY - a->interval / 2) {
		a->swept = vst_now();
		vst_probes_sweep(a->probes);
	}
	err = vst_agent_collect(a);
	if (err)
		vst_warn("cannot read the counters: %s; trying again at the next tick", strerror(-err));
	vst_owners_tick(a->owners, vst_now());
	vst_io_table_reclaim(a->table, a->probes, a->owners, vst_now());
	vst_locks_reclaim(a->locks, a->probes, a->owners, vst_now());
	vst_blame_reclaim(a->blame, vst_now());
	vst_probes_symbols(a->probes);
	vst_probes_follow(a->probes);
	follow_devices(a);
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
	SOURCE_SERVER,
};

static int add_source(int epoll_fd, int fd, enum source source)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = source };

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

/* interval: seconds; 0: it stops. */
static int timer_set(int fd, double interval)
{
	struct itimerspec when = { 0 };
	double whole;

	when.it_interval.tv_nsec = (long)(modf(interval, &whole) * 1e9);
	when.it_interval.tv_sec = (time_t)whole;
	when.it_value = when.it_interval;
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

static int loop(struct vst_agent *a, struct vst_server *server, const struct options *o, int signal_fd)
{
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC), timer_fd = timer_new(a->interval), peek_fd = timer_new(0), err;
	struct signalfd_siginfo info;
	double pause = 0;
	struct epoll_event ev;
	unsigned int tick = 0;
	uint64_t expired;

	err = epoll_fd < 0 ? -errno : timer_fd < 0 ? timer_fd : peek_fd < 0 ? peek_fd : 0;
	err = err ?: add_source(epoll_fd, signal_fd, SOURCE_SIGNAL);
	err = err ?: add_source(epoll_fd, timer_fd, SOURCE_TICK);
	err = err ?: add_source(epoll_fd, peek_fd, SOURCE_PEEK);
	err = err ?: add_source(epoll_fd, ring_buffer__epoll_fd(a->events), SOURCE_EVENTS);
	err = err ?: add_source(epoll_fd, vst_probes_late_fd(a->probes), SOURCE_LATE);
	err = err ?: add_source(epoll_fd, vst_lock_naming_fd(vst_locks_naming(a->locks)), SOURCE_NAMES);
	err = err ?: add_source(epoll_fd, vst_server_fd(server), SOURCE_SERVER);
	while (!err) {
		int n = epoll_wait(epoll_fd, &ev, 1, vst_server_timeout_ms(server));

		if (n < 0 && errno != EINTR)
			err = -errno;
		if (n == 0)
			vst_server_run(server);
		if (n <= 0)
			continue;
		if (ev.data.u32 == SOURCE_SIGNAL) {
			if (read(signal_fd, &info, sizeof(info)) == sizeof(info))
				break;
		} else if (ev.data.u32 == SOURCE_TICK) {
			if (read(timer_fd, &expired, sizeof(expired)) == sizeof(expired)) {
				on_tick(a, tick++);
				err = follow_waits(a, peek_fd, &pause);
			}
		} else if (ev.data.u32 == SOURCE_PEEK) {
			if (read(peek_fd, &expired, sizeof(expired)) == sizeof(expired))
				on_peek(a);
		} else if (ev.data.u32 == SOURCE_EVENTS) {
			ring_buffer__consume(a->events);
		} else if (ev.data.u32 == SOURCE_LATE) {
			vst_probes_late(a->probes);
			if (!vst_devices_read(&a->devices)) /* what they count begins with what they say now */
				follow_devices(a);
			vst_info("ready: observing, control socket %s", o->socket);
			notify("READY=1");
		} else if (ev.data.u32 == SOURCE_NAMES) {
			vst_lock_naming_take(vst_locks_naming(a->locks), &vst_probes_maps(a->probes)->lock);
		} else {
			vst_server_run(server);
		}
	}
	if (err)
		vst_err("the event loop failed: %s", strerror(-err));
	if (timer_fd >= 0)
		close(timer_fd);
	if (peek_fd >= 0)
		close(peek_fd);
	if (epoll_fd >= 0)
		close(epoll_fd);
	return err;
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

static int start_probes(struct vst_agent *a)
{
	struct vst_hiers hiers;
	int err;

	err = vst_owners_hiers("", &hiers);
	err = err ?: vst_devices_read(&a->devices);
	vst_devices_settings(&a->devices);
	err = err ?: vst_probes_load(&hiers, vst_devices_have_stacked(&a->devices), &a->probes);
	err = err ?: vst_owners_new("", &a->owners);
	err = err ?: vst_io_table_new(&a->table);
	err = err ?: vst_locks_new(&a->locks);
	err = err ?: vst_blame_new(&a->blame);
	err = err ?: vst_waits_disk_new(&a->waits_disk);
	err = err ?: vst_waits_journal_new(&a->waits_journal);
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
	return err;
}

static void agent_free(struct vst_agent *a)
{
	ring_buffer__free(a->events);
	vst_waits_disk_free(a->waits_disk);
	vst_waits_journal_free(a->waits_journal);
	vst_blame_free(a->blame);
	vst_io_table_free(a->table);
	vst_locks_free(a->locks);
	vst_owners_free(a->owners);
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
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int run(struct vst_agent *a, const struct options *o, int signal_fd)
{
	struct vst_server *server = NULL;
	int err;

	/* the socket first: a second agent is told so before it loads anything */
	err = vst_server_new(o->socket, a, &server);
	if (err)
		return err;
	err = start_probes(a);
	err = err ?: vst_agent_collect(a);
	vst_self_update(&a->self);
	if (err)
		vst_err("cannot start: %s; `vstorctl doctor` shows what this host has and lacks", strerror(-err));
	if (!err) {
		err = loop(a, server, o, signal_fd);
		notify("STOPPING=1");
	}
	vst_server_free(server);
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
