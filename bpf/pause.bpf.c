// SPDX-License-Identifier: GPL-2.0-only
/* Who writes to memory faster than the disks take it, and has to pause for it. */
#include <bpf/bpf_core_read.h>

#include "owner.bpf.h"
#include "vstor/abi_waits.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u8 vst_pause_arg; /* which argument of the tracepoint says how long the task has to pause */

#define BPF_F_NO_PREALLOC 1 /* include/uapi/linux/bpf.h */

/* Pauses since the agent looked last. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, VST_THROTTLED);
	__type(key, struct vst_throttle_key);
	__type(value, struct vst_throttle);
} vst_throttled SEC(".maps");

__u64 vst_pauses_lost; /* for which there was no room */

/* For so many ticks of the kernel's clock. */
SEC("tp_btf/balance_dirty_pages")
int vst_dirty_pause(__u64 *ctx)
{
	struct bdi_writeback *wb = (void *)ctx[0];
	struct vst_state *s = vst_state_get();
	struct vst_throttle_key key = {};
	struct vst_throttle none = {}, *t;
	struct device *owner;
	__s64 pause;

	if (vst_pause_arg == 10) { /* two loads: one at an address that depends is not allowed */
		pause = ctx[10];
		barrier_var(pause);
	} else {
		pause = ctx[6];
		barrier_var(pause);
	}
	if (pause <= 0 || !s)
		return 0;
	owner = BPF_CORE_READ(wb, bdi, owner);
	if (owner)
		key.dev = BPF_CORE_READ(owner, devt);
	key.owner = vst_task_owner(s) ?: VST_OWNER_KERNEL;
	t = bpf_map_lookup_elem(&vst_throttled, &key);
	if (!t) {
		bpf_map_update_elem(&vst_throttled, &key, &none, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&vst_throttled, &key);
	}
	if (!t) {
		__sync_fetch_and_add(&vst_pauses_lost, 1);
		return 0;
	}
	__sync_fetch_and_add(&t->jiffies, pause);
	__sync_fetch_and_add(&t->waits, 1);
	return 0;
}
