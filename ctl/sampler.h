/* SPDX-License-Identifier: GPL-2.0-only */
/* Sample after sample at a steady pace, without gaps: each one begins where the one before ended. */
#ifndef VSTOR_CTL_SAMPLER_H
#define VSTOR_CTL_SAMPLER_H

#include <math.h>
#include "client.h"
#include "feeds.h"
#include "whom.h"

struct vst_sampler {
	struct vst_client *client;
	struct vst_feeds feeds;
	unsigned int wanted; /* of the feeds: VST_FEED() */
	double delay, next;  /* seconds; when, in vst_client_now() time */
	double asked;	     /* when this sample's first feed was asked for, likewise */
	bool begun;	     /* it was */
	double max_age;	     /* of the agent's figures, in seconds */
	bool live;	     /* see struct vst_sampling */
	bool told_unwatched;
	struct vst_whom whom; /* the container that was named; name NULL: all */
};

/* Shows a sample: the last interval of s->feeds. 0, or an exit code to end with, having said why. */
typedef int vst_show(const struct vst_ctl *ctl, struct vst_sampler *s, void *arg);

/* A command that shows interval after interval. */
struct vst_sampling {
	const char *command;
	unsigned int feeds;
	const char *typed;     /* the name of a container; NULL: all of them */
	double delay;	       /* -d if it is not given */
	bool live;	       /* figures may be older by half an interval: it costs the agent less */
	unsigned long samples; /* -n if it is not given; 0: until interrupted */
	int (*begin)(const struct vst_ctl *ctl, double delay,
		     void *arg); /* called when the options are right; NULL: nothing */
	vst_show *show;
	void *arg;
};

/* -d, -n, and --total, all since the agent started: what most such commands have. seconds: a text */
enum { VST_OPT_TOTAL = 31 };
#define VST_SAMPLING_OPTIONS(seconds)                                                                                  \
	{ 'd', "delay", "DURATION", "length of an interval (default " seconds "s)" },                                  \
		{ 'n', "samples", "N", "how many intervals (default 1; 0: until interrupted)" },                       \
		{ VST_OPT_TOTAL, "total", NULL, "at once, everything since the agent started" }

/* Runs the command with its options. Returns an exit code, having said why. */
int vst_sampling_run(const struct vst_ctl *ctl, const struct vst_sampling *what);

/* Prints the line above a table: time, interval, and why there is no table (NULL: there is one). */
void vst_sampling_head(double time, double interval, const char *nothing);

/* True if no container was named on the command line, or if it is this one. */
bool vst_sampler_shows(const struct vst_sampler *s, const char *name, const char *cgroup);

/* The next moment at this pace. Moments that were missed are skipped, so the pace is kept. */
static inline double vst_pace(double next, double delay, double now)
{
	double missed = floor((now - next) / delay);

	return next + delay * (missed > 0 ? missed + 1 : 1);
}
#endif /* VSTOR_CTL_SAMPLER_H */
