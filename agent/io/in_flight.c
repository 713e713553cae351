// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "agent/io/in_flight.h"

static struct vst_in_flight *row_of(struct vst_in_flight_look *u, __u32 number)
{
	struct vst_in_flight *row = &u->row[number];

	if (!row->parts++)
		u->touched[u->n_touched++] = (__u16)number;
	return row;
}

static void row_add(struct vst_in_flight_look *u, __u32 number, __u64 begin_ns, __u64 now_ns)
{
	__u64 age = begin_ns < now_ns ? now_ns - begin_ns : 0;
	struct vst_in_flight *row;

	if (!number || number >= VST_ROWS) /* the table of rows was full at its submission */
		return;
	row = row_of(u, number);
	row->ios++;
	row->sum_ns += age;
	if (!u->oldest_ns || begin_ns < u->oldest_ns)
		u->oldest_ns = begin_ns;
	if (age >= VST_UNDERWAY_OLD) {
		row->old++;
		row->old_ns += age;
	}
	if (!row->oldest_ns || begin_ns < row->oldest_ns)
		row->oldest_ns = begin_ns;
}

/* A request that waits in a queue has no row before somebody decides it, see vst_held() in bpf/block.bpf.c. */
static void held_add(struct vst_in_flight_look *u, const struct vst_inflight_more *more, __u64 now_ns)
{
	__u32 row = VST_HELD_ROW(more->held, more->queued_ns);

	if (row < VST_ROWS) {
		row_add(u, row, more->queued_ns, now_ns);
	} else if (more->queued_ns + VST_HELD_FOR < now_ns) {
		u->undecided++;
		if (!u->undecided_ns || more->queued_ns < u->undecided_ns)
			u->undecided_ns = more->queued_ns;
	}
}

void vst_underway_place(struct vst_in_flight_look *u, const struct vst_inflight *in,
			const struct vst_inflight_more *more, __u64 now_ns)
{
	__u64 what = __atomic_load_n(&in->what, __ATOMIC_ACQUIRE), when;
	struct vst_inflight_more copy = { 0 };

	if (!(IN_STATE(what) & IN_HAS_ROW) && (what & (IN_MORE | IN_HELD)) != (IN_MORE | IN_HELD))
		return;
	when = __atomic_load_n(&in->when, __ATOMIC_RELAXED);
	if (what & IN_MORE)
		copy = *more;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&in->what, __ATOMIC_RELAXED) != what)
		return;
	if (IN_STATE(what) == IN_HELD) {
		held_add(u, &copy, now_ns);
		return;
	}
	row_add(u, IN_ROW(what), copy.queued_ns ?: when, now_ns);
	for (int i = 1; i < PARTS && copy.row[i]; i++)
		if (copy.row[i] < VST_ROWS)
			row_of(u, copy.row[i]);
}

static void block_scan(struct vst_in_flight_look *u, const struct vst_inflight *in,
		       const struct vst_inflight_more *more, __u64 now_ns)
{
	for (__u32 i = 0; i < VST_INFLIGHT_BLOCK; i++)
		if (IN_STATE(in[i].what))
			vst_underway_place(u, &in[i], &more[i], now_ns);
}

void vst_underway_scan(struct vst_in_flight_look *u, const __u64 *table, __u64 now_ns)
{
	const struct vst_inflight *in = (const void *)table;
	const struct vst_inflight_more *more = (const void *)(in + VST_INFLIGHT_PLACES);
	__u32 at;

	for (unsigned int i = 0; i < u->n_touched; i++)
		memset(&u->row[u->touched[i]], 0, sizeof(u->row[0]));
	u->now_ns = now_ns;
	u->n_touched = 0;
	u->oldest_ns = 0;
	u->undecided = 0;
	u->undecided_ns = 0;
	for (__u32 word = 0; word < VST_INFLIGHT_USED_WORDS; word++) {
		for (__u64 used = table[VST_INFLIGHT_USED + word]; used; used &= used - 1) {
			at = (word * 64 + (__u32)__builtin_ctzll(used)) * VST_INFLIGHT_BLOCK;
			block_scan(u, in + at, more + at, now_ns);
		}
	}
}
