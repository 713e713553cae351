// SPDX-License-Identifier: GPL-2.0-only
/* The probes that tell how long data lives: attached while somebody is watched all the time, those of a filesystem while it is mounted. */
#include <errno.h>
#include <string.h>

#include <bpf/btf.h>

#include "agent/base/log.h"
#include "agent/probes/probes_priv.h"

#include "insight.skel.h"

/* A number until it became an enum in 6.2 (fs/btrfs/extent-io-tree.h): what it was before. */
#define EXTENT_DELALLOC_BEFORE (1U << 4)

bool vst_probes_is_life(int i)
{
	return !strncmp(vst_probe_table[i].name, "life_", strlen("life_"));
}

/* --- what the program for btrfs has to know --- */

/* Bytes from the beginning of a structure to a member; -1: there is none of that name. */
static long offset_of(const struct btf *btf, const struct btf_type *t, const char *name)
{
	const struct btf_member *m = btf_members(t);

	for (__u32 i = 0; i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, m[i].name_off), name))
			return btf_member_bit_offset(t, i) / 8;
	return -1;
}

static __u32 find_delalloc(const struct btf *btf)
{
	for (__u32 id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const struct btf_enum *e = btf_is_enum(t) ? btf_enum(t) : NULL;

		for (__u32 i = 0; e && i < btf_vlen(t); i++)
			if (!strcmp(btf__name_by_offset(btf, e[i].name_off), "EXTENT_DELALLOC"))
				return (__u32)e[i].val;
	}
	return EXTENT_DELALLOC_BEFORE;
}

static void tell_btrfs(struct vst_insight *in)
{
	struct btf *kernel = btf__load_vmlinux_btf(), *module = NULL;
	__s32 id = kernel ? btf__find_by_name_kind(kernel, "btrfs_inode", BTF_KIND_STRUCT) : -ENOENT;
	const struct btf *btf = kernel;
	long tree, inode;

	if (kernel && id < 0) {
		btf = module = btf__load_module_btf("btrfs", kernel);
		id = module ? btf__find_by_name_kind(module, "btrfs_inode", BTF_KIND_STRUCT) : -ENOENT;
	}
	if (id >= 0) {
		tree = offset_of(btf, btf__type_by_id(btf, (__u32)id), "io_tree");
		inode = offset_of(btf, btf__type_by_id(btf, (__u32)id), "vfs_inode");
		in->btrfs_delalloc = find_delalloc(btf);
		if (tree >= 0 && inode >= 0)
			in->btrfs_inode = (__u64)(inode - tree);
	}
	btf__free(module);
	btf__free(kernel);
}

/* --- attaching --- */

static void attach(struct vst_probes *p, int i)
{
	struct vst_probe *probe = &p->probe[i];

	if (i == VST_PROBE_ID_life_btrfs && !p->maps.insight->btrfs_inode)
		tell_btrfs(p->maps.insight);
	probe->link = bpf_program__attach(probe->prog);
	if (probe->link)
		return;
	probe->failed = true;
	vst_warn("cannot attach to tracepoint %s: %s; how long data lives may not be known on %s",
		 vst_probe_table[i].tracepoint, strerror(errno), vst_probe_table[i].module ?: "any filesystem");
}

void vst_probes_follow_lives(struct vst_probes *p, bool want)
{
	const struct vst_object *o = &p->object[VST_GROUP_INSIGHT];

	if (!o->open || o->given_up)
		return;
	vst_for_each_probe_of (i, VST_GROUP_INSIGHT) {
		struct vst_probe *probe = &p->probe[i];
		const char *module = vst_probe_table[i].module;

		if (!vst_probes_is_life(i))
			continue;
		if (!want || (module && !vst_probes_is_mounted(module))) {
			bpf_link__destroy(probe->link);
			probe->link = NULL;
		} else if (!probe->link && !probe->failed) {
			attach(p, i);
		}
	}
}
