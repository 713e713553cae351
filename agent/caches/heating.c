// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/base/log.h"
#include "agent/caches/heating.h"
#include "lib/cleanup.h"

#define SYSFS_EVERY 5.0 /* seconds between two readings of sysfs */
#define SUM_EVERY 5.0	/* ... and between two sums of the heat map: 64 MiB of it take some 20 ms */
#define READ_AT_ONCE 512

void vst_heating_free(struct vst_heating *h)
{
	vst_heating_sample_end(h);
	vst_dm_look_end(&h->dm_look);
	for (size_t i = 0; i < h->n; i++)
		free(h->at[i].covered);
	free(h->rows);
	free(h->kept_container);
	free(h->kept_owner);
	vst_pins_close(&h->pins);
}

/* --- which caches there are --- */

static size_t read_infos(const struct vst_devices *devices, struct vst_cache_info *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < devices->n && n < VST_CACHES; i++) {
		const struct vst_device *d = &devices->list[i];

		if (d->present && d->layer == VST_LAYER_STACKED && d->sectors)
			n += vst_cache_info_read(devices->root, d, &ret[n]);
	}
	return n;
}

/* The same devices and sizes: what was noted stays right. */
static bool same_layout(const struct vst_heating *h, const struct vst_cache_info *info, size_t n)
{
	bool same = h->n == n;

	for (size_t i = 0; same && i < n; i++) {
		const struct vst_cache_info *was = &h->at[i].info;

		same = was->dev == info[i].dev && !strcmp(was->set, info[i].set) && was->bytes == info[i].bytes &&
		       was->buckets == info[i].buckets && was->bucket_bytes == info[i].bucket_bytes;
	}
	return same;
}

static void set_classes(struct vst_cache_state *state)
{
	for (unsigned int kind = 0; kind < VST_KIND__N; kind++)
		for (unsigned int size = 0; size < VST_SIZE__N; size++)
			state->class_of[VST_CLASS_INDEX(kind, size)] = (__u8)vst_class(kind, size);
}

static int watch(struct vst_heating *h, const struct vst_cache_info *info, size_t n, struct vst_probes *probes)
{
	struct vst_cached at[VST_CACHES] = { 0 };
	struct vst_cache_sizes sizes;
	struct vst_cache_state *state;
	int err;

	vst_cache_layout(info, n, VST_HEAT_BYTES_MAX, at, &sizes);
	err = vst_probes_cache(probes, &sizes);
	state = vst_probes_maps(probes)->cache_state;
	if (err || !state)
		return err ?: -ENOMEM;
	set_classes(state);
	memcpy(state->at, at, sizeof(at));
	vst_heating_sample_end(h);
	state->place_mask = sizes.places / VST_PLACE_WAYS - 1;
	__atomic_store_n(&state->n, (__u32)n, __ATOMIC_RELEASE);
	for (size_t i = 0; i < h->n; i++)
		free(h->at[i].covered);
	memset(h->at, 0, sizeof(h->at));
	h->n = n;
	for (size_t i = 0; i < n; i++) {
		h->at[i].info = info[i];
		h->at[i].covered = calloc(at[i].chunks + 1, sizeof(uint64_t));
		if (!h->at[i].covered)
			err = -ENOMEM;
		vst_info("watches the cache of %s: %s before %s, %llu MiB", info[i].name, info[i].cache, info[i].origin,
			 (unsigned long long)(info[i].cache_bytes >> 20));
	}
	h->summed_at = 0;
	h->pins_stale = true;
	h->n_kept_owners = 0;
	vst_heating_sample_begin(h, vst_probes_maps(probes));
	return err;
}

void vst_heating_follow(struct vst_heating *h, const struct vst_devices *devices, struct vst_probes *probes, double now)
{
	struct vst_cache_info info[VST_CACHES];
	size_t n;

	vst_dm_look_take(&h->dm_look, devices, h->dm, &h->n_dm);
	if (now - h->read_at < SYSFS_EVERY && h->read_at > 0)
		return;
	if (!vst_dm_look_begin(&h->dm_look, devices))
		h->n_dm = 0;
	n = devices->stacked_counted ? read_infos(devices, info) : 0;
	if (same_layout(h, info, n)) {
		h->read_at = now;
		for (size_t i = 0; i < n; i++)
			h->at[i].info = info[i];
		return;
	}
	if (!n) {
		vst_heating_sample_end(h);
		vst_probes_cache(probes, NULL);
		for (size_t i = 0; i < h->n; i++)
			free(h->at[i].covered);
		memset(h->at, 0, sizeof(h->at));
		h->n = 0;
		h->n_kept_owners = 0;
		h->pins_stale = true;
		h->read_at = now;
	} else if (watch(h, info, n, probes) != -EAGAIN) {
		h->read_at = now;
	}
}

/* --- counters --- */

static struct vst_cache_row *new_row(struct vst_heating *h)
{
	struct vst_cache_row *rows;

	if (h->n_rows == h->cap_rows) {
		size_t cap = h->cap_rows ? 2 * h->cap_rows : 64;

		rows = realloc(h->rows, cap * sizeof(*rows));
		if (!rows)
			return NULL;
		h->rows = rows;
		h->cap_rows = cap;
	}
	return &h->rows[h->n_rows++];
}

/* A container that ended is forgotten after VST_KEEP_DEAD, and would be known anew, by a number, for as long as a counter names it. */
static bool is_over(const struct vst_container *container, double now)
{
	return container->ended > 0 && (container->crowded_out || now - container->ended > VST_KEEP_DEAD * 0.9);
}

/* 0; 1: the container is over, and the counters are to be deleted; -ENOMEM. */
static int add_row(struct vst_heating *h, struct vst_owners *owners, const struct vst_cache_key *key,
		   const struct vst_cache_counts *counts, double now)
{
	struct vst_key owner = { .owner = key->owner >> 2, .hier = key->owner & 3, .witness = key->witness };
	struct vst_container *container = vst_owners_of(owners, &owner, now);
	struct vst_cache_row *row = container ? new_row(h) : NULL;

	if (!row)
		return -ENOMEM;
	*row = (struct vst_cache_row){ container, key->dev, key->class, *counts };
	return is_over(container, now);
}

static int by_key(const void *a, const void *b)
{
	const struct vst_cache_row *x = a, *y = b;

	if (x->container != y->container)
		return x->container->number < y->container->number ? -1 : 1;
	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return (x->class > y->class) - (x->class < y->class);
}

/* A container may be known by several ids: one row each for it, a device and a class. */
static void merge_rows(struct vst_heating *h)
{
	size_t n = 0;

	if (h->n_rows)
		qsort(h->rows, h->n_rows, sizeof(*h->rows), by_key);
	for (size_t i = 0; i < h->n_rows; i++) {
		if (!n || by_key(&h->rows[n - 1], &h->rows[i]) != 0) {
			h->rows[n++] = h->rows[i];
			continue;
		}
#define X(f, d) h->rows[n - 1].counts.f += h->rows[i].counts.f;
		VST_CACHE_COUNTERS(X)
#undef X
	}
	h->n_rows = n;
}

static struct vst_cached_device *device_of(struct vst_heating *h, __u32 dev)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->at[i].info.dev == dev)
			return &h->at[i];
	return NULL;
}

/* What was admitted for a container that is forgotten was admitted all the same: the sum must not go back. */
static void drop_over(struct vst_heating *h, int fd, const struct vst_cache_key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct vst_cached_device *d = device_of(h, keys[i].dev);
		struct vst_cache_counts last;

		if (!bpf_map_lookup_and_delete_elem(fd, &keys[i], &last) && d)
			d->admitted_before += last.admitted_bytes;
	}
}

static void sum_admitted(struct vst_heating *h)
{
	for (size_t i = 0; i < h->n; i++)
		h->at[i].admitted = h->at[i].admitted_before;
	for (size_t i = 0; i < h->n_rows; i++) {
		struct vst_cached_device *d = device_of(h, h->rows[i].dev);

		if (d)
			d->admitted += h->rows[i].counts.admitted_bytes;
	}
}

static int read_rows(struct vst_heating *h, int fd, struct vst_owners *owners, double now)
{
	_cleanup_free_ struct vst_cache_counts *counts = calloc(READ_AT_ONCE, sizeof(*counts));
	_cleanup_free_ struct vst_cache_key *keys = calloc(READ_AT_ONCE, sizeof(*keys));
	_cleanup_free_ struct vst_cache_key *over = calloc(READ_AT_ONCE, sizeof(*over));
	__u32 batch = 0, n, got = 0, n_over = 0;
	int err = counts && keys && over ? 0 : -ENOMEM, end = 0;

	for (n = READ_AT_ONCE; !err && !end && got < 2 * VST_CACHE_ROWS; n = READ_AT_ONCE) {
		end = bpf_map_lookup_batch(fd, got ? &batch : NULL, &batch, keys, counts, &n, NULL);
		if (end && errno != ENOENT)
			return -errno;
		got += n;
		for (__u32 i = 0; i < n && err >= 0; i++) {
			err = add_row(h, owners, &keys[i], &counts[i], now);
			if (err > 0 && n_over < READ_AT_ONCE) /* the others at the next tick */
				over[n_over++] = keys[i];
		}
		err = err < 0 ? err : 0;
		if (!n)
			break;
	}
	if (err)
		return err;
	merge_rows(h);
	sum_admitted(h);
	drop_over(h, fd, over, n_over);
	return 0;
}

static void view_of(const struct vst_heating *h, const struct vst_maps *m, size_t i, struct vst_heat_view *ret)
{
	const struct vst_cached *c = &m->cache_state->at[i];

	*ret = (struct vst_heat_view){
		.heat = m->heat + c->first,
		.pins = (const uint64_t *)m->cache_pins + c->first,
		.chunks = c->chunks,
		.unit_shift = c->unit_shift,
		.index = (__u32)i,
		.places = m->cache_places,
		.n_places = (m->cache_state->place_mask + 1) * VST_PLACE_WAYS,
		.epochs = (const uint64_t *)m->cache_epochs,
		.n_epochs = c->first_bucket + c->buckets,
	};
}

static __u32 oldest_at(double now)
{
	return now > VST_HEAT_AGE_S ? (__u32)(now - VST_HEAT_AGE_S) : 0;
}

static void cover(struct vst_cached_device *d, const struct vst_heat_view *view)
{
	memset(d->covered, 0, view->chunks * sizeof(*d->covered));
	vst_heat_cover(view, d->covered);
}

static void sum(struct vst_heating *h, const struct vst_maps *m, double now)
{
	struct vst_heat_view view;

	if (now - h->summed_at < SUM_EVERY)
		return;
	h->summed_at = now;
	for (size_t i = 0; i < h->n; i++) {
		if (!h->at[i].covered)
			continue;
		view_of(h, m, i, &view);
		cover(&h->at[i], &view);
		vst_heat_sum(&view, h->at[i].covered, oldest_at(now), &h->at[i].sum);
		vst_heating_sum_pins(h, &h->at[i], &view);
	}
}

int vst_heating_collect(struct vst_heating *h, struct vst_probes *probes, struct vst_owners *owners, double now)
{
	const struct vst_maps *m = vst_probes_maps(probes);
	int err;

	h->n_rows = 0;
	h->collected = true;
	if (!h->n || !m->cache_state)
		return 0;
	h->collected = false;
	vst_heating_sample(h, m);
	sum(h, m, now);
	h->lost = __atomic_load_n(&m->cache_state->lost, __ATOMIC_RELAXED);
	err = read_rows(h, m->cache_rows_fd, owners, now);
	h->collected = !err;
	return err;
}

/* --- the snapshot --- */

static int put_value(struct vst_snapshot *s, struct vst_snap_cache *v, const struct vst_cache_info *info, __u32 place)
{
	v->dev = info->dev;
	v->type = (char *)vst_cache_type_name(info->type);
	v->name = (char *)info->name;
	v->origin = (char *)info->origin;
	v->cache = (char *)info->cache;
	v->set = (char *)info->set;
	v->mode = (char *)info->mode;
	v->replacement = (char *)info->replacement;
	v->bytes = info->bytes;
	v->cache_bytes = info->cache_bytes;
	v->bucket_bytes = info->bucket_bytes;
	v->dirty_bytes = info->dirty_bytes;
	if (vst_value_own_texts(VST_SNAP_CACHES, v)) {
		v->type = v->name = v->origin = v->cache = v->set = v->mode = v->replacement = NULL; /* not its own */
		vst_value_unref(v);
		return -ENOMEM;
	}
	return vst_snapshot_put(s, VST_SNAP_CACHES, place, v);
}

static int put_device(struct vst_snapshot *s, const struct vst_cached_device *d, __u32 place)
{
	struct vst_snap_cache *v = vst_value_new(VST_SNAP_CACHES);

	if (!v)
		return -ENOMEM;
	v->admitted_bytes = d->admitted;
	memcpy(v->kept_bytes, d->sum.bytes, sizeof(v->kept_bytes));
	memcpy(v->resident_bytes, d->sum.resident, sizeof(v->resident_bytes));
	return put_value(s, v, &d->info, place);
}

static int put_dm(struct vst_snapshot *s, const struct vst_dm_cache *d, __u32 place)
{
	struct vst_snap_cache *v = vst_value_new(VST_SNAP_CACHES);

	if (!v)
		return -ENOMEM;
	v->used_bytes = d->used_bytes;
#define X(f, what) v->f = d->f;
	VST_DM_CACHE_COUNTERS(X)
#undef X
	return put_value(s, v, &d->info, place);
}

static int put_row(struct vst_snapshot *s, const struct vst_cache_row *row, __u32 place)
{
	struct vst_snap_cache_row *v = vst_value_new(VST_SNAP_CACHE_ROWS);

	if (!v)
		return -ENOMEM;
	v->container = row->container->place;
	v->dev = row->dev;
	v->class = (__u8)row->class;
	v->counts = row->counts;
	return vst_snapshot_put(s, VST_SNAP_CACHE_ROWS, place, v);
}

int vst_heating_put(struct vst_heating *h, const struct vst_probes *probes, struct vst_snapshot *s)
{
	int err = 0;

	for (__u32 i = 0; i < 2 * VST_CACHES && !err; i++) {
		if (i < h->n)
			err = put_device(s, &h->at[i], i);
		else if (i - h->n < h->n_dm)
			err = put_dm(s, &h->dm[i - h->n], i);
		else if (vst_snapshot_cache(s, i))
			err = vst_snapshot_put(s, VST_SNAP_CACHES, i, NULL);
	}
	if (!err)
		err = vst_heating_put_pins(h, s);
	if (!err)
		err = vst_heating_put_curves(h, vst_probes_maps(probes), s);
	if (!h->collected) /* the counters of the last snapshot stay; the containers of the rows may be gone */
		return err;
	h->collected = false;
	for (__u32 i = 0; i < h->n_rows && !err; i++)
		err = put_row(s, &h->rows[i], i);
	for (__u32 i = (__u32)h->n_rows; i < h->n_put && !err; i++)
		err = vst_snapshot_put(s, VST_SNAP_CACHE_ROWS, i, NULL);
	h->n_put = (__u32)h->n_rows;
	return err;
}

/* --- what to keep --- */

void vst_heating_classes(struct vst_probes *probes, const __u8 class_of[64])
{
	struct vst_cache_state *state = vst_probes_maps(probes)->cache_state;

	if (state && memcmp(state->class_of, class_of, sizeof(state->class_of)) != 0)
		memcpy(state->class_of, class_of, sizeof(state->class_of));
}

void vst_heating_keeper(struct vst_probes *probes, __u32 pid)
{
	struct vst_cache_state *state = vst_probes_maps(probes)->cache_state;

	if (state)
		__atomic_store_n(&state->keeper, pid, __ATOMIC_RELAXED);
}

int vst_heating_choose(struct vst_heating *h, const struct vst_probes *probes, __u32 dev,
		       const struct vst_keep_pass *pass, double now, uint64_t **ret_offsets, size_t *ret_n,
		       size_t *ret_known)
{
	const struct vst_maps *m = vst_probes_maps(probes);
	struct vst_heat_wanted wanted = {
		.classes = pass->due,
		.unknown = pass->kept,
		.oldest = oldest_at(now),
		.max_unknown = pass->max_unknown,
		.max_pinned = pass->max_pinned,
	};
	struct vst_heat_view view;
	int err;

	for (size_t i = 0; m->cache_state && i < h->n; i++) {
		struct vst_cached_device *d = &h->at[i];

		if (d->info.dev != dev || !d->covered)
			continue;
		view_of(h, m, i, &view);
		cover(d, &view);
		wanted.cursor = d->cursor;
		/* more than half of a cache is not worth keeping at the cost of all else */
		wanted.max_buckets = (__u32)(d->info.buckets / 2);
		err = vst_heat_choose(&view, d->covered, &wanted, ret_offsets, ret_n, ret_known);
		d->cursor = wanted.cursor;
		return err;
	}
	return -ENODEV;
}
