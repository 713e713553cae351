// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/who/owners_priv.h"

#define KEEP_CROWDED                                                                                                   \
	10.0 /* seconds that a cgroup stays known after its end, if its account has taken half of its places */

/* --- from a path to a container --- */

static struct vst_container *find_path(struct vst_owners *o, const char *path, size_t len)
{
	struct vst_container *c;

	HASH_FIND(hh, o->containers, len ? path : "/", len ?: 1, c);
	return c;
}

/* True: *cg is a cgroup that is told apart from the unit in which it is, because the unit's tree is delegated. */
static bool delegate(struct vst_owners *o, struct vst_cgpath *cg, size_t len)
{
	struct vst_container *unit;
	bool delegated;

	if (cg->kind != VST_CGKIND_UNIT || cg->scope_len >= len)
		return false;
	unit = find_path(o, cg->path, cg->scope_len);
	if (unit && unit->delegated != DELEGATED_UNKNOWN)
		delegated = unit->delegated == DELEGATED;
	else
		delegated = vst_owners_is_delegated(o, cg->path, cg->scope_len);
	if (unit)
		unit->delegated = delegated ? DELEGATED : NOT_DELEGATED;
	return delegated && vst_cgpath_delegate(cg, len);
}

static struct vst_container *container_add(struct vst_owners *o, const struct vst_cgpath *cg, bool child, __u64 account,
					   long maker, double now)
{
	char id[VST_NAME_MAX], *scope;
	struct vst_container *c;

	scope = cg->scope_len ? strndup(cg->path, cg->scope_len) : strdup("/");
	c = scope ? vst_container_new(o, scope, "") : NULL;
	free(scope);
	if (!c)
		return NULL;
	c->account = vst_owners_account_get(o, account);
	if (!c->account) {
		vst_container_free(c);
		return NULL;
	}
	c->account->containers++;
	if (cg->id) {
		snprintf(id, sizeof(id), "%.*s", (int)(cg->id_len < sizeof(id) ? cg->id_len : sizeof(id) - 1), cg->id);
		c->id = strdup(id) ?: c->id;
	}
	c->maker = maker;
	c->since = now;
	c->delegated = child ? DELEGATED_CHILD : DELEGATED_UNKNOWN;
	HASH_ADD_KEYPTR(hh, o->containers, c->cgroup, strlen(c->cgroup), c);
	vst_container_name(o, c, now);
	return c;
}

static void container_forget(struct vst_owners *o, struct vst_container *c)
{
	if (o->ask_next == c)
		o->ask_next = c->hh.next;
	HASH_DEL(o->containers, c);
	if (c->account) {
		c->account->containers--;
		vst_owners_account_put(o, c->account);
	}
	vst_container_free(c);
}

/* The same cgroup again: a unit, or a container that keeps its id, was started anew. */
static void container_again(struct vst_owners *o, struct vst_container *c, double now)
{
	c->ended = 0;
	c->not_visible = false;
	c->crowded_out = false;
	c->since = now;
	c->restarts++;
	c->changed++;
	c->pause = 0;
	if (c->delegated != DELEGATED_CHILD)
		c->delegated = DELEGATED_UNKNOWN;
	vst_container_name(o, c, now);
}

struct vst_container *vst_owners_find(struct vst_owners *o, const char *path)
{
	struct vst_container *c = NULL;
	struct vst_cgpath cg;
	size_t len;

	if (vst_cgpath_parse(path, &cg))
		return NULL;
	/* the innermost one that is known: a cgroup of its own, or the container around it */
	for (len = strlen(path); !c; len--) {
		while (len && path[len - 1] == '/')
			len--;
		c = find_path(o, path, len);
		if (!len)
			break;
		while (len && path[len - 1] != '/')
			len--;
	}
	return c;
}

/* --- cgroups --- */

static __u64 key_of(__u64 hier, __u64 id)
{
	return id << 2 | hier;
}

/* The place of a key, or the empty one where it belongs. */
static struct cgroup *place_of(const struct vst_owners *o, __u64 key)
{
	unsigned int i = (unsigned int)(key * 0x9e3779b97f4a7c15ULL >> 32);

	for (;; i++) {
		struct cgroup *cg = &o->cgroups[i & (o->places - 1)];

		if (!cg->key || cg->key == key)
			return cg;
	}
}

/* Makes room for one more, with at least half of the places empty. What was found before is elsewhere then. */
static int places_grow(struct vst_owners *o)
{
	unsigned int n = o->places, old = o->places;
	struct cgroup *cg = o->cgroups;

	if (2 * (o->used + 1) <= o->places)
		return 0;
	for (n = 1024; n < 3 * o->n_cgroups; n *= 2)
		;
	o->cgroups = calloc(n, sizeof(*o->cgroups));
	if (!o->cgroups) {
		o->cgroups = cg;
		return -ENOMEM;
	}
	o->places = n;
	o->used = o->n_cgroups;
	for (unsigned int i = 0; i < old; i++)
		if (cg[i].c)
			*place_of(o, cg[i].key) = cg[i];
	free(cg);
	return 0;
}

static struct cgroup *cgroup_find(const struct vst_owners *o, __u64 hier, __u64 id)
{
	struct cgroup *cg = o->places ? place_of(o, key_of(hier, id)) : NULL;

	return cg && cg->c ? cg : NULL;
}

/* Is it the directory that is the container's identity, and not one below it? */
static void container_ino(struct vst_container *c, __u64 hier, __u64 id, const char *path)
{
	if (strcmp(c->cgroup, path) || (c->ino && hier == VST_HIER_MEMORY))
		return;
	if (c->ino && c->alive && hier != VST_HIER_UNIFIED)
		return;
	c->ino = id;
	c->changed++;
}

static struct cgroup *cgroup_add(struct vst_owners *o, __u64 hier, __u64 id, struct vst_container *c,
				 struct vst_owners_account *account)
{
	struct cgroup *cg;

	if (places_grow(o))
		return NULL;
	cg = place_of(o, key_of(hier, id));
	o->used += !cg->key;
	o->n_cgroups++;
	o->n_users += account->id != VST_ACCOUNT_SYSTEM;
	account->cgroups++;
	*cg = (struct cgroup){ .key = key_of(hier, id), .c = c, .account = account };
	c->alive++;
	c->cgroups++;
	return cg;
}

/* It was renamed, or one above it: it is another container's now. What it did stays with the one that it was. */
static void cgroup_move(struct vst_owners *o, struct cgroup *cg, struct vst_container *to, double now)
{
	o->moves++;
	cg->c->cgroups--;
	if (!cg->ended && !--cg->c->alive)
		cg->c->ended = now;
	cg->c = to;
	to->cgroups++;
	to->alive += !cg->ended;
}

struct cgroup *vst_owners_cgroup(struct vst_owners *o, __u64 hier, __u64 id, const char *path, long maker, double now)
{
	struct cgroup *cg = cgroup_find(o, hier, id);
	struct vst_owners_account *account;
	struct vst_container *c;
	size_t len = strlen(path);
	struct vst_cgpath p;
	__u64 whose;
	bool child;

	if (vst_cgpath_parse(path, &p))
		return NULL;
	whose = vst_owners_account_of(&p, len, maker);
	child = delegate(o, &p, len);
	c = find_path(o, path, p.scope_len);
	if (cg && c == cg->c)
		return cg;
	account = vst_owners_account_get(o, whose);
	if (!account)
		return NULL;
	if (!cg && vst_owners_is_full(o, account)) {
		vst_owners_overflow_add(o, account);
		vst_owners_account_put(o, account);
		return NULL;
	}
	c = c ?: container_add(o, &p, child, whose, maker, now);
	if (c && c->ended)
		container_again(o, c, now);
	if (c && cg)
		cgroup_move(o, cg, c, now);
	else if (c)
		cg = cgroup_add(o, hier, id, c, account);
	if (c && cg) {
		cg->plain = (p.kind == VST_CGKIND_UNIT && !child) || p.kind == VST_CGKIND_HOST;
		vst_owners_plain_set(o, cg);
		vst_owners_share_set(o, cg, &p);
		container_ino(c, hier, id, path);
	}
	vst_owners_account_put(o, account);
	return c ? cg : NULL;
}

void vst_owners_cgroup_gone(struct cgroup *cg, double now)
{
	if (cg->ended)
		return;
	cg->ended = now;
	if (!--cg->c->alive) {
		cg->c->ended = now;
		cg->c->changed++;
	}
}

/* A path that is longer than an event: the kernel has the rest, if the cgroup still exists; else a mark shows that it is cut. */
static void long_path(struct vst_owners *o, const struct vst_event_cgroup *event, double now)
{
	char path[4096];

	if (vst_owners_path(o, event->hier, event->id, path, sizeof(path)))
		snprintf(path, sizeof(path), "%s...", event->path);
	vst_owners_cgroup(o, event->hier, event->id, path, event->maker, now);
}

void vst_owners_event(struct vst_owners *o, const struct vst_event_cgroup *event, double now)
{
	struct cgroup *cg;

	switch (event->type) {
	case VST_EVENT_CGROUP_MKDIR:
		if (strnlen(event->path, sizeof(event->path)) + 1 >= sizeof(event->path))
			long_path(o, event, now);
		else
			vst_owners_cgroup(o, event->hier, event->id, event->path, event->maker, now);
		break;
	case VST_EVENT_CGROUP_RMDIR:
		cg = cgroup_find(o, event->hier, event->id);
		if (cg)
			vst_owners_cgroup_gone(cg, now);
		break;
	case VST_EVENT_CGROUP_RENAME: /* all that is below it has another path, too */
		vst_owners_scan_soon(o, now);
		break;
	}
}

/*
 * An id of which no event told and that no scan found. It may exist: its event was lost, or vstord sees a part of the tree
 * only, and the kernel knows the path. If it cannot be looked at, it may live on or have ended.
 */
static struct vst_container *unknown(struct vst_owners *o, __u64 hier, __u64 id, double now)
{
	char path[4096], name[64];
	struct vst_container *c;
	struct cgroup *cg;
	int err;

	snprintf(name, sizeof(name), "cgroup-%llu", (unsigned long long)id);
	HASH_FIND_STR(o->containers, name, c);
	if (c && !c->not_visible)
		return c;
	err = c ? -EPERM : vst_owners_path(o, hier, id, path, sizeof(path));
	cg = err ? NULL : vst_owners_cgroup(o, hier, id, path, 0, now);
	if (cg)
		return cg->c;
	if (!err) /* no place for it */
		return o->overflow;
	if (!c && HASH_COUNT(o->containers) >= VST_CGROUPS_MAX)
		return o->overflow;
	c = c ?: vst_container_new(o, name, name);
	if (!c || c->since > 0)
		return c ?: o->nobody;
	c->since = now;
	/* where all is seen, it has come and gone */
	c->not_visible = err != -ENOENT && !o->mount[hier].whole;
	c->ended = c->not_visible ? 0 : now;
	HASH_ADD_KEYPTR(hh, o->containers, c->cgroup, strlen(c->cgroup), c);
	return c;
}

struct vst_container *vst_owners_of(struct vst_owners *o, const struct vst_key *key, double now)
{
	struct cgroup *cg;

	if (key->witness == VST_WITNESS_NONE)
		return o->nobody;
	if (key->owner == VST_OWNER_OVERFLOW)
		return o->overflow;
	cg = cgroup_find(o, key->hier, key->owner);
	return cg ? cg->c : unknown(o, key->hier, key->owner, now);
}

bool vst_owners_gone(struct vst_owners *o, const struct vst_key *key, double before)
{
	struct cgroup *cg;

	if (key->witness == VST_WITNESS_NONE || key->owner == VST_OWNER_OVERFLOW)
		return false;
	cg = cgroup_find(o, key->hier, key->owner);
	return !cg || (cg->ended && cg->ended < before);
}

/* --- the whole --- */

static struct vst_container *own_new(struct vst_owners *o, const char *display)
{
	struct vst_container *c = vst_container_new(o, "", display);

	if (c)
		c->own = true;
	return c;
}

int vst_owners_new(const char *root, const char *host_root, struct vst_owners **ret)
{
	struct vst_owners *o = calloc(1, sizeof(*o));
	int err;

	if (!o)
		return -ENOMEM;
	o->shares_fd = -1;
	snprintf(o->root, sizeof(o->root), "%s", root);
	o->nobody = own_new(o, "unattributed");
	o->overflow = own_new(o, "overflow");
	err = o->nobody && o->overflow ? vst_lookups_new(host_root, &o->lookups) : -ENOMEM;
	if (err) {
		vst_owners_free(o);
		return err;
	}
	*ret = o;
	return 0;
}

static bool is_over(double ended, double now)
{
	return ended > 0 && now - ended >= VST_KEEP_DEAD;
}

static void cgroup_forget(struct vst_owners *o, struct cgroup *cg)
{
	cg->c->cgroups--;
	cg->c = NULL;
	o->plain_gone += cg->plain;
	o->n_cgroups--;
	o->n_users -= cg->account->id != VST_ACCOUNT_SYSTEM;
	cg->account->cgroups--;
	vst_owners_account_put(o, cg->account);
	cg->account = NULL;
}

static void forget_cgroups(struct vst_owners *o, double now)
{
	struct cgroup *cg;

	for (cg = o->cgroups; cg < o->cgroups + o->places; cg++) {
		if (!cg->c)
			continue;
		/* a container that lives on makes and removes cgroups inside it for years */
		if (is_over(cg->ended, now) || cg->c->crowded_out ||
		    (cg->ended > 0 && now - cg->ended >= KEEP_CROWDED && vst_owners_is_crowded(o, cg->account)))
			cgroup_forget(o, cg);
	}
}

/* Its cgroup was never seen: it is over when it has done nothing for so long. */
static bool is_forgotten(const struct vst_container *c, double now)
{
	return c->not_visible && now - c->active_at >= VST_KEEP_DEAD && now - c->since >= VST_KEEP_DEAD;
}

static void forget_containers(struct vst_owners *o, double now)
{
	struct vst_container *c, *next;

	HASH_ITER(hh, o->containers, c, next)
	{
		if ((!is_over(c->ended, now) && !c->crowded_out && !is_forgotten(c, now)) || c->rows || c->cgroups)
			continue;
		container_forget(o, c);
	}
}

/* So many that ended are more than there is room for: those that were made first go early. */
static void crowd_out(struct vst_owners *o)
{
	struct vst_container *c;
	unsigned int ended = 0;

	for (c = o->containers; c; c = c->hh.next)
		ended += c->ended && !c->crowded_out;
	if (ended <= VST_KEEP_DEAD_MAX)
		return;
	if (!o->crowded)
		vst_info("more than %u containers ended within %.0f s: the oldest of them are forgotten earlier",
			 VST_KEEP_DEAD_MAX, VST_KEEP_DEAD);
	o->crowded = true;
	for (c = o->containers; c && ended > VST_KEEP_DEAD_MAX; c = c->hh.next) {
		if (!c->ended || c->crowded_out)
			continue;
		c->crowded_out = true;
		ended--;
	}
}

void vst_owners_tick(struct vst_owners *o, double now)
{
	vst_owners_answers(o, now);
	if (o->scan_due > 0 && now >= o->scan_due)
		vst_owners_scan(o, now);
	vst_owners_ask(o, now);
	crowd_out(o);
	forget_cgroups(o, now);
	forget_containers(o, now);
	vst_owners_plain_again(o);
}

unsigned int vst_owners_moves(const struct vst_owners *o)
{
	return o->moves;
}

struct vst_container *vst_owners_known(const struct vst_owners *o, const struct vst_key *key)
{
	struct cgroup *cg = key->witness == VST_WITNESS_NONE ? NULL : cgroup_find(o, key->hier, key->owner);

	return cg ? cg->c : NULL;
}

struct vst_container *vst_owners_nobody(struct vst_owners *o)
{
	return o->nobody;
}

struct vst_container *vst_owners_overflow(struct vst_owners *o)
{
	return o->overflow;
}

struct vst_container *vst_owners_first(struct vst_owners *o)
{
	return o->containers;
}

__u64 vst_owners_overflowed(const struct vst_owners *o)
{
	return o->overflowed;
}

void vst_owners_free(struct vst_owners *o)
{
	struct vst_container *c, *c_next;
	struct vst_owners_account *a, *a_next;

	if (!o)
		return;
	vst_lookups_free(o->lookups);
	free(o->cgroups);
	HASH_ITER(hh, o->containers, c, c_next)
	{
		HASH_DEL(o->containers, c);
		vst_container_free(c);
	}
	HASH_ITER(hh, o->accounts, a, a_next)
	{
		HASH_DEL(o->accounts, a);
		free(a);
	}
	if (o->nobody)
		vst_container_free(o->nobody);
	if (o->overflow)
		vst_container_free(o->overflow);
	free(o);
}
