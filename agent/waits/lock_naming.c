// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/base/caps.h"
#include "agent/base/log.h"
#include "agent/waits/lock_names.h"
#include "agent/waits/lock_naming.h"

/* A lock that is looked for, and what was found. The thread has it alone until it is taken. */
struct lock_look {
	__u32 id;
	enum vst_lock_type type;
	bool slabs;
	struct vst_lock_class class;
	char name[VST_LOCK_NAME]; /* "": there was no memory to look */
	enum vst_lock_named_by by;
	bool opaque;
	struct vst_lock_route route; /* .kind NONE: not known */
};

struct vst_lock_naming {
	struct vst_lock_named named[VST_LOCK_CLASSES][VST_LOCK_TYPE__N];
	/* what the next look is for, each once */
	__u64 wanted[VST_LOCK_CLASSES];
	unsigned int n_wanted;
	bool is_wanted[VST_LOCK_CLASSES][VST_LOCK_TYPE__N];
	bool slabs; /* a lock in a slab cache was seen: this kernel tells of them */
	/* the look under way */
	struct lock_look *looks; /* NULL: none is */
	unsigned int n_looks;
	pthread_t thread;
	bool in_thread;
	int over_fd;
	unsigned int changes;
};

int vst_lock_naming_new(struct vst_lock_naming **ret)
{
	struct vst_lock_naming *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return -ENOMEM;
	n->over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (n->over_fd < 0) {
		err = -errno;
		free(n);
		return err;
	}
	*ret = n;
	return 0;
}

void vst_lock_naming_free(struct vst_lock_naming *n)
{
	if (!n)
		return;
	if (n->looks && n->in_thread)
		pthread_join(n->thread, NULL);
	free(n->looks);
	for (int i = 0; i < VST_LOCK_CLASSES; i++)
		for (int type = 0; type < VST_LOCK_TYPE__N; type++)
			free(n->named[i][type].name);
	close(n->over_fd);
	free(n);
}

const struct vst_lock_named *vst_lock_naming_get(const struct vst_lock_naming *n, __u64 what)
{
	static const struct vst_lock_named nameless = { .name = (char *)"unknown", .by = VST_LOCK_BY_NONE };
	__u32 class = VST_LOCK_WHAT_CLASS(what), type = VST_LOCK_WHAT_TYPE(what);

	if (!class || class >= VST_LOCK_CLASSES || type >= VST_LOCK_TYPE__N || !n->named[class][type].name)
		return &nameless;
	return &n->named[class][type];
}

void vst_lock_naming_want(struct vst_lock_naming *n, __u64 what)
{
	__u32 class = VST_LOCK_WHAT_CLASS(what), type = VST_LOCK_WHAT_TYPE(what);

	if (!class || class >= VST_LOCK_CLASSES || type >= VST_LOCK_TYPE__N || n->named[class][type].final ||
	    n->is_wanted[class][type] || n->n_wanted == VST_LOCK_CLASSES)
		return;
	n->is_wanted[class][type] = true;
	n->wanted[n->n_wanted++] = what;
}

/* --- the look --- */

static void *look(void *arg)
{
	struct vst_lock_naming *n = arg;
	struct vst_lock_btf *btf = vst_lock_btf_new();
	uint64_t over = 1;

	for (struct lock_look *l = n->looks; btf && l < n->looks + n->n_looks; l++) {
		l->by = vst_lock_name(btf, &l->class, l->type, l->slabs, l->name, &l->opaque);
		if (l->class.kind == VST_LOCK_KIND_STATIC || l->class.kind == VST_LOCK_KIND_FREEZE ||
		    vst_lock_name_route(btf, l->name, l->type, &l->route))
			l->route.kind = VST_LOCK_OBJECT_NONE;
	}
	vst_lock_btf_free(btf);
	if (write(n->over_fd, &over, sizeof(over)) < 0)
		vst_warn("cannot tell that locks are named: %s", strerror(errno));
	return NULL;
}

static void *look_in_thread(void *arg)
{
	vst_caps_drop(VST_CAPS_LOCKS, VST_CAPS_ALWAYS, NULL);
	return look(arg);
}

/* What is known of a lock, if it may have a better name than it has: one that only its callers tell may have got more of them. */
static bool look_prepare(struct vst_lock_naming *n, const struct vst_lock_maps *m, __u64 what, struct lock_look *l)
{
	const struct vst_lock_named *named;

	*l = (struct lock_look){ .id = VST_LOCK_WHAT_CLASS(what), .type = VST_LOCK_WHAT_TYPE(what) };
	if (bpf_map_lookup_elem(m->classes_fd, &l->id, &l->class) || !l->class.kind)
		return false;
	named = &n->named[l->id][l->type];
	n->slabs = n->slabs || l->class.kind == VST_LOCK_KIND_SLAB;
	l->slabs = n->slabs;
	return !named->name || named->callers != l->class.n_callers || named->slabs != l->slabs;
}

/* false: there is nothing to look for. */
static bool looks_prepare(struct vst_lock_naming *n, const struct vst_lock_maps *m)
{
	unsigned int i;

	if (!n->n_wanted)
		return false;
	n->looks = malloc(n->n_wanted * sizeof(*n->looks));
	n->n_looks = 0;
	for (i = 0; i < n->n_wanted && n->looks; i++) {
		if (look_prepare(n, m, n->wanted[i], &n->looks[n->n_looks]))
			n->n_looks++;
		else
			n->is_wanted[VST_LOCK_WHAT_CLASS(n->wanted[i])][VST_LOCK_WHAT_TYPE(n->wanted[i])] = false;
	}
	if (!n->looks) /* another time */
		return false;
	n->n_wanted = 0;
	if (n->n_looks)
		return true;
	free(n->looks);
	n->looks = NULL;
	return false;
}

void vst_lock_naming_begin(struct vst_lock_naming *n, const struct vst_lock_maps *m)
{
	if (n->looks || !looks_prepare(n, m))
		return;
	n->in_thread = !pthread_create(&n->thread, NULL, look_in_thread, n);
	if (!n->in_thread)
		look(n); /* now, then */
}

int vst_lock_naming_fd(const struct vst_lock_naming *n)
{
	return n->over_fd;
}

/* --- what was found --- */

/* The probe reads it at any time: not while it is half another's. */
static void route_set(struct vst_lock_route *to, const struct vst_lock_route *route)
{
	struct vst_lock_route r = *route;

	if (!memcmp(to, route, sizeof(*to)))
		return;
	r.kind = VST_LOCK_OBJECT_NONE;
	__atomic_store_n(&to->kind, r.kind, __ATOMIC_SEQ_CST);
	*to = r;
	__atomic_store_n(&to->kind, route->kind, __ATOMIC_RELEASE);
}

static void look_take(struct vst_lock_naming *n, const struct vst_lock_maps *m, const struct lock_look *l)
{
	struct vst_lock_named *named = &n->named[l->id][l->type];

	n->is_wanted[l->id][l->type] = false;
	if (!*l->name)
		return;
	named->callers = l->class.n_callers;
	named->slabs = l->slabs;
	named->by = l->by;
	if (l->opaque)
		__atomic_or_fetch(&m->ctags[l->id], VST_LOCK_OPAQUE, __ATOMIC_RELAXED);
	named->final = l->by < VST_LOCK_BY_CALLER ||
		       (l->slabs && (l->class.kind != VST_LOCK_KIND_STATIC || l->class.n_callers == VST_LOCK_CALLERS));
	if (named->name && !strcmp(named->name, l->name))
		return;
	free(named->name);
	named->name = strdup(l->name);
	n->changes++;
	if (l->route.kind)
		route_set(&m->routes[l->id], &l->route);
}

void vst_lock_naming_take(struct vst_lock_naming *n, const struct vst_lock_maps *m)
{
	uint64_t over;

	if (!n->looks)
		return;
	if (n->in_thread)
		pthread_join(n->thread, NULL);
	if (read(n->over_fd, &over, sizeof(over)) < 0)
		vst_debug("nothing was told of locks that are named: %s", strerror(errno));
	for (unsigned int i = 0; i < n->n_looks; i++)
		look_take(n, m, &n->looks[i]);
	free(n->looks);
	n->looks = NULL;
}

unsigned int vst_lock_naming_changes(const struct vst_lock_naming *n)
{
	return n->changes;
}

bool vst_lock_naming_busy(const struct vst_lock_naming *n)
{
	return n->looks;
}
