/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `top` shows of one sample, in one of its views: I/O per container and device, waits per container and lock, who
 * makes whom wait, or what is done about it. Pure. It copies what it needs.
 */
#ifndef VSTOR_CTL_FRAME_H
#define VSTOR_CTL_FRAME_H

#include "format.h"
#include "growth.h"
#include "rows.h"
#include "underway.h"
#include "waits.h"

/* What a frame is made of; what was not asked for is NULL. */
struct vst_sample {
	const struct vst_rows *rows;
	const struct vst_waits *locks, *blame;
	const struct vst_underway *underway;
	const json_t *knobs; /* rows of the policy, by their number */
	const struct vst_growth *caches;
};

/* A line of any view; fields that the view does not have are 0 or NULL, times VST_NO_TIME. */
struct vst_line {
	const char *container, *cgroup, *device, *layer, *witness; /* the witness of most I/Os */
	const char *label, *holder_label;			   /* as people see them; NULL: as they are */
	const char *kind, *size;				   /* NULL in the line of a whole container */
	double ops[VST_OP__N], op_bytes[VST_OP__N];		   /* a second */
#define X(field, what) double field;				   /* a second */
	VST_COUNTERS(X)
#undef X
	double meta_percent, size_percent[VST_SIZE__N];			  /* of the bytes */
	double p50, p99, max, read_p99, write_p99, queue_p99, device_p99; /* microseconds, or VST_NO_TIME */
	double class;							  /* that of most bytes */
	const char *resource, *lock;	    /* what is waited for: "lock:...", or that lock's name */
	const char *object, *type;	    /* the lock's file or disk; what kind of lock */
	const char *named_by, *evidence;    /* how its name is known; how the holder is known */
	const char *holder, *holder_cgroup; /* who made it wait longest */
	double wait;			    /* microseconds a second, or VST_NO_TIME */
	double waits;			    /* a second */
	double share;			    /* percent: of all that the waiter waited */
	double parties;			    /* containers that wait */
	double open, oldest;		    /* requests in flight or tasks that wait; age in us, or VST_NO_TIME */
	const char *knob, *old, *new;	    /* of an action: what is or would be changed, from what to what */
	const char *rule, *why, *state;
	double hits, misses, bypassed, admitted; /* of a cache, a second; the last one in bytes */
	double hit_percent, resident;		 /* percent; negative: nothing to tell */
	double kept;				 /* bytes */
	double since;				 /* microseconds since it was done, or VST_NO_TIME */
	size_t children;			 /* lines per kind and size that follow this one, most bytes first */
};

#define VST_ALARMS 4

struct vst_frame {
	double time, interval;
	double cpu_percent, rss_bytes, event_ns, tick_us, containers; /* the agent; 0: not known */
	double lost, lost_now;	       /* I/Os since the agent started, and in this interval */
	const char *lost_cause;	       /* of most of lost_now */
	bool lost_io;		       /* whole I/Os were lost, not only their times */
	bool unwatched;		       /* locks are not watched */
	const char *given_up;	       /* not watched because it cost too much; NULL: everything is watched */
	const char *alarm[VST_ALARMS]; /* who encrypts many files, and what has waited for too long; NULL: no more */
	struct vst_line *lines;	       /* a container's, then its children, and so on */
	size_t nlines, lines_cap;
	struct vst_line *totals; /* leaf devices, locks or holders as a whole, the busiest first */
	size_t ntotals, totals_cap;
	char **texts; /* what the names above point to */
	size_t ntexts, texts_cap;
};

/* A frame without lines, with what the agent says about itself. Never NULL. */
struct vst_frame *vst_frame_new(const struct vst_sample *s);
void vst_frame_free(struct vst_frame *f);

/* Adds the lines and totals of a view. */
void vst_frame_io(struct vst_frame *f, const struct vst_sample *s);
void vst_frame_locks(struct vst_frame *f, const struct vst_sample *s);
void vst_frame_blame(struct vst_frame *f, const struct vst_sample *s);
void vst_frame_actions(struct vst_frame *f, const struct vst_sample *s); /* view_actions.c */

void vst_frame_cache(struct vst_frame *f, const struct vst_sample *s); /* view_cache.c */

/* Call it last: it sets the labels of containers and finds what has waited for too long. */
void vst_frame_finish(struct vst_frame *f, const struct vst_sample *s);

/* For the functions above: a new empty line or total, and a copy of a text that lives as long as the frame. */
struct vst_line *vst_frame_line(struct vst_frame *f);
struct vst_line *vst_frame_total(struct vst_frame *f);
const char *vst_frame_text(struct vst_frame *f, const char *text);
/* Adds to lines of I/O what their container waits for, and because of whom (frame_waits.c). */
void vst_frame_add_waits(struct vst_frame *f, const struct vst_waits *blame);
#endif /* VSTOR_CTL_FRAME_H */
