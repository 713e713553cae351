/* SPDX-License-Identifier: GPL-2.0-only */
/* Why a container waits, in sentences: what `explain` says. Pure; numbers are milliseconds of waiting in a second. */
#ifndef VSTOR_CTL_REASONS_H
#define VSTOR_CTL_REASONS_H

#include "frame.h"
#include "underway.h"
#include "waits.h"

/* Milliseconds in a second: nobody is slow because of less. */
#define VST_HARDLY_MS 1.0

/* What a sample says of everybody; it has to outlive the reasons. */
struct vst_reasons_from {
	const struct vst_waits *blame;
	const struct vst_waits *waits;	     /* of /v1/waits; NULL: this agent does not have it */
	const struct vst_underway *underway; /* NULL: nothing is */
	struct vst_who_labels *labels;
};

struct vst_reasons {
	struct vst_reasons_from from;
	struct vst_who who;
	double interval;
	double waits, lost; /* of all containers of this host: counted; not counted in full */
	bool watched;
	bool did_io;			    /* some I/O completed; set by the caller */
	double us;			    /* all of its waiting */
	const struct vst_pending **pending; /* its requests in flight and waits that go on, the oldest first */
	size_t n_pending, n_old;	    /* of those, how many are old */
	struct vst_waits *parts;	    /* by resource, the longest first */
	struct vst_waits *causes;	    /* by resource and holder, the longest first */
	struct vst_waits *holders;	    /* by holder, the longest first */
	struct vst_waits *evidence;	    /* by evidence */
	struct vst_waits *caused;	    /* what others waited because of it, by them, the longest first */
	struct vst_waits *containing;	    /* waits that contain others, by resource */
};

/* Why this container waits; who is borrowed. Never NULL. */
struct vst_reasons *vst_reasons_new(const struct vst_reasons_from *from, const struct vst_who *who);
void vst_reasons_free(struct vst_reasons *r);

/*
 * The sentences, the most important first: what it waits for now, the i-th; what it waited for; because of whom in all; whom
 * it makes wait; the i-th wait that contains others. NULL where there is nothing to say. The caller frees.
 */
char *vst_reasons_pending(const struct vst_reasons *r, size_t i);
char *vst_reasons_waits(const struct vst_reasons *r);
char *vst_reasons_holders(const struct vst_reasons *r);
char *vst_reasons_caused(const struct vst_reasons *r);
char *vst_reasons_containing(const struct vst_reasons *r, size_t i);
/* The i-th remark about how far this can be trusted; NULL: no more. The caller frees. */
char *vst_reasons_remark(const struct vst_reasons *r, unsigned int i);
/* A limit that is set on a cgroup of the container: an object of "limits" in /v1/ps. The caller frees. */
char *vst_reasons_limit(const struct vst_reasons *r, const json_t *limit);

/* What vstor itself has set for it, by which rule: an object of type "knob" in /v1/policy. The caller frees. */
char *vst_reasons_knob(const json_t *knob);
/* The container runs no more. The caller frees. */
char *vst_reasons_ended(const struct vst_reasons *r);

/* reasons_total.c: all of its waiting, by what it waited for; and what can be done about most of it. NULL where there is nothing. */
char *vst_reasons_total(const struct vst_reasons *r);
json_t *vst_reasons_total_json(const struct vst_reasons *r);
char *vst_reasons_advice(const struct vst_reasons *r);
/* Is this a wait for one of the scheduler's own locks? */
bool vst_reasons_is_scheduler(const struct vst_wait *w);

/* What people read for the holder of w: "[self]", or the label. Not escaped. */
const char *vst_reasons_holder(const struct vst_reasons *r, const struct vst_wait *w);

/* The I/O of a line of a frame and those below it. The caller frees. */
char *vst_reasons_io(const struct vst_line *line);

/* Milliseconds in a second of w. */
double vst_reasons_rate(const struct vst_reasons *r, const struct vst_wait *w);
#endif /* VSTOR_CTL_REASONS_H */
