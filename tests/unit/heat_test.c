/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: lib/heat.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/heat.h"

#define PLACE(index, first, in, at_epoch, count, cl)                                                                   \
	{ .page = ((uint64_t)(index) + 1) << VST_PLACE_SHIFT | (first),                                                \
	  .bucket = (in),                                                                                              \
	  .epoch = (at_epoch),                                                                                         \
	  .pages = (count),                                                                                            \
	  .class = (cl) }

enum { C3, C4, C5, CHUNKS = 4, BUCKETS = 8 };

/* A cached device of four chunks of 64 pages. */
struct fixture {
	struct vst_heat heat[CHUNKS];
	struct vst_cache_place places[16];
	uint64_t epochs[BUCKETS];
	uint64_t covered[CHUNKS];
	struct vst_heat_view view;
};

static void init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->view = (struct vst_heat_view){
		.heat = f->heat,
		.chunks = CHUNKS,
		.unit_shift = 12,
		.index = 0,
		.places = f->places,
		.n_places = 16,
		.epochs = f->epochs,
		.n_epochs = BUCKETS,
	};
}

static void add_hot(struct fixture *f, int class, uint32_t chunk, uint64_t units)
{
	f->heat[chunk].units[class] |= units;
	f->heat[chunk].seen = 1000;
}

static void place(struct fixture *f, int n, struct vst_cache_place p)
{
	f->places[n] = p;
}

static void what_the_cache_has(void **state)
{
	struct vst_heat_sum sum;
	struct fixture f;

	init(&f);
	add_hot(&f, C5, 0, 0xf);
	add_hot(&f, C4, 2, 0x3);
	f.epochs[1] = 7;
	f.epochs[2] = 0x10003;						 /* an epoch is its lower half */
	place(&f, 0, (struct vst_cache_place)PLACE(0, 0, 1, 7, 2, 5));	 /* units 0, 1 of chunk 0 */
	place(&f, 1, (struct vst_cache_place)PLACE(0, 128, 2, 3, 1, 4)); /* unit 0 of chunk 2 */
	place(&f, 2, (struct vst_cache_place)PLACE(0, 2, 1, 6, 2, 5));	 /* its bucket was emptied since */
	place(&f, 3, (struct vst_cache_place)PLACE(1, 3, 1, 7, 1, 5));	 /* of another device */
	vst_heat_cover(&f.view, f.covered);
	assert_int_equal(f.covered[0], 3);
	assert_int_equal(f.covered[1], 0);
	assert_int_equal(f.covered[2], 1);
	vst_heat_sum(&f.view, f.covered, 0, &sum);
	assert_int_equal(sum.bytes[C5], 4 * 4096);
	assert_int_equal(sum.resident[C5], 2 * 4096);
	assert_int_equal(sum.bytes[C4], 2 * 4096);
	assert_int_equal(sum.resident[C4], 4096);
	assert_int_equal(sum.bytes[C3], 0);
}

static void what_is_old_is_not_worth_it(void **state)
{
	struct vst_heat_sum sum;
	struct fixture f;

	init(&f);
	add_hot(&f, C5, 0, 0xff);
	vst_heat_sum(&f.view, f.covered, 1000, &sum);
	assert_int_equal(sum.bytes[C5], 8 * 4096);
	vst_heat_sum(&f.view, f.covered, 1001, &sum);
	assert_int_equal(sum.bytes[C5], 0);
}

static void place_beyond_the_end(void **state)
{
	struct fixture f;

	init(&f);
	place(&f, 0, (struct vst_cache_place)PLACE(0, 64 * CHUNKS - 1, 0, 0, 255, 5));
	place(&f, 1, (struct vst_cache_place)PLACE(0, 1ULL << 40, 0, 0, 1, 5));
	place(&f, 2, (struct vst_cache_place)PLACE(0, 0, BUCKETS, 0, 1, 5)); /* no such bucket */
	vst_heat_cover(&f.view, f.covered);
	assert_int_equal(f.covered[CHUNKS - 1], 1ULL << 63);
	assert_int_equal(f.covered[0], 0);
}

static size_t choose(struct fixture *f, struct vst_heat_wanted *wanted, uint64_t **offsets, size_t *known)
{
	size_t n;

	assert_int_equal(vst_heat_choose(&f->view, f->covered, wanted, offsets, &n, known), 0);
	return n;
}

static int has(const uint64_t *offsets, size_t n, uint64_t offset)
{
	int found = 0;

	for (size_t i = 0; i < n; i++)
		found += offsets[i] == offset;
	return found;
}

static void one_read_for_each_bucket(void **state)
{
	struct vst_heat_wanted wanted = { .classes = 1 << 5 | 1 << 4, .max_buckets = 100 };
	uint64_t *offsets;
	struct fixture f;
	size_t n, known;

	init(&f);
	add_hot(&f, C5, 0, ~0ULL);
	add_hot(&f, C4, 1, ~0ULL);
	add_hot(&f, C3, 2, ~0ULL);
	place(&f, 0, (struct vst_cache_place)PLACE(0, 64, 3, 0, 1, 4));
	place(&f, 1, (struct vst_cache_place)PLACE(0, 5, 3, 0, 1, 5)); /* in the same bucket, and worth more */
	place(&f, 2, (struct vst_cache_place)PLACE(0, 6, 3, 0, 1, 5));
	place(&f, 3, (struct vst_cache_place)PLACE(0, 70, 4, 0, 1, 4));
	place(&f, 4, (struct vst_cache_place)PLACE(0, 130, 5, 0, 1, 3)); /* its class is not due */
	place(&f, 5, (struct vst_cache_place)PLACE(0, 200, 6, 0, 1, 5)); /* overwritten by what is worth nothing */
	n = choose(&f, &wanted, &offsets, &known);
	assert_int_equal(n, 2);
	assert_int_equal(known, 2);
	assert_int_equal(has(offsets, n, 5 * 4096) + has(offsets, n, 6 * 4096), 1);
	assert_int_equal(has(offsets, n, 70 * 4096), 1);
	free(offsets);
}

static void the_highest_class_comes_first(void **state)
{
	struct vst_heat_wanted wanted = { .classes = 7 << 3, .max_buckets = 1 };
	uint64_t *offsets;
	struct fixture f;
	size_t n, known;

	init(&f);
	add_hot(&f, C4, 0, ~0ULL);
	add_hot(&f, C5, 1, ~0ULL);
	place(&f, 0, (struct vst_cache_place)PLACE(0, 1, 1, 0, 1, 4));
	place(&f, 1, (struct vst_cache_place)PLACE(0, 65, 2, 0, 1, 5));
	n = choose(&f, &wanted, &offsets, &known);
	assert_int_equal(n, 1);
	assert_int_equal(offsets[0], 65 * 4096);
	free(offsets);
}

static void what_is_unknown_has_its_turn(void **state)
{
	struct vst_heat_wanted wanted = { .unknown = 1 << 5, .max_buckets = 10, .max_unknown = 2 };
	uint64_t *offsets;
	struct fixture f;
	size_t n, known;

	init(&f);
	add_hot(&f, C5, 0, 0x7);
	add_hot(&f, C5, 3, 0x1);
	add_hot(&f, C4, 1, 0x1); /* not due */
	f.covered[0] = 0x1;
	n = choose(&f, &wanted, &offsets, &known);
	assert_int_equal(known, 0);
	assert_int_equal(n, 2);
	assert_int_equal(has(offsets, n, 1 * 4096), 1);
	assert_int_equal(has(offsets, n, 2 * 4096), 1);
	free(offsets);
	n = choose(&f, &wanted, &offsets, &known); /* goes on behind them, and round */
	assert_int_equal(has(offsets, n, 192 * 4096), 1);
	free(offsets);
}

static void marks(void **state)
{
	uint64_t words[CHUNKS] = { 0 };

	vst_heat_mark(words, CHUNKS, 12, 4096, 8192); /* units 1 and 2 */
	assert_int_equal(words[0], 6);
	vst_heat_mark(words, CHUNKS, 12, 60 * 4096 + 100, 8 * 4096); /* begins and ends within a page: 60 to 68 */
	assert_int_equal(words[0], 0xfULL << 60 | 6);
	assert_int_equal(words[1], 0x1f);
	vst_heat_mark(words, CHUNKS, 12, 0, 0);
	assert_int_equal(words[0], 0xfULL << 60 | 6);
	assert_int_equal(vst_heat_marked(words, CHUNKS, 12, 0, 128 * 4096), 11);
	assert_int_equal(vst_heat_marked(words, CHUNKS, 12, 2 * 4096, 4096), 1);
	/* beyond the end of the device, or of all numbers, nothing is written */
	vst_heat_mark(words, CHUNKS, 12, 64ULL * CHUNKS * 4096, 4096);
	vst_heat_mark(words, CHUNKS, 12, UINT64_MAX - 10, 4096);
	vst_heat_mark(words, CHUNKS, 12, (64ULL * CHUNKS - 1) * 4096, UINT64_MAX / 2);
	assert_int_equal(words[CHUNKS - 1], 1ULL << 63);
}

/* What a user pinned has class 5, old or not, and whatever class the heat map says. */
static void pins(void **state)
{
	struct vst_heat_wanted wanted = { .classes = 1 << 5, .oldest = 2000, .max_buckets = 10, .max_pinned = 1 };
	uint64_t pinned[CHUNKS] = { 0x3, 0, 0x1 }, *offsets;
	struct vst_heat_sum sum;
	struct fixture f;
	size_t n, known;

	init(&f);
	f.view.pins = pinned;
	add_hot(&f, C4, 0, 0xf); /* last used at 1000 */
	vst_heat_sum(&f.view, f.covered, 1000, &sum);
	assert_int_equal(sum.bytes[C5], 3 * 4096);
	assert_int_equal(sum.bytes[C4], 2 * 4096);
	vst_heat_sum(&f.view, f.covered, 2000, &sum);
	assert_int_equal(sum.bytes[C5], 3 * 4096);
	assert_int_equal(sum.bytes[C4], 0);
	place(&f, 0, (struct vst_cache_place)PLACE(0, 1, 2, 0, 1, 5));
	place(&f, 1, (struct vst_cache_place)PLACE(0, 2, 3, 0, 1, 4)); /* not pinned */
	vst_heat_cover(&f.view, f.covered);
	n = choose(&f, &wanted, &offsets, &known);
	assert_int_equal(known, 1);
	assert_int_equal(offsets[0], 4096);
	assert_int_equal(n, 2); /* of the two that are not in the cache one, as max_pinned says */
	assert_int_equal(offsets[1], 0);
	free(offsets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_cache_has),
		cmocka_unit_test(what_is_old_is_not_worth_it),
		cmocka_unit_test(place_beyond_the_end),
		cmocka_unit_test(one_read_for_each_bucket),
		cmocka_unit_test(the_highest_class_comes_first),
		cmocka_unit_test(what_is_unknown_has_its_turn),
		cmocka_unit_test(marks),
		cmocka_unit_test(pins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
