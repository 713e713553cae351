/* SPDX-License-Identifier: GPL-2.0-only */
#include <math.h>
#include <stddef.h>
#include <time.h>
#include "view.h"
#include "wire.h"

#define NAME_MIN 20 /* of the first column */

const struct vst_view *const vst_views[VST_VIEW__N] = {
#define X(e, v) &v,
	VST_VIEWS(X)
#undef X
};

int vst_view_find(const char *name)
{
	for (int i = 0; i < VST_VIEW__N; i++)
		if (!strcasecmp(vst_views[i]->name, name))
			return i;
	return -1;
}

struct vst_frame *vst_view_frame(const struct vst_view *view, const struct vst_feeds *feeds)
{
	struct vst_waits *got[VST_FEED__N] = { NULL }, *blame = NULL;
	struct vst_sample s = { .rows = feeds->rows };
	struct vst_underway *underway;
	struct vst_frame *f;

	for (int i = VST_FEED_IO + 1; i < VST_FEED_POLICY; i++)
		if (view->feeds & 1U << i)
			got[i] = vst_feeds_waits(feeds, (enum vst_feed)i);
	if (got[VST_FEED_BLAME])
		blame = vst_waits_complete(got[VST_FEED_BLAME], got[VST_FEED_WAITS]);
	underway = vst_underway_new(feeds->rows, got[VST_FEED_WAITS], blame);
	s.locks = got[VST_FEED_LOCKS];
	s.blame = blame;
	s.underway = underway;
	if (view->feeds & VST_FEED(POLICY) && !(feeds->absent & VST_FEED(POLICY)))
		s.knobs = feeds->growth[VST_FEED_POLICY]->now;
	if (view->feeds & VST_FEED(CACHE) && !(feeds->absent & VST_FEED(CACHE)))
		s.caches = feeds->growth[VST_FEED_CACHE];
	f = vst_frame_new(&s);
	view->fill(f, &s);
	vst_frame_finish(f, &s);
	vst_underway_free(underway);
	vst_waits_free(blame);
	for (int i = 0; i < VST_FEED__N; i++)
		vst_waits_free(got[i]);
	return f;
}

int vst_view_column(const struct vst_view *view, const char *title)
{
	for (int i = 0; i < view->ncolumns; i++)
		if (!strcasecmp(view->columns[i].title, title))
			return i;
	return -1;
}

static double number(const struct vst_column *c, const struct vst_line *line)
{
	return *(const double *)((const char *)line + c->offset);
}

static const char *string(const struct vst_column *c, const struct vst_line *line)
{
	const char *text = *(const char *const *)((const char *)line + c->offset);

	return text ? text : "";
}

/* A text that comes from outside and may be long. */
static bool is_name(const struct vst_column *c)
{
	return c->type == VST_COLUMN_NAME || c->type == VST_COLUMN_OTHER;
}

static bool is_text(const struct vst_column *c)
{
	return c->type == VST_COLUMN_TEXT || is_name(c);
}

static int width_of(const struct vst_column *c, enum vst_units units)
{
	if (units == VST_UNITS_HUMAN || is_text(c) || c->type == VST_COLUMN_NUMBER || c->type == VST_COLUMN_PERCENT)
		return c->width;
	if (c->type == VST_COLUMN_BYTES)
		return units == VST_UNITS_RAW ? 11 : 10;
	return c->type == VST_COLUMN_US ? 9 : 7;
}

/* The text of a line in the view's column i, escaped. The caller frees. */
static char *text_of(const struct vst_view *view, int i, const struct vst_line *line)
{
	/* the line of a kind does not repeat its container's line */
	if (line->kind && i && string(&view->columns[i], line) != line->witness)
		return vst_dup("");
	if (!i && view->label)
		return view->label(line);
	if (view->columns[i].offset == offsetof(struct vst_line, container) && line->label)
		return vst_escape(line->label);
	if (view->columns[i].offset == offsetof(struct vst_line, holder) && line->holder_label)
		return vst_escape(line->holder_label);
	return vst_escape(string(&view->columns[i], line));
}

static int longest_text(const struct vst_view *view, int i, const struct vst_line **shown, size_t n)
{
	int longest = i ? vst_width(view->columns[i].title) : NAME_MIN;

	for (size_t k = 0; k < n; k++) {
		char *text = text_of(view, i, shown[k]);
		int width = vst_width(text);

		longest = width > longest ? width : longest;
		free(text);
	}
	return longest;
}

/* Gives the rest of the width to the names, one column to each in turn, until all but the first are twice as wide. */
static void widen(struct vst_layout *ret, const struct vst_view *view, int left)
{
	for (bool more = true; more && left > 0;) {
		more = false;
		for (int i = 0; i < ret->n && left > 0; i++) {
			const struct vst_column *c = &view->columns[ret->column[i]];

			if (!is_name(c) || (i && ret->width[i] >= 2 * c->width))
				continue;
			ret->width[i]++;
			left--;
			more = more || i;
		}
	}
	ret->width[0] += left > 0 ? left : 0;
}

static bool any_is_old(const struct vst_line **shown, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (shown[k]->oldest >= VST_OLD_US)
			return true;
	return false;
}

/* The column that the user chose to sort by must be seen, and so must what has waited for too long. */
static int priority_of(const struct vst_look *look, int i, bool old)
{
	const struct vst_column *c = &look->view->columns[i];
	bool chosen = i == look->sort && strcmp(c->title, look->view->sort) != 0;
	bool urgent =
		old && (c->offset == offsetof(struct vst_line, open) || c->offset == offsetof(struct vst_line, oldest));

	return chosen || urgent ? 0 : c->priority;
}

void vst_view_layout(struct vst_layout *ret, const struct vst_look *look, int width, const struct vst_line **shown,
		     size_t n)
{
	const struct vst_column *c = look->view->columns;
	int left = width ? width - NAME_MIN : 1 << 20;
	bool fits[VST_VIEW_COLUMNS] = { true }, old = any_is_old(shown, n);

	for (;;) {
		int best = -1;

		for (int i = 1; i < look->view->ncolumns; i++)
			if (!fits[i] && (best < 0 || priority_of(look, i, old) < priority_of(look, best, old)))
				best = i;
		if (best < 0 || 1 + width_of(&c[best], look->units) > left)
			break;
		fits[best] = true;
		left -= 1 + width_of(&c[best], look->units);
	}
	ret->n = 0;
	for (int i = 0; i < look->view->ncolumns; i++) {
		if (!fits[i])
			continue;
		ret->width[ret->n] = width_of(&c[i], look->units);
		ret->column[ret->n++] = i;
	}
	ret->width[0] = NAME_MIN + (left < 0 ? left : 0);
	if (width)
		widen(ret, look->view, left);
	for (int i = 0; !width && i < ret->n; i++)
		if (is_name(&c[ret->column[i]]))
			ret->width[i] = longest_text(look->view, ret->column[i], shown, n);
	if (ret->width[0] < 1)
		ret->width[0] = 1;
}

static bool has(const char *text, const char *part)
{
	return text && strcasestr(text, part);
}

/* Does the filter's text occur in a name that this column is about, or in the cgroup it stands for? */
static bool column_matches(const struct vst_look *look, const struct vst_column *c, const struct vst_line *line)
{
	bool found = has(string(c, line), look->filter);

	if (c->offset == offsetof(struct vst_line, container))
		found |= has(line->label, look->filter) || has(line->cgroup, look->filter);
	if (c->offset == offsetof(struct vst_line, holder))
		found |= has(line->holder_label, look->filter) || has(line->holder_cgroup, look->filter);
	return found;
}

static bool matches(const struct vst_look *look, const struct vst_line *line)
{
	bool any = !*look->filter;

	for (int i = 0; !any && i < look->view->ncolumns; i++)
		any = look->view->columns[i].type == VST_COLUMN_NAME &&
		      column_matches(look, &look->view->columns[i], line);
	return any;
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct vst_line *x = *(const struct vst_line *const *)a, *y = *(const struct vst_line *const *)b;
	const struct vst_look *look = arg;
	const struct vst_column *c = &look->view->columns[look->sort];
	int d;

	if (is_text(c))
		d = strcmp(string(c, x), string(c, y));
	else
		d = number(c, x) < number(c, y) ? 1 : number(c, x) > number(c, y) ? -1 : 0;
	if (d)
		return look->reverse ? -d : d;
	/* lines that are equal keep their order in every frame */
	for (int i = 0; !d && i < look->view->ncolumns; i++)
		if (is_name(&look->view->columns[i]))
			d = strcmp(string(&look->view->columns[i], x), string(&look->view->columns[i], y));
	return d;
}

/* Nothing completed, waited or is under way: what was merged or given back is in columns that are seldom shown. */
static bool is_quiet(const struct vst_line *line)
{
	bool moved = false;

	for (int i = 0; i < VST_OP__N; i++)
		moved |= line->ops[i] > 0 || line->op_bytes[i] > 0;
	return !moved && line->ios <= 0 && line->bytes <= 0 && line->wait <= 0 && line->waits <= 0 && line->open <= 0 &&
	       !(line->holder && *line->holder);
}

const struct vst_line **vst_view_lines(const struct vst_look *look, const struct vst_frame *f, size_t *n)
{
	const struct vst_line **out = vst_alloc((f->nlines + 1) * sizeof(*out)), **groups;
	size_t ngroups = 0;

	groups = vst_alloc((f->nlines + 1) * sizeof(*groups));
	for (size_t i = 0; i < f->nlines; i += 1 + f->lines[i].children)
		if (matches(look, &f->lines[i]))
			groups[ngroups++] = &f->lines[i];
	qsort_r(groups, ngroups, sizeof(*groups), compare, (void *)look);
	*n = 0;
	for (size_t i = 0; i < ngroups; i++)
		for (size_t k = 0; k <= (look->kinds ? groups[i]->children : 0); k++)
			if (look->quiet || !is_quiet(groups[i] + k))
				out[(*n)++] = groups[i] + k;
	free(groups);
	return out;
}

char *vst_view_title(const struct vst_look *look, const struct vst_layout *layout, int i)
{
	const struct vst_column *c = &look->view->columns[layout->column[i]];
	char text[VST_CELL];
	size_t len = strlen(c->title);

	if (c->type == VST_COLUMN_BYTES && look->units == VST_UNITS_KIB)
		snprintf(text, sizeof(text), "%.*sKiB/s", (int)(len - strlen("B/s")), c->title);
	else
		snprintf(text, sizeof(text), "%s", c->title);
	return vst_fit(text, layout->width[i], !is_text(c));
}

char *vst_view_cell(const struct vst_look *look, const struct vst_layout *layout, int i, const struct vst_line *line)
{
	const struct vst_column *c = &look->view->columns[layout->column[i]];
	char buf[VST_CELL], *name, *cell;

	switch (c->type) {
	case VST_COLUMN_NAME:
	case VST_COLUMN_OTHER:
	case VST_COLUMN_TEXT:
		name = text_of(look->view, layout->column[i], line);
		cell = vst_fit(name, layout->width[i], false);
		free(name);
		return cell;
	case VST_COLUMN_COUNT:
		vst_format_count(buf, number(c, line), look->units);
		break;
	case VST_COLUMN_BYTES:
		vst_format_bytes(buf, number(c, line), look->units);
		break;
	case VST_COLUMN_US:
		vst_format_us(buf, number(c, line), look->units);
		break;
	case VST_COLUMN_PERCENT:
	case VST_COLUMN_NUMBER:
		if (number(c, line) < 0) /* of nothing */
			strcpy(buf, "-");
		else
			snprintf(buf, sizeof(buf), "%.0f", number(c, line));
		break;
	}
	return vst_fit(buf, layout->width[i], true);
}

/* Who a name in a column is: its cgroup, and whether the name is a word of vstor's own. */
static void who_json(json_t *o, const char *prefix, const struct vst_who *who)
{
	char field[64];

	if (!who->name || !*who->name || !who->cgroup)
		return;
	snprintf(field, sizeof(field), "%s_cgroup", prefix);
	json_object_set_new(o, field, json_string(who->cgroup)); /* "" too, as in the other commands */
	snprintf(field, sizeof(field), "%s_own", prefix);
	vst_who_json(o, field, who);
}

/* Whom the line is about: "cgroup" of a "container", but "waiter_cgroup" of a "waiter". */
static void about_json(json_t *o, const struct vst_view *view, const struct vst_line *line)
{
	const char *field = view->columns[0].json;
	const struct vst_who who = { line->container, line->cgroup };

	if (!strcmp(field, "container")) {
		json_object_set_new(o, "cgroup", json_string(line->cgroup));
		if (line->container && line->cgroup)
			vst_who_json(o, "own", &who);
		return;
	}
	who_json(o, field, &who);
}

static bool is_rate(const struct vst_column *c)
{
	size_t len = strlen(c->title);

	return c->offset == offsetof(struct vst_line, wait) || (len > 2 && !strcmp(c->title + len - 2, "/s"));
}

/* Times have fractions, what is counted has none. */
static json_t *amount_json(const struct vst_column *c, double amount)
{
	return c->type == VST_COLUMN_US ? vst_json_rounded(fmax(amount, 0)) : json_integer(llround(fmax(amount, 0)));
}

/* These two columns are one object for programs, as in the other commands. */
static bool is_under_way(const struct vst_column *c)
{
	return c->offset == offsetof(struct vst_line, open) || c->offset == offsetof(struct vst_line, oldest);
}

static void open_json(json_t *o, const struct vst_view *view, const struct vst_line *line)
{
	const struct vst_open open = { .n = line->open, .oldest_us = fmax(line->oldest, 0) };

	for (int i = 0; i < view->ncolumns; i++)
		if (view->columns[i].offset == offsetof(struct vst_line, open))
			vst_json_open(o, view->columns[i].json, view == &vst_view_io ? "ios" : "tasks", &open);
}

json_t *vst_view_json(const struct vst_look *look, const struct vst_frame *f, const struct vst_line *line)
{
	json_t *o = vst_json_sample(f->time, f->interval);

	json_object_set_new(o, "view", json_string(look->view->name));
	about_json(o, look->view, line);
	for (int i = 0; i < look->view->ncolumns; i++) {
		const struct vst_column *c = &look->view->columns[i];
		json_t *v;

		if (c->type == VST_COLUMN_PERCENT && number(c, line) < 0)
			continue;
		if (is_under_way(c) || (c->offset == offsetof(struct vst_line, object) && !*string(c, line)))
			continue;
		if (is_text(c))
			v = json_string(string(c, line));
		else if (c->type == VST_COLUMN_NUMBER)
			v = json_integer((json_int_t)number(c, line));
		else if (c->type == VST_COLUMN_PERCENT)
			v = vst_json_rounded(number(c, line) / 100);
		else if (is_rate(c)) /* programs get what happened in the interval, as in the other commands */
			v = amount_json(c, number(c, line) * f->interval);
		else
			v = vst_json_rounded(fmax(number(c, line), 0));
		json_object_set_new(o, c->json, v);
		if (c->offset == offsetof(struct vst_line, holder))
			who_json(o, c->json, &(struct vst_who){ line->holder, line->holder_cgroup });
	}
	open_json(o, look->view, line);
	if (line->kind) {
		json_object_set_new(o, "kind", json_string(line->kind));
		json_object_set_new(o, "size", json_string(line->size));
	}
	return o;
}

static void header_look(FILE *out, const struct vst_look *look, const struct vst_frame *f, double delay)
{
	time_t at = (time_t)f->time;
	char clock[16] = "--:--:--", *filter;
	struct tm tm;

	if (f->time > 0 && localtime_r(&at, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	fprintf(out, "vstor %s ", clock);
	for (int i = 0; i < VST_VIEW__N; i++)
		fprintf(out, vst_views[i] == look->view ? " [%s]" : " %s", vst_views[i]->name);
	fprintf(out, "  %gs  sort %s%s", delay, look->view->columns[look->sort].title,
		look->reverse ? " reversed" : "");
	if (look->units != VST_UNITS_HUMAN)
		fprintf(out, "  units %s", vst_units_name(look->units));
	if (*look->filter) {
		filter = vst_escape(look->filter);
		fprintf(out, "  filter '%s'", filter);
		free(filter);
	}
}

static void header_agent(FILE *out, const struct vst_frame *f)
{
	char cpu[VST_CELL] = "-", rss[VST_CELL] = "-", tick[VST_CELL], lost[VST_CELL];

	if (f->cpu_percent > 0)
		snprintf(cpu, sizeof(cpu), "%.2f%%", f->cpu_percent);
	if (f->rss_bytes > 0) {
		vst_format_bytes(rss, f->rss_bytes, VST_UNITS_HUMAN);
		strcat(rss, "B");
	}
	vst_format_us(tick, f->tick_us > 0 ? f->tick_us : VST_NO_TIME, VST_UNITS_HUMAN);
	vst_format_count(lost, f->lost, VST_UNITS_HUMAN);
	if (f->given_up) { /* first, so that it is seen on every screen */
		char *parts = vst_escape(f->given_up);

		fprintf(out, "not watched: %s  ", parts);
		free(parts);
	}
	fprintf(out, "agent %s CPU  %s  tick %s  lost %s", cpu, rss, tick, lost);
	if (f->lost_now > 0) {
		char *cause = vst_escape(f->lost_cause);

		vst_format_count(lost, f->lost_now, VST_UNITS_HUMAN);
		fprintf(out, " (+%s %s)", lost, cause);
		free(cause);
	}
	if (f->event_ns > 0)
		fprintf(out, "  %.0f ns/IO", f->event_ns);
	fprintf(out, "  containers %.0f", f->containers);
}

char *vst_view_header(const struct vst_look *look, const struct vst_frame *f, double delay, unsigned int i)
{
	struct vst_text t;

	if (i >= 2 + f->ntotals)
		return NULL;
	vst_text_open(&t);
	if (i == 0)
		header_look(t.out, look, f, delay);
	else if (i == 1)
		header_agent(t.out, f);
	else
		look->view->total(t.out, look, &f->totals[i - 2]);
	return vst_text_close(&t);
}

const char *vst_view_nothing(const struct vst_look *look, const struct vst_frame *f)
{
	if (look->view->locks && f->unwatched)
		return "locks are not watched now: 'vstorctl status' says why";
	return *look->filter ? "no line has a name with this text in it" : look->view->nothing;
}
