// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/reuse.h"

#define ALL (1ULL << 32)
#define SLOTS_PER_PAGE 4 /* times that are given out before they are given anew, for each page of the sample */

/* A page of the sample. Open addressing; .page 0 is free, so pages count from 1. */
struct entry {
	uint64_t page;
	uint32_t hash;
	uint32_t when; /* when it was used last: a place in the trees */
	uint8_t class;
};

struct vst_reuse {
	uint64_t threshold;
	uint32_t max, n;
	uint32_t mask; /* places of .entry, less one */
	struct entry *entry;
	uint32_t slots, next; /* places in the trees; the next one that is given out */
	uint32_t *tree
		[VST_REUSE_KEPT]; /* Fenwick trees [slots + 1]: pages by when they were used, of the classes that are not kept */
	uint32_t pages_of[VST_REUSE_CLASSES];
	struct vst_curve curve[VST_REUSE_KEPT][VST_REUSE_CLASSES];
};

/* --- Fenwick trees --- */

static void tree_add(struct vst_reuse *r, unsigned int kept, uint32_t at, int by)
{
	for (at++; at <= r->slots; at += at & -at)
		r->tree[kept][at] += (uint32_t)by;
}

/* Pages that were used before that. */
static uint32_t tree_sum(const struct vst_reuse *r, unsigned int kept, uint32_t end)
{
	uint32_t sum = 0;

	for (; end; end -= end & -end)
		sum += r->tree[kept][end];
	return sum;
}

/* With `kept`, is a page of that class kept? Then it takes no part in the competition of the others. */
static bool is_kept(unsigned int kept, unsigned int class)
{
	return class + kept > VST_CLASS_MAX;
}

static void put(struct vst_reuse *r, const struct entry *e, int by)
{
	for (unsigned int kept = 0; kept < VST_REUSE_KEPT; kept++)
		if (!is_kept(kept, e->class))
			tree_add(r, kept, e->when, by);
	r->pages_of[e->class] += (uint32_t)by;
}

/* --- the table --- */

static uint32_t place_of(const struct vst_reuse *r, uint64_t page)
{
	return (uint32_t)(page * 0x9e3779b97f4a7c15ULL >> 32) & r->mask;
}

static struct entry *find(const struct vst_reuse *r, uint64_t page)
{
	uint32_t at = place_of(r, page);

	while (r->entry[at].page && r->entry[at].page != page)
		at = (at + 1) & r->mask;
	return &r->entry[at];
}

static int by_when(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return (x->when > y->when) - (x->when < y->when);
}

/*
 * Makes everything anew with those that are still in the sample, in their order. This happens once in as many uses as there are
 * places in the trees. When out of memory, the sample is empty afterwards.
 */
static void rebuild(struct vst_reuse *r)
{
	struct entry *list = malloc((r->n + 1) * sizeof(*list));
	uint32_t n = 0;

	for (uint32_t i = 0; list && i <= r->mask; i++)
		if (r->entry[i].page && r->entry[i].hash < r->threshold)
			list[n++] = r->entry[i];
	if (n)
		qsort(list, n, sizeof(*list), by_when);
	memset(r->entry, 0, (r->mask + 1ULL) * sizeof(*r->entry));
	for (unsigned int kept = 0; kept < VST_REUSE_KEPT; kept++)
		memset(r->tree[kept], 0, (r->slots + 1ULL) * sizeof(*r->tree[kept]));
	memset(r->pages_of, 0, sizeof(r->pages_of));
	r->n = n;
	r->next = n;
	for (uint32_t i = 0; i < n; i++) {
		list[i].when = i;
		*find(r, list[i].page) = list[i];
		put(r, &list[i], 1);
	}
	free(list);
}

struct vst_reuse *vst_reuse_new(uint32_t max)
{
	struct vst_reuse *r = calloc(1, sizeof(*r));
	uint32_t places = 64;
	bool ok = r;

	if (!r)
		return NULL;
	while (places < 2 * max)
		places *= 2;
	r->threshold = ALL;
	r->max = max;
	r->mask = places - 1;
	r->slots = max * SLOTS_PER_PAGE;
	r->entry = calloc(places, sizeof(*r->entry));
	for (unsigned int kept = 0; kept < VST_REUSE_KEPT; kept++) {
		r->tree[kept] = calloc(r->slots + 1ULL, sizeof(*r->tree[kept]));
		ok = ok && r->tree[kept];
	}
	if (ok && r->entry)
		return r;
	vst_reuse_free(r);
	return NULL;
}

void vst_reuse_free(struct vst_reuse *r)
{
	if (!r)
		return;
	for (unsigned int kept = 0; kept < VST_REUSE_KEPT; kept++)
		free(r->tree[kept]);
	free(r->entry);
	free(r);
}

uint64_t vst_reuse_threshold(const struct vst_reuse *r)
{
	return r->threshold;
}

void vst_reuse_start(struct vst_reuse *r, uint64_t threshold)
{
	r->threshold = threshold && threshold < ALL ? threshold : ALL;
}

/* --- counting --- */

static double scale(const struct vst_reuse *r)
{
	return (double)ALL / (double)r->threshold;
}

/* Each sampled use stands for as many as it did when it was counted, so what was counted stays right when the rate is halved. */
static void count(struct vst_reuse *r, const struct entry *e, unsigned int class)
{
	double weight = scale(r);

	for (unsigned int kept = 0; kept < VST_REUSE_KEPT; kept++) {
		struct vst_curve *c = &r->curve[kept][class];
		uint32_t since;

		c->reads += weight;
		if (!e) {
			c->first += weight;
			continue;
		}
		since = tree_sum(r, kept, r->slots) - tree_sum(r, kept, e->when + 1);
		c->at[vst_reuse_bucket(since * weight)] += weight;
	}
}

void vst_reuse_use(struct vst_reuse *r, uint64_t page, uint32_t hash, unsigned int class, bool is_read)
{
	struct entry *e;
	bool known;

	if (hash >= r->threshold || class > VST_CLASS_MAX)
		return;
	if (r->next == r->slots)
		rebuild(r);
	e = find(r, page + 1);
	known = e->page;
	if (is_read)
		count(r, known ? e : NULL, class);
	if (known)
		put(r, e, -1);
	*e = (struct entry){ .page = page + 1, .hash = hash, .when = r->next++, .class = (uint8_t)class };
	put(r, e, 1);
	r->n += !known;
	while (r->n > r->max && r->threshold > 1) {
		r->threshold /= 2;
		rebuild(r);
	}
}

const struct vst_curve *vst_reuse_curve(const struct vst_reuse *r, unsigned int kept, unsigned int class)
{
	return &r->curve[kept][class];
}

uint64_t vst_reuse_kept_bytes(const struct vst_reuse *r, unsigned int kept)
{
	double pages = 0;

	for (unsigned int class = 0; class < VST_REUSE_CLASSES; class ++)
		if (is_kept(kept, class))
			pages += r->pages_of[class];
	return (uint64_t)(pages * scale(r)) * VST_REUSE_PAGE;
}

uint32_t vst_reuse_pages(const struct vst_reuse *r)
{
	return r->n;
}

/* --- what it means --- */

unsigned int vst_reuse_bucket(double distance)
{
	double bucket = VST_REUSE_OCTAVE * log2(distance + 1);

	return bucket < VST_REUSE_BUCKETS - 1 ? (unsigned int)bucket : VST_REUSE_BUCKETS - 1;
}

void vst_reuse_bounds(unsigned int bucket, double *ret_from, double *ret_to)
{
	*ret_from = exp2((double)bucket / VST_REUSE_OCTAVE) - 1;
	*ret_to = exp2((bucket + 1.0) / VST_REUSE_OCTAVE) - 1;
}

static double within(double ratio)
{
	return ratio < 0 ? 0 : ratio > 1 ? 1 : ratio;
}

double vst_reuse_ratio(const struct vst_curve *c, bool is_kept, uint64_t kept_bytes, uint64_t cache_bytes, double total)
{
	double half = (double)cache_bytes / 2, kept = (double)kept_bytes < half ? (double)kept_bytes : half;
	double pages = ((double)cache_bytes - kept) / VST_REUSE_PAGE, from, to;
	double reads = total > 0 ? total : c->reads, hits = reads - c->reads;

	if (c->reads <= 0)
		return -1;
	if (is_kept) /* what does not fit into half of the cache is a miss, as if it were not kept */
		return within(1 - c->first / reads) * (kept_bytes ? kept / (double)kept_bytes : 1);
	for (unsigned int i = 0; i < VST_REUSE_BUCKETS; i++) {
		vst_reuse_bounds(i, &from, &to);
		if (from >= pages)
			break;
		hits += c->at[i] * (to <= pages ? 1 : (pages - from) / (to - from));
	}
	return within(hits / reads);
}
