/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Any bytes as a file of a recording; and, behind checksums that are right, any frames. What can be decoded is shown, as
 * vstorctl does, encoded again, and shown as the same.
 *
 * LINK: lib/record_file.c lib/record_encode.c lib/record_decode.c lib/record_fields.c lib/crc32c.c agent/snapshot.c agent/sinks/out.c agent/sinks/render.c agent/sinks/render_waits.c
 * LIBS: -lm
 * RUN: -max_len=20000
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sinks/render.h"
#include "lib/record_file.h"

#define CHECK(what)                                                                                                    \
	do {                                                                                                           \
		if (!(what))                                                                                           \
			abort();                                                                                       \
	} while (0)

/* The caller frees. */
static char *shown(const struct vst_snapshot *s, size_t *ret_len)
{
	vst_render *const all[] = { vst_render_io,    vst_render_check, vst_render_ps,
				    vst_render_locks, vst_render_blame, vst_render_waits };
	struct vst_out o = { 0 };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		all[i](&o, s, 0);
	vst_out_raw(&o, "{");
	vst_render_probes(&o, s);
	return vst_out_take(&o, ret_len);
}

/* The fields that this program writes. */
static void describe(struct vst_record_decoder *d)
{
	const struct vst_record_about about = { .host = "fuzz" };
	struct vst_record_buf head = { 0 };
	struct vst_record_file f;

	CHECK(!vst_record_head(&head, &about));
	CHECK(!vst_record_file_parse(&f, head.data, head.len));
	*d = f.decoder;
	f.decoder = (struct vst_record_decoder){ 0 };
	vst_record_file_clear(&f);
	vst_record_buf_free(&head);
}

/* What was decoded can be written, and read again as the same. */
static void check_again(const struct vst_snapshot *s)
{
	struct vst_record_encoder e = { 0 };
	struct vst_record_decoder d = { 0 };
	const struct vst_snapshot *again = NULL;
	const char *policy;
	size_t len, len_again;
	char *text, *text_again;

	describe(&d);
	CHECK(!vst_record_encode(&e, NULL, s, NULL));
	CHECK(!vst_record_decode(&d, e.frame.data, e.frame.len, NULL, &again, &policy));
	text = shown(s, &len);
	text_again = shown(again, &len_again);
	CHECK(len == len_again && !memcmp(text, text_again, len));
	free(text);
	free(text_again);
	vst_snapshot_unref(again);
	vst_record_encoder_clear(&e);
	vst_record_decoder_clear(&d);
}

static void fuzz_file(const uint8_t *data, size_t len)
{
	struct vst_record_file f;
	size_t before = 0;

	if (!vst_record_file_parse(&f, data, len)) {
		CHECK(f.end <= len && !(f.torn && f.broken));
		for (size_t i = 0; i < f.n_frames; i++) {
			CHECK(f.frame[i].offset >= before && f.frame[i].offset + f.frame[i].len <= f.end);
			before = f.frame[i].offset + f.frame[i].len;
		}
	}
	vst_record_file_clear(&f);
}

/* A byte says how long the next frame is, in units of 16. */
static void fuzz_frames(struct vst_record_decoder *d, const uint8_t *data, size_t len)
{
	const struct vst_snapshot *prev = NULL, *next;
	const char *policy;
	size_t n;

	while (len) {
		n = (size_t)data[0] * 16 < len - 1 ? (size_t)data[0] * 16 : len - 1;
		next = NULL;
		if (vst_record_decode(d, data + 1, n, prev, &next, &policy))
			break;
		CHECK(!policy || strlen(policy) <= n);
		vst_snapshot_unref(prev);
		prev = next;
		data += 1 + n;
		len -= 1 + n;
	}
	if (prev)
		check_again(prev);
	vst_snapshot_unref(prev);
}

/* Lists of fields that somebody made up: a line each, until an empty one. */
static void fuzz_description(const uint8_t *data, size_t len)
{
	struct vst_record_decoder d = { 0 };

	while (len) {
		const uint8_t *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;
		char *line = strndup((const char *)data, n), *fields = strchr(line, ' ');

		if (fields)
			*fields++ = '\0';
		if (fields)
			vst_record_decoder_add(&d, line, fields);
		free(line);
		data += n + (end != NULL);
		len -= n + (end != NULL);
		if (!n)
			break;
	}
	fuzz_frames(&d, data, len);
	vst_record_decoder_clear(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct vst_record_decoder d = { 0 };

	if (!len)
		return 0;
	switch (data[0] % 3) {
	case 0:
		fuzz_file(data + 1, len - 1);
		break;
	case 1:
		describe(&d);
		fuzz_frames(&d, data + 1, len - 1);
		vst_record_decoder_clear(&d);
		break;
	default:
		fuzz_description(data + 1, len - 1);
	}
	return 0;
}
