/* SPDX-License-Identifier: GPL-2.0-only */
/* What a key does to `top`. */
#include <curses.h>
#include "lib/duration.h"
#include "top.h"

#define ESCAPE 27

static void key_quit(struct vst_top *top)
{
	top->quit = true;
}

static void key_pause(struct vst_top *top)
{
	if (top->replay)
		top->playing = !top->playing;
	else
		top->paused = !top->paused;
}

static void key_before(struct vst_top *top)
{
	vst_top_step(top, -1);
}

static void key_after(struct vst_top *top)
{
	vst_top_step(top, 1);
}

static void key_at(struct vst_top *top)
{
	if (!top->replay) {
		vst_top_step(top, 0);
		return;
	}
	top->mode = VST_TOP_AT;
	top->input[0] = '\0';
}

static void sort_by(struct vst_top *top, int step)
{
	int n = top->look.view->ncolumns;

	top->look.sort = (top->look.sort + step + n) % n;
	top->hint = top->look.view->columns[top->look.sort].help;
}

static void key_next(struct vst_top *top)
{
	sort_by(top, 1);
}

static void key_previous(struct vst_top *top)
{
	sort_by(top, -1);
}

static void key_reverse(struct vst_top *top)
{
	top->look.reverse = !top->look.reverse;
}

static void key_filter(struct vst_top *top)
{
	top->mode = VST_TOP_FILTER;
	strcpy(top->input, top->look.filter);
}

static void key_clear(struct vst_top *top)
{
	top->look.filter[0] = '\0';
	top->scroll = 0;
}

static void key_kinds(struct vst_top *top)
{
	if (top->look.view->details)
		top->look.kinds = !top->look.kinds;
	else
		top->hint = "only lines of I/O have kinds: Tab goes there";
}

static void key_view(struct vst_top *top)
{
	vst_top_view(top, (top->view + 1) % VST_VIEW__N);
}

static void key_view_back(struct vst_top *top)
{
	vst_top_view(top, (top->view + VST_VIEW__N - 1) % VST_VIEW__N);
}

static void key_delay(struct vst_top *top)
{
	top->mode = VST_TOP_DELAY;
	top->input[0] = '\0';
}

static const double delays[] = { 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60 };
#define DELAYS (sizeof(delays) / sizeof(delays[0]))

static void key_slower(struct vst_top *top)
{
	for (size_t i = 0; i < DELAYS; i++) {
		if (delays[i] > top->delay) {
			top->delay = delays[i];
			return;
		}
	}
}

static void key_faster(struct vst_top *top)
{
	for (size_t i = DELAYS; i--;) {
		if (delays[i] < top->delay) {
			top->delay = delays[i];
			return;
		}
	}
}

static void key_units(struct vst_top *top)
{
	top->look.units = (top->look.units + 1) % VST_UNITS__N;
}

static void key_help(struct vst_top *top)
{
	top->mode = VST_TOP_HELP;
	top->scroll = 0;
}

/* In the table the keys move the selected line, which drawing keeps in sight; elsewhere they scroll. Drawing limits both. */
static size_t *position(struct vst_top *top)
{
	bool table = top->mode == VST_TOP_TABLE;

	top->moved |= table;
	return table ? &top->selected : &top->scroll;
}

/* The first key selects the first line that is shown. */
static bool begins_selecting(struct vst_top *top)
{
	bool begins = top->mode == VST_TOP_TABLE && !top->selecting;

	if (begins) {
		top->selecting = top->moved = true;
		top->selected = top->scroll;
	}
	return begins;
}

static void key_up(struct vst_top *top)
{
	size_t *at = position(top);

	if (!begins_selecting(top))
		*at -= *at > 0;
}

static void key_down(struct vst_top *top)
{
	size_t *at = position(top);

	if (!begins_selecting(top))
		(*at)++;
}

static void key_page_up(struct vst_top *top)
{
	size_t *at = position(top);

	begins_selecting(top);
	*at -= *at < top->page ? *at : top->page;
}

static void key_page_down(struct vst_top *top)
{
	size_t *at = position(top);

	begins_selecting(top);
	*at += top->page;
}

static void key_home(struct vst_top *top)
{
	begins_selecting(top);
	*position(top) = 0;
}

static void key_end(struct vst_top *top)
{
	begins_selecting(top);
	*position(top) = SIZE_MAX / 2;
}

static void key_open(struct vst_top *top)
{
	if (top->moved) /* keys that came together: drawing finds whom the selected line is about */
		vst_screen_draw(top);
	if (!top->chosen_name) {
		top->hint = "there is no line to open";
		return;
	}
	top->mode = VST_TOP_EXPLAIN;
	top->scroll = 0;
}

static const struct key {
	int codes[4]; /* as curses has them */
	void (*press)(struct vst_top *top);
	const char *help; /* NULL: the row above explains it */
	bool scrolls;	  /* works in help too */
} keys[] = {
	{ { 'q', 'Q' }, key_quit, "q              quit", false },
	{ { '\t', 'v' },
	  key_view,
	  "Tab, v         the next view: I/O, locks, blame, actions, caches; Shift-Tab the one before",
	  false },
	{ { KEY_BTAB, 'V' }, key_view_back, NULL, false },
	{ { 'p', ' ' }, key_pause, "p, space       pause and go on", false },
	{ { '[' }, key_before, "[, ]           of a recording (--at, --replay): the interval before, after", false },
	{ { ']' }, key_after, NULL, false },
	{ { '@' }, key_at, "@              of a recording: go to a moment: 02:47, -10m", false },
	{ { 's', '>', KEY_RIGHT }, key_next, "s, >, <        sort by the next, the previous column", false },
	{ { '<', KEY_LEFT }, key_previous, NULL, false },
	{ { 'r', 'R' }, key_reverse, "r              reverse the order", false },
	{ { '/' }, key_filter, "/              show only names with a text in them; Esc: all again", false },
	{ { ESCAPE }, key_clear, NULL, false },
	{ { '\n', '\r', KEY_ENTER },
	  key_open,
	  "Enter          explain the selected container; any other key goes back",
	  false },
	{ { 't' }, key_kinds, "t              with or without lines per kind and size of file", false },
	{ { 'd' }, key_delay, "d, +, -        seconds from frame to frame: type, more, less", false },
	{ { '+', '=' }, key_slower, NULL, false },
	{ { '-', '_' }, key_faster, NULL, false },
	{ { 'u' }, key_units, "u              units: human, raw, KiB", false },
	{ { 'h', '?', KEY_F(1) }, key_help, "h, ?           this help", false },
	{ { KEY_UP, 'k' }, key_up, "arrows, PgUp, PgDn, Home, End   select a line, or scroll", true },
	{ { KEY_DOWN, 'j' }, key_down, NULL, true },
	{ { KEY_PPAGE }, key_page_up, NULL, true },
	{ { KEY_NPAGE }, key_page_down, NULL, true },
	{ { KEY_HOME }, key_home, NULL, true },
	{ { KEY_END }, key_end, NULL, true },
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

const char *vst_screen_key_help(size_t i)
{
	for (size_t k = 0; k < KEYS; k++)
		if (keys[k].help && !i--)
			return keys[k].help;
	return NULL;
}

static const struct key *find_key(int code)
{
	for (size_t k = 0; k < KEYS; k++)
		for (size_t i = 0; i < 4 && keys[k].codes[i]; i++)
			if (keys[k].codes[i] == code)
				return &keys[k];
	return NULL;
}

/* --- typing a line: a filter works while it is typed, a delay when it is complete --- */

static void end_delay(struct vst_top *top)
{
	if (vst_duration_parse(top->input, 0.01, 86400, &top->delay))
		top->hint = "that is no duration from 10ms to 24h: give 5, 500ms or 2m";
}

static void backspace(char *input)
{
	size_t len = strlen(input);

	while (len && (input[len - 1] & 0xc0) == 0x80)
		len--; /* the rest of a UTF-8 character */
	if (len)
		input[len - 1] = '\0';
}

static void type(struct vst_top *top, int code)
{
	size_t len = strlen(top->input);

	if (code == '\n' || code == '\r' || code == KEY_ENTER || code == ESCAPE) {
		if (code == ESCAPE)
			top->input[0] = '\0';
		else if (top->mode == VST_TOP_DELAY)
			end_delay(top);
		else if (top->mode == VST_TOP_AT && *top->input)
			vst_top_jump(top, top->input);
		if (top->mode == VST_TOP_FILTER)
			strcpy(top->look.filter, top->input);
		top->mode = VST_TOP_TABLE;
		return;
	}
	if (code == KEY_BACKSPACE || code == 127 || code == 8)
		backspace(top->input);
	else if (code == 21) /* ^U */
		top->input[0] = '\0';
	else if (code >= ' ' && code < 256 && len + 1 < sizeof(top->input))
		top->input[len] = (char)code, top->input[len + 1] = '\0';
	if (top->mode == VST_TOP_FILTER) {
		strcpy(top->look.filter, top->input);
		top->scroll = 0;
	}
}

static void press(struct vst_top *top, int code)
{
	const struct key *key = find_key(code);

	if (code == KEY_RESIZE)
		return;
	if (top->mode == VST_TOP_FILTER || top->mode == VST_TOP_DELAY || top->mode == VST_TOP_AT) {
		type(top, code);
		return;
	}
	if ((top->mode == VST_TOP_HELP || top->mode == VST_TOP_EXPLAIN) && (!key || !key->scrolls)) {
		top->mode = VST_TOP_TABLE;
		top->scroll = 0;
		return;
	}
	top->hint = key ? NULL : "no such key: h shows them";
	if (key)
		key->press(top);
}

void vst_screen_keys(struct vst_top *top)
{
	int code = getch();

	if (code == ERR)
		top->quit = true; /* readable but empty: the terminal is gone */
	for (; code != ERR; code = getch())
		press(top, code);
}
