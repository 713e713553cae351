/* SPDX-License-Identifier: GPL-2.0-only */
/* A recording, which is a directory of files: finds a moment in it, and makes the snapshot of that moment again. */
#ifndef VST_RECORD_READ_H
#define VST_RECORD_READ_H

#include "lib/record_file.h"

/* Times are printed with 15 digits, and the time that was printed of a snapshot has to find it. */
#define VST_RECORD_PRINTED_S 1e-5

struct vst_recording;

/* A sentence about a file that is damaged or incomplete: what is lost. Told once for each file. */
typedef void vst_recording_tell(void *arg, const char *sentence);

/* A snapshot in the recording. */
struct vst_record_at {
	unsigned int file, frame;
	double time; /* Unix time */
};

/*
 * Opens a directory. 0, -errno, -ENOENT: it has no file of a recording. *ret is to be closed also after an error, and then
 * vst_recording_error() says why; NULL if out of memory.
 */
int vst_recording_open(const char *dir, vst_recording_tell *tell, void *arg, struct vst_recording **ret);
void vst_recording_close(struct vst_recording *r);
const char *vst_recording_error(const struct vst_recording *r);

/*
 * The first and the last snapshot. 0 or -errno. Here and below, a file of which nothing can be read is told once and left
 * out.
 */
int vst_recording_first(struct vst_recording *r, struct vst_record_at *ret);
int vst_recording_last(struct vst_recording *r, struct vst_record_at *ret);
/* The last snapshot until a moment; the first of all if there is none. 0 or -errno. */
int vst_recording_until(struct vst_recording *r, double time, struct vst_record_at *ret);
/* The one that is nearest to a moment. 0 or -errno. */
int vst_recording_nearest(struct vst_recording *r, double time, struct vst_record_at *ret);
/* The one after *at (step 1) or before it (-1). 0, -ENOENT: there is none; or another -errno. */
int vst_recording_step(struct vst_recording *r, int step, struct vst_record_at *at);

/*
 * The snapshot, borrowed until the next call, and what /v1/policy told then, without its first line ("" if nothing). 0 or
 * -errno.
 */
int vst_recording_read(struct vst_recording *r, const struct vst_record_at *at, const struct vst_snapshot **ret,
		       const char **ret_policy);

/* "2026-11-30 02:47:11", in local time, as a recording's sentences have it. Returns text. */
const char *vst_record_clock(double unix_time, char text[32]);

/* Who made the file that was read last; valid until another one is read. */
const struct vst_record_about *vst_recording_about(const struct vst_recording *r);

#endif /* VST_RECORD_READ_H */
