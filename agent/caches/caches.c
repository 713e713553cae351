// SPDX-License-Identifier: GPL-2.0-only
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/caches/caches.h"
#include "lib/cleanup.h"

#define PLACES_MIN 4096U
#define PLACES_MAX (2U << 20)
#define UNIT_SHIFT_MIN 12

bool vst_cache_parse_bytes(const char *text, __u64 *ret)
{
	static const char units[] = "kMGTPEZY";
	const char *unit;
	char *end;
	double v = strtod(text, &end);

	if (end == text || !(v >= 0))
		return false;
	unit = *end && *end != '\n' ? strchr(units, *end) : NULL;
	if (*end && *end != '\n' && !unit)
		return false;
	for (; unit && unit >= units; unit--)
		v *= 1024;
	if (!(v < 1e19))
		return false;
	*ret = (__u64)v;
	return true;
}

void vst_cache_parse_choice(const char *text, char *ret, size_t size)
{
	const char *open = strchr(text, '['), *from = open ? open + 1 : text;
	size_t len = strcspn(from, open ? "]" : "\n");

	snprintf(ret, size, "%.*s", (int)len, from);
}

/* --- files --- */

static bool read_text(const char *dir, const char *file, char *ret, size_t size)
{
	char path[PATH_MAX];
	_cleanup_fclose_ FILE *f = NULL;

	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path))
		return false;
	f = fopen(path, "re");
	if (!f || !fgets(ret, (int)size, f))
		return false;
	ret[strcspn(ret, "\n")] = 0;
	return true;
}

static __u64 read_bytes(const char *dir, const char *file)
{
	char text[64];
	__u64 v;

	return read_text(dir, file, text, sizeof(text)) && vst_cache_parse_bytes(text, &v) ? v : 0;
}

static void read_choice(const char *dir, const char *file, char *ret, size_t size)
{
	char text[128];

	*ret = 0;
	if (read_text(dir, file, text, sizeof(text)))
		vst_cache_parse_choice(text, ret, size);
}

/* The last part but `up` of the path that a link leads to. False: there is no such link. */
static bool link_name(const char *dir, const char *link, int up, char *ret, size_t size)
{
	char path[PATH_MAX], real[PATH_MAX];
	char *slash;

	if (snprintf(path, sizeof(path), "%s/%s", dir, link) >= (int)sizeof(path) || !realpath(path, real))
		return false;
	for (; up > 0; up--) {
		slash = strrchr(real, '/');
		if (!slash)
			return false;
		*slash = 0;
	}
	slash = strrchr(real, '/');
	if (!slash || strlen(slash + 1) >= size)
		return false;
	strcpy(ret, slash + 1);
	return true;
}

/* --- bcache --- */

/* Sectors of a disk or a partition. */
static __u64 sectors_of(const char *root, const char *name)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/sys/class/block/%s", root, name);
	return read_bytes(dir, "size");
}

static bool bcache_read(const char *root, const struct vst_device *device, struct vst_cache_info *ret)
{
	char dir[PATH_MAX], first[PATH_MAX + 16];
	__u64 sectors, below;

	snprintf(dir, sizeof(dir), "%s/sys/block/%s/bcache", root, device->name);
	if (!link_name(dir, "cache", 0, ret->set, sizeof(ret->set)) ||
	    !link_name(dir, "cache/cache0", 1, ret->cache, sizeof(ret->cache)) ||
	    !link_name(dir, ".", 1, ret->origin, sizeof(ret->origin)))
		return false;
	snprintf(first, sizeof(first), "%s/cache/cache0", dir);
	ret->type = VST_CACHE_BCACHE;
	read_choice(dir, "cache_mode", ret->mode, sizeof(ret->mode));
	read_choice(first, "cache_replacement_policy", ret->replacement, sizeof(ret->replacement));
	ret->dirty_bytes = read_bytes(dir, "dirty_data");
	ret->bucket_bytes = read_bytes(first, "bucket_size");
	ret->buckets = read_bytes(first, "nbuckets");
	ret->cache_bytes = ret->bucket_bytes * ret->buckets;
	sectors = sectors_of(root, device->name);
	below = sectors_of(root, ret->origin);
	ret->bytes = sectors << 9;
	ret->data_sectors = below > sectors ? below - sectors : 0;
	return ret->bucket_bytes && ret->buckets && sectors;
}

bool vst_cache_info_read(const char *root, const struct vst_device *device, struct vst_cache_info *ret)
{
	*ret = (struct vst_cache_info){ .dev = device->dev };
	snprintf(ret->name, sizeof(ret->name), "%s", device->name);
	if (!strncmp(device->name, "bcache", 6))
		return bcache_read(root, device, ret);
	return false;
}

/* --- how large the tables have to be --- */

static __u64 chunks_of(const struct vst_cache_info *info, __u32 unit_shift)
{
	__u64 chunk = (__u64)VST_HEAT_UNITS << unit_shift;

	return (info->bytes + chunk - 1) / chunk;
}

void vst_cache_layout(const struct vst_cache_info *info, size_t n, __u32 max_bytes, struct vst_cached *at,
		      struct vst_cache_sizes *ret)
{
	__u32 shift = UNIT_SHIFT_MIN;
	__u64 chunks, cache = 0;

	for (;; shift++) {
		chunks = 0;
		for (size_t i = 0; i < n; i++)
			chunks += chunks_of(&info[i], shift);
		if (chunks * sizeof(struct vst_heat) <= max_bytes || shift == 24)
			break;
	}
	*ret = (struct vst_cache_sizes){ .places = PLACES_MIN };
	for (size_t i = 0; i < n; i++) {
		size_t same = 0;

		while (same < i && strcmp(info[same].set, info[i].set) != 0)
			same++;
		at[i] = (struct vst_cached){
			.dev = info[i].dev,
			.unit_shift = shift,
			.first = ret->chunks,
			.chunks = (__u32)chunks_of(&info[i], shift),
			.first_bucket = same < i ? at[same].first_bucket : ret->buckets,
			.buckets = (__u32)info[i].buckets,
			.bucket_sectors = (__u32)(info[i].bucket_bytes >> 9),
			.data_sectors = (__u32)info[i].data_sectors,
		};
		ret->chunks += at[i].chunks;
		if (same < i)
			continue;
		ret->buckets += at[i].buckets;
		cache += info[i].cache_bytes;
	}
	/* one for each 16 KiB: what is worth keeping is small, and half of the cache at most */
	while (ret->places < PLACES_MAX && (__u64)ret->places << 14 < cache)
		ret->places *= 2;
}
