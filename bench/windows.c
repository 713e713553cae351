// SPDX-License-Identifier: GPL-2.0-only
/*
 * windows [-s] [-c FILE | -d DISK] ROUNDS MS OBJECT...: attaches probes in turn, each for a short window, while a load runs
 * beside. Whatever else the machine does changes slowly against such windows, so neighbours can be compared. Every second
 * round goes backwards: what grows or shrinks meanwhile is on both sides. An OBJECT is
 *	FILE	a BPF object, with tp_btf programs only
 *	@PID	a program that has attached its probes to tracepoints: they are taken over with their maps, and it is ended.
 *		The kernel does not say what is attached to functions (fentry, fexit): such a program would be compared by half
 *	-	nothing
 *
 * Prints a line for each window: the object's place among the arguments from 0, with -s how long a run of all its programs
 * took together (ns, by the kernel's statistics) and how often the first one that was attached ran, else 0 0; with -c or -d how many
 * operations a second the load did: the words of FILE, which count them, added up, or reads and writes of DISK.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define PROGRAMS 64
#define SETTLE_US 10000	   /* after attaching: caches, and the tables of the programs */
#define ENDED_US 500000	   /* until the kernel has taken down what a program that ended had attached */
#define ENDS_WITHIN_S 10.0 /* a program that was told to */

struct program {
	int fd;
	int event; /* id of the tracepoint that it is attached to as a perf event; 0: it knows its tracepoint itself */
	const char *raw_tp; /* name of its tracepoint, if it is of the kind that does not know it */
	int link;
};

struct probe {
	struct program prog[PROGRAMS];
	int n;
};

static struct {
	const volatile unsigned long *word;
	size_t n;
	char disk[64]; /* its file of statistics, if that is asked for */
} counters;

static void fail(const char *what, const char *name)
{
	fprintf(stderr, "windows: %s %s: %s\n", what, name, strerror(errno));
	exit(1);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* --- the probes --- */

static void probe_add(struct probe *p, struct program prog, const char *of)
{
	errno = E2BIG;
	if (p->n == PROGRAMS)
		fail("too many programs", of);
	p->prog[p->n++] = prog;
}

/* The end of a wait stands behind its begin, and is attached before it: nothing begins of which the end is not seen. */
static void probe_load(struct probe *p, const char *path)
{
	struct bpf_object *obj = bpf_object__open_file(path, NULL);
	struct bpf_program *prog = NULL;

	if (!obj || bpf_object__load(obj))
		fail("cannot load", path);
	while ((prog = bpf_object__prev_program(obj, prog)))
		probe_add(p, (struct program){ .fd = bpf_program__fd(prog) }, path);
}

/* The number by which a perf event names a tracepoint. */
static int event_of(const char *tracepoint)
{
	char pattern[192];
	glob_t found;
	int id = 0;
	FILE *f;

	snprintf(pattern, sizeof(pattern), "/sys/kernel/tracing/events/*/%s/id", tracepoint);
	if (glob(pattern, 0, NULL, &found) || !(f = fopen(found.gl_pathv[0], "r")) || fscanf(f, "%d", &id) != 1)
		fail("cannot read", pattern);
	fclose(f);
	globfree(&found);
	return id;
}

/* What a descriptor of a running program has attached, if anything. */
static void probe_take_fd(struct probe *p, int pid, int fd, const char *of)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info), name_len, id, type;
	struct program prog = { 0 };
	__u64 offset, addr;
	char name[128];

	name_len = sizeof(name);
	if (bpf_task_fd_query(pid, fd, 0, name, &name_len, &id, &type, &offset, &addr))
		return;
	prog.fd = bpf_prog_get_fd_by_id(id);
	if (prog.fd < 0 || bpf_obj_get_info_by_fd(prog.fd, &info, &len))
		fail("cannot take a program of", of);
	errno = EOPNOTSUPP;
	if (type == BPF_FD_TYPE_TRACEPOINT)
		prog.event = event_of(name);
	else if (type != BPF_FD_TYPE_RAW_TRACEPOINT)
		fail("a program is not on a tracepoint,", of);
	else if (info.type != BPF_PROG_TYPE_TRACING)
		prog.raw_tp = strdup(name);
	probe_add(p, prog, of);
}

static void probe_take(struct probe *p, const char *of)
{
	int pid = atoi(of + 1);
	struct dirent *entry;
	char path[64];
	double start;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		fail("cannot open", path);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			probe_take_fd(p, pid, atoi(entry->d_name), of);
	closedir(dir);
	errno = ENOENT;
	if (!p->n)
		fail("no programs of", of);
	kill(pid, SIGTERM);
	for (start = seconds(); !kill(pid, 0); usleep(10000)) {
		errno = ETIMEDOUT;
		if (seconds() - start > ENDS_WITHIN_S)
			fail("waited for the end of", of);
	}
}

static int event_open(int event, int prog_fd)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = event,
		.sample_period = 1,
	};
	/* on one CPU: the program is run on all of them */
	int fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return -1;
	if (!ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog_fd) && !ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))
		return fd;
	close(fd);
	return -1;
}

static void probe_attach(struct probe *p)
{
	for (int i = 0; i < p->n; i++) {
		struct program *prog = &p->prog[i];

		prog->link = prog->event ? event_open(prog->event, prog->fd)
					 : bpf_raw_tracepoint_open(prog->raw_tp, prog->fd);
		if (prog->link < 0)
			fail("cannot attach", "a program");
	}
}

static void probe_detach(struct probe *p)
{
	for (int i = 0; i < p->n; i++)
		close(p->prog[i].link);
}

/* Of the kernel's statistics, so far. */
static void probe_runs(const struct probe *p, double ns[PROGRAMS], double runs[PROGRAMS])
{
	for (int i = 0; i < p->n; i++) {
		struct bpf_prog_info info = { 0 };
		__u32 len = sizeof(info);

		if (bpf_obj_get_info_by_fd(p->prog[i].fd, &info, &len))
			fail("cannot ask for", "a program");
		ns[i] = info.run_time_ns;
		runs[i] = info.run_cnt;
	}
}

static void counters_open(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		fail("cannot open", path);
	counters.n = st.st_size / sizeof(*counters.word);
	counters.word = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (counters.word == MAP_FAILED)
		fail("cannot map", path);
}

static double counted(void)
{
	unsigned long sum = 0, reads, writes;
	FILE *f;

	if (counters.disk[0]) {
		f = fopen(counters.disk, "r");
		if (!f || fscanf(f, "%lu %*u %*u %*u %lu", &reads, &writes) != 2)
			fail("cannot read", counters.disk);
		fclose(f);
		return reads + writes;
	}
	for (size_t i = 0; i < counters.n; i++)
		sum += counters.word[i];
	return sum;
}

static void window(struct probe *p, int place, int ms, bool stats)
{
	double ns[2][PROGRAMS], runs[2][PROGRAMS], took = 0, first = 0, done, start;

	probe_attach(p);
	usleep(SETTLE_US);
	if (stats)
		probe_runs(p, ns[0], runs[0]);
	done = counted();
	start = seconds();
	usleep(ms * 1000);
	done = (counted() - done) / (seconds() - start);
	if (stats)
		probe_runs(p, ns[1], runs[1]);
	probe_detach(p);
	for (int i = 0; stats && i < p->n; i++) {
		double n = runs[1][i] - runs[0][i];

		first = i ? first : n;
		took += n > 0 ? (ns[1][i] - ns[0][i]) / n : 0;
	}
	printf("%d %.1f %.0f %.0f\n", place, took, first, done);
}

int main(int argc, char **argv)
{
	int opt, rounds, ms, n;
	struct probe *probes;
	bool stats = false;

	while ((opt = getopt(argc, argv, "sc:d:")) != -1) {
		if (opt == 's')
			stats = true;
		else if (opt == 'c')
			counters_open(optarg);
		else if (opt == 'd')
			snprintf(counters.disk, sizeof(counters.disk), "/sys/block/%s/stat", optarg);
		else
			return 2;
	}
	n = argc - optind - 2;
	if (n < 1)
		return 2;
	rounds = atoi(argv[optind]);
	ms = atoi(argv[optind + 1]);
	probes = calloc(n, sizeof(*probes));
	/* the statistics end with this process, which has the descriptor */
	if (!probes || (stats && bpf_enable_stats(BPF_STATS_RUN_TIME) < 0))
		fail("cannot switch on", "the run-time statistics");
	for (int i = 0; i < n; i++) {
		const char *object = argv[optind + 2 + i];

		if (object[0] == '@')
			probe_take(&probes[i], object);
		else if (strcmp(object, "-"))
			probe_load(&probes[i], object);
	}
	usleep(ENDED_US);
	for (int round = 0; round < rounds; round++)
		for (int i = 0, place; i < n; i++) {
			place = round % 2 ? n - 1 - i : i;
			window(&probes[place], place, ms, stats);
		}
	return 0;
}
