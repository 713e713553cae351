// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "agent/waits/waits_journal.h"

struct vst_waits_journal {
	__u64 seen; /* waits that the probe had counted */
	struct vst_journal_pair pair[VST_JOURNAL_PAIRS];
	struct vst_journal_wait wait[VST_JOURNAL_PAIRS];
};

int vst_waits_journal_new(struct vst_waits_journal **ret)
{
	struct vst_waits_journal *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	*ret = w;
	return 0;
}

void vst_waits_journal_free(struct vst_waits_journal *w)
{
	free(w);
}

static const struct vst_container *who_of(struct vst_owners *owners, __u64 owner, double now)
{
	struct vst_key key = { .owner = owner >> 2, .hier = owner & 3, .witness = VST_WITNESS_TASK };

	if (owner == VST_OWNER_KERNEL)
		return &vst_waits_kernel;
	if (owner == VST_OWNER_OTHERS)
		return &vst_waits_others;
	if (owner == VST_OWNER_NOBODY)
		key.witness = VST_WITNESS_NONE;
	return vst_owners_of(owners, &key, now);
}

int vst_waits_journal_collect(struct vst_waits_journal *w, const struct vst_probes *probes, struct vst_owners *owners,
			      struct vst_blame *b, double now)
{
	const struct vst_maps *m = vst_probes_maps(probes);
	__u32 n = VST_JOURNAL_PAIRS, next;
	__u64 seen;

	if (!m->journal_state)
		return 0;
	seen = __atomic_load_n(&m->journal_state->waits, __ATOMIC_RELAXED);
	if (seen == w->seen)
		return 0;
	w->seen = seen;
	if (bpf_map_lookup_and_delete_batch(m->journal_waits_fd, NULL, &next, w->pair, w->wait, &n, NULL) &&
	    errno != ENOENT)
		return -errno;
	for (__u32 i = 0; i < n; i++)
		if (w->pair[i].waiter != VST_OWNER_KERNEL)
			vst_blame_add(b, VST_WAIT_JOURNAL, w->pair[i].dev, who_of(owners, w->pair[i].waiter, now),
				      who_of(owners, w->pair[i].holder, now), w->wait[i].waits, (double)w->wait[i].ns,
				      now);
	return 0;
}
