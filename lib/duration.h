/* SPDX-License-Identifier: GPL-2.0-only */
/* Durations as people type them on a command line. Pure. */
#ifndef VST_DURATION_H
#define VST_DURATION_H

/* How an option takes a duration, for a message about one that is wrong. */
#define VST_DURATION_EXAMPLES "5, 1s, 500ms, 2m"

/* "500ms", "10m", "1h30m", "90" or "0.5" (seconds) into seconds; more than 0. 0, or -EINVAL and *ret is unchanged. */
int vst_duration_parse(const char *text, double *ret);

#endif /* VST_DURATION_H */
