// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protection: on each disk, the latencies of those who are protected against their objectives, and what is done about it.
 *
 * All who may be capped on a disk share one limit (policy/cap.h finds it), because the protected one feels their sum. So a
 * writer that starts later is held with the next pass: it gets a share of what is there already.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/engine_priv.h"

#define ACTIVE_BYTES_S (64 * 1024.0) /* a container that does less is left alone ... */
#define ACTIVE_S 10.0		     /* ... after so long */
#define MUCH 0.05		     /* of what all do who may be capped: then it counts without being blamed */
#define CAP_STEP 0.05		     /* a cap that would change by less is left as it is */
#define WEIGHTS_SETTLE_S 3.0
#define WEIGHTS_RETRY_S 300.0
#define WEIGHTS_IDLE_S 30.0
#define PROTECTED_WEIGHT "1000"
#define OTHERS_WEIGHT "10"

/* Who is protected on a disk. */
struct victim {
	struct econtainer *c;
	const struct vst_rule *rule;
	enum vst_objective objective;
	double ratio, latency_us; /* ratio negative: nothing was measured */
};

/* Who may be capped there. */
struct bulk {
	struct econtainer *c;
	struct capped *capped;
	const struct vst_rule *rule;
	double bytes_s[VST_DIRECTION__N], used;
	double blamed_us_s; /* by those who are protected */
	double share;	    /* its cap, of both directions together */
	bool active;
};

/* A disk in this pass. */
struct scene {
	const struct edisk *disk;
	struct protection *loop;
	struct victim *victim;
	size_t n_victims;
	struct bulk *bulk;
	size_t n_bulk;
	const struct victim *worst; /* NULL: nobody is measured */
	double used, latency_us;
	bool journal; /* somebody waited for a journal because of those who may be capped */
	bool fsync;   /* the worst objective is one of fsync */
	enum vst_cap_result result;
};

/* --- state --- */

static void drop_weights(struct vst_engine *e, struct protection *l)
{
	for (size_t i = 0; i < l->n_knobs; i++)
		vst_plan_put(e->plan, l->knob[i]);
	l->n_knobs = 0;
}

void vst_engine_drop_loops(struct vst_engine *e)
{
	for (size_t i = 0; i < e->n_loops; i++) {
		drop_weights(e, &e->loop[i]);
		free(e->loop[i].knob);
	}
	free(e->loop);
	e->loop = NULL;
	e->n_loops = 0;
}

void vst_engine_drop_caps(struct vst_engine *e, struct econtainer *c)
{
	for (size_t i = 0; i < c->n_capped; i++)
		for (int d = 0; d < VST_DIRECTION__N; d++)
			vst_plan_put(e->plan, c->capped[i].knob[d]);
	c->n_capped = 0;
}

static struct protection *loop_of(struct vst_engine *e, __u32 dev)
{
	struct protection *list;

	for (size_t i = 0; i < e->n_loops; i++)
		if (e->loop[i].dev == dev)
			return &e->loop[i];
	list = realloc(e->loop, (e->n_loops + 1) * sizeof(*list));
	if (!list)
		return NULL;
	e->loop = list;
	list[e->n_loops] = (struct protection){ .dev = dev };
	return &list[e->n_loops++];
}

static struct capped *capped_of(struct econtainer *c, __u32 dev)
{
	struct capped *list;

	for (size_t i = 0; i < c->n_capped; i++)
		if (c->capped[i].dev == dev)
			return &c->capped[i];
	list = realloc(c->capped, (c->n_capped + 1) * sizeof(*list));
	if (!list)
		return NULL;
	c->capped = list;
	list[c->n_capped] = (struct capped){ .dev = dev };
	return &list[c->n_capped++];
}

/* --- who suffers --- */

/* Is "vda1" or "vda" on disk "vda"; "nvme0n1p2" on "nvme0n1"? */
static bool is_on(const char *part, const char *disk)
{
	size_t len = strlen(disk);

	if (strncmp(part, disk, len) != 0)
		return false;
	part += len;
	part += *part == 'p';
	return part[strspn(part, "0123456789")] == 0;
}

/* Did a container's fsync wait for this disk? Where the disk of its file system is not known, every disk that it uses counts. */
static bool fsync_is_on(const struct vst_engine *e, const struct vst_measured_container *m, const struct edisk *disk)
{
	if (m->fsync_dev == disk->dev)
		return true;
	for (size_t i = 0; i < e->n_disks; i++)
		if (!e->disk[i].stacked && *m->fsync_name && is_on(m->fsync_name, e->disk[i].name))
			return &e->disk[i] == disk;
	return vst_measured_io_of(m, disk->dev);
}

static double latency_of(const struct vst_engine *e, const struct vst_measured_container *m, const struct edisk *disk,
			 enum vst_objective objective)
{
	const struct vst_measured_io *io = vst_measured_io_of(m, disk->dev);

	switch (objective) {
	case VST_OBJECTIVE_P99_READ:
		return io ? io->p99_us[VST_READS] : NAN;
	case VST_OBJECTIVE_P99_WRITE:
		return io ? io->p99_us[VST_WRITES] : NAN;
	default:
		return fsync_is_on(e, m, disk) ? m->value[VST_METRIC_P99_FSYNC] : NAN;
	}
}

static void judge_victim(const struct vst_engine *e, struct victim *v, const struct edisk *disk)
{
	const struct vst_measured_container *m = vst_engine_measured_of(e, v->c);

	v->ratio = -1;
	v->latency_us = NAN;
	for (unsigned int o = 0; m && o < VST_OBJECTIVE__N; o++) {
		double us = v->rule->protect_us[o] ? latency_of(e, m, disk, o) : NAN;
		double ratio = us / (double)v->rule->protect_us[o];

		if (v->ratio < 0 && v->rule->protect_us[o])
			v->objective = o;
		if (isnan(us) || ratio <= v->ratio)
			continue;
		v->ratio = ratio;
		v->latency_us = us;
		v->objective = o;
	}
}

/* --- who may be held back --- */

static void judge_bulk(const struct vst_engine *e, struct bulk *b, __u32 dev)
{
	const struct vst_measured_container *m = vst_engine_measured_of(e, b->c);
	const struct vst_measured_io *io = m ? vst_measured_io_of(m, dev) : NULL;

	for (int d = 0; io && d < VST_DIRECTION__N; d++)
		b->bytes_s[d] = io->bytes_s[d];
	b->used = b->bytes_s[VST_READS] + b->bytes_s[VST_WRITES];
}

/* Who made the protected ones wait, and for what. */
static void judge_blame(const struct vst_engine *e, struct scene *s)
{
	for (size_t v = 0; v < s->n_victims; v++) {
		const struct vst_measured_container *m = vst_engine_measured_of(e, s->victim[v].c);

		for (size_t i = 0; m && i < m->n_blame; i++)
			for (size_t b = 0; b < s->n_bulk; b++) {
				if (m->blame[i].holder != s->bulk[b].c->index)
					continue;
				s->bulk[b].blamed_us_s += m->blame[i].us_s;
				s->journal = s->journal || m->blame[i].type == VST_WAIT_JOURNAL;
			}
	}
}

static int find_people(struct vst_engine *e, struct scene *s)
{
	size_t n = HASH_COUNT(e->containers);

	s->victim = calloc(n + 1, sizeof(*s->victim));
	s->bulk = calloc(n + 1, sizeof(*s->bulk));
	if (!s->victim || !s->bulk)
		return -ENOMEM;
	for (struct econtainer *c = e->containers; c; c = c->hh.next) {
		const struct vst_rule *protect = c->has_protect ? vst_engine_protection(c, s->disk->dev) : NULL;
		const struct vst_rule *max = c->has_allowed ? vst_engine_winner(c, s->disk->dev, VST_ATTR_MAX) : NULL;

		if (protect) { /* who is protected is not capped, whatever another rule allows */
			struct victim *v = &s->victim[s->n_victims++];

			*v = (struct victim){ .c = c, .rule = protect };
			judge_victim(e, v, s->disk);
			if (v->ratio >= 0 && (!s->worst || v->ratio > s->worst->ratio))
				s->worst = v;
		} else if (max && max->max.allowed) {
			struct bulk *b = &s->bulk[s->n_bulk++];

			*b = (struct bulk){ .c = c, .rule = max };
			judge_bulk(e, b, s->disk->dev);
			s->used += b->used;
		}
	}
	judge_blame(e, s);
	s->fsync = s->worst && s->worst->objective == VST_OBJECTIVE_P99_FSYNC;
	return 0;
}

/* --- weights --- */

struct weights {
	struct vst_engine *e;
	struct protection *loop;
	const struct vst_rule *rule;
	const char *attr, *key, *value, *why;
};

static int want_weight(void *arg, const char *target, bool is_scope)
{
	struct weights *w = arg;
	struct vst_plan_knob **list = realloc(w->loop->knob, (w->loop->n_knobs + 1) * sizeof(*list));
	struct vst_want want = { w->value, w->rule->name, w->why, NULL, RANK_WEIGHTS, true };
	struct vst_plan_knob *k;

	if (!list)
		return -ENOMEM;
	w->loop->knob = list;
	k = vst_plan_get(w->e->plan, VST_ACTUATOR_CGROUP_IO, target, 0, w->attr, w->key);
	if (!k)
		return -ENOMEM;
	list[w->loop->n_knobs++] = k;
	return vst_plan_want(w->e->plan, k, &want, w->e->clock);
}

/* NULL: this disk has no controller that weights have an effect on. bfq's do not protect fsync (measured: 1132 ms). */
static const char *weight_attr(const struct vst_engine *e, const struct scene *s)
{
	const struct vst_host_disk *host = s->disk->host;

	if (!host)
		return NULL;
	if (e->host->v2 && !*host->no_iocost)
		return "io.weight";
	if (s->fsync || *host->no_bfq)
		return NULL;
	return e->host->v2 ? "io.bfq.weight" : "blkio.bfq.weight_device";
}

/* Do weights decide now? Otherwise caps may. */
static bool follow_weights(struct vst_engine *e, struct scene *s)
{
	struct protection *l = s->loop;
	double ratio = s->worst ? s->worst->ratio : -1;

	if (!weight_attr(e, s) || !s->n_bulk || l->cap.on || e->clock < l->weights_failed_until)
		return l->weights = false;
	if (!l->weights) {
		if (ratio <= 1 || s->used < VST_CAP_FLOOR / 4)
			return false;
		*l = (struct protection){ .dev = l->dev,
					  .cap = l->cap,
					  .weights = true,
					  .weights_since = e->clock,
					  .seen = true,
					  .knob = l->knob };
		return true;
	}
	if (ratio >= 0)
		l->weights_idle = 0;
	else if (!l->weights_idle)
		l->weights_idle = e->clock;
	if (l->weights_idle && e->clock - l->weights_idle > WEIGHTS_IDLE_S)
		return l->weights = false;
	if (ratio <= 1)
		l->weights_missed = 0;
	else if (!l->weights_missed)
		l->weights_missed = e->clock;
	if (ratio <= 1 || e->clock - l->weights_since < WEIGHTS_SETTLE_S || e->clock == l->weights_missed)
		return true;
	l->weights_failed_until = e->clock + WEIGHTS_RETRY_S;
	return l->weights = false;
}

static int apply_weights(struct vst_engine *e, struct scene *s)
{
	char why[VST_WHY_MAX], key[VST_KEY_MAX];
	struct weights w = { .e = e, .loop = s->loop, .key = key, .why = why, .attr = weight_attr(e, s) };
	int err = 0;

	snprintf(key, sizeof(key), "%s", s->disk->host->key);
	for (size_t i = 0; !err && i < s->n_victims; i++) {
		w.rule = s->victim[i].rule;
		w.value = PROTECTED_WEIGHT;
		snprintf(why, sizeof(why), "%.80s is protected on %.20s: weights are tried before caps",
			 vst_engine_display(s->victim[i].c->value), s->disk->name);
		err = vst_engine_weight_targets(w.rule, s->victim[i].c->value, want_weight, &w);
	}
	for (size_t i = 0; !err && i < s->n_bulk; i++) {
		if (s->bulk[i].used < ACTIVE_BYTES_S && !s->bulk[i].blamed_us_s)
			continue;
		w.rule = s->bulk[i].rule;
		w.value = OTHERS_WEIGHT;
		snprintf(why, sizeof(why),
			 "%.80s uses %.20s beside one that is protected: weights are tried before caps",
			 vst_engine_display(s->bulk[i].c->value), s->disk->name);
		err = vst_engine_weight_targets(w.rule, s->bulk[i].c->value, want_weight, &w);
	}
	return err;
}

/* --- caps --- */

/* Who gets a part of the cap: whoever is blamed, or does much; and whoever did a moment ago. */
static size_t find_active(struct vst_engine *e, struct scene *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_bulk; i++) {
		struct bulk *b = &s->bulk[i];
		bool does = b->used >= ACTIVE_BYTES_S && (b->blamed_us_s > 0 || b->used >= MUCH * s->used);

		b->capped = capped_of(b->c, s->disk->dev);
		if (!b->capped)
			continue;
		/* what was not measured says nothing: who was held back still is */
		if (e->measured.seconds <= 0 && (b->capped->value[VST_READS] > 0 || b->capped->value[VST_WRITES] > 0))
			does = true;
		if (does)
			b->capped->active = e->clock;
		b->active =
			b->capped->active && e->clock - b->capped->active < ACTIVE_S && b->capped->active <= e->clock;
		n += b->active;
	}
	return n;
}

/* Shares the cap out: those who want less than an equal part keep room to grow, the others share what is left. */
static void share_out(struct scene *s, size_t n)
{
	double fair = s->loop->cap.value / (double)n, left = s->loop->cap.value;
	size_t hungry = 0;

	for (size_t i = 0; i < s->n_bulk; i++) {
		struct bulk *b = &s->bulk[i];

		if (!b->active)
			continue;
		b->share = fair;
		if (b->used < 0.6 * fair)
			left -= fmin(b->used * 1.3, fair);
		else
			hungry++;
	}
	for (size_t i = 0; i < s->n_bulk; i++)
		if (s->bulk[i].active && s->bulk[i].used >= 0.6 * fair)
			s->bulk[i].share = left / (double)hungry;
}

static double split(const struct bulk *b, int direction)
{
	double part = b->used > 0 ? b->bytes_s[direction] / b->used : direction == VST_WRITES;

	if (b->used <= 0 && (b->capped->value[VST_READS] > 0 || b->capped->value[VST_WRITES] > 0))
		part = b->capped->value[direction] / (b->capped->value[VST_READS] + b->capped->value[VST_WRITES]);

	return part < 0.2 ? 0 : part > 0.8 ? 1 : part;
}

static void explain_cap(const struct scene *s, const struct bulk *b, char why[VST_WHY_MAX])
{
	char latency[24] = "not measured", objective[24], blamed[48] = "";
	const struct victim *v = s->worst;

	if (!v) {
		snprintf(why, VST_WHY_MAX, "%.60s is limited on %.20s for one that is protected and idle now",
			 vst_engine_display(b->c->value), s->disk->name);
		return;
	}
	vst_quantity_text(round(v->latency_us), VST_UNIT_US, latency, sizeof(latency));
	vst_quantity_text((double)v->rule->protect_us[v->objective], VST_UNIT_US, objective, sizeof(objective));
	if (b->blamed_us_s > 0)
		snprintf(blamed, sizeof(blamed), ", blamed for %.0f ms/s", b->blamed_us_s / 1e3);
	snprintf(why, VST_WHY_MAX, "%.60s: %s %s of %s; %.50s does %.1f MB/s on %.20s%.40s",
		 vst_engine_display(v->c->value), vst_objective_name(v->objective), latency, objective,
		 vst_engine_display(b->c->value), b->used / 1e6, s->disk->name, blamed);
}

static int want_cap(struct vst_engine *e, struct scene *s, struct bulk *b, int d)
{
	static const enum vst_max_part parts[] = { [VST_READS] = VST_LIMIT_READ, [VST_WRITES] = VST_LIMIT_WRITE };
	double share = b->share * split(b, d), *value = &b->capped->value[d];
	char why[VST_WHY_MAX], text[32];
	struct vst_want want = { text, b->rule->name, why, NULL, RANK_CAP, true };
	struct vst_plan_knob **knob = &b->capped->knob[d];

	if (share <= 0) {
		*value = 0;
		return 0;
	}
	share = fmax(share, VST_LIMIT_BYTES_MIN);
	if (!*value || fabs(share - *value) > CAP_STEP * *value)
		*value = share;
	if (!*knob)
		*knob = vst_engine_max_knob(e, b->c->value, s->disk, parts[d]);
	if (!*knob)
		return -ENOMEM;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)*value / 4096 * 4096);
	/* the sentence of the step that set the value: what is measured later is its effect */
	if ((*knob)->wanted && (*knob)->value && !strcmp((*knob)->value, text))
		snprintf(why, sizeof(why), "%s", (*knob)->why);
	else
		explain_cap(s, b, why);
	return vst_plan_want(e->plan, *knob, &want, e->clock);
}

static int apply_caps(struct vst_engine *e, struct scene *s)
{
	size_t n = find_active(e, s);
	int err = 0;

	if (n)
		share_out(s, n);
	for (size_t i = 0; i < s->n_bulk; i++) {
		struct bulk *b = &s->bulk[i];

		for (int d = 0; b->active && d < VST_DIRECTION__N; d++)
			err = want_cap(e, s, b, d) ?: err;
	}
	return err;
}

static void forget_caps(struct vst_engine *e, struct scene *s)
{
	for (size_t i = 0; i < s->n_bulk; i++) {
		struct econtainer *c = s->bulk[i].c;

		for (size_t k = 0; k < c->n_capped; k++)
			if (c->capped[k].dev == s->disk->dev)
				memset(c->capped[k].value, 0, sizeof(c->capped[k].value));
	}
}

/* The caps of a predecessor's engine, which the actor kept, are where the search goes on. */
static void adopt_caps(struct vst_engine *e, struct scene *s)
{
	static const enum vst_max_part parts[] = { [VST_READS] = VST_LIMIT_READ, [VST_WRITES] = VST_LIMIT_WRITE };
	struct vst_cap *cap = &s->loop->cap;
	double sum = 0;

	for (size_t i = 0; i < s->n_bulk; i++) {
		struct capped *capped = capped_of(s->bulk[i].c, s->disk->dev);

		for (int d = 0; capped && d < VST_DIRECTION__N; d++) {
			struct vst_plan_knob *k = vst_engine_max_knob(e, s->bulk[i].c->value, s->disk, parts[d]);

			if (k && k->state == VST_KNOB_APPLIED && k->written && atof(k->written) > 0) {
				capped->value[d] = atof(k->written);
				capped->active = e->clock;
				sum += capped->value[d];
			}
			vst_plan_put(e->plan, k);
		}
	}
	if (sum > 0)
		*cap = (struct vst_cap){
			.on = true, .value = sum, .stepped = e->clock, .judged = true, .last = sum, .now = e->clock
		};
}

/* --- one who may not be capped --- */

/* The one who is blamed most and whom no rule allows to cap: people have to know that this is why nothing happens. */
static int tell_culprit(struct vst_engine *e, struct scene *s)
{
	const struct vst_measured_container *m = vst_engine_measured_of(e, s->worst->c), *holder;
	char why[VST_WHY_MAX], refusal[VST_TEXT_MAX];
	struct vst_want want = { "", s->worst->rule->name, why, refusal, RANK_WEIGHTS, true };
	struct vst_plan_knob *k;
	int err;

	if (!m || !m->n_blame || m->blame[0].us_s < 1e4)
		return 0;
	holder = &e->measured.container[m->blame[0].holder];
	if (holder->container->own || !*holder->container->cgroup)
		return 0;
	snprintf(why, sizeof(why), "%.90s waits %.0f ms/s because of %.90s", vst_engine_display(s->worst->c->value),
		 m->blame[0].us_s / 1e3, vst_engine_display(holder->container));
	snprintf(refusal, sizeof(refusal),
		 "no rule allows protection to cap %.150s: add a rule that matches it and says `max: allowed`",
		 vst_engine_display(holder->container));
	k = vst_engine_max_knob(e, holder->container, s->disk, VST_LIMIT_WRITE);
	if (!k)
		return -ENOMEM;
	err = vst_plan_want(e->plan, k, &want, e->clock);
	vst_plan_put(e->plan, k);
	return err;
}

/* --- a disk --- */

static const char *text_of(const struct vst_engine *e, const struct scene *s)
{
	if (s->loop->weights)
		return "weights protect it";
	if (s->result == VST_CAP_ALONE && s->fsync && s->disk->host && !*s->disk->host->no_bfq)
		return "the objective is missed; bfq's weights do not protect fsync, and nobody who may be capped uses "
		       "the "
		       "disk";
	if (s->journal && s->loop->cap.on)
		return "they share a journal with it, where a cap may do harm: each step is watched";
	return vst_cap_result_text(s->result);
}

static int list_protected(struct vst_engine *e, const struct scene *s)
{
	for (size_t i = 0; i < s->n_victims; i++) {
		const struct victim *v = &s->victim[i];

		if (e->n_protected == e->cap_protected) {
			size_t cap = e->cap_protected * 2 + 16;
			struct vst_engine_protected *list = realloc(e->protected, cap * sizeof(*list));

			if (!list)
				return -ENOMEM;
			e->protected = list;
			e->cap_protected = cap;
		}
		e->protected[e->n_protected++] = (struct vst_engine_protected){
			.container = v->c->id,
			.dev = s->disk->dev,
			.rule = v->rule,
			.objective = v->objective,
			.latency_us = v->latency_us,
			.objective_us = (double)v->rule->protect_us[v->objective],
			.cap = s->loop->cap.on ? s->loop->cap.value : 0,
			.weights = s->loop->weights,
			.text = text_of(e, s),
		};
	}
	return 0;
}

static int act(struct vst_engine *e, struct scene *s)
{
	struct vst_cap_sample sample = { .now = e->clock, .ratio = -1, .used = s->used, .watched = s->journal };
	int err = 0;

	if (s->worst) {
		sample.ratio = s->worst->ratio;
		sample.latency = s->worst->latency_us / 1e6;
	}
	if (follow_weights(e, s)) {
		err = apply_weights(e, s);
	} else {
		/* without a measurement (the first pass, a gap) nothing is decided, and what is set stays */
		s->result = e->measured.seconds > 0 ? vst_cap_next(&s->loop->cap, &sample) : VST_CAP_WAIT;
		if (s->loop->cap.on)
			err = apply_caps(e, s);
		else
			forget_caps(e, s);
		if (s->result == VST_CAP_ALONE)
			err = tell_culprit(e, s) ?: err;
	}
	return list_protected(e, s) ?: err;
}

static int protect_disk(struct vst_engine *e, const struct edisk *disk)
{
	struct scene s = { .disk = disk, .loop = loop_of(e, disk->dev) };
	int err = s.loop ? find_people(e, &s) : -ENOMEM;

	if (!err) {
		s.loop->seen = true;
		drop_weights(e, s.loop);
		if (s.n_victims && e->adopt)
			adopt_caps(e, &s);
		if (s.n_victims)
			err = act(e, &s);
		else
			s.loop->cap = (struct vst_cap){ 0 };
	}
	free(s.victim);
	free(s.bulk);
	return err;
}

int vst_engine_protect(struct vst_engine *e)
{
	bool any = false;
	int err = 0;

	e->n_protected = 0;
	for (struct econtainer *c = e->containers; c; c = c->hh.next)
		any = any || c->has_protect;
	if (!any) {
		vst_engine_drop_loops(e);
		return 0;
	}
	for (size_t i = 0; i < e->n_disks; i++)
		if (!e->disk[i].stacked && e->disk[i].host && !*e->disk[i].host->not_leaf)
			err = protect_disk(e, &e->disk[i]) ?: err;
	return err;
}
