/* SPDX-License-Identifier: GPL-2.0-only */
/* The files of a recording: a ring on disk, of which the oldest file is removed for a new one. For one thread. */
#ifndef VST_RECORD_RING_H
#define VST_RECORD_RING_H

#include "lib/record_file.h"

struct vst_record_ring;

/*
 * size: bytes that all files may have together. Creates the directory if it is missing. 0, -EBUSY: another vstord records there;
 * or another -errno.
 */
int vst_record_ring_new(const char *dir, __u64 size, struct vst_record_ring **ret);
void vst_record_ring_free(struct vst_record_ring *r);

/* Does the next frame begin a file? Then it has to have everything. now: CLOCK_MONOTONIC, in seconds. */
bool vst_record_ring_is_new(const struct vst_record_ring *r, double now);

/*
 * Compresses a frame and writes it. After an error nothing of it stays in the file, and the next one begins another
 * file. 0 or -errno.
 */
int vst_record_ring_write(struct vst_record_ring *r, const struct vst_record_about *about,
			  const struct vst_record_buf *frame, double unix_time, __u64 seq, double now);

/* Bytes of all files. */
__u64 vst_record_ring_bytes(const struct vst_record_ring *r);

/* "200M", "1G", "65536": 4 MiB to 1 TiB. 0 or -EINVAL. */
int vst_record_parse_size(const char *text, __u64 *ret);

#endif /* VST_RECORD_RING_H */
