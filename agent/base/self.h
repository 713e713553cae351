/* SPDX-License-Identifier: GPL-2.0-only */
/* What the agent itself costs. */
#ifndef VST_SELF_H
#define VST_SELF_H

#include <linux/types.h>

struct vst_self {
	double cpu_percent; /* of one core, over the last ticks */
	__u64 rss_bytes;
	double tick_us, tick_max_us; /* time that a collection took: the last, the longest */
	double cpu_s, at;	     /* when cpu_percent was taken */
};

double vst_now(void); /* CLOCK_MONOTONIC, seconds */

/* Takes CPU time and memory; cpu_percent is over the time since the last call. */
void vst_self_update(struct vst_self *self);
void vst_self_tick(struct vst_self *self, double took_us);

#endif /* VST_SELF_H */
