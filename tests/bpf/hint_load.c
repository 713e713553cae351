// SPDX-License-Identifier: GPL-2.0-only
/*
 * hint_load HOW FILE: 64 MiB of a file in calls of 64 KiB, in the way that HOW says: words of the list below. Classes go
 * round from 0 to 5 with each MiB, or are CLASS=N.
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <vstor/hint.h>

#ifndef F_SET_RW_HINT
#define F_SET_RW_HINT (1024 + 12)
#endif

#define CALL 65536
#define SIZE (64L << 20)

static const char *how;

static int has(const char *word)
{
	const char *at = strstr(how, word);

	return at && (at == how || at[-1] == ',');
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* One request with the class as its own I/O priority. */
static ssize_t aio(int fd, int op, char *buf, off_t off, int class)
{
	static aio_context_t ctx;
	struct iocb cb = { .aio_fildes = (__u32)fd, .aio_lio_opcode = (__u16)op, .aio_buf = (__u64)(size_t)buf };
	struct iocb *list = &cb;
	struct io_event event;

	cb.aio_nbytes = CALL;
	cb.aio_offset = off;
	cb.aio_flags = IOCB_FLAG_IOPRIO;
	cb.aio_reqprio = (__s16)vstor_ioprio(class);
	if (!ctx && syscall(SYS_io_setup, 8, &ctx))
		fail("io_setup");
	if (syscall(SYS_io_submit, ctx, 1, &list) != 1 || syscall(SYS_io_getevents, ctx, 1, 1, &event, NULL) != 1)
		fail("io_submit");
	return (ssize_t)event.res;
}

static ssize_t hinted(int fd, char *buf, off_t off, int class)
{
	struct iovec vec[2] = { { buf, CALL / 2 }, { buf + CALL / 2, CALL / 2 } };

	if (has("aio"))
		return aio(fd, has("read") ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE, buf, off, class);
	if (has("vector") && has("read"))
		return has("at") ? vstor_preadv(fd, vec, 2, off, class) : vstor_readv(fd, vec, 2, class);
	if (has("vector"))
		return has("at") ? vstor_pwritev(fd, vec, 2, off, class) : vstor_writev(fd, vec, 2, class);
	if (has("read"))
		return has("at") ? vstor_pread(fd, buf, CALL, off, class) : vstor_read(fd, buf, CALL, class);
	return has("at") ? vstor_pwrite(fd, buf, CALL, off, class) : vstor_write(fd, buf, CALL, class);
}

static ssize_t plain(int fd, char *buf, off_t off)
{
	return has("read") ? pread(fd, buf, CALL, off) : pwrite(fd, buf, CALL, off);
}

int main(int argc, char **argv)
{
	char *buf = aligned_alloc(CALL, CALL);
	const char *fixed;
	unsigned long life;
	int fd, class;

	if (argc != 3 || !buf)
		return 2;
	how = argv[1];
	fd = open(argv[2], O_RDWR | O_CREAT | (has("direct") ? O_DIRECT : 0), 0600);
	if (fd < 0)
		fail(argv[2]);
	memset(buf, 0x5a, CALL);
	fixed = strstr(how, "class=");
	life = has("life") ? strtoul(strstr(how, "life=") + 5, NULL, 10) : 0;
	if (life && fcntl(fd, F_SET_RW_HINT, &life))
		fail("F_SET_RW_HINT");
	if (has("ioprio") && syscall(SYS_ioprio_set, 1, 0, vstor_ioprio(atoi(fixed + 6))))
		fail("ioprio_set");
	for (off_t off = 0; off < SIZE; off += CALL) {
		class = fixed ? atoi(fixed + 6) : (int)(off >> 20) % 6;
		if ((has("plain") ? plain(fd, buf, off) : hinted(fd, buf, off, class)) != CALL)
			fail(has("read") ? "read" : "write");
		/* the argument must not stay in its register for the next call */
		if (has("between") && plain(fd, buf, off) != CALL)
			fail("plain call");
	}
	if (!has("read") && fsync(fd))
		fail("fsync");
	return 0;
}
