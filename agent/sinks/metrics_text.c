// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/sinks/metrics_text.h"
#include "lib/utf8.h"

/* --- labels --- */

/* One character of a label's value, escaped; returns the length of what it was read from. */
static size_t escaped(const char *s, size_t left, char text[8])
{
	size_t n = vst_utf8_len(s, left);

	if (n == 1 && (unsigned char)*s >= 0x20 && *s != '\\' && *s != '"' && *s != 0x7f) { /* nearly all */
		text[0] = *s;
		text[1] = 0;
		return 1;
	}
	if (!n) {
		strcpy(text, VST_UTF8_REPLACEMENT);
		return 1;
	}
	if (*s == '\\' || *s == '"')
		snprintf(text, 8, "\\%c", *s);
	else if (n == 1) /* what a terminal would obey is shown as \x1b */
		snprintf(text, 8, "\\\\x%02x", (unsigned char)*s);
	else
		snprintf(text, 8, "%.*s", (int)n, s);
	return n;
}

void vst_label_put(struct vst_out *o, const char *key, const char *value)
{
	const char *s = value ? value : "";
	const char *end = s + strnlen(s, VST_LABEL_MAX + 4);
	char text[8];

	if (o->len)
		vst_out_raw(o, ",");
	vst_out_raw(o, key);
	vst_out_raw(o, "=\"");
	for (size_t used = 0; s < end;) {
		size_t n = escaped(s, (size_t)(end - s), text);

		used += n;
		if (used > VST_LABEL_MAX)
			break;
		vst_out_raw(o, text);
		s += n;
	}
	vst_out_raw(o, "\"");
}

/* --- families --- */

static const char *const units[] = { "seconds", "bytes", "ratio" };

/* The unit that a name ends with; NULL: none. */
static const char *unit_of(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t n = strlen(units[i]);

		if (len > n && name[len - n - 1] == '_' && !strcmp(name + len - n, units[i]))
			return units[i];
	}
	return NULL;
}

static const char *suffix_of(enum vst_metric_type type)
{
	return type == VST_METRIC_COUNTER ? "_total" : type == VST_METRIC_INFO ? "_info" : "";
}

static const char *type_name(const struct vst_metrics_out *o)
{
	switch (o->family.type) {
	case VST_METRIC_COUNTER:
		return "counter";
	case VST_METRIC_HISTOGRAM:
		return "histogram";
	case VST_METRIC_INFO:
		return o->openmetrics ? "info" : "gauge"; /* text 0.0.4 knows no info */
	default:
		return "gauge";
	}
}

/* "# WORD NAME ". OpenMetrics names a family without the suffix of its samples. */
static void head_line(struct vst_metrics_out *o, const char *word)
{
	vst_out_raw(&o->out, "# ");
	vst_out_raw(&o->out, word);
	vst_out_raw(&o->out, " ");
	vst_out_raw(&o->out, o->family.name);
	if (!o->openmetrics)
		vst_out_raw(&o->out, suffix_of(o->family.type));
	vst_out_raw(&o->out, " ");
}

static void head(struct vst_metrics_out *o)
{
	const char *unit = unit_of(o->family.name);

	head_line(o, "HELP");
	for (const char *s = o->family.help; *s; s++) {
		const char c[2] = { *s, 0 };

		vst_out_raw(&o->out, *s == '\\'			   ? "\\\\"
				     : *s == '\n'		   ? "\\n"
				     : *s == '"' && o->openmetrics ? "\\\""
								   : c);
	}
	vst_out_raw(&o->out, "\n");
	head_line(o, "TYPE");
	vst_out_raw(&o->out, type_name(o));
	vst_out_raw(&o->out, "\n");
	if (unit && o->openmetrics && o->family.type != VST_METRIC_INFO) {
		head_line(o, "UNIT");
		vst_out_raw(&o->out, unit);
		vst_out_raw(&o->out, "\n");
	}
}

void vst_metrics_family(struct vst_metrics_out *o, const struct vst_family *family)
{
	o->family = *family;
	o->head_due = true;
}

bool vst_metrics_room(struct vst_metrics_out *o, unsigned int n)
{
	if (o->series + n <= o->max && o->out.len < o->bytes_max) {
		o->series += n;
		return true;
	}
	o->dropped += n;
	return false;
}

/* --- samples --- */

static void begin(struct vst_metrics_out *o, const char *suffix, const char *labels, const char *more)
{
	if (o->head_due)
		head(o);
	o->head_due = false;
	vst_out_raw(&o->out, o->family.name);
	vst_out_raw(&o->out, *suffix ? suffix : suffix_of(o->family.type));
	if (*labels || *more) {
		vst_out_raw(&o->out, "{");
		vst_out_raw(&o->out, labels);
		vst_out_raw(&o->out, *labels && *more ? "," : "");
		vst_out_raw(&o->out, more);
		vst_out_raw(&o->out, "}");
	}
	vst_out_raw(&o->out, " ");
}

void vst_metrics_u64(struct vst_metrics_out *o, const char *suffix, const char *labels, const char *more, __u64 v)
{
	begin(o, suffix, labels, more);
	vst_out_u64(&o->out, v);
	vst_out_raw(&o->out, "\n");
}

void vst_metrics_ns(struct vst_metrics_out *o, const char *suffix, const char *labels, const char *more, __u64 ns)
{
	char fraction[16];
	size_t n;

	begin(o, suffix, labels, more);
	vst_out_u64(&o->out, ns / 1000000000);
	n = (size_t)snprintf(fraction, sizeof(fraction), ".%09u", (unsigned int)(ns % 1000000000));
	while (fraction[n - 1] == '0')
		n--;
	fraction[n - (fraction[n - 1] == '.')] = 0;
	vst_out_raw(&o->out, fraction);
	vst_out_raw(&o->out, "\n");
}

void vst_metrics_real(struct vst_metrics_out *o, const char *suffix, const char *labels, const char *more, double v)
{
	char text[32];

	begin(o, suffix, labels, more);
	snprintf(text, sizeof(text), "%.10g", isfinite(v) ? v : 0);
	vst_out_raw(&o->out, text);
	vst_out_raw(&o->out, "\n");
}
