// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <linux/dm-ioctl.h>

#include "agent/base/caps.h"
#include "agent/base/log.h"
#include "agent/caches/dm_cache.h"
#include "lib/cleanup.h"

#define REPLY_BYTES 16384 /* of a table with one target this is plenty */

/* --- the texts; Documentation/admin-guide/device-mapper/cache.rst --- */

bool vst_dm_cache_parse_table(const char *text, struct vst_dm_cache *ret)
{
	unsigned int meta_major, meta_minor, cache_major, cache_minor, origin_major, origin_minor;
	unsigned long long sectors;

	if (sscanf(text, "%u:%u %u:%u %u:%u %llu", &meta_major, &meta_minor, &cache_major, &cache_minor, &origin_major,
		   &origin_minor, &sectors) != 7)
		return false;
	ret->cache_dev = cache_major << 20 | cache_minor;
	ret->origin_dev = origin_major << 20 | origin_minor;
	return sectors;
}

/* The next word into ret, cut; false: there is none. */
static bool next_word(const char **text, char *ret, size_t size)
{
	size_t len;

	*text += strspn(*text, " ");
	len = strcspn(*text, " \n");
	snprintf(ret, size, "%.*s", (int)len, *text);
	*text += len;
	return len;
}

/* "N" and N words: calls see() for each. */
static bool words(const char **text, void (*see)(struct vst_dm_cache *ret, const char *word), struct vst_dm_cache *ret)
{
	char word[32];
	long n;

	if (!next_word(text, word, sizeof(word)))
		return false;
	for (n = strtol(word, NULL, 10); n > 0; n--) {
		if (!next_word(text, word, sizeof(word)))
			return false;
		if (see)
			see(ret, word);
	}
	return true;
}

static void see_feature(struct vst_dm_cache *ret, const char *word)
{
	if (!strcmp(word, "writeback") || !strcmp(word, "writethrough") || !strcmp(word, "passthrough"))
		snprintf(ret->info.mode, sizeof(ret->info.mode), "%s", word);
}

bool vst_dm_cache_parse_status(const char *text, struct vst_dm_cache *ret)
{
	unsigned long long sectors, used, total, n[7];
	int len = 0;

	/* a cache that failed says "Fail", and an older one "Error" */
	if (sscanf(text, "%*u %*u/%*u %llu %llu/%llu %llu %llu %llu %llu %llu %llu %llu%n", &sectors, &used, &total,
		   &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &len) != 10)
		return false;
	ret->info.type = VST_CACHE_DM_CACHE;
	ret->info.bucket_bytes = sectors << 9;
	ret->info.buckets = total;
	ret->info.cache_bytes = total * ret->info.bucket_bytes;
	ret->info.dirty_bytes = n[6] * ret->info.bucket_bytes;
	ret->used_bytes = used * ret->info.bucket_bytes;
	ret->read_hits = n[0];
	ret->read_misses = n[1];
	ret->write_hits = n[2];
	ret->write_misses = n[3];
	ret->demoted_blocks = n[4];
	ret->promoted_blocks = n[5];
	text += len;
	return words(&text, see_feature, ret) && words(&text, NULL, ret) &&
	       next_word(&text, ret->info.replacement, sizeof(ret->info.replacement));
}

/* --- device-mapper --- */

/*
 * The parameters of the first target of a device, if it is a cache, into a text that the caller frees; NULL: it is none. Without a flush, so
 * that asking neither writes the cache's metadata nor waits for a disk.
 */
static char *params_of(int control, const struct vst_device *d, bool table)
{
	_cleanup_free_ char *buffer = calloc(1, REPLY_BYTES);
	struct dm_ioctl *dm = (struct dm_ioctl *)buffer;
	const struct dm_target_spec *target;

	if (!buffer)
		return NULL;
	*dm = (struct dm_ioctl){ .version = { DM_VERSION_MAJOR, 0, 0 },
				 .data_size = REPLY_BYTES,
				 .data_start = sizeof(*dm),
				 .flags = DM_NOFLUSH_FLAG | (table ? DM_STATUS_TABLE_FLAG : 0),
				 .dev = makedev(d->dev >> 20, d->dev & 0xfffff) };
	if (ioctl(control, DM_TABLE_STATUS, dm)) {
		vst_debug("device-mapper says nothing of %s: %s", d->name, strerror(errno));
		return NULL;
	}
	target = (const struct dm_target_spec *)(buffer + dm->data_start);
	if (dm->target_count != 1 || dm->flags & DM_BUFFER_FULL_FLAG ||
	    dm->data_start + sizeof(*target) >= REPLY_BYTES || strcmp(target->target_type, "cache") != 0)
		return NULL;
	buffer[REPLY_BYTES - 1] = 0;
	return strdup((const char *)(target + 1));
}

static void name_of(const struct vst_devices *devices, __u32 dev, char *ret, size_t size)
{
	const struct vst_device *d = vst_devices_find((struct vst_devices *)devices, dev);

	if (d)
		snprintf(ret, size, "%s", d->name);
	else
		snprintf(ret, size, "%u:%u", dev >> 20, dev & 0xfffff);
}

/* --- the look --- */

#define DEVICES_MAX 256

struct vst_dm_look {
	pthread_t thread;
	struct vst_device device[DEVICES_MAX]; /* copies: numbers, sizes and names */
	size_t n_devices;
	struct vst_dm_cache found[VST_CACHES];
	size_t n;
	_Atomic bool done;
};

static bool read_one(int control, const struct vst_device *d, struct vst_dm_cache *ret)
{
	_cleanup_free_ char *table = params_of(control, d, true), *status = table ? params_of(control, d, false) : NULL;

	*ret = (struct vst_dm_cache){ .info = { .dev = d->dev, .bytes = d->sectors << 9 } };
	if (!status || !vst_dm_cache_parse_table(table, ret) || !vst_dm_cache_parse_status(status, ret))
		return false;
	snprintf(ret->info.name, sizeof(ret->info.name), "%s", d->name);
	return true;
}

static void *look_run(void *arg)
{
	_cleanup_close_ int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	struct vst_dm_look *l = arg;

	vst_caps_drop(VST_CAPS_DM, VST_CAPS_ALWAYS, NULL);
	for (size_t i = 0; control >= 0 && i < l->n_devices && l->n < VST_CACHES; i++)
		l->n += read_one(control, &l->device[i], &l->found[l->n]);
	l->done = true;
	return NULL;
}

bool vst_dm_look_begin(struct vst_dm_look **look, const struct vst_devices *devices)
{
	struct vst_dm_look *l;
	bool any;

	if (*look)
		return true;
	l = calloc(1, sizeof(*l));
	for (size_t i = 0; l && i < devices->n && l->n_devices < DEVICES_MAX; i++) {
		const struct vst_device *d = &devices->list[i];

		if (d->present && d->sectors && !strncmp(d->name, "dm-", 3))
			l->device[l->n_devices++] = *d;
	}
	any = l && l->n_devices;
	if (!any || pthread_create(&l->thread, NULL, look_run, l))
		free(l);
	else
		*look = l;
	return any;
}

bool vst_dm_look_take(struct vst_dm_look **look, const struct vst_devices *devices, struct vst_dm_cache *ret,
		      size_t *ret_n)
{
	struct vst_dm_look *l = *look;

	if (!l || !l->done)
		return false;
	pthread_join(l->thread, NULL);
	*look = NULL;
	*ret_n = l->n;
	for (size_t i = 0; i < l->n; i++) {
		ret[i] = l->found[i];
		name_of(devices, ret[i].origin_dev, ret[i].info.origin, sizeof(ret[i].info.origin));
		name_of(devices, ret[i].cache_dev, ret[i].info.cache, sizeof(ret[i].info.cache));
	}
	free(l);
	return true;
}

void vst_dm_look_end(struct vst_dm_look **look)
{
	struct timespec until;

	if (!*look)
		return;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	if (pthread_timedjoin_np((*look)->thread, NULL, &until))
		vst_warn("the thread that asks device-mapper about caches hangs: it is left behind");
	else
		free(*look);
	*look = NULL;
}
