/* SPDX-License-Identifier: GPL-2.0-only */
/* The caches of this host, as sysfs describes them: which device is cached, by what, how large, in which mode. */
#ifndef VST_CACHES_H
#define VST_CACHES_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "agent/io/devices.h"
#include "agent/probes/probes.h"
#include "vstor/abi_cache.h"

/* X(ENUM, "name") */
#define VST_CACHE_TYPES(X) X(BCACHE, "bcache") X(DM_CACHE, "dm-cache")

enum vst_cache_type {
#define X(e, n) VST_CACHE_##e,
	VST_CACHE_TYPES(X)
#undef X
		VST_CACHE_TYPE__N
};

VST_NAMES1(vst_cache_type_name, VST_CACHE_TYPES)

struct vst_cache_info {
	__u32 dev; /* the cached device */
	enum vst_cache_type type;
	char name[32];	      /* "bcache0" */
	char origin[32];      /* the slow device behind it */
	char cache[32];	      /* the fast one before it; "" while there is none */
	char set[40];	      /* of caches, a UUID; "" likewise */
	char mode[32];	      /* "writeback" */
	char replacement[16]; /* "lru" */
	__u64 bytes;	      /* of the cached device */
	__u64 cache_bytes;
	__u64 bucket_bytes; /* what the cache gives away at a time */
	__u64 buckets;
	__u64 data_sectors; /* see struct vst_cached */
	__u64 dirty_bytes;
};

/*
 * Reads what is known of a device; false: it is not cached, or no cache is attached. root: put before /sys. Nothing here
 * takes the kernel long: priority_stats of bcache does (10 s), and is not read.
 */
bool vst_cache_info_read(const char *root, const struct vst_device *device, struct vst_cache_info *ret);

/* "512.0k" as bcache writes it. False: it is no such number. Pure. */
bool vst_cache_parse_bytes(const char *text, __u64 *ret);

/* The word in brackets of "writethrough [writeback] none"; the whole text if there are none. Pure. */
void vst_cache_parse_choice(const char *text, char *ret, size_t size);

/* How the tables have to be for these devices: fills in `at` but for what the probes do. Pure. */
void vst_cache_layout(const struct vst_cache_info *info, size_t n, __u32 max_bytes, struct vst_cached *at,
		      struct vst_cache_sizes *ret);

#endif /* VST_CACHES_H */
