/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The time of waits, charged as it passes: that of waits that have ended, and that of waits that go on, up to the look. What
 * was charged while a wait went on is part of its length when it ends, so nothing is charged twice and nothing is left out.
 * Arithmetic on numbers that are handed in.
 */
#ifndef VST_WAITING_H
#define VST_WAITING_H

#include <stdbool.h>
#include <linux/types.h>

struct vst_waiting {
	__u64 total_ns;	 /* charged until now; never falls */
	__u64 open_ns;	 /* of waits that go on */
	__u64 lost_ns;	 /* charged for waits whose end nobody will see */
	__u64 oldest_ns; /* since when the one that waits longest does; 0: nobody waits */
	__u32 tasks;	 /* that wait now */
};

/* A new look begins: nobody is known to wait. */
static inline void vst_waiting_begin(struct vst_waiting *w)
{
	w->open_ns = 0;
	w->oldest_ns = 0;
	w->tasks = 0;
}

/* Somebody waits since then; ns: the part of it that is not among what has ended. */
static inline void vst_waiting_add(struct vst_waiting *w, __u64 since_ns, __u64 ns)
{
	w->open_ns += ns;
	w->tasks++;
	if (!w->oldest_ns || since_ns < w->oldest_ns)
		w->oldest_ns = since_ns;
}

/*
 * The look ends. ended_ns: all that has ended, read while those that were added went on. A total that would fall stays: then
 * a holder was charged for time that turned out to be another's, and the next waits for it make up for that.
 */
static inline void vst_waiting_end(struct vst_waiting *w, __u64 ended_ns)
{
	__u64 total = ended_ns + w->lost_ns + w->open_ns;

	if (total > w->total_ns)
		w->total_ns = total;
}

/* The probe is detached: what goes on stays charged, and will not be among what has ended. */
static inline void vst_waiting_forget(struct vst_waiting *w, __u64 ended_ns)
{
	if (w->total_ns > ended_ns + w->lost_ns)
		w->lost_ns = w->total_ns - ended_ns;
	vst_waiting_begin(w);
}

#endif /* VST_WAITING_H */
