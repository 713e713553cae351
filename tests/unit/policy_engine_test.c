/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: policy/engine*.c policy/cap.c policy/keep.c policy/plan.c policy/measure.c policy/step.c policy/arena.c policy/rules*.c policy/bcache_file.c agent/snapshot.c lib/delta*.c -lyaml -lm */
#include "tests/unit/policy_world.h"

#define RULES "version: 1\nrules:\n"

static int setup(void **state)
{
	struct world *w = malloc(sizeof(*w));

	world_init(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_clear(*state);
	free(*state);
	return 0;
}

/* --- rules without conditions --- */

static void a_limit(void **state)
{
	struct world *w = *state;
	struct vst_plan_knob *k;

	world_container(w, "/bulk.slice/a.service", "", "", "a.service");
	world_container(w, "/db.slice/b.service", "", "", "b.service");
	world_policy(w, RULES "- {name: slow, match: {cgroup: /bulk.slice}, max: {write: 1MiB/s, read_iops: 50/s}}\n");
	world_tick(w);
	assert_string_equal(world_value(w, "/bulk.slice/a.service", "io.max", "8:0 wbps"), "1048576");
	assert_string_equal(world_value(w, "/bulk.slice/a.service", "io.max", "8:0 riops"), "50");
	assert_null(world_value(w, "/bulk.slice/a.service", "io.max", "8:16 wbps")); /* never used */
	assert_null(world_value(w, "/db.slice/b.service", "io.max", "8:0 wbps"));
	assert_int_equal(w->writes, 2);
	k = world_wanted(w, "/bulk.slice/a.service", "io.max", "8:0 wbps");
	assert_string_equal(k->rule, "slow");
	assert_non_null(strstr(k->why, "slow"));
	assert_non_null(strstr(k->why, "a.service"));
	for (int i = 0; i < 5; i++)
		world_tick(w);
	assert_int_equal(w->writes, 2);
}

static void a_limit_on_v1(void **state)
{
	struct world *w = *state;

	w->host.v2 = false;
	world_container(w, "/bulk/a", "", "", "a");
	world_policy(w,
		     RULES "- {name: slow, match: {cgroup: /bulk}, max: {read: 1MiB/s, write: 2MiB/s, read_iops: 70/s, "
			   "write_iops: 80/s}}\n");
	world_tick(w);
	assert_string_equal(world_value(w, "/bulk/a", "blkio.throttle.read_bps_device", "8:0"), "1048576");
	assert_string_equal(world_value(w, "/bulk/a", "blkio.throttle.write_bps_device", "8:0"), "2097152");
	assert_string_equal(world_value(w, "/bulk/a", "blkio.throttle.read_iops_device", "8:0"), "70");
	assert_string_equal(world_value(w, "/bulk/a", "blkio.throttle.write_iops_device", "8:0"), "80");
}

static void the_last_rule_wins(void **state)
{
	struct world *w = *state;

	world_container(w, "/a", "prod", "p", "db");
	world_container(w, "/b", "prod", "q", "web");
	world_container(w, "/c", "prod", "r", "free");
	world_policy(w, RULES "- {name: all, match: {namespace: prod}, max: {write: 1MiB/s, read: 1MiB/s}}\n"
			      "- {name: db, match: {container: db}, max: {write: 2MiB/s}}\n"
			      "- {name: none, match: {container: free}, max: none}\n");
	world_tick(w);
	assert_string_equal(world_value(w, "/a", "io.max", "8:0 wbps"), "2097152");
	assert_null(world_value(w, "/a", "io.max", "8:0 rbps")); /* all of `max` is one attribute */
	assert_string_equal(world_value(w, "/b", "io.max", "8:0 wbps"), "1048576");
	assert_null(world_value(w, "/c", "io.max", "8:0 wbps"));
	/* the rule is gone: the limit of the one below it comes back */
	world_policy(w, RULES "- {name: all, match: {namespace: prod}, max: {write: 1MiB/s, read: 1MiB/s}}\n");
	world_tick(w);
	assert_string_equal(world_value(w, "/a", "io.max", "8:0 wbps"), "1048576");
	/* all rules are gone */
	world_policy(w, RULES "- {name: x, match: {namespace: nobody}, weight: 1}\n");
	world_tick(w);
	assert_null(world_value(w, "/a", "io.max", "8:0 wbps"));
	assert_null(world_value(w, "/b", "io.max", "8:0 rbps"));
}

static void outside_the_scope(void **state)
{
	struct world *w = *state;

	world_container(w, "/a", "prod", "p", "db");
	world_container(w, "/b", "dev", "p", "db");
	world_policy(w,
		     "version: 1\nscope: {namespaces: [dev]}\nrules:\n- {name: x, match: {container: db}, max: {write: "
		     "1MiB/s}}\n");
	world_tick(w);
	assert_null(world_value(w, "/a", "io.max", "8:0 wbps"));
	assert_non_null(world_value(w, "/b", "io.max", "8:0 wbps"));
}

static void a_disk_of_its_own(void **state)
{
	struct world *w = *state;

	world_container(w, "/a", "", "", "a");
	world_policy(w, RULES "- {name: all, match: {container: a}, max: {write: 1MiB/s}}\n"
			      "- {name: b, match: {container: a, device: sdb}, max: {write: 2MiB/s}}\n"
			      "- {name: dm, match: {container: a, device: dm-0}, max: {write: 3MiB/s}}\n");
	world_tick(w);
	assert_string_equal(world_value(w, "/a", "io.max", "8:0 wbps"), "1048576");
	assert_string_equal(world_value(w, "/a", "io.max", "8:16 wbps"), "2097152"); /* named, so it need not be used */
	assert_int_equal(vst_plan_state(world_wanted(w, "/a", "io.max", "dm-0 wbps")), VST_KNOB_REFUSED);
	assert_non_null(strstr(vst_plan_text(world_wanted(w, "/a", "io.max", "dm-0 wbps")), "disks below"));
	assert_int_equal(w->writes, 2);
}

#define POD "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12.slice"

static void weights_at_each_level(void **state)
{
	struct world *w = *state;

	*w->host.no_iocost = 0;
	*w->disk[0].no_iocost = 0;
	world_container(w, POD "/cri-containerd-1.scope", "prod", "web-0", "nginx");
	world_container(w, "/db.slice/pg.service", "", "", "pg.service");
	world_container(w, "/kubepods.slice", "", "", "kubepods.slice");
	world_policy(w, RULES "- {name: pods, match: {namespace: prod}, weight: 50}\n"
			      "- {name: named, match: {cgroup: /db.slice}, weight: 800}\n"
			      "- {name: qos, match: {cgroup: /kubepods.slice}, weight: 10000}\n"
			      "- {name: pods again, match: {namespace: prod}, weight: 60}\n");
	world_tick(w);
	assert_string_equal(world_value(w, POD "/cri-containerd-1.scope", "io.weight", "default"), "60");
	assert_string_equal(world_value(w, POD, "io.weight", "default"), "60");
	assert_string_equal(world_value(w, "/db.slice/pg.service", "io.weight", "default"), "800");
	assert_string_equal(world_value(w, "/db.slice", "io.weight", "default"), "800");
	assert_null(world_value(w, "/kubepods.slice", "io.weight", "default"));
	assert_null(world_value(w, "/kubepods.slice/kubepods-burstable.slice", "io.weight", "default"));
	assert_null(world_wanted(w, "/db.slice", "io.bfq.weight", "default"));
	/* a rule about one container leaves the pod alone */
	world_policy(w, RULES "- {name: one, match: {namespace: prod, container: nginx}, weight: 70}\n");
	world_tick(w);
	assert_string_equal(world_value(w, POD "/cri-containerd-1.scope", "io.weight", "default"), "70");
	assert_null(world_value(w, POD, "io.weight", "default"));
	assert_null(world_value(w, "/db.slice", "io.weight", "default"));
}

static void weights_of_bfq(void **state)
{
	struct world *w = *state;

	*w->host.no_bfq = 0;
	*w->disk[0].no_bfq = 0;
	world_container(w, "/a", "", "", "a");
	world_policy(w, RULES "- {name: heavy, match: {container: a}, weight: 5000}\n");
	world_tick(w);
	assert_string_equal(world_value(w, "/a", "io.bfq.weight", "default"), "1000");
	assert_non_null(strstr(world_wanted(w, "/a", "io.bfq.weight", "default")->why, "1000"));
	assert_null(world_wanted(w, "/a", "io.weight", "default"));
	/* the scheduler is changed: the host says so, and the weight is refused with the reason */
	strcpy(w->host.no_bfq, "its scheduler is not bfq");
	w->host.generation++;
	world_tick(w);
	assert_null(world_value(w, "/a", "io.bfq.weight", "default"));
	assert_int_equal(vst_plan_state(world_wanted(w, "/a", "io.weight", "default")), VST_KNOB_REFUSED);
	assert_non_null(strstr(vst_plan_text(world_wanted(w, "/a", "io.weight", "default")), "scheduler is not bfq"));
	w->host.v2 = false;
	*w->host.no_bfq = 0;
	w->host.generation++;
	world_tick(w);
	assert_string_equal(world_value(w, "/a", "blkio.bfq.weight", "default"), "1000");
}

#define IOCOST                                                                                                         \
	"version: 1\n"                                                                                                 \
	"iocost:\n"                                                                                                    \
	"- {device: 'sd*', model: ctrl=auto, qos: enable=1 ctrl=auto}\n"                                               \
	"- {device: /dev/sda, model: ctrl=user model=linear rbps=1000, qos: enable=1 ctrl=user rpct=95}\n"             \
	"- {device: dm-0, model: ctrl=auto, qos: enable=1 ctrl=auto}\n"

static void iocost_where_it_is_asked_for(void **state)
{
	static const char *const attrs[] = { "io.cost.model", "io.cost.qos" };
	struct world *w = *state;
	int model = -1, qos = -1;

	world_container(w, "/a", "", "", "a");
	world_policy(w, IOCOST "rules: [{name: heavy, match: {container: a}, weight: 500}]\n");
	world_tick(w);
	assert_string_equal(world_value(w, "/", "io.cost.model", "8:0"), "ctrl=user model=linear rbps=1000");
	assert_string_equal(world_value(w, "/", "io.cost.qos", "8:0"), "enable=1 ctrl=user rpct=95");
	assert_string_equal(world_value(w, "/", "io.cost.qos", "8:16"), "enable=1 ctrl=auto"); /* named, never used */
	assert_non_null(strstr(world_wanted(w, "/", "io.cost.qos", "8:0")->why, "(line 4) enables iocost on sda"));
	for (int i = 0; i < w->n_knobs; i++) {
		if (strcmp(w->knob[i].key, "8:0") != 0)
			continue;
		model = !strcmp(w->knob[i].attr, "io.cost.model") ? i : model;
		qos = !strcmp(w->knob[i].attr, "io.cost.qos") ? i : qos;
	}
	assert_true(model >= 0 && model < qos);
	assert_null(world_value(w, "/a", "io.weight", "default"));
	/* a stacked device has no queue */
	assert_int_equal(vst_plan_state(world_wanted(w, "/", "io.cost.qos", "dm-0")), VST_KNOB_REFUSED);
	/* the host says that it is enabled now, so the weight counts */
	*w->host.no_iocost = *w->disk[0].no_iocost = 0;
	w->host.generation++;
	world_tick(w);
	assert_string_equal(world_value(w, "/a", "io.weight", "default"), "500");
	/* nobody asks any more: everything is as before */
	world_policy(w, RULES "- {name: heavy, match: {container: a}, weight: 500}\n");
	world_tick(w);
	for (size_t i = 0; i < 2; i++) {
		assert_null(world_value(w, "/", attrs[i], "8:0"));
		assert_null(world_value(w, "/", attrs[i], "8:16"));
	}
	w->host.v2 = false;
	w->host.generation++;
	world_policy(w, IOCOST "rules: [{name: heavy, match: {container: a}, weight: 500}]\n");
	world_tick(w);
	assert_non_null(strstr(vst_plan_text(world_wanted(w, "/", "io.cost.qos", "8:0")), "cgroup v1"));
}

static void nothing_to_act_on(void **state)
{
	struct world *w = *state;

	strcpy(w->host.no_cgroup, "no cgroup mount");
	world_container(w, "/a", "", "", "a");
	world_policy(w,
		     RULES "- {name: x, match: {container: a}, weight: 50, max: {write: 1MiB/s}, cache: keep, ioprio: "
			   "idle}\n");
	world_tick(w);
	assert_int_equal(w->writes, 0);
	assert_string_equal(vst_plan_text(world_wanted(w, "/a", "io.weight", "default")), "no cgroup mount");
	assert_string_equal(vst_plan_text(world_wanted(w, "/a", "io.max", "8:0 wbps")), "no cgroup mount");
	assert_string_equal(vst_plan_text(world_wanted(w, "/a", "ioprio", "")), "no scheduler");
	assert_non_null(strstr(vst_plan_text(world_wanted(w, "/a", "cache", "")), "is cached"));
	assert_int_equal(vst_plan_state(world_wanted(w, "/a", "cache", "")), VST_KNOB_REFUSED);
}

/* Nothing is ever silently left undone: what is wanted for a part of the I/O alone is refused with the reason. */
static void wants_of_streams_are_refused(void **state)
{
	struct world *w = *state;
	const struct vst_plan_knob *k;

	*w->host.no_ioprio = 0;
	world_container(w, "/a", "", "", "a");
	world_policy(w, RULES "- {name: late, match: {container: a, kind: journal}, ioprio: idle}\n"
			      "- {name: past, match: {container: a, pattern: sequential}, cache: bypass}\n"
			      "- {name: high, match: {container: a, kind: metadata}, class: 5}\n");
	world_tick(w);
	assert_int_equal(w->writes, 0);
	k = world_wanted(w, "/a", "ioprio", "");
	assert_int_equal(vst_plan_state(k), VST_KNOB_REFUSED);
	assert_string_equal(k->rule, "late");
	assert_non_null(strstr(vst_plan_text(k), "match the container instead"));
	k = world_wanted(w, "/a", "cache", "");
	assert_int_equal(vst_plan_state(k), VST_KNOB_REFUSED);
	assert_string_equal(k->rule, "past");
	assert_non_null(strstr(vst_plan_text(k), "no cache of Linux"));
	k = world_wanted(w, "/a", "class", "");
	assert_int_equal(vst_plan_state(k), VST_KNOB_REFUSED);
	assert_string_equal(k->rule, "high");
	assert_non_null(strstr(vst_plan_text(k), "no effect"));
}

static void count_kept(void *arg, __u32 id)
{
	int *n = arg;

	++*n;
}

static bool is_kept(struct world *w)
{
	int n = 0;

	vst_engine_kept(w->engine, count_kept, &n);
	return n;
}

/* A rule about the device needs no container. Kinds and classes say which classes are kept; the default table has three. */
static void what_a_cache_keeps(void **state)
{
	static const struct {
		const char *rules, *value; /* NULL: no keeper */
	} cases[] = {
		{ "- {name: x, match: {device: 'dm-*'}, cache: keep}\n", "3 4 5" },
		{ "- {name: x, match: {device: 'dm-*', kind: [metadata, journal]}, cache: keep}\n", "5" },
		{ "- {name: x, match: {device: 'dm-*', class: ['4', '5']}, cache: keep}\n", "4 5" },
		{ "- {name: x, match: {device: 'dm-*'}, cache: keep}\n"
		  "- {name: y, match: {class: '3'}, cache: normal}\n",
		  "4 5" },
		{ "- {name: x, match: {device: 'dm-*', class: '2'}, cache: keep}\n", NULL },
		{ "- {name: x, match: {device: sda}, cache: keep}\n", NULL },
		{ "- {name: x, match: {device: 'dm-*'}, cache: normal}\n", NULL },
	};
	struct world *w = *state;
	char yaml[512];

	w->is_cached = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *value;

		snprintf(yaml, sizeof(yaml), RULES "%s", cases[i].rules);
		world_policy(w, yaml);
		world_tick(w);
		value = world_value(w, "dm-0", "keeper", "");
		if (cases[i].value)
			assert_string_equal(value, cases[i].value);
		else
			assert_null(value);
	}
	world_policy(w, RULES "- {name: x, match: {container: a}, cache: keep}\n");
	world_tick(w);
	assert_null(world_value(w, "dm-0", "keeper", ""));
	world_container(w, "/a", "", "", "a");
	world_tick(w);
	/* all that the container does has class 5, and what others do counts no more than without the rule */
	assert_string_equal(world_value(w, "dm-0", "keeper", ""), "5");
	assert_true(is_kept(w));
	world_policy(w, RULES "- {name: x, match: {container: a, kind: metadata}, cache: keep}\n");
	world_tick(w);
	assert_string_equal(world_value(w, "dm-0", "keeper", ""), "5");
	assert_false(is_kept(w)); /* its metadata only */
	world_policy(w, RULES "- {name: x, match: {device: 'dm-*', class: '4'}, cache: keep}\n"
			      "- {name: y, match: {container: a}, cache: keep}\n");
	world_tick(w);
	assert_string_equal(world_value(w, "dm-0", "keeper", ""), "4 5");
	assert_true(is_kept(w));
}

/* What a user pins needs no policy. */
static void what_a_user_pins(void **state)
{
	struct world *w = *state;
	const struct vst_plan_knob *k;

	w->is_cached = true;
	w->pin = "/srv/db";
	world_tick(w);
	k = world_wanted(w, "dm-0", "keeper", "");
	assert_string_equal(k->value, "5");
	assert_string_equal(k->rule, "vstorctl cache keep");
	assert_non_null(strstr(k->why, "/srv/db"));
	world_policy(w, RULES "- {name: x, match: {device: 'dm-*', class: ['3', '4']}, cache: keep}\n");
	world_tick(w);
	k = world_wanted(w, "dm-0", "keeper", "");
	assert_string_equal(k->value, "3 4 5");
	w->pin = NULL;
	for (int i = 0; i < 10; i++) /* one step for a target, then it waits */
		world_tick(w);
	assert_string_equal(world_value(w, "dm-0", "keeper", ""), "3 4");
}

#define BCACHE                                                                                                         \
	"version: 1\n"                                                                                                 \
	"bcache:\n"                                                                                                    \
	"  - {device: 'dm-*', sequential_cutoff: 4MiB, congested_read_threshold_us: 0}\n"                              \
	"  - {device: dm-0, cache_mode: writearound, sequential_cutoff: 0}\n"                                          \
	"  - {device: sdb, writeback_percent: 10}\n"

/* Of each setting the last entry counts; what no entry has is left alone. They end with the policy. */
static void settings_of_a_bcache(void **state)
{
	struct world *w = *state;
	const struct vst_plan_knob *k;

	w->is_cached = true;
	world_policy(w, BCACHE "rules: [{name: x, match: {container: a}, weight: 50}]\n");
	world_tick(w);
	assert_string_equal(world_value(w, "dm-0", "sequential_cutoff", ""), "0");
	assert_string_equal(world_value(w, "dm-0", "congested_read_threshold_us", ""), "0");
	assert_string_equal(world_value(w, "dm-0", "cache_mode", ""), "writearound");
	assert_null(world_value(w, "dm-0", "writeback_percent", ""));
	k = world_wanted(w, "dm-0", "cache_mode", "");
	assert_string_equal(k->rule, "bcache");
	assert_non_null(strstr(k->why, "(line 4) sets cache_mode of dm-0"));
	k = world_wanted(w, "sdb", "writeback_percent", "");
	assert_int_equal(vst_plan_state(k), VST_KNOB_REFUSED);
	assert_non_null(strstr(vst_plan_text(k), "not a bcache"));
	w->replacement = "fifo"; /* somebody changes it meanwhile */
	world_tick(w);
	k = world_wanted(w, "dm-0", "cache_mode", "");
	assert_int_equal(vst_plan_state(k), VST_KNOB_REFUSED);
	assert_non_null(strstr(vst_plan_text(k), "write lru there"));
	assert_null(world_value(w, "dm-0", "cache_mode", ""));
	w->replacement = NULL;
	world_tick(w);
	assert_string_equal(world_value(w, "dm-0", "cache_mode", ""), "writearound");
	world_policy(w, RULES "- {name: x, match: {container: a}, weight: 50}\n");
	world_tick(w);
	assert_null(world_value(w, "dm-0", "sequential_cutoff", ""));
	assert_null(world_value(w, "dm-0", "cache_mode", ""));
}

/* As long as a container encrypts many files, its rule counts. */
static void an_alarm_limits(void **state)
{
	struct world *w = *state;
	__u32 a = world_container(w, "/a", "", "", "a");

	world_policy(w,
		     RULES "- {name: x, match: {container: a}, when: alarm mass_encryption, max: {write: 1MiB/s}}\n");
	world_io(w, a, DISK_A, VST_OP_WRITE, 1, 4096, 1000);
	for (int i = 0; i < 20; i++)
		world_tick(w);
	assert_int_equal(w->writes, 0);
	world_encrypts(w, a, 20);
	for (int i = 0; i < 3; i++)
		world_tick(w);
	assert_string_equal(world_value(w, "/a", "io.max", "8:0 wbps"), "1048576");
	world_encrypts(w, a, 0);
	for (int i = 0; i < 20; i++)
		world_tick(w);
	assert_null(world_value(w, "/a", "io.max", "8:0 wbps"));
}

static void count_threads(void *arg, __u32 id, const char *cgroup)
{
	__u32 *ret = arg;

	*ret = id;
	assert_string_equal(cgroup, "/a");
}

static void priorities_of_threads(void **state)
{
	struct world *w = *state;
	static const __u32 tids[] = { 12, 13 };
	struct vst_host_threads threads = { .tid = tids, .n = 2 };
	__u32 asked = 0;

	*w->host.no_ioprio = 0;
	world_container(w, "/a", "", "", "a");
	world_container(w, "/b", "", "", "b");
	world_policy(w, RULES "- {name: idle, match: {container: a}, ioprio: idle}\n"
			      "- {name: copies, match: {container: b, pattern: copy}, ioprio: idle}\n");
	world_tick(w);
	vst_engine_wants_threads(w->engine, count_threads, &asked);
	threads.container = asked;
	w->host.threads = &threads;
	w->host.n_threads = 1;
	world_tick(w);
	assert_string_equal(world_value(w, "12", "ioprio", ""), "idle");
	assert_string_equal(world_value(w, "13", "ioprio", ""), "idle");
	threads.n = 1;
	world_tick(w);
	assert_null(world_value(w, "13", "ioprio", ""));
	assert_int_equal(vst_plan_state(world_wanted(w, "/b", "ioprio", "")), VST_KNOB_REFUSED);
}

/* What takes back an earlier rule wants nothing, and is no refusal. */
static void taken_back(void **state)
{
	struct world *w = *state;

	*w->host.no_ioprio = 0;
	world_container(w, "/a", "", "", "a");
	world_policy(w, RULES
		     "- {name: x, match: {container: a}, ioprio: idle, cache: keep, max: {write: 1MiB/s}, protect: "
		     "{p99_read: 1ms}}\n"
		     "- {name: y, match: {container: a}, ioprio: none, cache: normal, max: none, protect: none}\n");
	world_tick(w);
	assert_null(w->plan.first);
}

static void groups_of_processes_without_a_container(void **state)
{
	struct world *w = *state;
	__u32 a = world_container(w, "/test", "", "", "test"), b = world_container(w, "/slice", "", "", "slice");

	w->container[a].directory = w->container[b].directory = true;
	world_container(w, "/slice/x.service", "", "", "x.service");
	world_policy(w, RULES "- {name: x, match: {cgroup: [/test, /slice]}, max: {write: 1MiB/s}}\n");
	world_tick(w);
	assert_non_null(world_value(w, "/test", "io.max", "8:0 wbps"));
	assert_null(world_value(w, "/slice", "io.max", "8:0 wbps")); /* there is a container in it */
	assert_non_null(world_value(w, "/slice/x.service", "io.max", "8:0 wbps"));
}

/* --- containers that come and go --- */

static void a_container_goes(void **state)
{
	struct world *w = *state;
	__u32 a = world_container(w, "/a", "", "", "a");
	struct vst_outcome outcome = { .state = VST_KNOB_REVERTED, .result = -ENOENT };
	struct vst_plan_knob *k;
	struct vst_step step;

	world_policy(w, RULES "- {name: x, match: {container: a}, max: {write: 1MiB/s}}\n");
	world_plan(w);
	k = vst_plan_next_step(&w->plan, NULL, w->time, &step);
	vst_plan_sent(&w->plan, k, step.id, w->time);
	world_remove(w, a); /* while the step is under way */
	world_plan(w);
	assert_null(vst_plan_next_step(&w->plan, NULL, w->time, &step));
	outcome.id = step.id;
	outcome.knob = step.knob;
	assert_non_null(vst_plan_outcome(&w->plan, &outcome, w->time));
	world_plan(w);
	assert_null(vst_plan_next_step(&w->plan, NULL, w->time, &step));
	assert_int_equal(w->plan.n, 0);
	assert_int_equal(w->plan.in_flight, 0);
	/* another one of the same name */
	world_container(w, "/a", "", "", "a");
	world_tick(w);
	assert_non_null(world_value(w, "/a", "io.max", "8:0 wbps"));
}

/* A service that is restarted between two passes has the same path, and a new cgroup without our values. */
static void recreated_with_another_inode_between_two_ticks(void **state)
{
	struct world *w = *state;
	__u32 a = world_container(w, "/a", "", "", "a");
	struct vst_outcome late = { .state = VST_KNOB_APPLIED };
	struct world_knob *knob;
	struct vst_plan_knob *k;
	int writes;

	world_policy(w, RULES "- {name: x, match: {container: a}, max: {write: 1MiB/s}}\n");
	world_tick(w);
	knob = world_find(w, "/a", "io.max", "8:0 wbps");
	assert_int_equal(knob->id, w->container[a].ino);
	k = world_wanted(w, "/a", "io.max", "8:0 wbps");
	vst_knob_init(&late.knob, k->actuator, k->target, k->target_id, k->attr, k->key);
	strcpy(late.written, "1048576");
	strcpy(knob->value, knob->old);
	writes = w->writes;
	w->container[a].ino = 9999;
	w->container[a].fresh = true;
	world_plan(w);
	assert_int_equal(vst_plan_state(k), VST_KNOB_PLANNED);
	vst_plan_adopt(&w->plan, &late, w->time); /* a list that was under way tells of the earlier cgroup */
	world_act(w);
	assert_string_equal(knob->value, "1048576");
	assert_int_equal(knob->id, 9999);
	assert_int_equal(w->writes, writes + 1);
	/* where only the actor knows the number: it finds the target gone, and the next step takes any */
	late.state = VST_KNOB_REVERTED;
	late.knob.target_id = 9999;
	vst_plan_adopt(&w->plan, &late, w->time);
	assert_int_equal(k->target_id, 0);
	world_act(w);
	assert_int_equal(knob->id, 0);
	assert_int_equal(w->writes, writes + 2);
}

/* Between two passes: the rules without conditions count at once, and nothing is written twice. */
static void a_new_container_need_not_wait(void **state)
{
	struct world *w = *state;
	__u32 a;

	world_container(w, "/old", "", "", "old");
	world_policy(w, RULES "- {name: x, match: {container: a}, max: {write: 1MiB/s}}\n"
			      "- {name: y, match: {container: late}, max: {read: 1MiB/s}}\n");
	world_tick(w);
	a = world_container(w, "/a", "", "", "a");
	world_snapshot(w, 0.05);
	assert_int_equal(vst_engine_notice(w->engine, w->now, &w->host, &w->plan, w->time), 0);
	world_act(w);
	assert_non_null(world_value(w, "/a", "io.max", "8:0 wbps"));
	/* it gets its name only now */
	w->container[a].name = "late";
	w->container[a].fresh = true;
	world_snapshot(w, 0.05);
	assert_int_equal(vst_engine_notice(w->engine, w->now, &w->host, &w->plan, w->time), 0);
	world_act(w);
	assert_non_null(world_value(w, "/a", "io.max", "8:0 rbps"));
	world_tick(w);
	assert_null(world_value(w, "/a", "io.max", "8:0 wbps"));
	assert_non_null(world_value(w, "/a", "io.max", "8:0 rbps"));
	for (int k = 0; k < 5; k++)
		world_tick(w);
	assert_int_equal(w->writes, 3);
	world_remove(w, a);
	world_tick(w);
	assert_null(world_wanted(w, "/a", "io.max", "8:0 rbps"));
}

/* Before its first I/O, a disk that a rule names gets its knob, also when the rule gives its path. */
static void a_disk_named_by_its_path(void **state)
{
	struct world *w = *state;

	world_container(w, "/a", "", "", "a");
	world_policy(w, RULES "- {name: x, match: {container: a, device: /dev/sdb}, max: {write: 1MiB/s}}\n");
	world_tick(w);
	assert_non_null(world_value(w, "/a", "io.max", "8:16 wbps"));
	assert_null(world_value(w, "/a", "io.max", "8:0 wbps"));
}

/* The same by a link to it, which udev may make and remove at any time. */
static void a_disk_named_by_a_link(void **state)
{
	struct world *w = *state;

	world_container(w, "/a", "", "", "a");
	world_policy(w, RULES
		     "- {name: x, match: {container: a, device: '/dev/disk/by-id/*SSD*'}, max: {write: 1MiB/s}}\n");
	world_tick(w);
	assert_null(world_value(w, "/a", "io.max", "8:16 wbps"));
	w->link = "/dev/disk/by-id/ata-SSD_42";
	world_tick(w);
	assert_string_equal(world_value(w, "/a", "io.max", "8:16 wbps"), "1048576");
	assert_null(world_value(w, "/a", "io.max", "8:0 wbps"));
	w->link = NULL;
	world_tick(w);
	assert_null(world_value(w, "/a", "io.max", "8:16 wbps")); /* restored */
}

/* A list that only excludes names no disk, so it gives none a knob before its first I/O. */
static void excluding_names_no_disk(void **state)
{
	struct world *w = *state;

	world_container(w, "/a", "", "", "a");
	world_policy(w, RULES "- {name: x, match: {container: a, device: '!sdc'}, max: {write: 1MiB/s}}\n");
	world_tick(w);
	assert_string_equal(world_value(w, "/a", "io.max", "8:0 wbps"), "1048576");
	assert_null(world_value(w, "/a", "io.max", "8:16 wbps"));
}

/* Nobody keeps the snapshots that were noticed: what the engine goes on reading of them is its own. */
static void noticed_snapshots_go(void **state)
{
	struct world *w = *state;
	__u32 a;

	world_policy(w, RULES "- {name: x, match: {container: a}, max: {write: 1MiB/s}}\n");
	world_container(w, "/old", "", "", "old");
	world_tick(w);
	a = world_container(w, "/a", "", "", "a");
	for (int i = 0; i < 3; i++) {
		w->container[a].fresh = true; /* a value of its own in each snapshot */
		world_snapshot(w, 0.05);
		assert_int_equal(vst_engine_notice(w->engine, w->now, &w->host, &w->plan, w->time), 0);
	}
	world_policy(w, RULES "- {name: y, match: {container: a, device: sda}, when: 'p99_read > 1ms', weight: 5}\n");
	world_remove(w, a);
	world_tick(w);
	assert_null(world_wanted(w, "/a", "io.max", "8:0 wbps"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_limit),
		TEST(a_limit_on_v1),
		TEST(the_last_rule_wins),
		TEST(outside_the_scope),
		TEST(a_disk_of_its_own),
		TEST(weights_at_each_level),
		TEST(weights_of_bfq),
		TEST(iocost_where_it_is_asked_for),
		TEST(nothing_to_act_on),
		TEST(wants_of_streams_are_refused),
		TEST(what_a_cache_keeps),
		TEST(what_a_user_pins),
		TEST(settings_of_a_bcache),
		TEST(an_alarm_limits),
		TEST(priorities_of_threads),
		TEST(taken_back),
		TEST(groups_of_processes_without_a_container),
		TEST(a_container_goes),
		TEST(recreated_with_another_inode_between_two_ticks),
		TEST(a_new_container_need_not_wait),
		TEST(noticed_snapshots_go),
		TEST(a_disk_named_by_its_path),
		TEST(a_disk_named_by_a_link),
		TEST(excluding_names_no_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
