// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/ioprio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "policy/actor_reads.h"

enum { DISKS_MAX = 16 };

/* The actor has one of these. */
static struct {
	aio_context_t context;
	int event_fd; /* counts what has completed */
	char *buffer; /* VST_READS_DEPTH pages: what is read is thrown away */
	struct {
		char name[VST_DISK_NAME_MAX];
		uint64_t dev;
		unsigned int classes;
	} disk[DISKS_MAX]; /* name "": free */

	int fd; /* of the batch under way; -1: there is none */
	struct vst_reads batch;
	uint32_t next, under_way;
	bool cancelled; /* its keeper was switched off: what is under way is waited for, nothing else is begun */
	struct vst_reads_done done;
} reads = { .event_fd = -1, .fd = -1 };

void vst_reads_open(void)
{
	aio_context_t context = 0;

	reads.buffer = aligned_alloc(VST_READ_BYTES, VST_READS_DEPTH * VST_READ_BYTES);
	reads.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!reads.buffer || reads.event_fd < 0 || syscall(SYS_io_setup, VST_READS_DEPTH, &context))
		return;
	reads.context = context;
}

void vst_reads_close(void)
{
	vst_reads_all_off();
	vst_cleanup_close(&reads.fd);
	vst_cleanup_close(&reads.event_fd);
	/*
	 * The context goes with the process. Here io_destroy() would keep what is still to be undone waiting for the reads of
	 * a slow disk; the end of the process waits for them, too, but then everything is undone.
	 */
	reads.fd = reads.event_fd = -1;
	reads.context = 0;
}

bool vst_reads_possible(void)
{
	return reads.context || !reads.buffer; /* nobody opened it: who asks does not read, the actor does */
}

int vst_reads_fd(void)
{
	return reads.context ? reads.event_fd : -1;
}

/* --- which disks --- */

static int find(const char *disk)
{
	for (int i = 0; i < DISKS_MAX; i++)
		if (*reads.disk[i].name && !strcmp(reads.disk[i].name, disk))
			return i;
	return -1;
}

int vst_reads_on(const char *disk, uint64_t dev, unsigned int classes)
{
	int at = find(disk);

	if (!reads.context)
		return -EOPNOTSUPP;
	for (int i = 0; at < 0 && i < DISKS_MAX; i++)
		if (!*reads.disk[i].name)
			at = i;
	if (at < 0)
		return -ENOSPC;
	snprintf(reads.disk[at].name, sizeof(reads.disk[at].name), "%s", disk);
	reads.disk[at].dev = dev;
	reads.disk[at].classes = classes;
	return 0;
}

void vst_reads_off(const char *disk)
{
	int at = find(disk);

	if (at >= 0)
		*reads.disk[at].name = 0;
	if (!strcmp(reads.batch.disk, disk))
		reads.cancelled = true;
}

unsigned int vst_reads_are_on(const char *disk)
{
	int at = find(disk);

	return at < 0 ? 0 : reads.disk[at].classes;
}

void vst_reads_all_off(void)
{
	memset(reads.disk, 0, sizeof(reads.disk));
	reads.cancelled = true;
}

/* --- a batch --- */

/* For reading only: read and io_submit cannot write through this descriptor. The actor's filter allows no ioctl, which might. */
static int open_disk(const char *name, uint64_t dev)
{
	char path[VST_DISK_NAME_MAX + 8];
	_cleanup_close_ int fd = -1;
	struct stat st;

	snprintf(path, sizeof(path), "/dev/%s", name);
	for (char *c = path + 5; *c; c++)
		if (*c == '!') /* as sysfs writes a '/' */
			*c = '/';
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISBLK(st.st_mode) || st.st_rdev != dev)
		return -ESTALE;
	return TAKE_FD(fd);
}

/*
 * One read, at idle priority where the scheduler heeds that. slot: of the buffer; two reads into one page do no harm, because
 * nobody looks at it.
 */
static int submit_one(uint64_t offset, uint32_t slot)
{
	struct iocb io = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)reads.fd,
		.aio_buf = (uintptr_t)(reads.buffer + (size_t)(slot % VST_READS_DEPTH) * VST_READ_BYTES),
		.aio_nbytes = VST_READ_BYTES,
		.aio_offset = (int64_t)offset,
		.aio_flags = IOCB_FLAG_RESFD | IOCB_FLAG_IOPRIO,
		.aio_resfd = (uint32_t)reads.event_fd,
		.aio_reqprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0),
	};
	struct iocb *list = &io;

	return syscall(SYS_io_submit, reads.context, 1L, &list) == 1 ? 0 : -errno;
}

static void submit_more(void)
{
	while (!reads.cancelled && reads.next < reads.batch.n && reads.under_way < VST_READS_DEPTH) {
		int err = submit_one(reads.batch.offset[reads.next], reads.next);

		if (err == -EAGAIN && reads.under_way)
			return;
		reads.next++;
		if (err)
			reads.done.errors++;
		else
			reads.under_way++;
	}
}

static bool has_ended(void)
{
	return !reads.under_way && (reads.cancelled || reads.next >= reads.batch.n);
}

int vst_reads_begin(const struct vst_reads *batch)
{
	int at = find(batch->disk);

	if (reads.fd >= 0)
		return -EBUSY;
	if (at < 0 || !reads.context)
		return -EPERM;
	reads.fd = open_disk(batch->disk, reads.disk[at].dev);
	if (reads.fd < 0)
		return reads.fd;
	reads.batch = *batch;
	reads.next = reads.under_way = 0;
	reads.cancelled = false;
	reads.done = (struct vst_reads_done){ 0 };
	snprintf(reads.done.disk, sizeof(reads.done.disk), "%s", batch->disk);
	submit_more();
	if (has_ended()) { /* every one failed at once: process() tells, and is called */
		uint64_t one = 1;

		if (write(reads.event_fd, &one, sizeof(one)) != sizeof(one))
			return -errno;
	}
	return 0;
}

static void take_completed(void)
{
	struct io_event events[VST_READS_DEPTH];
	struct timespec now = { 0 };
	long n = syscall(SYS_io_getevents, reads.context, 0L, (long)VST_READS_DEPTH, events, &now);

	for (long i = 0; i < n; i++) {
		reads.under_way--;
		if (events[i].res == VST_READ_BYTES) {
			reads.done.reads++;
			reads.done.bytes += VST_READ_BYTES;
		} else {
			reads.done.errors++;
		}
	}
}

bool vst_reads_process(struct vst_reads_done *ret)
{
	uint64_t n;

	if (reads.event_fd < 0 || (read(reads.event_fd, &n, sizeof(n)) < 0 && errno != EAGAIN) || reads.fd < 0)
		return false;
	take_completed();
	submit_more();
	if (!has_ended())
		return false;
	vst_cleanup_close(&reads.fd);
	reads.fd = -1;
	*reads.batch.disk = 0;
	*ret = reads.done;
	return true;
}
