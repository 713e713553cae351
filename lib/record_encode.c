/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/record_code.h"

void vst_record_buf_free(struct vst_record_buf *b)
{
	free(b->data);
	*b = (struct vst_record_buf){ 0 };
}

unsigned char *vst_record_buf_room(struct vst_record_buf *b, size_t n)
{
	size_t cap = b->cap ?: 256;
	unsigned char *more;

	while (cap < b->len + n)
		cap *= 2;
	if (cap != b->cap) {
		more = b->failed ? NULL : realloc(b->data, cap);
		if (!more) {
			b->failed = true;
			return NULL;
		}
		b->data = more;
		b->cap = cap;
	}
	return b->data + b->len;
}

static void put_bytes(struct vst_record_buf *b, const void *data, size_t n)
{
	unsigned char *to = vst_record_buf_room(b, n);

	if (!to || !n)
		return;
	memcpy(to, data, n);
	b->len += n;
}

static inline void put(struct vst_record_buf *b, __u64 v)
{
	unsigned char *to = b->cap - b->len >= 10 ? b->data + b->len : vst_record_buf_room(b, 10);

	if (!to)
		return;
	for (; v >= 0x80; v >>= 7, b->len++)
		*to++ = (unsigned char)(v | 0x80);
	*to = (unsigned char)v;
	b->len++;
}

/* Small numbers of either sign become small ones. */
static inline void put_signed(struct vst_record_buf *b, __s64 v)
{
	put(b, (__u64)v << 1 ^ (__u64)(v >> 63));
}

static void put_text(struct vst_record_buf *b, const char *text)
{
	text = text ?: "";
	put_bytes(b, text, strlen(text) + 1);
}

/* --- fields --- */

static inline __u64 number_at(const struct vst_record_field *f, const void *value)
{
	const void *at;

	if (!value)
		return 0;
	at = (const char *)value + f->offset;
	switch (f->size) {
	case 8:
		return *(const __u64 *)at;
	case 4:
		return *(const __u32 *)at;
	case 2:
		return *(const __u16 *)at;
	default:
		return *(const __u8 *)at;
	}
}

static const char *text_at(const struct vst_record_field *f, const void *value)
{
	const char *text = value ? *(char *const *)((const char *)value + f->offset) : NULL;

	return text ?: "";
}

static const struct vst_sparse *hist_at(const struct vst_record_field *f, const void *value)
{
	static const struct vst_sparse none;

	return value ? (const struct vst_sparse *)((const char *)value + f->offset) : &none;
}

/* The texts of a list, and how many there are. */
static char *const *texts_at(const struct vst_record_field *f, const void *value, size_t *ret_n)
{
	const char *count = value ? (const char *)value + f->count : NULL, *at;

	*ret_n = 0;
	if (!value)
		return NULL;
	at = (const char *)value + f->offset;
	if (f->max) { /* inside the struct */
		*ret_n = *(const unsigned int *)count;
		return (char *const *)at;
	}
	*ret_n = *(const size_t *)count * f->width;
	return *(char *const *const *)at;
}

static bool same_texts(const struct vst_record_field *f, const void *old, const void *new)
{
	size_t n_old, n_new;
	char *const *o = texts_at(f, old, &n_old), *const *n = texts_at(f, new, &n_new);

	if (n_old != n_new)
		return false;
	for (size_t i = 0; o != n && i < n_new; i++)
		if (o[i] != n[i] && strcmp(o[i] ?: "", n[i] ?: "") != 0)
			return false;
	return true;
}

static bool same_text(const struct vst_record_field *f, const void *old, const void *new)
{
	const char *o = text_at(f, old), *n = text_at(f, new);

	return o == n || !strcmp(o, n);
}

static bool same_hist(const struct vst_record_field *f, const void *old, const void *new)
{
	const struct vst_sparse *o = hist_at(f, old), *n = hist_at(f, new);

	return o->n == n->n && (!n->n || !memcmp(o->bucket, n->bucket, n->n * sizeof(*n->bucket)));
}

/* The buckets that differ; both lists are sorted. Gaps between indices begin at 1, so 0 is the end. */
static void put_hist(struct vst_record_encoder *e, const struct vst_sparse *old, const struct vst_sparse *new)
{
	struct vst_record_buf *buckets = &e->stream[VST_STREAM_BUCKETS], *growth = &e->stream[VST_STREAM_GROWTH];
	unsigned int o = 0, n = 0;
	int last = -1;

	while (o < old->n || n < new->n) {
		int at_old = o < old->n ? (int)old->bucket[o].index : VST_HIST_BUCKETS;
		int at_new = n < new->n ? (int)new->bucket[n].index : VST_HIST_BUCKETS;
		int at = at_old < at_new ? at_old : at_new;
		__s64 grew = 0;

		if (at_new == at)
			grew = (__s64) new->bucket[n++].n;
		if (at_old == at)
			grew -= (__s64)old->bucket[o++].n;
		if (!grew)
			continue;
		put(buckets, (__u64)(at - last));
		put_signed(growth, grew);
		last = at;
	}
	put(buckets, 0);
}

static void put_texts(struct vst_record_encoder *e, const struct vst_record_field *f, const void *new)
{
	char *const *texts;
	size_t n;

	texts = texts_at(f, new, &n);
	put(&e->stream[VST_STREAM_NUMBERS], n);
	for (size_t i = 0; i < n; i++)
		put_text(&e->stream[VST_STREAM_TEXTS], texts[i]);
}

/* False: the field has not changed, and nothing is written. */
static inline bool put_field(struct vst_record_encoder *e, const struct vst_record_field *f, const void *old,
			     const void *new)
{
	__u64 grew;

	switch ((enum vst_record_type)f->type) {
	case VST_RECORD_TEXT:
		if (same_text(f, old, new))
			return false;
		put_text(&e->stream[VST_STREAM_TEXTS], text_at(f, new));
		return true;
	case VST_RECORD_TEXTS:
		if (same_texts(f, old, new))
			return false;
		put_texts(e, f, new);
		return true;
	case VST_RECORD_HIST:
		if (same_hist(f, old, new))
			return false;
		put_hist(e, hist_at(f, old), hist_at(f, new));
		return true;
	default:
		grew = number_at(f, new) - number_at(f, old);
		if (grew)
			put_signed(&e->stream[VST_STREAM_NUMBERS], (__s64)grew);
		return grew != 0;
	}
}

/* *last: the index of the value before, of those that changed. */
static void put_value(struct vst_record_encoder *e, const struct vst_record_list *list, __u32 index, __s64 *last,
		      const void *old, const void *new)
{
	struct vst_record_buf *shape = &e->stream[VST_STREAM_SHAPE];
	__u64 mask = 0;

	for (unsigned int i = 0; i < list->n; i++)
		mask |= (__u64)put_field(e, &list->field[i], old, new) << i;
	if (!mask && old)
		return;
	put(shape, (__u64)(index - *last));
	put(shape, mask);
	*last = index;
}

/* --- lists --- */

static __u32 id_of(const struct vst_record_list *list, const void *value)
{
	return list->id < 0 ? 0 : *(const __u32 *)((const char *)value + list->id);
}

static const void *value_at(const struct vst_snapshot *s, enum vst_snap_list list, __u32 index)
{
	__u32 at = index;
	const void *value = s ? vst_snapshot_next_value(s, list, &at) : NULL;

	return at == index ? value : NULL;
}

/* Those that are gone, and those whose index now belongs to another. */
static void put_removed(struct vst_record_encoder *e, const struct vst_record_list *list,
			const struct vst_snapshot *prev, const struct vst_snapshot *now)
{
	struct vst_record_buf *shape = &e->stream[VST_STREAM_SHAPE];
	enum vst_snap_list which = (enum vst_snap_list)list->list;
	__s64 last = -1;

	for (__u32 i = 0; prev && vst_snapshot_next_change(prev, now, which, &i); i++) {
		const void *old = value_at(prev, which, i), *new = value_at(now, which, i);

		if (!old || (new && id_of(list, new) == id_of(list, old)))
			continue;
		put(shape, (__u64)(i - last));
		last = i;
	}
	put(shape, 0);
}

static void put_list(struct vst_record_encoder *e, const struct vst_record_list *list, const struct vst_snapshot *prev,
		     const struct vst_snapshot *now)
{
	enum vst_snap_list which = (enum vst_snap_list)list->list;
	__s64 last = -1;

	put_removed(e, list, prev, now);
	for (__u32 i = 0; vst_snapshot_next_change(prev, now, which, &i); i++) {
		const void *old = value_at(prev, which, i), *new = value_at(now, which, i);

		if (!new)
			continue;
		/* one that is at the place of another is new */
		put_value(e, list, i, &last, old && id_of(list, old) == id_of(list, new) ? old : NULL, new);
	}
	put(&e->stream[VST_STREAM_SHAPE], 0);
}

static void put_probes(struct vst_record_encoder *e, const struct vst_snapshot *prev, const struct vst_snapshot *now)
{
	const struct vst_record_list *list = &vst_record_lists[VST_RECORD_PROBES];
	__s64 last = -1;

	put(&e->stream[VST_STREAM_SHAPE], now->n_probes);
	for (__u32 i = 0; i < now->n_probes; i++)
		put_value(e, list, i, &last, prev && i < prev->n_probes ? &prev->probes[i] : NULL, &now->probes[i]);
	put(&e->stream[VST_STREAM_SHAPE], 0);
}

static void put_moment(struct vst_record_encoder *e, const struct vst_snapshot *prev, const struct vst_snapshot *now)
{
	__s64 last = -1;

	put_value(e, &vst_record_lists[VST_RECORD_MOMENT], 0, &last, prev, now);
	put(&e->stream[VST_STREAM_SHAPE], 0);
}

/* --- frames --- */

static int join(struct vst_record_encoder *e)
{
	bool failed = false;

	e->frame.len = 0;
	for (int i = 0; i < VST_STREAM__N; i++)
		put(&e->frame, e->stream[i].len);
	for (int i = 0; i < VST_STREAM__N; i++) {
		put_bytes(&e->frame, e->stream[i].data, e->stream[i].len);
		failed |= e->stream[i].failed;
	}
	return failed || e->frame.failed ? -ENOMEM : 0;
}

int vst_record_encode(struct vst_record_encoder *e, const struct vst_snapshot *prev, const struct vst_snapshot *now,
		      const char *policy)
{
	for (int i = 0; i < VST_STREAM__N; i++) {
		e->stream[i].len = 0;
		e->stream[i].failed = false;
	}
	e->frame.failed = false;
	put_moment(e, prev, now);
	put_probes(e, prev, now);
	for (int i = VST_RECORD_VALUES; i < VST_RECORD_LISTS; i++)
		put_list(e, &vst_record_lists[i], prev, now);
	put(&e->stream[VST_STREAM_SHAPE], policy ? 1 : 0);
	if (policy)
		put_text(&e->stream[VST_STREAM_TEXTS], policy);
	return join(e);
}

void vst_record_encoder_clear(struct vst_record_encoder *e)
{
	for (int i = 0; i < VST_STREAM__N; i++)
		vst_record_buf_free(&e->stream[i]);
	vst_record_buf_free(&e->frame);
}
