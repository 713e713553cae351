/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The names of the locks that were seen. The kernel's types are read to find them, 20 to 40 ms and 10 MiB each time that a sort of
 * lock is new: in a thread, so that nothing else waits, and given back at once.
 */
#ifndef VST_LOCK_NAMING_H
#define VST_LOCK_NAMING_H

#include <stdbool.h>
#include "agent/probes/lock_maps.h"

/* A class, as it is called. */
struct vst_lock_named {
	char *name;
	enum vst_lock_named_by by;
	bool final;    /* it will not get better */
	bool slabs;    /* what was known when it got this name: that locks in slab caches are told, */
	__u64 callers; /* and how many functions take it */
};

struct vst_lock_naming;

int vst_lock_naming_new(struct vst_lock_naming **ret);
/* Waits for the thread, if there is one. */
void vst_lock_naming_free(struct vst_lock_naming *n);

/* What row or pair `what` is about; never NULL. */
const struct vst_lock_named *vst_lock_naming_get(const struct vst_lock_naming *n, __u64 what);

/* This lock was seen: it is to be named, if that is not known as well as can be. */
void vst_lock_naming_want(struct vst_lock_naming *n, __u64 what);

/*
 * Begins to look for the names of what was wanted, if the last look has been taken. m stays there until it is over. The descriptor
 * becomes readable when it is over: then the names are to be taken.
 */
void vst_lock_naming_begin(struct vst_lock_naming *n, const struct vst_lock_maps *m);
int vst_lock_naming_fd(const struct vst_lock_naming *n);
void vst_lock_naming_take(struct vst_lock_naming *n, const struct vst_lock_maps *m);

/* How often a lock has got a name, or a better one. */
unsigned int vst_lock_naming_changes(const struct vst_lock_naming *n);

/* Is a look under way? Its end is told by the descriptor. */
bool vst_lock_naming_busy(const struct vst_lock_naming *n);

#endif /* VST_LOCK_NAMING_H */
