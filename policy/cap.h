/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finds the largest cap on other containers' bandwidth that still holds a latency objective. Pure: one number in (how far
 * the latency is from the objective), one number out (bytes in a second, for all of the others together).
 *
 * The cap falls quickly while the objective is missed and rises slowly while it is held with room to spare; between a value
 * that held and one that did not, it searches. After each step it waits, because a latency lags: requests that were
 * submitted before the step still complete, and dirty pages of before are still written. A step after which the latency is
 * worse is taken back: a capped writer may sleep while it holds the file system's journal.
 *
 * A p99 of one second is that second's second worst of perhaps a hundred, so it varies much. The cap is judged by the
 * geometric mean of all seconds since its effect can be seen: at once if that is far off, else after a few of them.
 */
#ifndef VST_POLICY_CAP_H
#define VST_POLICY_CAP_H

#include <stdbool.h>

#define VST_CAP_HELD 0.80	   /* of the objective: below it there is room for a larger cap */
#define VST_CAP_SETTLE_S 2.0	   /* after a step, before its effect is judged */
#define VST_CAP_SETTLE_FIRST_S 3.0 /* the same of the first cap, while the objective is missed */
#define VST_CAP_IDLE_S 3.0	   /* nobody to protect for so long: the cap goes */
#define VST_CAP_SLACK_S 10.0	   /* the cap limits nobody for so long: it goes */
#define VST_CAP_MEMORY_S 60.0	   /* a value that did not hold is tried again after */
#define VST_CAP_WORSE 1.4	   /* times the latency before a step: it made it worse ... */
#define VST_CAP_WORSE_WATCHED 1.15 /* ... if it is known that it may */
#define VST_CAP_HELPED 0.85	   /* times the latency with twice the cap: the smaller cap helped */
#define VST_CAP_LITTLE_BLAME 0.01  /* blamed for less of a second: a smaller cap would not help ... */
#define VST_CAP_LITTLE_RATIO 4	   /* ... unless the latency is so far off that waits which go on are not counted yet */
#define VST_CAP_STALE_S 4.0  /* a latency of before the step says nothing about it, but not for longer than this */
#define VST_CAP_PAUSE_S 60.0 /* no further attempt for so long after a cap did harm; doubled each time */
#define VST_CAP_PAUSE_MAX_S 1800.0
#define VST_CAP_TRIED 8
#define VST_CAP_FLOOR (1024 * 1024.0) /* bytes in a second */

struct vst_cap {
	bool on;
	double value;			 /* bytes in a second, of all together */
	double before;			 /* the value before the last step; 0: there was no cap */
	double stepped;			 /* when the last step was; 0: never */
	bool judged;			 /* the last step's effect */
	double free;			 /* the others' use when there was no cap */
	double ratio_free, ratio_before; /* latency over objective without a cap, and before the last step */
	double good, bad;		 /* the largest value that held, the smallest that did not; 0: not known */
	double bad_at;
	double last;				      /* the value that held when the cap was taken away; 0: none */
	double idle_since, slack_since, missed_since; /* 0: it is not so */
	double paused_until, pause;
	double log_sum;			 /* of the ratios since the last step's effect can be seen ... */
	double n;			 /* ... and of how many samples */
	double blamed;			 /* the mean of the same samples */
	double stuck_until, stuck_ratio; /* the objective is out of reach; what is reached instead */
	double now;			 /* of the sample before */
	struct {
		double value, ratio;
	} tried[VST_CAP_TRIED]; /* the last ones that were judged; value 0: none */
	unsigned int n_tried;
};

struct vst_cap_sample {
	double now;	/* seconds */
	double ratio;	/* latency over objective; negative: not measured, because nothing was asked of the disk */
	double latency; /* seconds */
	double used;	/* what the others did, bytes in a second */
	double blamed;	/* for how much of each second the one who suffers waited because of the others; seconds */
	bool watched;	/* they share a journal with the one who suffers */
};

/* What a sample led to. X(ENUM, "sentence") */
#define VST_CAP_RESULTS(X)                                                                                             \
	X(FREE, "nobody suffers")                                                                                      \
	X(WAIT, "waits for the effect of the last step")                                                               \
	X(KEEP, "the objective is held")                                                                               \
	X(INNOCENT, "the objective is missed, but not because of those who are capped")                                \
	X(FIRST, "the objective is missed")                                                                            \
	X(LOWER, "the objective is still missed")                                                                      \
	X(RAISE, "the objective is held with room to spare")                                                           \
	X(BACK, "the larger cap did not hold the objective")                                                           \
	X(HARM, "the latency got worse after the last step, which is taken back")                                      \
	X(CLOSE, "no cap holds the objective; this is the largest one that comes as close as any")                     \
	X(FUTILE, "even the smallest cap does not help, so there is none for a time")                                  \
	X(IDLE, "there is nobody to protect")                                                                          \
	X(SLACK, "the cap limits nobody")                                                                              \
	X(PAUSED, "a cap did harm here, so none is tried for a time")                                                  \
	X(ALONE, "the objective is missed, but nobody who may be capped uses the disk")

enum vst_cap_result {
#define X(e, t) VST_CAP_##e,
	VST_CAP_RESULTS(X)
#undef X
		VST_CAP_RESULT__N
};

const char *vst_cap_result_text(enum vst_cap_result result);

/* The next value is in cap->value while cap->on. */
enum vst_cap_result vst_cap_next(struct vst_cap *cap, const struct vst_cap_sample *sample);

#endif /* VST_POLICY_CAP_H */
