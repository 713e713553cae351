// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who writes to memory faster than the disks take it, and has to pause for it. The kernel says how long a pause will be when
 * it begins, and nothing when it ends. So the agent charges a pause as it passes; what it has not charged yet when the
 * thread's next pause begins is charged then.
 */
#include <bpf/bpf_core_read.h>

#include "open.bpf.h"
#include "owner.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Which argument of the tracepoint is how long the task has to pause; the next one is when it was stopped. */
const volatile __u8 vst_pause_arg;
const volatile __u64 vst_tick_ns = 4000000; /* of the kernel's clock, in which both are given */

#define BPF_F_NO_PREALLOC 1 /* include/uapi/linux/bpf.h */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, VST_THROTTLED);
	__type(key, struct vst_throttle_key);
	__type(value, struct vst_throttle);
} vst_throttled SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vst_pause_opens);
} vst_pause_opens SEC(".maps");

__u64 vst_pauses_lost; /* for which there was no room */

__noinline int vst_pause_charge(__u64 owner, __u32 dev, __u64 ns)
{
	struct vst_throttle_key key = { .owner = owner, .dev = dev };
	struct vst_throttle none = {}, *t = bpf_map_lookup_elem(&vst_throttled, &key);

	if (!t) {
		bpf_map_update_elem(&vst_throttled, &key, &none, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&vst_throttled, &key);
	}
	if (!t) {
		__sync_fetch_and_add(&vst_pauses_lost, 1);
		return 0;
	}
	__sync_fetch_and_add(&t->ns, ns);
	__sync_fetch_and_add(&t->waits, 1);
	return 0;
}

/* The pause before this one has ended. In the same call the thread did nothing but pause, so it ended just now. */
static __always_inline void settle(struct vst_pause_open *o, __u64 call, __u64 now)
{
	__u64 since = __sync_lock_test_and_set(&o->since_ns, 0), end = o->end_ns;

	if (!since)
		return;
	if (o->call == call || now < end)
		end = now;
	vst_pause_charge(o->owner, o->dev, end > since ? end - since : 0);
}

static __always_inline void pause_begin(__u64 owner, __u32 dev, __u64 ticks, __u64 call)
{
	__u32 thread = bpf_get_current_pid_tgid(), zero = 0, place;
	struct vst_pause_opens *opens = bpf_map_lookup_elem(&vst_pause_opens, &zero);
	__u64 now = bpf_ktime_get_ns(), ns = ticks * vst_tick_ns;
	struct vst_pause_open *o;

	place = opens ? vst_open_place(opens->thread, thread, true) : VST_OPEN_PLACES;
	if (!opens || place >= VST_OPEN_PLACES) { /* no room: charged at once */
		vst_pause_charge(owner, dev, ns);
		return;
	}
	o = &opens->open[place];
	settle(o, call, now);
	o->owner = owner;
	o->dev = dev;
	o->call = call;
	o->call_ns = now - (bpf_jiffies64() - call) * vst_tick_ns;
	o->end_ns = now + ns;
	__sync_lock_test_and_set(&o->since_ns, now); /* the rest is written before */
}

SEC("tp_btf/balance_dirty_pages")
int vst_dirty_pause(__u64 *ctx)
{
	struct bdi_writeback *wb = (void *)ctx[0];
	struct vst_state *s = vst_state_get();
	struct device *owner;
	__u64 call;
	__s64 pause;
	__u32 dev = 0;

	if (vst_pause_arg == 10) { /* two loads: one at an address that depends is not allowed */
		pause = ctx[10];
		call = ctx[11];
		barrier_var(pause);
	} else {
		pause = ctx[6];
		call = ctx[7];
		barrier_var(pause);
	}
	if (pause <= 0 || !s)
		return 0;
	owner = BPF_CORE_READ(wb, bdi, owner);
	if (owner)
		dev = BPF_CORE_READ(owner, devt);
	pause_begin(vst_task_owner(s) ?: VST_OWNER_KERNEL, dev, pause, call);
	return 0;
}
