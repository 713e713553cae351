// SPDX-License-Identifier: GPL-2.0-only
/* Feeds the reuse distances of cached devices (lib/reuse.h) from what the probes sample, and puts the curves into snapshots. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/base/log.h"
#include "agent/caches/heating.h"
#include "lib/cleanup.h"

#define SAMPLE_PAGES 8192 /* of a cached device: 1 MiB of memory */
#define CURVES_EVERY 5.0  /* seconds between two curves in snapshots */
#define CHUNK_PAGES 16

static int on_use(void *arg, void *data, size_t size)
{
	const struct vst_cache_use *use = data;
	struct vst_heating *h = arg;
	struct vst_reuse *r;

	if (size < sizeof(*use) || use->index >= h->n || !h->at[use->index].reuse)
		return 0;
	r = h->at[use->index].reuse;
	for (unsigned int i = 0; i < CHUNK_PAGES; i++)
		if (use->pages >> i & 1)
			vst_reuse_use(r, (__u64)use->chunk * CHUNK_PAGES + i, vst_reuse_hash(use->chunk),
				      use->class & ~VST_CACHE_USE_READ, use->class & VST_CACHE_USE_READ);
	return 0;
}

void vst_heating_sample_end(struct vst_heating *h)
{
	ring_buffer__free(h->uses);
	h->uses = NULL;
	for (size_t i = 0; i < h->n; i++) {
		vst_reuse_free(h->at[i].reuse);
		h->at[i].reuse = NULL;
	}
}

/* Chunks with a hash up to this one are sampled: all, or as many as the sample can have pages of the whole device, and eight times as many,
 * because most of a device is hardly used. */
static __u64 first_threshold(const struct vst_cache_info *info)
{
	double part = 8.0 * SAMPLE_PAGES * VST_REUSE_PAGE / (double)(info->bytes + 1);

	return part < 1 ? (__u64)(part * 4294967296.0) : 1ULL << 32;
}

void vst_heating_sample_begin(struct vst_heating *h, const struct vst_maps *m)
{
	h->uses = ring_buffer__new(m->cache_uses_fd, on_use, h, NULL);
	if (!h->uses) {
		vst_warn("cannot read what is sampled of caches: %s; 'vstorctl cache what-if' knows nothing",
			 strerror(errno));
		return;
	}
	for (size_t i = 0; i < h->n; i++) {
		h->at[i].reuse = vst_reuse_new(SAMPLE_PAGES);
		if (h->at[i].reuse)
			vst_reuse_start(h->at[i].reuse, first_threshold(&h->at[i].info));
	}
	vst_heating_sample(h, m);
}

void vst_heating_sample(struct vst_heating *h, const struct vst_maps *m)
{
	if (!h->uses)
		return;
	ring_buffer__consume(h->uses);
	for (size_t i = 0; i < h->n; i++)
		__atomic_store_n(&m->cache_state->at[i].threshold,
				 h->at[i].reuse ? (__u32)(vst_reuse_threshold(h->at[i].reuse) - 1) : 0,
				 __ATOMIC_RELAXED);
}

/* --- the snapshot --- */

static __u64 pages_read(const struct vst_maps *m, size_t index, unsigned int class)
{
	_cleanup_free_ __u64 *n = calloc(m->cpus, sizeof(*n));
	__u32 at = (__u32)index << 3 | class;
	__u64 sum = 0;

	if (!n || bpf_map_lookup_elem(m->cache_read_pages_fd, &at, n))
		return 0;
	for (unsigned int cpu = 0; cpu < m->cpus; cpu++)
		sum += n[cpu];
	return sum;
}

/* "bucket:pages bucket:pages"; NULL: out of memory. The caller frees. */
static char *text_of(const struct vst_curve *c)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	bool any = false;

	if (!f)
		return NULL;
	for (unsigned int i = 0; i < VST_REUSE_BUCKETS; i++) {
		if (c->at[i] <= 0)
			continue;
		fprintf(f, "%s%u:%.0f", any ? " " : "", i, c->at[i]);
		any = true;
	}
	return fclose(f) ? NULL : text;
}

static int put_curve(struct vst_snapshot *s, const struct vst_cached_device *d, unsigned int kept, unsigned int class,
		     double total, __u32 place)
{
	const struct vst_curve *c = vst_reuse_curve(d->reuse, kept, class);
	struct vst_snap_curve *v;

	if (c->reads <= 0)
		return vst_snapshot_put(s, VST_SNAP_CURVES, place, NULL);
	v = vst_value_new(VST_SNAP_CURVES);
	if (!v)
		return -ENOMEM;
	v->dev = d->info.dev;
	v->kept = (__u8)kept;
	v->class = (__u8) class;
	v->kept_bytes = vst_reuse_kept_bytes(d->reuse, kept);
	v->total = total;
	v->reads = c->reads;
	v->first = c->first;
	v->at = text_of(c);
	if (!v->at) {
		vst_value_unref(v);
		return -ENOMEM;
	}
	return vst_snapshot_put(s, VST_SNAP_CURVES, place, v);
}

int vst_heating_put_curves(struct vst_heating *h, const struct vst_maps *m, struct vst_snapshot *s)
{
	__u32 place = 0;
	int err = 0;

	if (s->time - h->curved_at < CURVES_EVERY && h->n_curves_put == h->n * VST_REUSE_CLASSES * VST_REUSE_KEPT)
		return 0; /* those of the snapshot before */
	h->curved_at = s->time;
	for (size_t i = 0; i < h->n && h->at[i].reuse && m->cache_state; i++)
		for (unsigned int class = 0; class < VST_REUSE_CLASSES; class ++) {
			double total = (double)pages_read(m, i, class);

			for (unsigned int kept = 0; kept < VST_REUSE_KEPT && !err; kept++)
				err = put_curve(s, &h->at[i], kept, class, total, place++);
		}
	for (__u32 i = place; i < h->n_curves_put && !err; i++)
		err = vst_snapshot_put(s, VST_SNAP_CURVES, i, NULL);
	h->n_curves_put = place;
	return err;
}
