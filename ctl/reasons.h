/* SPDX-License-Identifier: GPL-2.0-only */
/* Why a container waits, in sentences: what `explain` says. Pure; numbers are milliseconds of waiting in a second. */
#ifndef VSTOR_CTL_REASONS_H
#define VSTOR_CTL_REASONS_H

#include "frame.h"
#include "waits.h"

struct vst_reasons {
	const char *name;
	double interval;
	double waits, lost; /* of all on this host: counted, and not counted in full */
	bool watched;
	double us;		    /* all of its waiting */
	struct vst_waits *parts;    /* by resource, the longest first */
	struct vst_waits *causes;   /* by resource and holder, the longest first */
	struct vst_waits *holders;  /* by holder, the longest first */
	struct vst_waits *evidence; /* by evidence */
	struct vst_waits *caused;   /* what others waited because of it, by them, the longest first */
};

/* Of the container of this name; cgroup: only that one, NULL: all that have it. blame has to outlive it. Never NULL. */
struct vst_reasons *vst_reasons_new(const struct vst_waits *blame, const char *name, const char *cgroup);
void vst_reasons_free(struct vst_reasons *r);

/* Is w that container's, as a waiter? */
bool vst_reasons_is(const char *name, const char *cgroup, const char *its_name, const char *its_cgroup);

/*
 * The sentences, the most important first: what it waits for; because of whom in all; whom it makes wait. All but the
 * first are NULL where there is nothing to say. The caller frees.
 */
char *vst_reasons_waits(const struct vst_reasons *r);
char *vst_reasons_holders(const struct vst_reasons *r);
char *vst_reasons_caused(const struct vst_reasons *r);
/* What has to be known to trust it, the i-th; NULL: no more. The caller frees. */
char *vst_reasons_remark(const struct vst_reasons *r, unsigned int i);

/* The I/O of a line of a frame and those below it. The caller frees. */
char *vst_reasons_io(const struct vst_line *line);

/* "/dir/x (inode 12 on vda1)" without what is in brackets. The caller frees. */
char *vst_reasons_object(const char *object);

/* Milliseconds in a second of w. */
double vst_reasons_rate(const struct vst_reasons *r, const struct vst_wait *w);
#endif /* VSTOR_CTL_REASONS_H */
