// SPDX-License-Identifier: GPL-2.0-only
/*
 * bystander FSYNC-OBJECT [ROUNDS]: what other system calls lose while fsync is measured, by where its end is hooked. In
 * turns of 20 ms, with and without, on one CPU; prints the medians of the differences, and how long attaching and detaching take.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/perf_event.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define TURN_NS 20000000ULL
#define MAX_ROUNDS 1000
#define MAX_HOOKS 6

struct way {
	const char *name, *help;
	const char *tracepoint[MAX_HOOKS];
};

static const struct way ways[] = {
	{ "none", "nothing is attached: what the method itself shows", { NULL } },
	{ "exit",
	  "as vstord does: returns of fsync, fdatasync, msync",
	  { "sys_exit_fsync", "sys_exit_fdatasync", "sys_exit_msync" } },
	{ "enter+exit",
	  "calls and returns",
	  { "sys_exit_fsync", "sys_exit_fdatasync", "sys_exit_msync", "sys_enter_fsync", "sys_enter_fdatasync",
	    "sys_enter_msync" } },
	{ "raw", "raw tracepoint sys_exit: the program runs at each return", { "raw" } },
};

static int events_dir = -1, file_fd = -1;

static void die(const char *what)
{
	fprintf(stderr, "bystander: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long long)t.tv_sec * 1000000000ULL + (unsigned long long)t.tv_nsec;
}

static void open_tracefs(void)
{
	int fs = fsopen("tracefs", FSOPEN_CLOEXEC), dir;

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		die("tracefs");
	dir = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	events_dir = dir < 0 ? -1 : openat(dir, "events/syscalls", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (events_dir < 0)
		die("tracefs");
}

static struct bpf_link *attach(struct bpf_object *obj, const char *tracepoint)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	struct bpf_link *link;
	char path[64], text[32] = "";
	int fd;

	if (!strcmp(tracepoint, "raw")) {
		link = bpf_program__attach_raw_tracepoint(bpf_object__find_program_by_name(obj, "vst_fsync_ext4_end"),
							  "sys_exit");
		if (!link)
			die(tracepoint);
		return link;
	}
	snprintf(path, sizeof(path), "%s/id", tracepoint);
	fd = openat(events_dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die(tracepoint);
	close(fd);
	attr.config = strtoull(text, NULL, 10);
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		die("perf_event_open");
	link = bpf_program__attach_perf_event(bpf_object__find_program_by_name(obj, "vst_fsync_call_end"), fd);
	if (!link)
		die(tracepoint);
	return link;
}

/* ns of a call: of the fastest hundred in a turn, in which nothing else took the processor. */
static double turn(bool reads)
{
	unsigned long long begin = now_ns(), from = begin, to = begin, best = ~0ULL;
	static char block[4096];

	while (to - begin < TURN_NS) {
		from = to;
		for (int i = 0; i < 100; i++) {
			if (!reads)
				syscall(SYS_getpid);
			else if (pread(file_fd, block, sizeof(block), 0) != sizeof(block))
				die("pread");
		}
		to = now_ns();
		if (to - from < best)
			best = to - from;
	}
	return (double)best / 100;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_value);
	return v[n / 2];
}

static void measure(struct bpf_object *obj, const struct way *w, int rounds)
{
	static double without[2][MAX_ROUNDS], lost[2][MAX_ROUNDS], on[MAX_ROUNDS], off[MAX_ROUNDS];
	struct bpf_link *link[MAX_HOOKS] = { NULL };
	unsigned long long begin;
	double first[2];

	for (int r = 0; r < rounds; r++) {
		for (int k = 0; k < 2; k++)
			first[k] = turn(k);
		begin = now_ns();
		for (int i = 0; i < MAX_HOOKS && w->tracepoint[i]; i++)
			link[i] = attach(obj, w->tracepoint[i]);
		on[r] = (double)(now_ns() - begin) / 1e6;
		for (int k = 0; k < 2; k++)
			lost[k][r] = turn(k);
		begin = now_ns();
		for (int i = 0; i < MAX_HOOKS && w->tracepoint[i]; i++)
			bpf_link__destroy(link[i]);
		off[r] = (double)(now_ns() - begin) / 1e6;
		for (int k = 0; k < 2; k++) { /* the mean of before and after: the machine gets slower and faster */
			without[k][r] = (first[k] + turn(k)) / 2;
			lost[k][r] -= without[k][r];
		}
	}
	printf("%-10s getpid %6.1f + %5.1f ns, pread %6.1f + %5.1f ns, attach %6.1f ms, detach %6.1f ms  (%s)\n",
	       w->name, median(without[0], rounds), median(lost[0], rounds), median(without[1], rounds),
	       median(lost[1], rounds), median(on, rounds), median(off, rounds), w->help);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 50;
	char file[] = "/tmp/vstor-bystander-XXXXXX", block[4096] = "";
	struct bpf_object *obj;
	cpu_set_t cpu;

	if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: bystander FSYNC-OBJECT [ROUNDS], at most %d\n", MAX_ROUNDS);
		return 2;
	}
	obj = bpf_object__open_file(argv[1], NULL);
	if (!obj || bpf_object__load(obj))
		die(argv[1]);
	open_tracefs();
	file_fd = mkstemp(file);
	if (file_fd < 0 || unlink(file) || write(file_fd, block, sizeof(block)) != sizeof(block))
		die(file);
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		measure(obj, &ways[i], rounds);
	bpf_object__close(obj);
	return 0;
}
