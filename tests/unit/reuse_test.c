/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: lib/reuse.c -lm */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/reuse.h"

#define near(a, b) assert_true(fabs((a) - (b)) < 1e-6)

static void use(struct vst_reuse *r, uint64_t page, unsigned int class)
{
	vst_reuse_use(r, page, (uint32_t)page, class, true);
}

static void distances(void **state)
{
	struct vst_reuse *r = vst_reuse_new(64);
	const struct vst_curve *c;

	use(r, 1, 0);
	use(r, 2, 0);
	use(r, 3, 0);
	use(r, 2, 0);			  /* 1 other page since */
	use(r, 1, 0);			  /* 2 others: 2 and 3, though 2 was used twice */
	use(r, 1, 0);			  /* none */
	vst_reuse_use(r, 3, 3, 0, false); /* a write moves it to the front, and is no read */
	use(r, 3, 0);
	c = vst_reuse_curve(r, 0, 0);
	near(c->reads, 7);
	near(c->first, 3);
	near(c->at[vst_reuse_bucket(0)], 2);
	near(c->at[vst_reuse_bucket(1)], 1);
	near(c->at[vst_reuse_bucket(2)], 1);
	/* a cache of one page hits distance 0, and so on */
	near(vst_reuse_ratio(c, false, 0, 1 * VST_REUSE_PAGE, 0), 2.0 / 7);
	assert_true(vst_reuse_ratio(c, false, 0, 1000 * VST_REUSE_PAGE, 0) > 4.0 / 7 - 1e-6);
	assert_true(vst_reuse_ratio(vst_reuse_curve(r, 0, 3), false, 0, 4096, 0) < 0); /* nobody read that */
	vst_reuse_free(r);
}

/* Pages of class 5 do not push others out if they are kept, and are hit always but for the first time. */
static void kept_classes(void **state)
{
	struct vst_reuse *r = vst_reuse_new(64);

	use(r, 1, 0);
	use(r, 10, 5);
	use(r, 11, 5);
	use(r, 12, 4);
	use(r, 1, 0);
	use(r, 10, 5);
	near(vst_reuse_curve(r, 0, 0)->at[vst_reuse_bucket(3)], 1);
	near(vst_reuse_curve(r, 1, 0)->at[vst_reuse_bucket(1)], 1); /* class 5 is kept */
	near(vst_reuse_curve(r, 2, 0)->at[vst_reuse_bucket(0)], 1); /* 4 and 5 are */
	assert_int_equal(vst_reuse_kept_bytes(r, 0), 0);
	assert_int_equal(vst_reuse_kept_bytes(r, 1), 2 * VST_REUSE_PAGE);
	assert_int_equal(vst_reuse_kept_bytes(r, 2), 3 * VST_REUSE_PAGE);
	near(vst_reuse_ratio(vst_reuse_curve(r, 1, 5), true, 2 * 4096, 100 * 4096, 0), 1.0 / 3);
	/* a cache of two pages keeps one of the two */
	near(vst_reuse_ratio(vst_reuse_curve(r, 1, 5), true, 2 * 4096, 2 * 4096, 0), 1.0 / 6);
	vst_reuse_free(r);
}

static void it_is_bounded(void **state)
{
	struct vst_reuse *r = vst_reuse_new(100);

	for (uint32_t i = 0; i < 100000; i++)
		vst_reuse_use(r, i, i * 2654435761U, 0, true);
	assert_true(vst_reuse_pages(r) <= 100);
	assert_true(vst_reuse_threshold(r) < 1ULL << 24);
	/* each counted page stands for others: together they are all */
	assert_true(fabs(vst_reuse_curve(r, 0, 0)->reads - 100000) < 15000);
	vst_reuse_use(r, 7, UINT32_MAX, 0, true); /* outside the sample: not counted */
	vst_reuse_use(r, 7, 0, VST_CLASS_MAX + 1, true);
	assert_true(fabs(vst_reuse_curve(r, 0, 0)->reads - 100000) < 15000);
	vst_reuse_free(r);
}

/* --- against an exact LRU cache --- */

enum { PAGES = 40000, USES = 600000 };

static uint64_t seed;

static uint32_t rnd(void)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33);
}

/* A few pages are used often, many seldom. */
static uint32_t skewed(uint32_t n)
{
	double u = (rnd() + 1.0) / 2147483649.0;

	return (uint32_t)(n * u * u * u);
}

static uint32_t at_random(uint32_t n)
{
	return rnd() % n;
}

/* Skewed, and now and then a scan of a quarter of all pages. */
static uint32_t with_scans(uint32_t n)
{
	static uint32_t left, at;

	if (!left && rnd() % 20000 == 0) {
		left = n / 4;
		at = rnd() % n;
	}
	if (!left)
		return skewed(n);
	left--;
	return at++ % n;
}

/* A doubly linked list through arrays. */
struct lru {
	uint32_t next[PAGES + 1], prev[PAGES + 1], n, max; /* [PAGES] is the head */
	bool in[PAGES];
	uint64_t hits;
};

static void unlink_page(struct lru *l, uint32_t page)
{
	l->next[l->prev[page]] = l->next[page];
	l->prev[l->next[page]] = l->prev[page];
}

static void lru_use(struct lru *l, uint32_t page)
{
	if (l->in[page]) {
		l->hits++;
		unlink_page(l, page);
	} else if (l->n == l->max) {
		uint32_t last = l->prev[PAGES];

		l->in[last] = false;
		unlink_page(l, last);
	} else {
		l->n++;
	}
	l->in[page] = true;
	l->next[page] = l->next[PAGES];
	l->prev[page] = PAGES;
	l->prev[l->next[PAGES]] = page;
	l->next[PAGES] = page;
}

static struct lru *lru_new(uint32_t max)
{
	struct lru *l = calloc(1, sizeof(*l));

	l->max = max;
	l->next[PAGES] = l->prev[PAGES] = PAGES;
	return l;
}

/* As the probe does: chunks of 16 pages are in the sample together. */
static uint32_t hash_of(uint64_t page)
{
	return vst_reuse_hash(page / 16);
}

static void as_an_exact_cache(void **state)
{
	static const uint32_t sizes[] = { 2000, 8000, 20000 };
	uint32_t (*const workloads[])(uint32_t n) = { skewed, at_random, with_scans };

	for (size_t w = 0; w < 3; w++) {
		struct vst_reuse *r = vst_reuse_new(8192); /* a fifth of the pages */
		struct lru *lru[3];

		seed = w + 1;
		for (size_t i = 0; i < 3; i++)
			lru[i] = lru_new(sizes[i]);
		for (uint32_t n = 0; n < USES; n++) {
			uint32_t page = workloads[w](PAGES);

			vst_reuse_use(r, page, hash_of(page), 0, true);
			for (size_t i = 0; i < 3; i++)
				lru_use(lru[i], page);
		}
		for (size_t i = 0; i < 3; i++) {
			double exact = (double)lru[i]->hits / USES;
			double guess = vst_reuse_ratio(vst_reuse_curve(r, 0, 0), false, 0,
						       (uint64_t)sizes[i] * VST_REUSE_PAGE, USES);

			printf("workload %zu, %5u pages: exact %.3f, estimated %.3f\n", w, sizes[i], exact, guess);
			assert_true(fabs(exact - guess) < 0.05);
			free(lru[i]);
		}
		vst_reuse_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distances),
		cmocka_unit_test(kept_classes),
		cmocka_unit_test(it_is_bounded),
		cmocka_unit_test(as_an_exact_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
