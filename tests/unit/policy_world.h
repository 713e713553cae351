/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small host for tests of the policy engine: containers, disks, what they do in each second, and an actor that does each
 * step at once. Everything is a literal of the test; nothing is read from the machine.
 */
#ifndef VST_POLICY_WORLD_H
#define VST_POLICY_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/engine.h"
#include "vstor/hist.h"

#define DISK_A (8U << 20)
#define DISK_B (8U << 20 | 16)
#define STACKED (253U << 20)

enum { WORLD_ROWS = 64, WORLD_CONTAINERS = 64, WORLD_KNOBS = 256 };

struct world_row {
	bool used, is_fsync, is_pair;
	__u32 id, container, holder, dev, op, type;
	const char *name;
	__u64 ios, bytes, sum_ns, max_ns, total_ns;
	__u64 hist[VST_HIST_BUCKETS];
	__u32 pending;
	double oldest; /* seconds */
};

struct world_knob {
	char target[128], attr[48], key[32], value[64], old[64], why[VST_WHY_MAX];
	__u64 id; /* of the target that was written last; 0: not known */
};

struct world {
	const struct vst_snapshot *prev, *now;
	double time;
	struct vst_engine *engine;
	struct vst_plan plan;
	struct vst_policy *policy;
	struct vst_host host;
	struct vst_host_disk disk[2];
	struct world_row row[WORLD_ROWS];
	struct {
		bool used;
		__u32 id;
		const char *cgroup, *ns, *pod, *name, *image;
		__u64 ino; /* of its cgroup */
		bool directory, fresh;
		__u32 encrypting;
	} container[WORLD_CONTAINERS];
	const char *link; /* another name of sdb */
	__u32 next_id;
	struct world_knob knob[WORLD_KNOBS]; /* what the kernel has: only what was ever written */
	int n_knobs;
	bool is_cached;		 /* dm-0 is */
	const char *pin;	 /* a path on dm-0 that a user wants kept; NULL: none */
	const char *replacement; /* of its cache; NULL: lru */
	bool a_is_gone;		 /* sda was removed */
	int writes;		 /* of the actor */
};

static inline void world_policy(struct world *w, const char *yaml)
{
	struct vst_policy_errors errors;
	struct vst_policy *policy = NULL, *old = w->policy;
	int err = vst_policy_parse(yaml, strlen(yaml), "test.yaml", NULL, NULL, &policy, &errors);

	if (err)
		vst_policy_errors_print(&errors, stderr);
	vst_policy_errors_clear(&errors);
	assert_int_equal(err, 0);
	w->policy = policy;
	assert_int_equal(vst_engine_set_policy(w->engine, policy), 0);
	vst_policy_free(old);
}

/* Two leaf disks, sda and sdb, on cgroup v2; nobody's weights have an effect until a test says so. */
static inline void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->time = 1000;
	w->next_id = 100;
	w->engine = vst_engine_new();
	vst_plan_init(&w->plan);
	w->disk[0] = (struct vst_host_disk){ .dev = DISK_A, .key = "8:0", .no_iocost = "off", .no_bfq = "none" };
	w->disk[1] = (struct vst_host_disk){ .dev = DISK_B, .key = "8:16", .no_iocost = "off", .no_bfq = "none" };
	w->host = (struct vst_host){ .generation = 1,
				     .v2 = true,
				     .no_iocost = "iocost is off",
				     .no_bfq = "no bfq",
				     .no_ioprio = "no scheduler",
				     .disk = w->disk,
				     .n_disks = 2 };
}

static inline void world_clear(struct world *w)
{
	vst_engine_free(w->engine);
	vst_plan_clear(&w->plan);
	vst_policy_free(w->policy);
	vst_snapshot_unref(w->prev);
	vst_snapshot_unref(w->now);
}

static inline __u32 world_container(struct world *w, const char *cgroup, const char *ns, const char *pod,
				    const char *name)
{
	__u32 i = VST_CONTAINER__OWN;

	while (w->container[i].used)
		i++;
	assert_true(i < WORLD_CONTAINERS);
	w->container[i].used = w->container[i].fresh = true;
	w->container[i].id = w->next_id++;
	w->container[i].ino = 7000 + w->container[i].id;
	w->container[i].cgroup = cgroup;
	w->container[i].ns = ns;
	w->container[i].pod = pod;
	w->container[i].name = name;
	w->container[i].image = "";
	return i;
}

static inline void world_encrypts(struct world *w, __u32 index, __u32 files)
{
	w->container[index].encrypting = files;
	w->container[index].fresh = true;
}

static inline void world_remove(struct world *w, __u32 index)
{
	w->container[index].used = false;
	w->container[index].fresh = true;
	for (int i = 0; i < WORLD_ROWS; i++)
		if (w->row[i].used && (w->row[i].container == index || w->row[i].holder == index))
			w->row[i].used = false;
}

static inline struct world_row *world_row(struct world *w, __u32 container, __u32 dev, int op, bool is_fsync,
					  __u32 holder, bool is_pair)
{
	for (int i = 0; i < WORLD_ROWS; i++) {
		struct world_row *r = &w->row[i];

		if (r->used && r->container == container && r->dev == dev && r->op == (__u32)op &&
		    r->is_fsync == is_fsync && r->is_pair == is_pair && r->holder == holder)
			return r;
	}
	for (int i = 0; i < WORLD_ROWS; i++) {
		struct world_row *r = &w->row[i];

		if (r->used)
			continue;
		*r = (struct world_row){ .used = true,
					 .is_fsync = is_fsync,
					 .is_pair = is_pair,
					 .id = w->next_id++,
					 .container = container,
					 .holder = holder,
					 .dev = dev,
					 .op = op };
		return r;
	}
	fail_msg("too many rows");
	return NULL;
}

/* n I/Os of this latency, and their bytes, in the second that follows. */
static inline void world_io(struct world *w, __u32 container, __u32 dev, int op, __u64 n, __u64 bytes, double us)
{
	struct world_row *r = world_row(w, container, dev, op, false, 0, false);

	r->ios += n;
	r->bytes += bytes;
	r->hist[vst_hist_index((__u64)(us * 1e3))] += n;
	r->sum_ns += (__u64)(n * us * 1e3);
	r->max_ns = r->max_ns > us * 1e3 ? r->max_ns : (__u64)(us * 1e3);
}

/* n fsyncs that ended, and since when the oldest that did not goes on (0: none). */
static inline void world_fsync(struct world *w, __u32 container, const char *name, __u64 n, double us,
			       double stuck_since)
{
	struct world_row *r = world_row(w, container, 0, 0, true, 0, false);

	r->name = name;
	r->ios += n;
	r->hist[vst_hist_index((__u64)(us * 1e3))] += n;
	r->sum_ns += (__u64)(n * us * 1e3);
	r->total_ns += (__u64)(n * us * 1e3) + (stuck_since ? (__u64)1e9 : 0);
	r->max_ns = r->max_ns > us * 1e3 ? r->max_ns : (__u64)(us * 1e3);
	r->pending = stuck_since != 0;
	r->oldest = stuck_since;
}

static inline void world_blame(struct world *w, __u32 waiter, __u32 holder, int type, double us)
{
	struct world_row *r = world_row(w, waiter, 0, 0, false, holder, true);

	r->type = type;
	r->total_ns += (__u64)(us * 1e3);
}

static inline void world_times(struct vst_times *t, const struct world_row *r)
{
	t->hist.bucket = calloc(VST_HIST_BUCKETS, sizeof(*t->hist.bucket));
	for (__u32 i = 0; i < VST_HIST_BUCKETS; i++)
		if (r->hist[i])
			t->hist.bucket[t->hist.n++] = (struct vst_bucket){ i, r->hist[i] };
	t->sum_ns = r->sum_ns;
	t->max_ns = r->max_ns;
}

static inline void world_put_row(struct world *w, struct vst_snapshot *s, __u32 i)
{
	const struct world_row *r = &w->row[i];
	bool is_wait = r->is_fsync || r->is_pair;
	struct vst_snap_io *io;
	struct vst_snap_wait *wait;

	assert_int_equal(vst_snapshot_put(s, VST_SNAP_IOS, i, NULL), 0);
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_WAITS, i, NULL), 0);
	if (!r->used)
		return;
	if (!is_wait) {
		io = vst_value_new(VST_SNAP_IOS);
		io->id = r->id;
		io->container = r->container;
		io->dev = r->dev;
		io->layer = VST_LAYER_LEAF;
		io->op = r->op;
		io->counts.counter[VST_COUNTER_ios] = r->ios;
		io->counts.counter[VST_COUNTER_bytes] = r->bytes;
		world_times(&io->counts.time[VST_TIME_LATENCY], r);
		assert_int_equal(vst_snapshot_put(s, VST_SNAP_IOS, i, io), 0);
		return;
	}
	wait = vst_value_new(VST_SNAP_WAITS);
	wait->id = r->id;
	wait->waiter = r->container;
	wait->holder = r->holder;
	wait->side = r->is_pair ? VST_WAIT_OF_PAIR : VST_WAIT_OF_WAITER;
	wait->type = r->is_fsync ? VST_WAIT_FSYNC : r->type;
	wait->name = strdup(r->name ? r->name : "");
	wait->waits = r->ios;
	wait->total_ns = r->total_ns;
	wait->waiting = r->pending;
	wait->oldest_ns = (__u64)(r->oldest * 1e9);
	if (r->is_fsync)
		world_times(&wait->times, r);
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_WAITS, i, wait), 0);
}

static inline void world_put_container(struct world *w, struct vst_snapshot *s, __u32 i)
{
	struct vst_snap_container *c;

	if (!w->container[i].fresh)
		return;
	w->container[i].fresh = false;
	if (!w->container[i].used) {
		assert_int_equal(vst_snapshot_put(s, VST_SNAP_CONTAINERS, i, NULL), 0);
		return;
	}
	c = vst_value_new(VST_SNAP_CONTAINERS);
	c->id = w->container[i].id;
	c->cgroup_ino = w->container[i].ino;
	c->listed = !w->container[i].directory;
	c->encrypting = w->container[i].encrypting;
	c->cgroup = strdup(w->container[i].cgroup);
	c->display = strdup(w->container[i].name);
	c->ns = strdup(w->container[i].ns);
	c->pod = strdup(w->container[i].pod);
	c->name = strdup(w->container[i].name);
	c->image = strdup(w->container[i].image);
	c->cid = strdup("");
	c->runtime = strdup("");
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_CONTAINERS, i, c), 0);
}

static inline void world_put_device(struct vst_snapshot *s, __u32 i, __u32 dev, const char *name, int layer, __u64 ios,
				    const char *link, bool present)
{
	struct vst_snap_device *d = vst_value_new(VST_SNAP_DEVICES);

	d->dev = dev;
	d->name = strdup(name);
	if (link) {
		d->n_links = 1;
		d->links = calloc(1, sizeof(*d->links));
		d->links[0] = strdup(link);
	}
	d->not_judged = strdup("");
	d->layer = layer;
	d->present = present;
	d->counter[VST_DEVICE_kernel_ios] = ios;
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_DEVICES, i, d), 0);
}

static inline void world_put_cache(struct vst_snapshot *s, __u32 dev, const char *replacement)
{
	struct vst_snap_cache *c = vst_value_new(VST_SNAP_CACHES);

	c->dev = dev;
	c->type = strdup("bcache");
	c->name = strdup("dm-0");
	c->origin = strdup("sda");
	c->cache = strdup("nvme0n1");
	c->set = strdup("a-set");
	c->mode = strdup("writethrough");
	c->replacement = strdup(replacement);
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_CACHES, 0, c), 0);
}

static inline void world_put_pin(struct vst_snapshot *s, __u32 dev, const char *name)
{
	struct vst_snap_pin *p = vst_value_new(VST_SNAP_PINS);

	p->dev = dev;
	p->name = strdup(name);
	p->state = strdup("kept");
	p->text = strdup("");
	assert_int_equal(vst_snapshot_put(s, VST_SNAP_PINS, 0, p), 0);
}

/* --- the actor --- */

static inline struct world_knob *world_find(struct world *w, const char *target, const char *attr, const char *key)
{
	for (int i = 0; i < w->n_knobs; i++)
		if (!strcmp(w->knob[i].target, target) && !strcmp(w->knob[i].attr, attr) &&
		    !strcmp(w->knob[i].key, key))
			return &w->knob[i];
	return NULL;
}

/* The value that the kernel has; NULL: nobody changed it. */
static inline const char *world_value(struct world *w, const char *target, const char *attr, const char *key)
{
	struct world_knob *k = world_find(w, target, attr, key);

	return k && strcmp(k->value, k->old) != 0 ? k->value : NULL;
}

static inline void world_step(struct world *w, const struct vst_step *step, struct vst_outcome *ret)
{
	struct world_knob *k = world_find(w, step->knob.target, step->knob.attr, step->knob.key);

	*ret = (struct vst_outcome){ .id = step->id, .knob = step->knob, .since_us = (int64_t)(w->time * 1e6) };
	if (!k) {
		assert_true(w->n_knobs < WORLD_KNOBS);
		k = &w->knob[w->n_knobs++];
		snprintf(k->target, sizeof(k->target), "%.120s", step->knob.target);
		snprintf(k->attr, sizeof(k->attr), "%s", step->knob.attr);
		snprintf(k->key, sizeof(k->key), "%s", step->knob.key);
		snprintf(k->old, sizeof(k->old), "%s",
			 strstr(step->knob.attr, "weight")   ? "100"
			 : strcmp(step->knob.attr, "keeper") ? "max"
							     : "off");
		strcpy(k->value, k->old);
	}
	w->writes++;
	snprintf(k->value, sizeof(k->value), "%.60s", *step->wanted ? step->wanted : k->old);
	snprintf(k->why, sizeof(k->why), "%s", step->why);
	k->id = step->knob.target_id;
	ret->state = *step->wanted ? VST_KNOB_APPLIED : VST_KNOB_REVERTED;
	strcpy(ret->old, k->old);
	strcpy(ret->now, k->value);
	strcpy(ret->written, step->wanted);
	strcpy(ret->rule, step->rule);
	strcpy(ret->why, step->why);
}

/* Does the steps that are due, each once. Returns their number. */
static inline int world_steps(struct world *w)
{
	struct vst_plan_knob *k = NULL;
	struct vst_outcome outcome;
	struct vst_step step;
	int n = 0;

	for (; (k = vst_plan_next_step(&w->plan, k, w->time, &step)); n++) {
		vst_plan_sent(&w->plan, k, step.id, w->time);
		world_step(w, &step, &outcome);
		assert_ptr_equal(vst_plan_outcome(&w->plan, &outcome, w->time), k);
	}
	return n;
}

/* vstord looks for due steps again after each outcome, so a step that stays due would be sent for ever. */
static inline void world_act(struct world *w)
{
	int rounds = 0;

	while (world_steps(w))
		assert_true(++rounds < 8);
}

/* --- time --- */

static inline void world_snapshot(struct world *w, double seconds)
{
	struct vst_snapshot *s = vst_snapshot_next(w->now);

	w->time += seconds;
	s->time = w->time;
	for (__u32 i = 0; i < WORLD_CONTAINERS; i++)
		world_put_container(w, s, i);
	for (__u32 i = 0; i < WORLD_ROWS; i++)
		world_put_row(w, s, i);
	world_put_device(s, 0, DISK_A, "sda", VST_LAYER_LEAF, 1, NULL, !w->a_is_gone);
	world_put_device(s, 1, DISK_B, "sdb", VST_LAYER_LEAF, 0, w->link, true); /* never used */
	world_put_device(s, 2, STACKED, "dm-0", VST_LAYER_STACKED, 1, NULL, true);
	if (w->is_cached)
		world_put_cache(s, STACKED, w->replacement ? w->replacement : "lru");
	if (w->pin)
		world_put_pin(s, STACKED, w->pin);
	else
		assert_int_equal(vst_snapshot_put(s, VST_SNAP_PINS, 0, NULL), 0);
	vst_snapshot_unref(w->prev);
	w->prev = w->now;
	w->now = s;
}

/* A second passes: a snapshot, a pass of the engine. */
static inline void world_plan(struct world *w)
{
	world_snapshot(w, 1);
	assert_int_equal(vst_engine_run(w->engine, w->prev, w->now, &w->host, &w->plan), 0);
}

/* ... and the steps are done. */
static inline void world_tick(struct world *w)
{
	world_plan(w);
	world_act(w);
}

static inline struct vst_plan_knob *world_wanted(struct world *w, const char *target, const char *attr, const char *key)
{
	for (struct vst_plan_knob *k = w->plan.first; k; k = k->next)
		if (k->wanted && !strcmp(k->target, target) && !strcmp(k->attr, attr) && !strcmp(k->key, key))
			return k;
	return NULL;
}

#endif /* VST_POLICY_WORLD_H */
