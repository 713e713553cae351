// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/io/sparse.h"

int vst_sparse_update(struct vst_sparse *h, const __u32 *now, const __u64 *touched)
{
	struct vst_bucket all[VST_HIST_BUCKETS], *copy;
	unsigned int i, word, old = 0, n = 0;
	__u64 before, bits;
	__s32 more;

	for (word = 0; word < VST_HIST_BUCKETS / 64; word++) {
		for (bits = touched[word]; bits; bits &= bits - 1) {
			i = word * 64 + (unsigned int)__builtin_ctzll(bits);
			while (old < h->n && h->bucket[old].index < i)
				all[n++] = h->bucket[old++];
			before = old < h->n && h->bucket[old].index == i ? h->bucket[old++].n : 0;
			more = (__s32)(now[i] - (__u32)before);
			before += more > 0 ? (__u32)more : 0;
			if (before)
				all[n++] = (struct vst_bucket){ .index = i, .n = before };
		}
	}
	while (old < h->n)
		all[n++] = h->bucket[old++];
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
