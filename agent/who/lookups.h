/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What takes time to find out about a container: what its runtime calls it, and which limits are set on its cgroups.
 * Threads do that, so a huge file that a user put where a runtime keeps its own does not stop the loop. Each user has an
 * account with a budget of bytes and time, and so has the host; accounts take turns. What belongs to the system has a
 * thread of its own, so it never waits for a user's files.
 *
 *	lookup = vst_lookup_new(VST_LOOKUP_NAMES, account, path);
 *	vst_lookups_ask(l, lookup);
 *	...						when vst_lookups_fd() can be read:
 *	while ((lookup = vst_lookups_take(l))) { ...; vst_lookup_free(lookup); }
 */
#ifndef VST_LOOKUPS_H
#define VST_LOOKUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "agent/who/runtime.h"
#include "vstor/abi.h"

struct vst_label;
struct vst_limit;

enum vst_lookup_type {
	VST_LOOKUP_NAMES,  /* names, labels */
	VST_LOOKUP_LIMITS, /* limits of the cgroup and of those above it */
};

/*
 * Whose budget pays: that of the system, of a user (its uid), or of a container that makes cgroups inside itself
 * (VST_ACCOUNT_CONTAINER | a hash of its path).
 */
#define VST_ACCOUNT_SYSTEM 0ULL
#define VST_ACCOUNT_CONTAINER (1ULL << 32)
#define VST_ACCOUNT_LIMITS (1ULL << 33) /* reading cgroup files, whosesoever */
#define VST_ACCOUNT_REST (1ULL << 34)	/* of all accounts that are too many to be told apart */

/* A token bucket: what may be spent at once, and a second. */
struct vst_account_rate {
	double bytes, bytes_max;
	double seconds, seconds_max;
};

struct vst_account {
	double bytes, seconds; /* what is left; below 0: in debt */
	double at;	       /* when that was so */
};

/* Fills the account up to now. Pure. */
void vst_account_fill(struct vst_account *a, const struct vst_account_rate *rate, double now);

/* Takes what a lookup cost out of a filled account, possibly into debt. Pure. */
void vst_account_pay(struct vst_account *a, double bytes, double seconds);

/* Seconds until a filled account is out of debt; 0: it is not in debt. Pure. */
double vst_account_wait(const struct vst_account *a, const struct vst_account_rate *rate);

struct vst_lookup {
	/* what is asked */
	enum vst_lookup_type type;
	__u64 account;
	char *path;   /* of the container's cgroup */
	__u32 number; /* of the container, for the asker */
	long maker;   /* the uid that made the cgroup; 0: root */
	char *file;   /* where the name was found before, to be looked at first; NULL: it was not found yet */
	__u64 stamp;  /* of that file then */
	/* the answer */
	int err; /* as of vst_runtime_lookup(), or -EALREADY: the file has not changed, so neither have the names */
	struct vst_names *names;
	struct vst_label *labels;
	size_t n_labels;
	struct vst_limit *limits;
	size_t n_limits;
	struct vst_lookup *next;
};

/* NULL only if out of memory. */
struct vst_lookup *vst_lookup_new(enum vst_lookup_type type, __u64 account, const char *path);
void vst_lookup_free(struct vst_lookup *lookup);

struct vst_lookups;

/* root: as for vst_runtime_new(). 0 or -errno. */
int vst_lookups_new(const char *root, struct vst_lookups **ret);

/* Waits for the threads, but not for one that hangs in a file system. */
void vst_lookups_free(struct vst_lookups *l);

/* Can be read when there is something to take. */
int vst_lookups_fd(const struct vst_lookups *l);

/* Where a hierarchy is mounted, for limits; NULL or "": nowhere. */
void vst_lookups_set_mount(struct vst_lookups *l, enum vst_hierarchy hier, const char *where);

/* Steals the lookup. -ENOBUFS: the account has too many waiting already, or -ENOMEM; the lookup is freed then. */
int vst_lookups_ask(struct vst_lookups *l, struct vst_lookup *lookup);

/* An answer, to be freed; NULL: none is ready. */
struct vst_lookup *vst_lookups_take(struct vst_lookups *l);

/* How many were asked and not taken yet, of the system's account or of all. */
size_t vst_lookups_waiting(struct vst_lookups *l, bool all);

/* Lookups that were turned away because their account had too many waiting, since the start. */
__u64 vst_lookups_refused(struct vst_lookups *l);

#endif /* VST_LOOKUPS_H */
