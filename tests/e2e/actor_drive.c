/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vstord of a few lines, for tests of vstor-actor: uses the same client as vstord, takes commands on stdin and prints
 * what happens, a line each, fields separated by tabs.
 *	actor_drive PROGRAM STATE-DIR HANDOVER-SECONDS [CGROUP-ROOT [SYSFS]]
 * Commands: step ID ACTUATOR TARGET ATTR KEY VALUE, revert ID ACTUATOR TARGET ATTR KEY, revert-all, list, forget, status,
 * stop, keep; fields are separated by tabs. End of file: ends at once, as if killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "policy/actor_client.h"

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void print_status(const char *what, const struct vst_actor_status *s)
{
	static const char *const states[] = { "down", "starting", "ready", "refusing" };

	printf("%s\t%s\tpid=%d\tadopted=%d\tknobs=%u\tstarts=%u\tdeaths=%u\twrites=%lu\treverts=%lu\tconflicts=%lu\t"
	       "in_flight=%u\t%s\n",
	       what, states[s->state], s->pid ? s->pid : s->adopted_pid, s->adopted, s->knobs, s->starts, s->deaths,
	       (unsigned long)s->writes, (unsigned long)s->reverts, (unsigned long)s->conflicts, s->in_flight, s->text);
}

static void print_outcome(const char *what, const struct vst_outcome *o)
{
	printf("%s\t%lu\t%s\t%d\t%s\t%s\t%s\told=%s\tnow=%s\twritten=%s\tconflicts=%u\ttarget_id=%lu\t%s\n", what,
	       (unsigned long)o->id, vst_knob_state_name(o->state), o->result, o->knob.target, o->knob.attr,
	       o->knob.key, o->old, o->now, o->written, o->conflicts, (unsigned long)o->knob.target_id, o->text);
}

static void on_ready(void *ctx, const struct vst_actor_status *s)
{
	print_status("ready", s);
}

static void on_lost(void *ctx, const struct vst_actor_status *s)
{
	print_status("lost", s);
}

static void on_knob(void *ctx, const struct vst_outcome *o)
{
	print_outcome("knob", o);
}

static void on_outcome(void *ctx, const struct vst_outcome *o)
{
	print_outcome("outcome", o);
}

static void on_list_end(void *ctx)
{
	puts("end");
}

/* Fields of a line, split in place. */
static int split(char *line, char *field[], int max)
{
	int n = 0;

	for (char *f; n < max && (f = strsep(&line, "\t"));)
		field[n++] = f;
	return n;
}

static int send_step(struct vst_actor *a, char *f[], int n)
{
	struct vst_step step = { 0 };

	if (n < 6 || vst_knob_init(&step.knob, atoi(f[2]), f[3], 0, f[4], f[5]))
		return -EINVAL;
	step.id = strtoull(f[1], NULL, 10);
	snprintf(step.wanted, sizeof(step.wanted), "%s", n > 6 ? f[6] : "");
	strcpy(step.rule, "drive");
	strcpy(step.why, "a test asked for it");
	return vst_actor_step(a, &step);
}

/* Returns the exit status, or -1 to go on. */
static int run(struct vst_actor *a, char *line)
{
	struct vst_actor_status status;
	char *f[8];
	int n = split(line, f, 8), err = 0;

	if (!strcmp(f[0], "step") || !strcmp(f[0], "revert")) {
		err = send_step(a, f, n);
	} else if (!strcmp(f[0], "revert-all")) {
		err = vst_actor_revert_all(a);
	} else if (!strcmp(f[0], "list")) {
		err = vst_actor_list(a);
	} else if (!strcmp(f[0], "forget")) {
		err = vst_actor_forget_conflicts(a);
	} else if (!strcmp(f[0], "status")) {
		vst_actor_get_status(a, &status);
		print_status("status", &status);
	} else if (!strcmp(f[0], "stop") || !strcmp(f[0], "keep")) {
		err = vst_actor_stop(a, !strcmp(f[0], "keep"), 5000);
		printf("stopped\t%s\n", strerror(-err));
		return err ? 1 : 0;
	} else {
		err = -EINVAL;
	}
	if (err)
		printf("error\t%s\t%s\n", f[0], strerror(-err));
	return -1;
}

/* Runs the complete lines of buf and moves the rest to its start. Returns the exit status, or -1. */
static int run_lines(struct vst_actor *a, char *buf, size_t *len)
{
	char *line = buf, *end;
	int status = -1;

	while (status < 0 && (end = memchr(line, '\n', buf + *len - line))) {
		*end = 0;
		status = run(a, line);
		line = end + 1;
	}
	*len -= line - buf;
	memmove(buf, line, *len);
	return status;
}

int main(int argc, char **argv)
{
	static const struct vst_actor_events events = {
		.ready = on_ready,
		.knob = on_knob,
		.list_end = on_list_end,
		.outcome = on_outcome,
		.lost = on_lost,
	};
	struct vst_actor_opts opts = { 0 };
	struct vst_actor *a;
	char buf[65536];
	size_t len = 0;
	int status = -1;

	if (argc < 4)
		return 2;
	opts.program = argv[1];
	opts.state_dir = argv[2];
	opts.handover_s = atoi(argv[3]);
	opts.cgroup_root = argc > 4 && *argv[4] ? argv[4] : NULL;
	opts.sysfs = argc > 5 ? argv[5] : NULL;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (vst_actor_start(&opts, &events, NULL, &a))
		return 1;
	while (status < 0) {
		struct pollfd p[] = { { vst_actor_fd(a), POLLIN, 0 }, { 0, POLLIN, 0 } };
		int64_t due = vst_actor_due_us(a), now = now_us();

		poll(p, 2, due == INT64_MAX ? -1 : due <= now ? 0 : (due - now) / 1000 + 1);
		vst_actor_process(a, now_us());
		if (p[1].revents) {
			ssize_t n = read(0, buf + len, sizeof(buf) - len);

			if (n <= 0)
				return 3;
			len += n;
			status = run_lines(a, buf, &len);
		}
	}
	return status;
}
