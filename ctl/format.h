/* SPDX-License-Identifier: GPL-2.0-only */
/* How numbers and names look to people. Pure, but for the locale. */
#ifndef VSTOR_CTL_FORMAT_H
#define VSTOR_CTL_FORMAT_H

#include "ctl.h"

/* X(ENUM, "name") */
#define VST_UNITS(X)                                                                                                   \
	X(HUMAN, "human")                                                                                              \
	X(RAW, "raw")                                                                                                  \
	X(KIB, "kib")

enum vst_units {
#define X(e, n) VST_UNITS_##e,
	VST_UNITS(X)
#undef X
		VST_UNITS__N
};

#define VST_CELL 32	   /* enough for any number below */
#define VST_NO_TIME (-1.0) /* not measured; 0 is a time */

const char *vst_units_name(enum vst_units units);
/* The unit of that name, -1: there is none. */
int vst_units_find(const char *name);

void vst_format_count(char buf[VST_CELL], double v, enum vst_units units); /* 1.2K: 1000 */
void vst_format_bytes(char buf[VST_CELL], double v, enum vst_units units); /* 1.2K: 1024 */
void vst_format_us(char buf[VST_CELL], double us, enum vst_units units);   /* VST_NO_TIME: "-" */
void vst_format_age(char buf[VST_CELL], double seconds);

/*
 * name as a terminal can be trusted with: what does not print, has no width, or is not valid in this locale becomes
 * \xNN, byte by byte. The caller frees.
 */
char *vst_escape(const char *name);

/* Columns that an escaped text takes. */
int vst_width(const char *text);

/*
 * An escaped text in exactly width columns: longer ones lose their middle (the end is kept longest: that is where
 * names differ), shorter ones are filled with spaces, on the left if right. The caller frees.
 */
char *vst_fit(const char *text, int width, bool right);

/* The same of a name that is not escaped yet. */
char *vst_fit_name(const char *name, int width);

/* An escaped text in at most width columns: longer ones lose their end. The caller frees. */
char *vst_clip(const char *text, int width);
/* How many bytes of an escaped text make a line of width columns, ending where a word does; the space after it is not among them. */
size_t vst_wrap(const char *text, int width);

/* A text that is written to .out; close() returns it, the caller frees. */
struct vst_text {
	FILE *out;
	char *text;
	size_t size;
};

void vst_text_open(struct vst_text *t);
char *vst_text_close(struct vst_text *t);
#endif /* VSTOR_CTL_FORMAT_H */
