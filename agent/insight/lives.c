// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/insight/lives.h"

/* A container and a way in which data ends. It keeps its place, which is its index in snapshots. */
struct life_row {
	const struct vst_container *c; /* NULL: the place is free */
	__u32 number;		       /* of that container */
	__u8 end;
	bool seen, shown;
	struct vst_life_row is, was; /* now, and in the last snapshot */
};

struct vst_lives {
	struct life_row row[VST_LIVES_MAX];
	unsigned int end; /* no row from here on is used */
};

int vst_lives_new(struct vst_lives **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void vst_lives_free(struct vst_lives *l)
{
	free(l);
}

/* NULL: there are too many. */
static struct life_row *row_of(struct vst_lives *l, const struct vst_container *c, __u8 end)
{
	struct life_row *r, *free_row = NULL;

	for (r = l->row; r < l->row + l->end; r++) {
		if (r->c && r->number == c->number && r->end == end)
			return r;
		if (!r->c && !r->shown && !free_row)
			free_row = r;
	}
	if (!free_row && l->end < VST_LIVES_MAX)
		free_row = &l->row[l->end++];
	if (free_row)
		*free_row = (struct life_row){ .c = c, .number = c->number, .end = end };
	return free_row;
}

static void add(struct vst_life_row *to, const struct vst_life_row *from)
{
	for (int i = 0; i < VST_LIFE_BUCKETS; i++)
		to->pages[i] += from->pages[i];
	to->dead += from->dead;
}

static void take(struct vst_lives *l, const struct vst_life_row_key *key, const struct vst_life_row *row,
		 struct vst_owners *owners, double now)
{
	const struct vst_key who = { .owner = key->owner >> 2, .hier = key->owner & 3, .witness = VST_WITNESS_TASK };
	const struct vst_container *c = vst_owners_of(owners, &who, now);
	struct life_row *r = c ? row_of(l, c, (__u8)key->end) : NULL;

	if (!r)
		return;
	r->c = c;
	r->seen = true;
	add(&r->is, row);
}

void vst_lives_collect(struct vst_lives *l, const struct vst_probes *probes, struct vst_owners *owners, double now)
{
	int fd = vst_probes_maps(probes)->life_rows_fd, err;
	struct vst_life_row_key key, next;
	struct vst_life_row row;

	if (fd < 0)
		return;
	for (struct life_row *r = l->row; r < l->row + l->end; r++) {
		r->seen = false;
		r->is = (struct vst_life_row){ 0 };
	}
	err = bpf_map_get_next_key(fd, NULL, &next);
	for (unsigned int i = 0; !err && i < VST_LIFE_ROWS; i++) {
		const struct vst_key who = { .owner = next.owner >> 2,
					     .hier = next.owner & 3,
					     .witness = VST_WITNESS_TASK };

		key = next;
		err = bpf_map_get_next_key(fd, &key, &next);
		if (key.end >= VST_LIFE_END__N || bpf_map_lookup_elem(fd, &key, &row))
			continue;
		if (vst_owners_gone(owners, &who, now - VST_KEEP_DEAD))
			bpf_map_delete_elem(fd, &key);
		else
			take(l, &key, &row, owners, now);
	}
	for (struct life_row *r = l->row; r < l->row + l->end; r++)
		if (!r->seen)
			r->c = NULL;
}

static struct vst_snap_life *value_of(const struct life_row *r)
{
	struct vst_snap_life *v = vst_value_new(VST_SNAP_LIVES);

	if (!v)
		return NULL;
	v->container = r->c->place;
	v->end = r->end;
	for (int i = 0; i < VST_LIFE_BUCKETS; i++)
		v->bytes[i] = r->is.pages[i] << 12;
	v->dead_bytes = r->is.dead << 12;
	return v;
}

int vst_lives_put(struct vst_lives *l, struct vst_snapshot *s)
{
	int err = 0;

	for (unsigned int i = 0; i < l->end && !err; i++) {
		struct life_row *r = &l->row[i];
		struct vst_snap_life *v = NULL;

		if (r->c ? r->shown && !memcmp(&r->is, &r->was, sizeof(r->is)) : !r->shown)
			continue;
		if (r->c) {
			v = value_of(r);
			if (!v)
				return -ENOMEM;
		}
		err = vst_snapshot_put(s, VST_SNAP_LIVES, i, v);
		r->shown = r->c;
		r->was = r->is;
	}
	return err;
}
