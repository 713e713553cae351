/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waits whose end the probe was not shown: the kernel skips a probe that would interrupt itself. The table would tell for ever that
 * somebody waits. Who has waited for seconds is looked up in /proc, and is believed unless the thread is gone or goes on.
 */
#ifndef VST_LOCK_STALE_H
#define VST_LOCK_STALE_H

#include <stdbool.h>
#include <linux/types.h>

#define VST_LOCK_STALE_AGE 2000000000ULL /* ns */

/* What was seen of a wait when it was looked at first. */
struct vst_lock_suspect {
	__u32 pid;
	__u64 start_ns;
	__u64 switches;
};

#define VST_LOCK_SUSPECTS 64

struct vst_lock_suspects {
	struct vst_lock_suspect list[VST_LOCK_SUSPECTS]; /* by a hash of the thread */
	bool checked, blind;				 /* this process sees other numbers than the probe */
};

/*
 * switches: how often the thread went to sleep until now, -1: there is no such thread. True: it cannot be waiting since start_ns. A
 * thread that waits for a lock sleeps once, or a few times if it is woken for nothing.
 */
bool vst_lock_stale(struct vst_lock_suspects *s, __u32 pid, __u64 start_ns, __s64 switches);

/* voluntary_ctxt_switches of a thread of this host; -1: there is none. -2: it cannot be known. */
__s64 vst_lock_switches(struct vst_lock_suspects *s, __u32 pid);

#endif /* VST_LOCK_STALE_H */
