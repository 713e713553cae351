// SPDX-License-Identifier: GPL-2.0-only
/*
 * A database that writes blocks at random places of a file and calls fsync after each. Prints a line for each fsync: when it
 * ended (seconds since 1970) and how long it took (microseconds). The caller cuts windows out of this log, so one process
 * works through all phases: fio takes seconds to start in an emulated guest, and in these a policy finds nobody to protect.
 *
 * usage: database FILE MB   (until SIGTERM)
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 8192

static volatile sig_atomic_t stop;

static void on_term(int signal)
{
	(void)signal;
	stop = 1;
}

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int fail(const char *what, const char *file)
{
	fprintf(stderr, "database: cannot %s %s: %s\n", what, file, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	char block[BLOCK];
	long blocks;
	double begin, flushed = 0;
	int fd;

	if (argc != 3 || (blocks = atol(argv[2]) * 1024 * 1024 / BLOCK) <= 0) {
		fprintf(stderr, "usage: database FILE MB\n");
		return 2;
	}
	signal(SIGTERM, on_term);
	memset(block, 'x', sizeof(block));
	srandom(1);
	fd = open(argv[1], O_WRONLY | O_CREAT, 0600);
	if (fd < 0)
		return fail("open", argv[1]);
	while (!stop) {
		if (pwrite(fd, block, sizeof(block), random() % blocks * BLOCK) != sizeof(block))
			return fail("write", argv[1]);
		begin = now(CLOCK_MONOTONIC);
		if (fsync(fd))
			return fail("fsync", argv[1]);
		printf("%.6f %.0f\n", now(CLOCK_REALTIME), (now(CLOCK_MONOTONIC) - begin) * 1e6);
		if (begin - flushed > 0.5) {
			fflush(stdout);
			flushed = begin;
		}
	}
	return 0;
}
