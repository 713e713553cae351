/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: policy/journal_format.c policy/journal.c policy/step.c policy/actuators.c policy/actuator_cgroup_io.c policy/actuator_ioprio.c policy/actuator_cache.c policy/bcache_file.c policy/keep.c policy/actor_reads.c policy/cgroup_file.c policy/disks.c lib/crc32c.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "policy/journal.h"

#define BOOT "11111111-2222-3333-4444-555555555555"

static struct vst_entry knob(uint32_t slot, const char *target, const char *old, const char *pending)
{
	struct vst_entry e = { .slot = slot, .step_id = 7, .since_us = 1234567 };

	vst_knob_init(&e.knob, VST_ACTUATOR_CGROUP_IO, target, 99, "io.max", "8:0 wbps");
	strcpy(e.old, old);
	strcpy(e.pending, pending);
	strcpy(e.rule, "batch is light");
	strcpy(e.why, "the database waits for it");
	return e;
}

/* A journal: /a set, /b set and then changed, /c set and reverted. *ret_ends: where each record ends. */
static size_t example(uint8_t *buf, size_t ends[16], unsigned int *ret_n)
{
	struct vst_entry a = knob(0, "/a", "max", "1000000"), b = knob(1, "/b", "5", "6"),
			 c = knob(2, "/c", "max", "8");
	size_t at = 0;
	unsigned int n = 0;

#define ADD(frame) (at += (frame), ends[n++] = at)
	ADD(vst_frame_header(buf, BOOT));
	ADD(vst_frame_intent(buf + at, &a));
	ADD(vst_frame_event(buf + at, VST_EVENT_WRITTEN, &a));
	ADD(vst_frame_intent(buf + at, &b));
	ADD(vst_frame_event(buf + at, VST_EVENT_WRITTEN, &b));
	strcpy(b.written, "6");
	strcpy(b.pending, "7");
	ADD(vst_frame_intent(buf + at, &b));
	ADD(vst_frame_intent(buf + at, &c));
	ADD(vst_frame_event(buf + at, VST_EVENT_WRITTEN, &c));
	strcpy(a.foreign, "3");
	a.conflicts = 2;
	ADD(vst_frame_event(buf + at, VST_EVENT_FOREIGN, &a));
	ADD(vst_frame_event(buf + at, VST_EVENT_CLOSED, &c));
#undef ADD
	*ret_n = n;
	return at;
}

static void the_checksum_is_crc32c(void **state)
{
	assert_int_equal(vst_crc32c("123456789", 9), 0xe3069283);
	assert_int_equal(vst_crc32c("", 0), 0);
}

static void a_journal_says_what_is_set(void **state)
{
	uint8_t buf[8 * VST_FRAME_MAX];
	struct vst_entries entries = { 0 };
	struct vst_journal_replayed replay;
	unsigned int n;
	size_t ends[16], len = example(buf, ends, &n);
	struct vst_entry *a, *b;
	struct vst_knob c;

	assert_int_equal(vst_journal_replay(buf, len, BOOT, &entries, &replay), 0);
	assert_int_equal(replay.end, VST_REPLAY_CLEAN);
	assert_int_equal(replay.good_len, len);
	assert_int_equal(replay.records, n);
	assert_int_equal(entries.n, 2);
	a = entries.at[0];
	b = entries.at[1];
	assert_string_equal(a->knob.target, "/a");
	assert_string_equal(a->old, "max");
	assert_string_equal(a->written, "1000000");
	assert_string_equal(a->pending, "");
	assert_string_equal(a->foreign, "3");
	assert_int_equal(a->conflicts, 2);
	assert_int_equal(a->knob.target_id, 99);
	assert_string_equal(a->rule, "batch is light");
	assert_string_equal(b->old, "5");
	assert_string_equal(b->written, "6"); /* either may be in the knob: the last intent has no result */
	assert_string_equal(b->pending, "7");
	assert_ptr_equal(vst_entries_find(&entries, &b->knob), b);
	vst_knob_init(&c, VST_ACTUATOR_CGROUP_IO, "/c", 0, "io.max", "8:0 wbps");
	assert_null(vst_entries_find(&entries, &c));
	vst_entries_free(&entries);
}

static void an_empty_journal_is_clean(void **state)
{
	struct vst_entries entries = { 0 };
	struct vst_journal_replayed replay;

	assert_int_equal(vst_journal_replay(NULL, 0, BOOT, &entries, &replay), 0);
	assert_int_equal(replay.end, VST_REPLAY_CLEAN);
	assert_int_equal(entries.n, 0);
}

/* Cut off anywhere, it holds what the complete records say: never less, and never more. */
static void a_torn_end_is_dropped_at_every_byte(void **state)
{
	uint8_t buf[8 * VST_FRAME_MAX];
	unsigned int n, whole = 0;
	size_t ends[16], len = example(buf, ends, &n);

	for (size_t cut = 0; cut <= len; cut++) {
		struct vst_entries entries = { 0 };
		struct vst_journal_replayed replay;
		/* copied, so that the sanitizer sees a read behind the end */
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, buf, cut);
		while (whole < n && ends[whole] <= cut)
			whole++;
		assert_int_equal(vst_journal_replay(copy, cut, BOOT, &entries, &replay), 0);
		assert_int_equal(replay.end,
				 !cut || (whole && ends[whole - 1] == cut) ? VST_REPLAY_CLEAN : VST_REPLAY_TORN);
		assert_int_equal(replay.records, whole);
		assert_int_equal(replay.good_len, whole ? ends[whole - 1] : 0);
		vst_entries_free(&entries);
		free(copy);
	}
	assert_int_equal(whole, n);
}

/* No changed byte goes unnoticed, not even in the last record or in a length. */
static void a_flipped_bit_anywhere_is_corruption(void **state)
{
	uint8_t buf[8 * VST_FRAME_MAX];
	unsigned int n;
	size_t ends[16], len = example(buf, ends, &n);

	for (size_t at = 0; at < len; at++) {
		struct vst_entries entries = { 0 };
		struct vst_journal_replayed replay;

		buf[at] ^= 1 << (at % 8);
		assert_int_equal(vst_journal_replay(buf, len, BOOT, &entries, &replay), 0);
		assert_int_equal(replay.end, VST_REPLAY_CORRUPT);
		assert_true(*replay.reason);
		assert_true(replay.good_len <= at);
		vst_entries_free(&entries);
		buf[at] ^= 1 << (at % 8);
	}
}

static enum vst_replay_end end_of(const uint8_t *buf, size_t len)
{
	struct vst_entries entries = { 0 };
	struct vst_journal_replayed replay;

	assert_int_equal(vst_journal_replay(buf, len, BOOT, &entries, &replay), 0);
	vst_entries_free(&entries);
	return replay.end;
}

static void what_no_actor_writes_is_corruption(void **state)
{
	uint8_t buf[4 * VST_FRAME_MAX] = { 0 };
	struct vst_entry a = knob(0, "/a", "max", "1"), b = knob(0, "/b", "max", "1");
	size_t header = vst_frame_header(buf, BOOT), at;

	assert_int_equal(end_of(buf + header, 4096), VST_REPLAY_CORRUPT); /* zeros */
	at = header + vst_frame_event(buf + header, VST_EVENT_CLOSED, &a);
	assert_int_equal(end_of(buf, at), VST_REPLAY_CORRUPT); /* not open */
	at = header + vst_frame_intent(buf + header, &a);
	at += vst_frame_intent(buf + at, &b);
	assert_int_equal(end_of(buf, at), VST_REPLAY_CORRUPT); /* two knobs with one number */
	at = header + vst_frame_intent(buf + header, &a);
	at += vst_frame_event(buf + at, VST_EVENT_CLOSED, &a);
	at += vst_frame_intent(buf + at, &a);
	assert_int_equal(end_of(buf, at), VST_REPLAY_CORRUPT); /* a number used again */
	at = header + vst_frame_header(buf + header, BOOT);
	assert_int_equal(end_of(buf, at), VST_REPLAY_CORRUPT); /* a second header */
	a.knob.actuator = VST_ACTUATOR__N;
	at = header + vst_frame_intent(buf + header, &a);
	assert_int_equal(end_of(buf, at), VST_REPLAY_CORRUPT); /* no such actuator */
}

static void a_reboot_makes_a_journal_void(void **state)
{
	uint8_t buf[8 * VST_FRAME_MAX];
	struct vst_entries entries = { 0 };
	struct vst_journal_replayed replay;
	unsigned int n;
	size_t ends[16], len = example(buf, ends, &n);

	assert_int_equal(vst_journal_replay(buf, len, "22222222-2222-3333-4444-555555555555", &entries, &replay), 0);
	assert_int_equal(replay.end, VST_REPLAY_OTHER_BOOT);
	assert_int_equal(entries.n, 0);
}

static void the_longest_strings_fit_a_record(void **state)
{
	uint8_t buf[2 * VST_FRAME_MAX];
	struct vst_entry e = { 0 };
	struct vst_entries entries = { 0 };
	struct vst_journal_replayed replay;
	size_t at = vst_frame_header(buf, BOOT), len;

#define FILL(s) memset(s, 'x', sizeof(s) - 1)
	FILL(e.knob.target), FILL(e.knob.attr), FILL(e.knob.key), FILL(e.old), FILL(e.written), FILL(e.pending);
	FILL(e.foreign), FILL(e.rule), FILL(e.why);
#undef FILL
	len = vst_frame_intent(buf + at, &e);
	assert_true(len <= VST_FRAME_MAX);
	assert_int_equal(vst_journal_replay(buf, at + len, BOOT, &entries, &replay), 0);
	assert_int_equal(replay.end, VST_REPLAY_CLEAN);
	assert_memory_equal(entries.at[0], &e, sizeof(e));
	vst_entries_free(&entries);
}

/* --- the file --- */

static int make_dir(void **state)
{
	char *dir = strdup("/tmp/vstor-journal-XXXXXX");

	*state = mkdtemp(dir);
	return !*state;
}

static int remove_dir(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/journal", (char *)*state);
	unlink(path);
	assert_int_equal(rmdir(*state), 0);
	free(*state);
	return 0;
}

static void one_process_at_a_time(void **state)
{
	struct vst_journal one, two;

	assert_int_equal(vst_journal_open(&one, *state, BOOT, 0), 0);
	assert_int_equal(one.unusable, 0);
	assert_int_equal(vst_journal_open(&two, *state, BOOT, 10), -EWOULDBLOCK);
	assert_int_equal(vst_journal_open(&two, *state, BOOT, 0), -EWOULDBLOCK); /* the failure let nothing go */
	vst_journal_close(&one);
	assert_int_equal(vst_journal_open(&two, *state, BOOT, 0), 0);
	vst_journal_close(&two);
}

/* Changes a knob so often that the file is rewritten many times; it stays small, and what it says stays right. */
static void a_long_life_is_compacted(void **state)
{
	struct vst_journal j;
	char text[VST_TEXT_MAX], path[64];
	struct vst_entry start = knob(0, "/a", "max", "0"), other = knob(0, "/b", "max", "5"), *a, *b;
	struct stat st;

	assert_int_equal(vst_journal_open(&j, *state, BOOT, 0), 0);
	b = vst_entries_add(&j.entries, &other);
	assert_int_equal(vst_journal_intent(&j, b, text), 0);
	a = vst_entries_add(&j.entries, &start);
	for (int i = 0; i < 5000; i++) {
		snprintf(a->pending, sizeof(a->pending), "%d", i);
		assert_int_equal(vst_journal_intent(&j, a, text), 0);
		memcpy(a->written, a->pending, sizeof(a->written));
		*a->pending = 0;
		vst_journal_event(&j, VST_EVENT_WRITTEN, a);
	}
	snprintf(path, sizeof(path), "%s/journal", (char *)*state);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, 1, 300 * 1024);
	vst_journal_close(&j); /* as if killed: knobs are open, so the file stays */
	assert_int_equal(vst_journal_open(&j, *state, BOOT, 0), 0);
	assert_string_equal(j.text, "");
	assert_int_equal(j.entries.n, 2);
	assert_string_equal(j.entries.at[0]->pending, "5");
	assert_string_equal(j.entries.at[1]->written, "4999");
	assert_string_equal(j.entries.at[1]->old, "max");
	while (j.entries.n) {
		vst_journal_event(&j, VST_EVENT_CLOSED, j.entries.at[0]);
		vst_entries_remove(&j.entries, j.entries.at[0]);
	}
	vst_journal_close(&j);
	assert_int_equal(stat(path, &st), -1);
}

static void a_directory_that_it_made_goes_with_it(void **state)
{
	char dir[64];
	struct vst_journal j;
	struct stat st;

	snprintf(dir, sizeof(dir), "%s/new", (char *)*state);
	assert_int_equal(vst_journal_open(&j, dir, BOOT, 0), 0);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
	vst_journal_close(&j);
	assert_int_equal(stat(dir, &st), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_checksum_is_crc32c),
		cmocka_unit_test(a_journal_says_what_is_set),
		cmocka_unit_test(an_empty_journal_is_clean),
		cmocka_unit_test(a_torn_end_is_dropped_at_every_byte),
		cmocka_unit_test(a_flipped_bit_anywhere_is_corruption),
		cmocka_unit_test(what_no_actor_writes_is_corruption),
		cmocka_unit_test(a_reboot_makes_a_journal_void),
		cmocka_unit_test(the_longest_strings_fit_a_record),
		cmocka_unit_test_setup_teardown(one_process_at_a_time, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_long_life_is_compacted, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_directory_that_it_made_goes_with_it, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
