/* SPDX-License-Identifier: GPL-2.0-only */
/* What ends: it is added to the counters of the rows that were decided at its submission. */
#ifndef VST_COMPLETE_BPF_H
#define VST_COMPLETE_BPF_H

#include "decide.bpf.h"
#include "inflight.bpf.h"

/* Add to a row's counters; `last` makes it an I/O, and then `in` tells the times if it is known. False: no room. */
static __always_inline bool vst_count(__u32 row, bool last, __u32 bytes, bool error, const struct vst_inflight *in,
				      __u64 now)
{
	struct vst_counters *c;
	struct vst_hists *h;
	__u64 queue_ns;
	__u32 slot;

	c = vst_counters_of(row, &slot);
	h = c ? bpf_map_lookup_elem(&vst_hists, &slot) : NULL;
	if (!h)
		return false;
	vst_add(&c->bytes, bytes);
	if (error)
		vst_add(&c->errors, 1);
	if (!last)
		return true;
	vst_add(&c->ios, 1);
	if (!in || in->when <= UNUSED)
		return true;
	queue_ns = in->queued_ns ? in->when - in->queued_ns : 0;
	vst_times(c, h, queue_ns, now - in->when);
	return true;
}

/* Completed bytes of a request with several parts, in their order; those of the first one are returned. */
__noinline __u32 vst_complete_parts(struct vst_inflight *in, __u32 dev, __u32 bytes)
{
	struct vst_counters *c;
	__u32 from, to, end = 0, first = 0, slot, n;

	if (!in)
		return bytes;
	from = in->done;
	to = in->done = from + bytes;
#pragma unroll
	for (int i = 0; i < PARTS; i++) {
		if (!in->row[i])
			break;
		end += in->bytes[i];
		n = to < end ? to : end;
		if (n <= from)
			continue;
		n -= from;
		from += n;
		if (!i) {
			first = n;
			continue;
		}
		c = vst_counters_of(in->row[i], &slot);
		if (c)
			vst_add(&c->bytes, n);
		else
			vst_lose(dev, VST_LOSS_NO_CELL, 0, n);
	}
	return first + (to - from);
}

/*
 * An entry whose I/O has ended, and whose sums do not tell so: the kernel did not run the completion probe, this time
 * or before. Seen on 6.18 when another tracer attaches to the same tracepoint or leaves it, some ten completions each
 * time, which the kernel itself does not count as missed. `more`: what is missing. The I/O counts now, without its
 * times; of an earlier use of the request, nobody knows any more whose it was.
 */
__noinline int vst_settle(__u32 row, __u32 dev, __u64 more)
{
	__u64 ios = more >> ONE_SHIFT, bytes = more & (ONE_IO - 1);
	struct vst_counters *c;
	__u32 slot;

	c = vst_counters_of(row ?: vst_row_of_nobody(dev, VST_OP_READ, VST_LAYER_LEAF), &slot);
	if (c) { /* atomic: these counters are the completion's, which may interrupt */
		__sync_fetch_and_add(&c->bytes, bytes);
		__sync_fetch_and_add(&c->ios, ios);
	} else {
		vst_lose(dev, VST_LOSS_NO_CELL, ios, bytes);
	}
	vst_lose(dev, VST_LOSS_NO_END, ios, 0);
	return 0;
}
#endif /* VST_COMPLETE_BPF_H */
