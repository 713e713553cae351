/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include "policy/engine.h"
#include "policy_replay.h"
#include "replay.h"

#define DISKS_MAX 256
#define STEPS_MAX 10000

struct trial {
	struct vst_engine *engine;
	struct vst_plan plan;
	struct vst_host host;
	struct vst_host_disk disk[DISKS_MAX];
	json_t *actions; /* lines */
	uint64_t seq;
};

/*
 * No recording has what the kernel's files said, so this is about a host where every knob has an effect: cgroup v2, a weight controller on
 * each disk.
 */
static void set_host(struct trial *r, const struct vst_snapshot *s)
{
	const struct vst_snap_device *d;
	size_t n = 0;

	vst_snapshot_for_each(s, VST_SNAP_DEVICES, d, i)
	{
		struct vst_host_disk *disk = &r->disk[n];

		if (n == DISKS_MAX || !d->present)
			continue;
		*disk = (struct vst_host_disk){ .dev = d->dev };
		snprintf(disk->key, sizeof(disk->key), "%u:%u", d->dev >> 20, d->dev & 0xfffff);
		if (d->layer != VST_LAYER_LEAF)
			strcpy(disk->not_leaf, "it is a stacked device: limits belong to the disks below it");
		n++;
	}
	if (n != r->host.n_disks)
		r->host.generation++;
	r->host.v2 = true;
	r->host.disk = r->disk;
	r->host.n_disks = n;
}

static const char *display_of(const struct vst_snapshot *s, const char *cgroup)
{
	const struct vst_snap_container *c;

	vst_snapshot_for_each(s, VST_SNAP_CONTAINERS, c,
			      i) if (!c->own && !strcmp(c->cgroup, cgroup)) return c->display;
	return "";
}

static void add_action(struct trial *r, const struct vst_snapshot *s, const struct vst_outcome *o, const char *before)
{
	json_t *line = json_object();
	const struct {
		const char *field, *text;
	} texts[] = {
		{ "type", "action" },
		{ "what", "knob" },
		{ "target", o->knob.target },
		{ "container", display_of(s, o->knob.target) },
		{ "attribute", o->knob.attr },
		{ "key", o->knob.key },
		{ "old", before },
		{ "new", o->state == VST_KNOB_REVERTED ? o->old : o->now },
		{ "rule", o->rule },
		{ "why", o->why },
		{ "state", vst_knob_state_name((enum vst_knob_state)o->state) },
		{ "text", "" },
	};

	json_object_set_new(line, "schema", json_integer(1));
	json_object_set_new(line, "seq", json_integer((json_int_t)++r->seq));
	json_object_set_new(line, "time", json_real(s->unix_time));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		json_object_set_new(line, texts[i].field, json_string(texts[i].text) ?: json_string("?"));
	json_array_append_new(r->actions, line);
}

/* What the actor would have answered. */
static void apply(struct trial *r, const struct vst_snapshot *s, const struct vst_step *step)
{
	struct vst_outcome o = {
		.id = step->id,
		.knob = step->knob,
		.state = *step->wanted ? VST_KNOB_APPLIED : VST_KNOB_REVERTED,
		.since_us = (int64_t)(s->unix_time * 1e6),
	};
	char before[VST_VALUE_MAX];

	strcpy(o.now, step->wanted);
	strcpy(o.written, step->wanted);
	strcpy(o.rule, step->rule);
	strcpy(o.why, step->why);
	vst_plan_written(&r->plan, &o, before);
	vst_plan_outcome(&r->plan, &o, s->time);
	add_action(r, s, &o, before);
}

static int pass(struct trial *r, const struct vst_snapshot *prev, const struct vst_snapshot *s)
{
	struct vst_plan_knob *k = NULL;
	struct vst_step step;

	set_host(r, s);
	if (vst_engine_run(r->engine, prev, s, &r->host, &r->plan)) {
		vst_error("out of memory");
		return VST_EXIT_FAILED;
	}
	while (r->seq < STEPS_MAX && (k = vst_plan_next_step(&r->plan, k, s->time, &step))) {
		vst_plan_sent(&r->plan, k, step.id, s->time);
		apply(r, s, &step);
	}
	return 0;
}

static int run_all(struct trial *r, struct vst_recording *recording, double until)
{
	const struct vst_snapshot *prev = NULL, *s;
	const char *policy;
	struct vst_record_at at;
	int err = vst_recording_first(recording, &at), rc = 0;

	while (!err && !rc && at.time <= until) {
		err = vst_recording_read(recording, &at, &s, &policy);
		if (err)
			break;
		if (prev && strcmp(prev->instance, s->instance) != 0) {
			vst_snapshot_unref(prev); /* another agent: its counters begin at 0 */
			prev = NULL;
		}
		/* the engine judges ticks, not the snapshots that clients asked for between them */
		if (!prev || s->time - prev->time >= 0.9 * s->interval) {
			rc = pass(r, prev, s);
			vst_snapshot_unref(prev);
			prev = vst_snapshot_ref(s);
		}
		err = vst_recording_step(recording, 1, &at);
	}
	vst_snapshot_unref(prev);
	if (!err || err == -ENOENT)
		return rc;
	vst_error("%s", vst_recording_error(recording));
	return VST_EXIT_FAILED;
}

static void tell(const struct trial *r, const struct vst_replay *replay, vst_line_fn *take, void *arg)
{
	json_t *line = json_object(), *action;
	char text[512];
	size_t i;

	snprintf(
		text, sizeof(text),
		"In the recording of %s the policy would have made %llu steps%s, if every knob has an effect there. "
		"What was "
		"recorded does not react to them: the first steps of a protection are what they would have been, later "
		"ones go further than they would have.",
		vst_replay_about(replay)->host, (unsigned long long)r->seq, r->seq >= STEPS_MAX ? " or more" : "");
	json_object_set_new(line, "schema", json_integer(1));
	json_object_set_new(line, "type", json_string("reply"));
	json_object_set_new(line, "text", json_string(text) ?: json_string(""));
	take(arg, line);
	json_decref(line);
	json_array_foreach(r->actions, i, action) take(arg, action);
}

int vst_policy_replay(const struct vst_ctl *ctl, const struct vst_policy *policy, vst_line_fn *take, void *arg)
{
	struct trial *r = vst_alloc(sizeof(*r));
	int rc;

	r->engine = vst_engine_new();
	r->actions = json_array();
	vst_plan_init(&r->plan);
	if (!r->engine || vst_engine_set_policy(r->engine, policy)) {
		vst_error("out of memory");
		rc = VST_EXIT_FAILED;
	} else {
		rc = run_all(r, vst_replay_recording(ctl->replay), vst_replay_at(ctl->replay));
	}
	if (!rc)
		tell(r, ctl->replay, take, arg);
	vst_engine_free(r->engine);
	vst_plan_clear(&r->plan);
	json_decref(r->actions);
	free(r);
	return rc;
}
