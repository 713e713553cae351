/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Other names of the disks: the links below /dev/disk, /dev/mapper and /dev/md, and the names of device-mapper devices.
 * A policy may name a disk by each of them.
 *
 * vstord sees the links of its own /dev. In a container with a /dev of its own there may be none; the names of
 * device-mapper devices come from /sys, so they are known there, too.
 */
#ifndef VST_DEVICE_LINKS_H
#define VST_DEVICE_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/*
 * Some names of links come from the device (a serial number, a label), so they are bounded. 16 links are more than udev
 * makes for one disk; further ones are left out.
 */
#define VST_DEVICE_LINKS_MAX 16	       /* of a disk */
#define VST_DEVICE_LINK_TEXT 256       /* bytes; a longer link is left out */
#define VST_DEVICE_LINKS_READ_MAX 8192 /* links that are read at all */
#define VST_DEVICE_LINK_DIRECTORIES 24

/* Paths, sorted. */
struct vst_device_links {
	char *path[VST_DEVICE_LINKS_MAX];
	size_t n;
};

/* What the links looked like when they were last read. */
struct vst_device_links_state {
	struct timespec changed[VST_DEVICE_LINK_DIRECTORIES];
	char directory[VST_DEVICE_LINK_DIRECTORIES][64];
	size_t n;
	size_t devices; /* a hash of which devices there were */
	bool recent;	/* a directory changed just before it was read: a later change may have the same time */
	bool full;	/* told that there are too many links */
};

struct vst_devices;

/* Reads the links again if a directory of links or the set of devices has changed. 0 or -ENOMEM: some links are missing. */
int vst_device_links_update(struct vst_devices *devs);
void vst_device_links_clear(struct vst_device_links *links);

#endif /* VST_DEVICE_LINKS_H */
