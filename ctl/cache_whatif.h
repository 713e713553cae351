/* SPDX-License-Identifier: GPL-2.0-only */
/* What caches of other sizes would hit, from the agent's curves. Pure. */
#ifndef VSTOR_CTL_CACHE_WHATIF_H
#define VSTOR_CTL_CACHE_WHATIF_H

#include "ctl.h"
#include "lib/reuse.h"

#define VST_WHATIF_SIZES 16

/* A size as users write it: "512M", "1.5GiB" (both of 1024), or "2x": so many times the present size. 0 or -EINVAL. */
int vst_whatif_size(const char *text, double now, double *ret_bytes);

/* What the agent says of a cached device. */
struct vst_whatif {
	char *cache;
	double bytes; /* of the cache */
	struct {
		bool known;
		struct vst_curve curve;
		double total, kept_bytes;
	} of[VST_REUSE_KEPT][VST_REUSE_CLASSES];
};

/* Takes a line of /v1/cache/curves about this device. */
void vst_whatif_take(struct vst_whatif *w, const json_t *line);

/* The hit ratio of a class, or of all together (class negative), in a cache of that size; negative: nothing was read. */
double vst_whatif_ratio(const struct vst_whatif *w, unsigned int kept, int class, double bytes);

#endif /* VSTOR_CTL_CACHE_WHATIF_H */
