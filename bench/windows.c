// SPDX-License-Identifier: GPL-2.0-only
/*
 * windows [-s] [-c FILE] ROUNDS MS OBJECT...: attaches BPF objects in turn, each for a short window, while a load runs beside.
 * Whatever else the machine does changes slowly against such windows, so neighbours can be compared. "-" is no object. Every
 * second round goes backwards: what grows or shrinks meanwhile is on both sides.
 *
 * Prints a line for each window: the object's place among the arguments from 0, with -s how long a run of all its programs
 * took together (ns, by the kernel's statistics) and how often the first one ran, else 0 0; with -c how many operations a second
 * the load did: the words of FILE, which count them, added up.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define PROGRAMS 8
#define SETTLE_US 10000 /* after attaching: caches, and the tables of the programs */

struct probe {
	struct bpf_object *obj; /* NULL: none */
	struct bpf_program *prog[PROGRAMS];
	struct bpf_link *link[PROGRAMS];
	int n;
};

static struct {
	const volatile unsigned long *word;
	size_t n;
} counters;

static void fail(const char *what, const char *name)
{
	fprintf(stderr, "windows: %s %s: %s\n", what, name, strerror(errno));
	exit(1);
}

static void probe_load(struct probe *p, const char *path)
{
	struct bpf_program *prog;

	if (!strcmp(path, "-"))
		return;
	p->obj = bpf_object__open_file(path, NULL);
	if (!p->obj || bpf_object__load(p->obj))
		fail("cannot load", path);
	bpf_object__for_each_program(prog, p->obj)
	{
		if (p->n < PROGRAMS)
			p->prog[p->n++] = prog;
	}
}

/* The end of a wait stands behind its begin, and is attached before it: nothing begins of which the end is not seen. */
static void probe_attach(struct probe *p)
{
	for (int i = p->n; i-- > 0;) {
		p->link[i] = bpf_program__attach(p->prog[i]);
		if (!p->link[i])
			fail("cannot attach", bpf_program__name(p->prog[i]));
	}
}

static void probe_detach(struct probe *p)
{
	for (int i = 0; i < p->n; i++)
		bpf_link__destroy(p->link[i]);
}

/* Of the kernel's statistics, so far. */
static void probe_runs(const struct probe *p, double ns[PROGRAMS], double runs[PROGRAMS])
{
	for (int i = 0; i < p->n; i++) {
		struct bpf_prog_info info = { 0 };
		__u32 len = sizeof(info);

		if (bpf_obj_get_info_by_fd(bpf_program__fd(p->prog[i]), &info, &len))
			fail("cannot ask for", bpf_program__name(p->prog[i]));
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
	unsigned long sum = 0;

	for (size_t i = 0; i < counters.n; i++)
		sum += counters.word[i];
	return sum;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void window(struct probe *p, int place, int ms, bool stats)
{
	double ns[2][PROGRAMS], runs[2][PROGRAMS], took = 0, first = 0, done, start;

	probe_attach(p);
	usleep(SETTLE_US);
	probe_runs(p, ns[0], runs[0]);
	done = counted();
	start = seconds();
	usleep(ms * 1000);
	done = (counted() - done) / (seconds() - start);
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

	while ((opt = getopt(argc, argv, "sc:")) != -1) {
		if (opt == 's')
			stats = true;
		else if (opt == 'c')
			counters_open(optarg);
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
	for (int i = 0; i < n; i++)
		probe_load(&probes[i], argv[optind + 2 + i]);
	for (int round = 0; round < rounds; round++)
		for (int i = 0, place; i < n; i++) {
			place = round % 2 ? n - 1 - i : i;
			window(&probes[place], place, ms, stats);
		}
	return 0;
}
