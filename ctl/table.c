/* SPDX-License-Identifier: GPL-2.0-only */
#include <ctype.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "format.h"
#include "table.h"

#define NAME_MIN 16

struct vst_table {
	const struct vst_table_column *columns;
	size_t n;
	char **cells;
	size_t used, cap;
};

struct vst_table *vst_table_new(const struct vst_table_column *columns, size_t n)
{
	struct vst_table *t = vst_alloc(sizeof(*t));

	t->columns = columns;
	t->n = n;
	for (size_t c = 0; c < n; c++) {
		vst_table_add(t, columns[c].title);
		for (char *p = t->cells[c]; *p; p++)
			*p = (char)toupper((unsigned char)*p);
	}
	return t;
}

void vst_table_free(struct vst_table *t)
{
	for (size_t i = 0; i < t->used; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

static void take(struct vst_table *t, char *text)
{
	t->cells = vst_grow(t->cells, t->used, &t->cap, sizeof(*t->cells));
	t->cells[t->used++] = text;
}

void vst_table_add(struct vst_table *t, const char *text)
{
	take(t, vst_dup(text));
}

void vst_table_add_name(struct vst_table *t, const char *name)
{
	take(t, vst_escape(*name ? name : "-"));
}

void vst_table_add_count(struct vst_table *t, double n)
{
	char buf[VST_CELL];

	vst_format_count(buf, n, VST_UNITS_HUMAN);
	vst_table_add(t, buf);
}

void vst_table_add_us(struct vst_table *t, double us)
{
	char buf[VST_CELL];

	vst_format_us(buf, us, VST_UNITS_HUMAN);
	vst_table_add(t, buf);
}

int vst_terminal_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return 0;
	return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;
}

/* The width of column c, 0: it is left out. */
static int measure(const struct vst_table *t, size_t c)
{
	bool said = !(t->columns[c].flags & VST_COL_SPARSE);
	int width = 0, w;

	for (size_t i = c; i < t->used; i += t->n) {
		w = vst_width(t->cells[i]);
		width = w > width ? w : width;
		if (i >= t->n && *t->cells[i] && strcmp(t->cells[i], "-") && strcmp(t->cells[i], "0"))
			said = true;
	}
	return said ? width : 0;
}

/* Make a table that is excess columns too wide fit: leave out what is least needed, then shorten the widest names. */
static void narrow(const struct vst_table *t, int *widths, int excess)
{
	int spare = 0; /* what names can give */

	for (size_t c = 0; c < t->n; c++)
		if (t->columns[c].flags & VST_COL_NAME && widths[c] > NAME_MIN)
			spare += widths[c] - NAME_MIN;
	while (excess > spare) {
		size_t worst = t->n;

		for (size_t c = 0; c < t->n; c++)
			if (widths[c] && t->columns[c].priority &&
			    (worst == t->n || t->columns[c].priority >= t->columns[worst].priority))
				worst = c;
		if (worst == t->n)
			break;
		excess -= widths[worst] + 2;
		if (t->columns[worst].flags & VST_COL_NAME && widths[worst] > NAME_MIN)
			spare -= widths[worst] - NAME_MIN;
		widths[worst] = 0;
	}
	while (excess > 0) {
		size_t widest = t->n;

		for (size_t c = 0; c < t->n; c++)
			if (t->columns[c].flags & VST_COL_NAME && widths[c] > NAME_MIN &&
			    (widest == t->n || widths[c] > widths[widest]))
				widest = c;
		if (widest == t->n)
			break;
		widths[widest]--;
		excess--;
	}
}

static void print_row(const struct vst_table *t, char **cells, const int *widths, size_t last)
{
	char *text;

	for (size_t c = 0; c <= last; c++) {
		if (!widths[c])
			continue;
		text = vst_fit(cells[c], widths[c], t->columns[c].flags & VST_COL_RIGHT);
		if (c == last) /* no spaces at the end of a line */
			for (size_t n = strlen(text); n && text[n - 1] == ' '; n--)
				text[n - 1] = '\0';
		printf("%s%s", text, c == last ? "\n" : "  ");
		free(text);
	}
}

void vst_table_print(struct vst_table *t)
{
	int *widths = vst_alloc(t->n * sizeof(*widths)), total = -2, terminal = vst_terminal_width();
	size_t last = 0;

	for (size_t c = 0; c < t->n; c++) {
		widths[c] = measure(t, c);
		total += widths[c] ? widths[c] + 2 : 0;
	}
	if (terminal)
		narrow(t, widths, total - terminal);
	for (size_t c = 0; c < t->n; c++)
		last = widths[c] ? c : last;
	for (size_t i = 0; i + t->n <= t->used; i += t->n)
		print_row(t, t->cells + i, widths, last);
	free(widths);
}
