/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Any bytes as a journal; and, behind frames with right checksums, any payloads.
 *
 * LINK: policy/journal_format.c policy/step.c lib/crc32c.c
 * RUN: -max_len=9000
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "policy/journal_format.h"

#define BOOT "11111111-2222-3333-4444-555555555555"

#define CHECK(what)                                                                                                    \
	do {                                                                                                           \
		if (!(what))                                                                                           \
			abort();                                                                                       \
	} while (0)

/* Compares what is written of them: behind the end of a string may be anything. */
static bool same(const struct vst_entry *a, const struct vst_entry *b)
{
	uint8_t frame_a[VST_FRAME_MAX], frame_b[VST_FRAME_MAX];
	size_t len = vst_frame_intent(frame_a, a);

	return vst_frame_intent(frame_b, b) == len && !memcmp(frame_a, frame_b, len);
}

/* What was read can be written, and is read back as the same. */
static void check_round_trip(const struct vst_entries *entries)
{
	uint8_t *buf = malloc((entries->n + 1) * (size_t)VST_FRAME_MAX);
	size_t len = vst_frame_header(buf, BOOT);
	struct vst_entries again = { 0 };
	struct vst_journal_replayed replay;

	for (unsigned int i = 0; i < entries->n; i++)
		len += vst_frame_intent(buf + len, entries->at[i]);
	CHECK(!vst_journal_replay(buf, len, BOOT, &again, &replay));
	CHECK(replay.end == VST_REPLAY_CLEAN && replay.good_len == len && again.n == entries->n);
	for (unsigned int i = 0; i < entries->n; i++)
		CHECK(same(again.at[i], entries->at[i]));
	vst_entries_free(&again);
	free(buf);
}

static void check(const uint8_t *data, size_t len)
{
	struct vst_entries entries = { 0 };
	struct vst_journal_replayed replay;

	CHECK(!vst_journal_replay(data, len, BOOT, &entries, &replay));
	CHECK(replay.good_len <= len && entries.n <= replay.records);
	CHECK((replay.end == VST_REPLAY_CLEAN) == (replay.good_len == len));
	for (unsigned int i = 0; i < entries.n; i++)
		CHECK(vst_entries_find(&entries, &entries.at[i]->knob));
	check_round_trip(&entries);
	vst_entries_free(&entries);
}

/* The fuzzer cannot guess checksums: its bytes become payloads, each after a byte or two of length, in right frames. */
static void check_payloads(const uint8_t *data, size_t size)
{
	size_t cap = size * 17 + VST_FRAME_MAX, len;
	uint8_t *buf = malloc(cap);

	len = vst_frame_header(buf, BOOT);
	while (size > 2) {
		uint32_t h[4] = { 0x4a545356U, data[0] | (data[1] & 7) << 8 };

		data += 2;
		size -= 2;
		if (h[1] > size)
			h[1] = size;
		h[2] = vst_crc32c(data, h[1]);
		h[3] = vst_crc32c(h, 12);
		memcpy(buf + len, h, sizeof(h));
		memcpy(buf + len + sizeof(h), data, h[1]);
		len += sizeof(h) + h[1];
		data += h[1];
		size -= h[1];
	}
	check(buf, len);
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(data, size);
	check_payloads(data, size);
	return 0;
}
