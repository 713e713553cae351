// SPDX-License-Identifier: GPL-2.0-only
/* Which of the tracepoints this kernel and its modules have, and in which form. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <bpf/btf.h>

#include "agent/probes/probes_priv.h"

#include "pause.skel.h"

static const char prefix[] = "btf_trace_";

/* The probe's tracepoint is that typedef: how many arguments it has. */
static void found_tracepoint(const struct btf *btf, const struct btf_type *t, const char *name,
			     int args[VST_PROBE_ID__N])
{
	t = btf__type_by_id(btf, btf__type_by_id(btf, t->type)->type); /* a pointer to a function */
	for (int i = 0; i < VST_PROBE_ID__N; i++)
		if (btf_is_func_proto(t) && vst_probe_table[i].args != VST_FUNCTION &&
		    !strcmp(name + sizeof(prefix) - 1, vst_probe_table[i].tracepoint))
			args[i] = (int)btf_vlen(t) - 1;
}

static void found_function(const char *name, int args[VST_PROBE_ID__N])
{
	for (int i = 0; i < VST_PROBE_ID__N; i++)
		if (vst_probe_table[i].args == VST_FUNCTION && !strcmp(name, vst_probe_table[i].tracepoint))
			args[i] = 0;
}

/* Into args, how many arguments each probe's tracepoint has, for those among the types from `first` on. */
static void find_tracepoints(const struct btf *btf, __u32 first, int args[VST_PROBE_ID__N])
{
	__u32 n = btf__type_cnt(btf);

	for (__u32 id = first; id < n; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const char *name = btf_is_typedef(t) || btf_is_func(t) ? btf__name_by_offset(btf, t->name_off) : NULL;

		if (name && btf_is_func(t))
			found_function(name, args);
		else if (name && !strncmp(name, prefix, sizeof(prefix) - 1))
			found_tracepoint(btf, t, name, args);
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

/* Is another row, before this one, about the same module? */
static bool module_was_read(int i)
{
	for (int j = 0; j < i; j++)
		if (vst_probe_table[j].module && !strcmp(vst_probe_table[j].module, vst_probe_table[i].module))
			return true;
	return false;
}

static void find_in_modules(struct btf *kernel, int args[VST_PROBE_ID__N])
{
	struct btf *btf;

	for (int i = 0; i < VST_PROBE_ID__N; i++) {
		if (!vst_probe_table[i].module || !strcmp(vst_probe_table[i].module, VST_SYSCALLS) ||
		    module_was_read(i))
			continue;
		btf = btf__load_module_btf(vst_probe_table[i].module, kernel);
		if (btf)
			find_tracepoints(btf, btf__type_cnt(kernel), args);
		btf__free(btf);
	}
}

static void find_syscalls(const struct btf *kernel, int args[VST_PROBE_ID__N])
{
	if (btf__find_by_name_kind(kernel, VST_SYSCALLS_FUNCTION, BTF_KIND_FUNC) <= 0)
		return;
	for (int i = 0; i < VST_PROBE_ID__N; i++)
		if (vst_probe_table[i].module && !strcmp(vst_probe_table[i].module, VST_SYSCALLS))
			args[i] = 0;
}

/* Of the tracepoints that replace each other one is enough: the others are not missing, and not loaded. */
static void find_one_of(struct vst_probes *p, int i)
{
	const struct vst_probe_row *row = &vst_probe_table[i];
	struct vst_probe *probe = &p->probe[i];
	bool other = false;

	for (int j = 0; j < VST_PROBE_ID__N && !other; j++)
		other = vst_probe_table[j].one_of && !strcmp(vst_probe_table[j].one_of, row->one_of) &&
			!p->probe[j].missing && !p->probe[j].elsewhere;
	probe->elsewhere = other && probe->missing;
	bpf_program__set_autoload(probe->prog, !probe->missing);
	probe->missing = probe->missing && !other;
}

/* args: of the tracepoint. The kernel's clock ticks as CONFIG_HZ says; its coarse clock has that resolution. */
static void tell_pause(struct vst_probes *p, int args)
{
	struct timespec tick;

	p->pause->rodata->vst_pause_arg = args == 12 ? 10 : 6;
	if (!clock_getres(CLOCK_MONOTONIC_COARSE, &tick))
		p->pause->rodata->vst_tick_ns = (__u64)tick.tv_nsec;
}

int vst_probes_find(struct vst_probes *p)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	int args[VST_PROBE_ID__N], pause;

	if (!kernel)
		return -errno;
	memset(args, -1, sizeof(args));
	find_tracepoints(kernel, 1, args);
	if (p->maps.state) /* load_start() looks for what is missing when there are no maps yet */
		p->maps.state->bio_traced = find_bio_flag(kernel, "BIO_TRACE_COMPLETION");
	find_in_modules(kernel, args);
	find_syscalls(kernel, args);
	btf__free(kernel);
	for (int i = 0; i < VST_PROBE_ID__N; i++) {
		const struct vst_probe_row *row = &vst_probe_table[i];

		if (p->object[row->group].loaded) /* with what there was then */
			continue;
		if (!p->late || vst_object_table[row->group].when != VST_WHEN_START)
			p->probe[i].missing = args[i] < 0 || (row->args > 0 && args[i] != row->args);
	}
	for (int i = 0; i < VST_PROBE_ID__N; i++)
		if (vst_probe_table[i].one_of && !p->object[vst_probe_table[i].group].loaded)
			find_one_of(p, i);
	/* 12 arguments on 6.1 and 6.12; on 6.18 some of them are in a structure, and there are 8 */
	pause = args[VST_PROBE_ID_dirty_pause];
	if (pause != 12 && pause != 8)
		p->probe[VST_PROBE_ID_dirty_pause].missing = true;
	else if (!p->object[VST_GROUP_PAUSE].loaded)
		tell_pause(p, pause);
	return 0;
}
