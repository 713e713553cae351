/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rows of the table and their numbers in the maps: for agent/io only. A row is what clients see, one for each key of
 * container, device, op, kind, size, witness and layer. In the maps a key names a cgroup, so a row has a number for each of
 * its container's cgroups that did I/O, and one more for each time that its cgroup was removed and made again.
 */
#ifndef VST_IO_ROWS_H
#define VST_IO_ROWS_H

#include "agent/io/io_table.h"

/* Counted under numbers that were taken back. */
struct vst_io_past {
	__u64 counter[VST_COUNTER__N];
	__u64 sum_ns[VST_TIME__N];
	struct vst_sparse hist[VST_TIME__N];
};

/* Of the row's numbers, all slots in turn. */
#define vst_for_each_slot(t, row, slot)                                                                                \
	for (__u32 __n = (row)->number; __n; __n = (t)->numbers[__n].next)                                             \
		for ((slot) = (t)->slot_first[__n]; (slot); (slot) = (t)->slot_next[slot])

/* The row of a number: known already, or of the same key, or a new one. NULL only if out of memory. */
struct vst_io_row *vst_io_rows_of(struct vst_io_table *t, __u32 number, const struct vst_maps *m,
				  struct vst_owners *owners, double now);

/* A row, with its first number. Steals nothing. NULL only if out of memory. */
struct vst_io_row *vst_io_rows_add(struct vst_io_table *t, __u32 number, const struct vst_key *key,
				   struct vst_container *container);

void vst_io_rows_free(struct vst_io_table *t, struct vst_io_row *row);

#define RETIRE_DEAD 10.0      /* seconds after its owner's end, while there is room */
#define RETIRE_IDLE 60.0      /* seconds without I/O, if the table is nearly full */
#define RETIRE_IDLE_SHARE 5.0 /* the same, of a container that has more than its share */
#define LOOKS 2		      /* at what is in flight, after which a number that is in none is nobody's */

#endif /* VST_IO_ROWS_H */
