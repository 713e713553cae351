/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The slowest requests of each tick. Every completion compares its time with one number; what is among the slowest of
 * its group so far takes the place of the shortest one there.
 */
#ifndef VST_SLOW_BPF_H
#define VST_SLOW_BPF_H

#include "decide.bpf.h"
#include "file.bpf.h"

struct vst_slow vst_slow SEC(".data.slow");

/* A request at its completion: its bio has not ended yet, and tells the file. */
__noinline int vst_slow_note(__u64 rq, __u32 row, __u64 queue_ns, __u64 device_ns, __u32 bytes)
{
	__u64 latency = queue_ns + device_ns, least = ~0ULL, second = ~0ULL, bio, what, inode;
	__u32 half = vst_slow.turn & 1, group = row & (VST_SLOW_GROUPS - 1), at = 0, i;
	struct vst_state *s = vst_state_get();
	struct vst_slow_io *io;

	if (!s)
		return 0;
#pragma unroll
	for (i = 0; i < VST_SLOW_EACH; i++) {
		__u64 is = vst_slow.io[half][group][i].latency_ns;

		if (is < least) {
			second = least;
			least = is;
			at = i;
		} else if (is < second) {
			second = is;
		}
	}
	io = &vst_slow.io[half][group][at & (VST_SLOW_EACH - 1)];
	if (latency <= least || __sync_val_compare_and_swap(&io->latency_ns, least, latency) != least)
		return 0;
	vst_slow.floor[half][group] = second < latency ? second : latency;
	io->done = 0;
	barrier();
	io->queue_ns = queue_ns;
	io->device_ns = device_ns;
	io->ended_ns = bpf_ktime_get_ns();
	io->row = row;
	io->bytes = bytes;
	io->file.ino = 0;
	bio = vst_ptr(rq, struct request, bio);
	if (bio) {
		what = vst_what_decide(s, bio, vst_read(rq, struct request, cmd_flags));
		inode = VST_WHAT_KIND(what >> 56) == VST_KIND_DATA ? vst_inode_of_what(what) : 0;
		if (inode)
			vst_file_name_read(&io->file, inode);
	}
	barrier();
	io->done = 1;
	return 0;
}

/* times: as of vst_count() */
static __always_inline void vst_slow_look(__u64 rq, __u32 row, __u64 queued_ns, __u64 when, __u64 now, __u32 bytes)
{
	__u64 begin = queued_ns ?: when;

	if (when && now - begin > vst_slow.floor[vst_slow.turn & 1][row & (VST_SLOW_GROUPS - 1)])
		vst_slow_note(rq, row, when - begin, now - when, bytes);
}
#endif /* VST_SLOW_BPF_H */
