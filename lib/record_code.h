/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The difference between two snapshots as bytes, and back. Pure.
 *
 * A frame has several streams, each with data of one sort, because they compress better apart: where something changed and
 * which fields, numbers, buckets of histograms, texts. Numbers are differences from the value before, of 7 bits a byte.
 */
#ifndef VST_RECORD_CODE_H
#define VST_RECORD_CODE_H

#include "lib/record_fields.h"

/* X(ENUM): the streams of a frame, in their order */
#define VST_RECORD_STREAMS(X)                                                                                          \
	X(SHAPE)   /* indices and masks of what changed */                                                             \
	X(NUMBERS) /* differences; how many texts a list has */                                                        \
	X(BUCKETS) /* indices of histograms' buckets that grew */                                                      \
	X(GROWTH)  /* by how much each of them grew */                                                                 \
	X(TEXTS)   /* each ends with a 0 */

enum vst_record_stream {
#define X(e) VST_STREAM_##e,
	VST_RECORD_STREAMS(X)
#undef X
		VST_STREAM__N
};

struct vst_record_buf {
	unsigned char *data;
	size_t len, cap;
	bool failed; /* out of memory: what is in it is incomplete */
};

void vst_record_buf_free(struct vst_record_buf *b);
/* Room for n more bytes; NULL if out of memory. */
unsigned char *vst_record_buf_room(struct vst_record_buf *b, size_t n);

/* --- writing --- */

struct vst_record_encoder {
	struct vst_record_buf stream[VST_STREAM__N];
	struct vst_record_buf frame; /* the result */
};

/*
 * Encodes what changed from prev (NULL: everything is new) to now into e->frame. policy: what /v1/policy tells, without its first
 * line; NULL if it is the same as before. 0 or -ENOMEM.
 */
int vst_record_encode(struct vst_record_encoder *e, const struct vst_snapshot *prev, const struct vst_snapshot *now,
		      const char *policy);
void vst_record_encoder_clear(struct vst_record_encoder *e);

/* --- reading --- */

/* What a file's head says of one list: the fields that the writer knew, by number of a field here, or -1. */
struct vst_record_map {
	int list; /* index in vst_record_lists; -1: it is newer than this program */
	unsigned int n;
	struct {
		short field;
		char type;
	} field[VST_RECORD_FIELDS_MAX];
};

#define VST_RECORD_MAPS_MAX 16

struct vst_record_decoder {
	struct vst_record_map map[VST_RECORD_MAPS_MAX];
	unsigned int n_maps;
	char **text; /* of values that do not own their texts, each once */
	size_t n_texts, texts_cap;
};

/* Adds a list that is described as "FIELD:TYPE FIELD:TYPE ...". 0, or -EBADMSG: that is no description. */
int vst_record_decoder_add(struct vst_record_decoder *d, const char *list, const char *fields);
void vst_record_decoder_clear(struct vst_record_decoder *d);

/*
 * Makes the snapshot that follows prev (NULL: none) from a frame. *ret is a reference for the caller; its probes' texts live as long as
 * the decoder. *ret_policy is a text in the frame; NULL if the policy is the same as before. 0, -ENOMEM, or -EBADMSG: no
 * writer has made these bytes.
 */
int vst_record_decode(struct vst_record_decoder *d, const unsigned char *frame, size_t len,
		      const struct vst_snapshot *prev, const struct vst_snapshot **ret, const char **ret_policy);

#endif /* VST_RECORD_CODE_H */
