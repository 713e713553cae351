/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who owns I/O: cgroups, by the ids that the probes report, and the containers that they belong to. A cgroup is known
 * from the scan at the start or from the event of its making; so one that lived for a moment has a name too.
 */
#ifndef VST_OWNERS_H
#define VST_OWNERS_H

#include <stdbool.h>
#include <linux/types.h>

#include "agent/base/hash.h"
#include "agent/probes/probes.h"
#include "vstor/abi.h"

#define VST_KEEP_DEAD 600.0    /* seconds that a container stays known after its end ... */
#define VST_KEEP_DEAD_MAX 4096 /* ... unless so many others have ended since */

struct vst_container {
	__u32 place;				      /* its index in a snapshot; set by collect.c, 0 before */
	__u32 changed;				      /* counts changes of its names, and that it was made anew */
	char *cgroup;				      /* path of its scope: its identity */
	char *display;				      /* what a user calls it */
	char *ns, *pod, *name, *image, *id, *runtime; /* "" if not known */
	bool listed;	      /* vstorctl ps shows it: a container or a unit, not a mere slice or directory */
	bool crowded_out;     /* it ended, and others need its place */
	unsigned int alive;   /* cgroups of its that exist */
	unsigned int cgroups; /* and all that are still known */
	double since;	      /* made (anew), or first seen; monotonic seconds */
	double ended;	      /* 0: it lives */
	double ask_at;	      /* when to ask for its name again; 0: never */
	double pause;
	unsigned int restarts; /* in the same cgroup */
	unsigned int rows;     /* that refer to it */
	__u64 ios, bytes;
	UT_hash_handle hh; /* by .cgroup */
};

struct vst_owners;

/* root: "" on a host; where the host's / is otherwise. */
int vst_owners_new(const char *root, struct vst_owners **ret);
void vst_owners_free(struct vst_owners *o);

/* Which hierarchies the blkio and memory controllers are in. */
int vst_owners_hiers(const char *root, struct vst_hiers *ret);

/*
 * Reads the tree of every hierarchy that counts owners: finds cgroups that came or went without an event. Events that
 * were sent before have to be taken first. now: monotonic seconds.
 */
int vst_owners_scan(struct vst_owners *o, double now);

void vst_owners_event(struct vst_owners *o, const struct vst_event_cgroup *event, double now);

/* Once a tick: asks again for names that were not to be had yet, forgets what is long dead. */
void vst_owners_tick(struct vst_owners *o, double now);

/* Never NULL but without memory: an id that is not known gets a container of its own, called by its number. */
struct vst_container *vst_owners_of(struct vst_owners *o, const struct vst_key *key, double now);

/* Was the cgroup of a row's key removed before that time (or is not known any more)? Its container may live on. */
bool vst_owners_gone(struct vst_owners *o, const struct vst_key *key, double before);

/* All containers, for iteration with uthash's ->hh.next. */
struct vst_container *vst_owners_first(struct vst_owners *o);
unsigned int vst_owners_count(struct vst_owners *o);

#endif /* VST_OWNERS_H */
