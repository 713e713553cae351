// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/acting/host.h"
#include "lib/cleanup.h"

void vst_host_facts_open(struct vst_host_facts *f, const char *cgroup_root, const char *sysfs)
{
	*f = (struct vst_host_facts){ .read_at = -VST_HOST_FACTS_S };
	vst_roots_open(cgroup_root, sysfs, NULL, &f->roots);
	f->host.v2 = f->roots.v2;
}

void vst_host_facts_clear_threads(struct vst_host_facts *f)
{
	for (size_t i = 0; i < f->host.n_threads; i++)
		free((void *)f->threads[i].tid);
	f->host.n_threads = 0;
}

void vst_host_facts_close(struct vst_host_facts *f)
{
	vst_host_facts_clear_threads(f);
	vst_roots_close(&f->roots);
	free(f->disks);
	free(f->threads);
}

/* --- disks --- */

/* While the facts are read anew. */
struct reading {
	struct vst_host host;
	const struct vst_roots *roots;
	struct vst_host_disk *disks;
	size_t n, cap;
	int err;
};

static void probe(const struct vst_roots *roots, const char *attr, const char *key, char text[VST_TEXT_MAX])
{
	*text = 0;
	if (!vst_cgroup_io.probe(roots, attr, key, text))
		*text = 0;
	else if (!*text)
		vst_explain(text, "%s has no effect here", attr);
}

static int add_disk(void *ctx, const char *key)
{
	struct reading *r = ctx;
	unsigned int major, minor;
	struct vst_host_disk *d;

	if (sscanf(key, "%u:%u", &major, &minor) != 2)
		return 0;
	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 16;

		d = realloc(r->disks, cap * sizeof(*d));
		if (!d)
			return r->err = -ENOMEM;
		r->disks = d;
		r->cap = cap;
	}
	d = &r->disks[r->n++];
	memset(d, 0, sizeof(*d)); /* compared as a whole */
	d->dev = major << 20 | minor;
	snprintf(d->key, sizeof(d->key), "%u:%u", major, minor);
	probe(r->roots, "io.weight", d->key, d->no_iocost);
	probe(r->roots, r->roots->v2 ? "io.bfq.weight" : "blkio.bfq.weight_device", d->key, d->no_bfq);
	return 0;
}

static void read_texts(struct reading *r)
{
	const struct vst_roots *roots = r->roots;

	if (roots->cgroup < 0)
		vst_explain(r->host.no_cgroup,
			    "no cgroup mount with the io or the blkio controller was found, so vstor "
			    "cannot set any limit or weight");
	probe(roots, "io.weight", "", r->host.no_iocost);
	probe(roots, roots->v2 ? "io.bfq.weight" : "blkio.bfq.weight", "", r->host.no_bfq);
	if (!vst_ioprio.probe(roots, "ioprio", "", r->host.no_ioprio))
		*r->host.no_ioprio = 0;
}

static bool same(const struct vst_host_facts *f, const struct reading *r)
{
	return f->host.v2 == r->host.v2 && !strcmp(f->host.no_cgroup, r->host.no_cgroup) &&
	       !strcmp(f->host.no_iocost, r->host.no_iocost) && !strcmp(f->host.no_bfq, r->host.no_bfq) &&
	       !strcmp(f->host.no_ioprio, r->host.no_ioprio) && f->host.n_disks == r->n &&
	       (!r->n || !memcmp(f->disks, r->disks, r->n * sizeof(*r->disks)));
}

static bool knows_all(const struct vst_host_facts *f, const struct vst_snapshot *snapshot)
{
	const struct vst_snap_device *d;

	vst_snapshot_for_each(snapshot, VST_SNAP_DEVICES, d, i)
	{
		bool found = !d->present || d->layer == VST_LAYER_STACKED;

		for (size_t k = 0; !found && k < f->host.n_disks; k++)
			found = f->disks[k].dev == d->dev;
		if (!found)
			return false;
	}
	return true;
}

void vst_host_facts_expire(struct vst_host_facts *f)
{
	f->read_at = -INFINITY;
}

int vst_host_facts_update(struct vst_host_facts *f, const struct vst_snapshot *snapshot, double now)
{
	struct reading r = { .roots = &f->roots, .host.v2 = f->roots.v2 };
	bool is_old = now - f->read_at >= VST_HOST_FACTS_S || now < f->read_at;

	/* a device that stays unknown (it went a moment ago) must not make every tick read everything */
	if (!is_old && (now - f->read_at < 1 || knows_all(f, snapshot)))
		return 0;
	f->read_at = now;
	read_texts(&r);
	vst_disk_each(&f->roots, add_disk, &r);
	if (r.err || same(f, &r)) {
		free(r.disks);
		return r.err;
	}
	free(f->disks);
	f->disks = r.disks;
	r.host.generation = f->host.generation + 1;
	r.host.disk = f->disks;
	r.host.n_disks = r.n;
	r.host.threads = f->threads;
	r.host.n_threads = f->host.n_threads;
	f->host = r.host;
	return 0;
}

/* --- threads --- */

static size_t parse_tids(char *text, __u32 *tids, size_t max)
{
	size_t n = 0;

	for (char *save, *t = strtok_r(text, "\n", &save); t && n < max; t = strtok_r(NULL, "\n", &save))
		if (strtoul(t, NULL, 10))
			tids[n++] = (__u32)strtoul(t, NULL, 10);
	return n;
}

int vst_host_facts_add_threads(struct vst_host_facts *f, __u32 container, const char *cgroup)
{
	enum { BYTES = 16 * VST_HOST_THREADS_MAX };
	_cleanup_free_ char *text = malloc(BYTES);
	_cleanup_free_ __u32 *tids = calloc(VST_HOST_THREADS_MAX, sizeof(*tids));
	char path[VST_TARGET_MAX + 32];
	struct vst_host_threads *list;
	int err;

	if (!text || !tids)
		return -ENOMEM;
	/* on v1, "tasks" has the threads; on v2 "cgroup.threads" */
	snprintf(path, sizeof(path), ".%s/%s", cgroup, f->roots.v2 ? "cgroup.threads" : "tasks");
	err = vst_read_small(f->roots.cgroup, path, text, BYTES);
	if (err < 0)
		return err;
	if (f->host.n_threads == f->cap_threads) {
		size_t cap = f->cap_threads ? 2 * f->cap_threads : 16;

		list = realloc(f->threads, cap * sizeof(*list));
		if (!list)
			return -ENOMEM;
		f->threads = list;
		f->cap_threads = cap;
		f->host.threads = list;
	}
	list = &f->threads[f->host.n_threads++];
	list->container = container;
	list->n = parse_tids(text, tids, VST_HOST_THREADS_MAX);
	list->tid = TAKE_PTR(tids);
	return 0;
}

int vst_host_facts_read(const struct vst_host_facts *f, const struct vst_plan_knob *k, char ret[VST_VALUE_MAX])
{
	char text[VST_TEXT_MAX];
	struct vst_knob knob;
	int err;

	if (k->actuator >= VST_ACTUATOR__N)
		return -EOPNOTSUPP;
	err = vst_knob_init(&knob, k->actuator, k->target, k->target_id, k->attr, k->key);
	return err ?: vst_actuators[k->actuator]->read(&f->roots, &knob, ret, text);
}
