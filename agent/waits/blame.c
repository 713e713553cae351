// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "agent/waits/blame.h"

#define IDLE 60.0	   /* seconds without a wait, if the table is more than half full */
#define FIRST_ID (1 << 30) /* rows of locks are counted from 1, and clients see both */

struct vst_blame {
	struct vst_blame_pair *pairs;
	unsigned int n;
	__u32 last_id;
};

struct vst_container vst_blame_others = { .cgroup = (char *)"", .display = (char *)"others" };
struct vst_container vst_blame_kernel = { .cgroup = (char *)"", .display = (char *)"kernel" };

int vst_blame_new(struct vst_blame **ret)
{
	struct vst_blame *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->last_id = FIRST_ID;
	*ret = b;
	return 0;
}

static void pair_free(struct vst_blame *b, struct vst_blame_pair *p)
{
	HASH_DEL(b->pairs, p);
	p->key.waiter->rows--;
	p->key.holder->rows--;
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

static struct vst_blame_pair *pair_of(struct vst_blame *b, const struct vst_blame_key *key)
{
	struct vst_blame_pair *p;

	HASH_FIND(hh, b->pairs, key, sizeof(*key), p);
	if (p)
		return p;
	/* the last half of the room is for waits without a holder of their own: one for each waiter and resource */
	if (b->n >= (key->holder == &vst_blame_others ? 2 : 1) * VST_BLAME_PAIRS)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->id = ++b->last_id;
	p->key = *key;
	p->key.waiter->rows++;
	p->key.holder->rows++;
	HASH_ADD(hh, b->pairs, key, sizeof(p->key), p);
	b->n++;
	return p;
}

void vst_blame_add(struct vst_blame *b, enum vst_blame_resource r, __u32 dev, const struct vst_container *waiter,
		   const struct vst_container *holder, __u64 waits, double ns, double now)
{
	struct vst_blame_key key = { (struct vst_container *)waiter, (struct vst_container *)holder,
				     (__u64)r << 32 | dev };
	struct vst_blame_pair *p = pair_of(b, &key);

	if (!p) {
		key.holder = &vst_blame_others;
		p = pair_of(b, &key);
	}
	if (!p)
		return;
	p->waits += waits;
	p->ns += ns;
	p->changed_at = now;
}

void vst_blame_reclaim(struct vst_blame *b, double now)
{
	double keep = b->n > VST_BLAME_PAIRS / 2 ? IDLE : VST_KEEP_DEAD;
	struct vst_blame_pair *p, *next;

	HASH_ITER(hh, b->pairs, p, next)
	{
		if (now - p->changed_at <= (p->key.holder == &vst_blame_others ? VST_KEEP_DEAD : keep))
			if (!p->key.waiter->crowded_out && !p->key.holder->crowded_out)
				continue;
		pair_free(b, p);
	}
}

const struct vst_blame_pair *vst_blame_pairs(const struct vst_blame *b)
{
	return b->pairs;
}
