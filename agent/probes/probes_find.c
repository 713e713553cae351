// SPDX-License-Identifier: GPL-2.0-only
/* Which of the tracepoints this kernel and its modules have, and how they are. */
#include <errno.h>
#include <string.h>

#include <bpf/btf.h>

#include "agent/probes/probes_priv.h"

#include "pause.skel.h"

/* How many arguments each probe's tracepoint has, among these types from `first` on; not touched if it is not there. */
static void find_tracepoints(const struct btf *btf, __u32 first, int args[VST_PROBE_ID__N])
{
	static const char prefix[] = "btf_trace_";
	__u32 n = btf__type_cnt(btf);

	for (__u32 id = first; id < n; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const char *name = btf_is_typedef(t) ? btf__name_by_offset(btf, t->name_off) : NULL;

		if (!name || strncmp(name, prefix, sizeof(prefix) - 1))
			continue;
		t = btf__type_by_id(btf, btf__type_by_id(btf, t->type)->type); /* a pointer to a function */
		for (int i = 0; i < VST_PROBE_ID__N; i++)
			if (btf_is_func_proto(t) && !strcmp(name + sizeof(prefix) - 1, vst_probe_table[i].tracepoint))
				args[i] = (int)btf_vlen(t) - 1;
	}
}

/* The bit of bio.bi_flags with this name, in an enum that has none; 0: this kernel has no such bit. */
static __u32 find_bio_flag(const struct btf *btf, const char *flag)
{
	__u32 n = btf__type_cnt(btf);

	for (__u32 id = 1; id < n; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const struct btf_enum *e = btf_is_enum(t) && !t->name_off ? btf_enum(t) : NULL;

		for (__u32 i = 0; e && i < btf_vlen(t); i++)
			if (e[i].val >= 0 && e[i].val < 16 && !strcmp(btf__name_by_offset(btf, e[i].name_off), flag))
				return 1U << e[i].val;
	}
	return 0;
}

/* Tracepoints of which a kernel has one or more: without any of them all are missing. */
static void find_one_of(struct vst_probes *p, const int *ids, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any |= !p->probe[ids[i]].missing;
	for (size_t i = 0; i < n; i++) {
		struct vst_probe *probe = &p->probe[ids[i]];

		probe->elsewhere = any && probe->missing;
		if (any)
			bpf_program__set_autoload(probe->prog, !probe->missing);
		probe->missing = !any;
	}
}

int vst_probes_find(struct vst_probes *p)
{
	static const int handle_begins[] = { VST_PROBE_ID_handle_begin, VST_PROBE_ID_handle_begin_inode,
					     VST_PROBE_ID_handle_begin_sb };
	static const char *const modules[] = { "jbd2", "ext4" };
	struct btf *kernel = btf__load_vmlinux_btf(), *btf;
	int args[VST_PROBE_ID__N], pause;

	if (!kernel)
		return -errno;
	memset(args, -1, sizeof(args));
	find_tracepoints(kernel, 1, args);
	for (size_t m = 0; m < sizeof(modules) / sizeof(modules[0]); m++) {
		btf = btf__load_module_btf(modules[m], kernel);
		if (btf)
			find_tracepoints(btf, btf__type_cnt(kernel), args);
		btf__free(btf);
	}
	p->maps.state->bio_traced = find_bio_flag(kernel, "BIO_TRACE_COMPLETION");
	btf__free(kernel);
	for (int i = 0; i < VST_PROBE_ID__N; i++)
		if (!p->late || vst_object_table[vst_probe_table[i].group].when != VST_WHEN_START)
			p->probe[i].missing = args[i] < 0;
	find_one_of(p, handle_begins, sizeof(handle_begins) / sizeof(handle_begins[0]));
	/* 12 arguments on 6.1 and 6.12; on 6.18 some of them are in a structure, and there are 8 */
	pause = args[VST_PROBE_ID_dirty_pause];
	if (pause != 12 && pause != 8)
		p->probe[VST_PROBE_ID_dirty_pause].missing = true;
	else if (!p->object[VST_GROUP_PAUSE].loaded)
		p->pause->rodata->vst_pause_arg = pause == 12 ? 10 : 6;
	return 0;
}
