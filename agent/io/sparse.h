/* SPDX-License-Identifier: GPL-2.0-only */
/* Histograms that go on growing where the maps' buckets wrap, without their empty buckets. */
#ifndef VST_SPARSE_H
#define VST_SPARSE_H

#include "agent/io/io_table.h"

#define VST_TOGETHER 8 /* buckets that are skipped at once: nearly all are empty */

/*
 * now[VST_HIST_BUCKETS]: the buckets as they are, of which the lower 32 bits are right; touched: a bit for each of those to
 * look at, the others are as before. One that seems to fall, because it was read while it was written, stays. 0 or -ENOMEM, then
 * nothing has changed.
 */
int vst_sparse_update(struct vst_sparse *h, const __u32 *now, const __u64 *touched);

#endif /* VST_SPARSE_H */
