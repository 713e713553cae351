/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/record_code.h"

/* More than any agent has: so a file that somebody made up cannot ask for all memory. */
#define INDEX_MAX (1U << 17)
#define TEXTS_MAX 4096
#define PROBES_MAX 1024

struct cursor {
	const unsigned char *at, *end;
};

/* One frame being read. */
struct work {
	struct vst_record_decoder *d;
	struct cursor stream[VST_STREAM__N];
	struct vst_snapshot *s;
	union {
		struct vst_value head;
#define X(e, f, t) t f;
		VST_SNAP_LISTS(X)
#undef X
	} value;						   /* that is being read */
	struct vst_bucket room[VST_TIME__N + 1][VST_HIST_BUCKETS]; /* of its histograms, and one to skip */
	unsigned int rooms;
	bool texts_changed;
	void *array[8]; /* its arrays of texts, to be freed */
	unsigned int arrays;
	int err;
};

static void fail(struct work *w, int err)
{
	w->err = w->err ?: err;
}

/* --- streams. After an error all of them seem to be at their end, with zeros. --- */

static __u64 get(struct work *w, enum vst_record_stream stream)
{
	struct cursor *c = &w->stream[stream];
	unsigned int shift = 0;
	__u64 v = 0;

	while (!w->err && c->at < c->end && shift < 64) {
		unsigned char byte = *c->at++;

		v |= (__u64)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
		shift += 7;
	}
	fail(w, -EBADMSG);
	return 0;
}

static __s64 get_signed(struct work *w, enum vst_record_stream stream)
{
	__u64 v = get(w, stream);

	return (__s64)(v >> 1 ^ -(v & 1));
}

static const char *get_text(struct work *w)
{
	struct cursor *c = &w->stream[VST_STREAM_TEXTS];
	const unsigned char *text = c->at, *end = NULL;

	if (!w->err && c->at < c->end)
		end = memchr(c->at, 0, (size_t)(c->end - c->at));
	if (!end) {
		fail(w, -EBADMSG);
		return "";
	}
	c->at = end + 1;
	return (const char *)text;
}

/* The next of ascending indices, each stored as the distance from the one before; false: there are no more. */
static bool get_index(struct work *w, __s64 *index)
{
	__u64 gap = get(w, VST_STREAM_SHAPE);

	if (!gap)
		return false;
	if (gap > INDEX_MAX || *index + (__s64)gap >= (__s64)INDEX_MAX) {
		fail(w, -EBADMSG);
		return false;
	}
	*index += (__s64)gap;
	return true;
}

/* --- texts of what does not own them --- */

static char *keep_text(struct work *w, const char *text)
{
	struct vst_record_decoder *d = w->d;
	size_t cap = d->texts_cap ? d->texts_cap * 2 : 64;
	char **more;

	for (size_t i = 0; i < d->n_texts; i++)
		if (!strcmp(d->text[i], text))
			return d->text[i];
	if (d->n_texts >= TEXTS_MAX) {
		fail(w, -EBADMSG);
		return NULL;
	}
	if (d->n_texts == d->texts_cap) {
		more = realloc(d->text, cap * sizeof(*more));
		if (!more) {
			fail(w, -ENOMEM);
			return NULL;
		}
		d->text = more;
		d->texts_cap = cap;
	}
	d->text[d->n_texts] = strdup(text);
	if (!d->text[d->n_texts]) {
		fail(w, -ENOMEM);
		return NULL;
	}
	return d->text[d->n_texts++];
}

/* --- fields --- */

static void take_number(struct work *w, const struct vst_record_field *f, void *value)
{
	__u64 v = 0;

	memcpy(&v, (char *)value + f->offset, f->size);
	v += (__u64)get_signed(w, VST_STREAM_NUMBERS);
	if (f->type == VST_RECORD_BOOL)
		v = v != 0;
	memcpy((char *)value + f->offset, &v, f->size);
}

/* f NULL: the field is skipped. */
static void take_hist(struct work *w, const struct vst_record_field *f, void *value)
{
	struct vst_sparse none = { 0 }, *h = f ? (struct vst_sparse *)((char *)value + f->offset) : &none;
	unsigned int old = 0, n = 0;
	struct vst_bucket *room;
	__s64 at = -1;
	__u64 gap;

	if (w->rooms > VST_TIME__N) {
		fail(w, -EBADMSG);
		return;
	}
	room = w->room[w->rooms];
	w->rooms += f != NULL;
	while ((gap = get(w, VST_STREAM_BUCKETS))) {
		__s64 grew = get_signed(w, VST_STREAM_GROWTH);

		at += (__s64)(gap < VST_HIST_BUCKETS ? gap : VST_HIST_BUCKETS);
		if (at >= VST_HIST_BUCKETS) {
			fail(w, -EBADMSG);
			return;
		}
		for (; old < h->n && h->bucket[old].index < at; old++)
			room[n++] = h->bucket[old];
		if (old < h->n && h->bucket[old].index == at)
			grew += (__s64)h->bucket[old++].n;
		if (grew > 0)
			room[n++] = (struct vst_bucket){ (__u64)at, (__u64)grew & ((1ULL << 56) - 1) };
	}
	for (; old < h->n; old++)
		room[n++] = h->bucket[old];
	*h = (struct vst_sparse){ room, n };
}

static void take_texts(struct work *w, const struct vst_record_field *f, void *value)
{
	__u64 n = get(w, VST_STREAM_NUMBERS);
	char **list = NULL;

	if (n > TEXTS_MAX || (f && !f->max && n % f->width)) {
		fail(w, -EBADMSG);
		return;
	}
	if (f && f->max) {
		list = (char **)((char *)value + f->offset);
	} else if (f && n) {
		list = calloc(n, sizeof(*list));
		if (!list || w->arrays == sizeof(w->array) / sizeof(w->array[0])) {
			free(list);
			fail(w, -ENOMEM);
			return;
		}
		w->array[w->arrays++] = list;
	}
	for (__u64 i = 0; i < n; i++) {
		const char *text = get_text(w);

		if (f && f->max && i < f->max)
			list[i] = keep_text(w, text);
		else if (f && !f->max)
			list[i] = (char *)text;
	}
	if (!f)
		return;
	if (f->max) {
		*(unsigned int *)((char *)value + f->count) = w->err ? 0 : n < f->max ? (unsigned int)n : f->max;
		return;
	}
	*(char ***)((char *)value + f->offset) = list;
	*(size_t *)((char *)value + f->count) = n / f->width;
	w->texts_changed = true;
}

static void take_text(struct work *w, const struct vst_record_field *f, void *value, bool owned)
{
	const char *text = get_text(w);

	if (!f)
		return;
	*(const char **)((char *)value + f->offset) = owned ? text : keep_text(w, text);
	w->texts_changed = true;
}

/* owned: the value will own its texts, so they need not be kept. */
static void take_fields(struct work *w, const struct vst_record_map *m, void *value, bool owned)
{
	__u64 mask = get(w, VST_STREAM_SHAPE);

	w->rooms = 0;
	w->texts_changed = false;
	for (unsigned int i = 0; !w->err && i < m->n; i++) {
		const struct vst_record_field *f = NULL;

		if (!(mask >> i & 1))
			continue;
		if (m->field[i].field >= 0)
			f = &vst_record_lists[m->list].field[m->field[i].field];
		if (m->field[i].type == VST_RECORD_TEXT)
			take_text(w, f, value, owned);
		else if (m->field[i].type == VST_RECORD_TEXTS)
			take_texts(w, f, value);
		else if (m->field[i].type == VST_RECORD_HIST)
			take_hist(w, f, value);
		else if (f)
			take_number(w, f, value);
		else
			get_signed(w, VST_STREAM_NUMBERS);
	}
	if (mask && m->n < 64 && mask >> m->n)
		fail(w, -EBADMSG);
}

/* --- values --- */

static size_t hists_size(const struct vst_record_list *list, const void *value)
{
	size_t n = 0;

	for (unsigned int i = 0; i < list->n; i++)
		if (list->field[i].type == VST_RECORD_HIST)
			n += ((const struct vst_sparse *)((const char *)value + list->field[i].offset))->n;
	return n * sizeof(struct vst_bucket);
}

static void move_hists(const struct vst_record_list *list, void *value, struct vst_bucket *room)
{
	for (unsigned int i = 0; i < list->n; i++) {
		struct vst_sparse *h = (struct vst_sparse *)((char *)value + list->field[i].offset);

		if (list->field[i].type != VST_RECORD_HIST)
			continue;
		h->bucket = h->n ? memcpy(room, h->bucket, h->n * sizeof(*room)) : NULL;
		room += h->n;
	}
}

/* Makes a value of what was read: w->value, whose texts are in the frame, or in old if none of them changed. */
static void *value_of(struct work *w, const struct vst_record_list *list, const void *old)
{
	enum vst_snap_list which = (enum vst_snap_list)list->list;
	size_t extra = hists_size(list, &w->value), head = sizeof(struct vst_value);
	bool shares = old && !w->texts_changed;
	void *room, *v;

	v = shares ? vst_value_copy(which, old, extra, &room) : vst_value_new_with(which, extra, &room);
	if (!v)
		return NULL;
	memcpy((char *)v + head, (char *)&w->value + head, list->size - head);
	move_hists(list, v, room);
	if (list->changed >= 0)
		*(__u64 *)((char *)v + list->changed) = w->s->seq;
	if (!shares && list->list != VST_SNAP_IOS && vst_value_own_texts(which, v)) {
		memset((char *)v + head, 0, list->size - head);
		vst_value_unref(v);
		return NULL;
	}
	return v;
}

static void take_value(struct work *w, const struct vst_record_map *m, __u32 index)
{
	const struct vst_record_list *list = m->list >= 0 ? &vst_record_lists[m->list] : NULL;
	const void *old = NULL;
	__u32 at = index;
	void *new;

	memset(&w->value, 0, sizeof(w->value));
	if (list)
		old = vst_snapshot_next_value(w->s, (enum vst_snap_list)list->list, &at);
	if (at != index)
		old = NULL;
	if (old)
		memcpy(&w->value, old, list->size);
	take_fields(w, m, &w->value, true);
	if (!w->err && list) {
		new = value_of(w, list, old);
		if (!new || vst_snapshot_put(w->s, (enum vst_snap_list)list->list, index, new))
			fail(w, -ENOMEM);
	}
	while (w->arrays)
		free(w->array[--w->arrays]);
}

static void take_list(struct work *w, const struct vst_record_map *m)
{
	__s64 index = -1;

	while (get_index(w, &index))
		if (m->list >= 0 &&
		    vst_snapshot_put(w->s, (enum vst_snap_list)vst_record_lists[m->list].list, (__u32)index, NULL))
			fail(w, -ENOMEM);
	index = -1;
	while (get_index(w, &index))
		take_value(w, m, (__u32)index);
}

static void take_probes(struct work *w, const struct vst_record_map *m)
{
	__u64 n = get(w, VST_STREAM_SHAPE);
	struct vst_snap_probe *probes;
	__s64 index = -1;

	if (n > PROBES_MAX) {
		fail(w, -EBADMSG);
		return;
	}
	probes = calloc(n ?: 1, sizeof(*probes));
	if (!probes) {
		fail(w, -ENOMEM);
		return;
	}
	if (w->s->n_probes)
		memcpy(probes, w->s->probes, (n < w->s->n_probes ? n : w->s->n_probes) * sizeof(*probes));
	free((void *)w->s->probes);
	w->s->probes = probes;
	w->s->n_probes = n;
	while (get_index(w, &index)) {
		if ((__u64)index >= n)
			fail(w, -EBADMSG);
		else
			take_fields(w, m, &probes[index], false);
	}
}

static void take_moment(struct work *w, const struct vst_record_map *m)
{
	__s64 index = -1;

	while (get_index(w, &index))
		take_fields(w, m, w->s, false);
}

/* --- frames --- */

static void open_streams(struct work *w, const unsigned char *frame, size_t len)
{
	const unsigned char *end = frame + len;
	__u64 size[VST_STREAM__N];

	w->stream[0] = (struct cursor){ frame, end };
	for (int i = 0; i < VST_STREAM__N; i++)
		size[i] = get(w, 0);
	frame = w->stream[0].at;
	for (int i = 0; i < VST_STREAM__N; i++) {
		if (size[i] > (size_t)(end - frame)) {
			fail(w, -EBADMSG);
			return;
		}
		w->stream[i] = (struct cursor){ frame, frame + size[i] };
		frame += size[i];
	}
}

static void take_frame(struct work *w, const char **ret_policy)
{
	for (unsigned int i = 0; i < w->d->n_maps && !w->err; i++) {
		const struct vst_record_map *m = &w->d->map[i];

		if (m->list == VST_RECORD_MOMENT)
			take_moment(w, m);
		else if (m->list == VST_RECORD_PROBES)
			take_probes(w, m);
		else
			take_list(w, m);
	}
	*ret_policy = get(w, VST_STREAM_SHAPE) ? get_text(w) : NULL;
}

int vst_record_decode(struct vst_record_decoder *d, const unsigned char *frame, size_t len,
		      const struct vst_snapshot *prev, const struct vst_snapshot **ret, const char **ret_policy)
{
	struct work *w = calloc(1, sizeof(*w));
	const char *policy = NULL;
	int err;

	if (!w)
		return -ENOMEM;
	w->d = d;
	w->s = vst_snapshot_next(prev);
	if (!w->s) {
		free(w);
		return -ENOMEM;
	}
	w->s->seq = prev ? prev->seq : 0; /* the frame has the difference */
	open_streams(w, frame, len);
	take_frame(w, &policy);
	err = w->err;
	if (err) {
		vst_snapshot_unref(w->s);
	} else {
		*ret = w->s;
		*ret_policy = policy;
	}
	free(w);
	return err;
}

/* --- the head of a file --- */

static int find_list(const char *name)
{
	for (int i = 0; i < VST_RECORD_LISTS; i++)
		if (!strcmp(vst_record_lists[i].name, name))
			return i;
	return -1;
}

static short find_field(int list, const char *name, size_t len, char type)
{
	for (unsigned int i = 0; list >= 0 && i < vst_record_lists[list].n; i++) {
		const struct vst_record_field *f = &vst_record_lists[list].field[i];

		if (strlen(f->name) == len && !memcmp(f->name, name, len) && f->type == type)
			return (short)i;
	}
	return -1;
}

int vst_record_decoder_add(struct vst_record_decoder *d, const char *list, const char *fields)
{
	struct vst_record_map *m;

	if (d->n_maps == VST_RECORD_MAPS_MAX)
		return -EBADMSG;
	m = &d->map[d->n_maps];
	*m = (struct vst_record_map){ .list = find_list(list) };
	for (unsigned int i = 0; m->list >= 0 && i < d->n_maps; i++)
		if (d->map[i].list == m->list)
			return -EBADMSG;
	while (*fields) {
		size_t len = strcspn(fields, ": ");

		if (!len || fields[len] != ':' || !fields[len + 1] || !strchr("nbrtlh", fields[len + 1]) ||
		    (fields[len + 2] && fields[len + 2] != ' ') || m->n == VST_RECORD_FIELDS_MAX)
			return -EBADMSG;
		m->field[m->n].type = fields[len + 1];
		m->field[m->n++].field = find_field(m->list, fields, len, fields[len + 1]);
		fields += len + 2;
		fields += *fields == ' ';
	}
	d->n_maps++;
	return 0;
}

void vst_record_decoder_clear(struct vst_record_decoder *d)
{
	while (d->n_texts)
		free(d->text[--d->n_texts]);
	free(d->text);
	*d = (struct vst_record_decoder){ 0 };
}
