/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: policy/engine*.c policy/cap.c policy/keep.c policy/plan.c policy/measure.c policy/step.c policy/arena.c policy/rules*.c policy/bcache_file.c agent/snapshot.c lib/delta*.c -lyaml -lm */
/*
 * Protection as a whole, on a model of a disk of 50 MB/s: a database that calls fsync beside writers that write as much as the
 * disk takes, or as their io.max allows. The model reads the knobs that the plan wrote, as the kernel would.
 */
#include "tests/unit/policy_world.h"

#define MB 1e6
#define CAPACITY (50 * MB)
#define ALONE_US 4100.0

#define RULES                                                                                                          \
	"version: 1\nrules:\n"                                                                                         \
	"- {name: db first, match: {cgroup: /db.slice}, protect: {p99_fsync: 8200us}}\n"                               \
	"- {name: bulk, match: {cgroup: \"/bulk.slice/*\"}, max: allowed}\n"

/* The same, but the rule names the cgroup above the writers: one limit on that. */
#define PARENT_RULES                                                                                                   \
	"version: 1\nrules:\n"                                                                                         \
	"- {name: db first, match: {cgroup: /db.slice}, protect: {p99_fsync: 8200us}}\n"                               \
	"- {name: bulk, match: {cgroup: /bulk.slice}, max: allowed}\n"

struct bench {
	struct world w;
	__u32 db, bulk[8];
	char cgroup[8][32];
	int n_bulk;
	double demand[8], rate[8];
	bool db_works;
	double load, latency_us;
	double harm; /* what any cap multiplies the latency by; 0: nothing */
	bool journal, weights_help;
};

static void add_bulk(struct bench *b, int n)
{
	for (int i = 0; i < n; i++) {
		snprintf(b->cgroup[i], sizeof(b->cgroup[i]), "/bulk.slice/%d.service", i);
		b->bulk[i] = world_container(&b->w, b->cgroup[i], "", "", "bulk");
		b->demand[i] = CAPACITY;
	}
	b->n_bulk = n;
}

static void bench_init(struct bench *b, int n_bulk)
{
	memset(b, 0, sizeof(*b));
	world_init(&b->w);
	b->db = world_container(&b->w, "/db.slice/pg.service", "", "", "pg");
	b->db_works = true;
	add_bulk(b, n_bulk);
}

static double cap_of(struct bench *b, int i)
{
	const char *value = world_value(&b->w, b->cgroup[i], "io.max", "8:0 wbps");

	return value ? atof(value) : INFINITY;
}

/* What a limit of the cgroup above them leaves, to each an equal part. */
static double parent_cap_of(struct bench *b)
{
	const char *value = world_value(&b->w, "/bulk.slice", "io.max", "8:0 wbps");

	return value ? atof(value) : INFINITY;
}

/* What everybody does in a second. The disk is shared equally among those whom no cap holds back. */
static void bench_second(struct bench *b)
{
	double total = 0, load;
	bool capped = false;

	for (int i = 0; i < b->n_bulk; i++) {
		b->rate[i] = fmin(b->demand[i], cap_of(b, i));
		capped = capped || isfinite(cap_of(b, i));
		total += b->rate[i];
	}
	if (total > parent_cap_of(b)) {
		for (int i = 0; i < b->n_bulk; i++)
			b->rate[i] *= parent_cap_of(b) / total;
		total = parent_cap_of(b);
	}
	for (int i = 0; i < b->n_bulk; i++) {
		if (total > CAPACITY)
			b->rate[i] *= CAPACITY / total;
		if (b->rate[i] > 0)
			world_io(&b->w, b->bulk[i], DISK_A, VST_OP_WRITE, (__u64)(b->rate[i] / 65536) + 1,
				 (__u64)b->rate[i], 20000);
	}
	load = fmin(total, CAPACITY) / CAPACITY;
	b->load += (load - b->load) * 0.7;
	b->latency_us = fmin(ALONE_US / (1 - fmin(b->load, 0.999)), 3e6);
	if (b->weights_help && world_value(&b->w, "/db.slice/pg.service", "io.weight", "8:0"))
		b->latency_us = ALONE_US * 1.5;
	if (capped && b->harm)
		b->latency_us *= b->harm;
	if (!b->db_works)
		return;
	if (b->latency_us < 5e5) {
		world_fsync(&b->w, b->db, "sda1", 300, b->latency_us, 0);
	} else {
		world_fsync(&b->w, b->db, "sda1", 1, b->latency_us, b->w.time - 0.3);
	}
	world_io(&b->w, b->db, DISK_A, VST_OP_WRITE, 300, 300 * 8192, b->latency_us);
	for (int i = 0; i < b->n_bulk; i++)
		if (b->rate[i] > 0)
			world_blame(&b->w, b->db, b->bulk[i], b->journal ? VST_WAIT_JOURNAL : VST_WAIT_DEVICE, 50000);
}

/* n seconds; how often the objective was missed, and the mean of all that the others wrote, in bytes a second. */
static int bench_run(struct bench *b, int n, double *ret_bulk)
{
	int missed = 0;
	double sum = 0;

	for (int t = 0; t < n; t++) {
		bench_second(b);
		missed += b->db_works && b->latency_us > 8200;
		for (int i = 0; i < b->n_bulk; i++)
			sum += b->rate[i];
		world_tick(&b->w);
	}
	if (ret_bulk)
		*ret_bulk = sum / n;
	return missed;
}

static void bench_clear(struct bench *b)
{
	world_clear(&b->w);
}

static void holds_and_leaves_much(void **state)
{
	struct bench b;
	double bulk;

	bench_init(&b, 4);
	world_policy(&b.w, RULES);
	bench_run(&b, 7, NULL);
	assert_int_equal(bench_run(&b, 5, &bulk), 0);
	bench_run(&b, 30, NULL);
	assert_true(bench_run(&b, 120, &bulk) <= 3);
	print_message("bulk %.1f MB/s of the 25 that hold the objective\n", bulk / MB);
	assert_true(bulk >= 0.35 * CAPACITY);
	/* and says why */
	assert_non_null(strstr(world_find(&b.w, b.cgroup[0], "io.max", "8:0 wbps")->why, "p99_fsync"));
	assert_non_null(strstr(world_find(&b.w, b.cgroup[0], "io.max", "8:0 wbps")->why, "blamed for"));
	bench_clear(&b);
}

/* One limit for all below a cgroup that the rule names: a writer that starts later is held before the first tick. */
static void a_parent_is_capped(void **state)
{
	struct bench b;
	double bulk;

	bench_init(&b, 0);
	world_container(&b.w, "/bulk.slice", "", "", "bulk"); /* seen before those in it */
	world_policy(&b.w, PARENT_RULES);
	bench_run(&b, 1, NULL);
	add_bulk(&b, 4);
	b.demand[3] = 0;
	bench_run(&b, 60, NULL);
	assert_true(isfinite(parent_cap_of(&b)));
	for (int i = 0; i < 4; i++)
		assert_false(isfinite(cap_of(&b, i)));
	assert_int_equal(b.w.n_knobs, 1);
	b.demand[3] = CAPACITY;
	assert_int_equal(bench_run(&b, 10, &bulk), 0);
	assert_true(bulk >= 0.35 * CAPACITY);
	assert_non_null(strstr(world_find(&b.w, "/bulk.slice", "io.max", "8:0 wbps")->why, "p99_fsync"));
	bench_clear(&b);
}

/* A parent with somebody in it whom no rule allows to cap, or who is protected, is not limited: the containers are. */
static void a_parent_of_others_is_not_capped(void **state)
{
	struct bench b;

	bench_init(&b, 3);
	world_container(&b.w, "/bulk.slice/other.service", "", "", "other");
	world_policy(&b.w, PARENT_RULES "- {name: not him, match: {cgroup: /bulk.slice/other.service}, max: none}\n");
	bench_run(&b, 20, NULL);
	assert_false(isfinite(parent_cap_of(&b)));
	assert_true(isfinite(cap_of(&b, 0)));
	/* once that one is gone, the limit moves up, and theirs are taken back */
	for (__u32 i = 0; i < WORLD_CONTAINERS; i++)
		if (b.w.container[i].used && !strcmp(b.w.container[i].name, "other"))
			world_remove(&b.w, i);
	bench_run(&b, 3, NULL);
	assert_true(isfinite(parent_cap_of(&b)));
	assert_false(isfinite(cap_of(&b, 0)));
	assert_true(b.latency_us <= 8200);
	bench_clear(&b);
}

/* Writes come in bursts, as io.max lets them through: that changes nobody's share. */
static void bursts_change_no_shares(void **state)
{
	struct bench b;
	int writes;

	bench_init(&b, 4);
	world_policy(&b.w, RULES);
	bench_run(&b, 100, NULL);
	writes = b.w.writes;
	for (int t = 0; t < 20; t++) {
		for (int i = 0; i < 4; i++)
			b.demand[i] = (t + i) % 2 ? 0.4 * cap_of(&b, i) : CAPACITY;
		bench_run(&b, 1, NULL);
	}
	print_message("%d writes in 20 s\n", b.w.writes - writes);
	assert_true(b.w.writes - writes <= 8);
	bench_clear(&b);
}

static void a_new_writer_is_held(void **state)
{
	struct bench b;

	bench_init(&b, 4);
	b.demand[3] = 0;
	world_policy(&b.w, RULES);
	bench_run(&b, 60, NULL);
	b.demand[3] = CAPACITY;
	bench_run(&b, 4, NULL);
	assert_true(isfinite(cap_of(&b, 3)));
	assert_true(b.latency_us <= 8200);
	assert_int_equal(bench_run(&b, 10, NULL), 0);
	bench_clear(&b);
}

/* One that writes little keeps what it writes; what it leaves goes to the others. */
static void a_small_writer_leaves_its_part(void **state)
{
	struct bench b;
	double bulk;

	bench_init(&b, 2);
	b.demand[1] = 2 * MB;
	world_policy(&b.w, RULES);
	bench_run(&b, 40, NULL);
	bench_run(&b, 40, &bulk);
	assert_true(bulk >= 0.35 * CAPACITY);
	assert_true(b.rate[1] > 1.9 * MB);
	assert_true(b.rate[0] > 14 * MB);
	bench_clear(&b);
}

static void gives_back_when_idle(void **state)
{
	struct bench b;
	double bulk;

	bench_init(&b, 4);
	world_policy(&b.w, RULES);
	bench_run(&b, 30, NULL);
	b.db_works = false;
	bench_run(&b, 5, NULL);
	bench_run(&b, 10, &bulk);
	assert_true(bulk >= 0.95 * CAPACITY);
	for (int i = 0; i < 4; i++)
		assert_false(isfinite(cap_of(&b, i)));
	bench_clear(&b);
}

static void a_cap_that_harms_is_reverted(void **state)
{
	struct bench b;
	double bulk;
	int t = 0;

	bench_init(&b, 4);
	for (int i = 0; i < 4; i++)
		b.demand[i] = 8 * MB; /* 11 ms without vstor */
	b.harm = 20;
	b.journal = true;
	world_policy(&b.w, RULES);
	while (!isfinite(cap_of(&b, 0)) && t++ < 20)
		bench_run(&b, 1, NULL);
	assert_true(isfinite(cap_of(&b, 0)));
	for (t = 0; isfinite(cap_of(&b, 0)) && t < 20; t++)
		bench_run(&b, 1, NULL);
	assert_true(t <= 5);
	bench_run(&b, 40, &bulk);
	assert_true(bulk >= 0.99 * 32 * MB); /* never worse than without vstor, apart from the trial */
	bench_clear(&b);
}

/* Nobody may be capped: nothing is done, and it is said who is to blame and which rule is missing. */
static void nobody_may_be_capped(void **state)
{
	struct vst_plan_knob *k;
	struct bench b;

	bench_init(&b, 2);
	world_policy(&b.w,
		     "version: 1\nrules:\n- {name: db first, match: {cgroup: /db.slice}, protect: {p99_fsync: 8ms}}\n");
	bench_run(&b, 10, NULL);
	assert_int_equal(b.w.writes, 0);
	k = world_wanted(&b.w, b.cgroup[0], "io.max", "8:0 wbps")
		    ?: world_wanted(&b.w, b.cgroup[1], "io.max", "8:0 wbps");
	assert_non_null(k);
	assert_int_equal(vst_plan_state(k), VST_KNOB_REFUSED);
	assert_non_null(strstr(vst_plan_text(k), "max: allowed"));
	bench_clear(&b);
}

/* A fixed limit is the user's own: it is neither raised nor lowered. */
static void fixed_limits_stay(void **state)
{
	struct bench b;

	bench_init(&b, 2);
	world_policy(&b.w, RULES "- {name: fixed, match: {cgroup: /bulk.slice/0.service}, max: {write: 10MiB/s}}\n");
	bench_run(&b, 60, NULL);
	assert_string_equal(world_value(&b.w, b.cgroup[0], "io.max", "8:0 wbps"), "10485760");
	assert_true(isfinite(cap_of(&b, 1)));
	bench_clear(&b);
}

static void weights_come_first(void **state)
{
	struct bench b;

	bench_init(&b, 4);
	*b.w.host.no_iocost = *b.w.disk[0].no_iocost = 0;
	b.weights_help = true;
	world_policy(&b.w, RULES);
	bench_run(&b, 60, NULL);
	assert_string_equal(world_value(&b.w, "/db.slice/pg.service", "io.weight", "8:0"), "1000");
	assert_string_equal(world_value(&b.w, b.cgroup[0], "io.weight", "8:0"), "10");
	for (int i = 0; i < 4; i++)
		assert_false(isfinite(cap_of(&b, i)));
	/* and where they do not suffice, caps take their place */
	b.weights_help = false;
	bench_run(&b, 10, NULL);
	assert_null(world_value(&b.w, "/db.slice/pg.service", "io.weight", "8:0"));
	assert_true(isfinite(cap_of(&b, 0)));
	assert_true(b.latency_us <= 8200);
	bench_clear(&b);
}

static void bfq_does_not_protect_fsync(void **state)
{
	const struct vst_engine_protected *p;
	struct bench b;
	size_t n;

	bench_init(&b, 2);
	*b.w.host.no_bfq = *b.w.disk[0].no_bfq = 0;
	world_policy(&b.w, RULES);
	bench_run(&b, 20, NULL);
	assert_null(world_value(&b.w, "/db.slice/pg.service", "io.bfq.weight", "8:0"));
	assert_true(isfinite(cap_of(&b, 0)));
	p = vst_engine_protected(b.w.engine, &n);
	assert_int_equal(n, 1);
	assert_true(p->cap > 0);
	assert_true(p->latency_us > 0);
	bench_clear(&b);
	/* of reads it does */
	bench_init(&b, 2);
	*b.w.host.no_bfq = *b.w.disk[0].no_bfq = 0;
	world_policy(&b.w, "version: 1\nrules:\n"
			   "- {name: db first, match: {cgroup: /db.slice}, protect: {p99_write: 8200us}}\n"
			   "- {name: bulk, match: {cgroup: /bulk.slice}, max: allowed}\n");
	for (int t = 0; t < 3; t++)
		bench_run(&b, 1, NULL);
	assert_non_null(world_value(&b.w, "/db.slice/pg.service", "io.bfq.weight", "8:0"));
	bench_clear(&b);
}

static void writers_vanish(void **state)
{
	struct bench b;

	bench_init(&b, 4);
	world_policy(&b.w, RULES);
	bench_run(&b, 20, NULL);
	for (int i = 0; i < 3; i++) {
		world_remove(&b.w, b.bulk[i]);
		b.demand[i] = 0;
	}
	b.bulk[0] = b.bulk[1] = b.bulk[2] = 0;
	for (int t = 0; t < 20; t++) {
		b.rate[0] = 0;
		world_io(&b.w, b.bulk[3], DISK_A, VST_OP_WRITE, 100, 10 << 20, 20000);
		world_fsync(&b.w, b.db, "sda1", 300, 5000, 0);
		world_tick(&b.w);
	}
	for (int i = 0; i < 3; i++)
		assert_null(world_wanted(&b.w, b.cgroup[i], "io.max", "8:0 wbps"));
	world_remove(&b.w, b.db); /* and the one who was protected */
	for (int t = 0; t < 15; t++)
		world_tick(&b.w);
	assert_false(isfinite(cap_of(&b, 3)));
	bench_clear(&b);
}

/* A successor goes on with the caps that are set: not one is written again while nothing else changes. */
static void caps_are_handed_over(void **state)
{
	static const char policy[] = RULES;
	struct bench b, next;
	struct vst_outcome o;

	bench_init(&b, 4);
	world_policy(&b.w, policy);
	bench_run(&b, 61, NULL);
	bench_init(&next, 4);
	world_policy(&next.w, policy);
	for (int i = 0; i < b.w.n_knobs; i++) {
		struct world_knob *k = &b.w.knob[i];

		next.w.knob[next.w.n_knobs++] = *k;
		o = (struct vst_outcome){ .state = VST_KNOB_APPLIED };
		vst_knob_init(&o.knob, VST_ACTUATOR_CGROUP_IO, k->target, 0, k->attr, k->key);
		strcpy(o.old, k->old);
		strcpy(o.written, k->value);
		strcpy(o.rule, "bulk");
		vst_plan_adopt(&next.w.plan, &o, next.w.time);
	}
	next.load = b.load;
	bench_run(&next, 3, NULL);
	assert_int_equal(next.w.writes, 0);
	assert_int_equal(bench_run(&next, 60, NULL), 0);
	assert_true(isfinite(cap_of(&next, 0)));
	bench_clear(&b);
	bench_clear(&next);
}

static void the_clock_jumps(void **state)
{
	struct bench b;
	int writes;

	bench_init(&b, 4);
	world_policy(&b.w, RULES);
	bench_run(&b, 30, NULL);
	writes = b.w.writes;
	b.w.time += 7200;
	bench_run(&b, 2, NULL);
	assert_int_equal(b.w.writes, writes);
	assert_true(isfinite(cap_of(&b, 0)));
	b.w.time -= 7000;
	bench_run(&b, 2, NULL);
	assert_int_equal(b.w.writes, writes);
	bench_run(&b, 20, NULL);
	assert_true(bench_run(&b, 20, NULL) <= 1);
	bench_clear(&b);
}

/* One step per target and pass: what was done has to be seen before more is done. */
static void one_step_at_a_time(void **state)
{
	struct bench b;
	int before;

	bench_init(&b, 1);
	world_policy(&b.w, RULES);
	for (int t = 0; t < 60; t++) {
		before = b.w.writes;
		bench_run(&b, 1, NULL);
		assert_true(b.w.writes - before <= 1);
	}
	bench_clear(&b);
}

/* Nothing is wanted of a disk that was pulled out, and what was learnt of it is not about the next one with its number. */
static void a_disk_is_removed(void **state)
{
	struct bench b;

	bench_init(&b, 2);
	world_policy(&b.w, RULES);
	bench_run(&b, 20, NULL);
	assert_non_null(world_wanted(&b.w, b.cgroup[0], "io.max", "8:0 wbps"));
	b.w.a_is_gone = true;
	world_tick(&b.w);
	for (int i = 0; i < 2; i++)
		assert_null(world_wanted(&b.w, b.cgroup[i], "io.max", "8:0 wbps"));
	b.w.a_is_gone = false;
	b.db_works = false;
	world_tick(&b.w);
	b.db_works = true;
	world_tick(&b.w);
	for (int i = 0; i < 2; i++)
		assert_null(world_wanted(&b.w, b.cgroup[i], "io.max", "8:0 wbps"));
	bench_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_and_leaves_much),
		cmocka_unit_test(a_parent_is_capped),
		cmocka_unit_test(a_parent_of_others_is_not_capped),
		cmocka_unit_test(bursts_change_no_shares),
		cmocka_unit_test(a_new_writer_is_held),
		cmocka_unit_test(a_small_writer_leaves_its_part),
		cmocka_unit_test(gives_back_when_idle),
		cmocka_unit_test(a_cap_that_harms_is_reverted),
		cmocka_unit_test(nobody_may_be_capped),
		cmocka_unit_test(fixed_limits_stay),
		cmocka_unit_test(weights_come_first),
		cmocka_unit_test(bfq_does_not_protect_fsync),
		cmocka_unit_test(writers_vanish),
		cmocka_unit_test(caps_are_handed_over),
		cmocka_unit_test(a_disk_is_removed),
		cmocka_unit_test(the_clock_jumps),
		cmocka_unit_test(one_step_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
