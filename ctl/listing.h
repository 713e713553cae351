/* SPDX-License-Identifier: GPL-2.0-only */
/* A command that lists the waits of a feed, interval by interval: what `locks` and `blame` are. */
#ifndef VSTOR_CTL_LISTING_H
#define VSTOR_CTL_LISTING_H

#include "sampler.h"
#include "table.h"

struct vst_listing {
	const char *command;
	enum vst_feed feed;
	bool complete; /* also waits for which nobody is blamed: those of /v1/waits */
	const struct vst_table_column *columns;
	size_t ncolumns;
	void (*add_row)(struct vst_table *t, const struct vst_wait *w, struct vst_who_labels *labels);
	void (*add_json)(json_t *line, const struct vst_wait *w); /* to a line that has begun */
	/* below the table; NULL: nothing */
	void (*after)(const struct vst_wait *w, const struct vst_ctl *ctl, struct vst_who_labels *labels);
	const char *nothing; /* what no row means */
};

/* typed: of which container, as a waiter or a holder; NULL: of all. */
int vst_listing_run(const struct vst_ctl *ctl, const struct vst_listing *list, const char *typed);
#endif /* VSTOR_CTL_LISTING_H */
