// SPDX-License-Identifier: GPL-2.0-only
/* A pass of the engine: which containers there are, and what is wanted for each. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/engine_priv.h"

struct vst_engine *vst_engine_new(void)
{
	return calloc(1, sizeof(struct vst_engine));
}

/* --- containers --- */

static void container_free(struct vst_engine *e, struct econtainer *c)
{
	vst_engine_drop_wants(e, c);
	vst_value_unref(c->value);
	free(c->special);
	free(c->want);
	free(c->condition);
	free(c);
}

static void drop_containers(struct vst_engine *e, bool all)
{
	struct econtainer *c, *next;

	HASH_ITER(hh, e->containers, c, next)
	{
		if (!all && c->seen)
			continue;
		HASH_DEL(e->containers, c);
		container_free(e, c);
	}
}

void vst_engine_free(struct vst_engine *e)
{
	if (!e)
		return;
	drop_containers(e, true);
	vst_engine_drop_loops(e);
	vst_measured_clear(&e->measured);
	for (size_t i = 0; i < e->n_disks; i++)
		vst_value_unref(e->disk[i].device);
	free(e->holds);
	free(e->conditions);
	free(e->protected);
	free(e);
}

const char *vst_engine_display(const struct vst_snap_container *c)
{
	return c->display && *c->display ? c->display : c->cgroup;
}

/* "": not known */
static const char *known(const char *text)
{
	return text && *text ? text : NULL;
}

void vst_engine_subject(const struct vst_snap_container *c, const struct vst_snap_device *disk, struct vst_subject *ret)
{
	*ret = (struct vst_subject){ 0 };
	if (disk) {
		ret->field[VST_MATCH_DEVICE] = disk->name;
		ret->device_link = (const char *const *)disk->links;
		ret->n_device_links = disk->n_links;
	}
	if (!c)
		return;
	ret->field[VST_MATCH_NAMESPACE] = known(c->ns);
	ret->field[VST_MATCH_POD] = known(c->pod);
	ret->field[VST_MATCH_CONTAINER] = known(c->name);
	ret->field[VST_MATCH_IMAGE] = known(c->image);
	ret->field[VST_MATCH_CGROUP] = known(c->cgroup);
	ret->label = c->labels;
	ret->n_labels = c->n_labels;
	ret->field[VST_MATCH_BLOCKIO] = vst_blockio_class(c->labels, c->n_labels, c->name ? c->name : "");
}

const struct vst_rule *vst_engine_winner(const struct econtainer *c, __u32 dev, enum vst_attr attr)
{
	for (size_t i = 0; dev && i < c->n_special; i++)
		if (c->special[i].dev == dev)
			return c->special[i].winner[attr];
	return c->winner[attr];
}

const struct vst_rule *vst_engine_protection(const struct econtainer *c, __u32 dev)
{
	const struct vst_rule *rule = vst_engine_winner(c, dev, VST_ATTR_PROTECT);

	for (unsigned int o = 0; rule && o < VST_OBJECTIVE__N; o++)
		if (rule->protect_us[o])
			return rule;
	return NULL;
}

/* --- the policy --- */

int vst_engine_set_policy(struct vst_engine *e, const struct vst_policy *policy)
{
	bool *holds = policy ? calloc(policy->n_rules + 1, sizeof(*holds)) : NULL;

	if (policy && !holds)
		return -ENOMEM;
	free(e->holds);
	e->holds = holds;
	e->policy = policy;
	e->generation++;
	e->device_rules = e->latency_rules = false;
	for (size_t i = 0; policy && i < policy->n_rules; i++) {
		const struct vst_rule *r = &policy->rule[i];

		e->device_rules = e->device_rules || r->match[VST_MATCH_DEVICE].n;
		e->latency_rules = e->latency_rules || r->n_when || r->wants & 1U << VST_ATTR_PROTECT;
	}
	/* rules of the old policy are gone: rebind all that points to them */
	for (struct econtainer *c = e->containers; c; c = c->hh.next) {
		vst_engine_drop_wants(e, c);
		c->stale = true;
		c->n_special = 0;
		memset(c->winner, 0, sizeof(c->winner));
		if (vst_engine_conditions_bind(e, c))
			c->n_condition = 0;
	}
	e->n_protected = 0;
	return 0;
}

/* --- disks --- */

const struct edisk *vst_engine_disk(const struct vst_engine *e, __u32 dev)
{
	for (size_t i = 0; i < e->n_disks; i++)
		if (e->disk[i].dev == dev)
			return &e->disk[i];
	return NULL;
}

static const struct vst_host_disk *host_disk(const struct vst_host *host, __u32 dev)
{
	for (size_t i = 0; i < host->n_disks; i++)
		if (host->disk[i].dev == dev)
			return &host->disk[i];
	return NULL;
}

/* The policy names this disk: it counts even before the first I/O. */
static bool is_named(const struct vst_engine *e, const struct vst_snap_device *d)
{
	struct vst_subject disk;

	vst_engine_subject(NULL, d, &disk);
	if (vst_policy_iocost(e->policy, &disk) || vst_engine_bcache_names(e->policy, &disk))
		return true;
	for (size_t i = 0; e->device_rules && i < e->policy->n_rules; i++) {
		const struct vst_globs *globs = &e->policy->rule[i].match[VST_MATCH_DEVICE];
		bool names = false; /* a list that only excludes fits disks that nobody had in mind */

		for (size_t k = 0; k < globs->n; k++)
			names = names || !globs->glob[k].exclude;
		if (names && vst_globs_match_device(globs, &disk))
			return true;
	}
	return false;
}

static bool is_cached(const struct vst_engine *e, __u32 dev)
{
	const struct vst_snap_cache *cache;

	vst_snapshot_for_each(e->now, VST_SNAP_CACHES, cache, i)
	{
		if (cache->dev == dev && !strcmp(cache->type, "bcache"))
			return true;
	}
	return false;
}

static bool same_links(const struct vst_snap_device *x, const struct vst_snap_device *y)
{
	if (x == y)
		return true;
	if (x->n_links != y->n_links)
		return false;
	for (size_t i = 0; i < x->n_links; i++)
		if (strcmp(x->links[i], y->links[i]))
			return false;
	return true;
}

/*
 * The disks that knobs are set on: those that were ever used, or that a rule names. A host has many block devices that
 * nobody uses (ram0, loop7), and each knob costs a record in the journal.
 */
static void find_disks(struct vst_engine *e)
{
	struct edisk before[DISKS_MAX];
	size_t n_before = e->n_disks;
	const struct vst_snap_device *d;
	bool changed = e->host->generation != e->host_generation;

	memcpy(before, e->disk, n_before * sizeof(before[0])); /* with its references */
	e->n_disks = 0;
	vst_snapshot_for_each(e->now, VST_SNAP_DEVICES, d, i)
	{
		struct edisk *disk = &e->disk[e->n_disks];

		if (e->n_disks == DISKS_MAX)
			break;
		if (!d->present || (!d->counter[VST_DEVICE_kernel_ios] && !is_named(e, d)))
			continue;
		*disk = (struct edisk){ d->dev,
					vst_value_ref(d),
					d->name,
					host_disk(e->host, d->dev),
					d->layer == VST_LAYER_STACKED,
					is_cached(e, d->dev) };
		if (e->n_disks >= n_before || before[e->n_disks].dev != d->dev ||
		    before[e->n_disks].cached != disk->cached || !same_links(before[e->n_disks].device, d))
			changed = true;
		e->n_disks++;
	}
	for (size_t i = 0; i < n_before; i++)
		vst_value_unref(before[i].device);
	if (changed || n_before != e->n_disks)
		e->generation++;
	e->host_generation = e->host->generation;
}

/* --- a pass --- */

/* Wants latencies for a container: some rule that measures one may be about it. */
static bool wants_latency(void *arg, const struct vst_snap_container *container)
{
	struct vst_engine *e = arg;
	struct econtainer *c;

	if (!e->latency_rules)
		return false;
	HASH_FIND(hh, e->containers, &container->id, sizeof(container->id), c);
	return c && (c->has_protect || c->n_condition);
}

/*
 * A slice or a mere directory is not a container, but where nothing is known below it, it is what the user means: a group of
 * processes that somebody put into a cgroup by hand.
 */
static bool counts(const struct vst_engine *e, const struct vst_snap_container *c)
{
	const struct vst_snap_container *other;
	size_t len;

	if (c->own || c->ended || !c->cgroup || *c->cgroup != '/' || !c->cgroup[1])
		return false;
	if (c->listed || !e->now)
		return true;
	len = strlen(c->cgroup);
	vst_snapshot_for_each(e->now, VST_SNAP_CONTAINERS, other, i)
	{
		if (!other->own && !other->ended && !strncmp(other->cgroup, c->cgroup, len) &&
		    other->cgroup[len] == '/')
			return false;
	}
	return true;
}

static __u64 hash_text(__u64 hash, const char *text)
{
	for (; text && *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211ULL;
	return (hash ^ 0xff) * 1099511628211ULL;
}

/* A container's counters change with each snapshot; what rules match seldom does. */
static __u64 identity_of(const struct vst_snap_container *c)
{
	const char *texts[] = { c->cgroup, c->display, c->ns, c->pod, c->name, c->image };
	__u64 hash = 14695981039346656037ULL ^ c->cgroup_ino ^ c->listed;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		hash = hash_text(hash, texts[i]);
	for (size_t i = 0; i < c->n_labels; i++)
		hash = hash_text(hash_text(hash, c->labels[i].key), c->labels[i].value);
	return hash;
}

/* The snapshot may be released before the next pass, which need not be of a snapshot that has the container. */
static void set_value(struct econtainer *c, const struct vst_snap_container *value)
{
	const struct vst_snap_container *old = c->value;

	c->value = vst_value_ref(value);
	vst_value_unref(old);
}

static struct econtainer *container_of(struct vst_engine *e, const struct vst_snap_container *value)
{
	struct econtainer *c;

	HASH_FIND(hh, e->containers, &value->id, sizeof(value->id), c);
	if (c && c->value == value)
		return c;
	if (c && !value->ended && identity_of(value) == c->identity) {
		set_value(c, value);
		return c;
	}
	if (!counts(e, value)) /* a container that ended loses its knobs at the end of the pass */
		return NULL;
	if (c) {
		set_value(c, value);
		c->identity = identity_of(value);
		c->stale = true;
		return c;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->id = value->id;
	set_value(c, value);
	c->identity = identity_of(value);
	c->stale = true;
	HASH_ADD(hh, e->containers, id, sizeof(c->id), c);
	return c;
}

static int see_containers(struct vst_engine *e)
{
	const struct vst_snap_container *value;
	int err = 0;

	for (struct econtainer *c = e->containers; c; c = c->hh.next)
		c->seen = false;
	vst_snapshot_for_each(e->now, VST_SNAP_CONTAINERS, value, i)
	{
		struct econtainer *c = container_of(e, value);

		if (!c)
			continue;
		c->seen = true;
		c->index = i;
		if (c->stale || c->wants_threads || c->generation != e->generation) {
			c->stale = true;
			err = vst_engine_conditions_bind(e, c) ?: err;
		}
	}
	drop_containers(e, false);
	return err;
}

static int tell_wants(struct vst_engine *e, struct econtainer *c)
{
	int err = 0;

	if (c->stale || c->generation != e->generation) {
		vst_engine_drop_wants(e, c);
		err = vst_engine_compute(e, c);
		c->stale = err != 0;
		c->generation = e->generation;
	}
	for (size_t i = 0; i < c->n_want; i++) {
		const struct want *w = &c->want[i];
		struct vst_want want = { w->value,   w->rule->name, w->why, w->refusal, RANK_RULE + (int)w->rule->index,
					 w->measured };

		err = vst_plan_want(e->plan, w->knob, &want, e->clock) ?: err;
	}
	return err;
}

static void list_conditions(struct vst_engine *e)
{
	size_t n = 0;

	for (struct econtainer *c = e->containers; c; c = c->hh.next)
		n += c->n_condition;
	free(e->conditions);
	e->conditions = calloc(n + 1, sizeof(*e->conditions));
	e->n_conditions = 0;
	for (struct econtainer *c = e->containers; e->conditions && c; c = c->hh.next)
		for (size_t i = 0; i < c->n_condition; i++)
			e->conditions[e->n_conditions++] =
				(struct vst_engine_condition){ c->id, c->condition[i].dev, c->condition[i].rule->index,
							       c->condition[i].holds };
}

static int run(struct vst_engine *e)
{
	int err;

	find_disks(e);
	err = see_containers(e);
	vst_measured_clear(&e->measured);
	err = vst_measure(e->gap ? NULL : e->prev, e->now, wants_latency, e, &e->measured) ?: err;
	if (e->measured.container)
		for (struct econtainer *c = e->containers; c; c = c->hh.next)
			vst_engine_conditions_update(e, c);
	vst_plan_begin(e->plan);
	for (struct econtainer *c = e->containers; c; c = c->hh.next)
		err = tell_wants(e, c) ?: err;
	err = vst_engine_iocost(e) ?: err;
	err = vst_engine_bcache(e) ?: err;
	err = vst_engine_keep(e) ?: err;
	err = vst_engine_protect(e) ?: err;
	vst_plan_end(e->plan);
	list_conditions(e);
	return err;
}

int vst_engine_run(struct vst_engine *e, const struct vst_snapshot *prev, const struct vst_snapshot *now,
		   const struct vst_host *host, struct vst_plan *plan)
{
	int err = 0;

	e->prev = prev;
	e->now = now;
	e->host = host;
	e->plan = plan;
	e->clock = now->time;
	e->adopt = !e->last;
	e->gap = !prev || now->time < e->last || now->time - e->last > VST_ENGINE_GAP_S;
	if (e->policy) {
		err = run(e);
	} else {
		drop_containers(e, true);
		vst_engine_drop_loops(e);
		e->n_protected = e->n_conditions = 0;
		vst_measured_clear(&e->measured); /* it borrows from the snapshot of the pass before */
		vst_plan_disinherit(plan);
		vst_plan_begin(plan);
		err = vst_engine_keep(e);
		vst_plan_end(plan);
	}
	e->last = now->time;
	e->prev = NULL;
	return err;
}

int vst_engine_notice(struct vst_engine *e, const struct vst_snapshot *snapshot, const struct vst_host *host,
		      struct vst_plan *plan, double now)
{
	const struct vst_snap_container *value;
	struct econtainer *c;
	int err = 0;

	if (!e->policy || !e->now)
		return 0; /* nothing is wanted before the first pass */
	e->now = snapshot;
	e->host = host;
	e->plan = plan;
	e->clock = now;
	for (size_t i = 0; i < e->n_disks; i++) /* what is known of the host may have been read again since the pass */
		e->disk[i].host = host_disk(host, e->disk[i].dev);
	vst_snapshot_for_each(snapshot, VST_SNAP_CONTAINERS, value, i)
	{
		HASH_FIND(hh, e->containers, &value->id, sizeof(value->id), c);
		if (value->own || value->ended || (c && c->identity == identity_of(value)))
			continue;
		c = container_of(e, value);
		if (!c)
			continue;
		c->seen = true;
		c->index = i;
		err = vst_engine_conditions_bind(e, c) ?: err;
		err = tell_wants(e, c) ?: err;
	}
	return err;
}

void vst_engine_wants_threads(struct vst_engine *e, void (*f)(void *arg, __u32 id, const char *cgroup), void *arg)
{
	for (struct econtainer *c = e->containers; c; c = c->hh.next)
		if (c->wants_threads)
			f(arg, c->id, c->value->cgroup);
}

void vst_engine_kept(struct vst_engine *e, void (*f)(void *arg, __u32 id), void *arg)
{
	for (struct econtainer *c = e->containers; c; c = c->hh.next)
		if (c->kept)
			f(arg, c->id);
}

const struct vst_engine_condition *vst_engine_conditions(const struct vst_engine *e, size_t *ret_n)
{
	*ret_n = e->n_conditions;
	return e->conditions;
}

const struct vst_engine_protected *vst_engine_protected(const struct vst_engine *e, size_t *ret_n)
{
	*ret_n = e->n_protected;
	return e->protected;
}

const struct vst_measured *vst_engine_measured(const struct vst_engine *engine)
{
	return &engine->measured;
}

unsigned int vst_engine_unknown_blockio(const struct vst_engine *e)
{
	unsigned int n = 0;

	for (const struct econtainer *c = e->containers; c; c = c->hh.next)
		n += c->unknown_blockio;
	return n;
}
