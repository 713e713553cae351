/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by agent/who/owners*.c only. */
#ifndef VST_OWNERS_PRIV_H
#define VST_OWNERS_PRIV_H

#include "agent/who/cgpath.h"
#include "agent/who/lookups.h"
#include "agent/who/owners.h"
#include "lib/cgmounts.h"

#define ROOT_CGROUP 1 /* its id, in every hierarchy */

/*
 * A place of the table of cgroups, open addressing. Not uthash: with thousands of containers each step of a chain misses the
 * processor's caches, and the first tick of 1,000 of them takes thousands of look-ups.
 */
struct cgroup {
	__u64 key;		 /* id << 2 | hierarchy; 0: nothing here, nor further on */
	struct vst_container *c; /* NULL: it was forgotten */
	struct vst_owners_account *account;
	double ended;	   /* 0: it exists */
	unsigned int scan; /* the last that found it */
	bool plain;	   /* a service's, a slice or the root: see bpf/task.bpf.h */
};

/* Who makes cgroups, so that nobody takes all places; see VST_ACCOUNT_SYSTEM in lookups.h. */
struct vst_owners_account {
	__u64 id;
	unsigned int cgroups, containers;
	__u64 share[VST_HIER__N]; /* its first cgroup of each hierarchy, packed: at the top of its share of the rows */
	UT_hash_handle hh;
};

struct vst_owners {
	char root[64];
	struct vst_cgmount mount[VST_HIER__N];
	char why[512]; /* containers may be shown without names */
	struct vst_lookups *lookups;
	struct cgroup *cgroups;
	unsigned int places, used, n_cgroups; /* a power of 2; those with a key; with a container */
	unsigned int n_users;		      /* of n_cgroups, those that are not the system's */
	struct vst_owners_account *accounts;
	struct vst_container *containers;
	struct vst_container *ask_next;	   /* where the last tick stopped asking; NULL: at the first */
	unsigned int n_active, was_active; /* containers whose limits are of interest, at this look and at the last */
	struct vst_container *nobody, *overflow;
	__u32 last_number;
	unsigned int moves;
	__u64 overflowed;
	unsigned int scan;
	bool scan_partial; /* there is more than the last scan could look at */
	bool crowded;	   /* and it was said */
	bool overflow_said;
	int shares_fd;		 /* -1: not told */
	__u64 *plain;		 /* shared with the probes; NULL: not told */
	unsigned int plain_gone; /* cgroups whose bit is still set there */
	double scan_due;	 /* when the next scan is made; 0: none is wanted */
	double scan_next;	 /* when one may be made at the earliest */
};

/* --- owners_names.c: containers, and what they are called --- */

struct vst_container *vst_container_new(struct vst_owners *o, const char *cgroup, const char *display);
void vst_container_free(struct vst_container *c);

/* Labels it by its path and asks for its names. */
void vst_container_name(struct vst_owners *o, struct vst_container *c, double now);

/* Seconds between two readings of a container's limits, where so many containers are active. Pure. */
double vst_owners_limits_every(unsigned int active);

/* Asks those whose time has come, beginning where it stopped the last time. */
void vst_owners_ask(struct vst_owners *o, double now);

/* --- owners_scan.c: reading the tree --- */

/* The path of a cgroup that exists, from the root of its hierarchy. -ENOENT: it is gone; -EPERM: this cannot be told. */
int vst_owners_path(const struct vst_owners *o, __u64 hier, __u64 id, char *buf, size_t size);

/* Does systemd's mark say that the tree below this cgroup is delegated? */
bool vst_owners_is_delegated(const struct vst_owners *o, const char *path, size_t len);

/* --- owners.c --- */

/* A cgroup that exists: known already, or added. maker: uid, 0 is root. NULL: no place, or out of memory. */
struct cgroup *vst_owners_cgroup(struct vst_owners *o, __u64 hier, __u64 id, const char *path, long maker, double now);
void vst_owners_cgroup_gone(struct cgroup *cg, double now);

/* --- owners_account.c: whose cgroups take the places --- */

/* Whose a cgroup is, as VST_ACCOUNT_*; cg: as parsed, before it is taken for a part of a delegated unit. */
__u64 vst_owners_account_of(const struct vst_cgpath *cg, size_t path_len, long maker);
struct vst_owners_account *vst_owners_account_get(struct vst_owners *o, __u64 id);
void vst_owners_account_put(struct vst_owners *o, struct vst_owners_account *a);

/* Is there no place for one more of its cgroups; does it have so many that the dead make room early? */
bool vst_owners_is_full(const struct vst_owners *o, const struct vst_owners_account *a);
bool vst_owners_is_crowded(const struct vst_owners *o, const struct vst_owners_account *a);

/* Counts a cgroup that found no place, and says so once. */
void vst_owners_overflow_add(struct vst_owners *o, const struct vst_owners_account *a);

/* --- owners_tell.c: what the probes are told --- */

void vst_owners_plain_set(struct vst_owners *o, const struct cgroup *cg);

/* Takes the bits of cgroups that are gone away, if they are many. */
void vst_owners_plain_again(struct vst_owners *o);
void vst_owners_share_set(struct vst_owners *o, const struct cgroup *cg, const struct vst_cgpath *p);

#endif /* VST_OWNERS_PRIV_H */
