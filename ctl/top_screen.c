/* SPDX-License-Identifier: GPL-2.0-only */
/* How `top` looks on a terminal. */
#include <curses.h>
#include <math.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "top.h"

#define TOTALS_SHOWN 3

enum { PAIR_BAD = 1 };

static SCREEN *screen;
static bool colors;

/* text in line y, cut to the screen. */
static void put_line(int y, const char *text, attr_t attributes)
{
	char *cut;

	if (y >= LINES)
		return;
	attrset(attributes);
	cut = vst_clip(text, COLS);
	mvaddstr(y, 0, cut);
	clrtoeol();
	attrset(A_NORMAL);
	free(cut);
}

static attr_t bad(void)
{
	return A_BOLD | (colors ? COLOR_PAIR(PAIR_BAD) : 0);
}

/* The frame that is shown; NULL: there is none yet. */
static const struct vst_frame *frame_of(const struct vst_top *top)
{
	return top->frames[top->view];
}

static int draw_header(const struct vst_top *top)
{
	static const struct vst_frame none;
	const struct vst_frame *f = frame_of(top) ? frame_of(top) : &none;
	unsigned int totals = LINES >= 20 ? TOTALS_SHOWN : 1;
	int y = 0;
	char *text;

	for (unsigned int i = 0; i < 2 + totals && (text = vst_view_header(&top->look, f, top->delay, i)); i++) {
		if (i == 1 && !frame_of(top))
			put_line(y++,
				 top->paused ? "paused before this view was seen" : "collecting the first interval ...",
				 A_NORMAL);
		else
			put_line(y++, text, i == 1 && f->lost_io ? bad() : i ? A_NORMAL : A_BOLD);
		free(text);
		for (unsigned int k = 0; !i && k <= totals && k < VST_ALARMS && f->alarm[k]; k++)
			put_line(y++, f->alarm[k], bad());
	}
	if (f->ntotals > totals) {
		char more[64];

		snprintf(more, sizeof(more), "and %zu more %s", f->ntotals - totals, top->look.view->totals);
		put_line(y++, more, A_DIM);
	}
	return y;
}

static void draw_titles(const struct vst_top *top, const struct vst_layout *layout, int y)
{
	char *title;

	attrset(A_REVERSE);
	mvhline(y, 0, ' ', COLS);
	move(y, 0);
	for (int i = 0; i < layout->n; i++) {
		title = vst_view_title(&top->look, layout, i);
		attrset(A_REVERSE | (layout->column[i] == top->look.sort ? A_BOLD | A_UNDERLINE : 0));
		addstr(title);
		attrset(A_REVERSE);
		if (i + 1 < layout->n)
			addch(' ');
		free(title);
	}
	attrset(A_NORMAL);
}

static void draw_row(const struct vst_top *top, const struct vst_layout *layout, int y, const struct vst_line *line,
		     bool selected)
{
	char *cell;

	attrset(selected ? A_REVERSE : line->kind ? A_DIM : A_NORMAL);
	move(y, 0);
	for (int i = 0; i < layout->n; i++) {
		cell = vst_view_cell(&top->look, layout, i, line);
		addstr(cell);
		if (i + 1 < layout->n)
			addch(' ');
		free(cell);
	}
	attrset(A_NORMAL);
}

static const char *text(const char *s)
{
	return s ? s : "";
}

static bool is_chosen(const struct vst_top *top, const struct vst_line *line)
{
	return top->chosen_name && !strcmp(top->chosen_name, text(line->container)) &&
	       !strcmp(top->chosen_cgroup, text(line->cgroup)) && !strcmp(top->chosen_device, text(line->device));
}

static void set_chosen(struct vst_top *top, const struct vst_line *line)
{
	free(top->chosen_name);
	free(top->chosen_cgroup);
	free(top->chosen_device);
	top->chosen_name = line ? vst_dup(text(line->container)) : NULL;
	top->chosen_cgroup = line ? vst_dup(text(line->cgroup)) : NULL;
	top->chosen_device = line ? vst_dup(text(line->device)) : NULL;
}

/* Follows the selected line to where it is sorted now, unless the user moves on; and scrolls there. */
static void select_line(struct vst_top *top, const struct vst_line **lines, size_t n)
{
	if (!n) {
		set_chosen(top, NULL);
		return;
	}
	for (size_t i = 0; top->selecting && !top->moved && i < n; i++) {
		if (!is_chosen(top, lines[i]))
			continue;
		top->selected = i;
		break;
	}
	top->moved = false;
	if (top->selected >= n)
		top->selected = n - 1;
	if (top->selecting && top->selected < top->scroll)
		top->scroll = top->selected;
	if (top->selecting && top->selected >= top->scroll + top->page)
		top->scroll = top->selected - top->page + 1;
	set_chosen(top, lines[top->selecting ? top->selected : top->scroll]);
}

static void draw_table(struct vst_top *top, int y)
{
	const struct vst_frame *frame = frame_of(top);
	int rows = LINES - y - 2; /* the titles; the last line */
	const struct vst_line **lines = NULL;
	struct vst_layout layout;
	size_t n = 0;

	top->page = rows > 1 ? (size_t)rows : 1;
	if (frame)
		lines = vst_view_lines(&top->look, frame, &n);
	if (top->scroll + top->page > n)
		top->scroll = n > top->page ? n - top->page : 0;
	select_line(top, lines, n);
	vst_view_layout(&layout, &top->look, COLS, lines, n);
	if (y < LINES - 1)
		draw_titles(top, &layout, y);
	for (int i = 0; i < rows && top->scroll + (size_t)i < n; i++)
		draw_row(top, &layout, y + 1 + i, lines[top->scroll + (size_t)i],
			 top->selecting && top->scroll + (size_t)i == top->selected);
	if (frame && !n && rows > 0)
		put_line(y + 1, vst_view_nothing(&top->look, frame), A_DIM);
	free(lines);
}

/* The i-th line of the help; NULL: no more. The caller frees. */
static char *help_line(const struct vst_top *top, size_t i)
{
	const struct vst_view *view = top->look.view;
	const char *key;
	char buf[160];
	size_t nkeys = 0;

	while (vst_screen_key_help(nkeys))
		nkeys++;
	key = i < nkeys ? vst_screen_key_help(i) : NULL;
	if (key)
		return vst_dup(key);
	i -= nkeys;
	if (i >= 1 + (size_t)view->ncolumns)
		return NULL;
	if (!i) {
		snprintf(buf, sizeof(buf), "--- columns of this view, %s ---", view->summary);
		return vst_dup(buf);
	}
	snprintf(buf, sizeof(buf), "%-14s %s", view->columns[i - 1].title, view->columns[i - 1].help);
	return vst_dup(buf);
}

static void draw_help(struct vst_top *top)
{
	size_t n = 0;
	char *line;

	top->page = LINES > 2 ? (size_t)LINES - 2 : 1;
	while ((line = help_line(top, n))) {
		free(line);
		n++;
	}
	if (top->scroll + top->page > n)
		top->scroll = n > top->page ? n - top->page : 0;
	put_line(0, "vstorctl top: help (arrows scroll, any other key goes back)", A_BOLD);
	for (size_t i = 0; i < top->page && (line = help_line(top, top->scroll + i)); i++) {
		put_line(1 + (int)i, line, A_NORMAL);
		free(line);
	}
}

/* Prints a text over as many lines as it takes, from the one that is scrolled to. Returns how many lines there are. */
static size_t put_paragraph(const struct vst_top *top, size_t at, const char *text)
{
	do {
		size_t n = vst_wrap(text, COLS);
		char *line = vst_dup(text);

		line[n] = '\0';
		if (at >= top->scroll && at - top->scroll < top->page)
			put_line(1 + (int)(at - top->scroll), line, A_NORMAL);
		free(line);
		text += n + (text[n] == ' ');
		at++;
	} while (*text);
	return at;
}

static void draw_explain(struct vst_top *top)
{
	size_t n, lines = 0;
	char **sentence = vst_top_explain(top, &n);

	top->page = LINES > 2 ? (size_t)LINES - 2 : 1;
	put_line(0, "explained: the last interval (arrows scroll, any other key goes back)", A_BOLD);
	for (size_t i = 0; i < n; i++) {
		lines = put_paragraph(top, lines, sentence[i]) + 1;
		free(sentence[i]);
	}
	free(sentence);
	if (top->scroll >= lines)
		top->scroll = lines ? lines - 1 : 0;
}

/* The last line: what is being typed, what is wrong, or what can be done. */
static void draw_bottom(const struct vst_top *top)
{
	char text[1024], *escaped;
	double waited = top->asked > 0 ? vst_now() - top->asked : 0;

	if (top->mode == VST_TOP_FILTER || top->mode == VST_TOP_DELAY || top->mode == VST_TOP_AT) {
		escaped = vst_escape(top->input);
		snprintf(text, sizeof(text), "%s%s_",
			 top->mode == VST_TOP_FILTER ? "filter (Enter: keep, Esc: all): "
			 : top->mode == VST_TOP_AT   ? "go to (02:47, -10m, @UNIXTIME): "
						     : "seconds: ",
			 escaped);
		free(escaped);
		put_line(LINES - 1, text, A_BOLD);
	} else if (top->mode == VST_TOP_TABLE && waited > 1.5 && !*top->trouble) {
		snprintf(text, sizeof(text), "the agent has not answered for %.0f s; what is shown is older", waited);
		put_line(LINES - 1, text, bad());
	} else if (top->mode == VST_TOP_TABLE && top->hint) {
		put_line(LINES - 1, top->hint, A_BOLD);
	} else if (top->mode == VST_TOP_TABLE) {
		put_line(LINES - 1,
			 top->look.view->details
				 ? "q quit  Tab view  Enter explain  / filter  < > sort  t kinds  p pause  h help"
				 : "q quit  Tab view  Enter explain  / filter  < > sort  u units  p pause  h help",
			 A_DIM);
	}
}

/* Wraps a sentence over at most 3 lines. Returns the number of the line below. */
static int put_wrapped(int y, const char *text, attr_t attributes)
{
	for (int lines = 0; *text && lines < 3; lines++) {
		size_t n = vst_wrap(text, COLS);
		char *line = vst_dup(text);

		line[n] = '\0';
		put_line(y++, line, attributes);
		free(line);
		text += n + (text[n] == ' ');
	}
	return y;
}

static int draw_trouble(const struct vst_top *top, int y)
{
	char text[768], *host;

	if (*top->trouble) {
		snprintf(text, sizeof(text), "NO DATA for %.0f s: %s. Asking again; what is shown is old.",
			 vst_now() - top->heard, top->trouble);
		y = put_wrapped(y, text, bad());
	}
	if (top->replay) {
		host = vst_escape(vst_replay_about(top->replay)->host);
		snprintf(text, sizeof(text), "RECORDING of %s%s: [ ] step, @ go to a moment, p %s", host,
			 top->playing ? ", playing" : "", top->playing ? "stops" : "plays");
		free(host);
		put_line(y++, text, A_BOLD);
	}
	if (top->paused)
		put_line(y++, "PAUSED: what is shown stays; p goes on", A_BOLD);
	return y;
}

void vst_screen_draw(struct vst_top *top)
{
	werase(stdscr);
	if (top->mode == VST_TOP_HELP)
		draw_help(top);
	else if (top->mode == VST_TOP_EXPLAIN)
		draw_explain(top);
	else
		draw_table(top, draw_trouble(top, draw_header(top)));
	draw_bottom(top);
	refresh();
}

void vst_screen_resize(void)
{
	struct winsize size;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
	clearok(curscr, TRUE);
}

int vst_screen_open(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		vst_error("the terminal '%s' (TERM) is not known here: set TERM, or use 'vstorctl top -b'",
			  term ? term : "");
		return VST_EXIT_UNSUPPORTED;
	}
	set_term(screen);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	colors = !(no_color && *no_color) && has_colors() && start_color() == OK;
	if (colors) {
		use_default_colors();
		init_pair(PAIR_BAD, COLOR_RED, -1);
	}
	return 0;
}

void vst_screen_close(void)
{
	curs_set(1);
	endwin();
	delscreen(screen);
	screen = NULL;
}
