// SPDX-License-Identifier: GPL-2.0-only
/*
 * What containers do to each other at a disk, until SIGTERM: then it prints how often.
 *   disk_load read DEVICE DEPTH KIB   direct reads here and there, DEPTH at a time
 *   disk_load fsync DIRECTORY MS      a tiny file, synced, over and over, with a pause
 *   disk_load touch DIRECTORY MS      the same, never synced
 *   disk_load meta DIRECTORY          makes and removes files
 *   disk_load dirty FILE MIB          writes the file through the page cache, from the beginning again and again
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1024 * 1024)
#define FILES 256 /* of one directory at a time */

static volatile sig_atomic_t over;
static const char *path;
static size_t size;
static uint64_t blocks, count;

static void on_term(int sig)
{
	over = true;
}

static void die(const char *what)
{
	fprintf(stderr, "disk_load: %s %s: %s\n", what, path, strerror(errno));
	exit(1);
}

static void done(void)
{
	__atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
}

static void *reads(void *arg)
{
	unsigned int seed = (uintptr_t)arg;
	int fd = open(path, O_RDONLY | O_DIRECT);
	void *buf;

	if (fd < 0 || posix_memalign(&buf, 4096, size))
		die("open");
	while (!over) {
		uint64_t at = ((uint64_t)rand_r(&seed) << 16 ^ rand_r(&seed)) % blocks;

		if (pread(fd, buf, size, at * size) != (ssize_t)size)
			die("read");
		done();
	}
	free(buf);
	close(fd);
	return NULL;
}

static void read_all(int depth)
{
	pthread_t *threads = calloc(depth, sizeof(*threads));
	int fd = open(path, O_RDONLY), i;

	if (fd < 0 || !threads)
		die("open");
	blocks = lseek(fd, 0, SEEK_END) / size;
	close(fd);
	for (i = 0; i < depth; i++)
		if (!blocks || pthread_create(&threads[i], NULL, reads, (void *)(uintptr_t)(getpid() + i)))
			die("a thread for");
	for (i = 0; i < depth; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

static int file_new(unsigned int i)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "f%u-%u", getpid(), i);
	unlink(name);
	fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	if (fd < 0)
		die("a file in");
	return fd;
}

static void tiny_files(unsigned int ms, bool sync)
{
	int fd;

	while (!over) {
		fd = file_new(0);
		if (write(fd, "tiny", 4) != 4 || (sync && fsync(fd)))
			die("a tiny file in");
		close(fd);
		done();
		usleep(ms * 1000);
	}
}

/* Directories of their own: each has a block, and a bitmap here and there. */
static void metas(void)
{
	char name[64];

	for (unsigned int i = 0; !over; i = (i + 1) % FILES) {
		snprintf(name, sizeof(name), "d%u-%u", getpid(), i);
		if (rmdir(name) && errno != ENOENT)
			die("rmdir in");
		if (mkdir(name, 0700))
			die("mkdir in");
		close(file_new(i));
		done();
	}
}

static void dirties(size_t mib)
{
	char *buf = calloc(1, MIB);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	if (fd < 0 || !buf)
		die("open");
	for (size_t i = 0; !over; i = (i + 1) % mib) {
		if (pwrite(fd, buf, MIB, i * MIB) != MIB)
			die("write");
		done();
	}
	close(fd);
	free(buf);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	struct sigaction term = { .sa_handler = on_term };

	sigaction(SIGTERM, &term, NULL);
	path = argv[2];
	if (!strcmp(what, "read") && argc == 5) {
		size = strtoul(argv[4], NULL, 0) * 1024;
		read_all(atoi(argv[3]));
	} else if ((!strcmp(what, "fsync") || !strcmp(what, "touch")) && argc == 4) {
		if (chdir(path))
			die("chdir");
		tiny_files(atoi(argv[3]), what[0] == 'f');
	} else if (!strcmp(what, "meta") && argc == 3) {
		if (chdir(path))
			die("chdir");
		metas();
	} else if (!strcmp(what, "dirty") && argc == 4) {
		dirties(strtoul(argv[3], NULL, 0));
	} else {
		fprintf(stderr, "usage: see the source's first lines\n");
		return 2;
	}
	printf("%llu\n", (unsigned long long)count);
	return 0;
}
