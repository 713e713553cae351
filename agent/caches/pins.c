// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/caps.h"
#include "agent/base/log.h"
#include "agent/caches/pins.h"
#include "lib/cleanup.h"

#define REST 20.0 /* the thread rests so many times as long as a look took */
#define NICE 19

/* A path that is looked at. */
struct look {
	__u32 id; /* of the pin; 0: free */
	char *path;
	double due;
	bool found; /* .extents and .result wait for the loop */
	int result;
	struct vst_extents extents;
};

struct vst_looker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct look look[VST_PINS_MAX];
	bool stop;
};

static double clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- the thread --- */

static struct look *look_of(struct vst_looker *l, __u32 id)
{
	for (size_t i = 0; i < VST_PINS_MAX; i++)
		if (l->look[i].id == id)
			return &l->look[i];
	return NULL;
}

/* The path that has waited longest for a look; *ret_due: when the next one is due. NULL: none is due. */
static struct look *look_next(struct vst_looker *l, double now, double *ret_due)
{
	struct look *next = NULL;

	*ret_due = now + 3600;
	for (size_t i = 0; i < VST_PINS_MAX; i++) {
		struct look *k = &l->look[i];

		if (k->id && !k->found && k->due < *ret_due) {
			*ret_due = k->due;
			next = k;
		}
	}
	return next && *ret_due <= now ? next : NULL;
}

static void wait_until(struct vst_looker *l, double due)
{
	struct timespec t = { .tv_sec = (time_t)due, .tv_nsec = (long)((due - (double)(time_t)due) * 1e9) };

	pthread_cond_timedwait(&l->wake, &l->lock, &t);
}

/* Without the lock while it looks: the pin may be gone afterwards. */
static void look(struct vst_looker *l, struct look *k)
{
	_cleanup_free_ char *path = strdup(k->path);
	struct vst_extents found = { 0 };
	double begin = clock_now(), took;
	__u32 id = k->id;
	int err = -ENOMEM;

	pthread_mutex_unlock(&l->lock);
	if (path)
		err = vst_extents_find(path, vst_extents_fiemap, &found);
	took = clock_now() - begin;
	pthread_mutex_lock(&l->lock);
	k = look_of(l, id);
	if (!k) {
		vst_extents_clear(&found);
		return;
	}
	k->extents = found;
	k->result = err;
	k->found = true;
	k->due = clock_now() + (took * REST > VST_PINS_AGAIN ? took * REST : VST_PINS_AGAIN);
}

static void *run(void *arg)
{
	struct vst_looker *l = arg;
	struct look *k;
	double due;

	if (setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE))
		vst_debug("cannot lower the priority of the thread that looks where files lie: %s", strerror(errno));
	vst_caps_drop(VST_CAPS_PINS, VST_CAPS_ALWAYS, NULL);
	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		k = look_next(l, clock_now(), &due);
		if (k)
			look(l, k);
		else
			wait_until(l, due);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static int looker_start(struct vst_pins *p)
{
	struct vst_looker *l = calloc(1, sizeof(*l));
	pthread_condattr_t attr;
	int err;

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->wake, &attr);
	pthread_condattr_destroy(&attr);
	err = pthread_create(&l->thread, NULL, run, l);
	if (err) {
		free(l);
		return -err;
	}
	p->looker = l;
	return 0;
}

static void looker_stop(struct vst_looker *l)
{
	struct timespec until;

	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	if (pthread_timedjoin_np(l->thread, NULL, &until)) {
		vst_warn("the thread that looks where files lie hangs in a filesystem: it is left behind");
		return;
	}
	for (size_t i = 0; i < VST_PINS_MAX; i++) {
		free(l->look[i].path);
		vst_extents_clear(&l->look[i].extents);
	}
	free(l);
}

/* 0 or -ENOMEM */
static int look_begin(struct vst_pins *p, const struct vst_pin *pin)
{
	struct vst_looker *l = p->looker;
	char *path = NULL;
	struct look *k;

	if (asprintf(&path, "%s%s", strcmp(p->root, "/") ? p->root : "", pin->name) < 0)
		return -ENOMEM;
	pthread_mutex_lock(&l->lock);
	k = look_of(l, 0); /* there are as many as pins */
	*k = (struct look){ .id = pin->id, .path = path };
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
	return 0;
}

static void look_end(struct vst_pins *p, __u32 id)
{
	struct look *k;

	if (!p->looker)
		return;
	pthread_mutex_lock(&p->looker->lock);
	k = look_of(p->looker, id);
	if (k) {
		free(k->path);
		vst_extents_clear(&k->extents);
		*k = (struct look){ 0 };
	}
	pthread_mutex_unlock(&p->looker->lock);
}

/* --- the list --- */

int vst_pins_open(struct vst_pins *p, const char *root)
{
	*p = (struct vst_pins){ .root = strdup(root) };
	return p->root ? 0 : -ENOMEM;
}

void vst_pins_close(struct vst_pins *p)
{
	while (p->n)
		vst_pins_drop(p, p->n - 1);
	if (p->looker)
		looker_stop(p->looker);
	free(p->root);
	*p = (struct vst_pins){ 0 };
}

/* Of "path /srv/db" the path. NULL: it is neither a path nor a container. */
static const char *name_of(const char *text, bool *ret_is_container)
{
	static const char path[] = "path ", container[] = "container ";
	const char *name = NULL;

	*ret_is_container = !strncmp(text, container, sizeof(container) - 1);
	if (*ret_is_container)
		name = text + sizeof(container) - 1;
	else if (!strncmp(text, path, sizeof(path) - 1))
		name = text + sizeof(path) - 1;
	return name && *name == '/' && strlen(name) < PATH_MAX ? name : NULL;
}

/* Its place in the list; p->n: it is not there. */
static size_t find(const struct vst_pins *p, const char *name, bool is_container)
{
	size_t i = 0;

	while (i < p->n && (p->list[i].is_container != is_container || strcmp(p->list[i].name, name) != 0))
		i++;
	return i;
}

int vst_pins_add(struct vst_pins *p, const char *text, double now)
{
	bool is_container;
	const char *name = name_of(text, &is_container);
	struct vst_pin *pin = &p->list[p->n];
	int err;

	if (!name)
		return -EINVAL;
	if (find(p, name, is_container) < p->n)
		return -EEXIST;
	if (p->n == VST_PINS_MAX)
		return -ENOSPC;
	*pin = (struct vst_pin){ .id = ++p->last_id, .is_container = is_container, .since = now };
	pin->name = strdup(name);
	err = pin->name ? 0 : -ENOMEM;
	if (!err && !is_container) {
		err = p->looker ? 0 : looker_start(p);
		err = err ?: look_begin(p, pin);
	}
	if (err)
		free(pin->name);
	else
		p->n++;
	return err;
}

void vst_pins_drop(struct vst_pins *p, size_t i)
{
	look_end(p, p->list[i].id);
	free(p->list[i].name);
	vst_extents_clear(&p->list[i].extents);
	p->n--;
	memmove(&p->list[i], &p->list[i + 1], (p->n - i) * sizeof(p->list[0]));
}

int vst_pins_remove(struct vst_pins *p, const char *text)
{
	bool is_container;
	const char *name = name_of(text, &is_container);
	size_t i = name ? find(p, name, is_container) : p->n;

	if (!name)
		return -EINVAL;
	if (i == p->n)
		return -ENOENT;
	vst_pins_drop(p, i);
	return 0;
}

static bool is_same(const struct vst_extents *x, const struct vst_extents *y)
{
	return x->dev == y->dev && x->n == y->n && x->files == y->files && x->cut == y->cut &&
	       (!x->n || !memcmp(x->list, y->list, x->n * sizeof(x->list[0])));
}

/* True: it has changed. */
static bool take(struct vst_pins *p, struct vst_pin *pin)
{
	struct look *k = look_of(p->looker, pin->id);
	bool changed;

	if (!k || !k->found)
		return false;
	changed = !pin->looked || pin->result != k->result || (!k->result && !is_same(&pin->extents, &k->extents));
	pin->looked = true;
	pin->result = k->result;
	k->found = false;
	if (changed && !k->result) {
		vst_extents_clear(&pin->extents);
		pin->extents = k->extents;
		k->extents = (struct vst_extents){ 0 };
	} else {
		vst_extents_clear(&k->extents);
	}
	return changed;
}

static bool is_gone(const struct vst_pin *pin)
{
	return pin->looked && (pin->result == -ENOENT || pin->result == -ENOTDIR);
}

bool vst_pins_take(struct vst_pins *p)
{
	bool changed = false;

	if (!p->looker)
		return false;
	pthread_mutex_lock(&p->looker->lock);
	for (size_t i = 0; i < p->n; i++)
		changed |= !p->list[i].is_container && take(p, &p->list[i]);
	pthread_cond_signal(&p->looker->wake); /* what was taken is due again later */
	pthread_mutex_unlock(&p->looker->lock);
	for (size_t i = p->n; i--;) {
		if (!is_gone(&p->list[i]))
			continue;
		vst_info("%s is not kept in a cache any more: it is gone", p->list[i].name);
		vst_pins_drop(p, i);
	}
	return changed;
}
