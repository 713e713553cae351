/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A view of `top` is a table of columns and a source of lines. Header, sorting, filter, help, --sort and --json all follow
 * from a column's row in that table. Pure: samples go in, texts come out.
 */
#ifndef VSTOR_CTL_VIEW_H
#define VSTOR_CTL_VIEW_H

#include "feeds.h"
#include "format.h"
#include "frame.h"

enum vst_column_type {
	VST_COLUMN_NAME,  /* a name from outside that the line is about; the filter looks at it */
	VST_COLUMN_OTHER, /* another name from outside. Both get more room if there is some */
	VST_COLUMN_TEXT,  /* one of a few words */
	VST_COLUMN_COUNT,
	VST_COLUMN_BYTES,
	VST_COLUMN_US,
	VST_COLUMN_PERCENT,
	VST_COLUMN_NUMBER
};

struct vst_column {
	const char *title; /* --sort takes it too */
	const char *json;
	enum vst_column_type type;
	size_t offset; /* in struct vst_line: a double, or a text */
	int width;     /* with human units; of a name: at least */
	int priority;  /* on a narrow terminal the highest are left out first; 0 never is */
	const char *help;
};

struct vst_look;

struct vst_view {
	const char *name, *summary;
	unsigned int feeds;		  /* the feeds that it needs: VST_FEED() */
	const struct vst_column *columns; /* the first is a name, and takes most of the room that is left */
	int ncolumns;
	const char *sort; /* the title of the column to begin with */
	void (*fill)(struct vst_frame *f, const struct vst_sample *s);
	char *(*label)(const struct vst_line *line); /* the first column's text, the caller frees; NULL: its name */
	/* A line above the table, about one of the frame's totals. */
	void (*total)(FILE *out, const struct vst_look *look, const struct vst_line *total);
	const char *totals;  /* what these are */
	const char *nothing; /* what an empty table means */
	bool details;	     /* lines have children */
	bool locks;	     /* it shows only locks, so it is empty if they are not watched */
};

/* The views, in the order of the key that switches. X(ENUM, name of the variable) */
#define VST_VIEWS(X)                                                                                                   \
	X(IO, vst_view_io)                                                                                             \
	X(LOCKS, vst_view_locks)                                                                                       \
	X(BLAME, vst_view_blame)                                                                                       \
	X(ACTIONS, vst_view_actions)                                                                                   \
	X(CACHE, vst_view_cache)

enum {
#define X(e, v) VST_VIEW_##e,
	VST_VIEWS(X)
#undef X
		VST_VIEW__N
};

#define X(e, v) extern const struct vst_view v;
VST_VIEWS(X)
#undef X

extern const struct vst_view *const vst_views[VST_VIEW__N];
/* The view of that name, case ignored; -1: there is none. */
int vst_view_find(const char *name);

/* A frame of the last interval of the view's feeds. Never NULL. */
struct vst_frame *vst_view_frame(const struct vst_view *view, const struct vst_feeds *feeds);

#define VST_VIEW_COLUMNS 42

/* Which columns fit, and how wide they are. */
struct vst_layout {
	int n;
	int column[VST_VIEW_COLUMNS], width[VST_VIEW_COLUMNS];
};

/* How the user wants it. */
struct vst_look {
	const struct vst_view *view;
	enum vst_units units;
	int sort;
	bool reverse;
	bool kinds;	  /* with the lines below others, per kind and size */
	bool quiet;	  /* with lines on which nothing completed */
	char filter[128]; /* "": everything */
};

/* The column of that title, case ignored; -1: there is none. */
int vst_view_column(const struct vst_view *view, const char *title);

/* width 0: no limit, then the first column is as wide as the longest name of the shown lines. */
void vst_view_layout(struct vst_layout *ret, const struct vst_look *look, int width, const struct vst_line **shown,
		     size_t n);

/* The lines to show, sorted and filtered; the array is the caller's to free. */
const struct vst_line **vst_view_lines(const struct vst_look *look, const struct vst_frame *f, size_t *n);

/* The title of, and a line's text in, column i of the layout, exactly as wide as that is. The caller frees. */
char *vst_view_title(const struct vst_look *look, const struct vst_layout *layout, int i);
char *vst_view_cell(const struct vst_look *look, const struct vst_layout *layout, int i, const struct vst_line *line);

/* A line of --json. New reference. */
json_t *vst_view_json(const struct vst_look *look, const struct vst_frame *f, const struct vst_line *line);

/* The lines above the table: 0 the time and the look, 1 the agent, 2.. the totals. NULL: no more. The caller frees. */
char *vst_view_header(const struct vst_look *look, const struct vst_frame *f, double delay, unsigned int i);
/* What to say where the table is empty. */
const char *vst_view_nothing(const struct vst_look *look, const struct vst_frame *f);

#endif /* VSTOR_CTL_VIEW_H */
