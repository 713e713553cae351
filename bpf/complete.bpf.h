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
	if (when)
		vst_times(c, h, queued_ns ? when - queued_ns : 0, now - when);
	barrier();
	vst_add(&c->ios, 1); /* last: by it the agent sees that the rest changed */
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
	return bytes > more->done ? bytes - more->done : 0;
}

/*
 * An entry whose I/O has ended without our being told: the kernel did not run the completion probe. Seen on 6.18 when
 * another tracer attaches to the same tracepoint or leaves it, some ten completions each time, which the kernel itself does
 * not count as missed. The I/O counts now, without its times. The additions are atomic: these counters are the completion's,
 * which may interrupt. The caller has taken the entry; layer: VST_LAYER_. However old the entry is, its row is still its own: the
 * agent keeps a row while something of it is in flight.
 */
__noinline int vst_settle(struct vst_inflight_more *more, __u64 what, __u32 dev, __u32 layer)
{
	__u32 done = 0, bytes = IN_SECTORS(what) << 9, row = IN_ROW(what), ios = 1, slot, less;
	struct vst_counters *c;

	if (!more)
		return 0;
	if (what & IN_MORE)
		done = more->done;
#pragma unroll
	for (int i = 0; i < PARTS; i++) {
		if (i || what & IN_MORE) {
			row = more->row[i];
			bytes = more->bytes[i];
			if (i && !row)
				break;
		}
		if (!row)
			row = vst_row_of_nobody(dev, VST_OP_READ, layer);
		less = done < bytes ? done : bytes;
		done -= less;
		c = vst_counters_of(row, &slot);
		if (c) {
			__sync_fetch_and_add(&c->bytes, bytes - less);
			__sync_fetch_and_add(&c->ios, ios);
		} else {
			vst_lose(dev, VST_LOSS_NO_CELL, ios, bytes - less);
		}
		ios = 0;
		if (!(what & IN_MORE))
			break;
	}
	vst_lose(dev, VST_LOSS_NO_END, 1, 0);
	return 0;
}

/* A place that is used again: if its last I/O was issued and did not end, it has, and nobody told. */
static __always_inline void vst_settle_last(__u32 at, __u32 dev, __u8 layer)
{
	struct vst_inflight *in = vst_in(at);
	__u64 what = in->what;

	if (__sync_val_compare_and_swap(&in->what, what, (what & IN_PLACE) | IN_HELD) == what)
		vst_settle(vst_more(at), what, dev, layer);
}
#endif /* VST_COMPLETE_BPF_H */
