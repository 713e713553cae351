/* SPDX-License-Identifier: GPL-2.0-only */
/* The total of a container's waiting by what it waited for, and what can be done about the largest part. */
#include <math.h>
#include "format.h"
#include "phrase.h"
#include "reasons.h"

#define WORTH_ADVICE 10.0 /* milliseconds in a second: nobody is asked to do something about less */

enum group { IO, JOURNAL, LOCKS, THROTTLING, OTHER, SCHEDULER, GROUPS };

static const char *const group_names[GROUPS] = {
	[IO] = "I/O",	   [JOURNAL] = "journals",    [LOCKS] = "locks", [THROTTLING] = "throttling",
	[OTHER] = "other", [SCHEDULER] = "scheduler",
};

static const struct {
	const char *prefix;
	enum group group;
} of_prefix[] = {
	{ "device", IO },	    { "dirty", IO },   { "freeze", IO }, { "journal", JOURNAL },
	{ "throttle", THROTTLING }, { "lock", LOCKS },
};

/* Locks of run queues and of tasks that wake up: with many tasks there is always some waiting for them, and it is no I/O. */
bool vst_reasons_is_scheduler(const struct vst_wait *w)
{
	static const char *const names[] = { "rq.__lock", "task_struct.pi_lock" };

	for (size_t i = 0; w->resource->member && i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(w->name, names[i]))
			return true;
	return false;
}

static enum group group_of(const struct vst_wait *w)
{
	if (vst_reasons_is_scheduler(w))
		return SCHEDULER;
	for (size_t i = 0; i < sizeof(of_prefix) / sizeof(of_prefix[0]); i++)
		if (!strcmp(of_prefix[i].prefix, w->resource->prefix))
			return of_prefix[i].group;
	return OTHER;
}

static void add_up(const struct vst_reasons *r, double us[GROUPS])
{
	memset(us, 0, GROUPS * sizeof(*us));
	for (size_t i = 0; i < r->parts->n; i++)
		us[group_of(&r->parts->list[i])] += r->parts->list[i].us;
}

static double ms_per_s(const struct vst_reasons *r, double us)
{
	return vst_delta_rate(us / 1e3, r->interval);
}

char *vst_reasons_total(const struct vst_reasons *r)
{
	double us[GROUPS], fsync = vst_waits_sum(r->containing);
	bool any = false;
	struct vst_text t;

	if (ms_per_s(r, r->us) < VST_HARDLY_MS && ms_per_s(r, fsync) < VST_HARDLY_MS)
		return NULL;
	add_up(r, us);
	vst_text_open(&t);
	fprintf(t.out, "In all %.0f ms/s", ms_per_s(r, r->us));
	for (int g = 0; g < GROUPS; g++) {
		if (!(us[g] > 0))
			continue;
		fprintf(t.out, "%s%s ", any ? ", " : ": ", group_names[g]);
		vst_phrase_ms(t.out, ms_per_s(r, us[g]));
		any = true;
	}
	if (fsync > 0) {
		fputs("; in fsync ", t.out);
		vst_phrase_ms(t.out, ms_per_s(r, fsync));
		fputs(", which contains some of it", t.out);
	}
	fputc('.', t.out);
	return vst_text_close(&t);
}

json_t *vst_reasons_total_json(const struct vst_reasons *r)
{
	static const char *const fields[GROUPS] = {
		[IO] = "io_us",	      [JOURNAL] = "journal_us",	    [LOCKS] = "lock_us", [THROTTLING] = "throttling_us",
		[OTHER] = "other_us", [SCHEDULER] = "scheduler_us",
	};
	json_t *o = json_object();
	double us[GROUPS];

	add_up(r, us);
	for (int g = 0; g < GROUPS; g++)
		json_object_set_new(o, fields[g], json_real(round(us[g] * 1e3) / 1e3));
	json_object_set_new(o, "fsync_us", json_real(round(vst_waits_sum(r->containing) * 1e3) / 1e3));
	return o;
}

/* --- what can be done --- */

/* The longest wait of a group, with its holder; NULL: none. */
static const struct vst_wait *longest(const struct vst_reasons *r, enum group g)
{
	for (size_t i = 0; i < r->causes->n; i++)
		if (group_of(&r->causes->list[i]) == g)
			return &r->causes->list[i];
	return NULL;
}

static bool is_unknown(const struct vst_wait *w)
{
	return !*w->holder_cgroup && !strcmp(w->holder, "unattributed");
}

static void advise_io(FILE *out, const struct vst_reasons *r, const struct vst_wait *w)
{
	if (!vst_wait_is_of_others(w, NULL)) {
		fputs("its own requests wait for each other: let it issue fewer at a time, or give it a faster disk",
		      out);
	} else if (is_unknown(w)) {
		fputs("'vstorctl io' shows what the disk does, and for whom", out);
	} else {
		fputs("give ", out);
		vst_phrase_name(out, vst_reasons_holder(r, w));
		fputs(" another disk, or a weight or a limit by a policy; 'vstorctl policy plan FILE' shows what that "
		      "would "
		      "write",
		      out);
	}
}

static void advise_lock(FILE *out, const struct vst_reasons *r, const struct vst_wait *w)
{
	const char *who = vst_who_labels_find(r->from.labels, &r->who);

	if (vst_wait_is_of_others(w, NULL) && !is_unknown(w)) {
		fputs("keep ", out);
		vst_phrase_name(out, vst_reasons_holder(r, w));
		fputs(" away from the file or directory of that lock; ", out);
	}
	fputs("'vstorctl blame -s ", out);
	vst_phrase_name(out, who);
	fputs("' shows what the holder does with it", out);
}

char *vst_reasons_advice(const struct vst_reasons *r)
{
	const struct vst_wait *w;
	double us[GROUPS];
	enum group most = IO;
	struct vst_text t;

	add_up(r, us);
	for (int g = 0; g < GROUPS; g++)
		most = us[g] > us[most] ? (enum group)g : most;
	w = longest(r, most);
	if (!w || ms_per_s(r, us[most]) < WORTH_ADVICE)
		return NULL;
	vst_text_open(&t);
	fputs("To do: ", t.out);
	switch (most) {
	case IO:
		advise_io(t.out, r, w);
		break;
	case JOURNAL:
		fputs("who shares a filesystem shares its journal: put one of them on another filesystem, or let them "
		      "call fsync less often",
		      t.out);
		break;
	case THROTTLING:
		fputs("a limit holds it back: raise that, or accept it", t.out);
		break;
	case SCHEDULER:
		fputs("more tasks are ready to run than there are processors: this is no matter of disks", t.out);
		break;
	default:
		advise_lock(t.out, r, w);
	}
	fputc('.', t.out);
	return vst_text_close(&t);
}
