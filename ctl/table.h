/* SPDX-License-Identifier: GPL-2.0-only */
/* An aligned table of texts for people. */
#ifndef VSTOR_CTL_TABLE_H
#define VSTOR_CTL_TABLE_H

#include "ctl.h"

enum {
	VST_COL_RIGHT = 1,  /* numbers */
	VST_COL_SPARSE = 2, /* left out when no row has something there ("", "-", "0") */
	VST_COL_NAME = 4,   /* shortened when the terminal is too narrow */
};

struct vst_table_column {
	const char *title; /* shown in capitals */
	unsigned int flags;
	int priority; /* on a narrow terminal the highest are left out first; 0 never is */
};

struct vst_table;

/* columns (n of them) is borrowed. Never NULL. */
struct vst_table *vst_table_new(const struct vst_table_column *columns, size_t n);
void vst_table_free(struct vst_table *t);
/* The next cell; rows fill one after the other. */
void vst_table_add(struct vst_table *t, const char *text);
/* The same for a name that comes from others: escaped. */
void vst_table_add_name(struct vst_table *t, const char *name);
void vst_table_add_count(struct vst_table *t, double n);
void vst_table_add_us(struct vst_table *t, double us);
/* Prints header and rows to stdout. On a terminal it is made to fit, elsewhere everything is shown. */
void vst_table_print(struct vst_table *t);
/* Columns of the terminal that stdout is; 0: it is none. */
int vst_terminal_width(void);
#endif /* VSTOR_CTL_TABLE_H */
