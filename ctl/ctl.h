/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vstorctl: what its files share. A command is a file with vst_cmd_NAME() and a row in main.c's table.
 * Running out of memory ends the program with a message; everything else is returned.
 */
#ifndef VSTOR_CTL_H
#define VSTOR_CTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "vstor/cli.h"

struct vst_ctl {
	const char *socket;
	bool json;
	const char *opt[128]; /* by vst_option.id: its value, "" for one without, NULL if it was not given */
};

/* A row of a command's options. One list for parsing and for help; the last has id 0. */
struct vst_option {
	int id; /* its letter; 16 to 31: a command's own without a letter */
	const char *name;
	const char *arg; /* what its value is called, NULL: takes none */
	const char *help;
};

/*
 * argv[0] is the command's name, the rest are operands; options are in ctl->opt.
 * Returns the exit code, having told the user why.
 */
int vst_cmd_io(const struct vst_ctl *ctl, int argc, char **argv);
int vst_cmd_top(const struct vst_ctl *ctl, int argc, char **argv);
int vst_cmd_ps(const struct vst_ctl *ctl, int argc, char **argv);
int vst_cmd_check(const struct vst_ctl *ctl, int argc, char **argv);
int vst_cmd_status(const struct vst_ctl *ctl, int argc, char **argv);
int vst_cmd_doctor(const struct vst_ctl *ctl, int argc, char **argv);
int vst_cmd_calibrate(const struct vst_ctl *ctl, int argc, char **argv);
int vst_cmd_locks(const struct vst_ctl *ctl, int argc, char **argv);
int vst_cmd_blame(const struct vst_ctl *ctl, int argc, char **argv);
int vst_cmd_policy(const struct vst_ctl *ctl, int argc, char **argv);
int vst_cmd_explain(const struct vst_ctl *ctl, int argc, char **argv);

extern const struct vst_option vst_io_options[], vst_top_options[], vst_ps_options[], vst_locks_options[],
	vst_blame_options[], vst_explain_options[], vst_calibrate_options[];
void vst_top_help(FILE *out);
void vst_explain_help(FILE *out);
void vst_policy_help(FILE *out);

/* --- messages and arguments (main.c, json.c) --- */
void vst_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Wrong usage of command: one line and a hint. Returns VST_EXIT_USAGE. */
int vst_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* -d and -n of command; *ret stays if the option was not given. 0, or VST_EXIT_USAGE having said why. */
int vst_opt_seconds(const struct vst_ctl *ctl, const char *command, int id, double *ret);
int vst_opt_count(const struct vst_ctl *ctl, const char *command, int id, unsigned long *ret);

/* Ends output: flushes stdout. rc, or VST_EXIT_FAILED if it could not be written; a closed pipe is no failure. */
int vst_output_end(int rc);
/* True once stdout cannot be written any more: no use going on. */
bool vst_output_lost(void);

/* obj as a line. ASCII only: a name with terminal escapes stays harmless. Steals the reference. */
void vst_json_line(json_t *obj);
/* A line about an interval, new: what every one of them begins with. */
json_t *vst_json_sample(double time, double interval);
json_t *vst_json_rounded(double v);					  /* to three digits after the point */
void vst_json_optional(json_t *obj, const char *field, const char *text); /* left out if it is "" */

static inline void *vst_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p) {
		vst_error("out of memory");
		exit(VST_EXIT_FAILED);
	}
	return p;
}

/* Room for one more in an array of *cap elements of size; returns the array, maybe moved. */
static inline void *vst_grow(void *array, size_t used, size_t *cap, size_t size)
{
	if (used < *cap)
		return array;
	*cap = *cap ? *cap * 2 : 64;
	array = realloc(array, *cap * size);
	if (!array) {
		vst_error("out of memory");
		exit(VST_EXIT_FAILED);
	}
	return array;
}

static inline char *vst_dup(const char *s)
{
	return memcpy(vst_alloc(strlen(s) + 1), s, strlen(s) + 1);
}
#endif /* VSTOR_CTL_H */
