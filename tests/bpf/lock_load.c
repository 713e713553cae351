/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Processes that wait for locks, for tests and measurements.
 *
 *	lock_load churn DIR PROCESSES FILES	each makes, renames and removes FILES files in DIR: the directory's i_rwsem
 *	lock_load hold FILE ROUNDS MIB		writes MIB with one call, ROUNDS times: holds the file's i_rwsem for that long
 *	lock_load wait FILE			writes one byte at a time until it is killed
 *	lock_load sleep FILE ROUNDS MS		writes a byte that takes MS to come, ROUNDS times: sleeps with the file's i_rwsem,
 *						or, if it is a FIFO, with the pipe's mutex
 *	lock_load spin PROCESSES ROUNDS [CGROUP]...
 *						duplicate and close a descriptor of a table that all have: its spinlock
 *	lock_load mm ROUNDS MIB CGROUP CGROUP	two processes with one memory, the first changes what it may do with MIB of
 *						it, the second asks what is in it: mmap_lock
 *	lock_load read FILE PROCESSES ROUNDS	read on in one open file: the mutex of its position
 *	lock_load fork PROCESSES ROUNDS		start and end processes: tasklist_lock and others
 *
 * With "--count FILE" before the command the processes that do something ROUNDS or FILES times count there how often they did, each
 * in a line of the cache of its own, and end with the one that started them: so that their speed can be watched.
 *
 * A CGROUP is a directory that a process moves to. Prints how many operations were done; of what holds a lock, how many
 * microseconds it did.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "lock_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void wait_for_all(void)
{
	int status, failed = 0;

	while (wait(&status) > 0)
		failed |= status;
	if (failed)
		exit(1);
}

/* --- processes whose work can be watched --- */

#define COUNTERS 4096 /* bytes, a line for each process */

static volatile unsigned long *counter; /* of this process */

static void count_in(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR, 0600);

	if (fd < 0 || ftruncate(fd, COUNTERS))
		fail(path);
	counter = mmap(NULL, COUNTERS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counter == MAP_FAILED)
		fail(path);
}

static void count_one(void)
{
	if (counter)
		++*counter;
}

/* That many processes, each of which does it so many times. */
static void in_processes(int processes, void (*run)(long), long rounds)
{
	int i;

	for (i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (counter)
			counter += i * 64 / sizeof(*counter) % (COUNTERS / sizeof(*counter));
		run(rounds);
		exit(0);
	}
	wait_for_all();
	printf("%ld\n", processes * rounds);
}

static const char *churned;

static void churn(long files)
{
	char from[512], to[512];
	long i;
	int fd;

	for (i = 0; i < files; i++) {
		snprintf(from, sizeof(from), "%s/a%d-%ld", churned, (int)getpid(), i);
		snprintf(to, sizeof(to), "%s/b%d-%ld", churned, (int)getpid(), i);
		fd = open(from, O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			fail(from);
		close(fd);
		if (rename(from, to) || unlink(to))
			fail(to);
		count_one();
	}
}

static int open_file(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR, 0600);

	if (fd < 0)
		fail(path);
	return fd;
}

static void hold(const char *path, long rounds, size_t mib)
{
	char *buf = calloc(mib, 1 << 20);
	int fd = open_file(path);
	long i;

	if (!buf)
		fail("memory");
	for (i = 0; i < rounds; i++)
		if (pwrite(fd, buf, mib << 20, 0) != (ssize_t)(mib << 20))
			fail(path);
	printf("%ld\n", rounds);
	free(buf);
}

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	stop = 1;
}

static void wait_for(const char *path)
{
	struct sigaction on = { .sa_handler = on_signal };
	int fd = open_file(path);
	long n = 0;

	sigaction(SIGTERM, &on, NULL);
	for (; !stop; n++)
		if (pwrite(fd, "x", 1, 0) != 1)
			fail(path);
	printf("%ld\n", n);
}

static long microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* --- a page that comes late: whoever copies from it sleeps, with all the locks that it has --- */

static struct {
	int fd, ms;
	void *page;
	long slept_us;
} late;

static void *late_serve(void *arg)
{
	struct uffdio_zeropage fill = { .range = { (uintptr_t)late.page, 4096 } };
	struct uffd_msg msg;
	long start;

	while (read(late.fd, &msg, sizeof(msg)) == sizeof(msg)) {
		start = microseconds();
		usleep(late.ms * 1000);
		if (ioctl(late.fd, UFFDIO_ZEROPAGE, &fill))
			fail("UFFDIO_ZEROPAGE");
		late.slept_us += microseconds() - start;
	}
	return NULL;
}

static void late_make(int ms)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	pthread_t server;

	late.ms = ms;
	late.page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	late.fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	range.range.start = (uintptr_t)late.page;
	range.range.len = 4096;
	if (late.page == MAP_FAILED || late.fd < 0 || ioctl(late.fd, UFFDIO_API, &api) ||
	    ioctl(late.fd, UFFDIO_REGISTER, &range) || pthread_create(&server, NULL, late_serve, NULL))
		fail("userfaultfd");
}

static void sleep_in(const char *path, long rounds, int ms)
{
	int fd = open_file(path);

	late_make(ms);
	for (; rounds; rounds--) {
		lseek(fd, 0, SEEK_SET); /* a pipe has no position */
		if (write(fd, late.page, 1) != 1 || madvise(late.page, 4096, MADV_DONTNEED))
			fail(path);
	}
	printf("%ld\n", late.slept_us);
}

/* --- processes that have their memory and their files in common; so no more than a system call each --- */

#define STACK 65536

static void join(const char *cgroup)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail(path);
	close(fd);
}

static void start(int (*run)(void *), void *arg)
{
	char *stack = malloc(STACK);

	if (!stack || clone(run, stack + STACK, CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD, arg) < 0)
		fail("clone");
}

static struct {
	long rounds;
	char *memory;
} common;

static int spin_one(void *cgroup)
{
	long i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cgroup)
		join(cgroup);
	for (i = common.rounds; i; i--)
		if (close(dup(STDOUT_FILENO)))
			return 1;
	return 0;
}

static void spin(int processes, long rounds, char **cgroups, int n)
{
	int i;

	common.rounds = rounds;
	for (i = 0; i < processes; i++)
		start(spin_one, i < n ? cgroups[i] : NULL);
	wait_for_all();
	printf("%ld\n", processes * rounds);
}

static int mm_wait(void *cgroup)
{
	unsigned char there;

	join(cgroup);
	while (!stop)
		if (mincore(common.memory, 4096, &there))
			return 1;
	return 0;
}

static void mm(long rounds, size_t mib, const char *holder, char *waiter)
{
	size_t size = mib << 20;
	long held, i;

	common.memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (common.memory == MAP_FAILED)
		fail("mmap");
	join(holder);
	start(mm_wait, waiter);
	held = microseconds();
	for (i = 0; i < rounds; i++)
		if (mprotect(common.memory, size, i & 1 ? PROT_READ | PROT_WRITE : PROT_READ))
			fail("mprotect");
	held = microseconds() - held;
	stop = 1;
	wait_for_all();
	printf("%ld\n", held);
}

/* --- others --- */

static int common_file;

/* An open file has one position, so whoever reads on waits for who reads. */
static void read_on(long rounds)
{
	static char buf[1 << 16];

	for (; rounds; rounds--) {
		ssize_t n = read(common_file, buf, sizeof(buf));

		if (n < 0 || (!n && lseek(common_file, 0, SEEK_SET)))
			fail("read");
		count_one();
	}
}

static void fork_one(long rounds)
{
	for (; rounds; rounds--) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
		count_one();
	}
}

int main(int argc, char **argv)
{
	const char *what;

	if (argc > 2 && !strcmp(argv[1], "--count")) {
		count_in(argv[2]);
		argc -= 2;
		argv += 2;
	}
	what = argc < 2 ? "" : argv[1];
	if (argc == 5 && !strcmp(what, "churn")) {
		churned = argv[2];
		in_processes(atoi(argv[3]), churn, atol(argv[4]));
	} else if (argc == 5 && !strcmp(what, "hold")) {
		hold(argv[2], atol(argv[3]), (size_t)atol(argv[4]));
	} else if (argc == 3 && !strcmp(what, "wait")) {
		wait_for(argv[2]);
	} else if (argc == 5 && !strcmp(what, "sleep")) {
		sleep_in(argv[2], atol(argv[3]), atoi(argv[4]));
	} else if (argc >= 4 && !strcmp(what, "spin")) {
		spin(atoi(argv[2]), atol(argv[3]), argv + 4, argc - 4);
	} else if (argc == 6 && !strcmp(what, "mm")) {
		mm(atol(argv[2]), (size_t)atol(argv[3]), argv[4], argv[5]);
	} else if (argc == 5 && !strcmp(what, "read")) {
		common_file = open_file(argv[2]);
		in_processes(atoi(argv[3]), read_on, atol(argv[4]));
	} else if (argc == 4 && !strcmp(what, "fork")) {
		in_processes(atoi(argv[2]), fork_one, atol(argv[3]));
	} else {
		return 2;
	}
	return 0;
}
