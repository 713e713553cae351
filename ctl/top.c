/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl top: the live view. Here is what it knows; top_screen.c draws it. */
#include <math.h>
#include <unistd.h>
#include "io.h"
#include "sampler.h"
#include "table.h"
#include "top.h"

enum { OPT_VIEW = 16, OPT_SORT, OPT_FILTER, OPT_UNITS, OPT_REVERSE };

const struct vst_option vst_top_options[] = {
	{ 'd', "delay", "DURATION", "from frame to frame (default 1)" },
	{ 'n', "frames", "N", "how many frames (default 0: until told to quit)" },
	{ 'b', "batch", NULL, "plain text; so it is when the output is no terminal" },
	{ OPT_VIEW, "view", "VIEW", "io (the default), locks, blame, actions or cache" },
	{ 'k', "kinds", NULL, "with a line per kind and size of file" },
	{ OPT_SORT, "sort", "COLUMN", "sort by it, most first" },
	{ OPT_REVERSE, "reverse", NULL, "least first" },
	{ OPT_FILTER, "filter", "TEXT", "only lines with TEXT in a name: a container's, device's, lock's, cgroup's" },
	{ OPT_UNITS, "units", "UNITS", "human, raw or kib" },
	{ 0 },
};

void vst_top_help(FILE *out)
{
	const char *line;

	fputs("\nKeys:\n", out);
	for (size_t i = 0; (line = vst_screen_key_help(i)); i++)
		fprintf(out, "  %s\n", line);
	for (int v = 0; v < VST_VIEW__N; v++) {
		const struct vst_column *c = vst_views[v]->columns;

		fprintf(out, "\nColumns of the view '%s', %s (a wide terminal shows all, and so does --json):\n",
			vst_views[v]->name, vst_views[v]->summary);
		for (int i = 0; i < vst_views[v]->ncolumns; i++)
			fprintf(out, "  %-10s %s\n", c[i].title, c[i].help);
	}
}

static int take_look(const struct vst_ctl *ctl, struct vst_look *look)
{
	const char *sort = ctl->opt[OPT_SORT], *filter = ctl->opt[OPT_FILTER], *units = ctl->opt[OPT_UNITS];
	int found = ctl->opt[OPT_VIEW] ? vst_view_find(ctl->opt[OPT_VIEW]) : VST_VIEW_IO;

	if (found < 0)
		return vst_usage("top", "--view '%s' is none of io, locks, blame, actions, cache", ctl->opt[OPT_VIEW]);
	look->view = vst_views[found];
	look->sort = vst_view_column(look->view, look->view->sort);
	look->kinds = ctl->opt['k'];
	look->reverse = ctl->opt[OPT_REVERSE];
	look->quiet = ctl->json;
	if (sort) {
		look->sort = vst_view_column(look->view, sort);
		if (look->sort < 0)
			return vst_usage("top", "--sort '%s' is no column of the view '%s'", sort, look->view->name);
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
		for (int k = 0; !i && k < VST_ALARMS && f->alarm[k]; k++)
			puts(f->alarm[k]);
	}
	lines = vst_view_lines(look, f, &n);
	vst_view_layout(&layout, look, vst_terminal_width(), lines, n);
	print_cells(look, &layout, NULL);
	for (size_t i = 0; i < n; i++)
		print_cells(look, &layout, lines[i]);
	if (!n)
		puts(vst_view_nothing(look, f));
	free(lines);
}

static int by_line(const void *a, const void *b)
{
	const struct vst_wire_row *x = (*(const struct vst_io_delta *const *)a)->row;
	const struct vst_wire_row *y = (*(const struct vst_io_delta *const *)b)->row;
	int d = strcmp(x->cgroup, y->cgroup);

	d = d ? d : strcmp(x->container, y->container);
	return d ? d : strcmp(x->device, y->device);
}

/* The rows of a line, as `io --json` has them, with what the line knows of its container. */
static void print_rows(const struct vst_rows *rows, const struct vst_io_delta **sorted, size_t n,
		       const struct vst_line *line, const json_t *whole)
{
	static const char *const more[] = { "view",	  "lock_wait_us",      "top_lock",
					    "blocked_by", "blocked_by_cgroup", "blocked_by_own" };
	const struct vst_wire_row row = { .cgroup = (char *)line->cgroup,
					  .container = (char *)line->container,
					  .device = (char *)line->device };
	const struct vst_io_delta key = { .row = &row }, *wanted = &key;
	const struct vst_io_delta **at = n ? bsearch(&wanted, sorted, n, sizeof(*sorted), by_line) : NULL;

	while (at && at > sorted && !by_line(at - 1, &wanted))
		at--;
	for (; at && at < sorted + n && !by_line(at, &wanted); at++) {
		json_t *o = vst_io_json(rows, *at);

		for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
			if (json_object_get(whole, more[i]))
				json_object_set(o, more[i], json_object_get(whole, more[i]));
		vst_json_line(o);
	}
}

/* What reads `io --json` reads this as well: the view of I/O has the same lines, one for each row. */
static void print_json(const struct vst_look *look, const struct vst_frame *f, const struct vst_rows *rows)
{
	const struct vst_io_delta **sorted, *deltas;
	const struct vst_line **lines;
	size_t n, n_deltas;

	deltas = vst_rows_deltas(rows, &n_deltas);
	sorted = vst_alloc(n_deltas * sizeof(*sorted));
	for (size_t i = 0; i < n_deltas; i++)
		sorted[i] = &deltas[i];
	qsort(sorted, n_deltas, sizeof(*sorted), by_line);
	lines = vst_view_lines(look, f, &n);
	for (size_t i = 0; i < n; i++) {
		json_t *o = vst_view_json(look, f, lines[i]);

		if (look->view != &vst_view_io)
			vst_json_line(json_incref(o));
		else if (!lines[i]->kind && lines[i]->device)
			print_rows(rows, sorted, n_deltas, lines[i], o);
		json_decref(o);
	}
	free(lines);
	free(sorted);
}

/* A frame of the last interval, without figures that are not reliable yet. The caller frees. */
static struct vst_frame *new_frame(const struct vst_view *view, const struct vst_feeds *feeds,
				   const struct vst_cost *cost)
{
	struct vst_frame *f = vst_view_frame(view, feeds);

	if (!vst_cost_known(cost, vst_rows_head(feeds->rows)))
		f->event_ns = 0;
	return f;
}

/* --- frame after frame, as text --- */

struct batch {
	struct vst_look look;
	struct vst_cost cost;
};

static int show(const struct vst_ctl *ctl, struct vst_sampler *s, void *arg)
{
	struct batch *b = arg;
	struct vst_frame *f;

	if (!ctl->json && vst_cost_wanted(&b->cost, vst_rows_head(s->feeds.rows)) &&
	    /* other errors show when rows are asked for the next time */
	    vst_client_get(s->client, VST_COST_PATH, vst_cost_line, &b->cost) == VST_EXIT_INTERRUPTED)
		return VST_EXIT_INTERRUPTED;
	f = new_frame(b->look.view, &s->feeds, &b->cost);
	if (ctl->json)
		print_json(&b->look, f, s->feeds.rows);
	else
		print_text(&b->look, f, s->delay);
	vst_frame_free(f);
	return 0;
}

/* --- on a terminal --- */

static void trouble(struct vst_top *top, const char *text)
{
	snprintf(top->trouble, sizeof(top->trouble), "%s", text);
}

/* Starts the next request in to_ask, unless one is under way. */
static void ask_next(struct vst_top *top)
{
	int feed = 0;

	if (vst_client_busy(top->client) || !top->to_ask)
		return;
	while (!(top->to_ask & 1U << feed))
		feed++;
	top->to_ask &= ~(1U << feed);
	vst_client_start(top->client, vst_feeds_begin(&top->feeds, (enum vst_feed)feed, top->delay / 2, false),
			 vst_feeds_line, &top->feeds);
	top->asked = vst_now();
}

static void tick(struct vst_top *top)
{
	if (top->replay && top->playing)
		vst_top_step(top, 1);
	if (top->replay || vst_client_busy(top->client))
		return;
	/* a view that is not shown begins anew when it is: its first interval must not be all the time in between */
	vst_feeds_forget(&top->feeds, ~top->look.view->feeds);
	top->to_ask = top->look.view->feeds & ~top->feeds.absent;
	ask_next(top);
}

void vst_top_view(struct vst_top *top, int view)
{
	top->kept[top->view].sort = top->look.sort;
	top->kept[top->view].reverse = top->look.reverse;
	top->view = view;
	top->look.view = vst_views[view];
	top->look.sort = top->kept[view].sort;
	top->look.reverse = top->kept[view].reverse;
	top->scroll = 0;
	top->selecting = false;
	if (top->replay)
		return; /* all feeds are there */
	top->to_ask |= top->look.view->feeds & ~top->feeds.sampled;
	ask_next(top);
}

/* Makes the frames of all views whose feeds are known, so that one can switch at once, also while it is paused. */
static void make_frames(struct vst_top *top)
{
	for (int i = 0; i < VST_VIEW__N && !top->paused; i++) {
		vst_frame_free(top->frames[i]);
		top->frames[i] = NULL;
		if (!(vst_views[i]->feeds & ~top->feeds.sampled))
			top->frames[i] = new_frame(vst_views[i], &top->feeds, &top->cost);
	}
}

/* --- a recording --- */

/* Takes all feeds of the moment that the recording's clock shows. 0, or an exit code, and the client has the reason. */
static int take_moment(struct vst_top *top)
{
	enum vst_commit_result what;
	int rc = 0;

	for (int feed = 0; !rc && feed < VST_FEED__N; feed++) {
		rc = vst_client_get(top->client, vst_feeds_begin(&top->feeds, (enum vst_feed)feed, 0, false),
				    vst_feeds_line, &top->feeds);
		if (vst_feeds_refused(&top->feeds, rc))
			rc = 0;
		else if (!rc && vst_feeds_commit(&top->feeds, &what))
			rc = VST_EXIT_FAILED;
		else if (!rc && what == VST_COMMIT_RESTARTED) {
			top->hint = "the agent was started anew in this interval: its counters begin again";
			rc = vst_client_get(top->client, vst_feeds_begin(&top->feeds, (enum vst_feed)feed, 0, false),
					    vst_feeds_line, &top->feeds);
			if (!rc && vst_feeds_commit(&top->feeds, &what))
				rc = VST_EXIT_FAILED;
		}
	}
	return rc;
}

/* Shows the interval that ends at the recording's moment. 0, or an exit code; the reason is in top->trouble. */
static int show_moment(struct vst_top *top)
{
	double at = vst_replay_at(top->replay);
	int rc;

	vst_feeds_close(&top->feeds);
	vst_feeds_open(&top->feeds);
	vst_replay_move(top->replay, at - top->delay);
	rc = take_moment(top);
	vst_replay_move(top->replay, at);
	rc = rc ? rc : take_moment(top);
	if (!rc && !(top->cost.runs > 0))
		vst_client_get(top->client, VST_COST_PATH, vst_cost_line, &top->cost);
	top->trouble[0] = '\0';
	top->heard = vst_now();
	if (rc) {
		trouble(top, vst_client_error(top->client));
		return rc;
	}
	top->feeds.sampled |= top->look.view->feeds;
	make_frames(top);
	return 0;
}

void vst_top_step(struct vst_top *top, int frames)
{
	if (!top->replay) {
		top->hint = "only a recording has a past: vstorctl top --at TIME";
	} else if (!vst_replay_step(top->replay, frames * top->delay)) {
		top->hint = frames < 0 ? "the recording begins here" : "the recording ends here";
		top->playing = false;
	} else {
		show_moment(top);
	}
}

void vst_top_jump(struct vst_top *top, const char *at)
{
	const char *error;

	if (vst_replay_jump(top->replay, at, &error))
		top->hint = error;
	else
		show_moment(top);
}

/* True if the last request failed; then the reason is in top->trouble. */
static bool take_failure(struct vst_top *top)
{
	if (!vst_client_result(top->client))
		return false;
	trouble(top, vst_client_error(top->client));
	top->to_ask = 0;
	return true;
}

/* Handles the end of a reply. True if there is a new frame. */
static bool take_reply(struct vst_top *top)
{
	enum vst_commit_result what = VST_COMMIT_SAMPLE;

	top->asked = 0;
	if (top->asking_cost) { /* if that failed, the next request for rows shows it */
		top->asking_cost = false;
		ask_next(top);
		return false;
	}
	if (!vst_feeds_refused(&top->feeds, vst_client_result(top->client))) {
		if (take_failure(top))
			return false;
	}
	if (!(top->feeds.absent & 1U << top->feeds.asked) && vst_feeds_commit(&top->feeds, &what)) {
		trouble(top, "the agent's reply has no snapshot: are agent and vstorctl of one release?");
		return false;
	}
	top->trouble[0] = '\0';
	top->heard = vst_now();
	if (what == VST_COMMIT_RESTARTED) {
		top->hint = "the agent was started anew: its counters, and the next interval, begin again";
		top->to_ask |= 1U << top->feeds.asked;
	}
	ask_next(top);
	if (vst_client_busy(top->client) || top->look.view->feeds & ~top->feeds.sampled)
		return false;
	make_frames(top);
	if (vst_cost_wanted(&top->cost, vst_rows_head(top->feeds.rows))) {
		vst_client_start(top->client, VST_COST_PATH, vst_cost_line, &top->cost);
		top->asked = vst_now();
		top->asking_cost = true;
	}
	return true;
}

static void loop(struct vst_top *top, unsigned long frames)
{
	double next = vst_now(), delay, redraw;
	unsigned long shown = 0;

	while (!top->quit && !vst_stopped() && (!frames || shown < frames)) {
		/* how long the agent has not answered is shown in seconds, so draw every second */
		redraw = top->asked > 0 || *top->trouble ? vst_now() + 1 : INFINITY;
		switch (vst_client_wait(top->client, STDIN_FILENO, fmin(next, redraw))) {
		case VST_WAIT_INPUT:
			delay = top->delay;
			vst_screen_keys(top);
			next += top->delay - delay;
			break;
		case VST_WAIT_DONE:
			shown += take_reply(top);
			break;
		case VST_WAIT_SIGNAL:
			if (vst_resized())
				vst_screen_resize();
			break;
		case VST_WAIT_TIME:
			if (vst_now() < next)
				break;
			next = vst_pace(next, top->delay, vst_now());
			tick(top);
		}
		vst_screen_draw(top);
	}
}

/* The state to begin from. Errors are printed before the terminal is taken over. */
static int ask_first(struct vst_top *top)
{
	enum vst_commit_result what;
	int rc = 0;

	if (top->replay) {
		rc = show_moment(top);
		if (rc)
			vst_error("%s", top->trouble);
		return rc;
	}
	for (int feed = 0; !rc && feed < VST_FEED__N; feed++) {
		if (!(top->look.view->feeds & 1U << feed))
			continue;
		rc = vst_client_get(top->client, vst_feeds_begin(&top->feeds, (enum vst_feed)feed, 0, false),
				    vst_feeds_line, &top->feeds);
		if (vst_feeds_refused(&top->feeds, rc)) {
			rc = 0;
		} else if (rc) {
			vst_error("%s", vst_client_error(top->client));
		} else if (vst_feeds_commit(&top->feeds, &what)) {
			vst_error("the reply of %s has no snapshot: are agent and vstorctl of one release?",
				  top->socket);
			rc = VST_EXIT_FAILED;
		}
	}
	return rc;
}

static int run_screen(const struct vst_ctl *ctl, const struct vst_look *look, double delay, unsigned long frames)
{
	struct vst_top top = { .socket = ctl->socket, .replay = ctl->replay, .look = *look, .delay = delay };
	int rc;

	for (int i = 0; i < VST_VIEW__N; i++) {
		top.kept[i].sort = vst_view_column(vst_views[i], vst_views[i]->sort);
		top.view = vst_views[i] == look->view ? i : top.view;
	}
	top.client = vst_client_new(ctl);
	vst_feeds_open(&top.feeds);
	rc = ask_first(&top);
	if (!rc) {
		vst_signals_catch(true);
		rc = vst_screen_open();
	}
	if (!rc) {
		top.heard = vst_now();
		vst_screen_draw(&top);
		loop(&top, frames);
		vst_screen_close();
	}
	for (int i = 0; i < VST_VIEW__N; i++)
		vst_frame_free(top.frames[i]);
	free(top.chosen_name);
	free(top.chosen_cgroup);
	free(top.chosen_device);
	vst_feeds_close(&top.feeds);
	vst_client_free(top.client);
	return rc;
}

int vst_cmd_top(const struct vst_ctl *ctl, int argc, char **argv)
{
	struct batch batch = { 0 };
	struct vst_sampling what = { .command = "top", .delay = 1, .live = true, .show = show, .arg = &batch };
	unsigned long frames = 0;
	double delay = 1;

	if (vst_opt_seconds(ctl, "top", 'd', &delay) || vst_opt_count(ctl, "top", 'n', &frames) ||
	    take_look(ctl, &batch.look))
		return VST_EXIT_USAGE;
	if (!ctl->opt['b'] && !ctl->json && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO))
		return run_screen(ctl, &batch.look, delay, frames);
	what.feeds = batch.look.view->feeds;
	return vst_sampling_run(ctl, &what);
}
