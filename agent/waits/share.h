/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose is a wait that no lock tells of: it is shared among those who were served meanwhile. Arithmetic on numbers
 * that are handed in; docs/blame.md has the rules and their reasons.
 */
#ifndef VST_SHARE_H
#define VST_SHARE_H

#include <stddef.h>
#include <linux/types.h>

#include "vstor/classes.h"

#define VST_SHARE_SIZES 12 /* of requests: up to 4 KiB, 8 KiB, ..., 8 MiB and more */

/* What a device takes for a request when nobody is in the way, in ns; 0: not known. */
struct vst_share_model {
	double base_ns[VST_OP__N][VST_SHARE_SIZES];
};

/* Requests of one sort and one container that were completed in a window. */
struct vst_share_work {
	const void *who;
	__u8 op; /* enum vst_op */
	__u64 ios, bytes, queue_ns, device_ns;
	__u64 paid_ns; /* of these times: divided already, while the requests were under way */
};

/* A container in a window. */
struct vst_share_party {
	const void *who;
	double wait_ns;	 /* to be shared */
	double limit_ns; /* no single holder makes it wait for longer than this times the holder's presence */
	double weight;	 /* of what was done for it */
	double self;	 /* 0 to 1: how much of its own weight it waits for */
	double presence; /* 0 to 1: part of the window in which something was under way for it */
	__u64 waits;
};

/* Takes the shortest times that were ever seen; what is remembered grows to its double in an hour. */
void vst_share_learn(struct vst_share_model *m, const struct vst_share_work *work, size_t n, double seconds);

/* What a request of this size takes when nobody is in the way, at most; 0: not known. */
double vst_share_base(const struct vst_share_model *m, enum vst_op op, double bytes);

/* Makes parties[n] of a window's work, which is sorted by container on return. Returns how many. */
size_t vst_share_parties(const struct vst_share_model *m, struct vst_share_work *work, size_t n, double window_ns,
			 struct vst_share_party *ret_parties);

/* The part of waiter's wait that is the holder's. */
typedef void vst_share_emit(void *arg, const struct vst_share_party *waiter, const void *holder, double ns);

/*
 * Divides each party's wait. Among many parties those with less than a fiftieth of the weight are one holder, `others`. What is more
 * than all holders' presence can explain is nobody's: the device itself.
 */
void vst_share_divide(const struct vst_share_party *parties, size_t n, const void *others, vst_share_emit *emit,
		      void *arg);

#endif /* VST_SHARE_H */
