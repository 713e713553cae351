/* SPDX-License-Identifier: GPL-2.0-only */
/* Commands that list what the agent knows about single files: what `slow` and `patterns` are. */
#ifndef VSTOR_CTL_FILES_H
#define VSTOR_CTL_FILES_H

#include "table.h"

struct vst_files_list {
	const char *command, *path, *type; /* of the lines that are shown */
	const struct vst_table_column *columns;
	size_t ncolumns;
	void (*add_row)(struct vst_table *t, const json_t *line); /* .label: what the container is shown as */
	const char *const *fields;				  /* of --json, in order; the last is NULL */
	double seconds;						  /* without -d */
	const char *nothing;					  /* what no row means */
	const char *unobserved; /* ... if the agent does not look; NULL: it always does */
};

/* typed: of which container, as vst_whom_ask() takes it; NULL: of all. Returns an exit code. */
int vst_files_run(const struct vst_ctl *ctl, const struct vst_files_list *list, const char *typed);

/* A number or a text of a line; 0 or "" if it is not there. */
double vst_files_number(const json_t *line, const char *field);
const char *vst_files_text(const json_t *line, const char *field);
#endif /* VSTOR_CTL_FILES_H */
