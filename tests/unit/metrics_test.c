/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/sinks/metrics.c agent/sinks/metrics_sum.c agent/sinks/metrics_self.c agent/sinks/metrics_text.c agent/sinks/out.c agent/snapshot.c lib/delta.c lib/delta_snapshot.c policy/step.c -lm */
/* Snapshots as metrics: names, labels, sums that never fall, and the limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sinks/metrics.h"
#include "agent/sinks/metrics_text.h"
#include "vstor/hist.h"

static struct vst_snapshot *now; /* the one that is being made, then the newest */
static struct vst_metrics *metrics;
static char *text;

static void begin(double seconds)
{
	struct vst_snapshot *next = vst_snapshot_next(now);

	assert_non_null(next);
	vst_snapshot_unref(now);
	now = next;
	now->time = seconds;
	now->unix_time = 1000 + seconds;
	now->started = 0;
	strcpy(now->instance, "a");
	strcpy(now->kernel, "6.18");
}

static void container(__u32 index, const char *ns, const char *pod, const char *name, const char *cgroup, double ended)
{
	struct vst_snap_container *c = vst_value_new(VST_SNAP_CONTAINERS);

	c->id = index;
	c->own = !*cgroup;
	c->listed = true;
	c->display = (char *)name;
	c->ns = (char *)ns;
	c->pod = (char *)pod;
	c->name = (char *)name;
	c->cgroup = (char *)cgroup;
	c->cid = (char *)(*cgroup ? "0123abcd" : "");
	c->runtime = (char *)"containerd";
	c->ended = ended;
	assert_int_equal(vst_value_own_texts(VST_SNAP_CONTAINERS, c), 0);
	assert_int_equal(vst_snapshot_put(now, VST_SNAP_CONTAINERS, index, c), 0);
}

static void device(__u32 index, __u32 dev, const char *name, __u64 kernel_ios)
{
	struct vst_snap_device *d = vst_value_new(VST_SNAP_DEVICES);

	d->dev = dev;
	d->name = (char *)name;
	d->present = true;
	d->counter[VST_DEVICE_kernel_ios] = kernel_ios;
	d->counter[VST_DEVICE_seen_ios] = kernel_ios;
	assert_int_equal(vst_value_own_texts(VST_SNAP_DEVICES, d), 0);
	assert_int_equal(vst_snapshot_put(now, VST_SNAP_DEVICES, index, d), 0);
}

/* Reads of small files, each of 3 ms. */
static void reads(__u32 index, __u32 id, __u32 owner, __u64 ios, __u32 in_flight)
{
	void *room;
	struct vst_snap_io *io = vst_value_new_with(VST_SNAP_IOS, sizeof(struct vst_bucket), &room);
	struct vst_times *t = &io->counts.time[VST_TIME_LATENCY];

	io->id = id;
	io->container = owner;
	io->dev = 7 << 20;
	io->op = VST_OP_READ;
	io->kind = VST_KIND_DATA;
	io->size = VST_SIZE_LT1M;
	io->counts.counter[VST_COUNTER_ios] = ios;
	io->counts.counter[VST_COUNTER_bytes] = ios * 4096;
	io->counts.counter[VST_COUNTER_errors] = 1;
	t->hist.bucket = room;
	t->hist.n = 1;
	t->hist.bucket[0] = (struct vst_bucket){ vst_hist_index(3000000), ios };
	t->sum_ns = ios * 3000000;
	io->in_flight = in_flight;
	io->oldest_ns = in_flight ? 1500000000 : 0;
	assert_int_equal(vst_snapshot_put(now, VST_SNAP_IOS, index, io), 0);
}

static void wait_row(__u32 index, enum vst_wait_side side, enum vst_wait_type type, __u32 waiter, __u32 holder,
		     const char *name, __u64 ns)
{
	struct vst_snap_wait *w = vst_value_new(VST_SNAP_WAITS);

	w->id = index + 1;
	w->side = (__u8)side;
	w->type = (__u8)type;
	w->waiter = waiter;
	w->holder = holder;
	w->name = (char *)name;
	w->waits = 2;
	w->total_ns = ns;
	assert_int_equal(vst_value_own_texts(VST_SNAP_WAITS, w), 0);
	assert_int_equal(vst_snapshot_put(now, VST_SNAP_WAITS, index, w), 0);
}

static struct vst_acting_status *policy;

static void render(bool openmetrics)
{
	size_t len;
	char *t;

	free(text);
	t = vst_metrics_render(metrics, now, policy, openmetrics, &len);
	assert_non_null(t);
	text = malloc(len + 1);
	memcpy(text, t, len);
	text[len] = 0;
	free(t);
}

static unsigned int times(const char *line)
{
	unsigned int n = 0;

	for (const char *s = text; (s = strstr(s, line)); s++)
		n += s == text || s[-1] == '\n';
	return n;
}

/* The text has that line, once. */
static void has(const char *line)
{
	char whole[1024];

	snprintf(whole, sizeof(whole), "%s\n", line);
	if (times(whole) != 1) {
		const char *name = strstr(text, "\n# HELP vstor_io");

		fail_msg("%u times: %s\n%s", times(whole), line, name ? name : text);
	}
}

static void has_not(const char *part)
{
	if (strstr(text, part))
		fail_msg("there is: %s", strstr(text, part));
}

static int setup(void **state)
{
	now = NULL;
	text = NULL;
	begin(1);
	container(0, "", "", "unattributed", "", 0);
	container(4, "prod", "mysql-0", "mysqld", "/a", 0);
	container(5, "prod", "web", "nginx", "/b", 0);
	device(0, 7 << 20, "loop0", 100);
	return vst_metrics_new(VST_METRICS_SERIES, &metrics);
}

static int teardown(void **state)
{
	vst_metrics_free(metrics);
	vst_snapshot_unref(now);
	free(text);
	return 0;
}

#define MYSQL "namespace=\"prod\",pod=\"mysql-0\",container=\"mysqld\""
#define WEB "namespace=\"prod\",pod=\"web\",container=\"nginx\""
#define LOOP0 "device=\"loop0\",layer=\"leaf\""

static void test_a_row_is_every_counter_of_the_list(void **state)
{
	reads(0, 1, 4, 10, 0);
	render(false);
	has("# TYPE vstor_io_ios_total counter");
	has("vstor_io_ios_total{" MYSQL "," LOOP0 ",op=\"read\",class=\"4\"} 10");
	has("vstor_io_bytes_total{" MYSQL "," LOOP0 ",op=\"read\",class=\"4\"} 40960");
	has("vstor_io_errors_total{" MYSQL "," LOOP0 "} 1");
#define X(f, d)                                                                                                        \
	if (!strstr(text, "\nvstor_io_" #f "_total{") || !strstr(text, "# HELP vstor_io_" #f "_total "))               \
		fail_msg("no metric of the counter " #f);
	VST_COUNTERS(X)
#undef X
#define X(s, f, d)                                                                                                     \
	if (!strstr(text, "\nvstor_device_" #s "_" #f "_total{" LOOP0 "} "))                                           \
		fail_msg("no metric of the counter " #s " " #f);
	VST_DEVICE_COUNTERS(X)
#undef X
#define X(e, n, w)                                                                                                     \
	if (!strstr(text, "\nvstor_lost_total{cause=\"" n "\"} 0"))                                                    \
		fail_msg("no metric of the loss " n);
	VST_LOSSES(X)
#undef X
	has("vstor_container_info{" MYSQL ",id=\"0123abcd\",runtime=\"containerd\",image=\"\",cgroup=\"/a\"} 1");
	has("vstor_build_info{version=\"" VSTOR_VERSION "\",kernel=\"6.18\"} 1");
	has_not("# EOF");
}

static void test_a_histogram_adds_up(void **state)
{
	reads(0, 1, 4, 10, 0);
	render(false);
	has("# TYPE vstor_io_latency_seconds histogram");
	has("vstor_io_latency_seconds_bucket{" MYSQL "," LOOP0 ",op=\"read\",le=\"0.001048576\"} 0");
	has("vstor_io_latency_seconds_bucket{" MYSQL "," LOOP0 ",op=\"read\",le=\"0.004194304\"} 10");
	has("vstor_io_latency_seconds_bucket{" MYSQL "," LOOP0 ",op=\"read\",le=\"+Inf\"} 10");
	has("vstor_io_latency_seconds_sum{" MYSQL "," LOOP0 ",op=\"read\"} 0.03");
	has("vstor_io_latency_seconds_count{" MYSQL "," LOOP0 ",op=\"read\"} 10");
}

/* The agent forgets a row, and the container is started anew under the same name: the series goes on. */
static void test_a_sum_never_falls(void **state)
{
	reads(0, 1, 4, 10, 0);
	render(false);
	begin(2);
	container(6, "prod", "mysql-0", "mysqld", "/a2", 0);
	container(4, "prod", "mysql-0", "mysqld", "/a", 2);
	reads(1, 2, 6, 3, 0);
	render(false);
	has("vstor_io_ios_total{" MYSQL "," LOOP0 ",op=\"read\",class=\"4\"} 13");
	begin(3);
	assert_int_equal(vst_snapshot_put(now, VST_SNAP_IOS, 0, NULL), 0);
	assert_int_equal(vst_snapshot_put(now, VST_SNAP_CONTAINERS, 4, NULL), 0);
	reads(1, 2, 6, 5, 0);
	render(false);
	has("vstor_io_ios_total{" MYSQL "," LOOP0 ",op=\"read\",class=\"4\"} 15");
	/* another row in the place of the forgotten one */
	begin(4);
	reads(0, 9, 6, 7, 0);
	render(false);
	has("vstor_io_ios_total{" MYSQL "," LOOP0 ",op=\"read\",class=\"4\"} 22");
	/* the same snapshot once more */
	render(false);
	has("vstor_io_ios_total{" MYSQL "," LOOP0 ",op=\"read\",class=\"4\"} 22");
	/* and all of it gone */
	begin(700);
	for (__u32 i = 0; i < 2; i++)
		assert_int_equal(vst_snapshot_put(now, VST_SNAP_IOS, i, NULL), 0);
	assert_int_equal(vst_snapshot_put(now, VST_SNAP_CONTAINERS, 6, NULL), 0);
	render(false);
	has_not("mysql-0");
}

static void test_equal_names_are_one_series(void **state)
{
	container(7, "prod", "mysql-0", "mysqld", "/c", 0);
	reads(0, 1, 4, 10, 0);
	reads(1, 2, 7, 20, 0);
	render(false);
	has("vstor_io_ios_total{" MYSQL "," LOOP0 ",op=\"read\",class=\"4\"} 30");
}

static void test_what_has_no_name_is_one_series(void **state)
{
	container(7, "", "", "", "/x/1", 0);
	container(8, "", "", "", "/x/2", 0);
	reads(0, 1, 7, 1, 0);
	reads(1, 2, 8, 2, 0);
	reads(2, 3, 0, 5, 0);
	render(false);
	has("vstor_io_ios_total{namespace=\"\",pod=\"\",container=\"[unknown]\"," LOOP0 ",op=\"read\",class=\"4\"} 3");
	has("vstor_io_ios_total{namespace=\"\",pod=\"\",container=\"[unattributed]\"," LOOP0
	    ",op=\"read\",class=\"4\"} 5");
}

static void test_who_waits_for_whom(void **state)
{
	wait_row(0, VST_WAIT_OF_WAITER, VST_WAIT_LOCK, 4, 0, "i_rwsem", 2500000000);
	wait_row(1, VST_WAIT_OF_PAIR, VST_WAIT_LOCK, 4, 5, "i_rwsem", 2000000000);
	wait_row(2, VST_WAIT_OF_PAIR, VST_WAIT_DEVICE, 4, 5, "loop0", 10000);
	wait_row(3, VST_WAIT_OF_PAIR, VST_WAIT_LOCK, 4, 4, "i_rwsem", 500000000);
	render(false);
	has("vstor_wait_seconds_total{" MYSQL ",resource=\"lock\"} 2.5");
	has("vstor_lock_wait_seconds_total{lock=\"i_rwsem\",type=\"spinlock\"} 2.5");
	has("vstor_lock_waits_total{lock=\"i_rwsem\",type=\"spinlock\"} 2");
	has("vstor_blamed_seconds_total{" WEB ",resource=\"lock\"} 2");
	has("vstor_blamed_seconds_total{" WEB ",resource=\"device\"} 0.00001");
	has_not("vstor_blamed_seconds_total{" MYSQL); /* itself */
	has("vstor_blame_seconds_total{" MYSQL
	    ",by_namespace=\"prod\",by_pod=\"web\",by_container=\"nginx\",resource=\"lock\"} 2");
	assert_int_equal(times("vstor_blame_seconds_total{"), 1); /* less than a second is not shown */
	begin(2);
	wait_row(2, VST_WAIT_OF_PAIR, VST_WAIT_DEVICE, 4, 5, "loop0", 1000010000);
	render(false);
	assert_int_equal(times("vstor_blame_seconds_total{"), 2);
}

static void test_what_is_in_flight_is_shown_while_it_is(void **state)
{
	reads(0, 1, 4, 10, 2);
	begin(4);
	render(false);
	has("vstor_io_in_flight{" MYSQL "," LOOP0 "} 2");
	has("vstor_io_oldest_seconds{" MYSQL "," LOOP0 "} 2.5");
	begin(5);
	reads(0, 1, 4, 12, 0);
	render(false);
	has_not("vstor_io_in_flight{");
	has_not("vstor_io_oldest_seconds{");
}

static void test_hostile_names_are_escaped(void **state)
{
	char longest[1024];

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	container(4, "a\"} 1\nfoo 2\n#", "b\\", "\x1b[2J\xff\xc3\xa9", "/h", 0);
	container(5, "", longest, "n", "/l", 0);
	reads(0, 1, 4, 1, 0);
	reads(1, 2, 5, 1, 0);
	render(false);
	has("vstor_io_ios_total{namespace=\"a\\\"} 1\\\\x0afoo "
	    "2\\\\x0a#\",pod=\"b\\\\\",container=\"\\\\x1b[2J\xef\xbf\xbd\xc3\xa9\"," LOOP0
	    ",op=\"read\",class=\"4\"} 1");
	has_not("\nfoo");
	longest[VST_LABEL_MAX + 1] = 0;
	has_not(longest);
	longest[VST_LABEL_MAX] = 0;
	assert_non_null(strstr(text, longest));
}

static void test_names_that_become_equal_are_one_series(void **state)
{
	container(4, "", "", "\x1b", "/h", 0);
	container(5, "", "", "\\x1b", "/l", 0);
	reads(0, 1, 4, 1, 0);
	reads(1, 2, 5, 2, 0);
	render(false);
	has("vstor_io_ios_total{namespace=\"\",pod=\"\",container=\"\\\\x1b\"," LOOP0 ",op=\"read\",class=\"4\"} 3");
}

static void test_what_is_done_about_the_policy(void **state)
{
	struct vst_acting_row rows[] = { { .state = VST_KNOB_APPLIED },
					 { .state = VST_KNOB_APPLIED },
					 { .state = VST_KNOB_REFUSED } };
	struct vst_acting_protected p[] = {
		{ .cgroup = "/a",
		  .device = "loop0",
		  .objective = "p99_fsync",
		  .objective_us = 8000,
		  .latency_us = 12500,
		  .cap = 1e6 },
		{ .cgroup = "/a", .device = "loop0", .objective = "p99_fsync", .objective_us = 8000, .latency_us = 1 },
		{ .cgroup = "/b", .device = "loop0", .objective = "p99_read", .objective_us = 5000, .latency_us = -1 },
	};
	struct vst_acting_status status = { .mode = VST_MODE_ACT,
					    .error = "line 3",
					    .actor = "refusing",
					    .conflicts = 2,
					    .row = rows,
					    .n_rows = 3,
					    .protected = p,
					    .n_protected = 3 };

	policy = &status;
	render(false);
	policy = NULL;
	has("vstor_policy_mode{mode=\"act\"} 1");
	has("vstor_policy_mode{mode=\"observe\"} 0");
	has("vstor_actor_state{state=\"refusing\"} 1");
	has("vstor_policy_bad 1");
	has("vstor_policy_conflicts_total 2");
	has("vstor_policy_knobs{state=\"applied\"} 2");
	has("vstor_policy_knobs{state=\"refused\"} 1");
	has("vstor_policy_knobs{state=\"conflict\"} 0");
	has("vstor_policy_objective_seconds{" MYSQL ",device=\"loop0\",objective=\"p99_fsync\"} 0.008");
	has("vstor_policy_latency_seconds{" MYSQL ",device=\"loop0\",objective=\"p99_fsync\"} 0.0125");
	has("vstor_policy_cap_bytes{" MYSQL ",device=\"loop0\",objective=\"p99_fsync\"} 1000000");
	has("vstor_policy_objective_seconds{" WEB ",device=\"loop0\",objective=\"p99_read\"} 0.005");
	has_not("vstor_policy_latency_seconds{" WEB);
}

static void test_openmetrics(void **state)
{
	reads(0, 1, 4, 10, 0);
	render(true);
	has("# TYPE vstor_io_bytes counter");
	has("# UNIT vstor_io_bytes bytes");
	has("# UNIT vstor_io_latency_seconds seconds");
	has("# TYPE vstor_build info");
	has("vstor_io_bytes_total{" MYSQL "," LOOP0 ",op=\"read\",class=\"4\"} 40960");
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
}

static unsigned int count_series(void)
{
	unsigned int n = 0;

	for (const char *s = text; *s; s = strchr(s, '\n') + 1)
		n += *s != '#';
	return n;
}

static void test_the_limit_holds_and_is_told(void **state)
{
	char names[600][16], line[64];
	__u64 dropped;

	vst_metrics_free(metrics);
	assert_int_equal(vst_metrics_new(500, &metrics), 0);
	for (__u32 i = 0; i < 600; i++) {
		snprintf(names[i], sizeof(names[i]), "c%03u", i);
		container(10 + i, "", "", names[i], names[i], 0);
		reads(i, i + 1, 10 + i, 1, 0);
	}
	render(false);
	assert_true(count_series() <= 500);
	assert_true(count_series() > 470);
	snprintf(line, sizeof(line), "vstor_metrics_series %u", count_series());
	has(line);
	/* what comes first in the order is whole: the agent and the devices; then the first containers by name */
	has("vstor_lost_total{cause=\"missed\"} 0");
	assert_non_null(strstr(text, "container=\"c000\""));
	has_not("container=\"c599\"");
	has_not("vstor_io_latency_seconds_bucket");
	dropped = strtoull(strstr(text, "\nvstor_metrics_dropped_series_total ") + 36, NULL, 10);
	assert_true(dropped > 1000);
	render(false); /* the same snapshot is not counted twice */
	assert_int_equal(strtoull(strstr(text, "\nvstor_metrics_dropped_series_total ") + 36, NULL, 10), dropped);
	begin(2);
	render(false);
	assert_true(strtoull(strstr(text, "\nvstor_metrics_dropped_series_total ") + 36, NULL, 10) > dropped);
}

/* Nothing twice: Prometheus refuses a scrape with two samples of a series, and a container could make it so. */
static void test_no_series_twice(void **state)
{
	reads(0, 1, 4, 10, 1);
	reads(1, 2, 5, 10, 1);
	container(7, "prod", "mysql-0", "mysqld", "/a", 0); /* the same cgroup, id and name */
	device(1, 8 << 20, "loop0", 5);			    /* the same name */
	wait_row(1, VST_WAIT_OF_PAIR, VST_WAIT_LOCK, 4, 5, "a", 2000000000);
	wait_row(2, VST_WAIT_OF_PAIR, VST_WAIT_LOCK, 7, 5, "b", 2000000000);
	render(false);
	for (const char *s = text; *s; s = strchr(s, '\n') + 1) {
		char series[1024];

		if (*s == '#')
			continue;
		snprintf(series, sizeof(series), "%.*s", (int)strcspn(s, "\n"), s);
		*strrchr(series, ' ') = 0;
		strcat(series, " ");
		if (times(series) != 1)
			fail_msg("%u times: %s", times(series), series);
	}
	has("vstor_device_kernel_ios_total{" LOOP0 "} 105");
}

#define GOLDEN "tests/fixtures/metrics.prom"

/* The text with what differs from run to run replaced. */
static char *masked(void)
{
	static const char *const mask[][2] = {
		{ "vstor_build_info{", "vstor_build_info{version=\"0\",kernel=\"6.18\"} 1\n" },
		{ "vstor_metrics_render_seconds ", "vstor_metrics_render_seconds 0.001\n" },
	};
	char *to = malloc(2 * strlen(text) + 1), *at = to;

	for (const char *s = text; *s; s = strchr(s, '\n') + 1) {
		const char *line = NULL;

		for (size_t i = 0; i < 2; i++)
			if (!strncmp(s, mask[i][0], strlen(mask[i][0])))
				line = mask[i][1];
		at += line ? sprintf(at, "%s", line) : sprintf(at, "%.*s\n", (int)strcspn(s, "\n"), s);
	}
	return to;
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *buf = NULL;
	size_t size = 0;

	if (!f || getdelim(&buf, &size, 0, f) < 0)
		fail_msg("cannot read %s: run the test in the root of the repository", path);
	fclose(f);
	return buf;
}

/* Everything that there can be, once: dashboards and rules are checked against this text. */
static void everything(void)
{
	static struct vst_acting_row rows[] = { { .state = VST_KNOB_APPLIED } };
	static struct vst_acting_protected p[] = { { .cgroup = "/a",
						     .device = "loop0",
						     .objective = "p99_fsync",
						     .objective_us = 8000,
						     .latency_us = 5000 } };
	static struct vst_acting_status status = { .mode = VST_MODE_ACT,
						   .error = "",
						   .actor = "ready",
						   .row = rows,
						   .n_rows = 1,
						   .protected = p,
						   .n_protected = 1 };
	static struct vst_snap_probe probe = { "rq_issue", "block_rq_issue", "block", "attached", "", 100, 5, 0 };
	struct vst_snap_device *d;
	struct vst_snap_wait *w;

	reads(0, 1, 4, 10, 1);
	wait_row(0, VST_WAIT_OF_WAITER, VST_WAIT_LOCK, 4, 0, "i_rwsem", 2500000000);
	wait_row(1, VST_WAIT_OF_PAIR, VST_WAIT_LOCK, 4, 5, "i_rwsem", 2000000000);
	wait_row(2, VST_WAIT_OF_WAITER, VST_WAIT_FSYNC, 4, 0, "loop0", 5000000);
	w = (struct vst_snap_wait *)vst_snapshot_wait(now, 0);
	w->waiting = 1;
	w->oldest_ns = 500000000;
	((struct vst_snap_wait *)vst_snapshot_wait(now, 2))->dev = 7 << 20;
	d = (struct vst_snap_device *)vst_snapshot_device(now, 0);
	d->lost[VST_LOSS_NO_END] = 3;
	now->probes = malloc(sizeof(probe));
	memcpy((void *)now->probes, &probe, sizeof(probe));
	now->n_probes = 1;
	now->self = (struct vst_snap_self){
		.cpu_percent = 0.5, .rss_bytes = 1 << 24, .event_ns = 500, .budget_percent = 20
	};
	now->self.given_up[now->self.n_given_up++] = "locks";
	policy = &status;
	render(false);
	policy = NULL;
}

/* A change of a name or label breaks the dashboards and alerts of users. VST_UPDATE=1 takes what is so now. */
static void test_the_text_is_what_it_was(void **state)
{
	char *want, *is;

	everything();
	is = masked();
	if (getenv("VST_UPDATE")) {
		FILE *f = fopen(GOLDEN, "w");

		assert_non_null(f);
		fputs(is, f);
		fclose(f);
	}
	want = read_file(GOLDEN);
	assert_string_equal(is, want);
	free(want);
	free(is);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_row_is_every_counter_of_the_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_histogram_adds_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_sum_never_falls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_equal_names_are_one_series, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_has_no_name_is_one_series, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_waits_for_whom, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_in_flight_is_shown_while_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_names_are_escaped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_that_become_equal_are_one_series, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_done_about_the_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_openmetrics, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_limit_holds_and_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_series_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_text_is_what_it_was, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
