// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/io/devices.h"

/* One number from a file under /sys/block/NAME/; `otherwise` if there is none. */
static long long sys_number(const struct vst_devices *devs, const char *name, const char *file, long long otherwise)
{
	char path[256];
	long long v;
	FILE *f;

	snprintf(path, sizeof(path), "%s/sys/block/%s/%s", devs->root, name, file);
	f = fopen(path, "re");
	if (!f)
		return otherwise;
	if (fscanf(f, "%lld", &v) != 1)
		v = otherwise;
	fclose(f);
	return v;
}

/* Only a device with a request queue has a directory of hardware queues. */
static enum vst_layer layer_of(const struct vst_devices *devs, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/sys/block/%s/mq", devs->root, name);
	return access(path, F_OK) ? VST_LAYER_STACKED : VST_LAYER_LEAF;
}

/* /proc/diskstats has partitions too; a disk has a directory of its own. A '/' in a name is a '!' there. */
static bool is_disk(const struct vst_devices *devs, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/sys/block/%s", devs->root, name);
	return !access(path, F_OK);
}

struct vst_device *vst_devices_find(struct vst_devices *devs, __u32 dev)
{
	for (size_t i = 0; i < devs->n; i++)
		if (devs->list[i].dev == dev)
			return &devs->list[i];
	return NULL;
}

static struct vst_device *device_add(struct vst_devices *devs, __u32 dev, const char *name)
{
	struct vst_device *list = realloc(devs->list, (devs->n + 1) * sizeof(*list)), *d;

	if (!list)
		return NULL;
	devs->list = list;
	d = &list[devs->n++];
	memset(d, 0, sizeof(*d));
	d->dev = dev;
	d->layer = layer_of(devs, name);
	d->accounted = sys_number(devs, name, "queue/iostats", 1) != 0;
	d->was_present = true;
	d->detached = d->layer == VST_LAYER_STACKED && !devs->stacked_counted;
	snprintf(d->name, sizeof(d->name), "%s", name);
	return d;
}

static void device_count(struct vst_device *d, const struct vst_count *now)
{
	/* gone in between, or counters that went back: another device under the same number */
	if (!d->was_present || now->ios < d->last.ios || now->bytes < d->last.bytes) {
		d->reused = true;
		d->carried.ios += d->last.ios;
		d->carried.bytes += d->last.bytes;
		d->before.ios = d->before.bytes = 0;
	} else {
		d->before = d->last;
	}
	d->last = *now;
}

/* Fields of a line of /proc/diskstats, after the name (Documentation/admin-guide/iostats.rst). */
enum {
	RD_IOS = 0,
	RD_SECTORS = 2,
	WR_IOS = 4,
	WR_SECTORS = 6,
	IN_FLIGHT = 8,
	DC_IOS = 11,
	DC_SECTORS = 13,
	FL_IOS = 15,
	FIELDS = 17,
};

static int device_line(struct vst_devices *devs, const char *line)
{
	unsigned long long v[FIELDS] = { 0 };
	unsigned int major, minor;
	struct vst_device *d;
	struct vst_count now;
	char name[32], *c;
	int used, i;

	if (sscanf(line, "%u %u %31s%n", &major, &minor, name, &used) != 3)
		return 0;
	line += used;
	for (i = 0; i < FIELDS && sscanf(line, "%llu%n", &v[i], &used) == 1; i++)
		line += used;
	for (c = name; *c; c++)
		if (*c == '/')
			*c = '!';
	d = vst_devices_find(devs, major << 20 | minor);
	if (!d) {
		if (!is_disk(devs, name))
			return 0;
		d = device_add(devs, major << 20 | minor, name);
		if (!d)
			return -ENOMEM;
	}
	if (!d->was_present) {
		d->layer = layer_of(devs, name);
		d->accounted = sys_number(devs, name, "queue/iostats", 1) != 0;
		snprintf(d->name, sizeof(d->name), "%s", name);
	}
	now.ios = v[RD_IOS] + v[WR_IOS] + v[DC_IOS] + v[FL_IOS];
	now.bytes = (v[RD_SECTORS] + v[WR_SECTORS] + v[DC_SECTORS]) * 512;
	device_count(d, &now);
	d->in_flight = (__u32)v[IN_FLIGHT];
	d->present = true;
	return 0;
}

int vst_devices_read(struct vst_devices *devs)
{
	char path[128], line[512];
	int err = 0;
	size_t i;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/diskstats", devs->root);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	for (i = 0; i < devs->n; i++)
		devs->list[i].was_present = devs->list[i].present;
	for (i = 0; i < devs->n; i++)
		devs->list[i].present = false;
	while (!err && fgets(line, sizeof(line), f))
		err = device_line(devs, line);
	fclose(f);
	return err;
}

static struct vst_partition *partition_of(struct vst_devices *devs, __u32 dev)
{
	char path[128], target[256];
	struct vst_partition *p;
	const char *slash;
	ssize_t len;

	for (p = devs->partitions; p < devs->partitions + devs->n_partitions; p++)
		if (p->dev == dev)
			return p;
	p = realloc(devs->partitions, (devs->n_partitions + 1) * sizeof(*p));
	if (!p)
		return NULL;
	devs->partitions = p;
	p += devs->n_partitions++;
	p->dev = dev;
	snprintf(path, sizeof(path), "%s/sys/dev/block/%u:%u", devs->root, dev >> 20, dev & 0xfffff);
	len = readlink(path, target, sizeof(target) - 1);
	target[len < 0 ? 0 : len] = 0;
	slash = strrchr(target, '/');
	if (len >= 0)
		snprintf(p->name, sizeof(p->name), "%.31s", slash ? slash + 1 : target);
	else
		snprintf(p->name, sizeof(p->name), "%u:%u", dev >> 20, dev & 0xfffff);
	return p;
}

void vst_devices_name(struct vst_devices *devs, __u32 dev, char *buf, size_t size)
{
	const struct vst_device *d = vst_devices_find(devs, dev);
	const struct vst_partition *p;

	if (!dev) {
		snprintf(buf, size, "several");
	} else if (d) {
		snprintf(buf, size, "%s", d->name);
	} else {
		p = partition_of(devs, dev);
		snprintf(buf, size, "%s", p ? p->name : "");
	}
}

void vst_devices_settings(struct vst_devices *devs)
{
	struct vst_device *d;

	devs->n_partitions = 0; /* one may have been made anew, with another name */
	for (d = devs->list; d < devs->list + devs->n; d++) {
		if (!d->present)
			continue;
		d->accounted = sys_number(devs, d->name, "queue/iostats", 1) != 0;
		if (d->layer == VST_LAYER_STACKED)
			d->sectors = sys_number(devs, d->name, "size", 0);
	}
	vst_device_links_update(devs);
}

static struct vst_count count_add(struct vst_count a, const struct vst_count *b)
{
	a.ios += b->ios;
	a.bytes += b->bytes;
	return a;
}

static struct vst_count count_sub(struct vst_count a, const struct vst_count *b)
{
	a.ios -= b->ios;
	a.bytes -= b->bytes;
	return a;
}

void vst_devices_base(struct vst_devices *devs, enum vst_layer layer, bool begin)
{
	struct vst_device *d;

	for (d = devs->list; d < devs->list + devs->n; d++) {
		if (d->layer != layer)
			continue;
		if (begin) {
			d->base = count_sub(d->last, &d->held);
			d->carried = (struct vst_count){ 0 };
		} else {
			d->slack = count_sub(count_sub(d->last, &d->base), &d->held);
		}
		d->before = d->last;
		d->detached = false;
	}
}

void vst_devices_hold(struct vst_devices *devs, enum vst_layer layer)
{
	struct vst_count low;
	struct vst_device *d;

	for (d = devs->list; d < devs->list + devs->n; d++) {
		if (d->layer != layer || d->detached)
			continue;
		vst_device_kernel(d, &low, &d->held);
		d->detached = true;
	}
}

void vst_device_kernel(const struct vst_device *d, struct vst_count *ret_low, struct vst_count *ret_high)
{
	struct vst_count base = d->base;

	if (d->detached) {
		*ret_low = *ret_high = d->held;
		return;
	}
	*ret_high = count_sub(count_add(d->carried, &d->last), &base);
	*ret_low = count_sub(count_sub(count_add(d->carried, &d->before), &base), &d->slack);
}

bool vst_devices_have_stacked(const struct vst_devices *devs)
{
	const struct vst_device *d;

	for (d = devs->list; d < devs->list + devs->n; d++)
		if (d->present && d->layer == VST_LAYER_STACKED && d->sectors)
			return true;
	return false;
}

void vst_devices_free(struct vst_devices *devs)
{
	for (size_t i = 0; i < devs->n; i++)
		vst_device_links_clear(&devs->list[i].links);
	free(devs->list);
	free(devs->partitions);
	devs->partitions = NULL;
	devs->n_partitions = 0;
	devs->list = NULL;
	devs->n = 0;
}
