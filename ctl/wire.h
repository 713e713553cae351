/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fields of the agent's replies. An agent of another version may have fewer fields or more: a number that is missing reads
 * as 0, a text as "", and what this program does not know is ignored. Only a wrong type is an error. Pure.
 */
#ifndef VSTOR_CTL_WIRE_H
#define VSTOR_CTL_WIRE_H

#include "ctl.h"
#include "lib/delta.h"

/* 0, or -EPROTO: the field is there and is not a number that is at least 0. */
int vst_wire_u64(const json_t *obj, const char *field, __u64 *ret);
int vst_wire_number(const json_t *obj, const char *field, double *ret);

/* "" if it is missing or no text. Borrowed. */
const char *vst_wire_text(const json_t *obj, const char *field);

/*
 * A histogram with its sum and its longest; obj NULL: no samples. 0, or -EPROTO. ret->hist.bucket is the caller's to free,
 * also after an error.
 */
int vst_wire_times(const json_t *obj, struct vst_times *ret);

/* What has begun and not ended: tasks that wait, or requests in flight. All 0: nothing. */
struct vst_open {
	double n;
	double oldest_us; /* age of the oldest */
	double sum_us;	  /* ages of all of them */
};

/* An object of "in_flight" or "waiting" with its number in the field `count`. 0, or -EPROTO. */
int vst_wire_open(const json_t *obj, const char *count, struct vst_open *ret);
/* The same object in a line of --json; left out if nothing is under way. */
void vst_json_open(json_t *o, const char *field, const char *count, const struct vst_open *open);
void vst_open_add(struct vst_open *sum, const struct vst_open *one);

#endif /* VSTOR_CTL_WIRE_H */
