/* SPDX-License-Identifier: GPL-2.0-only */
/* Durations as people type them. Pure. */
#ifndef VST_DURATION_H
#define VST_DURATION_H

#define VST_DURATION_MAX 1e9 /* seconds */

/*
 * "500ms", "10m", "1h30m", "90" (seconds), into seconds. 0; -EINVAL: it is no duration; -ERANGE: it is not from least to most,
 * in seconds.
 */
int vst_duration_parse(const char *text, double least, double most, double *ret);

#endif /* VST_DURATION_H */
