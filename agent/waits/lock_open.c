// SPDX-License-Identifier: GPL-2.0-only
#include "agent/waits/lock_open.h"

#define SETS (1U << VST_LOCK_WAIT_BITS)

bool vst_lock_open_copy(const struct vst_lock_wait *from, struct vst_lock_wait *to)
{
	if (__atomic_load_n(&from->state, __ATOMIC_ACQUIRE) != VST_LOCK_WAIT_IS)
		return false;
	*to = *from;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&from->state, __ATOMIC_RELAXED) == VST_LOCK_WAIT_IS &&
	       __atomic_load_n(&from->start_ns, __ATOMIC_RELAXED) == to->start_ns &&
	       __atomic_load_n(&from->since_ns, __ATOMIC_RELAXED) == to->since_ns;
}

size_t vst_lock_open_find(const __u64 *tags, const struct vst_lock_wait *waits, __u64 now_ns,
			  struct vst_lock_open_wait *ret, size_t max)
{
	size_t n = 0;

	for (__u32 i = 0; i < SETS * VST_LOCK_WAIT_WAYS && n < max; i++) {
		if (!tags[i])
			continue;
		ret[n].at = &waits[i];
		if (vst_lock_open_copy(&waits[i], &ret[n].w) && ret[n].w.start_ns + VST_LOCK_OPEN_AGE <= now_ns)
			n++;
	}
	return n;
}

/* A wait that ends is counted meanwhile, in less than a microsecond. */
#define SPINS 1000

static bool is_changing(const struct vst_lock_wait *w)
{
	return __atomic_load_n(&w->state, __ATOMIC_ACQUIRE) == VST_LOCK_WAIT_CHANGES;
}

bool vst_lock_open_stay(struct vst_lock_open_wait *waits, size_t *n)
{
	struct vst_lock_wait now;
	bool same = true;
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		bool is;

		for (int spin = 0; spin < SPINS && is_changing(waits[i].at); spin++)
			;
		is = vst_lock_open_copy(waits[i].at, &now) && now.start_ns == waits[i].w.start_ns;

		same = same && is && now.since_ns == waits[i].w.since_ns;
		if (!is)
			continue;
		waits[kept].at = waits[i].at;
		waits[kept++].w = now;
	}
	*n = kept;
	return same;
}

/* --- whose they are --- */

static const struct vst_lock_turns *turns_of(const struct vst_lock_turns *turns, __u64 lock)
{
	__u32 place = (__u32)(vst_lock_hash(lock & ~VST_LOCK_SPINS) >> (64 - VST_LOCK_TURNS_BITS));

	place &= ~(VST_LOCK_TURNS_WAYS - 1U);
	for (__u32 way = 0; way < VST_LOCK_TURNS_WAYS; way++)
		if (turns[place + way].lock == lock)
			return &turns[place + way];
	return NULL;
}

/* The i-th turn of a lock, the last one first. False: nothing is known of it. */
static bool turn_get(const struct vst_lock_turns *t, __u32 i, struct vst_lock_turn *ret)
{
	if (i > VST_LOCK_TURNS + 1 || t->next - t->first < i)
		return false;
	if (i < 2) {
		ret->ns = i ? t->last.ns : t->ns;
		ret->owner = i ? t->last.owner : t->owner;
	} else {
		*ret = t->before[(t->next + 1 - i) % VST_LOCK_TURNS];
	}
	return true;
}

/* Turns are read while they are taken: none of them is given more time than there is. */
void vst_lock_open_divide(const struct vst_lock_turns *turns, const struct vst_lock_wait *w, __u64 now_ns,
			  vst_lock_open_emit *emit, void *arg)
{
	const struct vst_lock_turns *t = turns_of(turns, w->lock);
	__u32 evidence = w->evidence, by_turn = VST_LOCK_EVIDENCE_LAST;
	__u64 end = now_ns, holder = w->holder;
	struct vst_lock_turn turn;

	if (now_ns <= w->since_ns)
		return;
	if (VST_LOCK_WHAT_TYPE(w->what) == VST_LOCK_MUTEX) /* whoever got a mutex after waiting holds it */
		by_turn = VST_LOCK_EVIDENCE_OWNER;
	for (__u32 i = 0; t && turn_get(t, i, &turn); i++) {
		if (turn.ns <= w->since_ns) {
			if (evidence == VST_LOCK_EVIDENCE_NONE) {
				holder = turn.owner;
				evidence = VST_LOCK_EVIDENCE_LAST;
			}
			break;
		}
		if (turn.ns >= end)
			continue;
		emit(arg, w, turn.owner, by_turn, end - turn.ns);
		end = turn.ns;
	}
	emit(arg, w, holder, evidence, end - w->since_ns);
}
