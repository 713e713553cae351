/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From what a disk was measured to do, to what the kernel's iocost controller is told about it. Pure.
 *
 * iocost shares a disk by weight only while it believes that the disk is full, so the model has to lie below what the
 * disk really does. On a disk of 2,000 I/Os a second, weights of 100:800 gave 1.8 to 2.4 to 1 with a model of the full
 * speed, and 7.0 to 7.4 to 1 with one of three quarters.
 */
#ifndef VST_IOCOST_H
#define VST_IOCOST_H

#include <stddef.h>

#define VST_IOCOST_SHARE 0.75 /* of the measured speed */
#define VST_IOCOST_TEXT 256   /* bytes that a line of io.cost.model or io.cost.qos needs at most, with its NUL */

/* What a disk does in one direction when nothing else uses it. */
struct vst_disk_speed {
	double bytes_per_s; /* large sequential requests */
	double seq_iops;    /* 4 KiB, sequential */
	double rand_iops;   /* 4 KiB, at random offsets */
	double p95_us;	    /* latency of single 4 KiB requests at random offsets, one at a time */
};

/*
 * "ctrl=user model=linear rbps=... rseqiops=... rrandiops=... wbps=... wseqiops=... wrandiops=..." for share of these
 * speeds. -EINVAL: a speed is not positive; *ret is untouched then.
 */
int vst_iocost_model(const struct vst_disk_speed *read, const struct vst_disk_speed *write, double share,
		     char ret[VST_IOCOST_TEXT]);

/*
 * "enable=1 ctrl=user rpct=95.00 rlat=... wpct=95.00 wlat=... min=25.00 max=100.00". A request counts as late when it
 * takes longer than sixteen single requests do one after the other: then the disk has a queue, and iocost lowers its
 * rate, to a quarter at least. It never exceeds the model. The limit also decides how long iocost's periods are, and in
 * short ones a light cgroup has too few requests to be held to its share: on a disk of 1,000 I/Os a second, weights of
 * 100:800 gave 5.0 to 6.3 to 1 with eight requests, and 7.5 to 1 with sixteen. -EINVAL as above.
 */
int vst_iocost_qos(const struct vst_disk_speed *read, const struct vst_disk_speed *write, char ret[VST_IOCOST_TEXT]);

/*
 * The part of a model's or qos line that systemd's hwdb wants: without ctrl=, model= and enable=. ret has
 * VST_IOCOST_TEXT bytes.
 */
void vst_iocost_hwdb_value(const char *line, char *ret);

/*
 * "block:*:name:MODEL:fwrev:REVISION:", for a disk of that model and firmware; a byte that has a meaning in hwdb's
 * globs, or that does not print, becomes "?". revision "": any. -ENAMETOOLONG.
 */
int vst_iocost_hwdb_match(const char *model, const char *revision, char *ret, size_t size);

#endif /* VST_IOCOST_H */
