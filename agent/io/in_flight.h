/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * I/O under way: what was submitted and has not completed. The probes' table of requests in flight is read while they
 * write to it; a request that changes at that moment is left out, because it is not stuck.
 */
#ifndef VST_IN_FLIGHT_H
#define VST_IN_FLIGHT_H

#include <stdbool.h>
#include <linux/types.h>

#include "vstor/abi_inflight.h"

/* ns; a disk that works answers sooner, and what it does with such a request counts when it ends. */
#define VST_UNDERWAY_OLD 1000000000ULL

/* What a row has in flight. */
struct vst_in_flight {
	__u32 ios;   /* requests; of one that belongs to several rows the first row has it */
	__u32 parts; /* of requests, these included: while there are any, the row's number may not be given to another */
	__u64 oldest_ns; /* when the oldest was submitted; 0: none is in flight */
	__u64 sum_ns;	 /* their ages */
	__u32 old;	 /* those that have been under way for VST_UNDERWAY_OLD, */
	__u64 old_ns;	 /* and their ages */
};

/* One look at the whole table. */
struct vst_in_flight_look {
	__u64 now_ns;			    /* when; ages are counted to it */
	struct vst_in_flight row[VST_ROWS]; /* by row number */
	__u16 touched[VST_ROWS];	    /* the rows that have something in flight */
	unsigned int n_touched;
	__u64 oldest_ns;	/* when the oldest I/O of any row was submitted; 0: there is none */
	unsigned int undecided; /* requests that have waited in a queue for long, and whose row is not known yet */
	__u64 undecided_ns;	/* the oldest of these was queued; 0: there are none */
};

/*
 * Adds what stands in one place of the table. now_ns: the moment that ages are counted to; what was submitted after it is of
 * age 0.
 */
void vst_underway_place(struct vst_in_flight_look *u, const struct vst_inflight *in,
			const struct vst_inflight_more *more, __u64 now_ns);

/* Looks at all places that were ever used: table[VST_INFLIGHT_WORDS]. Forgets the look before. */
void vst_underway_scan(struct vst_in_flight_look *u, const __u64 *table, __u64 now_ns);

#endif /* VST_IN_FLIGHT_H */
