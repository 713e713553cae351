// SPDX-License-Identifier: GPL-2.0-only
/* The probes of caches: loaded when there is a cache, with tables as large as it needs. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>

#include "agent/base/log.h"
#include "agent/probes/probes_priv.h"

#include "block.skel.h"
#include "cache.skel.h"

static size_t heat_bytes(const struct vst_probes *p)
{
	return p->cache_sizes.chunks * sizeof(struct vst_heat);
}

static size_t places_bytes(const struct vst_probes *p)
{
	return p->cache_sizes.places * sizeof(struct vst_cache_place);
}

static size_t epochs_bytes(const struct vst_probes *p)
{
	return p->cache_sizes.buckets * sizeof(__u64);
}

static size_t pins_bytes(const struct vst_probes *p)
{
	return p->cache_sizes.chunks * sizeof(__u64);
}

static void *map_table(const struct bpf_map *map, size_t bytes, int access)
{
	void *memory = mmap(NULL, bytes, access, MAP_SHARED, bpf_map__fd(map), 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int vst_probes_cache_open(struct vst_probes *p)
{
	struct vst_maps *m = &p->maps;

	m->heat = map_table(p->cache->maps.vst_heat, heat_bytes(p), PROT_READ);
	m->cache_places = map_table(p->cache->maps.vst_cache_places, places_bytes(p), PROT_READ);
	m->cache_epochs = map_table(p->cache->maps.vst_cache_epochs, epochs_bytes(p), PROT_READ);
	m->cache_pins = map_table(p->cache->maps.vst_cache_pins, pins_bytes(p), PROT_READ | PROT_WRITE);
	if (!m->heat || !m->cache_places || !m->cache_epochs || !m->cache_pins) {
		vst_probes_cache_close(p);
		return -ENOMEM;
	}
	m->cache_state = &p->cache->data_cache->vst_cache_state;
	m->cache_rows_fd = bpf_map__fd(p->cache->maps.vst_cache_rows);
	m->cache_kept_fd = bpf_map__fd(p->cache->maps.vst_cache_kept);
	m->cache_uses_fd = bpf_map__fd(p->cache->maps.vst_cache_uses);
	m->cache_read_pages_fd = bpf_map__fd(p->cache->maps.vst_cache_read_pages);
	return 0;
}

void vst_probes_cache_close(struct vst_probes *p)
{
	struct vst_maps *m = &p->maps;

	if (m->heat)
		munmap((void *)m->heat, heat_bytes(p));
	if (m->cache_places)
		munmap((void *)m->cache_places, places_bytes(p));
	if (m->cache_epochs)
		munmap((void *)m->cache_epochs, epochs_bytes(p));
	if (m->cache_pins)
		munmap(m->cache_pins, pins_bytes(p));
	m->heat = NULL;
	m->cache_places = NULL;
	m->cache_epochs = NULL;
	m->cache_pins = NULL;
	m->cache_state = NULL;
	m->cache_rows_fd = m->cache_kept_fd = -1;
	m->cache_uses_fd = m->cache_read_pages_fd = -1;
}

static int set_sizes(struct vst_probes *p, const struct vst_cache_sizes *sizes)
{
	int err = bpf_map__set_max_entries(p->cache->maps.vst_heat, sizes->chunks);

	err = err ?: bpf_map__set_max_entries(p->cache->maps.vst_cache_places, sizes->places);
	err = err ?: bpf_map__set_max_entries(p->cache->maps.vst_cache_epochs, sizes->buckets);
	err = err ?: bpf_map__set_max_entries(p->cache->maps.vst_cache_pins, sizes->chunks);
	p->cache_sizes = *sizes;
	return err;
}

/* An object that was loaded cannot be loaded again: there is a new one in its place. */
static int open_anew(struct vst_probes *p)
{
	struct cache_bpf *old = p->cache;
	struct vst_object *o = &p->object[VST_GROUP_CACHE];
	int err;

	vst_probes_detach(p, VST_GROUP_CACHE);
	vst_probes_cache_close(p);
	vst_for_each_probe_of (i, VST_GROUP_CACHE)
		p->probe[i].run_ns = p->probe[i].run_cnt = 0; /* of a new program */
	o->loaded = o->open = false;
	err = vst_probes_open_group(p, VST_GROUP_CACHE);
	if (err)
		return err;
	cache_bpf__destroy(old);
	err = vst_probes_share_maps(p, VST_GROUP_CACHE);
	return err ?: bpf_map__reuse_fd(p->cache->maps.bss, bpf_map__fd(p->block->maps.bss));
}

static int prepare(struct vst_probes *p, const struct vst_cache_sizes *sizes)
{
	int err = vst_probes_find(p); /* the module may have come since the start */

	err = err ?: set_sizes(p, sizes);
	vst_for_each_probe_of (i, VST_GROUP_CACHE)
		bpf_program__set_autoload(p->probe[i].prog, !p->probe[i].missing);
	return err;
}

int vst_probes_cache(struct vst_probes *p, const struct vst_cache_sizes *sizes)
{
	struct vst_object *o = &p->object[VST_GROUP_CACHE];

	if (p->late)
		return -EAGAIN;
	if (o->err)
		return o->err;
	/* what the tables have is about another layout; without a cache their memory goes back to the kernel */
	if (o->loaded)
		o->err = open_anew(p);
	if (!sizes)
		return o->err;
	o->err = o->err ?: prepare(p, sizes);
	return vst_probes_attach(p, VST_GROUP_CACHE);
}
