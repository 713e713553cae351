/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dm-cache devices (also LVM's: lvmcache), as device-mapper describes them. Only what the cache counts for all together: it has no
 * tracepoint, so who hits and misses is not known, and no keeper works there.
 */
#ifndef VST_DM_CACHE_H
#define VST_DM_CACHE_H

#include "agent/caches/caches.h"
#include "agent/snapshot.h"

struct vst_dm_cache {
	struct vst_cache_info info; /* .bucket_bytes: of a block */
	__u64 used_bytes;
	__u32 origin_dev, cache_dev; /* as in struct vst_device */
#define X(f, d) __u64 f;
	VST_DM_CACHE_COUNTERS(X)
#undef X
};

/* What the target's table and status say. False: this is no text of a cache that works. Pure. */
bool vst_dm_cache_parse_table(const char *text, struct vst_dm_cache *ret);
bool vst_dm_cache_parse_status(const char *text, struct vst_dm_cache *ret);

/*
 * A look at the dm-cache devices of this host, in a thread: a status waits for a lock that is held while metadata is written, and on a
 * disk that hangs so would the loop.
 */
struct vst_dm_look;

/* Begins a look, unless one is under way. False: there is no dm device. */
bool vst_dm_look_begin(struct vst_dm_look **look, const struct vst_devices *devices);
/* True: a look has ended, and ret[*ret_n], of VST_CACHES, is what was found. devices: for the names of the disks below. */
bool vst_dm_look_take(struct vst_dm_look **look, const struct vst_devices *devices, struct vst_dm_cache *ret,
		      size_t *ret_n);
/* Waits a second at most: a thread that hangs is left behind. */
void vst_dm_look_end(struct vst_dm_look **look);

#endif /* VST_DM_CACHE_H */
