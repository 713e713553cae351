/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The report as HTML: one file with its style in it, charts as SVG, no script, and nothing that is fetched. What is not ASCII, and what HTML
 * gives a meaning, is escaped.
 */
#include <math.h>
#include <time.h>
#include "format.h"
#include "report.h"
#include "waits.h"

#define SHOWN 7 /* series of a chart; style has as many colours */
#define PAIRS 15
#define CONTAINERS 30

#define WIDTH 860
#define HEIGHT 220
#define LEFT 64 /* for the labels of the axis */
#define BOTTOM 22
#define TOP 8

static const char style[] =
	":root{color-scheme:light dark;--bg:#fff;--fg:#1c1f23;--dim:#68707a;--line:#d9dde2;--s0:#1f6feb;--s1:#d1532b;"
	"--s2:#1a8a4c;--s3:#8a4fd0;--s4:#b7850b;--s5:#0f8a9d;--s6:#8b949e}\n"
	"@media(prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e4e7eb;--dim:#98a1ab;--line:#333a42;--s0:#6ea8fe;"
	"--s1:#ff8f66;--s2:#57c98a;--s3:#bf94ff;--s4:#e5bd4b;--s5:#4fc7d9;--s6:#8b949e}}\n"
	"body{background:var(--bg);color:var(--fg);font:15px/1.45 system-ui,sans-serif;max-width:900px;margin:2em auto;"
	"padding:0 1em}\n"
	"h1{font-size:1.5em;margin-bottom:.2em}h2{font-size:1.1em;margin:1.8em 0 .3em}.dim{color:var(--dim)}\n"
	"svg{width:100%;height:auto;display:block}svg text{font:11px system-ui,sans-serif;fill:var(--dim)}\n"
	".grid{stroke:var(--line);stroke-width:1}.plot{fill:none;stroke-width:1.6;stroke-linejoin:round}\n"
	".legend{display:flex;flex-wrap:wrap;gap:.2em 1.2em;font-size:.86em}.legend i{display:inline-block;width:.8em;"
	"height:.8em;border-radius:2px;margin-right:.4em}\n"
	".c0{stroke:var(--s0)}.c1{stroke:var(--s1)}.c2{stroke:var(--s2)}.c3{stroke:var(--s3)}.c4{stroke:var(--s4)}"
	".c5{stroke:var(--s5)}.c6{stroke:var(--s6)}\n"
	".b0{background:var(--s0)}.b1{background:var(--s1)}.b2{background:var(--s2)}.b3{background:var(--s3)}"
	".b4{background:var(--s4)}.b5{background:var(--s5)}.b6{background:var(--s6)}\n"
	"table{border-collapse:collapse;width:100%;font-size:.9em}td,th{text-align:left;padding:.25em .6em .25em 0;"
	"border-bottom:1px solid "
	"var(--line);vertical-align:top}.w{overflow-wrap:anywhere}.n{text-align:right;white-space:nowrap}\n"
	".bar{fill:var(--s1)}\n";

static void put_text(FILE *out, const char *name)
{
	char *escaped = vst_escape(name);

	for (const unsigned char *p = (const unsigned char *)escaped; *p; p++) {
		if (*p == '<')
			fputs("&lt;", out);
		else if (*p == '>')
			fputs("&gt;", out);
		else if (*p == '&')
			fputs("&amp;", out);
		else if (*p == '"')
			fputs("&quot;", out);
		else
			fputc(*p, out);
	}
	free(escaped);
}

static void put_clock(FILE *out, double unix_time, const char *format)
{
	time_t at = (time_t)unix_time;
	char text[64];
	struct tm tm;

	if (localtime_r(&at, &tm) && strftime(text, sizeof(text), format, &tm))
		fputs(text, out);
}

/* --- charts --- */

/* How the values of a chart are written. */
typedef void format_value(char buf[VST_CELL], double v);

static void format_bytes(char buf[VST_CELL], double v)
{
	vst_format_bytes(buf, v, VST_UNITS_HUMAN);
}

static void format_count(char buf[VST_CELL], double v)
{
	vst_format_count(buf, v, VST_UNITS_HUMAN);
}

static void format_us(char buf[VST_CELL], double v)
{
	vst_format_us(buf, v, VST_UNITS_HUMAN);
}

struct chart {
	const char *title, *text;
	struct vst_series_set *set;
	format_value *format;
	bool has_rest; /* what is not shown can be added up */
};

/* The next larger of 1, 2, 5, 10, ..., of units of 1024 if there are any: the end of an axis. */
static double round_up(double v, bool by_1024)
{
	double unit = 1, power;

	while (by_1024 && v >= 1024) {
		v /= 1024;
		unit *= 1024;
	}
	power = v > 0 ? pow(10, floor(log10(v))) : 1;
	for (int i = 0; i < 3; i++) {
		static const double steps[] = { 1, 2, 5 };

		if (v <= steps[i] * power)
			return steps[i] * power * unit;
	}
	return 10 * power * unit;
}

/* What is not among the first series of a sorted set, as another one; false: there is no such. */
static bool add_rest(const struct vst_series_set *set, struct vst_series *ret)
{
	if (set->n <= SHOWN)
		return false;
	*ret = (struct vst_series){ .v = vst_alloc(set->points * sizeof(double)) };
	for (size_t i = SHOWN - 1; i < set->n; i++) {
		ret->sum += set->list[i].sum;
		for (size_t p = 0; p < set->points; p++)
			ret->v[p] += set->list[i].v[p];
	}
	return true;
}

static void put_axes(FILE *out, const struct vst_report *r, double top, format_value *format)
{
	char label[VST_CELL];

	for (int i = 0; i <= 4; i++) {
		double y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - i / 4.0);

		format(label, top * i / 4);
		fprintf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, WIDTH, y, y);
		fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 6, y + 4, label);
	}
	for (int i = 0; i <= 4; i++) {
		fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">", LEFT + (WIDTH - LEFT) * i / 4.0,
			HEIGHT - 5,
			i == 0	 ? "start"
			: i == 4 ? "end"
				 : "middle");
		put_clock(out, r->from + r->step * (double)r->points * i / 4, "%H:%M:%S");
		fputs("</text>\n", out);
	}
}

static void put_plot(FILE *out, const struct vst_series *s, size_t points, double top, int color, const char *name)
{
	fprintf(out, "<polyline class=\"plot c%d\" points=\"", color);
	for (size_t p = 0; p < points; p++)
		fprintf(out, "%.1f,%.1f ", LEFT + (WIDTH - LEFT) * ((double)p + 0.5) / (double)points,
			TOP + (HEIGHT - TOP - BOTTOM) * (1 - s->v[p] / top));
	fputs("\"><title>", out);
	put_text(out, name);
	fputs("</title></polyline>\n", out);
}

static void put_legend(FILE *out, const struct vst_series *s, size_t points, int color, const char *name,
		       format_value *format)
{
	char mean[VST_CELL], most[VST_CELL];
	double max = 0;

	for (size_t p = 0; p < points; p++)
		max = fmax(max, s->v[p]);
	format(mean, s->sum / (double)points);
	format(most, max);
	fprintf(out, "<span><i class=\"b%d\"></i>", color);
	put_text(out, name);
	fprintf(out, " <span class=\"dim\">mean %s, max %s</span></span>\n", mean, most);
}

static double max_of(const struct vst_series *s, size_t points, double most)
{
	for (size_t p = 0; p < points; p++)
		most = fmax(most, s->v[p]);
	return most;
}

static void put_chart(FILE *out, const struct vst_report *r, const struct chart *c)
{
	struct vst_series rest = { 0 };
	bool has_rest;
	double top = 0;
	size_t shown;

	vst_series_sort(c->set);
	has_rest = c->has_rest && add_rest(c->set, &rest);
	shown = has_rest ? SHOWN - 1 : c->set->n < SHOWN ? c->set->n : SHOWN;
	fprintf(out, "<h2>%s</h2>\n<p class=\"dim\">%s</p>\n", c->title, c->text);
	if (!shown) {
		fputs("<p>Nothing.</p>\n", out);
		return;
	}
	for (size_t i = 0; i < shown; i++)
		top = max_of(&c->set->list[i], r->points, top);
	if (has_rest)
		top = max_of(&rest, r->points, top);
	top = round_up(top > 0 ? top : 1, c->format == format_bytes);
	fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", WIDTH, HEIGHT, c->title);
	put_axes(out, r, top, c->format);
	for (size_t i = shown; i--;)
		put_plot(out, &c->set->list[i], r->points, top, (int)i, c->set->list[i].name);
	if (has_rest)
		put_plot(out, &rest, r->points, top, SHOWN - 1, "all others");
	fputs("</svg>\n<div class=\"legend\">\n", out);
	for (size_t i = 0; i < shown; i++)
		put_legend(out, &c->set->list[i], r->points, (int)i, c->set->list[i].name, c->format);
	if (has_rest)
		put_legend(out, &rest, r->points, SHOWN - 1, "all others", c->format);
	fputs("</div>\n", out);
	free(rest.v);
}

/* --- who waited for whom --- */

static int by_us(const void *a, const void *b)
{
	const struct vst_report_pair *x = a, *y = b;

	return x->us < y->us ? 1 : x->us > y->us ? -1 : strcmp(x->waiter, y->waiter);
}

static void put_bar(FILE *out, double share)
{
	fprintf(out,
		"<td><svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" style=\"height:.9em\">"
		"<rect class=\"bar\" width=\"%.1f\" height=\"10\"/></svg></td>",
		share * 100);
}

static void put_pairs(FILE *out, struct vst_report *r)
{
	char time[VST_CELL];
	double sum = 0;

	fputs("<h2>Who waited for whom</h2>\n<p class=\"dim\">Waiting of all tasks together, in the whole time. "
	      "Evidence: "
	      "owner is certain; last and share are estimates (docs/blame.md).</p>\n",
	      out);
	if (!r->n_pairs) {
		fputs("<p>Nobody waited for anybody.</p>\n", out);
		return;
	}
	qsort(r->pair, r->n_pairs, sizeof(*r->pair), by_us);
	for (size_t i = 0; i < r->n_pairs; i++)
		sum += r->pair[i].us;
	fputs("<table class=\"pairs\"><tr><th>Waiter<th>because of<th>at<th>evidence<th class=\"n\">time<th "
	      "style=\"width:20%\"></tr>\n",
	      out);
	for (size_t i = 0; i < r->n_pairs && i < PAIRS; i++) {
		const char *texts[] = { r->pair[i].waiter, r->pair[i].holder, r->pair[i].resource,
					r->pair[i].evidence };

		fputs("<tr>", out);
		for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
			fputs(k < 2 ? "<td class=\"w\">" : "<td>", out);
			put_text(out, texts[k]);
			fputs("</td>", out);
		}
		vst_format_us(time, r->pair[i].us, VST_UNITS_HUMAN);
		fprintf(out, "<td class=\"n\">%s</td>", time);
		put_bar(out, vst_delta_rate(r->pair[i].us, sum));
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
	if (r->n_pairs > PAIRS)
		fprintf(out, "<p class=\"dim\">And %zu shorter.</p>\n", r->n_pairs - PAIRS);
}

/* --- containers --- */

static double sum_of(const struct vst_series_set *set, const char *key)
{
	for (size_t i = 0; i < set->n; i++)
		if (!strcmp(set->list[i].key, key))
			return set->list[i].sum;
	return 0;
}

static void put_containers(FILE *out, const struct vst_report *r)
{
	char ios[VST_CELL], bytes[VST_CELL], wait[VST_CELL];

	fputs("<h2>Containers</h2>\n<table class=\"containers\"><tr><th>Container<th>cgroup<th class=\"n\">I/Os<th "
	      "class=\"n\">bytes<th class=\"n\">waited</tr>\n",
	      out);
	for (size_t i = 0; i < r->bytes.n && i < CONTAINERS; i++) {
		const struct vst_series *s = &r->bytes.list[i];

		vst_format_count(ios, sum_of(&r->ios, s->key) * r->step, VST_UNITS_HUMAN);
		vst_format_bytes(bytes, s->sum * r->step, VST_UNITS_HUMAN);
		vst_format_us(wait, sum_of(&r->waits, s->key) * r->step, VST_UNITS_HUMAN);
		fputs("<tr><td class=\"w\">", out);
		put_text(out, s->name);
		fputs("</td><td class=\"dim w\">", out);
		put_text(out, *s->key == '/' ? s->key : "");
		fprintf(out, "</td><td class=\"n\">%s</td><td class=\"n\">%sB</td><td class=\"n\">%s</td></tr>\n", ios,
			bytes, wait);
	}
	fputs("</table>\n", out);
	if (r->bytes.n > CONTAINERS)
		fprintf(out, "<p class=\"dim\">And %zu with less.</p>\n", r->bytes.n - CONTAINERS);
}

static void put_head(FILE *out, const struct vst_report *r)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" "
	      "content=\"width=device-width\">\n<title>vstor: ",
	      out);
	put_text(out, r->about->host);
	fprintf(out, "</title>\n<style>\n%s</style></head><body>\n<h1>Block I/O of ", style);
	put_text(out, r->about->host);
	fputs("</h1>\n<p>", out);
	put_clock(out, r->from, "%Y-%m-%d %H:%M:%S");
	fputs(" to ", out);
	put_clock(out, r->from + r->step * (double)r->points, "%H:%M:%S %z");
	fprintf(out, ", a point every %.3g s.", r->step);
	if (r->missing)
		fprintf(out, " Nothing was recorded for %.3g s of it.", (double)r->missing * r->step);
	fputs("</p>\n<p class=\"dim\">kernel ", out);
	put_text(out, r->about->kernel);
	fputs(", vstord ", out);
	put_text(out, r->about->version);
	fputs("</p>\n", out);
}

void vst_report_write(FILE *out, struct vst_report *r)
{
	const struct chart charts[] = {
		{ "Bytes a second", "Of each container, on the disks.", &r->bytes, format_bytes, true },
		{ "I/Os a second", "Of each container, on the disks.", &r->ios, format_count, true },
		{ "Latency, 99th percentile", "Of each disk, from the submission of a request to its completion.",
		  &r->p99, format_us, false },
		{ "Latency, median", "Of each disk.", &r->p50, format_us, false },
		{ "Waiting in a second",
		  "Of each container, all of its tasks together: locks, journals, disks, dirty pages.", &r->waits,
		  format_us, true },
		{ "fsync, 99th percentile", "Of each container whose fsync was measured.", &r->fsync, format_us,
		  false },
	};

	put_head(out, r);
	for (size_t i = 0; i < sizeof(charts) / sizeof(charts[0]); i++)
		if (i + 1 < sizeof(charts) / sizeof(charts[0]) || r->fsync.n)
			put_chart(out, r, &charts[i]);
	put_pairs(out, r);
	put_containers(out, r);
	fputs("</body></html>\n", out);
}
