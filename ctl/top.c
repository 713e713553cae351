/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl top: the live view. Here is what it knows; top_screen.c draws it. */
#include <math.h>
#include <unistd.h>
#include "sampler.h"
#include "table.h"
#include "top.h"

enum { OPT_SORT = 16, OPT_FILTER, OPT_UNITS, OPT_REVERSE };

const struct vst_option vst_top_options[] = {
	{ 'd', "delay", "SECONDS", "from frame to frame (default 1)" },
	{ 'n', "frames", "N", "how many frames (default 0: until told to quit)" },
	{ 'b', "batch", NULL, "plain text; so it is when the output is no terminal" },
	{ 'k', "kinds", NULL, "with a line per kind and size of file" },
	{ OPT_SORT, "sort", "COLUMN", "sort by it, most first" },
	{ OPT_REVERSE, "reverse", NULL, "least first" },
	{ OPT_FILTER, "filter", "TEXT", "only containers, devices and cgroups with TEXT in their name" },
	{ OPT_UNITS, "units", "UNITS", "human, raw or kib" },
	{ 0 },
};

void vst_top_help(FILE *out)
{
	const struct vst_column *c = vst_view_io.columns;
	const char *line;

	fputs("\nKeys:\n", out);
	for (size_t i = 0; (line = vst_screen_key_help(i)); i++)
		fprintf(out, "  %s\n", line);
	fputs("\nColumns (a wide terminal shows all of them, and so does --json):\n", out);
	for (int i = 0; i < vst_view_io.ncolumns; i++)
		fprintf(out, "  %-10s %s\n", c[i].title, c[i].help);
}

static int take_look(const struct vst_ctl *ctl, struct vst_look *look)
{
	const char *sort = ctl->opt[OPT_SORT], *filter = ctl->opt[OPT_FILTER], *units = ctl->opt[OPT_UNITS];
	int found;

	look->view = &vst_view_io;
	look->sort = look->view->sort;
	look->kinds = ctl->opt['k'];
	look->reverse = ctl->opt[OPT_REVERSE];
	look->quiet = ctl->json;
	if (sort) {
		look->sort = vst_view_find(look->view, sort);
		if (look->sort < 0)
			return vst_usage("top", "--sort '%s' is no column", sort);
	}
	if (filter && strlen(filter) >= sizeof(look->filter))
		return vst_usage("top", "--filter is longer than %zu bytes", sizeof(look->filter) - 1);
	if (filter)
		strcpy(look->filter, filter);
	if (units) {
		found = vst_units_find(units);
		if (found < 0)
			return vst_usage("top", "--units '%s' is none of human, raw, kib", units);
		look->units = (enum vst_units)found;
	}
	return 0;
}

static void print_cells(const struct vst_look *look, const struct vst_layout *layout, const struct vst_line *line)
{
	char *cell;

	for (int i = 0; i < layout->n; i++) {
		cell = line ? vst_view_cell(look, layout, i, line) : vst_view_title(look, layout, i);
		printf("%s%s", cell, i + 1 < layout->n ? " " : "\n");
		free(cell);
	}
}

static void print_text(const struct vst_look *look, const struct vst_frame *f, double delay)
{
	const struct vst_line **lines;
	struct vst_layout layout;
	char *header;
	size_t n;

	for (unsigned int i = 0; (header = vst_view_header(look, f, delay, i)); i++) {
		puts(header);
		free(header);
	}
	lines = vst_view_lines(look, f, &n);
	vst_view_layout(&layout, look, vst_terminal_width(), lines, n);
	print_cells(look, &layout, NULL);
	for (size_t i = 0; i < n; i++)
		print_cells(look, &layout, lines[i]);
	free(lines);
}

static void print_json(const struct vst_look *look, const struct vst_frame *f)
{
	const struct vst_line **lines;
	size_t n;

	lines = vst_view_lines(look, f, &n);
	for (size_t i = 0; i < n; i++)
		vst_json_line(vst_view_json(look, f, lines[i]));
	free(lines);
}

/* A frame of what was just committed, without the figures that do not mean anything yet. The caller frees. */
static struct vst_frame *new_frame(const struct vst_rows *rows, const struct vst_cost *cost)
{
	struct vst_frame *f = vst_frame_new(rows);

	if (!vst_cost_known(cost, vst_rows_snapshot(rows)))
		f->event_ns = 0;
	return f;
}

static int run_batch(const struct vst_ctl *ctl, const struct vst_look *look, double delay, unsigned long frames)
{
	struct vst_cost cost = { 0 };
	struct vst_sampler s;
	struct vst_frame *f;
	int rc;

	vst_signals_catch(false);
	vst_sampler_open(&s, ctl->socket, delay);
	rc = vst_sampler_first(&s);
	for (unsigned long i = 0; !rc && (!frames || i < frames); i++) {
		rc = vst_sampler_next(&s);
		if (rc)
			break;
		if (!ctl->json && vst_cost_wanted(&cost, vst_rows_snapshot(s.rows))) {
			/* an agent that is unwell is told of when rows are asked for */
			rc = vst_client_get(s.client, VST_COST_PATH, vst_cost_line, &cost);
			if (rc == VST_EXIT_INTERRUPTED)
				break;
		}
		rc = 0;
		f = new_frame(s.rows, &cost);
		if (ctl->json)
			print_json(look, f);
		else
			print_text(look, f, delay);
		if (!ctl->json && (!frames || i + 1 < frames))
			putchar('\n');
		vst_frame_free(f);
		if (vst_output_lost())
			break;
	}
	vst_sampler_close(&s);
	return rc;
}

static void trouble(struct vst_top *top, const char *text)
{
	snprintf(top->trouble, sizeof(top->trouble), "%s", text);
}

static void start(struct vst_top *top, struct vst_client *client, struct vst_rows *rows)
{
	vst_client_start(client, vst_rows_begin(rows), vst_rows_line, rows);
	top->asked = vst_now();
}

/* A reply has ended. True: it is a frame. */
static bool take_reply(struct vst_top *top, struct vst_client *client, struct vst_rows *rows)
{
	enum vst_commit what;

	top->asked = 0;
	if (top->asking_cost) { /* if that failed, the next request for rows tells */
		top->asking_cost = false;
		return false;
	}
	if (vst_client_result(client)) {
		trouble(top, vst_client_error(client));
		return false;
	}
	if (vst_rows_commit(rows, &what)) {
		trouble(top, "the agent's reply has no snapshot: are agent and vstorctl of one release?");
		return false;
	}
	top->trouble[0] = '\0';
	top->heard = vst_now();
	if (what == VST_COMMIT_RESTARTED) {
		top->hint = "the agent was started anew: its counters, and the next interval, begin again";
		start(top, client, rows);
	}
	if (what != VST_COMMIT_SAMPLE)
		return false;
	if (!top->paused) {
		vst_frame_free(top->frame);
		top->frame = new_frame(rows, &top->cost);
	}
	if (vst_cost_wanted(&top->cost, vst_rows_snapshot(rows))) {
		vst_client_start(client, VST_COST_PATH, vst_cost_line, &top->cost);
		top->asked = vst_now();
		top->asking_cost = true;
	}
	return true;
}

static void loop(struct vst_top *top, struct vst_client *client, struct vst_rows *rows, unsigned long frames)
{
	double next = vst_now(), delay, redraw;
	unsigned long shown = 0;

	while (!top->quit && !vst_stopped() && (!frames || shown < frames)) {
		/* a hanging agent and a dead one are shown with their age: the picture must move */
		redraw = top->asked > 0 || *top->trouble ? vst_now() + 1 : INFINITY;
		switch (vst_client_wait(client, STDIN_FILENO, fmin(next, redraw))) {
		case VST_WAIT_INPUT:
			delay = top->delay;
			vst_screen_keys(top);
			next += top->delay - delay;
			break;
		case VST_WAIT_DONE:
			shown += take_reply(top, client, rows);
			break;
		case VST_WAIT_SIGNAL:
			if (vst_resized())
				vst_screen_resize();
			break;
		case VST_WAIT_TIME:
			if (vst_now() < next)
				break;
			next = vst_pace(next, top->delay, vst_now());
			if (!vst_client_busy(client))
				start(top, client, rows);
		}
		vst_screen_draw(top);
	}
}

static int run_screen(const struct vst_ctl *ctl, const struct vst_look *look, double delay, unsigned long frames)
{
	struct vst_top top = { .socket = ctl->socket, .look = *look, .delay = delay };
	struct vst_client *client = vst_client_new(ctl->socket);
	struct vst_rows *rows = vst_rows_new();
	enum vst_commit what;
	int rc;

	/* who is not there at the start is told so on a terminal that is left alone */
	rc = vst_client_get(client, vst_rows_begin(rows), vst_rows_line, rows);
	if (rc)
		vst_error("%s", vst_client_error(client));
	else if (vst_rows_commit(rows, &what)) {
		vst_error("the reply of %s has no snapshot: are agent and vstorctl of one release?", ctl->socket);
		rc = VST_EXIT_FAILED;
	}
	if (!rc) {
		vst_signals_catch(true);
		rc = vst_screen_open();
	}
	if (!rc) {
		top.heard = vst_now();
		vst_screen_draw(&top);
		loop(&top, client, rows, frames);
		vst_screen_close();
	}
	vst_frame_free(top.frame);
	vst_rows_free(rows);
	vst_client_free(client);
	return rc;
}

int vst_cmd_top(const struct vst_ctl *ctl, int argc, char **argv)
{
	struct vst_look look = { 0 };
	unsigned long frames = 0;
	double delay = 1;

	if (vst_opt_seconds(ctl, "top", 'd', &delay) || vst_opt_count(ctl, "top", 'n', &frames) ||
	    take_look(ctl, &look))
		return VST_EXIT_USAGE;
	if (ctl->opt['b'] || ctl->json || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return run_batch(ctl, &look, delay, frames);
	return run_screen(ctl, &look, delay, frames);
}
