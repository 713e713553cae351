/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line of vstord. */
#ifndef VST_OPTIONS_H
#define VST_OPTIONS_H

#include <stdbool.h>

#include "agent/acting/acting.h"
#include "agent/insight/patterns.h"
#include "agent/sinks/recorder.h"

struct vst_options {
	const char *socket;
	const char *host_root;	     /* where the files of container runtimes are */
	const char *metrics;	     /* ADDR:PORT; NULL: only on the control socket */
	unsigned int metrics_series; /* at most */
	double interval;	     /* seconds between two ticks */
	double budget;		     /* percent of all processors; 0: no limit */
	enum vst_insight_mode insight;
	bool fsync; /* measure fsync without a rule that needs it */
	bool verbose;
	struct vst_acting_opts acting;
	struct vst_recorder_opts recorder;
};

/* 0; or an exit code + 1: leave at once, everything has been said. The texts in *o belong to argv. */
int vst_options_parse(int argc, char **argv, struct vst_options *o);

#endif /* VST_OPTIONS_H */
