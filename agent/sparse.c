// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sparse.h"

int vst_sparse_update(struct vst_sparse *h, const __u32 *now)
{
	struct vst_bucket all[VST_HIST_BUCKETS], *copy;
	unsigned int i, old = 0, n = 0;
	__u64 before;
	__s32 more;

	for (i = 0; i < VST_HIST_BUCKETS; i++) {
		before = old < h->n && h->bucket[old].index == i ? h->bucket[old++].n : 0;
		more = (__s32)(now[i] - (__u32)before);
		before += more > 0 ? more : 0;
		if (before)
			all[n++] = (struct vst_bucket){ .index = i, .n = before };
	}
	if (n != h->n) {
		copy = realloc(h->bucket, n * sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		h->bucket = copy;
		h->n = n;
	}
	if (n)
		memcpy(h->bucket, all, n * sizeof(*all));
	return 0;
}
