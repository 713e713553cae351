/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waits at the disks, shared out from what the table counts of each request anyway: nothing is added to a request's way.
 * Where several containers are at one disk, its rows are read in windows of 50 ms and longer; else once a tick.
 */
#ifndef VST_WAITS_DISK_H
#define VST_WAITS_DISK_H

#include "agent/waits/blame.h"
#include "agent/io/io_table.h"

struct vst_waits_disk;

int vst_waits_disk_new(struct vst_waits_disk **ret);
void vst_waits_disk_free(struct vst_waits_disk *w);

/* After vst_io_table_collect(). now: monotonic seconds, when that began. 0 or -ENOMEM. */
int vst_waits_disk_collect(struct vst_waits_disk *w, const struct vst_io_table *t, struct vst_blame *b, double now);

/* Between two ticks: disks that are fought for, from the counters themselves. */
void vst_waits_disk_peek(struct vst_waits_disk *w, const struct vst_io_table *t, const struct vst_maps *m,
			 struct vst_blame *b, double now);

/* Seconds to the next peek; 0: none is wanted. */
double vst_waits_disk_pause(const struct vst_waits_disk *w);

/* cost: seconds that a peek took. No more than a thousandth of a core is for them. */
double vst_waits_disk_pace(double cost);

/* How long a window lasts at least, on a disk whose requests take so long: most of what ends in it began in it. */
double vst_waits_disk_window(double latency);

#endif /* VST_WAITS_DISK_H */
