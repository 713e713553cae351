// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>

#include "agent/waits/share.h"
#include "agent/waits/waits_dirty.h"

#define HALF_LIFE 10.0 /* seconds; the kernel's own estimate of who dirties how much is about as old */
#define FORGET 100.0

double vst_waits_dirty_left(double bytes, double seconds)
{
	return bytes * exp2(-seconds / HALF_LIFE);
}

/* Bytes that a row wrote lately. */
struct written {
	__u32 id; /* of whose; 0: of none */
	__u64 seen;
	double bytes, at;
};

struct vst_waits_dirty {
	struct written *written; /* by place of the row */
	__u32 n;
};

int vst_waits_dirty_new(struct vst_waits_dirty **ret)
{
	struct vst_waits_dirty *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	*ret = w;
	return 0;
}

void vst_waits_dirty_free(struct vst_waits_dirty *w)
{
	if (!w)
		return;
	free(w->written);
	free(w);
}

/* NULL: out of memory. */
static struct written *written_of(struct vst_waits_dirty *w, const struct vst_io_row *row)
{
	struct written *all;
	__u32 n;

	if (row->place >= w->n) {
		for (n = w->n ?: 64; n <= row->place; n *= 2)
			;
		all = realloc(w->written, n * sizeof(*all));
		if (!all)
			return NULL;
		memset(all + w->n, 0, (n - w->n) * sizeof(*all));
		w->written = all;
		w->n = n;
	}
	all = &w->written[row->place];
	if (all->id != row->value->id)
		*all = (struct written){ .id = row->value->id };
	return all;
}

/* What the page cache wrote, as far as rows tell: direct writes of files are among it. */
static void remember(struct vst_waits_dirty *dirty, const struct vst_io_table *t, double now)
{
	for (unsigned int i = 0; i < t->n_dirty; i++) {
		const struct vst_io_row *row = t->dirty[i];
		__u64 bytes = row->value->counts.counter[VST_COUNTER_bytes];
		struct written *w;

		if (row->key.op != VST_OP_WRITE || row->key.kind != VST_KIND_DATA)
			continue;
		w = written_of(dirty, row);
		if (!w)
			return;
		w->bytes = vst_waits_dirty_left(w->bytes, now - w->at) + (double)(bytes - w->seen);
		w->seen = bytes;
		w->at = now;
	}
}

static int by_who(const void *a, const void *b)
{
	const struct vst_share_party *x = a, *y = b;

	return x->who < y->who ? -1 : x->who > y->who;
}

/* All who wrote to a disk lately, and one more place; NULL: no memory. The caller frees. */
static struct vst_share_party *writers(const struct vst_waits_dirty *w, const struct vst_io_table *t, __u32 dev,
				       double now, size_t *ret_n)
{
	struct vst_share_party *all = calloc(t->n_rows + 2, sizeof(*all));
	size_t n = 0, kept = 0, i;
	struct vst_io_row *row;

	for (row = t->rows; all && row && n < t->n_rows; row = row->next) {
		const struct written *wr = row->place < w->n ? &w->written[row->place] : NULL;

		if (!wr || wr->id != row->value->id || !(wr->bytes > 0) || now - wr->at > FORGET ||
		    (dev ? row->key.dev != dev : row->key.layer != VST_LAYER_LEAF))
			continue;
		all[n++] = (struct vst_share_party){ .who = row->container,
						     .weight = vst_waits_dirty_left(wr->bytes, now - wr->at),
						     .presence = 1,
						     .self = 1 };
	}
	if (!all)
		return NULL;
	qsort(all, n, n ? sizeof(*all) : 1, by_who);
	for (i = 0; i < n; i++) {
		if (kept && all[kept - 1].who == all[i].who)
			all[kept - 1].weight += all[i].weight;
		else
			all[kept++] = all[i];
	}
	*ret_n = kept;
	return all;
}

struct dirty_adding {
	struct vst_blame *blame;
	__u32 dev;
	double now;
};

static void add(void *arg, const struct vst_share_party *waiter, const void *holder, double ns)
{
	const struct dirty_adding *a = arg;

	vst_blame_add(a->blame, VST_WAIT_DIRTY, a->dev, waiter->who, holder, waiter->waits, ns, a->now);
}

static void share(const struct vst_waits_dirty *w, const struct vst_io_table *t, const struct vst_throttle_key *key,
		  const struct vst_throttle *pause, double ns, struct vst_owners *owners, struct vst_blame *b,
		  double now)
{
	struct vst_key owner = { .owner = key->owner >> 2, .hier = key->owner & 3, .witness = VST_WITNESS_TASK };
	struct vst_key none = { .witness = VST_WITNESS_NONE };
	const struct vst_container *who = vst_owners_of(owners, &owner, now);
	struct dirty_adding adding = { b, key->dev, now };
	struct vst_share_party *parties;
	size_t n = 0, i;

	parties = writers(w, t, key->dev, now, &n);
	if (!parties)
		return;
	if (!n) /* nothing has reached the disk yet */
		parties[n++] = (struct vst_share_party){ .who = vst_owners_of(owners, &none, now),
							 .weight = 1,
							 .presence = 1 };
	for (i = 0; i < n && parties[i].who != who; i++)
		;
	if (i == n)
		parties[n++] = (struct vst_share_party){ .who = who, .presence = 1 };
	parties[i].wait_ns = parties[i].limit_ns = ns;
	parties[i].waits = pause->waits;
	vst_share_divide(parties, n, &vst_waits_others, add, &adding);
	free(parties);
}

int vst_waits_dirty_collect(struct vst_waits_dirty *w, const struct vst_io_table *t, const struct vst_probes *probes,
			    struct vst_owners *owners, struct vst_blame *b, double now)
{
	int fd = vst_probes_maps(probes)->throttled_fd;
	struct vst_throttle_key key;
	struct vst_throttle pause;
	struct timespec tick;

	remember(w, t, now);
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick)) /* of the kernel's clock, whatever its CONFIG_HZ */
		return -errno;
	while (fd >= 0 && !bpf_map_get_next_key(fd, NULL, &key)) {
		if (bpf_map_lookup_and_delete_elem(fd, &key, &pause))
			return -errno;
		if (key.owner != VST_OWNER_KERNEL) /* else a thread of the kernel's own */
			share(w, t, &key, &pause, (double)pause.jiffies * (double)tick.tv_nsec, owners, b, now);
	}
	return 0;
}
