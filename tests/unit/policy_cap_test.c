/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: policy/cap.c -lm */
/*
 * The search for a cap, on a small model of a disk: the victim's latency grows with the load that the others put on the
 * disk, as in a queue, and follows it with a delay. Figures like those of a disk of 50 MB/s: 4.1 ms alone, 5.7 ms beside
 * 20 MB/s of bulk writes, 3 s beside as many as the disk takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "policy/cap.h"

#define MB 1e6

struct disk {
	double capacity, alone_ms, objective_ms;
	double demand;	/* of the others */
	bool victim;	/* works */
	double backlog; /* the load that the victim feels */
	double harm;	/* what any cap multiplies the latency by; 0: nothing */
	unsigned int seed;
	double now, latency_ms, bulk;
	struct vst_cap cap;
	unsigned int steps;
};

static double noise(struct disk *d)
{
	d->seed = d->seed * 1103515245 + 12345;
	return 0.9 + 0.2 * (d->seed >> 16 & 0x7fff) / 32768.0;
}

static enum vst_cap_result tick(struct disk *d)
{
	struct vst_cap_sample s;
	enum vst_cap_result result;
	double load;

	d->now += 1;
	d->bulk = d->cap.on ? fmin(d->demand, d->cap.value) : d->demand;
	d->backlog += (d->bulk - d->backlog) * 0.7;
	load = fmin(d->backlog / d->capacity, 0.999);
	d->latency_ms = fmin(d->alone_ms / (1 - load) * noise(d), 3000);
	if (d->cap.on && d->harm)
		d->latency_ms *= d->harm;
	s = (struct vst_cap_sample){
		d->now, d->victim ? d->latency_ms / d->objective_ms : -1, d->latency_ms / 1e3, d->bulk, 0.05, false
	};
	result = vst_cap_next(&d->cap, &s);
	d->steps +=
		result == VST_CAP_FIRST || result == VST_CAP_LOWER || result == VST_CAP_RAISE || result == VST_CAP_BACK;
	return result;
}

static struct disk disk_new(void)
{
	return (struct disk){
		.capacity = 50 * MB, .alone_ms = 4.1, .objective_ms = 8.2, .demand = 50 * MB, .victim = true, .seed = 1
	};
}

/* From here on: how many of n ticks miss the objective, and the others' mean bandwidth. */
static int run(struct disk *d, int n, double *ret_bulk)
{
	int missed = 0;

	*ret_bulk = 0;
	for (int i = 0; i < n; i++) {
		tick(d);
		missed += d->latency_ms > d->objective_ms;
		*ret_bulk += d->bulk / n;
	}
	return missed;
}

static void holds_quickly(void **state)
{
	struct disk d = disk_new();
	double bulk;

	for (int i = 0; i < 5; i++)
		tick(&d);
	assert_true(d.cap.on);
	assert_true(d.latency_ms <= d.objective_ms);
	run(&d, 1, &bulk);
	assert_true(d.latency_ms <= d.objective_ms);
}

/* Half of the disk is the largest load that holds twice the latency. */
static void finds_the_largest(void **state)
{
	struct disk d = disk_new();
	double bulk;
	int missed;

	run(&d, 30, &bulk);
	missed = run(&d, 120, &bulk);
	assert_true(bulk > 25 * MB * 0.75);
	assert_true(bulk < 25 * MB * 1.05);
	printf("missed %d of 120, %.1f MB/s\n", missed, bulk / MB);
	assert_true(missed <= 6); /* 5 % */
}

/* A cap that is far too small (it held in a worse time) grows soon to what was promised to the others: 35 % of the disk. */
static void grows_soon(void **state)
{
	struct disk d = disk_new();
	double bulk;
	int missed;

	d.cap.last = 8 * MB;
	run(&d, 8, &bulk); /* the search, from the first missed second on */
	assert_true(d.cap.on && d.cap.value < 11 * MB);
	missed = run(&d, 13, &bulk);
	assert_true(d.cap.value >= 0.35 * d.capacity);
	assert_true(missed <= 1);
	missed = run(&d, 60, &bulk);
	assert_true(missed <= 3);
}

static void does_nothing_while_nobody_suffers(void **state)
{
	struct disk d = disk_new();

	d.demand = 5 * MB;
	for (int i = 0; i < 60; i++)
		assert_int_equal(tick(&d), VST_CAP_FREE);
	assert_false(d.cap.on);
}

static void gives_back_when_the_victim_is_idle(void **state)
{
	struct disk d = disk_new();
	double bulk;

	run(&d, 40, &bulk);
	assert_true(d.cap.on);
	d.victim = false;
	for (int i = 0; i < 4; i++)
		tick(&d);
	assert_false(d.cap.on);
	run(&d, 10, &bulk);
	assert_true(bulk >= 0.95 * d.demand);
	/* it comes back: what held before is used at once */
	d.victim = true;
	tick(&d);
	tick(&d);
	assert_true(d.cap.on);
	assert_true(d.cap.value <= 26 * MB && d.cap.value >= 15 * MB);
}

/* The cap of the last time comes back, and the backlog is still felt: that is no reason to drop to a part of what held. */
static void what_held_is_not_dropped(void **state)
{
	struct vst_cap cap = { .last = 10 * MB };

	assert_int_equal(vst_cap_next(&cap, &(struct vst_cap_sample){ 1, 22, 0.8, 50 * MB, 0.5, false }),
			 VST_CAP_FIRST);
	assert_true(cap.value == 10 * MB);
	vst_cap_next(&cap, &(struct vst_cap_sample){ 2, 20, 0.8, 20 * MB, 0.5, false });
	vst_cap_next(&cap, &(struct vst_cap_sample){ 3, 10, 0.4, 15 * MB, 0.3, false });
	assert_int_equal(vst_cap_next(&cap, &(struct vst_cap_sample){ 4, 4.2, 0.16, 13 * MB, 0.25, false }),
			 VST_CAP_LOWER);
	assert_true(cap.value >= 8 * MB);
	/* the second step knows no backlog: what is still far off falls as before */
	for (int i = 5; i < 7; i++)
		vst_cap_next(&cap, &(struct vst_cap_sample){ i, 4.2, 0.16, 8 * MB, 0.25, false });
	assert_true(cap.value <= 4 * MB);
}

static void gives_back_what_limits_nobody(void **state)
{
	struct disk d = disk_new();
	double bulk;

	run(&d, 40, &bulk);
	d.demand = 2 * MB;
	run(&d, 14, &bulk);
	assert_false(d.cap.on);
}

/* A cap that makes it worse is taken back within 5 s, and not tried again for a while, longer each time. */
static void reverts_what_does_harm(void **state)
{
	struct disk d = disk_new();
	double first, pause;
	int i;

	d.capacity = 100 * MB; /* 8.2 ms without a cap */
	d.objective_ms = 5;
	d.harm = 10;
	while (!d.cap.on)
		tick(&d);
	first = d.now;
	while (d.cap.on)
		tick(&d);
	assert_true(d.now - first <= 5);
	pause = d.cap.paused_until - d.now;
	assert_true(pause >= VST_CAP_PAUSE_S - 1);
	for (i = 0; i < (int)pause - 1; i++)
		assert_int_equal(tick(&d), VST_CAP_PAUSED);
	while (!d.cap.on)
		tick(&d);
	while (d.cap.on)
		tick(&d);
	assert_true(d.cap.paused_until - d.now >= 2 * VST_CAP_PAUSE_S - 1);
}

/* One fsync of before the cap that is still stuck gets older with each tick: that is no harm by the cap. */
static void an_old_request_is_no_harm(void **state)
{
	struct vst_cap cap = { 0 };

	assert_int_equal(vst_cap_next(&cap, &(struct vst_cap_sample){ 1, 60, 0.48, 50 * MB, 0.05, false }),
			 VST_CAP_FIRST);
	assert_int_equal(vst_cap_next(&cap, &(struct vst_cap_sample){ 2, 185, 1.48, 20 * MB, 0.05, false }),
			 VST_CAP_WAIT);
	assert_int_equal(vst_cap_next(&cap, &(struct vst_cap_sample){ 3, 310, 2.48, 20 * MB, 0.05, false }),
			 VST_CAP_WAIT);
	assert_int_equal(vst_cap_next(&cap, &(struct vst_cap_sample){ 4, 0.6, 0.0048, 20 * MB, 0.05, false }),
			 VST_CAP_KEEP);
	assert_true(cap.on && cap.value == 20 * MB);
}

/* An objective below what the disk can do: no cap reaches it, so the largest that comes as close stays. */
static void out_of_reach(void **state)
{
	struct disk d = disk_new();
	double bulk;

	d.objective_ms = 2;
	run(&d, 60, &bulk);
	assert_true(d.cap.on);
	run(&d, 30, &bulk);
	assert_true(bulk >= VST_CAP_FLOOR);
	assert_true(d.latency_ms < 4.1 * 1.6);
}

/* Where a cap changes nothing, it goes. */
static void of_no_use(void **state)
{
	struct vst_cap cap = { 0 };
	enum vst_cap_result result = VST_CAP_FREE;

	for (int i = 1; i < 60 && result != VST_CAP_FUTILE; i++)
		result = vst_cap_next(
			&cap, &(struct vst_cap_sample){ i, 10, 0.08, cap.on ? cap.value : 50 * MB, 0.05, false });
	assert_int_equal(result, VST_CAP_FUTILE);
	assert_false(cap.on);
}

/* The objective is missed for another reason than the capped ones: the cap does not fall, and they get more. */
static void the_innocent_are_not_punished(void **state)
{
	struct vst_cap cap = { 0 };
	double first = 0;

	for (int i = 1; i < 40; i++) {
		vst_cap_next(&cap, &(struct vst_cap_sample){ i, cap.on ? 1.5 : 10, 0.02, cap.on ? cap.value : 50 * MB,
							     cap.on ? 0.001 : 0.5, false });
		first = first ?: cap.value;
		assert_true(cap.value >= first);
	}
	assert_true(cap.on);
	assert_true(cap.value > first * 1.1);
	/* and if more is too much, it is taken back */
	for (int i = 40; i < 50; i++)
		vst_cap_next(&cap, &(struct vst_cap_sample){ i, 3, 0.02, cap.value, 0.2, false });
	assert_true(cap.value < first * 1.1);
}

static void nobody_to_cap(void **state)
{
	struct vst_cap cap = { 0 };

	assert_int_equal(vst_cap_next(&cap, &(struct vst_cap_sample){ 1, 10, 0.08, 0, 0.05, false }), VST_CAP_ALONE);
	assert_false(cap.on);
}

/* One slow request is no pattern; two intervals in a row are. */
static void the_edge(void **state)
{
	struct vst_cap cap = { 0 };

	assert_int_equal(vst_cap_next(&cap, &(struct vst_cap_sample){ 1, 1.0, 0.008, 50 * MB, 0.05, false }),
			 VST_CAP_FREE);
	assert_int_equal(vst_cap_next(&cap, &(struct vst_cap_sample){ 2, 1.2, 0.0096, 50 * MB, 0.05, false }),
			 VST_CAP_WAIT);
	assert_int_equal(vst_cap_next(&cap, &(struct vst_cap_sample){ 3, 0.9, 0.0072, 50 * MB, 0.05, false }),
			 VST_CAP_FREE);
	assert_int_equal(vst_cap_next(&cap, &(struct vst_cap_sample){ 4, 1.2, 0.0096, 50 * MB, 0.05, false }),
			 VST_CAP_WAIT);
	assert_int_equal(vst_cap_next(&cap, &(struct vst_cap_sample){ 5, 1.2, 0.0096, 50 * MB, 0.05, false }),
			 VST_CAP_FIRST);
	assert_true(cap.value < 50 * MB);
}

/* Backwards, and far ahead: what was seen before says nothing, and no step follows at once. */
static void the_clock_jumps(void **state)
{
	struct disk d = disk_new();
	double bulk, value;

	run(&d, 40, &bulk);
	value = d.cap.value;
	d.now = 3;
	assert_int_equal(tick(&d), VST_CAP_WAIT);
	assert_true(d.cap.value == value);
	run(&d, 20, &bulk);
	assert_true(d.cap.on);
	value = d.cap.value;
	d.now += 3600;
	assert_int_equal(tick(&d), VST_CAP_WAIT);
	assert_true(d.cap.value == value);
	run(&d, 20, &bulk);
	assert_true(d.latency_ms < d.objective_ms * 1.2);
}

static void every_result_has_a_sentence(void **state)
{
	for (unsigned int i = 0; i < VST_CAP_RESULT__N; i++)
		assert_true(*vst_cap_result_text(i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_quickly),
		cmocka_unit_test(finds_the_largest),
		cmocka_unit_test(grows_soon),
		cmocka_unit_test(does_nothing_while_nobody_suffers),
		cmocka_unit_test(gives_back_when_the_victim_is_idle),
		cmocka_unit_test(what_held_is_not_dropped),
		cmocka_unit_test(gives_back_what_limits_nobody),
		cmocka_unit_test(reverts_what_does_harm),
		cmocka_unit_test(an_old_request_is_no_harm),
		cmocka_unit_test(out_of_reach),
		cmocka_unit_test(of_no_use),
		cmocka_unit_test(the_innocent_are_not_punished),
		cmocka_unit_test(nobody_to_cap),
		cmocka_unit_test(the_edge),
		cmocka_unit_test(the_clock_jumps),
		cmocka_unit_test(every_result_has_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
