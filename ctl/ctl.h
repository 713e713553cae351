/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vstorctl: what its files share. A command is a file with vst_cmd_NAME() and a row of VST_COMMANDS.
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
	struct vst_replayer *replay; /* a recording in place of the agent; NULL: none */
	const char *opt[128];	     /* by vst_option.id: its value, "" for one without, NULL if it was not given */
};

/* A row of a command's options. One list for parsing and for help; the last has id 0. */
struct vst_option {
	int id; /* its letter; 16 to 31: a command's own without a letter */
	const char *name;
	const char *arg; /* what its value is called, NULL: takes none */
	const char *help;
};

/*
 * The commands, in the order of the help. A new one is a file ctl/NAME.c with vst_cmd_NAME(), and a row here; its options,
 * if it has any, are vst_NAME_options[], and further help is printed by vst_NAME_help().
 * X(name, operands that it takes at most, what an operand is called, options, further help, "what it is for")
 */
#define VST_COMMANDS(X)                                                                                                \
	X(top, 0, NULL, vst_top_options, vst_top_help, "live view: who does what to the disks, and where it waits")    \
	X(io, 1, "[CONTAINER]", vst_io_options, NULL,                                                                  \
	  "I/O per container, device, kind and size of file, interval by interval")                                    \
	X(explain, 1, "CONTAINER", vst_explain_options, vst_explain_help,                                              \
	  "what a container waits for, and because of whom, in sentences")                                             \
	X(locks, 1, "[CONTAINER]", vst_locks_options, NULL,                                                            \
	  "who waits for which lock of the kernel's, interval by interval")                                            \
	X(blame, 1, "[CONTAINER]", vst_blame_options, NULL, "who makes whom wait, and at what, interval by interval")  \
	X(slow, 1, "[CONTAINER]", vst_slow_options, NULL,                                                              \
	  "the slowest requests of the last seconds, with file, and who was served meanwhile")                         \
	X(patterns, 1, "[CONTAINER]", vst_patterns_options, NULL,                                                      \
	  "which files are copied, encrypted or compressed, and how that is known")                                    \
	X(lifetimes, 1, "[CONTAINER]", NULL, vst_lifetimes_help,                                                       \
	  "how long what is written lives, and what dies before it reaches a disk")                                    \
	X(insight, 2, "[CONTAINER [on | off | default]]", NULL, vst_insight_help,                                      \
	  "whose writing to files is watched; switch it on or off for one container")                                  \
	X(ps, 1, "[CONTAINER]", vst_ps_options, NULL, "containers that run, and units that do I/O")                    \
	X(report, 0, NULL, vst_report_options, NULL, "some time of a recording as one HTML file, for a ticket")        \
	X(policy, 2, "COMMAND [FILE | CONTAINER]", NULL, vst_policy_help,                                              \
	  "what the policy wants, what was done about it, and why")                                                    \
	X(cache, 2, "[COMMAND [PATH | CONTAINER]]", vst_cache_options, vst_cache_help,                                 \
	  "caches of disks: who hits and misses, what is kept in them, and what should be")                            \
	X(check, 0, NULL, NULL, NULL, "do the books balance? compares with what the kernel counted")                   \
	X(status, 0, NULL, NULL, NULL, "the agent, its probes, and what it costs")                                     \
	X(doctor, 0, NULL, NULL, NULL, "what this kernel offers, and what a missing feature costs")                    \
	X(calibrate, 1, "DEVICE", vst_calibrate_options, NULL,                                                         \
	  "measure a disk, and propose what iocost should know of it")

/*
 * argv[0] is the command's name, the rest are operands; options are in ctl->opt. Returns the exit code, having told the
 * user why. Not every command has options and further help.
 */
#define X(name, ...)                                                                                                   \
	int vst_cmd_##name(const struct vst_ctl *ctl, int argc, char **argv);                                          \
	extern const struct vst_option vst_##name##_options[];                                                         \
	void vst_##name##_help(FILE *out);
VST_COMMANDS(X)
#undef X

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
