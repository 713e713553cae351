/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file of a recording (docs/recording.md). Numbers are stored with the low byte first.
 *
 *	head	magic, length and checksum; then lines of text: who wrote it, and which fields it has
 *	frame	struct vst_record_frame; then bytes of one zstd stream, which goes on through all frames of the file
 *	frame	...
 *
 * The first frame of a file has everything, each other one what changed since the frame before. So a file can be read
 * alone, and removing the oldest files leaves a recording that is complete from there on. Pure.
 */
#ifndef VST_RECORD_FILE_H
#define VST_RECORD_FILE_H

#include "lib/record_code.h"

#define VST_RECORD_SUFFIX ".vrec"
#define VST_RECORD_MAGIC "VSTREC1\n"
#define VST_RECORD_HEAD_MAX (1U << 16)
#define VST_RECORD_RAW_MAX (1U << 26)	 /* of a frame */
#define VST_RECORD_FILE_MAX (1ULL << 28) /* a writer's files are much smaller */
#define VST_RECORD_WINDOW_LOG 20	 /* of zstd: how far back it looks */

struct vst_record_file_head {
	char magic[8];
	__u32 len; /* of the text behind it */
	__u32 crc; /* of the text */
};

#define VST_RECORD_FRAME_MAGIC 0x4d524656 /* "VFRM" */

struct vst_record_frame {
	__u32 magic;
	__u32 len;     /* of the compressed bytes behind it */
	__u32 raw;     /* of the same, not compressed */
	__u32 crc;     /* of this head with crc 0, and of the compressed bytes */
	__u64 time_us; /* Unix time of the snapshot */
	__u64 seq;     /* its number */
};

/* Who made a recording. */
#define VST_RECORD_ABOUT(X)                                                                                            \
	X(version)                                                                                                     \
	X(host)                                                                                                        \
	X(boot)                                                                                                        \
	X(kernel)                                                                                                      \
	X(instance)

struct vst_record_about {
#define X(f) char f[72];
	VST_RECORD_ABOUT(X)
#undef X
};

/* The head of a file, complete. 0 or -ENOMEM. */
int vst_record_head(struct vst_record_buf *b, const struct vst_record_about *about);
/* Fills frame's checksum; its other fields are set. */
void vst_record_frame_seal(struct vst_record_frame *frame, const void *compressed);

/* A file in memory. */
struct vst_record_file {
	struct vst_record_about about;
	struct vst_record_decoder decoder;
	struct {
		size_t offset; /* of the compressed bytes */
		__u32 len, raw;
		__u64 time_us;
	} *frame;
	size_t n_frames;
	size_t end;  /* where the last good frame ends */
	bool torn;   /* an incomplete frame follows, as after a crash or while the file is being written */
	bool broken; /* what follows there is damaged */
};

/* Is this the head of a recording's file, as far as its first bytes tell? 0, or -EBADMSG. */
int vst_record_head_check(const void *data, size_t len);
/*
 * Finds the frames of a file, and checks all sums. 0; -EBADMSG: the head is not that of a recording, or damaged; or -ENOMEM. f is to be
 * cleared, also after an error.
 */
int vst_record_file_parse(struct vst_record_file *f, const unsigned char *data, size_t len);
void vst_record_file_clear(struct vst_record_file *f);

#endif /* VST_RECORD_FILE_H */
