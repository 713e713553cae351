/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The collector and what it collected. vst_table_collect() reads what changed in the maps since the last time; between
 * two calls the table is the snapshot that sinks render.
 */
#ifndef VST_TABLE_H
#define VST_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "agent/io/devices.h"
#include "agent/io/underway.h"
#include "agent/who/owners.h"
#include "agent/probes/probes.h"
#include "vstor/abi.h"

enum vst_counter {
#define X(f, d) VST_COUNTER_##f,
	VST_COUNTERS(X)
#undef X
		VST_COUNTER__N
};

/* Buckets that are not 0, in their order. */
struct vst_bucket {
	__u32 index;
	__u64 n;
};

struct vst_sparse {
	struct vst_bucket *bucket;
	unsigned int n;
};

/* What a row had counted at the end of a window: see waits_disk.h. */
struct vst_work_seen {
	__u64 ios, bytes, queue_ns, device_ns;
};

/* Bytes that a row wrote lately: see waits_dirty.h. */
struct vst_written {
	__u64 seen;
	double bytes, at;
};

/* What a row is one of. All bytes count in comparisons. */
struct vst_row_key {
	const struct vst_container *container;
	__u32 dev;
	__u8 witness, op, kind, size, layer;
	__u8 pad[7]; /* 0; without a name a copy need not have them */
};

struct vst_row {
	__u32 id;	    /* for clients: unique, never given again */
	__u32 number;	    /* the first of its numbers in the maps, see rows.h; 0: all were taken back */
	struct vst_key key; /* of that number */
	struct vst_container *container;
	__u64 counter[VST_COUNTER__N];
	__u64 max_ns[VST_TIME__N];
	__u64 sum_ns[VST_TIME__N];
	struct vst_sparse hist[VST_TIME__N];
	__u64 changed_seq; /* snapshot in which it changed last */
	double changed_at;
	double retired_at; /* the last of its numbers was given up; 0: it got one since */
	struct vst_in_flight in_flight;
	struct vst_work_seen work_seen;
	double worked_at;
	struct vst_written written;
	bool at_disk; /* one of those that are looked at in windows */
	struct vst_row *next;
	/* of rows.c only */
	struct vst_row_past *past; /* counted under numbers that it has not any more; NULL: nothing, or it has none */
	struct vst_row_key row_key;
	UT_hash_handle hh; /* by .row_key */
};

/* A number of the maps, and to which row it belongs. */
struct vst_row_number {
	struct vst_row *row; /* NULL: not given out, as far as is known */
	__u32 next;	     /* of the same row; 0: there is none */
	struct vst_key key;
	double changed_at;
	bool retired;	    /* its key was taken out of the map */
	unsigned int looks; /* at what is in flight, since then, in which no request had it ... */
	__u64 looked;	    /* ... and the last one, see vst_table.looks */
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

struct vst_table {
	struct vst_row *rows; /* the newest first */
	unsigned int n_rows;  /* numbers in use: places in the maps */
	unsigned int n_slots; /* in use */
	struct vst_row_number numbers[VST_ROWS];
	struct vst_row *by_key;		/* uthash */
	unsigned int moves;		/* of cgroups to other containers, so far */
	__u64 looks;			/* at what is in flight, so far */
	__u64 slot_seen[VST_SLOTS_MAX]; /* sum of a slot's counters when it was last read: moved or not */
	__u32 slot_next[VST_SLOTS_MAX]; /* slots of one row, chained from ... */
	__u32 slot_first[VST_ROWS];
	__u16 slot_row[VST_SLOTS_MAX]; /* the row in whose chain it is; 0: none */
	struct vst_row **dirty;	       /* [VST_ROWS], those that the last collection found changed */
	unsigned int n_dirty;
	struct vst_row **busy; /* [VST_ROWS], those that had something in flight at the last look */
	unsigned int n_busy;
	struct vst_underway underway; /* that look */
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

int vst_table_new(struct vst_table **ret);
void vst_table_free(struct vst_table *t);

/* now: monotonic seconds. A new ->seq each time. 0 or -errno. */
int vst_table_collect(struct vst_table *t, const struct vst_probes *probes, struct vst_owners *owners, double now);

/*
 * After vst_table_collect(): what each row has in flight at now_ns. Makes the rows of which nothing has completed yet. A row
 * with something in flight counts as changed. 0 or -ENOMEM.
 */
int vst_table_in_flight(struct vst_table *t, const struct vst_probes *probes, struct vst_owners *owners, __u64 now_ns);

/*
 * Once a tick, after collecting: takes back the rows of what is dead, so that the maps never fill up with it, and
 * forgets them when they were kept long enough.
 */
void vst_table_reclaim(struct vst_table *t, const struct vst_probes *probes, struct vst_owners *owners, double now);

const struct vst_seen *vst_table_seen(const struct vst_table *t, __u32 dev);

#endif /* VST_TABLE_H */
