// SPDX-License-Identifier: GPL-2.0-only
/* How the probes are, and what they cost. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/base/log.h"
#include "agent/probes/probes_priv.h"

static void prog_info(const struct vst_probe *probe, struct bpf_prog_info *info)
{
	__u32 len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	if (bpf_program__fd(probe->prog) >= 0)
		bpf_obj_get_info_by_fd(bpf_program__fd(probe->prog), info, &len);
}

void vst_probes_stats_begin(struct vst_probes *p, double now)
{
	struct bpf_prog_info info;

	if (p->stats_fd >= 0)
		return;
	p->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (p->stats_fd < 0 && !p->stats_told)
		vst_warn("cannot switch on the kernel's statistics of BPF programs: %s; what the probes take is not "
			 "known, "
			 "and --budget has no effect",
			 strerror(errno));
	p->stats_told = p->stats_fd < 0;
	p->stats_since = now;
	for (int i = 0; i < VST_PROBE_ID__N; i++) {
		if (!p->probe[i].link) /* it may just be being loaded */
			continue;
		prog_info(&p->probe[i], &info);
		p->probe[i].run_ns = info.run_time_ns;
		p->probe[i].run_cnt = info.run_cnt;
	}
}

bool vst_probes_stats_end(struct vst_probes *p, double now, struct vst_budget *b)
{
	double ns[VST_GROUP__N] = { 0 }, percent;
	struct bpf_prog_info info;
	int part;

	if (p->stats_fd < 0)
		return false;
	for (int i = 0; i < VST_PROBE_ID__N; i++) {
		struct vst_probe *probe = &p->probe[i];

		if (!probe->link)
			continue;
		prog_info(probe, &info);
		if (info.run_cnt == probe->run_cnt)
			continue;
		probe->sampled = info.run_cnt - probe->run_cnt;
		probe->mean_ns = (double)(info.run_time_ns - probe->run_ns) / (double)probe->sampled;
		ns[vst_probe_table[i].group] += (double)(info.run_time_ns - probe->run_ns);
		probe->run_ns = info.run_time_ns; /* it may be detached, and attached again, within the next moment */
		probe->run_cnt = info.run_cnt;
	}
	close(p->stats_fd);
	p->stats_fd = -1;
	percent = 100 / (1e9 * (now - p->stats_since) * (double)sysconf(_SC_NPROCESSORS_ONLN));
	b->cost = 0;
	for (int g = 0; g < VST_GROUP__N; g++)
		b->cost += percent * ns[g];
	for (part = 0; part < VST_BUDGET__N; part++)
		if (!b->part[part].given_up)
			b->part[part].cost = percent * ns[vst_group_of_part[part]];
	return true;
}

double vst_probes_event_ns(const struct vst_probes *p)
{
	return p->probe[VST_PROBE_ID_rq_issue].mean_ns + p->probe[VST_PROBE_ID_rq_complete].mean_ns;
}

bool vst_probes_watch_locks(const struct vst_probes *p)
{
	return p->probe[VST_PROBE_ID_lock_begin].link;
}

size_t vst_probes_count(const struct vst_probes *p)
{
	return VST_PROBE_ID__N;
}

/* Why it is not attached. */
static const char *why_not(const struct vst_probes *p, size_t i, enum vst_probe_state *ret_state)
{
	const struct vst_object_row *row = &vst_object_table[vst_probe_table[i].group];
	const struct vst_object *o = &p->object[vst_probe_table[i].group];

	*ret_state = VST_PROBE_OFF;
	if (p->probe[i].elsewhere)
		return "this kernel has another tracepoint in its place";
	if (p->late && row->when != VST_WHEN_START)
		return "it is just being loaded";
	if (o->given_up)
		return "given up for a time: the probes took more than their budget (vstord --budget)";
	if (!o->err && vst_probe_table[i].group == VST_GROUP_FSYNC && p->want_fsync)
		return vst_probes_fsync_why(p, (int)i, ret_state);
	if (!o->err && o->open && p->want_insight && vst_probes_is_life((int)i))
		return p->copies_always ? "no such filesystem is mounted, or it could not be attached"
					: "attached while --insight full or vstorctl insight CONTAINER on asks for it";
	if (!o->err && o->open && p->want_insight && i == VST_PROBE_ID_copy_folio)
		return "attached for 80 ms of each second; --insight full and vstorctl insight CONTAINER on keep it "
		       "attached";
	if (!o->err)
		return row->off;
	*ret_state = VST_PROBE_MISSING;
	return p->probe[i].missing ? "this kernel does not have the tracepoint"
				   : "it could not be loaded or attached; the agent's log says why";
}

void vst_probes_info(const struct vst_probes *p, size_t i, struct vst_probe_info *ret)
{
	const struct vst_probe *probe = &p->probe[i];
	struct bpf_prog_info info;

	*ret = (struct vst_probe_info){ .name = vst_probe_table[i].name,
					.tracepoint = vst_probe_table[i].tracepoint,
					.group = vst_object_table[vst_probe_table[i].group].name };
	if (!probe->link && p->late) { /* another thread's */
		ret->why = why_not(p, i, &ret->state);
		return;
	}
	prog_info(probe, &info);
	ret->missed = info.recursion_misses; /* those of before it was detached, too */
	if (!probe->link) {
		ret->why = why_not(p, i, &ret->state);
		return;
	}
	ret->state = VST_PROBE_ATTACHED;
	ret->why = "";
	ret->run_ns = probe->mean_ns;
	ret->runs = probe->sampled;
}
