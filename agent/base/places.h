/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The indexes of one list of a snapshot. An index that is given back is free again only after the next snapshot was made
 * without it, so that in no snapshot two rows mean different things by the same index.
 */
#ifndef VST_PLACES_H
#define VST_PLACES_H

#include <linux/types.h>

#define VST_NO_PLACE 0xffffffffU

struct vst_places {
	__u32 end;   /* one more than the highest index that was ever taken */
	__u32 *free; /* to be taken again; both lists have room for all indexes, so giving back cannot fail */
	__u32 *gone; /* given back since the last snapshot */
	__u32 n_free, n_gone, room;
};

/* The lowest index that is free, or nearly: what is never used costs a snapshot memory. VST_NO_PLACE: out of memory. */
__u32 vst_places_take(struct vst_places *p);

/* VST_NO_PLACE is allowed. */
void vst_places_give_back(struct vst_places *p, __u32 place);

/* One of those that were given back; it is free from now on. VST_NO_PLACE: there is none. */
__u32 vst_places_gone(struct vst_places *p);

void vst_places_free(struct vst_places *p);

#endif /* VST_PLACES_H */
