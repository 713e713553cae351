/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records snapshots in a ring on disk (docs/recording.md), on a thread of its own. A disk that is slow or full costs what is
 * recorded, never the loop: it is told in the log and in the status.
 */
#ifndef VST_RECORDER_H
#define VST_RECORDER_H

#include "agent/acting/acting.h"
#include "agent/snapshot.h"

#define VST_RECORDER_SIZE (200ULL << 20) /* unless somebody asks for another */

struct vst_recorder;

struct vst_recorder_opts {
	const char *dir; /* NULL: nothing is recorded */
	__u64 size;	 /* bytes of all files */
};

/* "200M" and the like. 0 or -EINVAL. */
int vst_recorder_parse_size(const char *text, __u64 *ret);

/*
 * Starts the thread. opts->dir is borrowed. 0 with *ret NULL if nothing is to be recorded; or -errno, explained in the
 * log. acting may be NULL; it outlives the recorder.
 */
int vst_recorder_new(const struct vst_recorder_opts *opts, struct vst_acting *acting, struct vst_recorder **ret);
/* Records what was offered, and ends the thread. NULL is allowed. */
void vst_recorder_free(struct vst_recorder *r);

/* On the loop's thread, for each snapshot before it is published; takes a reference. r NULL: nothing. */
void vst_recorder_offer(struct vst_recorder *r, const struct vst_snapshot *s);

/* For the snapshot that is being made. r NULL: nothing is recorded. */
void vst_recorder_status(struct vst_recorder *r, struct vst_snap_recording *ret);

#endif /* VST_RECORDER_H */
