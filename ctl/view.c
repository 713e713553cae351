/* SPDX-License-Identifier: GPL-2.0-only */
#include <math.h>
#include <stddef.h>
#include <time.h>
#include "view.h"

#define NAME_MIN 20 /* of the first column */

#define AT(field) offsetof(struct vst_line, field)
#define READ ops[VST_OP_READ]
#define WRITE ops[VST_OP_WRITE]

static const struct vst_column io_columns[] = {
	{ "CONTAINER", "container", VST_COLUMN_TEXT, AT(container), 0, 0,
	  "who did it: namespace/pod/container, or a unit" },
	{ "DEV", "device", VST_COLUMN_TEXT, AT(device), 8, 1, "the disk" },
	{ "LAYER", "layer", VST_COLUMN_TEXT, AT(layer), 7, 20, "leaf: a disk; stacked: on others. Never add them up" },
	{ "R/s", "reads", VST_COLUMN_COUNT, AT(READ), 5, 4, "reads a second" },
	{ "W/s", "writes", VST_COLUMN_COUNT, AT(WRITE), 5, 4, "writes a second" },
	{ "RB/s", "read_bytes", VST_COLUMN_BYTES, AT(op_bytes[VST_OP_READ]), 5, 2, "bytes read a second" },
	{ "WB/s", "write_bytes", VST_COLUMN_BYTES, AT(op_bytes[VST_OP_WRITE]), 5, 2, "bytes written a second" },
	{ "B/s", "bytes", VST_COLUMN_BYTES, AT(bytes), 5, 12, "bytes read and written a second" },
	{ "IO/s", "ios", VST_COLUMN_COUNT, AT(ios), 5, 13, "all I/Os a second" },
	{ "META%", "metadata_percent", VST_COLUMN_PERCENT, AT(meta_percent), 5, 5,
	  "bytes that are metadata or journal" },
	{ "CLASS", "class", VST_COLUMN_NUMBER, AT(class), 5, 11,
	  "worth to a cache, 5 most, 0 least: that of most bytes" },
	{ "P50", "p50_us", VST_COLUMN_US, AT(p50), 6, 10, "half of its I/Os were faster" },
	{ "P99", "p99_us", VST_COLUMN_US, AT(p99), 6, 3, "1 in 100 of its I/Os was slower" },
	{ "MAX", "max_us", VST_COLUMN_US, AT(max), 6, 14, "the slowest" },
	{ "QP99", "queue_p99_us", VST_COLUMN_US, AT(queue_p99), 6, 6,
	  "P99 of the wait in the queue, before the disk had it" },
	{ "DP99", "device_p99_us", VST_COLUMN_US, AT(device_p99), 6, 7, "P99 of the time in the disk" },
	{ "RP99", "read_p99_us", VST_COLUMN_US, AT(read_p99), 6, 15, "P99 of reads" },
	{ "WP99", "write_p99_us", VST_COLUMN_US, AT(write_p99), 6, 16, "P99 of writes" },
	{ "WIT", "witness", VST_COLUMN_TEXT, AT(witness), 5, 8, "how the owner is known: blkcg, memcg, task, none" },
	{ "ERR/s", "errors", VST_COLUMN_COUNT, AT(errors), 5, 9, "I/Os a second that failed" },
	{ "D/s", "discards", VST_COLUMN_COUNT, AT(ops[VST_OP_DISCARD]), 5, 22, "discards a second" },
	{ "F/s", "flushes", VST_COLUMN_COUNT, AT(ops[VST_OP_FLUSH]), 5, 17, "cache flushes a second" },
	{ "MRG/s", "merges", VST_COLUMN_COUNT, AT(merges), 5, 23, "I/Os a second that joined another" },
	{ "RQ/s", "requeues", VST_COLUMN_COUNT, AT(requeues), 5, 24, "I/Os a second that the driver gave back" },
#define X(e, n, limit, c)                                                                                              \
	{ n "%", n "_percent", VST_COLUMN_PERCENT, AT(size_percent[VST_SIZE_##e]), 6, 21, "bytes by size of file" },
	VST_SIZES(X)
#undef X
};

#define IO_COLUMNS (sizeof(io_columns) / sizeof(io_columns[0]))
_Static_assert(IO_COLUMNS <= VST_VIEW_COLUMNS, "room in struct vst_layout");

const struct vst_view vst_view_io = { "io", io_columns, IO_COLUMNS, 7 };

int vst_view_find(const struct vst_view *view, const char *title)
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
	return *(const char *const *)((const char *)line + c->offset);
}

static int width_of(const struct vst_column *c, enum vst_units units)
{
	if (units == VST_UNITS_HUMAN || c->type == VST_COLUMN_TEXT || c->type == VST_COLUMN_NUMBER ||
	    c->type == VST_COLUMN_PERCENT)
		return c->width;
	if (c->type == VST_COLUMN_BYTES)
		return units == VST_UNITS_RAW ? 11 : 10;
	return c->type == VST_COLUMN_US ? 9 : 7;
}

/*
 * What there is where nothing was read or written, NULL if something was: a time without a rate beside it asks for a
 * word, and the columns of flushes and discards are seen on wide terminals only.
 */
static const char *only_of(const double *ops, const double *bytes)
{
	bool flush = ops[VST_OP_FLUSH] > 0, discard = ops[VST_OP_DISCARD] > 0;

	if (ops[VST_OP_READ] > 0 || ops[VST_OP_WRITE] > 0 || bytes[VST_OP_READ] > 0 || bytes[VST_OP_WRITE] > 0)
		return NULL;
	return flush && discard ? "flush, discard" : flush ? "flush" : discard ? "discard" : NULL;
}

/* The text of the first column: its lines of kinds are indented. */
static char *name_of(const struct vst_line *line)
{
	const char *only = only_of(line->ops, line->op_bytes), *name = line->kind ? line->kind : line->container;
	const char *size = line->kind && strcmp(line->size, vst_size_name(VST_SIZE_NONE)) ? line->size : "";
	char *text, *out = vst_alloc(strlen(name) + strlen(size) + 32);

	if (line->kind && only)
		sprintf(out, "  %s", only);
	else if (line->kind)
		sprintf(out, "  %s %s", name, size);
	else
		sprintf(out, only ? "%s (%s)" : "%s", *name ? name : "-", only);
	text = vst_escape(out);
	free(out);
	return text;
}

static int longest_name(const struct vst_line **shown, size_t n)
{
	int longest = NAME_MIN;

	for (size_t i = 0; i < n; i++) {
		char *name = name_of(shown[i]);
		int width = vst_width(name);

		longest = width > longest ? width : longest;
		free(name);
	}
	return longest;
}

static int priority_of(const struct vst_look *look, int i)
{
	/* what the user chose to sort by must be seen */
	return i == look->sort && i != look->view->sort ? 0 : look->view->columns[i].priority;
}

void vst_view_layout(struct vst_layout *ret, const struct vst_look *look, int width, const struct vst_line **shown,
		     size_t n)
{
	const struct vst_column *c = look->view->columns;
	int left = width ? width - NAME_MIN : 1 << 20;
	bool fits[VST_VIEW_COLUMNS] = { true };

	for (;;) {
		int best = -1;

		for (int i = 1; i < look->view->ncolumns; i++)
			if (!fits[i] && (best < 0 || priority_of(look, i) < priority_of(look, best)))
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
	ret->width[0] = width ? NAME_MIN + left : longest_name(shown, n);
	if (ret->width[0] < 1)
		ret->width[0] = 1;
}

static bool matches(const struct vst_look *look, const struct vst_line *line)
{
	return !*look->filter || strcasestr(line->container, look->filter) || strcasestr(line->device, look->filter) ||
	       strcasestr(line->cgroup, look->filter);
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct vst_line *x = *(const struct vst_line *const *)a, *y = *(const struct vst_line *const *)b;
	const struct vst_look *look = arg;
	const struct vst_column *c = &look->view->columns[look->sort];
	int d;

	if (c->type == VST_COLUMN_TEXT)
		d = strcmp(string(c, x), string(c, y));
	else
		d = number(c, x) < number(c, y) ? 1 : number(c, x) > number(c, y) ? -1 : 0;
	if (d)
		return look->reverse ? -d : d;
	/* the same order in every frame, whatever is equal */
	d = strcmp(x->container, y->container);
	return d ? d : strcmp(x->device, y->device);
}

/* Merged or given back, nothing completed: a row of zeros, but where these counters are shown. */
static bool is_quiet(const struct vst_line *line)
{
	bool moved = false;

	for (int i = 0; i < VST_OP__N; i++)
		moved |= line->ops[i] > 0 || line->op_bytes[i] > 0;
	return !moved && line->ios <= 0 && line->bytes <= 0;
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
	return vst_fit(text, layout->width[i], c->type != VST_COLUMN_TEXT);
}

char *vst_view_cell(const struct vst_look *look, const struct vst_layout *layout, int i, const struct vst_line *line)
{
	const struct vst_column *c = &look->view->columns[layout->column[i]];
	char buf[VST_CELL], *name, *cell;

	switch (c->type) {
	case VST_COLUMN_TEXT:
		/* a kind's line does not repeat what is above it */
		if (line->kind && i && string(c, line) != line->witness)
			name = vst_dup("");
		else
			name = i ? vst_escape(string(c, line)) : name_of(line);
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
		snprintf(buf, sizeof(buf), "%.0f", number(c, line));
		break;
	}
	return vst_fit(buf, layout->width[i], true);
}

json_t *vst_view_json(const struct vst_look *look, const struct vst_frame *f, const struct vst_line *line)
{
	json_t *o = json_object();

	json_object_set_new(o, "schema", json_integer(1));
	json_object_set_new(o, "time", json_real(f->time));
	json_object_set_new(o, "interval", json_real(round(f->interval * 1e6) / 1e6));
	json_object_set_new(o, "cgroup", json_string(line->cgroup));
	for (int i = 0; i < look->view->ncolumns; i++) {
		const struct vst_column *c = &look->view->columns[i];
		json_t *v;

		if (c->type == VST_COLUMN_TEXT)
			v = json_string(string(c, line));
		else if (c->type == VST_COLUMN_NUMBER)
			v = json_integer((json_int_t)number(c, line));
		else
			v = json_real(round(fmax(number(c, line), 0) * 1e3) / 1e3);
		json_object_set_new(o, c->json, v);
	}
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
	fprintf(out, "vstor %s  every %g s  sort %s%s  units %s", clock, delay, look->view->columns[look->sort].title,
		look->reverse ? " reversed" : "", vst_units_name(look->units));
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

static void header_device(FILE *out, const struct vst_look *look, const struct vst_total *t)
{
	char r[VST_CELL], w[VST_CELL], rb[VST_CELL], wb[VST_CELL], p99[VST_CELL], *escaped, *device;
	const char *only = only_of(t->ops, t->op_bytes);
	const char *unit = look->units == VST_UNITS_KIB ? " KiB" : look->units == VST_UNITS_RAW ? " B" : "B";

	vst_format_count(r, t->READ, look->units);
	vst_format_count(w, t->WRITE, look->units);
	vst_format_bytes(rb, t->op_bytes[VST_OP_READ], look->units);
	vst_format_bytes(wb, t->op_bytes[VST_OP_WRITE], look->units);
	vst_format_us(p99, t->p99, look->units);
	escaped = vst_escape(t->device);
	device = vst_fit(escaped, 10, false);
	fprintf(out, "%s read %5s/s %6s%s/s  write %5s/s %6s%s/s  p99 %s", device, r, rb, unit, w, wb, unit, p99);
	if (only)
		fprintf(out, " (%s)", only);
	free(escaped);
	free(device);
}

char *vst_view_header(const struct vst_look *look, const struct vst_frame *f, double delay, unsigned int i)
{
	char *text = NULL;
	size_t size;
	FILE *out;

	if (i >= 2 + f->ntotals)
		return NULL;
	out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	if (i == 0)
		header_look(out, look, f, delay);
	else if (i == 1)
		header_agent(out, f);
	else
		header_device(out, look, &f->totals[i - 2]);
	fclose(out);
	return text;
}
