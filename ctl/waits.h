/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who waited, at what and because of whom: how much the rows of /v1/locks, /v1/blame or /v1/waits grew, with equal ones
 * added up. Waits that have begun and not ended are in the sums, as far as they have come. Pure.
 */
#ifndef VSTOR_CTL_WAITS_H
#define VSTOR_CTL_WAITS_H

#include "growth.h"
#include "who.h"

/* Something that is waited for; a row of the list in waits.c, by the word before the colon of a "resource". */
struct vst_resource {
	const char *prefix; /* "" in the last row, for words that are newer than this program */
	const char *phrase; /* for a sentence; %s is the resource's name */
	const char *behind; /* the word between it and a single other holder; NULL: the holder is put in brackets */
	const char *at;	    /* as phrase, of a wait that goes on: "has waited 3 s ..." */
	bool member;	    /* its name is that of a structure's member */
	bool overlaps;	    /* it contains other waits, so it is not to be added to them */
};

/* Texts are borrowed from the growth; "" if unknown. Rows of /v1/locks and /v1/waits have no holder and no evidence. */
struct vst_wait {
	const char *waiter, *waiter_cgroup, *holder, *holder_cgroup;
	const struct vst_resource *resource;
	const char *name; /* of the resource: a lock, a device */
	const char *type, *named_by, *evidence;
	const char *object;  /* whose lock it is: the file, file system or disk of the longest wait */
	const json_t *stack; /* of the holder, once; NULL: not known */
	double waits, us;
	struct vst_histogram *hist; /* of the waits that ended; NULL: not told */
	struct vst_open open;	    /* tasks that wait now */
	size_t merged;		    /* how many were added up */
	double longest;		    /* the time of the longest of them, which has the texts */
	double object_us, stack_us; /* the times of those that have the object and the stack */
};

/* Keys of groups. Texts that are not in the key are those of the longest wait in the group. */
enum {
	VST_BY_WAITER = 1,
	VST_BY_RESOURCE = 2,
	VST_BY_HOLDER = 4,
	VST_BY_EVIDENCE = 8,
	VST_BY_NAMING = 16, /* a lock's type, and how its name is known */
	VST_BY_ALL = 31
};

struct vst_waits {
	struct vst_wait *list;
	size_t n;
	unsigned int by; /* the key that they are sorted by; 0: the longest is first */
	double time, interval;
	double lost;		   /* waits of this interval that are in no row, or not in full */
	bool watched;		   /* false: locks are not watched on this host */
	const json_t *not_watched; /* what the agent measures nowhere, a list of texts; NULL: it does not say */
};

/* The waits of the last interval, the longest first; valid until the growth's next commit. Never NULL. */
struct vst_waits *vst_waits_new(const struct vst_growth *g);
void vst_waits_free(struct vst_waits *w);

/* The waits for which keep() is true (NULL: all), added up by a key. It borrows the texts, so `all` has to outlive it. */
typedef bool vst_wait_keep(const struct vst_wait *w, const void *arg);
struct vst_waits *vst_waits_group(const struct vst_waits *all, unsigned int by, vst_wait_keep *keep, const void *arg);
/* The wait of a group whose key equals that of w; NULL: there is none. */
const struct vst_wait *vst_waits_find(const struct vst_waits *group, const struct vst_wait *w);
void vst_waits_by_time(struct vst_waits *w); /* sorts anew */
double vst_waits_sum(const struct vst_waits *w);

/*
 * The waits of blame, and those of `waits` for which blame has no row: their holder is "unattributed". Waits that contain others
 * are left out. waits may be NULL. Both have to outlive it.
 */
struct vst_waits *vst_waits_complete(const struct vst_waits *blame, const struct vst_waits *waits);

/* The kind of a "resource"; *ret_name: what comes after the colon. */
const struct vst_resource *vst_resource_find(const char *text, const char **ret_name);
/* The text again, "lock:..."; the caller frees. */
char *vst_resource_text(const struct vst_wait *w);
/* The q-quantile, and the longest, in microseconds; VST_NO_TIME if that is not told. */
double vst_wait_quantile(const struct vst_wait *w, double q);
double vst_wait_max(const struct vst_wait *w);

static inline struct vst_who vst_wait_waiter(const struct vst_wait *w)
{
	return (struct vst_who){ w->waiter, w->waiter_cgroup };
}

static inline struct vst_who vst_wait_holder(const struct vst_wait *w)
{
	return (struct vst_who){ w->holder, w->holder_cgroup };
}

/* For vst_waits_group(): of locks; because of others. */
bool vst_wait_is_lock(const struct vst_wait *w, const void *unused);
bool vst_wait_is_of_others(const struct vst_wait *w, const void *unused);

/* What a kind of evidence means, as the end of a sentence; NULL: it is certain. */
const char *vst_evidence_remark(const char *evidence);
#endif /* VSTOR_CTL_WAITS_H */
