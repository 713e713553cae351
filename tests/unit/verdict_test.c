// SPDX-License-Identifier: GPL-2.0-only
/* LINK: agent/insight/verdict.c agent/insight/file_text.c -lm */
/* What is done to a file, from what was seen of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/insight/file_text.h"
#include "agent/insight/verdict.h"

/* `chunks` samples, of which `high` look random; their bytes are as even as can be, or one value is too frequent by `excess`. */
static struct vst_file file(__u32 chunks, __u32 high, __u32 low, __u16 excess, const char *head, size_t len)
{
	struct vst_file f = { .inode = 1, .ino = 12, .chunks = chunks, .high = high, .low = low };

	for (int i = 0; i < 256; i++)
		f.count[i] = (__u16)(high < 250 ? high : 250);
	f.count[7] = (__u16)(f.count[7] + excess);
	f.has_head = head != NULL;
	if (head)
		memcpy(f.head, head, len);
	strcpy(f.name.path[0], "x");
	return f;
}

static int verdict(struct vst_file f, double *confidence)
{
	struct vst_file_verdict v;

	vst_verdict_decide(&f, 1, &v);
	assert_true(v.confidence >= 0 && v.confidence < 1);
	assert_int_equal(v.pattern >= 0, *v.evidence != 0);
	if (confidence)
		*confidence = v.confidence;
	return v.pattern;
}

static void test_bytes(void **state)
{
	struct vst_file f;
	double few, many;

	assert_int_equal(verdict(file(0, 0, 0, 0, NULL, 0), NULL), -1);
	assert_int_equal(verdict(file(100, 3, 90, 0, NULL, 0), NULL), -1);
	assert_int_equal(verdict(file(7, 7, 0, 0, NULL, 0), NULL), -1);
	assert_int_equal(verdict(file(8, 8, 0, 0, NULL, 0), &few), VST_PATTERN_ENCRYPT);
	assert_int_equal(verdict(file(250, 248, 0, 0, NULL, 0), &many), VST_PATTERN_ENCRYPT);
	assert_true(many > few);
	/* a deflate stream: nearly even */
	assert_int_equal(verdict(file(250, 248, 0, 400, NULL, 0), NULL), VST_PATTERN_COMPRESS);
	/* every other block */
	assert_int_equal(verdict(file(100, 50, 50, 0, NULL, 0), NULL), VST_PATTERN_ENCRYPT);
	f = file(250, 248, 0, 0, NULL, 0);
	strcpy(f.name.path[0], "dump.br");
	assert_int_equal(verdict(f, NULL), VST_PATTERN_COMPRESS);
}

static void test_heads(void **state)
{
	assert_int_equal(verdict(file(250, 250, 0, 0,
				      "\xfd"
				      "7zXZ\0",
				      6),
				 NULL),
			 VST_PATTERN_COMPRESS);
	assert_int_equal(verdict(file(250, 250, 0, 0, "\x28\xb5\x2f\xfd", 4), NULL), VST_PATTERN_COMPRESS);
	assert_int_equal(verdict(file(250, 250, 0, 0, "Salted__", 8), NULL), VST_PATTERN_ENCRYPT);
	assert_int_equal(verdict(file(250, 250, 0, 0, "age-encryption.o", 16), NULL), VST_PATTERN_ENCRYPT);
	/* media look random and are not encrypted */
	assert_int_equal(verdict(file(250, 250, 0, 0, "\xff\xd8\xff\xe0", 4), NULL), -1);
	assert_int_equal(verdict(file(250, 250, 0, 0,
				      "\0\0\0\x20"
				      "ftyp",
				      8),
				 NULL),
			 -1);
	/* a program or a database does not look random, unless every other block of it was encrypted */
	assert_int_equal(verdict(file(250, 250, 0, 0, "SQLite format 3", 15), NULL), -1);
	assert_int_equal(verdict(file(96, 10, 86, 0, "SQLite format 3", 15), NULL), -1);
	assert_int_equal(verdict(file(96, 46, 50, 0, "SQLite format 3", 15), NULL), VST_PATTERN_ENCRYPT);
	assert_int_equal(verdict(file(96, 46, 50, 0, "\xff\xd8\xff\xe0", 4), NULL), -1);
	/* a text that happens to begin like gzip */
	assert_int_equal(verdict(file(250, 0, 250, 0, "\x1f\x8b\x08", 3), NULL), -1);
}

static void test_copy(void **state)
{
	struct vst_file f = file(250, 250, 0, 0, NULL, 0);

	f.matches = 2;
	assert_int_equal(verdict(f, NULL), VST_PATTERN_ENCRYPT);
	f.matches = 30;
	assert_int_equal(verdict(f, NULL), VST_PATTERN_COPY);
	f.differs = 30;
	assert_int_equal(verdict(f, NULL), VST_PATTERN_ENCRYPT);
	f = file(0, 0, 0, 0, NULL, 0); /* compared, none of it has reached the disk */
	f.matches = 3;
	assert_int_equal(verdict(f, NULL), VST_PATTERN_COPY);
}

static void test_small_files(void **state)
{
	struct vst_file f = file(4, 4, 0, 0, "abcdefgh", 8);

	assert_int_equal(verdict(f, NULL), -1);
}

static void test_every(void **state)
{
	assert_int_equal(vst_verdict_every(0), 1);
	assert_int_equal(vst_verdict_every(VST_SAMPLES_PER_SECOND), 1);
	assert_int_equal(vst_verdict_every(10.0 * VST_SAMPLES_PER_SECOND), 10);
	assert_int_equal(vst_verdict_every(1e6), 250);
}

static void test_allow(void **state)
{
	assert_int_equal(vst_verdict_allow(0, 1000, 1), 1000);
	assert_int_equal(vst_verdict_allow(500, 1000, 0.1), 600);
	assert_int_equal(vst_verdict_allow(2000, 1000, 1), 2000); /* what was saved is not for ever */
	assert_int_equal(vst_verdict_allow(0, 1000, 60), 60000);
	assert_int_equal(vst_verdict_allow(300, 1000, -1), 300);
}

static void test_text(void **state)
{
	struct vst_file_name f = { 0 };
	char text[VST_FILE_TEXT];

	vst_file_text(&f, text);
	assert_string_equal(text, "");
	f.ino = 12;
	strcpy(f.device, "vda1");
	vst_file_text(&f, text);
	assert_string_equal(text, "inode 12 on vda1");
	strcpy(f.path[0], "x");
	strcpy(f.path[1], "dir");
	vst_file_text(&f, text);
	assert_string_equal(text, "/dir/x (inode 12 on vda1)");
	f.more = 1;
	for (int i = 0; i < VST_FILE_NAMES; i++)
		memset(f.path[i], 'a', sizeof(f.path[i]) - 1);
	vst_file_text(&f, text);
	assert_true(strlen(text) < VST_FILE_TEXT);
	assert_memory_equal(text, "…/aaa", 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),	    cmocka_unit_test(test_heads), cmocka_unit_test(test_copy),
		cmocka_unit_test(test_small_files), cmocka_unit_test(test_every), cmocka_unit_test(test_text),
		cmocka_unit_test(test_allow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
