// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the rules want for one container: which knob, on which cgroup, with which value; or why it cannot be done.
 *
 * Which cgroup? The scope of the container. Siblings share a disk by weight, so a weight deep in the tree changes nothing
 * between branches that meet above it (measured: no effect). A rule about pods therefore sets the pod's cgroup too, and a
 * rule that names a cgroup sets that one. Never the root, and never a QoS slice of Kubernetes: the kubelet owns these.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/engine_priv.h"
#include "policy/keep.h"

enum { THREADS_MAX = 1024 }; /* of a container, that get a priority */

/* --- the list --- */

void vst_engine_drop_wants(struct vst_engine *e, struct econtainer *c)
{
	for (size_t i = 0; i < c->n_want; i++) {
		vst_plan_put(e->plan, c->want[i].knob);
		free(c->want[i].value);
		free(c->want[i].why);
		free(c->want[i].refusal);
	}
	c->n_want = 0;
	c->kept = false;
}

/* Takes over the knob's reference, which may be NULL: then there was no memory, or there are too many knobs. */
static int add(struct econtainer *c, struct vst_plan_knob *knob, const struct vst_rule *rule, const char *why,
	       const char *refusal, const char *value)
{
	struct want *w, *list;

	if (!knob)
		return -ENOMEM;
	if (c->n_want == c->cap_want) {
		size_t cap = c->cap_want ? c->cap_want * 2 : 4;

		list = realloc(c->want, cap * sizeof(*list));
		if (!list) {
			knob->refs--;
			return -ENOMEM;
		}
		c->want = list;
		c->cap_want = cap;
	}
	w = &c->want[c->n_want++];
	*w = (struct want){ .knob = knob, .rule = rule, .measured = rule->n_when };
	w->value = strdup(refusal ? "" : value);
	w->why = strdup(why);
	w->refusal = refusal ? strdup(refusal) : NULL;
	return !w->value || !w->why || (refusal && !w->refusal) ? -ENOMEM : 0;
}

/* "'batch is light' (line 4) asks for weight 100 for batch/etl, because p99_read > 5ms for 10s" */
static void explain(const struct vst_rule *rule, enum vst_attr attr, const struct vst_snap_container *c,
		    char ret[VST_WHY_MAX])
{
	char want[96], condition[96];
	int n;

	vst_rule_want_text(rule, attr, want, sizeof(want));
	n = snprintf(ret, VST_WHY_MAX, "'%.64s' (line %u) asks for %s for %.80s", rule->name, rule->line, want,
		     vst_engine_display(c));
	for (size_t i = 0; i < rule->n_when && n < VST_WHY_MAX; i++) {
		vst_condition_text(&rule->when[i], condition, sizeof(condition));
		n += snprintf(ret + n, VST_WHY_MAX - n, "%s %s", i ? " and" : ", because", condition);
	}
}

/* --- targets --- */

static bool is_qos_slice(const char *path)
{
	static const char *const names[] = { "kubepods", "kubepods.slice", "kubepods-burstable.slice",
					     "kubepods-besteffort.slice", "kubepods-guaranteed.slice" };
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return strstr(path, "/kubepods/") && (!strcmp(name, "burstable") || !strcmp(name, "besteffort"));
}

static bool may_have_knobs(const char *path)
{
	return *path == '/' && path[1] && !is_qos_slice(path);
}

/* The rule is about pods as a whole, not about one of their containers. */
static bool is_about_pods(const struct vst_rule *rule)
{
	return (rule->match[VST_MATCH_NAMESPACE].n || rule->match[VST_MATCH_POD].n) &&
	       !rule->match[VST_MATCH_CONTAINER].n && !rule->match[VST_MATCH_IMAGE].n &&
	       !rule->match[VST_MATCH_CGROUP].n;
}

/* The pod's cgroup: the one above the scope, if its name says so. False: there is none. */
static bool pod_of(const struct vst_snap_container *c, char ret[VST_TARGET_MAX])
{
	char *slash;

	if (!c->pod || !*c->pod || snprintf(ret, VST_TARGET_MAX, "%s", c->cgroup) >= VST_TARGET_MAX)
		return false;
	slash = strrchr(ret, '/');
	if (!slash || slash == ret)
		return false;
	*slash = 0;
	slash = strrchr(ret, '/');
	return slash && strstr(slash, "pod") && may_have_knobs(ret);
}

const char *vst_engine_named_above(const struct vst_rule *rule, const char *cgroup)
{
	const struct vst_globs *globs = &rule->match[VST_MATCH_CGROUP];

	for (size_t i = 0; i < globs->n; i++) {
		const char *text = globs->glob[i].text;
		size_t len = strlen(text);

		if (globs->glob[i].exclude || strpbrk(text, "*?[\\") || !may_have_knobs(text))
			continue;
		if (!strncmp(cgroup, text, len) && cgroup[len] == '/')
			return text;
	}
	return NULL;
}

int vst_engine_weight_targets(const struct vst_rule *rule, const struct vst_snap_container *c,
			      int (*f)(void *arg, const char *target, bool is_scope), void *arg)
{
	const char *named = vst_engine_named_above(rule, c->cgroup);
	char pod[VST_TARGET_MAX];
	int err = 0;

	if (may_have_knobs(c->cgroup))
		err = f(arg, c->cgroup, true);
	if (!err && is_about_pods(rule) && pod_of(c, pod))
		err = f(arg, pod, false);
	if (!err && named)
		err = f(arg, named, false);
	return err;
}

/* The number of the scope's directory, where the knobs are in the hierarchy that it was counted in. */
static uint64_t scope_id(const struct vst_engine *e, const struct vst_snap_container *c)
{
	return e->host->v2 ? c->cgroup_ino : 0;
}

/* --- weight --- */

struct weight {
	struct vst_engine *e;
	struct econtainer *c;
	const struct vst_rule *rule;
	const char *attr, *key, *value, *why, *refusal;
};

static int add_weight(void *arg, const char *target, bool is_scope)
{
	struct weight *w = arg;
	uint64_t id = is_scope ? scope_id(w->e, w->c->value) : 0;
	struct vst_plan_knob *k = vst_plan_get(w->e->plan, VST_ACTUATOR_CGROUP_IO, target, id, w->attr, w->key);

	return add(w->c, k, w->rule, w->why, w->refusal, w->value);
}

/* One kind of weight. bfq's ends at 1000: what is above it counts as that. */
static int want_weight(struct weight *w, bool is_bfq, const char *refusal)
{
	char value[16], bfq[VST_WHY_MAX + 64];
	unsigned int weight = is_bfq && w->rule->weight > 1000 ? 1000 : w->rule->weight;
	const char *why = w->why;
	int err;

	if (is_bfq && w->rule->weight > 1000) {
		snprintf(bfq, sizeof(bfq), "%.180s; bfq's largest weight is 1000", why);
		w->why = bfq;
	}
	snprintf(value, sizeof(value), "%u", weight);
	w->value = value;
	w->refusal = refusal;
	w->attr = !is_bfq ? "io.weight" : w->e->host->v2 ? "io.bfq.weight" : "blkio.bfq.weight";
	if (is_bfq && !w->e->host->v2 && strcmp(w->key, "default") != 0)
		w->attr = "blkio.bfq.weight_device";
	err = vst_engine_weight_targets(w->rule, w->c->value, add_weight, w);
	w->why = why;
	return err;
}

/* "": it has an effect. disk NULL: on any. */
static const char *no_iocost(const struct vst_host *host, const struct edisk *disk)
{
	if (!host->v2)
		return "io.weight is cgroup v2's, and the block I/O controller is on cgroup v1 here";
	return !disk ? host->no_iocost : disk->host ? disk->host->no_iocost : "nothing is known of this disk";
}

static const char *no_bfq(const struct vst_host *host, const struct edisk *disk)
{
	return !disk ? host->no_bfq : disk->host ? disk->host->no_bfq : "nothing is known of this disk";
}

/*
 * A weight counts where iocost is enabled (io.weight) or where the scheduler is bfq (its own attribute). Both are set where
 * a host has disks of both kinds; neither has an effect on the other's disks.
 */
static int weigh(struct vst_engine *e, struct econtainer *c, const struct vst_rule *rule, const struct edisk *disk)
{
	const struct vst_host *host = e->host;
	const char *iocost = no_iocost(host, disk), *bfq = no_bfq(host, disk);
	struct weight w = {
		.e = e, .c = c, .rule = rule, .key = disk ? disk->host ? disk->host->key : "0:0" : "default"
	};
	char why[VST_WHY_MAX], refusal[2 * VST_TEXT_MAX + 8];
	int err = 0;

	explain(rule, VST_ATTR_WEIGHT, c->value, why);
	w.why = why;
	if (*host->no_cgroup)
		return want_weight(&w, !host->v2, host->no_cgroup);
	if (disk && disk->stacked)
		return want_weight(&w, !host->v2, "a stacked device has no queue of its own: name the disks below it");
	if (*iocost && *bfq) {
		if (host->v2)
			snprintf(refusal, sizeof(refusal), "%s; %s", iocost, bfq);
		else
			snprintf(refusal, sizeof(refusal), "%s", bfq);
		return want_weight(&w, !host->v2, refusal);
	}
	if (!*iocost)
		err = want_weight(&w, false, NULL);
	if (!err && !*bfq)
		err = want_weight(&w, true, NULL);
	return err;
}

/* --- max --- */

struct vst_plan_knob *vst_engine_max_knob(struct vst_engine *e, const struct vst_snap_container *c,
					  const struct edisk *disk, enum vst_max_part part)
{
	static const char *const v1[] = {
		[VST_LIMIT_READ] = "blkio.throttle.read_bps_device",
		[VST_LIMIT_WRITE] = "blkio.throttle.write_bps_device",
		[VST_LIMIT_READ_IOPS] = "blkio.throttle.read_iops_device",
		[VST_LIMIT_WRITE_IOPS] = "blkio.throttle.write_iops_device",
	};
#define X(e, k, u, c) [VST_LIMIT_##e] = c,
	static const char *const v2[] = { VST_LIMITS(X) };
#undef X
	char key[VST_KEY_MAX];

	if (!e->host->v2)
		return vst_plan_get(e->plan, VST_ACTUATOR_CGROUP_IO, c->cgroup, 0, v1[part],
				    disk->host ? disk->host->key : disk->name);
	snprintf(key, sizeof(key), "%.20s %s", disk->host ? disk->host->key : disk->name, v2[part]);
	return vst_plan_get(e->plan, VST_ACTUATOR_CGROUP_IO, c->cgroup, scope_id(e, c), "io.max", key);
}

static const char *no_max(const struct vst_engine *e, const struct edisk *disk)
{
	if (*e->host->no_cgroup)
		return e->host->no_cgroup;
	if (disk->stacked)
		return "a stacked device has no queue of its own: name the disks below it";
	if (!disk->host)
		return "nothing is known of this disk";
	return *disk->host->not_leaf ? disk->host->not_leaf : NULL;
}

static int want_limit(struct vst_engine *e, struct econtainer *c, const struct vst_rule *rule, const struct edisk *disk,
		      enum vst_max_part part)
{
	struct vst_snap_container pod = *c->value;
	char why[VST_WHY_MAX], value[32], path[VST_TARGET_MAX];
	int err;

	explain(rule, VST_ATTR_MAX, c->value, why);
	snprintf(value, sizeof(value), "%llu", (unsigned long long)rule->max.limit[part]);
	err = add(c, vst_engine_max_knob(e, c->value, disk, part), rule, why, no_max(e, disk), value);
	if (err || !is_about_pods(rule) || !pod_of(c->value, path))
		return err;
	pod.cgroup = path;
	pod.cgroup_ino = 0;
	return add(c, vst_engine_max_knob(e, &pod, disk, part), rule, why, no_max(e, disk), value);
}

static int limit(struct vst_engine *e, struct econtainer *c, const struct edisk *disk)
{
	const struct vst_rule *rule = vst_engine_winner(c, disk->dev, VST_ATTR_MAX);
	int err = 0;

	if (!rule || rule->max.allowed || !may_have_knobs(c->value->cgroup))
		return 0;
	/* a stacked device is refused where a rule names it; elsewhere the disks below it are meant, and they are limited */
	if (disk->stacked && !rule->match[VST_MATCH_DEVICE].n)
		return 0;
	for (unsigned int part = 0; !err && part < VST_LIMIT__N; part++)
		if (rule->max.limit[part])
			err = want_limit(e, c, rule, disk, part);
	return err;
}

/* --- ioprio, cache, class --- */

static const struct vst_host_threads *threads_of(const struct vst_host *host, __u32 id)
{
	for (size_t i = 0; i < host->n_threads; i++)
		if (host->threads[i].container == id)
			return &host->threads[i];
	return NULL;
}

static int refuse(struct vst_engine *e, struct econtainer *c, const struct vst_rule *rule, enum vst_attr attr,
		  const char *refusal)
{
	enum vst_actuator_id actuator = attr == VST_ATTR_IOPRIO ? VST_ACTUATOR_IOPRIO : VST_PLAN_NO_ACTUATOR;
	char why[VST_WHY_MAX];

	explain(rule, attr, c->value, why);
	return add(c, vst_plan_get(e->plan, actuator, c->value->cgroup, 0, vst_attr_name(attr), ""), rule, why, refusal,
		   "");
}

static int prioritize(struct vst_engine *e, struct econtainer *c, const struct vst_rule *rule)
{
	static const char *const classes[] = {
#define X(e, n, s, l, a, d) [VST_IOPRIO_##e] = s,
		VST_IOPRIOS(X)
#undef X
	};
	const struct vst_host_threads *threads;
	char why[VST_WHY_MAX], value[32], tid[16];
	int err = 0;

	if (*e->host->no_ioprio)
		return refuse(e, c, rule, VST_ATTR_IOPRIO, e->host->no_ioprio);
	c->wants_threads = true;
	threads = threads_of(e->host, c->id);
	explain(rule, VST_ATTR_IOPRIO, c->value, why);
	snprintf(value, sizeof(value), vst_ioprio_has_levels(rule->ioprio.class) ? "%s %u" : "%s",
		 classes[rule->ioprio.class], rule->ioprio.level);
	for (size_t i = 0; threads && !err && i < threads->n && i < THREADS_MAX; i++) {
		snprintf(tid, sizeof(tid), "%u", threads->tid[i]);
		err = add(c, vst_plan_get(e->plan, VST_ACTUATOR_IOPRIO, tid, 0, "ioprio", ""), rule, why, NULL, value);
	}
	return err;
}

/* The strongest rule that wants this for a part of the container's I/O: some kind, pattern or class. */
static const struct vst_rule *stream_rule(const struct vst_engine *e, const struct vst_subject *subject,
					  enum vst_attr attr)
{
	for (size_t i = e->policy->n_rules; i--;) {
		struct vst_rule any = e->policy->rule[i];
		bool of_stream = false;

		for (int f = 0; f < VST_MATCH__N; f++) {
			if (!(VST_MATCH_STREAM & 1U << f))
				continue;
			of_stream = of_stream || any.match[f].n;
			any.match[f].n = 0;
		}
		if (of_stream && any.wants & 1U << attr && vst_rule_matches(&any, subject))
			return &e->policy->rule[i];
	}
	return NULL;
}

static int want_keeper(struct vst_engine *e, struct econtainer *c, const struct edisk *disk,
		       const struct vst_rule *rule, unsigned int classes)
{
	char why[VST_WHY_MAX], value[VST_KEEP_TEXT];

	explain(rule, VST_ATTR_CACHE, c->value, why);
	return add(c, vst_plan_get(e->plan, VST_ACTUATOR_CACHE, disk->name, 0, "keeper", ""), rule, why, NULL,
		   vst_keep_text(classes, value));
}

/* A keeper for each cached device that a rule is about. */
static int keep(struct vst_engine *e, struct econtainer *c, const struct vst_subject *subject)
{
	const struct vst_rule *rule = c->winner[VST_ATTR_CACHE], *winner[VST_ATTR__N];
	bool any = false;
	int err = 0;

	for (size_t i = 0; i < e->n_disks && !err; i++) {
		const struct vst_rule *keeps = NULL;
		struct vst_subject io;
		unsigned int classes;

		if (!e->disk[i].cached)
			continue;
		vst_engine_subject(c->value, e->disk[i].device, &io);
		vst_engine_holds(e, c, e->disk[i].dev);
		classes = vst_engine_classes_kept(e, &io, e->holds, &keeps);
		if (!classes)
			continue;
		any = true;
		vst_policy_winners(e->policy, &io, e->holds, winner);
		c->kept |= winner[VST_ATTR_CACHE] && vst_engine_keeps_all(winner[VST_ATTR_CACHE]);
		err = want_keeper(e, c, &e->disk[i], keeps, classes);
	}
	if (!rule)
		rule = stream_rule(e, subject, VST_ATTR_CACHE);
	if (err || any || !rule || rule->cache != VST_CACHE_KEEP)
		return err;
	return refuse(
		e, c, rule, VST_ATTR_CACHE,
		"no disk that the rule is about is cached, or it asks for no class from 3 on: vstor can keep blocks of "
		"these classes in a bcache that has a cache attached");
}

static int want_others(struct vst_engine *e, struct econtainer *c, const struct vst_subject *subject)
{
	const struct vst_rule *rule = c->winner[VST_ATTR_IOPRIO], *stream = stream_rule(e, subject, VST_ATTR_IOPRIO);
	int err = 0;

	c->wants_threads = false;
	if (rule && rule->ioprio.class != VST_IOPRIO_NONE)
		err = prioritize(e, c, rule);
	else if (!rule && stream)
		err = refuse(e, c, stream, VST_ATTR_IOPRIO,
			     "vstor does not know which threads do I/O of this kind, pattern or class: match the "
			     "container instead");
	rule = c->winner[VST_ATTR_CACHE];
	if (!rule)
		rule = stream_rule(e, subject, VST_ATTR_CACHE);
	if (!err && rule && rule->cache == VST_CACHE_BYPASS)
		err = refuse(
			e, c, rule, VST_ATTR_CACHE,
			"no cache of Linux can be told to leave one container's I/O alone, so the rule has no effect: "
			"remove it");
	rule = c->winner[VST_ATTR_CLASS];
	if (!rule)
		rule = stream_rule(e, subject, VST_ATTR_CLASS);
	if (!err && rule)
		err = refuse(
			e, c, rule, VST_ATTR_CLASS,
			"nothing acts on the class that a rule gives to an I/O, so the rule has no effect: change the "
			"table of classes instead, or remove it");
	return err ?: keep(e, c, subject);
}

/* --- all of it --- */

static int find_special(struct vst_engine *e, struct econtainer *c)
{
	struct vst_subject subject;

	c->n_special = 0;
	if (!e->device_rules)
		return 0;
	free(c->special);
	c->special = calloc(e->n_disks + 1, sizeof(*c->special));
	if (!c->special)
		return -ENOMEM;
	for (size_t i = 0; i < e->n_disks; i++) {
		struct special *s = &c->special[c->n_special];

		vst_engine_subject(c->value, e->disk[i].device, &subject);
		vst_engine_holds(e, c, e->disk[i].dev);
		vst_policy_winners(e->policy, &subject, e->holds, s->winner);
		s->dev = e->disk[i].dev;
		c->n_special += memcmp(s->winner, c->winner, sizeof(s->winner)) != 0;
	}
	return 0;
}

static void note_features(struct vst_engine *e, struct econtainer *c, const struct vst_subject *subject)
{
	const char *blockio = subject->field[VST_MATCH_BLOCKIO];

	c->unknown_blockio = blockio && !vst_policy_has_blockio(e->policy, blockio);
	c->has_protect = vst_engine_protection(c, 0);
	c->has_allowed = c->winner[VST_ATTR_MAX] && c->winner[VST_ATTR_MAX]->max.allowed;
	for (size_t i = 0; i < c->n_special; i++) {
		const struct vst_rule *max = c->special[i].winner[VST_ATTR_MAX];

		c->has_protect = c->has_protect || vst_engine_protection(c, c->special[i].dev);
		c->has_allowed = c->has_allowed || (max && max->max.allowed);
	}
}

int vst_engine_compute(struct vst_engine *e, struct econtainer *c)
{
	struct vst_subject subject;
	int err;

	vst_engine_subject(c->value, NULL, &subject);
	vst_engine_holds(e, c, 0);
	vst_policy_winners(e->policy, &subject, e->holds, c->winner);
	err = find_special(e, c);
	note_features(e, c, &subject);
	if (!err && c->winner[VST_ATTR_WEIGHT])
		err = weigh(e, c, c->winner[VST_ATTR_WEIGHT], NULL);
	for (size_t i = 0; !err && i < c->n_special; i++) {
		const struct vst_rule *rule = c->special[i].winner[VST_ATTR_WEIGHT];

		if (rule && rule != c->winner[VST_ATTR_WEIGHT])
			err = weigh(e, c, rule, vst_engine_disk(e, c->special[i].dev));
	}
	for (size_t i = 0; !err && i < e->n_disks; i++)
		err = limit(e, c, &e->disk[i]);
	return err ?: want_others(e, c, &subject);
}
