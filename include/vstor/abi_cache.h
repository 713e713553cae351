/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Caches of disks (bcache), between bpf/ and agent/: who hits and misses, and the heat map, which says what of a cached
 * device is worth keeping. The agent maps the three large tables into its memory.
 */
#ifndef VSTOR_ABI_CACHE_H
#define VSTOR_ABI_CACHE_H

#include "abi.h"

#define VST_CACHES 8	    /* cached devices that are watched */
#define VST_CACHE_ROWS 8192 /* owners x cached devices x classes */
#define VST_CACHE_KEPT 4096 /* owners all of whose data is worth keeping */
#define VST_CACHE_PAGE 4096 /* bytes: what one bit of the heat map stands for, at least */
#define VST_CACHE_RECENT 1024

/* Counters of an owner, a cached device and a class. X(field, "what it counts") */
#define VST_CACHE_COUNTERS(X)                                                                                          \
	X(hits, "reads that the cache had")                                                                            \
	X(misses, "reads that the cache did not have, and has now")                                                    \
	X(bypassed, "reads and writes that the cache left alone")                                                      \
	X(admitted_bytes, "bytes that the cache took in")

struct vst_cache_key {
	__u64 owner; /* cgroup id << 2 | hierarchy; 0: nobody is known */
	__u32 dev;   /* the cached device */
	__u8 class;
	__u8 witness; /* enum vst_witness */
	__u8 pad[2];
};

struct vst_cache_counts {
#define X(f, d) __u64 f;
	VST_CACHE_COUNTERS(X)
#undef X
};

/* --- a sample of what is read and written, from which other sizes of the cache are judged (lib/reuse.h) --- */

#define VST_REUSE_CHUNK_SHIFT 16 /* chunks of 64 KiB, of 16 pages */

/* A use of pages of a sampled chunk. */
struct vst_cache_use {
	__u32 chunk; /* of the cached device */
	__u16 pages; /* a bit for each that was used */
	__u8 index;  /* of the cached device */
	__u8 class;  /* VST_CACHE_USE_READ: it was read */
};

#define VST_CACHE_USE_READ 0x80
#define VST_CACHE_USES (128 * 1024) /* bytes of the ring; what finds no room is counted as lost */

/* The hash that decides whether a chunk is in the sample: each bit of it depends on each bit of the chunk's number. */
static inline __attribute__((always_inline)) __u32 vst_reuse_hash(__u64 chunk)
{
	__u64 h = (chunk + 1) * 0xff51afd7ed558ccdULL;

	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	return h >> 32;
}

/* --- the heat map --- */

/* Classes from this one on are worth keeping, and are told apart. What has a lower one is in no map. */
#define VST_HEAT_CLASS_MIN 3
#define VST_HEAT_CLASSES (VST_CLASS_MAX - VST_HEAT_CLASS_MIN + 1)
#define VST_HEAT_UNITS 64 /* of a chunk, a bit each */

/* A chunk of a cached device. */
struct vst_heat {
	__u64 units[VST_HEAT_CLASSES]; /* by class - VST_HEAT_CLASS_MIN; a unit is in one of them at most */
	__u32 seen;		       /* seconds of CLOCK_MONOTONIC: the last I/O to one of these units */
	__u32 pad;
};

/*
 * Where a cache put something that is worth keeping. A bucket holds what was inserted together, not what lies together on the
 * cached device (measured: refreshing one page for each 256 KiB of the device lost a third), so it has to be noted.
 */
struct vst_cache_place {
	__u64 page;   /* (index of the cached device + 1) << VST_PLACE_SHIFT | its first page; 0: free */
	__u32 bucket; /* in vst_cache_epochs */
	__u16 epoch;  /* of that bucket then */
	__u8 pages;   /* that were inserted together, from .page on; 255: or more */
	__u8 class;   /* the highest of them */
};

#define VST_PLACE_SHIFT 48
#define VST_PLACE_WAYS 4

struct vst_cached {
	__u32 dev;
	__u32 unit_shift; /* log2 of the bytes of a unit */
	__u32 first;	  /* of its chunks in the heat map */
	__u32 chunks;
	__u32 first_bucket; /* in vst_cache_epochs */
	__u32 buckets;
	__u32 bucket_sectors;
	__u32 data_sectors; /* what bcache calls sector 0 of the cached device is so much further on the one below */
	__u32 threshold;    /* chunks of 64 KiB with a hash up to this one are in the sample */
	__u32 pad2;
	/* by the probes */
	__u64 set; /* address of the cache set; 0: no I/O was seen yet */
	__u32 id;  /* in the keys of that set */
	__u32 pad;
};

struct vst_cache_state {
	__u32 n;	   /* of .at, written last */
	__u32 keeper;	   /* process whose reads are nobody's heat; 0: none */
	__u32 place_mask;  /* sets of vst_cache_places, less one */
	__u32 n_kept;	   /* owners in vst_cache_kept */
	__u64 uses_lost;   /* uses of sampled chunks that found no room in the ring */
	__u64 lost;	   /* I/Os that found no room in vst_cache_rows */
	__u8 class_of[64]; /* see VST_CLASS_INDEX */
	struct vst_cached at[VST_CACHES];
};

#define VST_CLASS_INDEX(kind, size) (((kind) & 7) << 3 | ((size) & 7))
_Static_assert(VST_KIND__N <= 8 && VST_SIZE__N <= 8, "an index of .class_of");

#endif /* VSTOR_ABI_CACHE_H */
