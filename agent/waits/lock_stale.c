// SPDX-License-Identifier: GPL-2.0-only
#include "agent/waits/lock_stale.h"

#define FEW 16 /* times that a waiter may be woken for nothing */

bool vst_lock_stale(struct vst_lock_suspects *s, __u32 pid, __u64 start_ns, __s64 switches)
{
	struct vst_lock_suspect *k = &s->list[pid % VST_LOCK_SUSPECTS];

	if (switches == -1)
		return true;
	if (switches < 0)
		return false;
	if (k->pid != pid || k->start_ns != start_ns) {
		*k = (struct vst_lock_suspect){ pid, start_ns, (__u64)switches };
		return false;
	}
	return (__u64)switches > k->switches + FEW;
}
