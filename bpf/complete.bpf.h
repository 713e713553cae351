/* SPDX-License-Identifier: GPL-2.0-only */
/* What ends: it is added to the counters of the rows that were decided at its submission. */
#ifndef VST_COMPLETE_BPF_H
#define VST_COMPLETE_BPF_H

#include "decide.bpf.h"
#include "inflight.bpf.h"

/*
 * Add to a row's counters; `last` makes it an I/O, of which the times are known if `when` is not 0: then it was issued, and
 * queued at queued_ns unless that is 0. False: no room.
 */
static __always_inline bool vst_count(__u32 row, bool last, __u32 bytes, bool error, __u64 queued_ns, __u64 when,
				      __u64 now)
{
	struct vst_counters *c;
	struct vst_hists *h;
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
	if (when)
		vst_times(c, h, queued_ns ? when - queued_ns : 0, now - when);
	return true;
}

/* Completed bytes of a request with several parts, in their order; those of the first one are returned. */
__noinline __u32 vst_complete_parts(struct vst_inflight_more *more, __u32 dev, __u32 bytes)
{
	struct vst_counters *c;
	__u32 from, to, end = 0, first = 0, slot, n;

	if (!more)
		return bytes;
	from = more->done;
	to = more->done = from + bytes;
#pragma unroll
	for (int i = 0; i < PARTS; i++) {
		if (!more->row[i])
			break;
		end += more->bytes[i];
		n = to < end ? to : end;
		if (n <= from)
			continue;
		n -= from;
		from += n;
		if (!i) {
			first = n;
			continue;
		}
		c = vst_counters_of(more->row[i], &slot);
		if (c)
			vst_add(&c->bytes, n);
		else
			vst_lose(dev, VST_LOSS_NO_CELL, 0, n);
	}
	return first + (to - from);
}

/* What is still to come of it. */
static __always_inline __u32 vst_bytes_left(const struct vst_inflight_more *more)
{
	__u32 bytes = more->bytes[0];

#pragma unroll
	for (int i = 1; i < PARTS && more->row[i]; i++)
		bytes += more->bytes[i];
	return bytes - more->done;
}

/*
 * An entry whose I/O has ended without our being told: the kernel did not run the completion probe. Seen on 6.18 when
 * another tracer attaches to the same tracepoint or leaves it, some ten completions each time, which the kernel itself does
 * not count as missed. The I/O counts now, without its times.
 */
__noinline int vst_settle(struct vst_inflight_more *more, __u64 what)
{
	__u32 row = IN_ROW(what), bytes = IN_SECTORS(what) << 9, dev, slot;
	struct vst_counters *c;
	struct vst_key *key = bpf_map_lookup_elem(&vst_row_keys, &row);

	if (!more || !key)
		return 0;
	dev = key->dev;
	if (what & IN_MORE)
		bytes = vst_complete_parts(more, dev, vst_bytes_left(more));
	c = vst_counters_of(row, &slot);
	if (c) { /* atomic: these counters are the completion's, which may interrupt */
		__sync_fetch_and_add(&c->bytes, bytes);
		__sync_fetch_and_add(&c->ios, 1);
	} else {
		vst_lose(dev, VST_LOSS_NO_CELL, 1, bytes);
	}
	vst_lose(dev, VST_LOSS_NO_END, 1, 0);
	return 0;
}
#endif /* VST_COMPLETE_BPF_H */
