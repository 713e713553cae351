/* SPDX-License-Identifier: GPL-2.0-only */
/* Histograms that go on growing where the maps' buckets wrap, without their empty buckets. */
#ifndef VST_SPARSE_H
#define VST_SPARSE_H

#include "lib/counts.h"

#define VST_TOGETHER 8 /* buckets that are skipped at once: nearly all are empty */

/*
 * What a histogram is now, into ret[VST_HIST_BUCKETS]; returns the number of buckets in it. now[VST_HIST_BUCKETS]: the
 * maps' buckets, which hold the lower 32 bits. touched: a bit for each bucket to look at; the others are as before. A bucket
 * that seems to fall, because it was read while the probe wrote it, stays as it was.
 */
unsigned int vst_sparse_merge(const struct vst_sparse *old, const __u32 *now, const __u64 *touched,
			      struct vst_bucket *ret);

#endif /* VST_SPARSE_H */
