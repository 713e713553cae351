// SPDX-License-Identifier: GPL-2.0-only
#include "agent/io/sparse.h"

unsigned int vst_sparse_merge(const struct vst_sparse *old, const __u32 *now, const __u64 *touched,
			      struct vst_bucket *ret)
{
	unsigned int i, word, at = 0, n = 0;
	__u64 before, bits;
	__s32 more;

	for (word = 0; word < VST_HIST_BUCKETS / 64; word++) {
		for (bits = touched[word]; bits; bits &= bits - 1) {
			i = word * 64 + (unsigned int)__builtin_ctzll(bits);
			while (at < old->n && old->bucket[at].index < i)
				ret[n++] = old->bucket[at++];
			before = at < old->n && old->bucket[at].index == i ? old->bucket[at++].n : 0;
			more = (__s32)(now[i] - (__u32)before);
			before += more > 0 ? (__u32)more : 0;
			if (before)
				ret[n++] = (struct vst_bucket){ .index = i, .n = before };
		}
	}
	while (at < old->n)
		ret[n++] = old->bucket[at++];
	return n;
}
