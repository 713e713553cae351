// SPDX-License-Identifier: GPL-2.0-only
/* Cgroups that come and go, with their paths: the agent names owners by them, also those that live for a moment. */
#include "compat.bpf.h"
#include "maps.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* False: a hierarchy in which no owner is counted. */
static __always_inline bool hierarchy_of(const struct cgroup *cgrp, __u32 *ret_hier)
{
	struct cgroup_root *root = cgrp->root;
	__u32 mask = root->subsys_mask;

	if (!root->hierarchy_id)
		*ret_hier = VST_HIER_UNIFIED;
	else if (mask & (1U << bpf_core_enum_value(enum cgroup_subsys_id, io_cgrp_id)))
		*ret_hier = VST_HIER_BLKIO;
	else if (mask & (1U << vst_memory_subsys()))
		*ret_hier = VST_HIER_MEMORY;
	else
		return false;
	return true;
}

static __always_inline int send(__u32 type, const struct cgroup *cgrp, const char *path)
{
	struct vst_state *s = vst_state_get();
	struct vst_event_cgroup *event;
	__u32 hier = 0;

	if (!s || !hierarchy_of(cgrp, &hier))
		return 0;
	event = bpf_ringbuf_reserve(&vst_events, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&s->events_lost, 1);
		return 0;
	}
	event->type = type;
	event->hier = hier;
	event->id = cgrp->kn->id;
	event->maker = bpf_get_current_uid_gid();
	if (bpf_probe_read_kernel_str(event->path, sizeof(event->path), path) < 0)
		event->path[0] = 0;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* What is made inside a container has the container's share of the rows. */
static __always_inline void share_inherit(struct vst_state *s, const struct cgroup *cgrp)
{
	const struct cgroup_subsys_state *up = cgrp->self.parent;
	__u64 parent, packed, *top;
	__u32 hier;

	if (!up || !hierarchy_of(cgrp, &hier))
		return;
	parent = up->cgroup->kn->id << 2 | hier;
	packed = cgrp->kn->id << 2 | hier;
	top = bpf_map_lookup_elem(&vst_shares, &parent);
	if (top && bpf_map_update_elem(&vst_shares, &packed, top, BPF_ANY))
		s->shares_full = 1;
}

static __always_inline void share_forget(const struct cgroup *cgrp)
{
	__u64 packed;
	__u32 hier;

	if (!hierarchy_of(cgrp, &hier))
		return;
	packed = cgrp->kn->id << 2 | hier;
	bpf_map_delete_elem(&vst_shares, &packed);
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(vst_cgroup_mkdir, struct cgroup *cgrp, const char *path)
{
	struct vst_state *s = vst_state_get();

	if (!s)
		return 0;
	/* it may have the address of one that is gone */
	__sync_fetch_and_add(&s->epoch, 1);
	share_inherit(s, cgrp);
	return send(VST_EVENT_CGROUP_MKDIR, cgrp, path);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(vst_cgroup_rmdir, struct cgroup *cgrp, const char *path)
{
	share_forget(cgrp);
	return send(VST_EVENT_CGROUP_RMDIR, cgrp, path);
}

/* Whoever was below it has another path, too: the agent reads the tree again. */
SEC("tp_btf/cgroup_rename")
int BPF_PROG(vst_cgroup_rename, struct cgroup *cgrp, const char *path)
{
	return send(VST_EVENT_CGROUP_RENAME, cgrp, path);
}
