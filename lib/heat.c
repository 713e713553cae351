// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/heat.h"

#define PAGE_MASK ((1ULL << VST_PLACE_SHIFT) - 1)
#define PAGE_SHIFT 12

/* --- where things are --- */

/* A copy of a place, if it is one of this device and the bucket has not been emptied since. */
static bool place_read(const struct vst_heat_view *v, uint32_t n, struct vst_cache_place *ret)
{
	const volatile struct vst_cache_place *p = &v->places[n];
	uint64_t page = p->page;

	*ret = (struct vst_cache_place){ page, p->bucket, p->epoch, p->pages, p->class };
	return page && page == p->page && page >> VST_PLACE_SHIFT == v->index + 1 && ret->bucket < v->n_epochs &&
	       (uint16_t)v->epochs[ret->bucket] == ret->epoch;
}

static uint64_t unit_of_page(const struct vst_heat_view *v, uint64_t page)
{
	return page << PAGE_SHIFT >> v->unit_shift;
}

void vst_heat_cover(const struct vst_heat_view *v, uint64_t *covered)
{
	struct vst_cache_place p;

	for (uint32_t n = 0; n < v->n_places; n++) {
		uint64_t unit, end;

		if (!place_read(v, n, &p))
			continue;
		unit = unit_of_page(v, p.page & PAGE_MASK);
		end = unit_of_page(v, (p.page & PAGE_MASK) + p.pages + (1U << (v->unit_shift - PAGE_SHIFT)) - 1);
		for (; unit < end && unit / VST_HEAT_UNITS < v->chunks; unit++)
			covered[unit / VST_HEAT_UNITS] |= 1ULL << unit % VST_HEAT_UNITS;
	}
}

/* --- how much --- */

static bool is_hot(const struct vst_heat *h, uint32_t oldest)
{
	return h->seen && (int32_t)(h->seen - oldest) >= 0;
}

void vst_heat_sum(const struct vst_heat_view *v, const uint64_t *covered, uint32_t oldest, struct vst_heat_sum *ret)
{
	*ret = (struct vst_heat_sum){ 0 };
	for (uint32_t i = 0; i < v->chunks; i++) {
		const struct vst_heat *h = &v->heat[i];

		if (!is_hot(h, oldest))
			continue;
		for (int c = 0; c < VST_HEAT_CLASSES; c++) {
			ret->bytes[c] += (uint64_t)__builtin_popcountll(h->units[c]) << v->unit_shift;
			ret->resident[c] += (uint64_t)__builtin_popcountll(h->units[c] & covered[i]) << v->unit_shift;
		}
	}
}

/* --- what to read --- */

/* The read that would keep a bucket. class 0: nothing in it is worth that. */
struct keep {
	uint32_t class;
	uint64_t page;
};

/* The class that a page has now; 0: none that is worth keeping. */
static uint32_t class_now(const struct vst_heat_view *v, uint64_t page, uint32_t oldest)
{
	uint64_t unit = unit_of_page(v, page);
	const struct vst_heat *h;

	if (unit / VST_HEAT_UNITS >= v->chunks)
		return 0;
	h = &v->heat[unit / VST_HEAT_UNITS];
	if (!is_hot(h, oldest))
		return 0;
	for (int c = VST_HEAT_CLASSES - 1; c >= 0; c--)
		if (h->units[c] >> unit % VST_HEAT_UNITS & 1)
			return c + VST_HEAT_CLASS_MIN;
	return 0;
}

static bool is_due(unsigned int classes, uint32_t class)
{
	return class && classes >> class & 1;
}

/* A read for each bucket, keeps[n_epochs], for the highest class in it. */
static void find_keeps(const struct vst_heat_view *v, const struct vst_heat_wanted *wanted, struct keep *keeps)
{
	struct vst_cache_place p;

	for (uint32_t i = 0; i < v->n_places; i++) {
		uint32_t class;

		if (!place_read(v, i, &p))
			continue;
		class = class_now(v, p.page & PAGE_MASK, wanted->oldest);
		if (is_due(wanted->classes, class) && class > keeps[p.bucket].class)
			keeps[p.bucket] = (struct keep){ class, p.page & PAGE_MASK };
	}
}

/* The offsets of at most max_buckets of them, the highest classes first. */
static size_t take_keeps(const struct keep *keeps, uint32_t n_keeps, uint32_t max_buckets, uint64_t *offsets)
{
	size_t n = 0;

	for (uint32_t class = VST_HEAT_CLASS_MIN + VST_HEAT_CLASSES - 1; class >= VST_HEAT_CLASS_MIN; class --)
		for (uint32_t i = 0; i < n_keeps && n < max_buckets; i++)
			if (keeps[i].class == class)
				offsets[n++] = keeps[i].page << PAGE_SHIFT;
	return n;
}

static size_t unknowns_of(const struct vst_heat_view *v, const uint64_t *covered, struct vst_heat_wanted *wanted,
			  uint64_t *offsets)
{
	uint32_t at = wanted->cursor < v->chunks ? wanted->cursor : 0, looked;
	size_t n = 0;

	for (looked = 0; looked < v->chunks && n < wanted->max_unknown; looked++, at = (at + 1) % v->chunks) {
		const struct vst_heat *h = &v->heat[at];
		uint64_t units = 0;

		if (!is_hot(h, wanted->oldest))
			continue;
		for (int c = 0; c < VST_HEAT_CLASSES; c++)
			if (is_due(wanted->unknown, c + VST_HEAT_CLASS_MIN))
				units |= h->units[c];
		for (units &= ~covered[at]; units && n < wanted->max_unknown; units &= units - 1) {
			uint64_t unit = (uint64_t)at * VST_HEAT_UNITS + (uint64_t)__builtin_ctzll(units);

			offsets[n++] = unit << v->unit_shift;
		}
	}
	wanted->cursor = at;
	return n;
}

/* Neighbours end up far apart: what a cache takes for a sequential stream it does not let in. */
static void shuffle(uint64_t *offsets, size_t n)
{
	uint64_t seed = 0x9e3779b97f4a7c15ULL;

	for (size_t i = n; i > 1; i--) {
		size_t j;
		uint64_t other;

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		j = (size_t)((seed >> 33) % i);
		other = offsets[j];
		offsets[j] = offsets[i - 1];
		offsets[i - 1] = other;
	}
}

int vst_heat_choose(const struct vst_heat_view *v, const uint64_t *covered, struct vst_heat_wanted *wanted,
		    uint64_t **ret_offsets, size_t *ret_n, size_t *ret_known)
{
	_cleanup_free_ struct keep *keeps = calloc(v->n_epochs + 1, sizeof(*keeps));
	_cleanup_free_ uint64_t *offsets = NULL;
	size_t known, unknown;

	if (!keeps)
		return -ENOMEM;
	find_keeps(v, wanted, keeps);
	offsets = malloc(((size_t)v->n_epochs + wanted->max_unknown + 1) * sizeof(*offsets));
	if (!offsets)
		return -ENOMEM;
	known = take_keeps(keeps, v->n_epochs, wanted->max_buckets, offsets);
	unknown = v->chunks ? unknowns_of(v, covered, wanted, offsets + known) : 0;
	shuffle(offsets, known);
	shuffle(offsets + known, unknown);
	*ret_offsets = TAKE_PTR(offsets);
	*ret_n = known + unknown;
	*ret_known = known;
	return 0;
}
