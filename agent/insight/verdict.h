/* SPDX-License-Identifier: GPL-2.0-only */
/* What is done to a file, from what the probes saw of it. Pure. */
#ifndef VST_VERDICT_H
#define VST_VERDICT_H

#include <stdbool.h>

#include "vstor/abi_insight.h"

#define VST_EVIDENCE 256

struct vst_file_verdict {
	int pattern;	   /* enum vst_pattern; -1: nothing to tell */
	double confidence; /* 0 to 1 */
	char evidence[VST_EVIDENCE];
};

/* observed: the share of the time in which copies are looked for, 0 to 1. */
void vst_verdict_decide(const struct vst_file *f, double observed, struct vst_file_verdict *ret);

/*
 * How far bytes are from being random, in standard deviations of what random ones have; 0 if there are none. A cipher's are
 * within VST_RANDOM_WITHIN.
 */
#define VST_RANDOM_WITHIN 6
double vst_verdict_distance(const __u32 count[256]);

/* One of how many writes to sample, for so many writes a second: at most this many samples are taken. */
#define VST_SAMPLES_PER_SECOND 4000
__u32 vst_verdict_every(double writes_per_second);

/* How many may be taken from now on, if so many are left, and so many a second are allowed: what was saved is at most for 2 s. */
__u32 vst_verdict_allow(__u32 left, double per_second, double seconds);

#endif /* VST_VERDICT_H */
