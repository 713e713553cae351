/* SPDX-License-Identifier: GPL-2.0-only */
/* Sample after sample at a steady pace, without gaps: each one begins where the one before ended. */
#ifndef VSTOR_CTL_SAMPLER_H
#define VSTOR_CTL_SAMPLER_H

#include <math.h>
#include "client.h"
#include "rows.h"

struct vst_sampler {
	struct vst_client *client;
	struct vst_rows *rows;
	double delay, next; /* seconds; when, in vst_now() time */
};

void vst_sampler_open(struct vst_sampler *s, const char *socket, double delay);
void vst_sampler_close(struct vst_sampler *s);

/* The state to begin from, at once: after it the differences in s->rows are the totals. */
int vst_sampler_first(struct vst_sampler *s);

/*
 * Wait, then ask: the sample is in s->rows. An agent that restarts meanwhile is told on stderr and waited for.
 * These two return 0, or an exit code having said why (nothing is said of VST_EXIT_INTERRUPTED).
 */
int vst_sampler_next(struct vst_sampler *s);

/* The moment after *next at this pace; what was missed is left out, the pace is kept. */
static inline double vst_pace(double next, double delay, double now)
{
	double missed = floor((now - next) / delay);

	return next + delay * (missed > 0 ? missed + 1 : 1);
}
#endif /* VSTOR_CTL_SAMPLER_H */
