/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which rows of I/O there are, and where their counters are in the maps. vst_io_table_collect() reads what changed since the
 * last time, and makes new values of it for the next snapshot: what a row has counted is kept there only.
 */
#ifndef VST_IO_TABLE_H
#define VST_IO_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "agent/base/places.h"
#include "agent/io/devices.h"
#include "agent/io/io_underway.h"
#include "agent/who/owners.h"
#include "agent/probes/probes.h"
#include "agent/snapshot.h"
#include "vstor/abi.h"

/* What a row is one of. All bytes count in comparisons. */
struct vst_io_row_key {
	const struct vst_container *container;
	__u32 dev;
	__u8 witness, op, kind, size, layer, patterns, hint;
	__u8 pad[5]; /* 0; without a name a copy need not have them */
};

struct vst_io_row {
	__u32 place;	    /* its index in a snapshot */
	__u32 number;	    /* the first of its numbers in the maps, see io_rows.h; 0: all were taken back */
	struct vst_key key; /* of that number */
	struct vst_container *container;
	struct vst_snap_io *value; /* what it has counted; not to be changed once it is in a snapshot */
	__u64 changed_seq;	   /* the collection in which it changed last */
	__u64 value_seq;	   /* the collection in which .value was made */
	double changed_at;
	double retired_at; /* the last of its numbers was given up; 0: it got one since */
	struct vst_in_flight in_flight;
	struct vst_io_row *next;
	/* of io_rows.c only */
	struct vst_io_past *past; /* counted under numbers that it has not any more; NULL: nothing, or it has none */
	struct vst_io_row_key row_key;
	UT_hash_handle hh; /* by .row_key */
};

/* A number of the maps, and to which row it belongs. */
struct vst_io_number {
	struct vst_io_row *row; /* NULL: not given out, as far as is known */
	__u32 next;		/* of the same row; 0: there is none */
	struct vst_key key;
	double changed_at;
	bool retired;	    /* its key was taken out of the map */
	unsigned int looks; /* at what is in flight, since then, in which no request had it ... */
	__u64 looked;	    /* ... and the last one, see vst_io_table.looks */
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
	unsigned int n_rows;	 /* numbers in use: places in the maps */
	unsigned int n_slots;	 /* in use */
	struct vst_io_number numbers[VST_ROWS];
	struct vst_io_row *by_key;	/* uthash */
	unsigned int moves;		/* of cgroups to other containers, so far */
	__u64 looks;			/* at what is in flight, so far */
	__u64 slot_seen[VST_SLOTS_MAX]; /* sum of a slot's counters when it was last read: moved or not */
	__u32 slot_next[VST_SLOTS_MAX]; /* slots of one row, chained from ... */
	__u32 slot_first[VST_ROWS];
	__u16 slot_row[VST_SLOTS_MAX]; /* the row in whose chain it is; 0: none */
	struct vst_io_row **dirty;     /* [VST_ROWS], those that the last collection found to have counted more */
	unsigned int n_dirty;
	struct vst_io_row **changed; /* [2 * VST_ROWS], those that have a new value for the next snapshot */
	unsigned int n_changed;
	struct vst_io_row **at; /* by .place */
	__u32 n_at;
	struct vst_places places;
	struct vst_io_row **busy; /* [VST_ROWS], those that had something in flight at the last look */
	unsigned int n_busy;
	struct vst_io_underway underway; /* that look */
	struct vst_seen *seen;
	size_t n_seen;
	__u64 seq;		 /* of collections */
	__u64 lost[VST_LOSS__N]; /* of the whole host, but for missed runs of probes */
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

/*
 * now: monotonic seconds. Afterwards the rows in ->changed have new values, which nobody else has yet. 0 or -errno; then those
 * of some rows may be as before, until they change again.
 */
int vst_io_table_collect(struct vst_io_table *t, const struct vst_probes *probes, struct vst_owners *owners,
			 double now);

/*
 * After vst_io_table_collect(): what each row has in flight at now_ns. Makes the rows of which nothing has completed yet. A row
 * with something in flight counts as changed. 0 or -ENOMEM.
 */
int vst_io_table_in_flight(struct vst_io_table *t, const struct vst_probes *probes, struct vst_owners *owners,
			   __u64 now_ns);

/*
 * Once a tick, after collecting: takes back the rows of what is dead, so that the maps never fill up with it, and
 * forgets them when they were kept long enough.
 */
void vst_io_table_reclaim(struct vst_io_table *t, const struct vst_probes *probes, struct vst_owners *owners,
			  double now);

/* The row at a place of the snapshot; NULL: there is none. */
struct vst_io_row *vst_io_table_at(const struct vst_io_table *t, __u32 place);

const struct vst_seen *vst_io_table_seen(const struct vst_io_table *t, __u32 dev);

#endif /* VST_IO_TABLE_H */
