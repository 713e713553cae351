/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fsync_load HOW FILE N [THREADS]: writes to FILE and makes it durable N times in each thread, and prints
 * "COUNT SUM_NS MAX_NS" as the program itself measured it, from call to return.
 *   fsync, fdatasync, msync  256 KiB are written before each, which is not measured
 *   osync                    writes with O_SYNC: what is measured is the write
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (256 * 1024)
#define BLOCKS 16

struct load {
	const char *how, *file;
	long n;
	int number;
	unsigned long long sum_ns, max_ns;
	int err;
};

static unsigned long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long long)t.tv_sec * 1000000000ULL + (unsigned long long)t.tv_nsec;
}

static void measured(struct load *l, unsigned long long begin)
{
	unsigned long long ns = now_ns() - begin;

	l->sum_ns += ns;
	if (ns > l->max_ns)
		l->max_ns = ns;
}

static int once(struct load *l, int fd, char *mem, long i)
{
	static char block[BLOCK];
	off_t at = i % BLOCKS * BLOCK;
	unsigned long long begin;
	int failed;

	if (!strcmp(l->how, "msync")) {
		mem[at] = (char)i;
		begin = now_ns();
		failed = msync(mem + at, BLOCK, MS_SYNC);
	} else if (!strcmp(l->how, "osync")) {
		begin = now_ns();
		failed = pwrite(fd, block, BLOCK, at) != BLOCK;
	} else {
		if (pwrite(fd, block, BLOCK, at) != BLOCK)
			return errno;
		begin = now_ns();
		failed = strcmp(l->how, "fsync") ? fdatasync(fd) : fsync(fd);
	}
	measured(l, begin);
	return failed ? errno : 0;
}

static void *run(void *arg)
{
	struct load *l = arg;
	char path[4096];
	char *mem;
	int fd;

	snprintf(path, sizeof(path), "%s.%d", l->file, l->number);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (strcmp(l->how, "osync") ? 0 : O_SYNC), 0600);
	if (fd < 0 || ftruncate(fd, BLOCKS * BLOCK)) {
		l->err = errno;
		return NULL;
	}
	mem = mmap(NULL, BLOCKS * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		l->err = errno;
	for (long i = 0; i < l->n && !l->err; i++)
		l->err = once(l, fd, mem, i);
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long long sum_ns = 0, max_ns = 0;
	int threads = argc > 4 ? atoi(argv[4]) : 1;
	struct load load[64];
	pthread_t thread[64];

	if (argc < 4 || threads < 1 || threads > 64 || atol(argv[3]) < 1) {
		fprintf(stderr, "usage: fsync_load fsync|fdatasync|msync|osync FILE N [THREADS]\n");
		return 2;
	}
	for (int t = 0; t < threads; t++) {
		load[t] = (struct load){ .how = argv[1], .file = argv[2], .n = atol(argv[3]), .number = t };
		if (pthread_create(&thread[t], NULL, run, &load[t])) {
			perror("fsync_load: pthread_create");
			return 1;
		}
	}
	for (int t = 0; t < threads; t++) {
		pthread_join(thread[t], NULL);
		if (load[t].err) {
			fprintf(stderr, "fsync_load: %s %s: %s\n", argv[1], argv[2], strerror(load[t].err));
			return 1;
		}
		sum_ns += load[t].sum_ns;
		max_ns = load[t].max_ns > max_ns ? load[t].max_ns : max_ns;
	}
	printf("%ld %llu %llu\n", atol(argv[3]) * threads, sum_ns, max_ns);
	return 0;
}
