/* SPDX-License-Identifier: GPL-2.0-only */
/* The block devices: their names and layers, and what the kernel itself counted on them (/proc/diskstats). */
#ifndef VST_DEVICES_H
#define VST_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include "agent/io/device_links.h"
#include "vstor/abi.h"

struct vst_count {
	__u64 ios;
	__u64 bytes;
};

struct vst_device {
	__u32 dev; /* (major << 20 | minor), as in struct vst_key */
	enum vst_layer layer;
	__u64 sectors;	  /* its size */
	bool accounted;	  /* the kernel counts its I/O (queue/iostats) */
	bool present;	  /* in the last reading */
	bool was_present; /* ... and in the one before */
	bool reused;	  /* its number was another device's before: what that one did last, no reading has */
	bool detached;	  /* the probes of its layer are not attached */
	char name[32];
	struct vst_device_links links;
	__u32 in_flight;	  /* as the kernel counts them, last read */
	struct vst_count base;	  /* the kernel's counters when the probes began */
	struct vst_count slack;	  /* how far they moved while the probes were attached */
	struct vst_count held;	  /* what was counted when the probes were detached */
	struct vst_count carried; /* of earlier devices under the same number */
	struct vst_count last;	  /* the kernel's counters, last read */
	struct vst_count before;  /* ... and read before that */
};

/* A partition that was asked for by number. */
struct vst_partition {
	__u32 dev;
	char name[32];
};

struct vst_devices {
	struct vst_device *list;
	size_t n;
	struct vst_partition *partitions; /* their names; forgotten by vst_devices_settings() */
	size_t n_partitions;
	struct vst_device_links_state links;
	bool stacked_counted; /* the probes of that layer are attached: a new device is counted from its first I/O */
	char root[64];	      /* put before /proc and /sys; "" on a host */
};

/*
 * Reads /proc/diskstats. A device that is new is added, with its name and layer; one that is gone stays in the list.
 * Every device counts reads, writes, discards and flushes; bytes are its sectors of 512. 0 or -errno.
 */
int vst_devices_read(struct vst_devices *devs);

/* Reads what an administrator may change: whether the kernel counts a device, its size, its links in /dev. */
void vst_devices_settings(struct vst_devices *devs);

/*
 * From here on the probes count this layer's devices. Called twice: before (begin true) and after they are attached,
 * each time after vst_devices_read(). A device that appears later begins at 0.
 */
void vst_devices_base(struct vst_devices *devs, enum vst_layer layer, bool begin);

/* The probes of this layer were detached: the kernel's numbers stand still until the next _base(). */
void vst_devices_hold(struct vst_devices *devs, enum vst_layer layer);

/*
 * What the kernel counted since. Between two readings a number moves: *ret_low is by the one before the last,
 * *ret_high by the last.
 */
void vst_device_kernel(const struct vst_device *d, struct vst_count *ret_low, struct vst_count *ret_high);

struct vst_device *vst_devices_find(struct vst_devices *devs, __u32 dev);

/* The name of a disk or a partition; "several" for 0, "MAJOR:MINOR" if it is not known. */
void vst_devices_name(struct vst_devices *devs, __u32 dev, char *buf, size_t size);

/* A stacked device that can be in use (it has a size). */
bool vst_devices_have_stacked(const struct vst_devices *devs);

void vst_devices_free(struct vst_devices *devs);

#endif /* VST_DEVICES_H */
