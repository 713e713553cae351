// SPDX-License-Identifier: GPL-2.0-only
/* What is pinned, told to the probes and to snapshots. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/base/log.h"
#include "agent/caches/heating.h"
#include "lib/cleanup.h"

/* --- requests --- */

static const char *what_is(const char *text)
{
	const char *space = strchr(text, ' ');

	return space ? space + 1 : text;
}

int vst_heating_pin(struct vst_heating *h, bool undo, const char *text, double now, char *ret, size_t size)
{
	const char *what = what_is(text);
	int err = undo ? vst_pins_remove(&h->pins, text) : vst_pins_add(&h->pins, text, now);

	switch (err) {
	case 0:
		h->pins_stale = true;
		snprintf(ret, size, "%.400s is %s", what,
			 undo ? "not kept in caches any more" : "kept in the cache of its disk");
		return 0;
	case -EEXIST:
		snprintf(ret, size, "%.400s is kept already: 'vstorctl cache' shows how much of it the cache has",
			 what);
		return -EINVAL;
	case -ENOENT:
		snprintf(ret, size, "%.400s is not kept by 'vstorctl cache keep': 'vstorctl cache' lists what is",
			 what);
		return -EINVAL;
	case -ENOSPC:
		snprintf(ret, size,
			 "%d paths and containers are kept already: take one back with 'vstorctl cache unkeep'",
			 VST_PINS_MAX);
		return -EINVAL;
	case -EINVAL:
		snprintf(ret, size, "this is neither 'path /...' nor 'container /CGROUP': nothing was changed");
		return err;
	default:
		snprintf(ret, size, "cannot keep %.400s: %s", what, strerror(-err));
		return err;
	}
}

void vst_heating_keep_containers(struct vst_heating *h, const __u32 *numbers, size_t n)
{
	__u32 *list;

	if (n == h->n_kept_containers && (!n || !memcmp(numbers, h->kept_container, n * sizeof(*numbers))))
		return;
	list = realloc(h->kept_container, (n + 1) * sizeof(*list));
	if (!list)
		return; /* the next tick tries again */
	memcpy(list, numbers, n * sizeof(*numbers));
	h->kept_container = list;
	h->n_kept_containers = n;
}

/* --- which pins are kept --- */

static struct vst_cached_device *device_of(struct vst_heating *h, __u32 dev)
{
	for (size_t i = 0; dev && i < h->n; i++)
		if (h->at[i].info.dev == dev)
			return &h->at[i];
	return NULL;
}

/* The reason why a path is not kept, into pin->text; "": it is. left: bytes of the cache that pins may still take. */
static void judge(struct vst_pin *pin, const struct vst_cached_device *d, __u64 left, const struct vst_devices *devices)
{
	const struct vst_device *disk = vst_devices_find((struct vst_devices *)devices, pin->extents.dev);

	*pin->text = 0;
	if (pin->result == -EOPNOTSUPP || pin->result == -ENOTTY)
		snprintf(pin->text, sizeof(pin->text), "its filesystem does not tell where its files lie (FIEMAP)");
	else if (pin->result == -EMEDIUMTYPE || pin->result == -ELOOP)
		snprintf(pin->text, sizeof(pin->text), "it is no file and no directory");
	else if (pin->result)
		snprintf(pin->text, sizeof(pin->text), "vstord cannot read it: %s", strerror(-pin->result));
	else if (!d)
		snprintf(pin->text, sizeof(pin->text), "it is on %.32s, which has no cache: only bcache is looked at",
			 disk ? disk->name : "no disk of its own");
	else if (pin->extents.bytes > left)
		snprintf(pin->text, sizeof(pin->text),
			 "it has %llu MiB, and at most half of the cache is kept: %llu MiB are left",
			 (unsigned long long)(pin->extents.bytes >> 20), (unsigned long long)(left >> 20));
}

static void tell(struct vst_pin *pin, const struct vst_cached_device *d, bool was_kept)
{
	if (pin->told && pin->kept == was_kept)
		return;
	pin->told = true;
	if (pin->kept)
		vst_info("keeps %s in the cache of %s: %llu files, %llu KiB", pin->name, d->info.name,
			 (unsigned long long)pin->extents.files, (unsigned long long)(pin->extents.bytes >> 10));
	else
		vst_warn("cannot keep %s in a cache: %s", pin->name, pin->text);
}

static void judge_all(struct vst_heating *h, const struct vst_devices *devices)
{
	__u64 used[VST_CACHES] = { 0 };

	for (size_t i = 0; i < h->pins.n; i++) {
		struct vst_pin *pin = &h->pins.list[i];
		struct vst_cached_device *d = device_of(h, pin->extents.dev);
		bool was = pin->kept;
		__u64 max = d ? d->info.cache_bytes / 2 : 0;
		size_t at = d ? (size_t)(d - h->at) : 0;

		if (pin->is_container || !pin->looked)
			continue;
		judge(pin, d, max > used[at] ? max - used[at] : 0, devices);
		pin->kept = !*pin->text;
		pin->dev = d ? d->info.dev : 0;
		tell(pin, d, was);
		if (!pin->kept) {
			pin->resident = 0;
			continue;
		}
		used[at] += pin->extents.bytes;
		if (pin->extents.cut)
			snprintf(pin->text, sizeof(pin->text),
				 "of it only the first %d files or %d extents are kept: it has more", VST_EXTENTS_FILES,
				 VST_EXTENTS_MAX);
	}
}

/* --- the probes' tables --- */

static void write_pins(struct vst_heating *h, const struct vst_maps *m, size_t i)
{
	const struct vst_cached *c = &m->cache_state->at[i];
	_cleanup_free_ uint64_t *words = calloc(c->chunks + 1, sizeof(*words));

	if (!words) {
		h->pins_stale = true; /* the next tick tries again */
		return;
	}
	for (size_t p = 0; p < h->pins.n; p++) {
		const struct vst_pin *pin = &h->pins.list[p];

		for (size_t e = 0; pin->kept && pin->dev == c->dev && e < pin->extents.n; e++)
			vst_heat_mark(words, c->chunks, c->unit_shift, pin->extents.list[e].offset,
				      pin->extents.list[e].bytes);
	}
	for (__u32 n = 0; n < c->chunks; n++)
		if (m->cache_pins[c->first + n] != words[n])
			__atomic_store_n(&m->cache_pins[c->first + n], words[n], __ATOMIC_RELAXED);
}

static bool is_kept(const struct vst_heating *h, const struct vst_container *container)
{
	for (size_t i = 0; i < h->n_kept_containers; i++)
		if (h->kept_container[i] == container->number)
			return true;
	for (size_t i = 0; i < h->pins.n; i++)
		if (h->pins.list[i].is_container && !strcmp(h->pins.list[i].name, container->cgroup))
			return true;
	return false;
}

static bool any_container(const struct vst_heating *h)
{
	for (size_t i = 0; i < h->pins.n; i++)
		if (h->pins.list[i].is_container)
			return true;
	return h->n_kept_containers;
}

static int by_value(const void *a, const void *b)
{
	const __u64 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The owners that did I/O to a cached device and belong to a container that is kept; sorted, each once, at most VST_CACHE_KEPT. */
static size_t find_owners(struct vst_heating *h, const struct vst_maps *m, struct vst_owners *owners, __u64 *ret)
{
	size_t n = 0, once = 0;

	for (__u32 row = 1; any_container(h) && row < VST_ROWS && n < VST_CACHE_KEPT; row++) {
		const struct vst_key *key = &m->row_keys[row];
		const struct vst_container *container;

		if (!key->owner || !device_of(h, key->dev))
			continue;
		container = vst_owners_known(owners, key);
		if (container && !container->own && is_kept(h, container))
			ret[n++] = key->owner << 2 | key->hier;
	}
	if (n)
		qsort(ret, n, sizeof(*ret), by_value);
	for (size_t i = 0; i < n; i++)
		if (!once || ret[once - 1] != ret[i])
			ret[once++] = ret[i];
	return once;
}

/* What is in `from` and not in `in` is taken out of the map, or put into it. Both are sorted. */
static void write_owners(const struct vst_maps *m, const __u64 *from, size_t n, const __u64 *in, size_t n_in, bool put)
{
	const __u8 yes = 1;

	for (size_t i = 0, k = 0; i < n; i++) {
		while (k < n_in && in[k] < from[i])
			k++;
		if (k < n_in && in[k] == from[i])
			continue;
		if (put ? bpf_map_update_elem(m->cache_kept_fd, &from[i], &yes, BPF_ANY)
			: bpf_map_delete_elem(m->cache_kept_fd, &from[i]))
			vst_debug("a container that is to be kept in caches: %s", strerror(errno));
	}
}

static void follow_containers(struct vst_heating *h, const struct vst_maps *m, struct vst_owners *owners)
{
	_cleanup_free_ __u64 *found = NULL;
	__u64 *was = h->kept_owner;
	size_t n;

	if (!any_container(h) && !h->n_kept_owners)
		return;
	found = calloc(VST_CACHE_KEPT, sizeof(*found));
	if (!found)
		return;
	n = find_owners(h, m, owners, found);
	write_owners(m, was, h->n_kept_owners, found, n, false);
	write_owners(m, found, n, was, h->n_kept_owners, true);
	__atomic_store_n(&m->cache_state->n_kept, (__u32)n, __ATOMIC_RELAXED);
	h->n_kept_owners = n;
	h->kept_owner = TAKE_PTR(found);
	free(was);
}

/* A container that ended has no I/O, and its cgroup's path may be another's next. */
static void drop_ended(struct vst_heating *h, struct vst_owners *owners)
{
	for (size_t i = h->pins.n; i--;) {
		struct vst_pin *pin = &h->pins.list[i];
		const struct vst_container *c = NULL;

		if (!pin->is_container)
			continue;
		for (c = vst_owners_first(owners); c; c = c->hh.next)
			if (!strcmp(c->cgroup, pin->name))
				break;
		pin->kept = c && !c->ended;
		if (pin->kept)
			continue;
		vst_info("%s is not kept in a cache any more: there is no such container", pin->name);
		vst_pins_drop(&h->pins, i);
	}
}

void vst_heating_follow_pins(struct vst_heating *h, const struct vst_devices *devices, struct vst_probes *probes,
			     struct vst_owners *owners)
{
	const struct vst_maps *m = vst_probes_maps(probes);

	drop_ended(h, owners);
	h->pins_stale |= vst_pins_take(&h->pins);
	if (h->pins_stale) {
		h->pins_stale = false;
		judge_all(h, devices);
		for (size_t i = 0; m->cache_state && i < h->n; i++)
			write_pins(h, m, i);
	}
	if (m->cache_state)
		follow_containers(h, m, owners);
}

void vst_heating_sum_pins(struct vst_heating *h, const struct vst_cached_device *d, const struct vst_heat_view *view)
{
	for (size_t p = 0; p < h->pins.n; p++) {
		struct vst_pin *pin = &h->pins.list[p];
		__u64 bytes = 0;

		if (!pin->kept || pin->dev != d->info.dev)
			continue;
		for (size_t e = 0; e < pin->extents.n; e++)
			bytes += vst_heat_marked(d->covered, view->chunks, view->unit_shift,
						 pin->extents.list[e].offset, pin->extents.list[e].bytes)
				 << view->unit_shift;
		/* the units at the ends of extents may have more than these */
		pin->resident = bytes < pin->extents.bytes ? bytes : pin->extents.bytes;
	}
}

/* --- the snapshot --- */

static int put_pin(struct vst_snapshot *s, const struct vst_pin *pin, __u32 place)
{
	struct vst_snap_pin *v = vst_value_new(VST_SNAP_PINS);

	if (!v)
		return -ENOMEM;
	v->dev = pin->dev;
	v->is_container = pin->is_container;
	v->name = pin->name;
	v->state = (char *)(pin->kept ? "kept" : pin->looked ? "refused" : "looking");
	v->text = (char *)pin->text;
	v->files = pin->extents.files;
	v->bytes = pin->extents.bytes;
	v->resident_bytes = pin->resident;
	v->since = pin->since;
	if (vst_value_own_texts(VST_SNAP_PINS, v)) {
		v->name = v->state = v->text = NULL; /* not its own */
		vst_value_unref(v);
		return -ENOMEM;
	}
	return vst_snapshot_put(s, VST_SNAP_PINS, place, v);
}

int vst_heating_put_pins(struct vst_heating *h, struct vst_snapshot *s)
{
	int err = 0;

	for (__u32 i = 0; i < h->pins.n && !err; i++)
		err = put_pin(s, &h->pins.list[i], i);
	for (__u32 i = (__u32)h->pins.n; i < h->n_pins_put && !err; i++)
		err = vst_snapshot_put(s, VST_SNAP_PINS, i, NULL);
	h->n_pins_put = (__u32)h->pins.n;
	return err;
}
