// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps what is worth it in caches: when a class is due (policy/keep.h), asks the heat map which blocks to read, and has the
 * actor read them, a batch at a time. The next batch waits for the one before, so that a busy disk slows the keeper down.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/acting/acting_priv.h"
#include "agent/base/log.h"

#define RETRY_S 10.0	    /* after a batch that could not be begun */
#define PRIME_AT_ONCE 2048U /* reads of a pass that brings in what was pinned: 8 MiB in a tick, at most */

/* The classes that the keeper of a disk keeps; 0: it is off. The plan's knobs say what the actor confirmed. */
static unsigned int classes_of(const struct vst_acting *a, const char *disk)
{
	unsigned int classes;

	for (const struct vst_plan_knob *k = a->plan.first; k; k = k->next)
		if (k->actuator == VST_ACTUATOR_CACHE && k->wanted && k->state == VST_KNOB_APPLIED && k->written &&
		    !strcmp(k->target, disk) && !vst_keep_parse(k->written, &classes))
			return classes;
	return 0;
}

static void drop_pass(struct vst_keeper *k)
{
	free(k->offset);
	k->offset = NULL;
	k->n = k->next = 0;
}

/* What was due and has not been read is due again. */
static void fail_pass(struct vst_keeper *k)
{
	vst_keep_again(&k->pace, k->due);
	drop_pass(k);
}

static struct vst_keeper *keeper_of(struct vst_acting *a, __u32 dev, const char *disk)
{
	struct vst_keeper *k;

	for (size_t i = 0; i < a->n_keepers; i++)
		if (a->keeper[i].dev == dev && !strcmp(a->keeper[i].disk, disk))
			return &a->keeper[i];
	if (a->n_keepers == VST_CACHES)
		return NULL;
	k = &a->keeper[a->n_keepers++];
	*k = (struct vst_keeper){ .dev = dev };
	snprintf(k->disk, sizeof(k->disk), "%s", disk);
	return k;
}

/* By all devices of the same cache: they push each other's blocks out. */
static uint64_t admitted_by(const struct vst_snapshot *s, const struct vst_snap_cache *cache)
{
	const struct vst_snap_cache *other;
	uint64_t bytes = 0;

	vst_snapshot_for_each(s, VST_SNAP_CACHES, other, i)
	{
		if (!strcmp(other->set, cache->set))
			bytes += other->admitted_bytes;
	}
	return bytes;
}

/*
 * What a user asked for is brought in at once, and need not wait until the cache has taken in something else. Each block may be read
 * twice, because a cache does not take in all that is read.
 */
static void follow_pins(struct vst_acting *a, struct vst_keeper *k)
{
	const struct vst_snap_pin *pin;
	uint64_t bytes = 0;

	vst_snapshot_for_each(a->snapshot, VST_SNAP_PINS, pin, i)
	{
		if (pin->dev == k->dev && !strcmp(pin->state, "kept"))
			bytes += pin->bytes;
	}
	if (bytes != k->pinned)
		k->prime = bytes > k->pinned ? 2 * bytes / VST_READ_BYTES : k->prime;
	k->pinned = bytes;
	if (!bytes)
		k->prime = 0;
}

/* Begins a pass, if one is due, or the cache has lost something. */
static void choose(struct vst_acting *a, struct vst_keeper *k, const struct vst_snap_cache *cache, double now)
{
	uint64_t admitted = admitted_by(a->snapshot, cache);
	struct vst_keep_pass pass = { .kept = k->classes };
	size_t known = 0, brought;
	int err;

	if (k->offset || k->reading || now < k->retry_at)
		return;
	pass.due = vst_keep_due(&k->pace, admitted, cache->cache_bytes) & k->classes;
	if (vst_keep_look(&k->pace, admitted, cache->cache_bytes) || pass.due)
		pass.max_unknown = vst_keep_unknown(&k->pace, admitted, VST_READ_BYTES);
	else if (!k->prime)
		return;
	pass.max_pinned = k->prime < PRIME_AT_ONCE ? (uint32_t)k->prime : PRIME_AT_ONCE;
	err = a->opts.choose(a->opts.ctx, k->dev, &pass, &k->offset, &k->n, &known);
	k->due = pass.due;
	if (err) {
		vst_debug("keeper of %s: nothing can be chosen: %s", k->disk, strerror(-err));
		fail_pass(k);
		k->retry_at = now + RETRY_S;
		return;
	}
	brought = k->n - known < pass.max_pinned ? k->n - known : pass.max_pinned;
	k->prime -= brought < pass.max_pinned ? k->prime : brought;
	vst_keep_unknown_used(&k->pace, k->n - known - brought);
	if (!k->n) {
		drop_pass(k);
		return;
	}
	k->next = 0;
	k->passes++;
	a->changed = true;
	vst_debug("keeper of %s: reads %zu blocks that are in the cache, classes %#x, and %zu that may not be, after "
		  "%llu MiB",
		  k->disk, known, pass.due, k->n - known, (unsigned long long)(admitted >> 20));
}

/* The next batch of some keeper. */
static void send_batch(struct vst_acting *a)
{
	for (size_t i = 0; i < a->n_keepers && !a->reading; i++) {
		struct vst_keeper *k = &a->keeper[i];
		struct vst_reads batch = { 0 };

		if (!k->offset)
			continue;
		memcpy(batch.disk, k->disk, sizeof(batch.disk));
		while (batch.n < VST_READS_MAX && k->next < k->n)
			batch.offset[batch.n++] = k->offset[k->next++];
		a->reading = k->reading = !vst_actor_read(a->actor, &batch);
		if (!a->reading)
			fail_pass(k);
		else if (k->next == k->n)
			drop_pass(k);
	}
}

/* Of devices that are not cached any more. */
static void drop_gone(struct vst_acting *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n_keepers; i++) {
		if (a->keeper[i].seen)
			a->keeper[n++] = a->keeper[i];
		else
			drop_pass(&a->keeper[i]);
	}
	a->n_keepers = n;
}

void vst_acting_keep(struct vst_acting *a)
{
	struct vst_actor_status status;
	const struct vst_snap_cache *cache;
	double now = vst_acting_now();
	bool any = false;

	if (!a->actor || !a->opts.choose || !a->snapshot)
		return;
	vst_actor_get_status(a->actor, &status);
	for (size_t i = 0; i < a->n_keepers; i++)
		a->keeper[i].seen = false;
	vst_snapshot_for_each(a->snapshot, VST_SNAP_CACHES, cache, i)
	{
		struct vst_keeper *k = strcmp(cache->type, "bcache") ? NULL : keeper_of(a, cache->dev, cache->name);

		if (!k)
			continue;
		k->seen = true;
		k->classes = status.state == VST_ACTOR_READY ? classes_of(a, cache->name) : 0;
		any |= k->classes != 0;
		if (k->classes)
			follow_pins(a, k);
		if (k->classes)
			choose(a, k, cache, now);
		else
			drop_pass(k);
	}
	drop_gone(a);
	a->opts.keeper(a->opts.ctx, any ? (__u32)(status.pid ?: status.adopted_pid) : 0);
	send_batch(a);
}

void vst_acting_read_done(struct vst_acting *a, const struct vst_reads_done *done)
{
	a->reading = false;
	for (size_t i = 0; i < a->n_keepers; i++) {
		struct vst_keeper *k = &a->keeper[i];

		if (strcmp(k->disk, done->disk) != 0)
			continue;
		k->reading = false;
		k->reads += done->reads;
		k->bytes += done->bytes;
		k->errors += done->errors;
		if (!done->result) {
			k->told = false;
			continue;
		}
		if (!k->told)
			vst_warn("cannot keep blocks of %s in its cache: %s; it is tried again each %.0f s", k->disk,
				 strerror(-done->result), RETRY_S);
		k->told = true;
		fail_pass(k);
		k->retry_at = vst_acting_now() + RETRY_S;
	}
	a->changed = true;
	send_batch(a);
}

void vst_acting_keeper_lost(struct vst_acting *a)
{
	a->reading = false;
	for (size_t i = 0; i < a->n_keepers; i++) {
		if (a->keeper[i].offset || a->keeper[i].reading)
			fail_pass(&a->keeper[i]);
		a->keeper[i].reading = false;
	}
}

void vst_acting_keeper_fill(const struct vst_acting *a, struct vst_acting_status *s)
{
	for (size_t i = 0; i < a->n_keepers; i++) {
		const struct vst_keeper *k = &a->keeper[i];

		s->keeper[s->n_keepers++] = (struct vst_acting_keeper){
			.dev = k->dev,
			.state = !k->classes		   ? "off"
				 : k->offset || k->reading ? "reads"
							   : "on",
			.reads = k->reads,
			.bytes = k->bytes,
			.errors = k->errors,
			.passes = k->passes,
		};
	}
}

void vst_acting_classes(const struct vst_acting *a, __u8 class_of[64])
{
	for (unsigned int kind = 0; kind < VST_KIND__N; kind++)
		for (unsigned int size = 0; size < VST_SIZE__N; size++)
			class_of[VST_CLASS_INDEX(kind, size)] =
				(__u8)(a->policy ? vst_policy_class(a->policy->policy, kind, size)
						 : vst_class(kind, size));
}
