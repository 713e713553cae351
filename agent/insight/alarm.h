/* SPDX-License-Identifier: GPL-2.0-only */
/* Mass encryption: many files of one container that are written as random bytes within a minute. Decides only. Pure. */
#ifndef VST_ALARM_H
#define VST_ALARM_H

#include <stdbool.h>
#include <linux/types.h>

#define VST_ALARM_FILES 20
#define VST_ALARM_SECONDS 60
#define VST_ALARM_SLICES 6	/* of that time, which are forgotten one after the other */
#define VST_ALARM_CONTAINERS 64 /* that are counted at a time */

/* One container; number 0: free. */
struct vst_alarm_row {
	__u32 number;
	bool ringing;
	double at; /* when the last slice began */
	struct vst_alarm_slice {
		__u32 files;
		__u32 count[256]; /* of the bytes of their samples */
	} slice[VST_ALARM_SLICES];
};

struct vst_alarms {
	struct vst_alarm_row row[VST_ALARM_CONTAINERS];
};

/*
 * A file of the container with that number looks encrypted; count: bytes of its samples. True: the alarm has to be raised, once
 * until it has been quiet for VST_ALARM_SECONDS. If there are too many containers, the one that was quiet for longest is forgotten.
 */
bool vst_alarm_note(struct vst_alarms *a, __u32 number, const __u16 count[256], double now);

/* Files of that container in the last VST_ALARM_SECONDS, if they are enough for an alarm; 0: they are not. */
__u32 vst_alarm_files(struct vst_alarms *a, __u32 number, double now);

#endif /* VST_ALARM_H */
