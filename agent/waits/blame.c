// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "agent/waits/blame.h"

#define IDLE 60.0 /* seconds without a wait, if the table is more than half full */

struct vst_blame {
	struct vst_wait_rows *rows;
	struct vst_blame_pair *pairs;
	struct vst_blame_pair *added; /* chained by .next_added */
	unsigned int n;
	unsigned int n_going; /* pairs in which somebody waits */
};

int vst_blame_new(struct vst_wait_rows *rows, struct vst_blame **ret)
{
	struct vst_blame *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->rows = rows;
	*ret = b;
	return 0;
}

static void pair_free(struct vst_blame *b, struct vst_blame_pair *p)
{
	struct vst_blame_pair **at = &b->added;

	while (p->added && *at != p)
		at = &(*at)->next_added;
	if (p->added)
		*at = p->next_added;
	b->n_going -= p->waiting > 0;
	HASH_DEL(b->pairs, p);
	vst_wait_row_end(b->rows, &p->row);
	b->n--;
	free(p);
}

void vst_blame_free(struct vst_blame *b)
{
	struct vst_blame_pair *p, *next;

	if (!b)
		return;
	HASH_ITER(hh, b->pairs, p, next)
	pair_free(b, p);
	free(b);
}

/* One for each waiter and resource. */
static bool is_of_own(const struct vst_blame_key *key)
{
	return !key->holder || key->holder == &vst_waits_others;
}

static struct vst_blame_pair *pair_of(struct vst_blame *b, const struct vst_blame_key *key)
{
	struct vst_blame_pair *p;

	HASH_FIND(hh, b->pairs, key, sizeof(*key), p);
	if (p)
		return p;
	/* the last half of the room is for waits without a holder of their own */
	if (b->n >= (is_of_own(key) ? 2 : 1) * VST_BLAME_PAIRS)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p || vst_wait_row_init(b->rows, &p->row, key->resource >> 32,
				    key->holder ? VST_WAIT_OF_PAIR : VST_WAIT_OF_WAITER, key->waiter, key->holder)) {
		free(p);
		return NULL;
	}
	p->row.value->dev = (__u32)key->resource;
	p->key = *key;
	HASH_ADD(hh, b->pairs, key, sizeof(p->key), p);
	b->n++;
	return p;
}

static void mark(struct vst_blame *b, struct vst_blame_pair *p, double now)
{
	p->row.changed_at = now;
	if (p->added)
		return;
	p->added = true;
	p->next_added = b->added;
	b->added = p;
}

/* NULL: no memory. */
static struct vst_blame_pair *pair_for(struct vst_blame *b, enum vst_wait_type type, __u32 dev,
				       const struct vst_container *waiter, const struct vst_container *holder)
{
	struct vst_blame_key key = { (struct vst_container *)waiter, (struct vst_container *)holder,
				     (__u64)type << 32 | dev };
	struct vst_blame_pair *p = pair_of(b, &key);

	if (!p && holder) {
		key.holder = &vst_waits_others;
		p = pair_of(b, &key);
	}
	return p;
}

void vst_blame_add(struct vst_blame *b, enum vst_wait_type type, __u32 dev, const struct vst_container *waiter,
		   const struct vst_container *holder, __u64 waits, double ns, double now)
{
	struct vst_blame_pair *p = pair_for(b, type, dev, waiter, holder);

	if (!p)
		return;
	p->waits += waits;
	p->ns += ns;
	mark(b, p, now);
}

void vst_blame_longest(struct vst_blame *b, enum vst_wait_type type, __u32 dev, const struct vst_container *waiter,
		       __u64 max_ns)
{
	struct vst_blame_pair *p = pair_for(b, type, dev, waiter, NULL);

	if (p && max_ns > p->max_ns)
		p->max_ns = max_ns;
}

void vst_blame_goes_on(struct vst_blame *b, enum vst_wait_type type, __u32 dev, const struct vst_container *waiter,
		       const struct vst_container *holder, __u32 tasks, __u64 oldest_ns, double ns, double now)
{
	struct vst_blame_pair *p = pair_for(b, type, dev, waiter, holder);

	if (!p)
		return;
	if (!p->goes_on) {
		b->n_going += !p->waiting;
		p->waiting = 0;
		p->oldest_ns = oldest_ns;
		p->goes_on = true;
	}
	p->ns += ns;
	p->waiting += tasks;
	if (oldest_ns < p->oldest_ns)
		p->oldest_ns = oldest_ns;
	mark(b, p, now);
}

/* Nobody has said any more that these waits go on. */
static void end_waiting(struct vst_blame *b)
{
	struct vst_blame_pair *p;

	for (p = b->n_going ? b->pairs : NULL; p; p = p->hh.next) {
		if (p->waiting && !p->goes_on) {
			p->waiting = 0;
			p->oldest_ns = 0;
			b->n_going--;
			mark(b, p, p->row.changed_at);
		}
		p->goes_on = false;
	}
}

void vst_blame_collect(struct vst_blame *b, struct vst_devices *devices)
{
	struct vst_blame_pair *p, *next;
	struct vst_snap_wait *w;
	char name[64];

	end_waiting(b);
	for (p = b->added; p; p = next) {
		next = p->next_added;
		w = vst_wait_row_change(b->rows, &p->row, 0);
		if (!w)
			return; /* the rest at the next tick */
		w->waits = p->waits;
		w->total_ns = (__u64)p->ns;
		w->waiting = p->waiting;
		w->oldest_ns = p->oldest_ns;
		w->times.max_ns = p->max_ns;
		vst_devices_name(devices, (__u32)p->key.resource, name, sizeof(name));
		vst_wait_row_texts(&p->row,
				   &(struct vst_wait_texts){ .name = name, .evidence = p->key.holder ? "share" : "" });
		p->added = false;
		b->added = next;
	}
}

void vst_blame_reclaim(struct vst_blame *b, double now)
{
	double keep = b->n > VST_BLAME_PAIRS / 2 ? IDLE : VST_KEEP_DEAD;
	struct vst_blame_pair *p, *next;

	HASH_ITER(hh, b->pairs, p, next)
	{
		bool crowded = p->key.waiter->crowded_out || (p->key.holder && p->key.holder->crowded_out);

		if (!crowded && now - p->row.changed_at <= (is_of_own(&p->key) ? VST_KEEP_DEAD : keep))
			continue;
		pair_free(b, p);
	}
}

const struct vst_blame_pair *vst_blame_pairs(const struct vst_blame *b)
{
	return b->pairs;
}
