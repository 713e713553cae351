// SPDX-License-Identifier: GPL-2.0-only
/* Containers: what they are called, and how that is found out. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/snapshot.h"
#include "agent/who/labels.h"
#include "agent/who/limits.h"
#include "agent/who/owners_priv.h"

#define ASK_FIRST 0.05	   /* seconds until a name that was not to be had is asked for again; doubled each time ... */
#define ASK_LAST 60.0	   /* ... up to this, then never again */
#define ASK_AT_ONCE 1024   /* in one tick; the others wait for the next */
#define CHECK_EVERY 10.0   /* seconds between two looks whether a name has changed (docker rename, podman rename) */
#define LIMITS_EVERY 5.0   /* seconds between two readings of a container's limits, at least ... */
#define LIMITS_RATE 10	   /* ... and on average so many readings a second: 5 files for each cgroup on its path */
#define LIMITS_ACTIVE 10.0 /* ... that did I/O or waited in the last seconds */
#define LIMITS_KEEP 60.0 /* seconds without I/O after which they are forgotten: nobody looks whether they still hold */

static char none[] = ""; /* what most fields of most containers are */

static void field_free(const struct vst_container *c, char *field)
{
	if (field != none && !vst_block_has(c->texts, field))
		free(field);
}

static void labels_free(struct vst_container *c)
{
	if (!vst_block_has(c->texts, c->labels))
		vst_labels_free(c->labels, c->n_labels);
	c->labels = NULL;
	c->n_labels = 0;
}

static void limits_free(struct vst_container *c)
{
	if (!vst_block_has(c->texts, c->limits))
		vst_limits_free(c->limits, c->n_limits);
	c->limits = NULL;
	c->n_limits = 0;
}

static void texts_free(struct vst_container *c)
{
	field_free(c, c->cgroup);
	field_free(c, c->display);
	field_free(c, c->ns);
	field_free(c, c->pod);
	field_free(c, c->name);
	field_free(c, c->image);
	field_free(c, c->id);
	field_free(c, c->runtime);
	labels_free(c);
	limits_free(c);
	vst_block_unref(c->texts);
}

void vst_container_free(struct vst_container *c)
{
	texts_free(c);
	free(c->file);
	free(c);
}

void vst_container_share_texts(struct vst_container *c, const struct vst_snap_container *value)
{
	struct vst_block *block = vst_value_block(value);

	if (!block || block == c->texts)
		return;
	texts_free(c);
	c->texts = vst_block_ref(block);
	c->cgroup = value->cgroup;
	c->display = value->display;
	c->ns = value->ns;
	c->pod = value->pod;
	c->name = value->name;
	c->image = value->image;
	c->id = value->cid;
	c->runtime = value->runtime;
	c->n_labels = value->n_labels;
	c->labels = value->n_labels ? value->labels : NULL;
	c->n_limits = value->n_limits;
	c->limits = value->n_limits ? value->limits : NULL;
	if (c->hh.tbl)
		c->hh.key = c->cgroup;
}

/* True: it has another value now. */
static bool set(const struct vst_container *c, char **field, const char *value)
{
	char *copy;

	if (!strcmp(*field, value))
		return false;
	copy = *value ? strdup(value) : none;
	if (!copy)
		return false;
	field_free(c, *field);
	*field = copy;
	return true;
}

struct vst_container *vst_container_new(struct vst_owners *o, const char *cgroup, const char *display)
{
	struct vst_container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->number = ++o->last_number;
	c->cgroup = c->display = c->ns = c->pod = c->name = c->image = c->id = c->runtime = none;
	set(c, &c->cgroup, cgroup);
	set(c, &c->display, display);
	if (strcmp(c->cgroup, cgroup) || strcmp(c->display, display)) {
		vst_container_free(c);
		return NULL;
	}
	return c;
}

static void take_names(struct vst_container *c, const struct vst_names *names)
{
	char display[VST_DISPLAY_MAX];
	bool changed, listed = names->kind == VST_CGKIND_CONTAINER || names->kind == VST_CGKIND_UNIT;

	vst_names_display(names, display, sizeof(display));
	changed = set(c, &c->display, names->kind == VST_CGKIND_HOST ? "host" : display);
	changed = set(c, &c->ns, names->ns) || changed;
	changed = set(c, &c->pod, names->pod) || changed;
	changed = set(c, &c->name, names->name) || changed;
	changed = set(c, &c->image, names->image) || changed;
	changed = set(c, &c->runtime, vst_runtime_name(names->runtime)) || changed;
	changed = listed != c->listed || changed;
	c->listed = listed;
	c->changed += changed;
}

/* --- asking --- */

static void ask(struct vst_owners *o, struct vst_container *c, double now)
{
	struct vst_lookup *k = vst_lookup_new(VST_LOOKUP_NAMES, c->account->id, c->cgroup);

	c->ask_at = c->check_at = 0;
	if (!k)
		return;
	k->number = c->number;
	k->maker = c->maker;
	k->file = c->file ? strdup(c->file) : NULL;
	k->stamp = c->stamp;
	if (!vst_lookups_ask(o->lookups, k)) {
		c->asked = true;
		return;
	}
	/* too many of this user's wait already */
	c->pause = c->pause ? c->pause * 2 : 1;
	if (c->pause <= ASK_LAST)
		c->ask_at = now + c->pause;
}

void vst_container_name(struct vst_owners *o, struct vst_container *c, double now)
{
	struct vst_names names;
	struct vst_cgpath cg;

	if (vst_cgpath_parse(c->cgroup, &cg))
		return;
	if (c->delegated == DELEGATED_CHILD)
		vst_cgpath_delegate(&cg, strlen(c->cgroup));
	if (!*c->display) {
		vst_names_from_path(&cg, &names);
		take_names(c, &names);
	}
	if (o->lookups && !c->asked && vst_runtime_has_files(&cg))
		ask(o, c, now);
}

static bool same_limits(const struct vst_container *c, const struct vst_lookup *k)
{
	if (c->n_limits != k->n_limits)
		return false;
	for (size_t i = 0; i < k->n_limits; i++)
		if (strcmp(c->limits[i].cgroup, k->limits[i].cgroup) ||
		    strcmp(c->limits[i].attribute, k->limits[i].attribute) ||
		    strcmp(c->limits[i].value, k->limits[i].value))
			return false;
	return true;
}

static void limits_take(struct vst_container *c, struct vst_lookup *k)
{
	if (k->err || same_limits(c, k))
		return;
	limits_free(c);
	c->limits = k->limits;
	c->n_limits = k->n_limits;
	k->limits = NULL;
	k->n_limits = 0;
	c->changed++;
}

static void limits_forget(struct vst_container *c)
{
	if (!c->n_limits)
		return;
	limits_free(c);
	c->changed++;
}

static bool same_labels(const struct vst_container *c, const struct vst_lookup *k)
{
	if (c->n_labels != k->n_labels)
		return false;
	for (size_t i = 0; i < k->n_labels; i++)
		if (strcmp(c->labels[i].key, k->labels[i].key) || strcmp(c->labels[i].value, k->labels[i].value))
			return false;
	return true;
}

static void names_take(struct vst_container *c, struct vst_lookup *k, double now)
{
	c->asked = false;
	if (!k->err) {
		take_names(c, k->names);
		if (!same_labels(c, k)) {
			labels_free(c);
			c->labels = k->labels;
			c->n_labels = k->n_labels;
			k->labels = NULL;
			k->n_labels = 0;
			c->changed++;
		}
		free(c->file);
		c->file = k->file;
		c->stamp = k->stamp;
		k->file = NULL;
	}
	if (c->ended) /* this was the last look */
		return;
	if (c->file)
		c->check_at = now + CHECK_EVERY;
	if (k->err != -ENOENT || c->file)
		return;
	/* a file can come after the cgroup */
	c->pause = c->pause ? c->pause * 2 : ASK_FIRST;
	if (c->pause <= ASK_LAST)
		c->ask_at = now + c->pause;
}

void vst_owners_answers(struct vst_owners *o, double now)
{
	struct vst_container *c;
	struct vst_lookup *k;

	while (o->lookups && (k = vst_lookups_take(o->lookups))) {
		HASH_FIND_STR(o->containers, k->path, c);
		if (c && c->number == k->number && k->type == VST_LOOKUP_NAMES)
			names_take(c, k, now);
		else if (c && c->number == k->number)
			limits_take(c, k);
		vst_lookup_free(k);
	}
}

double vst_owners_limits_every(unsigned int active)
{
	return active > LIMITS_EVERY * LIMITS_RATE ? (double)active / LIMITS_RATE : LIMITS_EVERY;
}

static bool ask_limits(struct vst_owners *o, struct vst_container *c, double now)
{
	struct vst_lookup *k;

	if (now - c->active_at > LIMITS_KEEP)
		limits_forget(c);
	if (!(c->active_at > 0) || c->ended || now - c->active_at > LIMITS_ACTIVE)
		return false;
	o->n_active++;
	if (c->limits_at > 0 && now - c->limits_at < vst_owners_limits_every(o->was_active))
		return false;
	c->limits_at = now;
	k = vst_lookup_new(VST_LOOKUP_LIMITS, VST_ACCOUNT_LIMITS, c->cgroup);
	if (!k)
		return false;
	k->number = c->number;
	vst_lookups_ask(o->lookups, k); /* refused: the next time, then */
	return true;
}

void vst_owners_ask(struct vst_owners *o, double now)
{
	struct vst_container *c = o->ask_next;
	unsigned int n = HASH_COUNT(o->containers), asked = 0;

	if (!o->lookups)
		return;
	o->was_active = o->n_active;
	o->n_active = 0;
	for (; n && asked < ASK_AT_ONCE; n--, c = c->hh.next) {
		c = c ?: o->containers;
		asked += ask_limits(o, c, now);
		if (c->asked || !((c->ask_at > 0 && now >= c->ask_at) || (c->check_at > 0 && now >= c->check_at)))
			continue;
		ask(o, c, now);
		asked++;
	}
	o->ask_next = c;
}

int vst_owners_fd(const struct vst_owners *o)
{
	return o->lookups ? vst_lookups_fd(o->lookups) : -1;
}

static double clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void vst_owners_settle(struct vst_owners *o, double seconds)
{
	double now = clock_now(), end = now + seconds;
	struct pollfd p = { .fd = vst_owners_fd(o), .events = POLLIN };

	for (; p.fd >= 0 && now < end && vst_lookups_waiting(o->lookups, false); now = clock_now()) {
		poll(&p, 1, (int)((end - now) * 1e3) + 1);
		vst_owners_answers(o, clock_now());
	}
}

__u64 vst_owners_unnamed(const struct vst_owners *o)
{
	return o->lookups ? vst_lookups_refused(o->lookups) : 0;
}
