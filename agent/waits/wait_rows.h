/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rows of waits, of every type: who waited for what, and because of whom. What a row has counted is in its value only; each
 * change makes a new value for the next snapshot.
 */
#ifndef VST_WAIT_ROWS_H
#define VST_WAIT_ROWS_H

#include <stdbool.h>
#include <linux/types.h>

#include "agent/base/places.h"
#include "agent/snapshot.h"
#include "agent/who/owners.h"

/* Part of a larger structure, which says what the row is about. */
struct vst_wait_row {
	struct vst_snap_wait *value; /* not to be changed once it is in a snapshot */
	__u32 place;		     /* its index in a snapshot */
	bool changed;		     /* since the last snapshot */
	struct vst_container *waiter, *holder;
	double changed_at;
	struct vst_wait_row *next_changed;
};

#define VST_WAIT_TEXTS 256 /* kept to be shared */

struct vst_wait_rows {
	struct vst_places places;
	struct vst_wait_row *changed; /* chained by .next_changed */
	__u32 last_id;
	/*
	 * Values whose texts other rows may share, by a hash of the texts; NULL: none. 10,000 rows of a busy host have 60 texts:
	 * the names of the locks.
	 */
	struct vst_snap_wait *shared[VST_WAIT_TEXTS];
};

/* Containers that are no cgroups: many small ones, and the kernel's own threads. */
extern struct vst_container vst_waits_others, vst_waits_kernel;

/* Fills in a row that was zeroed. The value has no counts yet. 0 or -ENOMEM. */
int vst_wait_row_init(struct vst_wait_rows *rows, struct vst_wait_row *row, enum vst_wait_type type,
		      enum vst_wait_side side, struct vst_container *waiter, struct vst_container *holder);

/* Removes what _init() made; the caller frees the row. */
void vst_wait_row_end(struct vst_wait_rows *rows, struct vst_wait_row *row);

/*
 * The row's value for the next snapshot, to be changed: a copy of the one before, or that made since the last snapshot. Its
 * histogram is as before if n_buckets is 0, or else has that many buckets, to be filled in. NULL: out of memory.
 */
struct vst_snap_wait *vst_wait_row_change(struct vst_wait_rows *rows, struct vst_wait_row *row, unsigned int n_buckets);

/* Sets the texts of a value that vst_wait_row_change() returned. NULL: as it is. */
struct vst_wait_texts {
	const char *name, *object, *evidence;
	char *const *stack;
	size_t n_stack;
};
void vst_wait_row_texts(struct vst_wait_row *row, const struct vst_wait_texts *texts);

/* The same; the row shares the texts with others that have the same ones. */
void vst_wait_row_texts_shared(struct vst_wait_rows *rows, struct vst_wait_row *row,
			       const struct vst_wait_texts *texts);

/* The next row that has changed since the last snapshot, for whoever makes one; NULL: none. */
struct vst_wait_row *vst_wait_rows_changed(struct vst_wait_rows *rows);

void vst_wait_rows_free(struct vst_wait_rows *rows);

#endif /* VST_WAIT_ROWS_H */
