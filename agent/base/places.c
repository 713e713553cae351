// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "agent/base/places.h"

static int grow(struct vst_places *p)
{
	__u32 room = p->room ? 2 * p->room : 64, *free_list, *gone;

	if (p->end < p->room)
		return 0;
	free_list = realloc(p->free, room * sizeof(*free_list));
	if (free_list)
		p->free = free_list;
	gone = realloc(p->gone, room * sizeof(*gone));
	if (gone)
		p->gone = gone;
	if (!free_list || !gone)
		return -1;
	p->room = room;
	return 0;
}

__u32 vst_places_take(struct vst_places *p)
{
	if (p->n_free)
		return p->free[--p->n_free];
	return grow(p) ? VST_NO_PLACE : p->end++;
}

void vst_places_give_back(struct vst_places *p, __u32 place)
{
	if (place != VST_NO_PLACE)
		p->gone[p->n_gone++] = place;
}

__u32 vst_places_gone(struct vst_places *p)
{
	__u32 place;

	if (!p->n_gone)
		return VST_NO_PLACE;
	place = p->gone[--p->n_gone];
	p->free[p->n_free++] = place;
	return place;
}

void vst_places_free(struct vst_places *p)
{
	free(p->free);
	free(p->gone);
	*p = (struct vst_places){ 0 };
}
