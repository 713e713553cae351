/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hands the newest snapshot from the loop, which makes it, to the threads of sinks. A sink that needs a newer one asks for it
 * and goes on; the loop decides when it makes one, and one snapshot answers all who have asked until it is begun.
 */
#ifndef VST_RELAY_H
#define VST_RELAY_H

#include "agent/snapshot.h"

/* What a sink may ask for. Each kind has tickets, which count from 1. */
enum vst_ask {
	VST_ASK_FRESH, /* begun after the question */
	VST_ASK_SWEPT, /* the same, after a look for I/O of which the probes missed the end */
	VST_ASK_NAMED, /* the same, with the names of all locks as good as they get */
	VST_ASK__N
};

struct vst_tickets {
	__u64 n[VST_ASK__N];
};

struct vst_relay;

int vst_relay_new(struct vst_relay **ret);
void vst_relay_free(struct vst_relay *f);

/* --- sinks, on any thread --- */

/* The newest snapshot, a reference, NULL: there is none yet; and which tickets it answers. */
const struct vst_snapshot *vst_relay_get(struct vst_relay *f, struct vst_tickets *ret_answered);

/* Asks for a snapshot; returns the ticket that will be answered. */
__u64 vst_relay_ask(struct vst_relay *f, enum vst_ask ask);

/* The descriptor is written to, as an eventfd, whenever tickets were answered. -1: never. */
void vst_relay_wake(struct vst_relay *f, int event_fd);

/* --- the loop --- */

/* Readable: somebody has asked. */
int vst_relay_asked_fd(const struct vst_relay *f);

/* All tickets that were given out: a snapshot that is begun now answers them. The descriptor is not readable any more. */
void vst_relay_asked(struct vst_relay *f, struct vst_tickets *ret);

/* Publishes a snapshot, whose reference is stolen; answered: the tickets that it answers. */
void vst_relay_publish(struct vst_relay *f, const struct vst_snapshot *s, const struct vst_tickets *answered);

#endif /* VST_RELAY_H */
