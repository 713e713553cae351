/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What users want caches to keep (vstorctl cache keep): files, directory trees, and containers. A thread finds out where files lie, again
 * and again, because they change; everything else is called on the loop's thread.
 */
#ifndef VST_PINS_H
#define VST_PINS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/caches/extents.h"

#define VST_PINS_MAX 64
#define VST_PINS_AGAIN 10.0 /* seconds between two looks at a path, at least */

struct vst_pin {
	__u32 id; /* unique, never given again */
	bool is_container;
	char *name; /* the path, or the container's cgroup */
	bool looked;
	int result;		    /* of the last look: 0 or -errno */
	struct vst_extents extents; /* of the last look that succeeded */
	double since;
	/* set by heating.c */
	__u32 dev;
	bool kept;
	bool told; /* in the log that it is kept, or why not */
	__u64 resident;
	char text[160];
};

struct vst_looker;

struct vst_pins {
	struct vst_pin list[VST_PINS_MAX];
	size_t n;
	__u32 last_id;
	char *root;		   /* put before paths: where this process sees the host's files */
	struct vst_looker *looker; /* NULL: no path was pinned yet */
};

/* root: "/" or where the host's root is. 0 or -ENOMEM. */
int vst_pins_open(struct vst_pins *p, const char *root);
/* Waits a second at most for the thread: one that hangs in a dead filesystem is left behind. */
void vst_pins_close(struct vst_pins *p);

/*
 * text: "path /srv/db" or "container /system.slice/db.service". 0; -EEXIST: it is pinned already; -ENOENT (of undo): it is not pinned;
 * -EINVAL: neither; -ENOSPC: VST_PINS_MAX are; other -errno.
 */
int vst_pins_add(struct vst_pins *p, const char *text, double now);
int vst_pins_remove(struct vst_pins *p, const char *text);

/*
 * Once a tick: takes what the thread has found. True: something has changed. What is gone is not in the list any more, and was told to the
 * log.
 */
bool vst_pins_take(struct vst_pins *p);

/* Takes one out of the list, by its place. */
void vst_pins_drop(struct vst_pins *p, size_t i);

#endif /* VST_PINS_H */
