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
	X(BLAME, "/v1/blame", "blame")

enum vst_feed {
#define X(e, p, t) VST_FEED_##e,
	VST_FEEDS(X)
#undef X
		VST_FEED__N
};

#define VST_FEED(feed) (1U << VST_FEED_##feed)

struct vst_feeds {
	struct vst_rows *rows;			/* of IO */
	struct vst_growth *growth[VST_FEED__N]; /* of the others */
	struct vst_mounts *mounts;		/* for a reply's objects; NULL: none had one yet */
	unsigned int sampled;			/* those that have told an interval */
	enum vst_feed asked;			/* whose reply is under way */
};

void vst_feeds_open(struct vst_feeds *f);
void vst_feeds_close(struct vst_feeds *f);

/* A new reply. Returns the path to ask for. One at a time. */
const char *vst_feeds_begin(struct vst_feeds *f, enum vst_feed feed);
int vst_feeds_line(void *feeds, json_t *line); /* a vst_line_fn */
int vst_feeds_commit(struct vst_feeds *f, enum vst_commit *ret);
/* Begin anew: what was long not asked for would tell a long interval. */
void vst_feeds_forget(struct vst_feeds *f, unsigned int feeds);
#endif /* VSTOR_CTL_FEEDS_H */
