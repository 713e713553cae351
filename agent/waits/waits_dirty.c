// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

#define PAUSES (VST_THROTTLED + VST_OPEN_PLACES)

/* What has passed of pauses since the last look. */
struct pause {
	struct vst_throttle_key key;
	double ns;
	__u64 waits; /* that ended */
	__u32 tasks; /* that pause now */
	__u64 oldest_ns;
};

struct vst_waits_dirty {
	struct written *written; /* by place of the row */
	__u32 n;
	size_t n_pauses;
	struct pause pauses[PAUSES];
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
	const struct pause *pause;
	double now;
};

/* ... of the pauses of a waiter. */
static void add_part(const struct dirty_adding *a, const struct vst_container *waiter,
		     const struct vst_container *holder, __u64 waits, double ns)
{
	const struct pause *p = a->pause;

	vst_blame_add(a->blame, VST_WAIT_DIRTY, p->key.dev, waiter, holder, waits, ns, a->now);
	if (p->tasks)
		vst_blame_goes_on(a->blame, VST_WAIT_DIRTY, p->key.dev, waiter, holder, p->tasks, p->oldest_ns, 0,
				  a->now);
}

static void add(void *arg, const struct vst_share_party *waiter, const void *holder, double ns)
{
	const struct dirty_adding *a = arg;

	add_part(a, waiter->who, holder, waiter->waits, ns);
}

static void share(const struct vst_waits_dirty *w, const struct vst_io_table *t, const struct pause *pause,
		  struct vst_owners *owners, struct vst_blame *b, double now)
{
	const struct vst_throttle_key *key = &pause->key;
	struct vst_key owner = { .owner = key->owner >> 2, .hier = key->owner & 3, .witness = VST_WITNESS_TASK };
	struct vst_key none = { .witness = VST_WITNESS_NONE };
	const struct vst_container *who = vst_owners_of(owners, &owner, now);
	struct dirty_adding adding = { b, pause, now };
	struct vst_share_party *parties;
	size_t n = 0, i;

	add_part(&adding, who, NULL, pause->waits, pause->ns);
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
	parties[i].wait_ns = parties[i].limit_ns = pause->ns;
	parties[i].waits = pause->waits;
	vst_share_divide(parties, n, &vst_waits_others, add, &adding);
	free(parties);
}

/* --- pauses --- */

__u64 vst_waits_dirty_passed(const struct vst_pause_open *o, __u64 since_ns, __u64 now_ns)
{
	__u64 end = o->end_ns < now_ns ? o->end_ns : now_ns;

	return end > since_ns ? end - since_ns : 0;
}

static struct pause *pause_new(struct vst_waits_dirty *w, __u64 owner, __u32 dev)
{
	struct pause *p = &w->pauses[w->n_pauses];

	if (owner == VST_OWNER_KERNEL || w->n_pauses == PAUSES) /* a thread of the kernel's own */
		return NULL;
	w->n_pauses++;
	*p = (struct pause){ .key = { .owner = owner, .dev = dev } };
	return p;
}

/* Takes what has passed of a thread's pause. One that is over is taken only once, and its place is free then. */
static void take_open(struct vst_waits_dirty *w, struct vst_pause_opens *opens, __u32 place, __u64 now_ns)
{
	struct vst_pause_open *from = &opens->open[place], o;
	__u32 thread = __atomic_load_n(&opens->thread[place], __ATOMIC_RELAXED);
	__u64 since = __atomic_load_n(&from->since_ns, __ATOMIC_ACQUIRE);
	struct pause *p;
	bool over;

	if (!thread || since > now_ns)
		return;
	o = *from;
	over = o.end_ns <= now_ns;
	if (since && !__sync_bool_compare_and_swap(&from->since_ns, since, over ? 0 : now_ns))
		return; /* the next pause has begun, and the probe charges the rest of this one */
	if (over || !since)
		__sync_val_compare_and_swap(&opens->thread[place], thread, 0);
	p = since ? pause_new(w, o.owner, o.dev) : NULL;
	if (!p)
		return;
	p->ns = (double)vst_waits_dirty_passed(&o, since, now_ns);
	p->waits = over;
	p->tasks = !over;
	p->oldest_ns = over ? 0 : o.call_ns;
}

static int take_ended(struct vst_waits_dirty *w, int fd)
{
	struct vst_throttle_key key;
	struct vst_throttle t;
	struct pause *p;

	while (fd >= 0 && !bpf_map_get_next_key(fd, NULL, &key)) {
		if (bpf_map_lookup_and_delete_elem(fd, &key, &t))
			return -errno;
		p = pause_new(w, key.owner, key.dev);
		if (!p)
			continue;
		p->ns = (double)t.ns;
		p->waits = t.waits;
	}
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct vst_throttle_key *x = &((const struct pause *)a)->key, *y = &((const struct pause *)b)->key;

	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	return (x->dev > y->dev) - (x->dev < y->dev);
}

/* One for each owner and device. */
static void merge(struct vst_waits_dirty *w)
{
	struct pause *into = w->pauses, *p;

	qsort(w->pauses, w->n_pauses, sizeof(*w->pauses), by_key);
	for (p = w->pauses + 1; p < w->pauses + w->n_pauses; p++) {
		if (by_key(into, p)) {
			*++into = *p;
			continue;
		}
		into->ns += p->ns;
		into->waits += p->waits;
		into->tasks += p->tasks;
		if (p->oldest_ns && (!into->oldest_ns || p->oldest_ns < into->oldest_ns))
			into->oldest_ns = p->oldest_ns;
	}
	if (w->n_pauses)
		w->n_pauses = (size_t)(into - w->pauses) + 1;
}

int vst_waits_dirty_collect(struct vst_waits_dirty *w, const struct vst_io_table *t, const struct vst_probes *probes,
			    struct vst_owners *owners, struct vst_blame *b, double now)
{
	const struct vst_maps *m = vst_probes_maps(probes);
	int err;

	remember(w, t, now);
	w->n_pauses = 0;
	for (__u32 place = 0; m->pause_opens && place < VST_OPEN_PLACES; place++)
		if (m->pause_opens->thread[place])
			take_open(w, m->pause_opens, place, (__u64)(now * 1e9));
	err = take_ended(w, m->throttled_fd);
	merge(w);
	for (size_t i = 0; i < w->n_pauses; i++)
		share(w, t, &w->pauses[i], owners, b, now);
	return err;
}
