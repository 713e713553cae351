/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The collector and what it collected. vst_io_table_collect() reads what changed in the maps since the last time; between
 * two calls the table is the snapshot that sinks render.
 */
#ifndef VST_IO_TABLE_H
#define VST_IO_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "agent/io/devices.h"
#include "agent/who/owners.h"
#include "agent/probes/probes.h"
#include "lib/counts.h"
#include "vstor/abi.h"

/* What a row had counted at the end of a window: see waits_disk.h. */
struct vst_work_seen {
	__u64 ios, bytes, queue_ns, device_ns;
};

/* Bytes that a row wrote lately: see waits_dirty.h. */
struct vst_written {
	__u64 seen;
	double bytes, at;
};

struct vst_io_row {
	__u32 id;     /* for clients: unique, never given again */
	__u32 number; /* in the maps; 0: taken back */
	struct vst_key key;
	struct vst_container *container;
	__u64 counter[VST_COUNTER__N];
	__u64 max_ns[VST_TIME__N];
	__u64 sum_ns[VST_TIME__N];
	struct vst_sparse hist[VST_TIME__N];
	__u64 changed_seq; /* snapshot in which it changed last */
	double changed_at;
	double retired_at; /* its key was taken out of the map; 0: no */
	struct vst_work_seen work_seen;
	double worked_at;
	struct vst_written written;
	bool at_disk; /* one of those that are looked at in windows */
	struct vst_io_row *next;
};

/* A bucket of the histograms that a slot has for each time. */
struct vst_cell {
	__u32 bucket;
	__u32 n[VST_TIME__N];
};

/* What the table knows of a device: sums of its rows, and losses. */
struct vst_seen {
	__u32 dev;
	struct vst_count seen;
	struct vst_count attributed;
	__u64 lost[VST_LOSS__N]; /* I/Os; of no_part, bytes */
	__u64 no_cell_bytes;	 /* already in .seen */
};

struct vst_io_table {
	struct vst_io_row *rows; /* the newest first */
	unsigned int n_rows;	 /* that have a number, and so a place in the maps */
	unsigned int n_slots;	 /* in use */
	struct vst_io_row *by_number[VST_ROWS];
	__u64 slot_seen[VST_SLOTS_MAX]; /* sum of a slot's counters when it was last read: moved or not */
	__u32 slot_next[VST_SLOTS_MAX]; /* slots of one row, chained from ... */
	__u32 slot_first[VST_ROWS];
	__u16 slot_row[VST_SLOTS_MAX]; /* the row in whose chain it is; 0: none */
	struct vst_io_row **dirty;     /* [VST_ROWS], those that the last collection found changed */
	unsigned int n_dirty;
	struct vst_seen *seen;
	size_t n_seen;
	__u64 seq;
	__u64 lost[VST_LOSS__N]; /* of the whole host */
	__u32 events_lost;
	__u32 last_id;
	/* while histograms are read */
	struct vst_hists *scratch; /* a batch of them */
	struct vst_cell *cells;	   /* of all slots of dirty rows: those that are not 0, by slot and bucket */
	size_t n_cells, cap_cells;
	struct {
		__u32 first, n;
	} slot_cells[VST_SLOTS_MAX];
	__u32 sum[VST_TIME__N][VST_HIST_BUCKETS]; /* of a row's slots; 0 before and after */
};

int vst_io_table_new(struct vst_io_table **ret);
void vst_io_table_free(struct vst_io_table *t);

/* now: monotonic seconds. A new ->seq each time. 0 or -errno. */
int vst_io_table_collect(struct vst_io_table *t, const struct vst_probes *probes, struct vst_owners *owners,
			 double now);

/*
 * Once a tick, after collecting: takes back the rows of what is dead, so that the maps never fill up with it, and
 * forgets them when they were kept long enough.
 */
void vst_io_table_reclaim(struct vst_io_table *t, const struct vst_probes *probes, struct vst_owners *owners,
			  double now);

const struct vst_seen *vst_io_table_seen(const struct vst_io_table *t, __u32 dev);

#endif /* VST_IO_TABLE_H */
