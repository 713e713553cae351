/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads blocks of cached devices, so that their caches keep them: in the actor, which has a device open only while a batch is
 * under way. The kernel's own asynchronous I/O (io_submit) and not io_uring: through a descriptor that is open for reading
 * it can do nothing but read, while a ring can do nearly every system call that the actor's filter forbids.
 */
#ifndef VST_POLICY_ACTOR_READS_H
#define VST_POLICY_ACTOR_READS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	VST_DISK_NAME_MAX = 32,
	VST_READS_MAX = 256, /* of a batch */
	VST_READS_DEPTH = 8, /* under way at a time */
	VST_READ_BYTES = 4096,
};

/* One batch. */
struct vst_reads {
	char disk[VST_DISK_NAME_MAX]; /* the kernel's name */
	uint32_t n;
	uint32_t pad;
	uint64_t offset[VST_READS_MAX]; /* bytes, multiples of VST_READ_BYTES */
};

struct vst_reads_done {
	char disk[VST_DISK_NAME_MAX];
	int32_t result; /* 0, or why none was begun: -EPERM: no keeper is on for that disk; other -errno */
	uint32_t reads, errors;
	uint32_t pad;
	uint64_t bytes;
};

/* Before the filter of system calls: memory and contexts. What cannot be had is told by vst_reads_possible(). */
void vst_reads_open(void);
void vst_reads_close(void);
bool vst_reads_possible(void);

/* From now on a disk's blocks may be read. dev: its number; classes: what for, not 0, only remembered. 0 or -errno. */
int vst_reads_on(const char *disk, uint64_t dev, unsigned int classes);
void vst_reads_off(const char *disk);
unsigned int vst_reads_are_on(const char *disk); /* the classes; 0: they may not */
void vst_reads_all_off(void);

/* To be polled for POLLIN; -1: no reads are possible. */
int vst_reads_fd(void);

/* Begins a batch; the one before must have ended. 0: vst_reads_process() tells the end; -errno: it is over already. */
int vst_reads_begin(const struct vst_reads *reads);

/* Takes what has completed. True: the batch has ended, and *ret says how. */
bool vst_reads_process(struct vst_reads_done *ret);

#endif /* VST_POLICY_ACTOR_READS_H */
