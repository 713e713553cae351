// SPDX-License-Identifier: GPL-2.0-only
/* The agent and what it does about the policy, as metrics. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sinks/metrics.h"
#include "agent/sinks/metrics_text.h"

static void one_u64(struct vst_metrics_out *o, const char *name, enum vst_metric_type type, const char *help, __u64 v)
{
	const struct vst_family family = { name, type, help };

	vst_metrics_family(o, &family);
	if (vst_metrics_room(o, 1))
		vst_metrics_u64(o, "", "", "", v);
}

static void one_real(struct vst_metrics_out *o, const char *name, const char *help, double v)
{
	const struct vst_family family = { name, VST_METRIC_GAUGE, help };

	vst_metrics_family(o, &family);
	if (vst_metrics_room(o, 1))
		vst_metrics_real(o, "", "", "", v);
}

/* A sample with one label, of the family that was opened. */
static void labelled(struct vst_metrics_out *o, const char *key, const char *value, __u64 v)
{
	struct vst_out labels = { 0 };

	vst_label_put(&labels, key, value);
	if (vst_metrics_room(o, 1) && !labels.failed) {
		char text[VST_LABEL_MAX * 4 + 64];

		snprintf(text, sizeof(text), "%.*s", (int)labels.len, labels.buf);
		vst_metrics_u64(o, "", text, "", v);
	}
	vst_out_drop(&labels);
}

/* --- the agent --- */

static void build(struct vst_metrics_out *o, const struct vst_snapshot *s)
{
	static const struct vst_family family = { "vstor_build", VST_METRIC_INFO,
						  "The agent's version and the kernel that it runs on." };
	char text[512];

	vst_metrics_family(o, &family);
	snprintf(text, sizeof(text), "version=\"" VSTOR_VERSION "\",kernel=\"%s\"", s->kernel);
	if (vst_metrics_room(o, 1))
		vst_metrics_u64(o, "", text, "", 1);
}

static void cost(struct vst_metrics_out *o, const struct vst_snap_self *self)
{
	static const struct vst_family given_up = {
		"vstor_agent_given_up", VST_METRIC_GAUGE,
		"1 for each part that is not watched for a time because the agent was over its budget."
	};

	one_real(o, "vstor_agent_cpu_ratio", "Share of one core that the agent's process takes.",
		 self->cpu_percent / 100);
	one_u64(o, "vstor_agent_memory_bytes", VST_METRIC_GAUGE, "Resident memory of the agent, in bytes.",
		self->rss_bytes);
	one_real(o, "vstor_agent_tick_seconds", "Seconds that the agent took for its last tick.", self->tick_us / 1e6);
	one_real(o, "vstor_agent_tick_max_seconds", "Seconds that the agent took for its longest tick.",
		 self->tick_max_us / 1e6);
	one_real(o, "vstor_agent_io_cost_seconds",
		 "Seconds that the two probes take that each request passes; 0: not measured yet.",
		 self->event_ns / 1e9);
	one_real(o, "vstor_agent_cost_ratio",
		 "Share of all processors that the probes and the agent took when it was measured last.",
		 self->cost_percent / 100);
	one_real(o, "vstor_agent_budget_ratio",
		 "Share of all processors that the probes and the agent may take; 0: no limit.",
		 self->budget_percent / 100);
	vst_metrics_family(o, &given_up);
	for (unsigned int i = 0; i < self->n_given_up; i++)
		labelled(o, "part", self->given_up[i], 1);
	one_u64(o, "vstor_agent_rows", VST_METRIC_GAUGE, "Rows of the table of I/O that are used.", self->rows);
	one_u64(o, "vstor_agent_rows_limit", VST_METRIC_GAUGE, "Rows that the table of I/O has.", self->rows_max);
	one_u64(o, "vstor_agent_slots", VST_METRIC_GAUGE, "Slots for counters that are used.", self->slots);
	one_u64(o, "vstor_agent_slots_limit", VST_METRIC_GAUGE, "Slots for counters that there are.", self->slots_max);
	one_u64(o, "vstor_agent_containers", VST_METRIC_GAUGE,
		"Containers, units and other cgroups that the agent knows.", self->containers);
	one_u64(o, "vstor_encryption_alarms", VST_METRIC_COUNTER,
		"Times that a container wrote many files that look encrypted within a minute.",
		self->encryption_alarms);
	one_u64(o, "vstor_agent_overflow_cgroups", VST_METRIC_COUNTER,
		"Cgroups that the agent could not tell apart because there were too many.", self->overflow_cgroups);
}

static void losses(struct vst_metrics_out *o, const struct vst_snap_self *self)
{
	static const struct vst_family lost = { "vstor_lost", VST_METRIC_COUNTER,
						"I/Os (no_part: bytes; no_event: events; missed: runs of a probe) that "
						"are in no row or not in the right one, by cause." };
	static const struct vst_family wait_lost = { "vstor_wait_lost", VST_METRIC_COUNTER,
						     "Waits that are in no row or not in the right one, by cause." };

	vst_metrics_family(o, &lost);
	for (int i = 0; i < VST_LOSS__N; i++)
		labelled(o, "cause", vst_loss_name(i), self->lost[i]);
	vst_metrics_family(o, &wait_lost);
	for (int i = 0; i < VST_LOCK_LOSS__N; i++)
		labelled(o, "cause", vst_lock_loss_name(i), self->lock_lost[i]);
	labelled(o, "cause", "no_journal", self->journal_lost);
	labelled(o, "cause", "no_pause", self->pause_lost);
}

static void probes(struct vst_metrics_out *o, const struct vst_snapshot *s)
{
	static const struct vst_family attached = { "vstor_probe_attached", VST_METRIC_GAUGE,
						    "1 if the probe is attached, 0 if it is off or missing." };
	static const struct vst_family missed = { "vstor_probe_missed", VST_METRIC_COUNTER,
						  "Runs of the probe that the kernel skipped." };
	static const struct vst_family run = { "vstor_probe_run_seconds", VST_METRIC_GAUGE,
					       "Mean seconds of a run of the probe; 0: not measured yet." };
	char text[256];

	for (int pass = 0; pass < 3; pass++) {
		vst_metrics_family(o, pass == 0 ? &attached : pass == 1 ? &missed : &run);
		for (size_t i = 0; i < s->n_probes; i++) {
			const struct vst_snap_probe *p = &s->probes[i];
			bool on = !strcmp(p->state, "attached");

			if ((pass && !on) || !vst_metrics_room(o, 1))
				continue;
			snprintf(text, sizeof(text), "probe=\"%s\",group=\"%s\"", p->name, p->group);
			if (pass == 2)
				vst_metrics_real(o, "", text, "", p->run_ns / 1e9);
			else
				vst_metrics_u64(o, "", text, "", pass ? p->missed : on);
		}
	}
}

void vst_metrics_self(struct vst_metrics_out *o, const struct vst_snapshot *s)
{
	build(o, s);
	one_real(o, "vstor_agent_start_time_seconds", "When the agent was started, in seconds of Unix time.",
		 s->unix_time - (s->time - s->started));
	one_real(o, "vstor_agent_snapshot_time_seconds",
		 "When the snapshot was begun that these metrics show, in seconds of Unix time.", s->unix_time);
	cost(o, &s->self);
	losses(o, &s->self);
	probes(o, s);
}

/* --- the policy --- */

static void modes(struct vst_metrics_out *o, const struct vst_acting_status *p)
{
	static const struct vst_family mode = {
		"vstor_policy_mode", VST_METRIC_GAUGE,
		"1 for the mode of the agent: observe (no policy), plan (nothing is changed) or act."
	};
	static const struct vst_family actor = { "vstor_actor_state", VST_METRIC_GAUGE,
						 "1 for the state of vstor-actor, which makes the changes. It is not "
						 "there if the agent was not started with --act." };
	static const char *const states[] = { "down", "starting", "ready", "refusing" };

	vst_metrics_family(o, &mode);
	for (unsigned int i = 0; i < VST_MODE__N; i++)
		labelled(o, "mode", vst_acting_mode_name(i), p->mode == i);
	vst_metrics_family(o, &actor);
	for (size_t i = 0; *p->actor && i < sizeof(states) / sizeof(states[0]); i++)
		labelled(o, "state", states[i], !strcmp(p->actor, states[i]));
}

static void knobs(struct vst_metrics_out *o, const struct vst_acting_status *p)
{
	static const struct vst_family family = { "vstor_policy_knobs", VST_METRIC_GAUGE,
						  "Attributes of cgroups, disks and threads that the policy is about, "
						  "by state." };

	vst_metrics_family(o, &family);
	for (unsigned int state = 0; state < VST_KNOB_STATE__N; state++) {
		size_t n = 0;

		for (size_t i = 0; i < p->n_rows; i++)
			n += p->row[i].state == state;
		labelled(o, "state", vst_knob_state_name(state), n);
	}
}

/* NULL: out of memory, or another one before has the same labels. The caller frees. */
static char *protected_labels(const struct vst_acting_protected *p, const char *container, char *const *before,
			      size_t n)
{
	struct vst_out o = { 0 };
	size_t len;
	char *text;

	vst_out_raw(&o, *container ? container : "namespace=\"\",pod=\"\",container=\"[unknown]\"");
	vst_label_put(&o, "device", p->device);
	vst_label_put(&o, "objective", p->objective);
	text = vst_out_take(&o, &len);
	o.buf = text ? realloc(text, len + 1) : NULL;
	if (!o.buf) {
		free(text);
		return NULL;
	}
	o.buf[len] = 0;
	for (size_t i = 0; i < n; i++) {
		if (!before[i] || strcmp(before[i], o.buf) != 0)
			continue;
		free(o.buf);
		return NULL;
	}
	return o.buf;
}

static void protected(struct vst_metrics_out *o, const struct vst_acting_status *p, char *const *labels)
{
	static const struct vst_family objective = {
		"vstor_policy_objective_seconds", VST_METRIC_GAUGE,
		"The latency in seconds that a rule protects: the 99th percentile is to be below it."
	};
	static const struct vst_family latency = {
		"vstor_policy_latency_seconds", VST_METRIC_GAUGE,
		"The same latency in seconds as it was measured last; left out when nothing was measured."
	};
	static const struct vst_family cap = { "vstor_policy_cap_bytes", VST_METRIC_GAUGE,
					       "Bytes a second that all containers may have together that are limited "
					       "for the protected one; 0: no limit." };

	for (int pass = 0; pass < 3; pass++) {
		vst_metrics_family(o, pass == 0 ? &objective : pass == 1 ? &latency : &cap);
		for (size_t i = 0; i < p->n_protected; i++) {
			const struct vst_acting_protected *t = &p->protected[i];

			if (!labels[i] || (pass == 1 && t->latency_us < 0) || !vst_metrics_room(o, 1))
				continue;
			vst_metrics_real(o, "", labels[i], "",
					 pass == 0   ? t->objective_us / 1e6
					 : pass == 1 ? t->latency_us / 1e6
						     : t->cap);
		}
	}
}

void vst_metrics_policy(struct vst_metrics_out *o, const struct vst_acting_status *p,
			const char *(*labels)(void *ctx, const char *cgroup), void *ctx)
{
	char **text = calloc(p->n_protected + 1, sizeof(char *));

	modes(o, p);
	one_u64(o, "vstor_policy_rules", VST_METRIC_GAUGE, "Rules of the policy in force.",
		p->policy ? p->policy->policy->n_rules : 0);
	one_u64(o, "vstor_policy_bad", VST_METRIC_GAUGE,
		"1 if the newest policy is bad and the one before, or none, is in force.", *p->error != 0);
	one_u64(o, "vstor_policy_writes", VST_METRIC_COUNTER, "Knobs that vstor-actor wrote.", p->writes);
	one_u64(o, "vstor_policy_reverts", VST_METRIC_COUNTER, "Knobs that vstor-actor set back to their old value.",
		p->reverts);
	one_u64(o, "vstor_policy_conflicts", VST_METRIC_COUNTER,
		"Times that somebody else had changed what vstor-actor had set.", p->conflicts);
	one_u64(o, "vstor_policy_dropped_knobs", VST_METRIC_COUNTER, "Knobs that found no room in the plan.",
		p->dropped);
	one_u64(o, "vstor_actor_deaths", VST_METRIC_COUNTER, "Times that vstor-actor ended without being asked.",
		p->actor_deaths);
	knobs(o, p);
	if (!text)
		return;
	for (size_t i = 0; i < p->n_protected; i++)
		text[i] = protected_labels(&p->protected[i], labels(ctx, p->protected[i].cgroup), text, i);
	protected(o, p, text);
	for (size_t i = 0; i < p->n_protected; i++)
		free(text[i]);
	free(text);
}
