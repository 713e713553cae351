// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protection by caps. All who may be capped on a disk share one limit (policy/cap.h finds it), because the protected one feels
 * their sum. A writer that starts later is held with the next pass: it gets a share of what is there already.
 *
 * A share changes only when the cap does, when somebody comes or goes, or after RESHARE_S: each write of io.max costs a
 * record in the journal, and makes the kernel begin a new slice for the cgroup.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/engine_protect.h"

#define ACTIVE_S 10.0	/* somebody who does little now counts for so long */
#define MUCH 0.05	/* of what all do who may be capped: then it counts without being blamed */
#define SMOOTH 0.4	/* the newest second's part in what somebody does: io.max lets writes through in bursts */
#define HUNGRY 0.7	/* who uses so much of its share would use more */
#define RESHARE_S 5.0	/* between two looks at who uses how much, while the cap stays */
#define SHARE_STEP 0.15 /* a share that would change by less is left as it is */

/* --- state --- */

static void capped_clear(struct vst_engine *e, struct capped *c, const char *why)
{
	for (int d = 0; d < VST_DIRECTION__N; d++) {
		vst_plan_say_end(c->knob[d], why);
		vst_plan_put(e->plan, c->knob[d]);
	}
	free(c->cgroup);
}

void vst_protect_drop_caps(struct vst_engine *e, struct protection *l, const char *why)
{
	for (size_t i = 0; i < l->n_capped; i++)
		capped_clear(e, &l->capped[i], why);
	free(l->capped);
	l->capped = NULL;
	l->n_capped = 0;
	l->shared = 0;
}

/* Forgets those who are gone, and makes a place for those who are new; s->bulk[].capped point into the list afterwards. */
static int follow_bulk(struct vst_engine *e, struct scene *s)
{
	struct protection *l = s->loop;
	struct capped *list = calloc(s->n_bulk + 1, sizeof(*list));
	int err = list ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < s->n_bulk; i++) {
		struct bulk *b = &s->bulk[i];

		if (b->capped) {
			b->capped->seen = true;
			list[i] = *b->capped;
			continue;
		}
		list[i].cgroup = strdup(b->cgroup);
		err = list[i].cgroup ? 0 : -ENOMEM;
	}
	if (err) {
		for (size_t i = 0; list && i < s->n_bulk; i++)
			if (!s->bulk[i].capped)
				free(list[i].cgroup);
		free(list);
		return err;
	}
	for (size_t i = 0; i < l->n_capped; i++)
		if (!l->capped[i].seen)
			capped_clear(e, &l->capped[i], "it does not use this disk any more, or may not be limited");
	free(l->capped);
	l->capped = list;
	l->n_capped = s->n_bulk;
	for (size_t i = 0; i < s->n_bulk; i++) {
		list[i].seen = false;
		s->bulk[i].capped = &list[i];
	}
	return 0;
}

static bool is_capped(const struct capped *c)
{
	return c->value[VST_READS] > 0 || c->value[VST_WRITES] > 0;
}

static double sum(const double value[VST_DIRECTION__N])
{
	return value[VST_READS] + value[VST_WRITES];
}

/* --- shares --- */

static void smooth(const struct vst_engine *e, struct scene *s)
{
	for (size_t i = 0; e->measured.seconds > 0 && i < s->n_bulk; i++) {
		struct bulk *b = &s->bulk[i];
		double *used = b->capped->used, part = sum(used) > 0 ? SMOOTH : 1;

		for (int d = 0; d < VST_DIRECTION__N; d++)
			used[d] += (b->bytes_s[d] - used[d]) * part;
	}
}

/* Who gets a part of the cap: whoever is blamed, or does much; and whoever did a moment ago. */
static size_t find_active(struct vst_engine *e, struct scene *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_bulk; i++) {
		struct bulk *b = &s->bulk[i];
		bool does = b->used >= VST_PROTECT_ACTIVE_BYTES_S && (b->blamed_us_s > 0 || b->used >= MUCH * s->used);

		/* what was not measured says nothing: who was held back still is */
		if (does || (e->measured.seconds <= 0 && is_capped(b->capped)))
			b->capped->active = e->clock;
		b->active =
			b->capped->active && e->clock - b->capped->active < ACTIVE_S && b->capped->active <= e->clock;
		n += b->active;
	}
	return n;
}

/* Would it use more than this? Nobody knows of one that is new. */
static bool wants_more_than(const struct bulk *b, double share)
{
	double used = sum(b->capped->used);

	return !is_capped(b->capped) || used >= HUNGRY * share || used >= HUNGRY * sum(b->capped->value);
}

/* Those who want less than an equal part keep room to grow, the others share what is left. */
static void share_out(struct scene *s, size_t n)
{
	double left = s->loop->cap.value, fair = left / (double)n;
	size_t hungry = 0;

	for (size_t i = 0; i < s->n_bulk; i++) {
		struct bulk *b = &s->bulk[i];

		if (!b->active)
			continue;
		b->share = 0;
		if (wants_more_than(b, fair)) {
			hungry++;
			continue;
		}
		b->share = fmin(sum(b->capped->used) * 1.5 + VST_LIMIT_BYTES_MIN, fair);
		left -= b->share;
	}
	for (size_t i = 0; i < s->n_bulk; i++) {
		struct bulk *b = &s->bulk[i];

		if (b->active && !hungry)
			b->share = fair; /* nobody is short of anything */
		else if (b->active && !b->share)
			b->share = left / (double)hungry;
	}
}

static bool somebody_is_new(const struct scene *s)
{
	for (size_t i = 0; i < s->n_bulk; i++)
		if (s->bulk[i].active != is_capped(s->bulk[i].capped))
			return true;
	return false;
}

/* Is it time to change shares? If not, those of the last time stay. */
static bool shares_are_due(struct vst_engine *e, struct scene *s)
{
	struct protection *l = s->loop;
	bool due = l->shared_value != l->cap.value || somebody_is_new(s) || e->clock - l->shared >= RESHARE_S ||
		   e->clock < l->shared;

	if (!due)
		return false;
	l->shared = e->clock;
	l->shared_value = l->cap.value;
	return true;
}

/* How much of a share goes to one direction. */
static double split(const struct bulk *b, int direction)
{
	const double *used = b->capped->used;
	double part = sum(used) > 0 ? used[direction] / sum(used) : direction == VST_WRITES;

	if (sum(used) <= 0 && is_capped(b->capped))
		part = b->capped->value[direction] / sum(b->capped->value);
	return part < 0.2 ? 0 : part > 0.8 ? 1 : part;
}

static void set_values(struct scene *s, bool cap_changed)
{
	for (size_t i = 0; i < s->n_bulk; i++) {
		const struct bulk *b = &s->bulk[i];

		for (int d = 0; d < VST_DIRECTION__N; d++) {
			double share = b->active ? b->share * split(b, d) : 0, *value = &b->capped->value[d];

			if (share > 0)
				share = fmax(share, VST_LIMIT_BYTES_MIN);
			if (share <= 0 || !*value || cap_changed || fabs(share - *value) > SHARE_STEP * *value)
				*value = share;
		}
	}
}

/* --- what is written --- */

static void explain_cap(const struct scene *s, const struct bulk *b, char why[VST_WHY_MAX])
{
	char latency[24] = "not measured", objective[24], blamed[48] = "";
	const struct victim *v = s->worst;

	if (!v) {
		snprintf(why, VST_WHY_MAX, "%.60s is limited on %.20s for one that is protected and idle now", b->name,
			 s->disk->name);
		return;
	}
	vst_quantity_text(round(v->latency_us), VST_UNIT_US, latency, sizeof(latency));
	vst_quantity_text((double)v->rule->protect_us[v->objective], VST_UNIT_US, objective, sizeof(objective));
	if (b->blamed_us_s > 0)
		snprintf(blamed, sizeof(blamed), ", blamed for %.0f ms/s", b->blamed_us_s / 1e3);
	snprintf(why, VST_WHY_MAX, "%.60s: %s %s of %s; %.50s does %.1f MB/s on %.20s%.40s",
		 vst_engine_display(v->c->value), vst_objective_name(v->objective), latency, objective, b->name,
		 b->used / 1e6, s->disk->name, blamed);
}

static struct vst_plan_knob *knob_of(struct vst_engine *e, const struct scene *s, const struct bulk *b, int d)
{
	static const enum vst_max_part parts[] = { [VST_READS] = VST_LIMIT_READ, [VST_WRITES] = VST_LIMIT_WRITE };
	struct vst_snap_container parent;

	if (!b->parent)
		return vst_engine_max_knob(e, b->container, s->disk, parts[d]);
	parent = *b->container;
	parent.cgroup = (char *)b->cgroup;
	parent.cgroup_ino = 0; /* not known */
	return vst_engine_max_knob(e, &parent, s->disk, parts[d]);
}

static int want_cap(struct vst_engine *e, const struct scene *s, struct bulk *b, int d)
{
	struct vst_plan_knob **knob = &b->capped->knob[d];
	char why[VST_WHY_MAX], text[32];
	struct vst_want want = { text, b->rule->name, why, NULL, RANK_CAP, true };

	if (b->capped->value[d] <= 0) {
		vst_plan_say_end(*knob, "it does little in this direction now, so it is not limited");
		return 0;
	}
	if (!*knob)
		*knob = knob_of(e, s, b, d);
	if (!*knob)
		return -ENOMEM;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)b->capped->value[d] / 4096 * 4096);
	/* the sentence of the step that set the value: what is measured later is its effect */
	if ((*knob)->wanted && (*knob)->value && !strcmp((*knob)->value, text))
		snprintf(why, sizeof(why), "%s", (*knob)->why);
	else
		explain_cap(s, b, why);
	return vst_plan_want(e->plan, *knob, &want, e->clock);
}

int vst_protect_apply_caps(struct vst_engine *e, struct scene *s)
{
	bool cap_changed = s->loop->shared_value != s->loop->cap.value;
	int err = follow_bulk(e, s);
	size_t n;

	if (err)
		return err;
	smooth(e, s);
	n = find_active(e, s);
	if (shares_are_due(e, s)) {
		if (n)
			share_out(s, n);
		set_values(s, cap_changed);
	}
	for (size_t i = 0; i < s->n_bulk; i++)
		for (int d = 0; d < VST_DIRECTION__N; d++)
			err = want_cap(e, s, &s->bulk[i], d) ?: err;
	return err;
}

void vst_protect_adopt_caps(struct vst_engine *e, struct scene *s)
{
	double all = 0;

	if (follow_bulk(e, s))
		return;
	for (size_t i = 0; i < s->n_bulk; i++) {
		struct bulk *b = &s->bulk[i];

		for (int d = 0; d < VST_DIRECTION__N; d++) {
			struct vst_plan_knob *k = knob_of(e, s, b, d);

			if (k && k->state == VST_KNOB_APPLIED && k->written && atof(k->written) > 0) {
				b->capped->value[d] = atof(k->written);
				b->capped->active = e->clock;
				all += b->capped->value[d];
			}
			vst_plan_put(e->plan, k);
		}
	}
	if (all <= 0)
		return;
	s->loop->cap = (struct vst_cap){
		.on = true, .value = all, .stepped = e->clock, .judged = true, .last = all, .now = e->clock
	};
	s->loop->shared = e->clock;
	s->loop->shared_value = all;
}
