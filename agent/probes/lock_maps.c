// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/libbpf.h>

#include "agent/probes/lock_maps.h"
#include "lock.skel.h"

/* X(field, map, places) */
#define TABLES(X)                                                                                                      \
	X(state, vst_lock_state, 1)                                                                                    \
	X(ctags, vst_lock_ctags, VST_LOCK_CLASSES)                                                                     \
	X(rtags, vst_lock_rtags, VST_LOCK_ROWS)                                                                        \
	X(ptags, vst_lock_ptags, VST_LOCK_PAIRS)                                                                       \
	X(routes, vst_lock_routes, VST_LOCK_CLASSES)                                                                   \
	X(objects, vst_lock_objects, 1 << VST_LOCK_OBJECT_BITS)                                                        \
	X(stacks, vst_lock_hstacks, 1 << VST_LOCK_STACK_BITS)

static void *memory_of(const struct bpf_map *map, size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return mem == MAP_FAILED ? NULL : mem;
}

int vst_lock_maps_open(struct lock_bpf *skel, struct vst_lock_maps *m)
{
#define X(f, map, n)                                                                                                   \
	m->f = memory_of(skel->maps.map, sizeof(*m->f) * (n));                                                         \
	if (!m->f)                                                                                                     \
		goto fail;
	TABLES(X)
#undef X
	m->rows = skel->bss->vst_lock_rows;
	m->pairs = skel->bss->vst_lock_pairs;
	m->classes_fd = bpf_map__fd(skel->maps.vst_lock_classes);
	m->hists_fd = bpf_map__fd(skel->maps.vst_lock_hists);
	m->ctags[0] = VST_LOCK_RETIRED; /* class 0 means that there is none */
	return 0;
fail: /* nobody is to read a half of it */
	vst_lock_maps_close(m);
	return -ENOMEM;
}

void vst_lock_maps_close(struct vst_lock_maps *m)
{
#define X(f, map, n)                                                                                                   \
	if (m->f)                                                                                                      \
		munmap((void *)m->f, sizeof(*m->f) * (n));
	TABLES(X)
#undef X
	memset(m, 0, sizeof(*m));
}

void vst_lock_maps_forget(struct lock_bpf *skel)
{
	size_t size = bpf_map__value_size(skel->maps.vst_lock_own);
	void *own = memory_of(skel->maps.vst_lock_own, size);

	if (!own)
		return;
	memset(own, 0, size);
	munmap(own, size);
}
