// SPDX-License-Identifier: GPL-2.0-only
/* /v1/status: the agent itself. */
#include <string.h>
#include <unistd.h>

#include "agent/base/caps.h"
#include "agent/sinks/render.h"

static void capability(struct vst_out *o, const struct vst_caps_row *row)
{
	bool any = false;

	vst_out_raw(o, "{");
	vst_out_kstr(o, "name", row->name);
	vst_out_kstr(o, "why", row->why);
	vst_out_key(o, "threads");
	vst_out_raw(o, "[");
	for (int t = 0; t < VST_CAPS_THREAD__N; t++) {
		if (!(row->threads & 1U << t))
			continue;
		vst_out_raw(o, any ? "," : "");
		vst_out_str(o, vst_caps_thread_name(t));
		any = true;
	}
	vst_out_raw(o, "]}");
}

/* Those that the loop has; other threads have some of these. Not there: nothing was given up (yet). */
static void capabilities(struct vst_out *o, const struct vst_snap_caps *caps)
{
	bool any = false;

	if (!caps->dropped)
		return;
	vst_out_key(o, "capabilities");
	vst_out_raw(o, "[");
	for (size_t i = 0; i < vst_caps_table_n; i++) {
		const struct vst_caps_row *row = &vst_caps_table[i];

		if (!(caps->kept >> row->cap & 1) || !(row->when & caps->when))
			continue;
		vst_out_raw(o, any ? "," : "");
		capability(o, row);
		any = true;
	}
	vst_out_raw(o, "]");
}

/* A policy that is not in force although somebody wrote it is told wherever people look. */
static void policy_summary(struct vst_out *o, const struct vst_acting_status *p)
{
	if (!*p->file && !*p->error && !p->may_act)
		return;
	vst_out_key(o, "policy");
	vst_out_raw(o, "{");
	vst_out_kstr(o, "file", p->file);
	vst_out_kbool(o, "act", p->may_act);
	vst_out_kstr(o, "error", p->error);
	vst_out_kstr(o, "actor", p->actor);
	vst_out_kstr(o, "actor_error", p->actor_text);
	vst_out_raw(o, "}");
}

static void recording(struct vst_out *o, const struct vst_snap_recording *r)
{
	if (!r->dir)
		return;
	vst_out_key(o, "recording");
	vst_out_raw(o, "{");
	vst_out_kstr(o, "dir", r->dir);
	vst_out_ku64(o, "bytes", r->bytes);
	vst_out_ku64(o, "size", r->size);
	vst_out_ku64(o, "skipped", r->skipped);
	vst_out_kstr(o, "error", r->error ? strerror(r->error) : "");
	vst_out_raw(o, "}");
}

void vst_render_status(struct vst_out *o, const struct vst_snapshot *s, const struct vst_acting_status *policy,
		       const char *argument)
{
	vst_render_begin(o, "status");
	vst_out_kstr(o, "version", VSTOR_VERSION);
	vst_out_ku64(o, "pid", getpid());
	vst_out_kstr(o, "kernel", s->kernel);
	vst_render_moment(o, s);
	vst_out_kdouble(o, "interval", s->interval, 3);
	vst_out_kstr(o, "mode", vst_acting_mode_name(policy ? policy->mode : VST_MODE_OBSERVE));
	if (policy)
		policy_summary(o, policy);
	recording(o, &s->self.recording);
	vst_render_probes(o, s);
	capabilities(o, &s->self.caps);
	vst_render_self(o, &s->self);
	vst_render_end(o);
}
