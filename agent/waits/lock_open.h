/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waits for locks that have begun and not ended, read from the probe's table while it writes to it. Waits that spin are not
 * there: they last microseconds, and count when they end.
 */
#ifndef VST_LOCK_OPEN_H
#define VST_LOCK_OPEN_H

#include <stdbool.h>
#include <stddef.h>

#include "vstor/abi_locks.h"

#define VST_LOCK_OPEN_MAX 2048	     /* of more, the rest counts when it ends */
#define VST_LOCK_OPEN_AGE 1000000ULL /* ns; a younger one is left to its end, or to the next look */

/* One of them, as it was when it was read. */
struct vst_lock_open_wait {
	const struct vst_lock_wait *at; /* where it is */
	struct vst_lock_wait w;
};

/* Copies a wait that may be changing. False: it is, or there is none. */
bool vst_lock_open_copy(const struct vst_lock_wait *from, struct vst_lock_wait *to);

/* Those of some age. tags: by themselves, because the rest is read only where one is set. Returns how many. */
size_t vst_lock_open_find(const __u64 *tags, const struct vst_lock_wait *waits, __u64 now_ns,
			  struct vst_lock_open_wait *ret, size_t max);

/*
 * Reads them again. Those that have ended are taken out; those of which a part was counted meanwhile are as they are now.
 * True: there was neither, so the counters that were read between the two calls have nothing of these waits.
 */
bool vst_lock_open_stay(struct vst_lock_open_wait *waits, size_t *n);

/* A part of a wait that is the holder's; evidence: enum vst_lock_evidence. */
typedef void vst_lock_open_emit(void *arg, const struct vst_lock_wait *w, __u64 holder, __u32 evidence, __u64 ns);

/*
 * Divides the time of a wait that is not counted yet among those who held the lock, by the same rules as the probe does at
 * its end (vst_lock_settle() in bpf/lock_holder.bpf.h).
 */
void vst_lock_open_divide(const struct vst_lock_turns *turns, const struct vst_lock_wait *w, __u64 now_ns,
			  vst_lock_open_emit *emit, void *arg);

#endif /* VST_LOCK_OPEN_H */
