/* SPDX-License-Identifier: GPL-2.0-only */
/* What is asked of the agent again and again: the paths whose counters only grow, and what they told last. */
#ifndef VSTOR_CTL_FEEDS_H
#define VSTOR_CTL_FEEDS_H

#include "mounts.h"
#include "rows.h"
#include "waits.h"

/* X(ENUM, "path", type of the lines that are rows) */
#define VST_FEEDS(X)                                                                                                   \
	X(IO, "/v1/io", "row")                                                                                         \
	X(LOCKS, "/v1/locks", "lock")                                                                                  \
	X(BLAME, "/v1/blame", "blame")                                                                                 \
	X(WAITS, "/v1/waits", "wait")                                                                                  \
	X(POLICY, "/v1/policy", "knob")                                                                                \
	X(CACHE, "/v1/cache", "cache")

enum vst_feed {
#define X(e, p, t) VST_FEED_##e,
	VST_FEEDS(X)
#undef X
		VST_FEED__N
};

#define VST_FEED(feed) (1U << VST_FEED_##feed)

/* Feeds that an agent may not have, because it is older than they are. */
#define VST_FEEDS_OPTIONAL (VST_FEED(WAITS) | VST_FEED(POLICY) | VST_FEED(CACHE))

struct vst_feeds {
	struct vst_rows *rows;			/* of IO */
	struct vst_growth *growth[VST_FEED__N]; /* of the others */
	struct vst_mounts *mounts;		/* for a reply's objects; NULL: none had one yet */
	unsigned int sampled;			/* those whose last two replies make an interval */
	unsigned int absent;			/* those that this agent does not have */
	enum vst_feed asked;			/* the one whose reply is being received */
	char path[128];				/* what was asked */
};

void vst_feeds_open(struct vst_feeds *f);
void vst_feeds_close(struct vst_feeds *f);

/*
 * A new reply. Returns the path to ask for, one at a time. max_age: how old, in seconds, the agent's figures may be; 0: they
 * are collected for this request. names: wait until the locks in it have their names.
 */
const char *vst_feeds_begin(struct vst_feeds *f, enum vst_feed feed, double max_age, bool names);
int vst_feeds_line(void *feeds, json_t *line); /* a vst_line_fn */
int vst_feeds_commit(struct vst_feeds *f, enum vst_commit_result *ret);
/* True if this exit code of the request means that an optional feed does not exist; it counts as told then. */
bool vst_feeds_refused(struct vst_feeds *f, int rc);
/* The waits of a feed's last interval; NULL: the agent does not have it. The caller frees. */
struct vst_waits *vst_feeds_waits(const struct vst_feeds *f, enum vst_feed feed);
/* The next reply is the first one again: after a pause the interval would be too long. */
void vst_feeds_forget(struct vst_feeds *f, unsigned int feeds);
#endif /* VSTOR_CTL_FEEDS_H */
