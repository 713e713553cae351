/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vstor-actor: the only part of vstor that changes anything outside its own process. vstord starts it with one end of a
 * socket pair and sends it steps; it journals each, writes it, and undoes everything when vstord is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "policy/actor_client.h"
#include "policy/actor_guard.h"
#include "policy/actor_msg.h"
#include "policy/actor_serve.h"
#include "policy/actor_reads.h"

enum { LOCK_WAIT_MS = 5000 };

enum mode { MODE_NONE, MODE_SERVE, MODE_REVERT, MODE_LIST, MODE_PROBE };

struct options {
	enum mode mode;
	int fd;
	bool now;
	const char *state, *cgroup_root, *sysfs;
};

static const char usage[] =
	"Usage: vstor-actor --revert [--now] | --list | --probe [--state DIR] [--cgroup-root DIR] [--sysfs DIR]\n"
	"\n"
	"Writes cgroup knobs for vstord, which starts it with --fd N, and undoes them when vstord is gone.\n"
	"  --revert           undo what a vstord and its actor left when both were killed; for ExecStopPost=\n"
	"  --now              ... also if an actor keeps the knobs for the next vstord\n"
	"  --list             show which knobs are set, from what to what, and why; changes nothing\n"
	"  --probe            show what can be set on this host, and why the rest cannot\n"
	"  --state DIR        where the journal is (" VST_STATE_DIR ")\n"
	"  --cgroup-root DIR  the cgroup hierarchy (found by its io or blkio controller)\n"
	"  --sysfs DIR        (/sys)\n"
	"  --version, --help\n"
	"Exit status: 0 nothing is left, 1 something could not be undone, 2 usage.\n";

enum {
	OPT_FD = 256,
	OPT_STATE,
	OPT_CGROUP,
	OPT_SYSFS,
	OPT_REVERT,
	OPT_NOW,
	OPT_LIST,
	OPT_PROBE,
	OPT_VERSION,
	OPT_HELP
};

static const struct option long_options[] = {
	{ "fd", required_argument, NULL, OPT_FD },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "cgroup-root", required_argument, NULL, OPT_CGROUP },
	{ "sysfs", required_argument, NULL, OPT_SYSFS },
	{ "revert", no_argument, NULL, OPT_REVERT },
	{ "now", no_argument, NULL, OPT_NOW },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "probe", no_argument, NULL, OPT_PROBE },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

/* The number of a socket that we were started with. -1: it is none. */
static int socket_number(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);
	int type;
	socklen_t len = sizeof(type);

	if (!*s || *end || n < 0 || n > 1023 || getsockopt(n, SOL_SOCKET, SO_TYPE, &type, &len) ||
	    type != SOCK_SEQPACKET)
		return -1;
	return n;
}

/* Returns -1 to go on, or the exit status. */
static int parse_options(int argc, char **argv, struct options *ret)
{
	int opt;

	*ret = (struct options){ .fd = -1, .state = VST_STATE_DIR };
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (opt) {
		case OPT_FD:
			ret->mode = MODE_SERVE;
			ret->fd = socket_number(optarg);
			if (ret->fd < 0) {
				fprintf(stderr, "vstor-actor: --fd %s: not a SOCK_SEQPACKET socket\n", optarg);
				return 2;
			}
			break;
		case OPT_STATE:
			ret->state = optarg;
			break;
		case OPT_CGROUP:
			ret->cgroup_root = optarg;
			break;
		case OPT_SYSFS:
			ret->sysfs = optarg;
			break;
		case OPT_REVERT:
			ret->mode = MODE_REVERT;
			break;
		case OPT_NOW:
			ret->now = true;
			break;
		case OPT_LIST:
			ret->mode = MODE_LIST;
			break;
		case OPT_PROBE:
			ret->mode = MODE_PROBE;
			break;
		case OPT_VERSION:
			puts("vstor-actor " VSTOR_VERSION);
			return 0;
		case OPT_HELP:
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc)
		fprintf(stderr, "vstor-actor: unexpected argument '%s'\n", argv[optind]);
	if (optind == argc && ret->mode != MODE_NONE)
		return -1;
	fputs(usage, stderr);
	return 2;
}

/* --- showing --- */

static int list(const struct options *o, const struct vst_roots *roots)
{
	char boot_id[VST_BOOT_ID_LEN + 1], name[VST_TEXT_MAX + VST_TARGET_MAX];
	struct vst_entries entries = { 0 };
	struct vst_journal_replayed replay;
	int err = vst_boot_id(roots->proc, boot_id);

	if (!err)
		err = vst_journal_peek(o->state, boot_id, &entries, &replay);
	if (err == -ENOENT) {
		printf("no journal in %s: vstor has changed nothing\n", o->state);
		return 0;
	}
	if (err) {
		vst_actor_say(3, "cannot read the journal in %s: %s", o->state, strerror(-err));
		return 1;
	}
	for (unsigned int i = 0; i < entries.n; i++) {
		const struct vst_entry *e = entries.at[i];

		printf("%s: was %s, vstor wrote %s; rule %s: %s\n", vst_knob_describe(&e->knob, name, sizeof(name)),
		       e->old, *e->pending ? e->pending : e->written, *e->rule ? e->rule : "-", *e->why ? e->why : "-");
	}
	if (replay.end == VST_REPLAY_CORRUPT || replay.end == VST_REPLAY_VERSION)
		printf("the journal in %s cannot be read beyond byte %zu: %s. Above is what is known up to there\n",
		       o->state, replay.good_len, replay.reason);
	else if (replay.end == VST_REPLAY_OTHER_BOOT)
		printf("the journal in %s was written before the last reboot, which reset all knobs but bcache's "
		       "cache_mode\n",
		       o->state);
	else if (!entries.n)
		printf("no knob is set\n");
	vst_entries_free(&entries);
	return 0;
}

static int show_probes(const struct vst_roots *roots)
{
	for (int a = 0; a < VST_ACTUATOR__N; a++) {
		const struct vst_actuator *actuator = vst_actuators[a];
		const char *attr;

		for (unsigned int i = 0; (attr = actuator->attr(i)); i++) {
			char text[VST_TEXT_MAX] = "";

			if (actuator->probe(roots, attr, "", text))
				printf("%s %s: no: %s\n", actuator->name, attr, text);
			else
				printf("%s %s: yes\n", actuator->name, attr);
		}
	}
	return 0;
}

/* --- acting --- */

/* An actor that waits for a successor: ask it to undo everything. Returns whether there was one. */
static bool ask_waiting_actor(const char *state)
{
	_cleanup_close_ int dir = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct vst_actor_msg bye = { .type = VST_MSG_GOODBYE };

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (dir < 0 || fd < 0)
		return false;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" VST_ACTOR_SOCKET, dir);
	return !connect(fd, (struct sockaddr *)&address, sizeof(address)) && !vst_actor_msg_send(fd, &bye);
}

/* The journal, or why there is none. Returns false if there is nothing to do. */
static bool open_journal(const struct options *o, struct vst_act *act)
{
	struct vst_journal *j = &act->journal;
	char boot_id[VST_BOOT_ID_LEN + 1];
	struct stat st;
	int err = vst_boot_id(act->roots.proc, boot_id);

	*j = (struct vst_journal){ .dir = -1, .fd = -1 };
	if (o->mode == MODE_REVERT) {
		if (stat(o->state, &st) && errno == ENOENT)
			return false;
		if (o->now && ask_waiting_actor(o->state))
			vst_actor_say(6, "asked the actor that waits for the next vstord to undo everything now");
	}
	if (!err)
		err = vst_journal_open(j, o->state, boot_id, LOCK_WAIT_MS);
	if (!err)
		return true;
	j->unusable = err;
	if (err == -EWOULDBLOCK)
		vst_explain(j->text,
			    "%s: another vstor-actor holds the journal: it serves a vstord, or keeps the knobs for the "
			    "next one. "
			    "Stop that vstord first%s",
			    o->state, o->mode == MODE_REVERT ? ", or use --revert --now" : "");
	else
		vst_explain(j->text, "cannot open the journal in %s: %s", o->state, strerror(-err));
	return true;
}

/* Returns whether the process may go on. */
static bool confine(void)
{
	const char *step;
	int err = vst_actor_drop_capabilities(&step);

	if (err) {
		vst_actor_say(3, "does not start, because it holds more rights than it needs: cannot %s: %s", step,
			      strerror(-err));
		return false;
	}
	err = vst_actor_filter_syscalls();
	if (err)
		vst_actor_say(4, "runs without a filter of system calls, which this kernel does not load: %s",
			      strerror(-err));
	return true;
}

static int act_on(const struct options *o, struct vst_act *act, int signals)
{
	unsigned int left;

	if (!open_journal(o, act))
		return 0;
	if (o->mode == MODE_SERVE)
		vst_reads_open();
	if (!confine())
		return 1;
	if (*act->journal.text)
		vst_actor_say(act->journal.unusable ? 3 : 4, "%s", act->journal.text);
	left = vst_actor_undo(act, o->mode == MODE_SERVE, "left by an actor that was killed");
	if (o->mode == MODE_SERVE)
		left = vst_actor_serve(act, o->fd, signals);
	left += act->journal.unusable && o->mode == MODE_REVERT && act->journal.unusable != -EWOULDBLOCK;
	vst_journal_close(&act->journal);
	vst_reads_close();
	return left != 0;
}

int main(int argc, char **argv)
{
	struct vst_act act = { .actuators = vst_actuators };
	struct options o;
	sigset_t mask;
	int signals, status = parse_options(argc, argv, &o);

	if (status >= 0)
		return status;
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (o.mode == MODE_SERVE)
		signal(SIGINT, SIG_IGN); /* of a terminal: meant for vstord, which says what to do */
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signals = signalfd(-1, &mask, SFD_CLOEXEC);
	vst_roots_open(o.cgroup_root, o.sysfs, NULL, &act.roots);
	status = o.mode == MODE_LIST	? list(&o, &act.roots)
		 : o.mode == MODE_PROBE ? show_probes(&act.roots)
					: act_on(&o, &act, signals);
	vst_roots_close(&act.roots);
	return status;
}
