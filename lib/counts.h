/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a row has counted: counters, and times with their histograms. The agent fills these from the maps, vstorctl
 * fills them from the control socket, and lib/delta.h subtracts two of them. Everything only grows.
 */
#ifndef VST_COUNTS_H
#define VST_COUNTS_H

#include <linux/types.h>

#include "vstor/abi.h"

enum vst_counter {
#define X(f, d) VST_COUNTER_##f,
	VST_COUNTERS(X)
#undef X
		VST_COUNTER__N
};

/*
 * One bucket of a sparse histogram; vstor/hist.h says which times an index covers. In 8 bytes: histograms are most of what the
 * agent remembers, and 2^56 requests take 2,000 years at a million a second.
 */
struct vst_bucket {
	__u64 index : 8;
	__u64 n : 56;
};
_Static_assert(VST_HIST_BUCKETS <= 256, "an index in 8 bits");

/* The buckets that are not 0, by ascending index. */
struct vst_sparse {
	struct vst_bucket *bucket;
	unsigned int n;
};

struct vst_times {
	struct vst_sparse hist;
	__u64 sum_ns;
	__u64 max_ns; /* the longest since the row was made */
};

struct vst_counts {
	__u64 counter[VST_COUNTER__N];
	struct vst_times time[VST_TIME__N];
};

#endif /* VST_COUNTS_H */
