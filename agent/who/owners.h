/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who owns I/O: cgroups, by the ids that the probes report, and the containers that they belong to. A cgroup is known
 * from the scan at the start or from the event of its making; so one that lived for a moment has a name too.
 *
 * A container is its cgroup. What it is called is a label, which is looked up by threads (lookups.h) and can change;
 * until the answer has come, the label is what the cgroup's path says.
 */
#ifndef VST_OWNERS_H
#define VST_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "agent/base/hash.h"
#include "agent/probes/probes.h"
#include "vstor/abi.h"

struct vst_label;
struct vst_limit;
struct vst_block;
struct vst_snap_container;

#define VST_KEEP_DEAD 600.0    /* seconds that a container stays known after its end ... */
#define VST_KEEP_DEAD_MAX 4096 /* ... unless so many others have ended since */

/*
 * Cgroups that are told apart, in all hierarchies together, and how many of them may belong to what users make: all users
 * together, and one user, or one container that makes cgroups inside itself. Further ones share one container.
 */
#define VST_CGROUPS_MAX 32768
#define VST_CGROUPS_USERS (VST_CGROUPS_MAX / 2)
#define VST_CGROUPS_USER (VST_CGROUPS_MAX / 4)

struct vst_container {
	__u32 number;				      /* unique, never given again */
	__u32 place;				      /* its index in a snapshot; set by collect.c, 0 before */
	bool own;				      /* vstor's own (nobody, overflow): not a cgroup */
	char *cgroup;				      /* path of its scope: its identity; "" if .own */
	__u64 ino;				      /* of that cgroup, unified hierarchy first; 0: not known */
	char *display;				      /* what a user calls it */
	char *ns, *pod, *name, *image, *id, *runtime; /* "" if not known */
	struct vst_label *labels;		      /* of its runtime: labels and annotations, bounded */
	size_t n_labels;
	struct vst_limit *limits; /* of its cgroups and those above, as last read; read only while it is active */
	size_t n_limits;
	__u32 changed;	       /* counts changes of all above, so that a copy can be kept until it grows */
	bool listed;	       /* vstorctl ps shows it: a container or a unit, not a mere slice or directory */
	bool not_visible;      /* its cgroup is outside what this process can see: it may live, or have ended */
	bool crowded_out;      /* it ended, and others need its place */
	unsigned int alive;    /* cgroups of its that exist */
	unsigned int cgroups;  /* and all that are still known */
	double since;	       /* made (anew), or first seen; monotonic seconds */
	double ended;	       /* 0: it lives, or .not_visible */
	double active_at;      /* it did I/O or waited last */
	unsigned int restarts; /* in the same cgroup */
	unsigned int rows;     /* that refer to it */
	__u64 ios, bytes;
	__u32 encrypting; /* files in the last minute, if they are many; 0: they are not */
	__u8 insight;	  /* as in struct vst_snap_container */
	bool insight_set;
	double insight_since;
	/* of owners*.c only */
	struct vst_block *texts; /* in which some of the texts are: they are a snapshot's, too; NULL: none is */
	struct vst_owners_account *account;
	long maker;	      /* uid of whoever made its cgroup */
	bool asked;	      /* its names are being looked up */
	double ask_at, pause; /* when to ask for its name again; 0: never */
	double check_at;      /* when to ask whether its name has changed; 0: it cannot */
	double limits_at;     /* its limits were asked for last */
	char *file;	      /* that told its name */
	__u64 stamp;
	enum { DELEGATED_UNKNOWN, DELEGATED, NOT_DELEGATED, DELEGATED_CHILD } delegated;
	UT_hash_handle hh; /* by .cgroup */
};

struct vst_owners;

/*
 * root: ""; where /proc and the cgroups are below otherwise. host_root: where the files of container runtimes are, as for
 * vst_runtime_new().
 */
int vst_owners_new(const char *root, const char *host_root, struct vst_owners **ret);
void vst_owners_free(struct vst_owners *o);

/*
 * Where to tell the probes which cgroups are no container's (vst_state.plain) and which are at the top of a share of the
 * rows (the map vst_shares): to be called once, before the first scan. Without it nothing is told.
 */
void vst_owners_tell(struct vst_owners *o, __u64 *plain, int shares_fd);

/* Which hierarchies the blkio and memory controllers are in. */
int vst_owners_hiers(const char *root, struct vst_hiers *ret);

/*
 * Reads the tree of every hierarchy that counts owners: finds cgroups that came or went without an event, or have another
 * path. Events that were sent before have to be taken first. now: monotonic seconds.
 */
int vst_owners_scan(struct vst_owners *o, double now);

/*
 * The same when it is worth it: whoever can lose events (by making many cgroups) or rename cgroups could ask for a scan at
 * each tick; so scans take at most a twentieth of the time, and one that is due later is made by vst_owners_tick().
 */
void vst_owners_scan_soon(struct vst_owners *o, double now);

void vst_owners_event(struct vst_owners *o, const struct vst_event_cgroup *event, double now);

/* Can be read when lookups have an answer; take them then. */
int vst_owners_fd(const struct vst_owners *o);
void vst_owners_answers(struct vst_owners *o, double now);

/* Waits until the names of the system's containers are known, at most so many seconds: at the start, once. */
void vst_owners_settle(struct vst_owners *o, double seconds);

/* Once a tick: asks again for names that were not to be had yet or may have changed, forgets what is long dead. */
void vst_owners_tick(struct vst_owners *o, double now);

/* It did I/O or waited: from now on, and for a while, its limits are read. */
static inline void vst_container_touch(struct vst_container *c, double now)
{
	c->active_at = now;
}

/* NULL only if out of memory: an id that is not known gets a container of its own, called by its number. */
struct vst_container *vst_owners_of(struct vst_owners *o, const struct vst_key *key, double now);

/* Was the cgroup of a row's key removed before that time (or is not known any more)? Its container may live on. */
bool vst_owners_gone(struct vst_owners *o, const struct vst_key *key, double before);

/*
 * How often cgroups have been moved to another container (renamed) since the start; and the container of a key, NULL if it is
 * not known. For rows that name the container that it was.
 */
unsigned int vst_owners_moves(const struct vst_owners *o);
struct vst_container *vst_owners_known(const struct vst_owners *o, const struct vst_key *key);

/*
 * The texts of a container from now on: those of the value that was made of it, which they equal. So they are in memory once,
 * until one of them changes.
 */
void vst_container_share_texts(struct vst_container *c, const struct vst_snap_container *value);

/* The container of what is nobody's, and of the cgroups beyond VST_CGROUPS_MAX. */
struct vst_container *vst_owners_nobody(struct vst_owners *o);
struct vst_container *vst_owners_overflow(struct vst_owners *o);

/* The container to which a cgroup belongs, by its path, with or without a slash at its end; NULL: there is none. */
struct vst_container *vst_owners_find(struct vst_owners *o, const char *path);

/* All containers but vstor's own, for iteration with uthash's ->hh.next. */
struct vst_container *vst_owners_first(struct vst_owners *o);

/* Each cgroup that exists, packed as the probes have it, and its container. */
typedef void vst_owners_cgroup_fn(void *ctx, __u64 packed, const struct vst_container *c);
void vst_owners_each_cgroup(const struct vst_owners *o, vst_owners_cgroup_fn *fn, void *ctx);

/* Cgroups that found no place of their own since the start, and names that were not looked up because too many waited. */
__u64 vst_owners_overflowed(const struct vst_owners *o);
__u64 vst_owners_unnamed(const struct vst_owners *o);

#endif /* VST_OWNERS_H */
