// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/caps.h"
#include "agent/base/log.h"
#include "agent/insight/attr_read.h"
#include "agent/insight/attrs.h"

#define FILES (1U << VST_MARK_BITS) /* each has the place of its mark */
#define BATCH 64

struct attr_file {
	__u64 inode, ino;
	double asked; /* 0: not yet */
	int class;    /* or VST_ATTR_NONE, VST_ATTR_REFUSED */
	__u8 marked;  /* what was noted with the file, as in struct vst_mark; 0: nothing */
};

/* The thread has it alone from the begin of a batch until .done. */
struct batch {
	struct vst_file_name file[BATCH];
	int class[BATCH];
	size_t n;
	_Atomic bool done;
};

struct vst_attrs {
	struct attr_file known[FILES];
	struct batch *next, *now; /* being filled; being read, NULL: none is */
	pthread_t thread;	  /* of .now */
};

int vst_attrs_new(struct vst_attrs **ret)
{
	struct vst_attrs *a = calloc(1, sizeof(*a));

	if (a)
		a->next = calloc(1, sizeof(*a->next));
	if (!a || !a->next) {
		free(a);
		return -ENOMEM;
	}
	*ret = a;
	return 0;
}

void vst_attrs_free(struct vst_attrs *a)
{
	if (!a)
		return;
	if (a->now && a->now->done) {
		pthread_join(a->thread, NULL);
		free(a->now);
	} else if (a->now) {
		pthread_detach(a->thread); /* it still writes to its batch */
	}
	free(a->next);
	free(a);
}

static void *read_batch(void *arg)
{
	struct batch *b = arg;

	vst_caps_drop(VST_CAPS_NAMES, VST_CAPS_ALWAYS, NULL);
	for (size_t i = 0; i < b->n; i++)
		b->class[i] = vst_attr_read(&b->file[i]);
	b->done = true;
	return NULL;
}

static struct attr_file *known_of(struct vst_attrs *a, const struct vst_file_name *f)
{
	return &a->known[vst_mark_place(f->inode)];
}

/*
 * Notes the class where the probes look, 0: none. What an application said with a write is more than what a file is marked with. A
 * place that another file had is this one's now.
 */
static void mark(const struct vst_maps *maps, struct attr_file *k)
{
	struct vst_mark *m = &maps->marks[vst_mark_place(k->inode)];
	__u8 hint = k->class < 0 ? 0 : (__u8)(k->class + 1), before = k->marked;

	k->marked = hint;
	if (m->inode == k->inode && m->ino == (__u32)k->ino) {
		if (m->hint && m->hint != before)
			return;
		m->hint = hint;
		m->age = 0;
		return;
	}
	if (!hint)
		return;
	__atomic_store_n(&m->inode, 0, __ATOMIC_RELEASE);
	m->ino = (__u32)k->ino;
	m->patterns = 0;
	m->hint = hint;
	m->age = 0;
	__atomic_store_n(&m->inode, k->inode, __ATOMIC_RELEASE);
}

void vst_attrs_offer(struct vst_attrs *a, const struct vst_maps *m, const struct vst_file_name *f, double now)
{
	struct attr_file *k;

	if (!f->inode || !f->ino)
		return;
	k = known_of(a, f);
	if (k->inode != f->inode || k->ino != f->ino)
		*k = (struct attr_file){ .inode = f->inode, .ino = f->ino, .class = VST_ATTR_NONE };
	if (k->class >= 0)
		mark(m, k);
	if ((k->asked > 0 && now - k->asked < VST_ATTRS_AGAIN) || a->next->n == BATCH)
		return;
	k->asked = now;
	a->next->file[a->next->n++] = *f;
}

static void take(struct vst_attrs *a, const struct vst_maps *m, const struct vst_file_name *f, int class)
{
	struct attr_file *k = known_of(a, f);
	int before = k->class;

	if (k->inode != f->inode || k->ino != f->ino)
		return;
	k->class = class;
	if (class >= 0 || k->marked)
		mark(m, k);
	if (class == VST_ATTR_REFUSED && before != class)
		__atomic_fetch_add(&m->state->hints_refused, 1, __ATOMIC_RELAXED);
}

void vst_attrs_turn(struct vst_attrs *a, const struct vst_maps *m)
{
	struct batch *b = a->now;

	if (b && !b->done)
		return;
	if (b) {
		pthread_join(a->thread, NULL);
		for (size_t i = 0; i < b->n; i++)
			take(a, m, &b->file[i], b->class[i]);
		free(b);
		a->now = NULL;
	}
	if (!a->next->n)
		return;
	b = calloc(1, sizeof(*b));
	if (!b || pthread_create(&a->thread, NULL, read_batch, a->next)) {
		vst_debug("cannot read " VST_ATTR " of %zu files: no thread", a->next->n);
		free(b);
		a->next->n = 0;
		return;
	}
	a->now = a->next;
	a->next = b;
}
