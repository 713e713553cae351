/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Processes that wait for locks, for tests and measurements.
 *
 *	lock_load churn DIR PROCESSES FILES	each makes, renames and removes FILES files in DIR: the directory's i_rwsem
 *	lock_load hold FILE ROUNDS MIB		writes MIB with one call, ROUNDS times: holds the file's i_rwsem for that long
 *	lock_load wait FILE			writes one byte at a time until it is killed
 *	lock_load spin THREADS ROUNDS		duplicate and close a descriptor: the spinlock of the process's file table
 *
 * Prints how many operations were done.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "lock_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void churn_one(const char *dir, int id, long files)
{
	char from[512], to[512];
	long i;
	int fd;

	for (i = 0; i < files; i++) {
		snprintf(from, sizeof(from), "%s/a%d-%ld", dir, id, i);
		snprintf(to, sizeof(to), "%s/b%d-%ld", dir, id, i);
		fd = open(from, O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			fail(from);
		close(fd);
		if (rename(from, to) || unlink(to))
			fail(to);
	}
}

static void churn(const char *dir, int processes, long files)
{
	int status, i, failed = 0;

	for (i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (pid)
			continue;
		churn_one(dir, (int)getpid(), files);
		exit(0);
	}
	while (wait(&status) > 0)
		failed |= status;
	if (failed)
		exit(1);
	printf("%ld\n", processes * files * 3);
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

static void *spin_one(void *rounds)
{
	long i;

	for (i = *(long *)rounds; i; i--)
		if (close(dup(STDOUT_FILENO)))
			fail("dup");
	return NULL;
}

static void spin(int threads, long rounds)
{
	pthread_t *t = calloc(threads, sizeof(*t));
	int i;

	for (i = 0; i < threads; i++)
		if (!t || pthread_create(&t[i], NULL, spin_one, &rounds))
			fail("thread");
	for (i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	free(t);
	printf("%ld\n", threads * rounds);
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "churn"))
		churn(argv[2], atoi(argv[3]), atol(argv[4]));
	else if (argc == 5 && !strcmp(argv[1], "hold"))
		hold(argv[2], atol(argv[3]), (size_t)atol(argv[4]));
	else if (argc == 3 && !strcmp(argv[1], "wait"))
		wait_for(argv[2]);
	else if (argc == 4 && !strcmp(argv[1], "spin"))
		spin(atoi(argv[2]), atol(argv[3]));
	else
		return 2;
	return 0;
}
