// SPDX-License-Identifier: GPL-2.0-only
/* LINK: -lpthread */
/* The table of what is in flight, as the probes use it: bpf/inflight.bpf.h compiled for the host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "vstor/abi.h"

/* What the header has from the kernel side. */
#define VST_COMPAT_BPF_H
#define VST_MAPS_BPF_H
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#undef __noinline
#define __noinline __attribute__((noinline, unused))
#define barrier() __asm__ volatile("" ::: "memory")
#define barrier_var(v) __asm__ volatile("" : "+r"(v))
#pragma GCC diagnostic ignored "-Wunknown-pragmas" /* unroll, as clang spells it */
#include "../../bpf/inflight.bpf.h"

#define REQUEST 448 /* bytes from one to the next */
#define BIO 128

static void setup_empty(void)
{
	memset(vst_in_flight, 0, sizeof(vst_in_flight));
}

static __u32 claim(__u64 addr)
{
	return vst_place_claim(vst_home_of(addr), addr);
}

static __u32 find(__u64 addr)
{
	return vst_place_find(vst_home_of(addr), addr);
}

static void issue(__u32 at, __u64 addr, __u32 row, __u32 bytes, __u64 now)
{
	vst_inflight_begin(at, addr, now, bytes, false);
	vst_inflight_issue(at, addr, row);
}

static void end(__u32 at)
{
	vst_in(at)->what &= IN_PLACE;
}

static void each_field_is_kept(void **ctx)
{
	static const __u32 bytes[] = { 0, 512, 4096, IN_SECTORS_MAX << 9 };
	static const __u32 rows[] = { 1, 4711, VST_ROWS - 1 };
	const __u64 addr = -0x123456780ULL; /* before the state, from which addresses count */
	__u32 at;

	setup_empty();
	at = claim(addr);
	assert_true(at < PLACES);
	assert_int_equal(vst_more(at)->addr, addr);
	for (unsigned int i = 0; i < 12; i++) {
		issue(at, addr, rows[i % 3], bytes[i / 3], 1000 + i);
		assert_int_equal(find(addr), at);
		assert_int_equal(IN_STATE(vst_in(at)->what), IN_ISSUED);
		assert_int_equal(IN_ROW(vst_in(at)->what), rows[i % 3]);
		assert_int_equal(IN_SECTORS(vst_in(at)->what) << 9, bytes[i / 3]);
		assert_false(vst_in(at)->what & IN_MORE);
		assert_int_equal(vst_in(at)->when, 1000 + i);
		end(at);
		assert_int_equal(claim(addr), at); /* its own again */
	}
}

static void what_does_not_fit_is_in_more(void **ctx)
{
	static const __u32 bytes[] = { 100, 513, (IN_SECTORS_MAX + 1) << 9, 0xfffffe00 };
	const __u64 addr = 0x100000;
	__u32 at;

	setup_empty();
	at = claim(addr);
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		vst_more(at)->queued_ns = 7; /* of the last one */
		issue(at, addr, 3, bytes[i], 1);
		assert_true(vst_in(at)->what & IN_MORE);
		assert_int_equal(vst_more(at)->bytes[0], bytes[i]);
		assert_int_equal(vst_more(at)->row[0], 3);
		assert_int_equal(vst_more(at)->row[1], 0);
		assert_int_equal(vst_more(at)->queued_ns, 0);
		end(at);
	}
}

static void parts_end_one_by_one(void **ctx)
{
	const __u64 addr = 0x200000;
	__u64 what;
	__u32 at;

	setup_empty();
	at = claim(addr);
	issue(at, addr, 9, 8192, 1);
	what = vst_inflight_less(vst_in(at)->what, 4096);
	assert_int_equal(IN_SECTORS(what), 8);
	what = vst_inflight_less(what, 1 << 20); /* more than is left: nothing else changes */
	assert_int_equal(what, vst_in(at)->what & ~((__u64)IN_SECTORS_MAX << IN_SECTORS_SHIFT));
}

/* No use looks like the one before, so that a sweep that saw that one changes nothing. */
static void uses_differ(void **ctx)
{
	const __u64 addr = 0x300000;
	__u64 was;
	__u32 at;

	setup_empty();
	at = claim(addr);
	for (int i = 0; i < 9; i++) {
		was = vst_in(at)->what;
		issue(at, addr, 5, 512, 1);
		assert_true((was ^ vst_in(at)->what) & IN_USES);
		end(at);
	}
}

/* As many as a queue has, all in flight: all have places, and keep them. */
static void neighbours_have_room(__u64 stride, unsigned int shift, unsigned int n)
{
	for (__u64 i = 0; i < n; i++) {
		__u64 addr = 0x40000000 + i * stride;
		__u32 at = vst_place_claim(vst_home_of(addr << shift), addr);

		assert_true(at < PLACES);
		issue(at, addr, 1 + i % 1000, 512, i);
	}
	for (__u64 i = 0; i < n; i++) {
		__u64 addr = 0x40000000 + i * stride;
		__u32 at = vst_place_find(vst_home_of(addr << shift), addr);

		assert_true(at < PLACES);
		assert_int_equal(IN_ROW(vst_in(at)->what), 1 + i % 1000);
	}
}

static void all_requests_of_a_queue(void **ctx)
{
	setup_empty();
	neighbours_have_room(REQUEST, 0, 1024);
}

static void all_bios_side_by_side(void **ctx)
{
	setup_empty();
	neighbours_have_room(BIO, 1, 1024);
}

static void a_full_set_is_told(void **ctx)
{
	__u64 same[WAYS + 1];
	__u32 at;

	setup_empty();
	for (int i = 0; i <= WAYS; i++) {
		same[i] = 0x5000 + ((__u64)(i + 1) << 40);
		for (__u32 first = vst_home_of(same[0]) / WAYS; vst_home_of(same[i]) / WAYS != first;)
			same[i] += 1 << 14;
	}
	for (int i = 0; i < WAYS; i++) {
		at = claim(same[i]);
		assert_true(at < PLACES);
		issue(at, same[i], i + 1, 512, 100 - i);
	}
	assert_int_equal(claim(same[WAYS]), NOWHERE);
	for (int i = 0; i < WAYS; i++)
		assert_int_equal(IN_ROW(vst_in(find(same[i]))->what), i + 1);
	/* of those that ended, the one that was issued first gives way */
	end(find(same[2]));
	end(find(same[5]));
	at = claim(same[WAYS]);
	assert_true(at < PLACES);
	assert_int_equal(vst_more(at)->addr, same[WAYS]);
	assert_int_equal(find(same[5]), NOWHERE);
	assert_true(find(same[2]) < PLACES);
	/* and while its rows are decided nobody takes it from it */
	end(find(same[2]));
	assert_true(claim(same[5]) < PLACES);
	assert_int_equal(claim(same[2]), NOWHERE);
}

/* --- two CPUs, one set --- */

#define EACH 6 /* addresses of a thread: 12 for 8 places */
#define TIMES 2000000

struct racer {
	__u64 addr[EACH];
	__u32 row;
	unsigned long ended, nowhere, unknown, wrong;
};

static pthread_barrier_t start;

static void *race(void *arg)
{
	struct racer *r = arg;
	__u32 at, bytes;
	__u64 what;

	pthread_barrier_wait(&start);
	for (unsigned int i = 0; i < TIMES; i++) {
		__u64 addr = r->addr[i % EACH];

		bytes = 512 * (1 + i % 100);
		at = claim(addr);
		if (at >= PLACES) {
			r->nowhere++;
			continue;
		}
		issue(at, addr, r->row + i % EACH, bytes, i);
		at = find(addr);
		what = at < PLACES ? vst_in(at)->what : 0;
		if (!(what & IN_HAS_ROW) || IN_ID(what) != vst_id_of(addr)) {
			r->unknown++;
			continue;
		}
		if (IN_ROW(what) != r->row + i % EACH || IN_SECTORS(what) << 9 != bytes)
			r->wrong++;
		r->ended++;
		barrier();
		vst_in(at)->what = what & IN_PLACE;
	}
	return NULL;
}

static void no_io_is_anothers(void **ctx)
{
	struct racer racer[2] = { { .row = 100 }, { .row = 200 } };
	pthread_t thread[2];
	__u32 first;

	setup_empty();
	pthread_barrier_init(&start, NULL, 2);
	first = vst_home_of(0x7000) / WAYS;
	for (__u64 i = 0, addr = 0x7000; i < 2 * EACH; addr += 1 << 14)
		if (vst_home_of(addr) / WAYS == first)
			racer[i % 2].addr[i / 2] = addr, i++;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, race, &racer[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&start);
	for (int i = 0; i < 2; i++) {
		print_message("%lu ended, %lu without a place, %lu unknown at their end\n", racer[i].ended,
			      racer[i].nowhere, racer[i].unknown);
		assert_int_equal(racer[i].wrong, 0);
		assert_int_equal(racer[i].ended + racer[i].nowhere + racer[i].unknown, TIMES);
		assert_true(racer[i].ended > TIMES / 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_is_kept),	   cmocka_unit_test(what_does_not_fit_is_in_more),
		cmocka_unit_test(parts_end_one_by_one),	   cmocka_unit_test(uses_differ),
		cmocka_unit_test(all_requests_of_a_queue), cmocka_unit_test(all_bios_side_by_side),
		cmocka_unit_test(a_full_set_is_told),	   cmocka_unit_test(no_io_is_anothers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
