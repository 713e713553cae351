/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes metrics as text: Prometheus' format 0.0.4, or OpenMetrics 1.0. The caller opens a family and adds its samples. A limit holds for the number
 * of series and for the bytes; what comes beyond it is left out and counted.
 */
#ifndef VST_METRICS_TEXT_H
#define VST_METRICS_TEXT_H

#include <stdbool.h>

#include "agent/sinks/out.h"

#define VST_LABEL_MAX 255 /* bytes of a label's value; the rest is cut off */

enum vst_metric_type {
	VST_METRIC_COUNTER, /* "_total" is added to the name of its samples */
	VST_METRIC_GAUGE,
	VST_METRIC_HISTOGRAM,
	VST_METRIC_INFO, /* "_info" is added */
};

struct vst_family {
	const char *name; /* without _total and _info */
	enum vst_metric_type type;
	const char *help; /* one sentence; its unit, if it has one, is in the name */
};

struct vst_metrics_out {
	struct vst_out out;
	bool openmetrics;
	unsigned int series, max; /* written, allowed */
	size_t bytes_max;
	__u64 dropped;

	struct vst_family family; /* .name "": none */
	bool head_due;		  /* of the family: written with the first sample */
};

/* key="value", escaped: for a set of labels that is used more than once. A comma goes before it unless o is empty. */
void vst_label_put(struct vst_out *o, const char *key, const char *value);

/* The samples that follow belong to this family. All samples of a family follow each other. */
void vst_metrics_family(struct vst_metrics_out *o, const struct vst_family *family);

/* Is there room for n series? Else they are counted as left out. The histogram of one set of labels is left out as a whole. */
bool vst_metrics_room(struct vst_metrics_out *o, unsigned int n);

/*
 * A sample, after vst_metrics_room(). suffix: "" or, of a histogram, "_bucket", "_sum", "_count". labels, more: ready-made, "" for none.
 */
void vst_metrics_u64(struct vst_metrics_out *o, const char *suffix, const char *labels, const char *more, __u64 v);
void vst_metrics_ns(struct vst_metrics_out *o, const char *suffix, const char *labels, const char *more, __u64 ns);
void vst_metrics_real(struct vst_metrics_out *o, const char *suffix, const char *labels, const char *more, double v);

#endif /* VST_METRICS_TEXT_H */
