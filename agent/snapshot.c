// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/snapshot.h"

#define CHUNK 64 /* values in a chunk: what a change of one of them copies */

struct vst_block {
	_Atomic int refs;
	__u32 size; /* of .data */
	_Alignas(8) char data[];
};

struct vst_chunk {
	_Atomic int refs;
	unsigned int used;
	struct vst_value *value[CHUNK];
};

/* --- references --- */

void *vst_value_ref(const void *value)
{
	struct vst_value *v = (struct vst_value *)value;

	if (v)
		atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
	return v;
}

/*
 * Release, and acquire by whoever gives back the last reference: all that other threads read of the value happened before
 * it is freed.
 */
static bool is_last(_Atomic int *refs)
{
	return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

static void destroy(struct vst_value *v);

void vst_value_unref(const void *value)
{
	struct vst_value *v = (struct vst_value *)value;

	if (v && is_last(&v->refs))
		destroy(v);
}

static void chunk_unref(struct vst_chunk *c)
{
	if (!c || !is_last(&c->refs))
		return;
	for (unsigned int i = 0; i < CHUNK; i++)
		vst_value_unref(c->value[i]);
	free(c);
}

/* --- values --- */

struct vst_block *vst_value_block(const void *value)
{
	return ((const struct vst_value *)value)->block;
}

struct vst_block *vst_block_ref(struct vst_block *b)
{
	if (b)
		atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void vst_block_unref(struct vst_block *b)
{
	if (b && is_last(&b->refs))
		free(b);
}

bool vst_block_has(const struct vst_block *b, const void *text)
{
	return b && (const char *)text >= b->data && (const char *)text < b->data + b->size;
}

static void destroy_container(void *value)
{
	struct vst_snap_container *c = value;

	if (!c->v.block) {
		free(c->cgroup);
		free(c->display);
		free(c->ns);
		free(c->pod);
		free(c->name);
		free(c->image);
		free(c->cid);
		free(c->runtime);
		for (size_t i = 0; i < c->n_labels; i++) {
			free(c->labels[i].key);
			free(c->labels[i].value);
		}
		free(c->labels);
		for (size_t i = 0; i < c->n_limits; i++) {
			free(c->limits[i].cgroup);
			free(c->limits[i].attribute);
			free(c->limits[i].value);
		}
		free(c->limits);
	}
	vst_block_unref(c->v.block);
	free(c);
}

static void hist_free(struct vst_value *v, size_t size, struct vst_sparse *h)
{
	char *extra = (char *)v + size, *at = (char *)h->bucket;

	if (at < extra || at >= extra + v->extra)
		free(at);
}

static void destroy_io(void *value)
{
	struct vst_snap_io *io = value;

	for (unsigned int i = 0; i < VST_TIME__N; i++)
		hist_free(&io->v, sizeof(*io), &io->counts.time[i].hist);
	vst_block_unref(io->v.block);
	free(io);
}

static void destroy_wait(void *value)
{
	struct vst_snap_wait *w = value;

	if (!w->v.block) {
		free(w->evidence);
		free(w->name);
		free(w->object);
		for (size_t i = 0; i < w->n_stack; i++)
			free(w->stack[i]);
		free(w->stack);
	}
	hist_free(&w->v, sizeof(*w), &w->times.hist);
	vst_block_unref(w->v.block);
	free(w);
}

static void destroy_device(void *value)
{
	struct vst_snap_device *d = value;

	if (!d->v.block) {
		free(d->name);
		free(d->not_judged);
		for (size_t i = 0; i < d->n_links; i++)
			free(d->links[i]);
		free(d->links);
	}
	vst_block_unref(d->v.block);
	free(d);
}

static void destroy_slow(void *value)
{
	struct vst_snap_slow *s = value;

	if (!s->v.block)
		free(s->file);
	vst_block_unref(s->v.block);
	free(s);
}

static void destroy_pattern(void *value)
{
	struct vst_snap_pattern *p = value;

	if (!p->v.block) {
		free(p->file);
		free(p->source);
		free(p->evidence);
	}
	vst_block_unref(p->v.block);
	free(p);
}

static void destroy_cache(void *value)
{
	struct vst_snap_cache *c = value;

	if (!c->v.block) {
		free(c->type);
		free(c->name);
		free(c->origin);
		free(c->cache);
		free(c->set);
		free(c->mode);
		free(c->replacement);
	}
	vst_block_unref(c->v.block);
	free(c);
}

static void destroy_cache_row(void *value)
{
	free(value);
}

static void destroy_life(void *value)
{
	free(value);
}

static void destroy_pin(void *value)
{
	struct vst_snap_pin *p = value;

	if (!p->v.block) {
		free(p->name);
		free(p->state);
		free(p->text);
	}
	vst_block_unref(p->v.block);
	free(p);
}

static void destroy_curve(void *value)
{
	struct vst_snap_curve *c = value;

	if (!c->v.block)
		free(c->at);
	vst_block_unref(c->v.block);
	free(c);
}

static const struct {
	size_t size;
	void (*destroy)(void *value);
} kinds[VST_SNAP__N] = {
#define X(e, f, t) [VST_SNAP_##e] = { sizeof(t), destroy_##f },
	VST_SNAP_LISTS(X)
#undef X
};

#define A_SNAPSHOT VST_SNAP__N /* the type of a snapshot's head */

static void destroy_snapshot(void *value);

static void destroy(struct vst_value *v)
{
	if (v->type == A_SNAPSHOT)
		destroy_snapshot(v);
	else
		kinds[v->type].destroy(v);
}

/* The most that is asked for: the histograms of a row of I/O. */
_Static_assert(VST_TIME__N *VST_HIST_BUCKETS * sizeof(struct vst_bucket) <= UINT16_MAX, "fits .extra");

void *vst_value_new_with(enum vst_snap_list list, size_t extra, void **ret_extra)
{
	struct vst_value *v = extra <= UINT16_MAX ? calloc(1, kinds[list].size + extra) : NULL;

	if (!v)
		return NULL;
	atomic_init(&v->refs, 1);
	v->type = list;
	v->extra = (__u16)extra;
	if (ret_extra)
		*ret_extra = (char *)v + kinds[list].size;
	return v;
}

void *vst_value_new(enum vst_snap_list list)
{
	return vst_value_new_with(list, 0, NULL);
}

/* Two passes over the texts of a value: the first one finds their size, the second one moves them. */
struct mover {
	char *to; /* NULL: only count */
	size_t used;
};

static void move_text(struct mover *m, char **text)
{
	const char *from = *text ?: "";
	size_t size = strlen(from) + 1;

	if (m->to)
		*text = memcpy(m->to + m->used, from, size);
	m->used += size;
}

/* array: the address of a pointer to n elements. */
static void move_array(struct mover *m, void *array, size_t n, size_t size)
{
	void **from = array;

	m->used = (m->used + 7) & ~(size_t)7;
	if (m->to && n)
		*from = memcpy(m->to + m->used, *from, n * size);
	m->used += n * size;
}

static void move_container(struct mover *m, struct vst_snap_container *c)
{
	move_array(m, &c->labels, c->n_labels, sizeof(*c->labels));
	move_array(m, &c->limits, c->n_limits, sizeof(*c->limits));
	for (size_t i = 0; i < c->n_labels; i++) {
		move_text(m, &c->labels[i].key);
		move_text(m, &c->labels[i].value);
	}
	for (size_t i = 0; i < c->n_limits; i++) {
		move_text(m, &c->limits[i].cgroup);
		move_text(m, &c->limits[i].attribute);
		move_text(m, &c->limits[i].value);
	}
	move_text(m, &c->cgroup);
	move_text(m, &c->display);
	move_text(m, &c->ns);
	move_text(m, &c->pod);
	move_text(m, &c->name);
	move_text(m, &c->image);
	move_text(m, &c->cid);
	move_text(m, &c->runtime);
}

static void move_io(struct mover *m, struct vst_snap_io *io)
{
}

static void move_wait(struct mover *m, struct vst_snap_wait *w)
{
	move_array(m, &w->stack, w->n_stack, sizeof(*w->stack));
	for (size_t i = 0; i < w->n_stack; i++)
		move_text(m, &w->stack[i]);
	move_text(m, &w->evidence);
	move_text(m, &w->name);
	move_text(m, &w->object);
}

static void move_device(struct mover *m, struct vst_snap_device *d)
{
	move_array(m, &d->links, d->n_links, sizeof(*d->links));
	for (size_t i = 0; i < d->n_links; i++)
		move_text(m, &d->links[i]);
	move_text(m, &d->name);
	move_text(m, &d->not_judged);
}

static void move_slow(struct mover *m, struct vst_snap_slow *s)
{
	move_text(m, &s->file);
}

static void move_pattern(struct mover *m, struct vst_snap_pattern *p)
{
	move_text(m, &p->file);
	move_text(m, &p->source);
	move_text(m, &p->evidence);
}

static void move_cache(struct mover *m, struct vst_snap_cache *c)
{
	move_text(m, &c->type);
	move_text(m, &c->name);
	move_text(m, &c->origin);
	move_text(m, &c->cache);
	move_text(m, &c->set);
	move_text(m, &c->mode);
	move_text(m, &c->replacement);
}

static void move_cache_row(struct mover *m, struct vst_snap_cache_row *row)
{
}

static void move_life(struct mover *m, struct vst_snap_life *life)
{
}

static void move_pin(struct mover *m, struct vst_snap_pin *p)
{
	move_text(m, &p->name);
	move_text(m, &p->state);
	move_text(m, &p->text);
}

static void move_curve(struct mover *m, struct vst_snap_curve *c)
{
	move_text(m, &c->at);
}

static void move_texts(struct mover *m, enum vst_snap_list list, void *value)
{
	switch (list) {
#define X(e, f, t)                                                                                                     \
	case VST_SNAP_##e:                                                                                             \
		move_##f(m, value);                                                                                    \
		break;
		VST_SNAP_LISTS(X)
#undef X
	default:
		break;
	}
}

int vst_value_own_texts(enum vst_snap_list list, void *value)
{
	struct vst_value *v = value;
	struct vst_block *old = v->block;
	struct mover m = { 0 };

	move_texts(&m, list, value);
	v->block = malloc(sizeof(*v->block) + m.used);
	if (!v->block) {
		v->block = old;
		return -ENOMEM;
	}
	atomic_init(&v->block->refs, 1);
	v->block->size = (__u32)m.used;
	m = (struct mover){ .to = v->block->data };
	move_texts(&m, list, value);
	vst_block_unref(old);
	return 0;
}

void vst_value_share_texts(struct vst_snap_wait *to, const struct vst_snap_wait *from)
{
	struct vst_block *old = to->v.block;

	to->v.block = vst_block_ref(from->v.block);
	to->evidence = from->evidence;
	to->name = from->name;
	to->object = from->object;
	to->stack = from->stack;
	to->n_stack = from->n_stack;
	vst_block_unref(old);
}

/* What is not shared. */
static void forget_hists(enum vst_snap_list list, void *value)
{
	struct vst_snap_wait *w = value;
	struct vst_snap_io *io = value;

	if (list == VST_SNAP_WAITS)
		w->times.hist = (struct vst_sparse){ 0 };
	for (unsigned int i = 0; list == VST_SNAP_IOS && i < VST_TIME__N; i++)
		io->counts.time[i].hist = (struct vst_sparse){ 0 };
}

void *vst_value_copy(enum vst_snap_list list, const void *old, size_t extra, void **ret_extra)
{
	const struct vst_value *from = old;
	struct vst_value *v = vst_value_new_with(list, extra, ret_extra);

	if (!v)
		return NULL;
	memcpy((char *)v + sizeof(*v), (const char *)from + sizeof(*from), kinds[list].size - sizeof(*v));
	forget_hists(list, v);
	v->block = vst_block_ref(from->block);
	return v;
}

/* --- vectors --- */

static void vector_free(struct vst_vector *v)
{
	for (__u32 i = 0; i < v->n_chunks; i++)
		chunk_unref(v->chunk[i]);
	free(v->chunk);
}

static int vector_copy(struct vst_vector *to, const struct vst_vector *from)
{
	if (!from->n_chunks)
		return 0;
	to->chunk = malloc(from->n_chunks * sizeof(struct vst_chunk *));
	if (!to->chunk)
		return -ENOMEM;
	for (__u32 i = 0; i < from->n_chunks; i++) {
		to->chunk[i] = from->chunk[i];
		if (to->chunk[i])
			atomic_fetch_add_explicit(&to->chunk[i]->refs, 1, memory_order_relaxed);
	}
	to->n_chunks = from->n_chunks;
	to->end = from->end;
	return 0;
}

static int vector_grow(struct vst_vector *v, __u32 chunks)
{
	struct vst_chunk **chunk;

	if (chunks <= v->n_chunks)
		return 0;
	chunk = realloc(v->chunk, chunks * sizeof(struct vst_chunk *));
	if (!chunk)
		return -ENOMEM;
	memset(chunk + v->n_chunks, 0, (chunks - v->n_chunks) * sizeof(struct vst_chunk *));
	v->chunk = chunk;
	v->n_chunks = chunks;
	return 0;
}

/*
 * The chunk at a place, for its owner to write to: a new one, or a copy of a shared one. One reference means that only
 * this vector has it, and nobody can take another one from it.
 */
static struct vst_chunk *chunk_own(struct vst_chunk **place)
{
	struct vst_chunk *old = *place, *c;

	if (old && atomic_load_explicit(&old->refs, memory_order_acquire) == 1)
		return old;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	atomic_init(&c->refs, 1);
	if (old) {
		c->used = old->used;
		for (unsigned int i = 0; i < CHUNK; i++)
			c->value[i] = vst_value_ref(old->value[i]);
		chunk_unref(old);
	}
	*place = c;
	return c;
}

static void *vector_get(const struct vst_vector *v, __u32 index)
{
	const struct vst_chunk *c = index < v->end ? v->chunk[index / CHUNK] : NULL;

	return c ? c->value[index % CHUNK] : NULL;
}

/* After a removal: gives back chunks that became empty, and finds the end again. */
static void vector_trim(struct vst_vector *v, __u32 index)
{
	struct vst_chunk **place = &v->chunk[index / CHUNK];

	if (!(*place)->used) {
		chunk_unref(*place);
		*place = NULL;
	}
	while (v->end && !vector_get(v, v->end - 1)) {
		if (!v->chunk[(v->end - 1) / CHUNK])
			v->end = (v->end - 1) / CHUNK * CHUNK;
		else
			v->end--;
	}
}

static int vector_put(struct vst_vector *v, __u32 index, struct vst_value *value)
{
	struct vst_value *old = vector_get(v, index);
	struct vst_chunk *c;

	if (!old && !value)
		return 0;
	if (vector_grow(v, index / CHUNK + 1))
		return -ENOMEM;
	c = chunk_own(&v->chunk[index / CHUNK]);
	if (!c)
		return -ENOMEM;
	c->used += !old - !value;
	c->value[index % CHUNK] = value;
	vst_value_unref(old);
	if (!value)
		vector_trim(v, index);
	else if (index >= v->end)
		v->end = index + 1;
	return 0;
}

/* --- snapshots --- */

static void destroy_snapshot(void *value)
{
	struct vst_snapshot *s = value;

	for (unsigned int i = 0; i < VST_SNAP__N; i++)
		vector_free(&s->list[i]);
	free((void *)s->probes);
	free(s);
}

struct vst_snapshot *vst_snapshot_next(const struct vst_snapshot *prev)
{
	struct vst_snapshot *s = calloc(1, sizeof(*s));
	int err = 0;

	if (!s)
		return NULL;
	if (prev) { /* all but the head, which other threads change, and what it owns */
		memcpy((char *)s + sizeof(s->v), (const char *)prev + sizeof(s->v), sizeof(*s) - sizeof(s->v));
		memset(s->list, 0, sizeof(s->list));
		s->probes = NULL;
		s->n_probes = 0;
	}
	atomic_init(&s->v.refs, 1);
	s->v.type = A_SNAPSHOT;
	s->seq++;
	for (unsigned int i = 0; prev && i < VST_SNAP__N; i++)
		err = err ?: vector_copy(&s->list[i], &prev->list[i]);
	if (prev && prev->n_probes) {
		s->probes = malloc(prev->n_probes * sizeof(*s->probes));
		if (s->probes) {
			memcpy((void *)s->probes, prev->probes, prev->n_probes * sizeof(*s->probes));
			s->n_probes = prev->n_probes;
		} else {
			err = -ENOMEM;
		}
	}
	if (err) {
		vst_snapshot_unref(s);
		return NULL;
	}
	return s;
}

int vst_snapshot_put(struct vst_snapshot *s, enum vst_snap_list list, __u32 index, void *value)
{
	int err = vector_put(&s->list[list], index, value);

	if (err)
		vst_value_unref(value);
	return err;
}

const struct vst_snapshot *vst_snapshot_ref(const struct vst_snapshot *s)
{
	return vst_value_ref(s);
}

void vst_snapshot_unref(const struct vst_snapshot *s)
{
	vst_value_unref(s);
}

/* --- reading --- */

#define X(e, f, t)                                                                                                     \
	const t *vst_snapshot_##f(const struct vst_snapshot *s, __u32 index)                                           \
	{                                                                                                              \
		return vector_get(&s->list[VST_SNAP_##e], index);                                                      \
	}
VST_SNAP_LISTS(X)
#undef X

const void *vst_snapshot_next_value(const struct vst_snapshot *s, enum vst_snap_list list, __u32 *index)
{
	const struct vst_vector *v = &s->list[list];
	const void *value;

	while (*index < v->end) {
		if (!v->chunk[*index / CHUNK]) {
			*index = (*index / CHUNK + 1) * CHUNK;
			continue;
		}
		value = vector_get(v, *index);
		if (value)
			return value;
		(*index)++;
	}
	return NULL;
}

static const struct vst_chunk *chunk_at(const struct vst_vector *v, __u32 index)
{
	return index / CHUNK < v->n_chunks ? v->chunk[index / CHUNK] : NULL;
}

bool vst_snapshot_next_change(const struct vst_snapshot *prev, const struct vst_snapshot *now, enum vst_snap_list list,
			      __u32 *index)
{
	static const struct vst_vector none;
	const struct vst_vector *a = prev ? &prev->list[list] : &none, *b = &now->list[list];
	__u32 end = a->end > b->end ? a->end : b->end;

	while (*index < end) {
		if (chunk_at(a, *index) == chunk_at(b, *index)) {
			*index = (*index / CHUNK + 1) * CHUNK;
			continue;
		}
		if (vector_get(a, *index) != vector_get(b, *index))
			return true;
		(*index)++;
	}
	return false;
}

const struct vst_snap_device *vst_snapshot_device_of(const struct vst_snapshot *s, __u32 dev)
{
	const struct vst_snap_device *d;

	vst_snapshot_for_each(s, VST_SNAP_DEVICES, d, i) if (d->dev == dev) return d;
	return NULL;
}

const struct vst_snap_container *vst_snapshot_container_of(const struct vst_snapshot *s, __u32 id)
{
	const struct vst_snap_container *c;

	vst_snapshot_for_each(s, VST_SNAP_CONTAINERS, c, i)
	{
		if (c->id == id)
			return c;
	}
	return NULL;
}
