/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waits for ext4's journals: whoever calls fsync while a commit is under way waits for it, and who filled that transaction
 * made it long. The probe divides the waits, by blocks (vstor/abi_waits.h), at their end and at each look before that; here
 * the waits that go on are looked at, and what was divided is taken over.
 */
#ifndef VST_WAITS_JOURNAL_H
#define VST_WAITS_JOURNAL_H

#include "agent/waits/blame.h"
#include "agent/probes/probes.h"

struct vst_waits_journal;

int vst_waits_journal_new(struct vst_waits_journal **ret);
void vst_waits_journal_free(struct vst_waits_journal *w);

/* Once a tick. Charges each wait with what has passed of it until now. now: monotonic seconds. Does nothing where there is no such probe. 0 or -errno. */
int vst_waits_journal_collect(struct vst_waits_journal *w, const struct vst_probes *probes, struct vst_owners *owners,
			      struct vst_blame *b, double now);

#endif /* VST_WAITS_JOURNAL_H */
