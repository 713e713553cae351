/* SPDX-License-Identifier: GPL-2.0-only */
/* What `report` collects from a recording (report.c), and how it is written (report_html.c). */
#ifndef VSTOR_CTL_REPORT_H
#define VSTOR_CTL_REPORT_H

#include "ctl.h"
#include "lib/record_file.h"

/* A value at each point of time: NAN where nothing was recorded. */
struct vst_series {
	char *name; /* as people see it, not escaped */
	char *key;  /* what tells it from others: a cgroup, a device */
	double *v;
	double sum;
};

struct vst_series_set {
	struct vst_series *list;
	json_t *index; /* places in the list, by key; until it is sorted */
	size_t n, cap;
	size_t points;
};

/* Who waited for whom, and at what, in the whole time. */
struct vst_report_pair {
	char *waiter, *holder, *resource, *evidence;
	double us;
};

struct vst_report {
	const struct vst_record_about *about;
	double from, step; /* Unix time; seconds from point to point */
	size_t points;
	size_t missing;			  /* points of which nothing was recorded */
	struct vst_series_set bytes, ios; /* of each container, in a second */
	struct vst_series_set p50, p99;	  /* latency of each device, in us */
	struct vst_series_set waits;	  /* of each container: us of waiting in a second */
	struct vst_series_set fsync;	  /* p99 of fsync of each container, in us */
	struct vst_report_pair *pair;
	json_t *pair_index; /* places there, by all texts of a pair */
	size_t n_pairs, pairs_cap;
};

/* The largest first; the rest is added up as "others" if that makes sense for this figure. */
void vst_series_sort(struct vst_series_set *set);

void vst_report_write(FILE *out, struct vst_report *r);
#endif /* VSTOR_CTL_REPORT_H */
