/* SPDX-License-Identifier: GPL-2.0-only */
/* What `top` shows of one sample: rows added up per container and device. Pure, and it outlives the rows. */
#ifndef VSTOR_CTL_FRAME_H
#define VSTOR_CTL_FRAME_H

#include "format.h"
#include "rows.h"

struct vst_line {
	const char *container, *cgroup, *device, *layer, *witness;	  /* the witness of most I/Os */
	const char *kind, *size;					  /* NULL in the line of a whole container */
	double ops[VST_OP__N], op_bytes[VST_OP__N];			  /* a second */
	double ios, bytes, merges, errors, requeues;			  /* a second */
	double meta_percent, size_percent[VST_SIZE__N];			  /* of these bytes */
	double p50, p99, max, read_p99, write_p99, queue_p99, device_p99; /* microseconds, or VST_NO_TIME */
	double class;							  /* that of most bytes */
	size_t children; /* lines per kind and size that follow this one, most bytes first */
};

/* A leaf device as a whole. Never added up: a loop device's I/O is done again by the disk below it. */
struct vst_total {
	const char *device;
	double ops[VST_OP__N], op_bytes[VST_OP__N]; /* a second */
	double p99;				    /* microseconds, or VST_NO_TIME */
};

struct vst_frame {
	double time, interval;
	double cpu_percent, rss_bytes, event_ns, tick_us, containers; /* the agent; 0: not known */
	double lost, lost_now;	/* I/Os since the agent started, and in this interval */
	const char *lost_cause; /* of most of lost_now */
	bool lost_io;		/* lost_now is more than times */
	struct vst_line *lines; /* a container's, then its children, and so on */
	size_t nlines, lines_cap;
	struct vst_total *totals; /* most bytes first */
	size_t ntotals, totals_cap;
	char **texts; /* what the names above point to */
	size_t ntexts, texts_cap;
};

/* Of the sample that was just committed. Never NULL. */
struct vst_frame *vst_frame_new(const struct vst_rows *rows);
void vst_frame_free(struct vst_frame *f);
#endif /* VSTOR_CTL_FRAME_H */
