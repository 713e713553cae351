// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "agent/waits/waits_journal.h"

#define YOUNG 1000000 /* ns; a younger wait is left to its end, or to the next look */
#define LOOKS 1024    /* at a tick; what is left out is charged later */

struct vst_waits_journal {
	__u64 seen; /* what the probe had counted */
	__u32 next; /* place at which the next tick's looks begin */
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

/* Does the thread's last call go on for some time? */
static bool is_due(const struct vst_journal_opens *opens, __u32 place, __u64 now_ns)
{
	const struct vst_journal_open *o = &opens->open[place];

	return __atomic_load_n(&opens->thread[place], __ATOMIC_RELAXED) &&
	       __atomic_load_n(&o->since_ns, __ATOMIC_RELAXED) && o->begin_ns + YOUNG <= now_ns;
}

/* Copies a wait if the look found that it goes on. */
static bool goes_on(const struct vst_journal_open *from, __u64 now_ns, struct vst_journal_open *ret)
{
	*ret = *from;
	return __atomic_load_n(&from->since_ns, __ATOMIC_ACQUIRE) == now_ns && ret->looked_ns == now_ns;
}

/* The probe charges what has passed; here is told that it goes on. */
static void look(struct vst_waits_journal *w, const struct vst_probes *probes, struct vst_owners *owners,
		 struct vst_blame *b, double now)
{
	const struct vst_journal_opens *opens = vst_probes_maps(probes)->journal_opens;
	__u64 now_ns = (__u64)(now * 1e9);
	struct vst_journal_open o;
	__u32 looks = 0, place, i;

	for (i = 0; i < VST_OPEN_PLACES && looks < LOOKS; i++) {
		place = (w->next + i) % VST_OPEN_PLACES;
		if (!is_due(opens, place, now_ns))
			continue;
		looks++;
		vst_probes_look_journal(probes, place, now_ns);
		if (!goes_on(&opens->open[place], now_ns, &o) || o.waiter == VST_OWNER_KERNEL)
			continue;
		vst_blame_goes_on(b, VST_WAIT_JOURNAL, o.dev, who_of(owners, o.waiter, now),
				  who_of(owners, o.holder, now), 1, o.wait_ns, 0, now);
		vst_blame_goes_on(b, VST_WAIT_JOURNAL, o.dev, who_of(owners, o.waiter, now), NULL, 1, o.wait_ns, 0,
				  now);
	}
	w->next = (w->next + i) % VST_OPEN_PLACES;
}

static void take(const struct vst_journal_pair *pair, const struct vst_journal_wait *wait, struct vst_owners *owners,
		 struct vst_blame *b, double now)
{
	const struct vst_container *waiter, *holder = NULL;

	if (pair->waiter == VST_OWNER_KERNEL)
		return;
	waiter = who_of(owners, pair->waiter, now);
	if (pair->holder != VST_OWNER_ALL)
		holder = who_of(owners, pair->holder, now);
	else
		vst_blame_longest(b, VST_WAIT_JOURNAL, pair->dev, waiter, wait->max_ns);
	vst_blame_add(b, VST_WAIT_JOURNAL, pair->dev, waiter, holder, wait->waits, (double)wait->ns, now);
}

int vst_waits_journal_collect(struct vst_waits_journal *w, const struct vst_probes *probes, struct vst_owners *owners,
			      struct vst_blame *b, double now)
{
	const struct vst_maps *m = vst_probes_maps(probes);
	__u32 n = VST_JOURNAL_PAIRS, next;
	__u64 seen;

	if (!m->journal_state)
		return 0;
	look(w, probes, owners, b, now);
	seen = __atomic_load_n(&m->journal_state->waits, __ATOMIC_RELAXED);
	if (seen == w->seen)
		return 0;
	w->seen = seen;
	if (bpf_map_lookup_and_delete_batch(m->journal_waits_fd, NULL, &next, w->pair, w->wait, &n, NULL) &&
	    errno != ENOENT)
		return -errno;
	for (__u32 i = 0; i < n; i++)
		take(&w->pair[i], &w->wait[i], owners, b, now);
	return 0;
}
