// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/io/devices.h"

/* A file system may stamp two changes within one timer tick with the same time, so a change this recent is read again. */
#define RECENT_S 1

void vst_device_links_clear(struct vst_device_links *links)
{
	for (size_t i = 0; i < links->n; i++)
		free(links->path[i]);
	links->n = 0;
}

/* --- has anything changed? --- */

static void add_directory(struct vst_device_links_state *s, const char *path)
{
	if (s->n < VST_DEVICE_LINK_DIRECTORIES && strlen(path) < sizeof(s->directory[0]))
		strcpy(s->directory[s->n++], path);
}

/* /dev/disk has a directory for each sort of link: by-id, by-path, by-uuid, ... */
static void find_directories(const struct vst_devices *devs, struct vst_device_links_state *s)
{
	char path[128], entry[64];
	const struct dirent *e;
	DIR *d;

	s->n = 0;
	add_directory(s, "/dev/disk");
	add_directory(s, "/dev/mapper");
	add_directory(s, "/dev/md");
	snprintf(path, sizeof(path), "%s/dev/disk", devs->root);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (*e->d_name != '.' && snprintf(entry, sizeof(entry), "/dev/disk/%s", e->d_name) < (int)sizeof(entry))
			add_directory(s, entry);
	if (d)
		closedir(d);
}

static struct timespec changed_at(const struct vst_devices *devs, const char *directory)
{
	char path[192];
	struct stat st;

	snprintf(path, sizeof(path), "%s%s", devs->root, directory);
	return stat(path, &st) ? (struct timespec){ 0 } : st.st_mtim;
}

/* Notes when each directory changed. True: one has since the last call. */
static bool note_changes(const struct vst_devices *devs, struct vst_device_links_state *s)
{
	bool changed = s->recent;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	s->recent = false;
	for (size_t i = 0; i < s->n; i++) {
		struct timespec at = changed_at(devs, s->directory[i]);

		changed = changed || at.tv_sec != s->changed[i].tv_sec || at.tv_nsec != s->changed[i].tv_nsec;
		/* a time in the future is not recent: the clock was set back, and it would stay so for long */
		s->recent = s->recent || labs((long)(now.tv_sec - at.tv_sec)) <= RECENT_S;
		s->changed[i] = at;
	}
	return changed;
}

static size_t hash_devices(const struct vst_devices *devs)
{
	size_t hash = devs->n;

	for (size_t i = 0; i < devs->n; i++)
		hash = (hash ^ (devs->list[i].present ? devs->list[i].dev : 0)) * (size_t)1099511628211ULL;
	return hash;
}

/* --- reading --- */

static struct vst_device *device_named(struct vst_devices *devs, const char *name)
{
	for (size_t i = 0; i < devs->n; i++)
		if (devs->list[i].present && !strcmp(devs->list[i].name, name))
			return &devs->list[i];
	return NULL;
}

static int add_link(struct vst_device *d, const char *path)
{
	struct vst_device_links *links = &d->links;
	char *copy;
	size_t i = links->n;

	for (size_t k = 0; k < links->n; k++)
		if (!strcmp(links->path[k], path))
			return 0;
	if (links->n == VST_DEVICE_LINKS_MAX || strlen(path) >= VST_DEVICE_LINK_TEXT)
		return 0;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	for (; i && strcmp(links->path[i - 1], path) > 0; i--)
		links->path[i] = links->path[i - 1];
	links->path[i] = copy;
	links->n++;
	return 0;
}

/* The disk that a link leads to. udev's links name it by its path in /dev: "../../sda", "../dm-0", "/dev/cciss/c0d0". */
static struct vst_device *target_of(struct vst_devices *devs, int directory, const char *name)
{
	char target[PATH_MAX], *t = target;
	ssize_t len = readlinkat(directory, name, target, sizeof(target) - 1);

	if (len < 0)
		return NULL;
	target[len] = 0;
	while (!strncmp(t, "../", 3))
		t += 3;
	if (!strncmp(t, "/dev/", 5))
		t += 5;
	for (char *c = t; *c; c++)
		if (*c == '/')
			*c = '!'; /* as in the disk's name in sysfs */
	return device_named(devs, t);
}

static int read_directory(struct vst_devices *devs, const char *directory, size_t *left)
{
	char path[PATH_MAX];
	const struct dirent *e;
	int err = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s%s", devs->root, directory);
	d = opendir(path);
	if (!d)
		return 0; /* not every host has links of each sort */
	while (!err && *left && (e = readdir(d))) {
		struct vst_device *device;

		if (*e->d_name == '.')
			continue;
		--*left;
		device = target_of(devs, dirfd(d), e->d_name);
		snprintf(path, sizeof(path), "%s/%s", directory, e->d_name);
		if (device)
			err = add_link(device, path);
	}
	closedir(d);
	return err;
}

/* The first line of a file below /sys/block/NAME; "" if there is none. */
static void read_line(const struct vst_devices *devs, const char *name, const char *file, char *ret, size_t size)
{
	char path[256];
	FILE *f;

	*ret = 0;
	snprintf(path, sizeof(path), "%s/sys/block/%s/%s", devs->root, name, file);
	f = fopen(path, "re");
	if (!f)
		return;
	if (!fgets(ret, (int)size, f))
		*ret = 0;
	ret[strcspn(ret, "\n")] = 0;
	fclose(f);
}

/*
 * "vg--a-data" is the volume data of the group vg-a: LVM joins the two with a '-', and doubles those inside a name.
 * True, and the path /dev/vg-a/data.
 */
static bool volume_path(const char *name, char *ret, size_t size)
{
	bool joined = false;
	size_t n = (size_t)snprintf(ret, size, "/dev/");

	for (const char *c = name; *c && n + 1 < size; c++) {
		if (*c == '-' && c[1] == '-')
			c++;
		else if (*c == '-' && joined)
			return false; /* a part of a volume, such as vg-data-real or vg-data_tmeta: nobody's disk */
		else if (*c == '-') {
			ret[n++] = '/';
			joined = true;
			continue;
		}
		ret[n++] = *c;
	}
	ret[n] = 0;
	return joined;
}

/* Device-mapper devices, with the links that lvm and dmsetup make for them. */
static int read_mapper_name(struct vst_devices *devs, struct vst_device *d)
{
	char name[160], uuid[160], path[VST_DEVICE_LINK_TEXT];
	int err;

	if (!d->present || strncmp(d->name, "dm-", 3))
		return 0;
	read_line(devs, d->name, "dm/name", name, sizeof(name));
	if (!*name)
		return 0;
	snprintf(path, sizeof(path), "/dev/mapper/%s", name);
	err = add_link(d, path);
	read_line(devs, d->name, "dm/uuid", uuid, sizeof(uuid));
	if (!err && !strncmp(uuid, "LVM-", 4) && volume_path(name, path, sizeof(path)))
		err = add_link(d, path);
	return err;
}

int vst_device_links_update(struct vst_devices *devs)
{
	struct vst_device_links_state *s = &devs->links;
	size_t left = VST_DEVICE_LINKS_READ_MAX, devices = hash_devices(devs);
	bool changed = note_changes(devs, s);
	int err = 0;

	if (!changed && s->n && devices == s->devices)
		return 0;
	find_directories(devs, s);
	note_changes(devs, s);
	s->devices = devices;
	for (size_t i = 0; i < devs->n; i++) {
		vst_device_links_clear(&devs->list[i].links);
		err = read_mapper_name(devs, &devs->list[i]) ?: err;
	}
	for (size_t i = 0; i < s->n; i++)
		err = read_directory(devs, s->directory[i], &left) ?: err;
	if (!left && !s->full)
		vst_warn("/dev has more than %d links to disks: the others are not read, and rules that name a disk by "
			 "one of them do not match",
			 VST_DEVICE_LINKS_READ_MAX);
	s->full = !left;
	if (err)
		s->devices = ~devices; /* again at the next tick */
	return err;
}
