// SPDX-License-Identifier: GPL-2.0-only
/*
 * tenants DEVICE DIR...: a process in each of these cgroups, that reads and writes a block of the device, directly, once
 * a second, spread evenly over it. When it is ended (SIGTERM) it prints for each: DIR, and the I/Os that were done.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/fs.h>

#define BLOCK 4096
#define NS 1000000000LL

struct shared {
	volatile int stop;
	volatile int ready;
	volatile uint64_t ios[];
};

static void fail(const char *what, const char *of)
{
	fprintf(stderr, "tenants: cannot %s %s: %s\n", what, of, strerror(errno));
	exit(1);
}

static void enter(const char *dir)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail("enter the cgroup", dir);
	close(fd);
}

static void tenant(struct shared *s, int i, int n, const char *device, const char *dir)
{
	struct timespec next;
	uint64_t blocks;
	int64_t ns;
	void *buf;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	enter(dir);
	fd = open(device, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &blocks))
		fail("open", device);
	blocks /= BLOCK;
	if (posix_memalign(&buf, BLOCK, BLOCK))
		exit(1);
	memset(buf, i, BLOCK);
	srandom(i);
	clock_gettime(CLOCK_MONOTONIC, &next);
	ns = next.tv_nsec + NS * i / n;
	__sync_fetch_and_add(&s->ready, 1);
	while (!s->stop) {
		next.tv_sec += ns / NS;
		next.tv_nsec = ns % NS;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		ns = next.tv_nsec + NS;
		if (s->stop)
			break;
		if (pread(fd, buf, BLOCK, random() % blocks * BLOCK) != BLOCK)
			fail("read", device);
		s->ios[i]++;
		if (pwrite(fd, buf, BLOCK, random() % blocks * BLOCK) != BLOCK)
			fail("write", device);
		s->ios[i]++;
	}
	exit(0);
}

int main(int argc, char **argv)
{
	int n = argc - 2, i, status, failed = 0, sig;
	struct shared *s;
	sigset_t set;
	pid_t pid;

	if (n < 1) {
		fprintf(stderr, "usage: tenants DEVICE DIR...\n");
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s = mmap(NULL, sizeof(*s) + n * sizeof(s->ios[0]), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		fail("map", "memory");
	for (i = 0; i < n; i++) {
		pid = fork();
		if (pid < 0)
			fail("fork for", argv[i + 2]);
		if (!pid)
			tenant(s, i, n, argv[1], argv[i + 2]);
	}
	while (s->ready < n && waitpid(-1, NULL, WNOHANG) == 0)
		usleep(10000);
	if (s->ready < n)
		return 1;
	fprintf(stderr, "ready\n");
	sigwait(&set, &sig);
	s->stop = 1;
	while (wait(&status) > 0)
		failed |= status;
	for (i = 0; i < n; i++)
		printf("%s %llu\n", argv[i + 2], (unsigned long long)s->ios[i]);
	return failed ? 1 : 0;
}
