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

/* The units of a chunk that are worth keeping in that class (less VST_HEAT_CLASS_MIN). What is pinned has the highest. */
static uint64_t units_of(const struct vst_heat_view *v, uint32_t chunk, int c, uint32_t oldest)
{
	const struct vst_heat *h = &v->heat[chunk];
	uint64_t pins = v->pins ? v->pins[chunk] : 0, units = is_hot(h, oldest) ? h->units[c] : 0;

	return c == VST_HEAT_CLASSES - 1 ? units | pins : units & ~pins;
}

void vst_heat_sum(const struct vst_heat_view *v, const uint64_t *covered, uint32_t oldest, struct vst_heat_sum *ret)
{
	*ret = (struct vst_heat_sum){ 0 };
	for (uint32_t i = 0; i < v->chunks; i++) {
		if (!is_hot(&v->heat[i], oldest) && !(v->pins && v->pins[i]))
			continue;
		for (int c = 0; c < VST_HEAT_CLASSES; c++) {
			uint64_t units = units_of(v, i, c, oldest);

			ret->bytes[c] += (uint64_t)__builtin_popcountll(units) << v->unit_shift;
			ret->resident[c] += (uint64_t)__builtin_popcountll(units & covered[i]) << v->unit_shift;
		}
	}
}

/* --- marks --- */

/* The part of the units [unit, end) that is in unit's chunk, as bits. */
static uint64_t part_of(uint64_t unit, uint64_t end, uint64_t *ret_next)
{
	uint64_t from = unit % VST_HEAT_UNITS, len = end - unit;

	if (len > VST_HEAT_UNITS - from)
		len = VST_HEAT_UNITS - from;
	*ret_next = unit + len;
	return (len < VST_HEAT_UNITS ? (1ULL << len) - 1 : ~0ULL) << from;
}

/* Past the last unit that has some of these bytes; not beyond the device, whatever a filesystem says. */
static uint64_t end_of(uint32_t chunks, uint32_t unit_shift, uint64_t offset, uint64_t bytes)
{
	uint64_t units = (uint64_t)chunks * VST_HEAT_UNITS, last;

	if (!bytes || offset + bytes < offset)
		return 0;
	last = (offset + bytes - 1) >> unit_shift;
	return last < units ? last + 1 : units;
}

void vst_heat_mark(uint64_t *words, uint32_t chunks, uint32_t unit_shift, uint64_t offset, uint64_t bytes)
{
	uint64_t end = end_of(chunks, unit_shift, offset, bytes), next;

	for (uint64_t unit = offset >> unit_shift; unit < end; unit = next)
		words[unit / VST_HEAT_UNITS] |= part_of(unit, end, &next);
}

uint64_t vst_heat_marked(const uint64_t *words, uint32_t chunks, uint32_t unit_shift, uint64_t offset, uint64_t bytes)
{
	uint64_t end = end_of(chunks, unit_shift, offset, bytes), n = 0, next;

	for (uint64_t unit = offset >> unit_shift; unit < end; unit = next)
		n += (uint64_t)__builtin_popcountll(words[unit / VST_HEAT_UNITS] & part_of(unit, end, &next));
	return n;
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

	if (unit / VST_HEAT_UNITS >= v->chunks)
		return 0;
	for (int c = VST_HEAT_CLASSES - 1; c >= 0; c--)
		if (units_of(v, (uint32_t)(unit / VST_HEAT_UNITS), c, oldest) >> unit % VST_HEAT_UNITS & 1)
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

/* The offsets of some units of a chunk, at most max. */
static size_t take_units(const struct vst_heat_view *v, uint32_t chunk, uint64_t units, size_t max, uint64_t *offsets)
{
	size_t n = 0;

	for (; units && n < max; units &= units - 1) {
		uint64_t unit = (uint64_t)chunk * VST_HEAT_UNITS + (uint64_t)__builtin_ctzll(units);

		offsets[n++] = unit << v->unit_shift;
	}
	return n;
}

static size_t unknowns_of(const struct vst_heat_view *v, const uint64_t *covered, struct vst_heat_wanted *wanted,
			  uint64_t *offsets)
{
	uint32_t at = wanted->cursor < v->chunks ? wanted->cursor : 0, looked;
	size_t n = 0;

	for (looked = 0; looked < v->chunks && n < wanted->max_unknown; looked++, at = (at + 1) % v->chunks) {
		uint64_t units = 0;

		for (int c = 0; c < VST_HEAT_CLASSES; c++)
			if (is_due(wanted->unknown, c + VST_HEAT_CLASS_MIN))
				units |= units_of(v, at, c, wanted->oldest);
		if (wanted->max_pinned && v->pins) /* these were taken already */
			units &= ~v->pins[at];
		n += take_units(v, at, units & ~covered[at], wanted->max_unknown - n, offsets + n);
	}
	wanted->cursor = at;
	return n;
}

static size_t pinned_of(const struct vst_heat_view *v, const uint64_t *covered, uint32_t max, uint64_t *offsets)
{
	size_t n = 0;

	for (uint32_t at = 0; v->pins && at < v->chunks && n < max; at++)
		n += take_units(v, at, v->pins[at] & ~covered[at], max - n, offsets + n);
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
	offsets = malloc(((size_t)v->n_epochs + wanted->max_unknown + wanted->max_pinned + 1) * sizeof(*offsets));
	if (!offsets)
		return -ENOMEM;
	known = take_keeps(keeps, v->n_epochs, wanted->max_buckets, offsets);
	unknown = pinned_of(v, covered, wanted->max_pinned, offsets + known);
	if (v->chunks)
		unknown += unknowns_of(v, covered, wanted, offsets + known + unknown);
	shuffle(offsets, known);
	shuffle(offsets + known, unknown);
	*ret_offsets = TAKE_PTR(offsets);
	*ret_n = known + unknown;
	*ret_known = known;
	return 0;
}
