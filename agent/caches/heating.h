/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watches the caches of this host: has their probes attached with tables of the right size, reads what these count, and says
 * what of a cached device is worth keeping. Everything runs on the loop's thread.
 */
#ifndef VST_HEATING_H
#define VST_HEATING_H

#include "agent/base/places.h"
#include "agent/caches/caches.h"
#include "agent/caches/dm_cache.h"
#include "agent/caches/pins.h"
#include "agent/probes/probes.h"
#include "agent/snapshot.h"
#include "agent/who/owners.h"
#include "lib/heat.h"
#include "lib/reuse.h"
#include "policy/keep.h"

/* Memory of the heat map: with more to watch, its chunks get larger. */
#define VST_HEAT_BYTES_MAX (64U << 20)
/* What was not used for so long is not worth keeping. */
#define VST_HEAT_AGE_S (24 * 3600)

/* Counters of a container, a cached device and a class. */
struct vst_cache_row {
	struct vst_container *container; /* borrowed until the next tick */
	__u32 dev;
	__u32 class;
	struct vst_cache_counts counts;
};

struct vst_cached_device {
	struct vst_cache_info info;
	struct vst_heat_sum sum;
	__u64 admitted;	       /* bytes, by all, since the device is watched */
	__u64 admitted_before; /* of these, by containers that are forgotten */
	uint64_t *covered;
	struct vst_reuse *reuse; /* NULL: out of memory */
	__u32 cursor;		 /* see vst_heat_choose() */
};

struct vst_heating {
	struct vst_cached_device at[VST_CACHES];
	size_t n;
	struct vst_dm_cache dm[VST_CACHES]; /* which the probes do not watch */
	size_t n_dm;
	struct vst_dm_look *dm_look; /* NULL: none is under way */
	struct vst_cache_row *rows;  /* [n_rows], by the last collection */
	size_t n_rows, cap_rows;
	bool collected; /* after the last snapshot: the containers of the rows are still there */
	__u32 n_put;	/* rows in the last snapshot */
	double read_at; /* sysfs */
	double summed_at;
	__u64 lost;	    /* I/Os that no row had room for */
	void *uses;	    /* struct ring_buffer; NULL: no cache is watched */
	__u32 n_curves_put; /* places in the last snapshot */
	double curved_at;
	struct vst_pins pins;
	bool pins_stale;       /* the probes' tables do not have them */
	__u32 n_pins_put;      /* in the last snapshot */
	__u32 *kept_container; /* [n_kept_containers]: numbers of those that rules keep */
	size_t n_kept_containers;
	__u64 *kept_owner; /* [n_kept_owners]: sorted, what vst_cache_kept has */
	size_t n_kept_owners;
};

void vst_heating_free(struct vst_heating *h);

/* Once a tick: looks for caches that came or went. now: monotonic seconds. */
void vst_heating_follow(struct vst_heating *h, const struct vst_devices *devices, struct vst_probes *probes,
			double now);

/* Reads the counters. 0 or -errno. */
int vst_heating_collect(struct vst_heating *h, struct vst_probes *probes, struct vst_owners *owners, double now);

/* Puts them into a snapshot, after its containers. 0 or -ENOMEM. */
int vst_heating_put(struct vst_heating *h, const struct vst_probes *probes, struct vst_snapshot *s);

/* The class of each kind and size, see struct vst_cache_state. */
void vst_heating_classes(struct vst_probes *probes, const __u8 class_of[64]);

/* The process whose reads are nobody's heat. */
void vst_heating_keeper(struct vst_probes *probes, __u32 pid);

/* --- pinning.c --- */

/* vst_pins_add() and vst_pins_remove(), with a sentence about it. 0 or -errno. */
int vst_heating_pin(struct vst_heating *h, bool undo, const char *text, double now, char *ret, size_t size);

/* Containers, by their numbers, all of whose data is worth keeping because a rule says so. */
void vst_heating_keep_containers(struct vst_heating *h, const __u32 *numbers, size_t n);

/* Once a tick: tells the probes what is pinned, and drops what is gone. */
void vst_heating_follow_pins(struct vst_heating *h, const struct vst_devices *devices, struct vst_probes *probes,
			     struct vst_owners *owners);

/* How much of each pin on a device its cache has. */
void vst_heating_sum_pins(struct vst_heating *h, const struct vst_cached_device *d, const struct vst_heat_view *view);

/* 0 or -ENOMEM */
int vst_heating_put_pins(struct vst_heating *h, struct vst_snapshot *s);

/* --- sampling.c --- */

/* The probes have new tables: begins anew. */
void vst_heating_sample_begin(struct vst_heating *h, const struct vst_maps *m);
void vst_heating_sample_end(struct vst_heating *h);
/* Once a tick: takes what the probes have sampled. */
void vst_heating_sample(struct vst_heating *h, const struct vst_maps *m);
/* 0 or -ENOMEM */
int vst_heating_put_curves(struct vst_heating *h, const struct vst_maps *m, struct vst_snapshot *s);

/* What to read on a cached device; see vst_heat_choose(). -ENODEV: it is not one that is watched. */
int vst_heating_choose(struct vst_heating *h, const struct vst_probes *probes, __u32 dev,
		       const struct vst_keep_pass *pass, double now, uint64_t **ret_offsets, size_t *ret_n,
		       size_t *ret_known);

#endif /* VST_HEATING_H */
