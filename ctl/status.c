/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl status: the agent, its probes, its own cost. */
#include <errno.h>
#include "client.h"
#include "cost.h"
#include "format.h"
#include "table.h"

static const struct vst_table_column columns[] = {
	{ "PROBE", 0, 0 },
	{ "TRACEPOINT", 0, 0 },
	{ "STATE", 0, 0 },
	{ "RUNS", VST_COL_RIGHT, 0 },
	{ "NS/RUN", VST_COL_RIGHT, 0 },
	{ "MISSED", VST_COL_RIGHT | VST_COL_SPARSE, 0 },
};

static char *text(const json_t *obj, const char *field)
{
	const char *s = json_string_value(json_object_get(obj, field));

	return vst_escape(s ? s : "?");
}

static double number(const json_t *obj, const char *field)
{
	return json_number_value(json_object_get(obj, field));
}

static void print_agent(const json_t *line, const char *socket)
{
	char *version = text(line, "version"), *mode = text(line, "mode"), *kernel = text(line, "kernel");
	char up[VST_CELL];

	vst_format_age(up, number(line, "uptime"));
	printf("vstord %s, pid %.0f, on %s\n", version, number(line, "pid"), socket);
	printf("  mode      %s, a tick every %g s, up %s, kernel %s\n", mode, number(line, "interval"), up, kernel);
	free(version);
	free(mode);
	free(kernel);
}

/* A policy that is not in force, or an actor that cannot act, is told wherever people look. */
static void print_policy(const json_t *policy)
{
	static const char *const fields[] = { "error", "actor_error" };
	char *file, *why;

	if (!json_is_object(policy))
		return;
	file = text(policy, "file");
	if (*file)
		printf("  policy    %s%s\n", file,
		       json_is_true(json_object_get(policy, "act")) ? "" : ", only planned");
	free(file);
	for (size_t i = 0; i < 2; i++) {
		why = text(policy, fields[i]);
		why[strcspn(why, "\\")] = '\0'; /* the first line: an escaped newline ends it */
		if (*why)
			printf("  %s    %s\n", i ? "actor " : "BAD   ", why);
		free(why);
	}
}

static void print_recording(const json_t *r)
{
	char bytes[VST_CELL], size[VST_CELL], *dir, *error;

	if (!json_is_object(r))
		return;
	dir = text(r, "dir");
	error = text(r, "error");
	vst_format_bytes(bytes, number(r, "bytes"), VST_UNITS_HUMAN);
	vst_format_bytes(size, number(r, "size"), VST_UNITS_HUMAN);
	printf("  records   to %s, %sB of %sB", dir, bytes, size);
	if (number(r, "skipped") > 0)
		printf(", %.0f snapshots skipped because the disk is slow", number(r, "skipped"));
	printf("%s%s\n", *error ? "; NOTHING NOW: " : "", error);
	free(dir);
	free(error);
}

#define INDENT 12 /* columns, of what continues a line */

/* A line of status, over as many lines as the terminal needs. */
static void print_wrapped(const char *label, const char *text)
{
	int width = vst_terminal_width();
	size_t n;

	for (; *text; label = "") {
		n = width ? vst_wrap(text, width - INDENT) : strlen(text);
		printf("%-*s%.*s\n", INDENT, label, (int)n, text);
		text += n + (text[n] == ' ');
	}
}

/* Each with its reason. */
static void print_capabilities(const json_t *capabilities)
{
	size_t n = json_array_size(capabilities);

	if (!json_is_array(capabilities)) {
		puts("  keeps     all capabilities that it was started with");
		return;
	}
	if (!n)
		puts("  keeps     no capabilities");
	for (size_t i = 0; i < n; i++) {
		const json_t *c = json_array_get(capabilities, i);
		char *name = text(c, "name"), *why = text(c, "why"), *line;
		struct vst_text t;

		vst_text_open(&t);
		fprintf(t.out, "%s: to %s", name, why);
		line = vst_text_close(&t);
		print_wrapped(i ? "" : "  keeps", line);
		free(line);
		free(name);
		free(why);
	}
}

static void print_lost(json_t *lost)
{
	bool any = false;
	const char *cause;
	json_t *n;

	printf("  lost      ");
	json_object_foreach(lost, cause, n)
	{
		char *name;

		if (json_integer_value(n) <= 0)
			continue;
		name = vst_escape(cause);
		printf("%s%s %lld", any ? ", " : "", name, (long long)json_integer_value(n));
		free(name);
		any = true;
	}
	puts(any ? " (vstorctl check says what that means)" : "nothing");
}

static void print_budget(json_t *self)
{
	char *parts = vst_cost_given_up(self), *escaped = vst_escape(parts);

	if (number(self, "budget_percent") > 0) {
		if (number(self, "cost_percent") > 0)
			printf("  budget    %.2f of %g %% of the processors", number(self, "cost_percent"),
			       number(self, "budget_percent"));
		else
			printf("  budget    %g %% of the processors, cost not yet measured",
			       number(self, "budget_percent"));
		printf("%s%s\n", *parts ? "; given up for a time: " : "", escaped);
	}
	free(escaped);
	free(parts);
}

static void print_self(json_t *self, json_t *probes)
{
	double runs = vst_cost_runs(probes);
	char rss[VST_CELL], tick[VST_CELL], tick_max[VST_CELL];

	vst_format_bytes(rss, number(self, "rss_bytes"), VST_UNITS_HUMAN);
	vst_format_us(tick, number(self, "tick_us"), VST_UNITS_HUMAN);
	vst_format_us(tick_max, number(self, "tick_max_us"), VST_UNITS_HUMAN);
	printf("  cost      %.2f %% of a core, %sB memory, ", number(self, "cpu_percent"), rss);
	if (number(self, "event_ns") <= 0 || runs < 1) /* without runs the figure is of an earlier time */
		puts("cost per I/O not yet known");
	else if (runs < VST_COST_RUNS)
		printf("%.0f ns per I/O (%.0f run%s: too few to go by)\n", number(self, "event_ns"), runs,
		       runs < 2 ? "" : "s");
	else
		printf("%.0f ns per I/O\n", number(self, "event_ns"));
	print_budget(self);
	printf("  tick      %s, the longest %s\n", tick, tick_max);
	printf("  tables    rows %.0f of %.0f, slots %.0f of %.0f, containers %.0f\n", number(self, "rows"),
	       number(self, "rows_max"), number(self, "slots"), number(self, "slots_max"), number(self, "containers"));
	print_lost(json_object_get(self, "lost"));
}

static const char *why_of(const json_t *probe)
{
	const char *why = json_string_value(json_object_get(probe, "why"));

	return why ? why : "";
}

/* Why a probe is not attached, below the table: a sentence is wider than a terminal has room for beside it. */
static void print_reasons(const json_t *probes)
{
	const char *why;
	bool any = false;
	char *escaped;
	size_t n;

	for (size_t i = 0; i < json_array_size(probes); i++) {
		why = why_of(json_array_get(probes, i));
		for (n = 0; n < i && strcmp(why, why_of(json_array_get(probes, n))); n++)
			;
		if (!*why || n < i)
			continue; /* a reason is told once, with all probes that it is for */
		for (n = i; n < json_array_size(probes); n++) {
			const json_t *p = json_array_get(probes, n);

			if (strcmp(why, why_of(p)))
				continue;
			escaped = text(p, "name");
			printf("%s%s", n > i ? ", " : any ? "" : "\n", escaped);
			free(escaped);
		}
		any = true;
		escaped = vst_escape(why);
		printf(": %s\n", escaped);
		free(escaped);
	}
}

static void print_probes(json_t *probes)
{
	struct vst_table *t = vst_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	static const char *const names[] = { "name", "tracepoint", "state" };
	char buf[VST_CELL];
	json_t *p;
	size_t i;

	json_array_foreach(probes, i, p)
	{
		for (size_t k = 0; k < 3; k++) {
			const char *s = json_string_value(json_object_get(p, names[k]));

			vst_table_add_name(t, s ? s : "?");
		}
		vst_format_count(buf, number(p, "runs"), VST_UNITS_HUMAN);
		vst_table_add(t, buf);
		snprintf(buf, sizeof(buf), number(p, "run_ns") > 0 ? "%.0f" : "-", number(p, "run_ns"));
		vst_table_add(t, buf);
		vst_format_count(buf, number(p, "missed"), VST_UNITS_HUMAN);
		vst_table_add(t, buf);
	}
	putchar('\n');
	vst_table_print(t);
	vst_table_free(t);
	print_reasons(probes);
}

struct request {
	const struct vst_ctl *ctl;
	bool seen;
};

static int take(void *arg, json_t *line)
{
	struct request *r = arg;
	json_t *probes = json_object_get(line, "probes"), *self = json_object_get(line, "self");

	if (r->seen || !json_is_array(probes) || !json_is_object(self))
		return -EPROTO;
	r->seen = true;
	if (r->ctl->json) {
		json_object_del(line, "type");
		vst_json_line(json_incref(line));
		return 0;
	}
	print_agent(line, r->ctl->socket);
	print_policy(json_object_get(line, "policy"));
	print_recording(json_object_get(line, "recording"));
	print_self(self, probes);
	print_capabilities(json_object_get(line, "capabilities"));
	print_probes(probes);
	return 0;
}

int vst_cmd_status(const struct vst_ctl *ctl, int argc, char **argv)
{
	struct request r = { .ctl = ctl };
	int rc = vst_get(ctl, "/v1/status?max_age=0", take, &r);

	if (rc || r.seen)
		return rc;
	vst_error("the reply to /v1/status from %s is empty: is it vstord's socket?", ctl->socket);
	return VST_EXIT_FAILED;
}
