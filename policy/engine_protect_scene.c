// SPDX-License-Identifier: GPL-2.0-only
/* Protection: who suffers on a disk, who may be held back there, and who is blamed. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy/engine_protect.h"

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

/* Did a container's fsync wait for this disk? If the disk of its file system is not known, every disk that it uses counts. */
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

static void add_victim(struct vst_engine *e, struct scene *s, struct econtainer *c, const struct vst_rule *rule)
{
	struct victim *v = &s->victim[s->n_victims++];

	*v = (struct victim){ .c = c, .rule = rule };
	judge_victim(e, v, s->disk);
	if (v->ratio >= 0 && (!s->worst || v->ratio > s->worst->ratio))
		s->worst = v;
}

/* --- who may be held back --- */

/* The rule that allows to cap a container; NULL: none does. Who is protected is not capped, whatever another rule allows. */
static const struct vst_rule *allowed(const struct econtainer *c, __u32 dev)
{
	const struct vst_rule *max = c->has_allowed ? vst_engine_winner(c, dev, VST_ATTR_MAX) : NULL;

	return max && max->max.allowed && !(c->has_protect && vst_engine_protection(c, dev)) ? max : NULL;
}

/* May everybody in this cgroup be capped, by the same rule? Otherwise a limit on it would hold back others, too. */
static bool is_whole(const struct vst_engine *e, const char *cgroup, const struct vst_rule *rule, __u32 dev)
{
	size_t len = strlen(cgroup);

	for (const struct econtainer *c = e->containers; c; c = c->hh.next)
		if (!strncmp(c->value->cgroup, cgroup, len) &&
		    (!c->value->cgroup[len] || c->value->cgroup[len] == '/') && allowed(c, dev) != rule)
			return false;
	return true;
}

struct parents {
	const char *last; /* as the rule names it; NULL: none yet */
	bool whole;
	bool any;
};

/*
 * The cgroup whose limit holds this container back. On cgroup v1 blkio.throttle of a parent does not limit its children
 * (Documentation/admin-guide/cgroup-v1/blkio-controller.rst), so there it is always the container's own.
 */
static const char *cgroup_to_cap(struct vst_engine *e, struct parents *p, const struct econtainer *c,
				 const struct vst_rule *rule, __u32 dev)
{
	const char *named = e->host->v2 ? vst_engine_named_above(rule, c->value->cgroup) : NULL;

	if (!named)
		return c->value->cgroup;
	if (named != p->last) {
		p->last = named;
		p->whole = is_whole(e, named, rule, dev);
	}
	return p->whole ? named : c->value->cgroup;
}

/*
 * The entry of a cgroup. One that a rule names may be in the list for itself, too: it counted as a container before
 * containers in it were known.
 */
static struct bulk *bulk_at(struct scene *s, struct parents *p, const char *cgroup, bool parent)
{
	struct bulk *b;

	p->any = p->any || parent;
	for (size_t i = 0; p->any && i < s->n_bulk; i++)
		if ((parent || s->bulk[i].parent) && !strcmp(s->bulk[i].cgroup, cgroup)) {
			s->bulk[i].parent = true;
			return &s->bulk[i];
		}
	b = &s->bulk[s->n_bulk++];
	*b = (struct bulk){ .cgroup = cgroup, .parent = parent };
	return b;
}

static void add_bulk(struct vst_engine *e, struct scene *s, struct parents *p, const struct econtainer *c,
		     const struct vst_rule *rule)
{
	const struct vst_measured_container *m = vst_engine_measured_of(e, c);
	const struct vst_measured_io *io = m ? vst_measured_io_of(m, s->disk->dev) : NULL;
	const char *cgroup = cgroup_to_cap(e, p, c, rule, s->disk->dev);
	struct bulk *b = bulk_at(s, p, cgroup, cgroup != c->value->cgroup);

	b->container = c->value;
	b->name = b->parent ? cgroup : vst_engine_display(c->value);
	b->rule = rule;
	b->n_containers++;
	for (int d = 0; io && d < VST_DIRECTION__N; d++) {
		b->bytes_s[d] += io->bytes_s[d];
		b->used += io->bytes_s[d];
		s->used += io->bytes_s[d];
	}
	if (c->index < e->measured.n_containers)
		s->bulk_of[c->index] = (int)(b - s->bulk);
}

/* Who made the protected ones wait, and for what. */
static void judge_blame(const struct vst_engine *e, struct scene *s)
{
	for (size_t v = 0; v < s->n_victims; v++) {
		const struct vst_measured_container *m = vst_engine_measured_of(e, s->victim[v].c);

		for (size_t i = 0; m && i < m->n_blame; i++) {
			int b = s->bulk_of[m->blame[i].holder];

			if (b < 0)
				continue;
			s->bulk[b].blamed_us_s += m->blame[i].us_s;
			s->journal = s->journal || m->blame[i].type == VST_WAIT_JOURNAL;
		}
	}
}

static void find_capped(struct scene *s)
{
	struct protection *l = s->loop;

	for (size_t i = 0; i < s->n_bulk; i++)
		for (size_t k = 0; k < l->n_capped; k++)
			if (!strcmp(l->capped[k].cgroup, s->bulk[i].cgroup))
				s->bulk[i].capped = &l->capped[k];
}

int vst_scene_init(struct vst_engine *e, struct scene *s)
{
	size_t n = HASH_COUNT(e->containers);
	struct parents parents = { 0 };

	s->victim = calloc(n + 1, sizeof(*s->victim));
	s->bulk = calloc(n + 1, sizeof(*s->bulk));
	s->bulk_of = calloc(e->measured.n_containers + 1, sizeof(*s->bulk_of));
	if (!s->victim || !s->bulk || !s->bulk_of)
		return -ENOMEM;
	for (__u32 i = 0; i < e->measured.n_containers; i++)
		s->bulk_of[i] = -1;
	for (struct econtainer *c = e->containers; c; c = c->hh.next) {
		const struct vst_rule *protect = c->has_protect ? vst_engine_protection(c, s->disk->dev) : NULL;
		const struct vst_rule *max = protect ? NULL : allowed(c, s->disk->dev);

		if (protect)
			add_victim(e, s, c, protect);
		else if (max)
			add_bulk(e, s, &parents, c, max);
	}
	judge_blame(e, s);
	find_capped(s);
	s->fsync = s->worst && s->worst->objective == VST_OBJECTIVE_P99_FSYNC;
	return 0;
}

void vst_scene_clear(struct scene *s)
{
	free(s->victim);
	free(s->bulk);
	free(s->bulk_of);
}
