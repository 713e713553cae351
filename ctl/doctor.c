/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What this kernel and host offer, what a missing part costs, and what its user can do. Works without an agent and
 * without being root. Nothing here changes from one run to the next on the same host: no ids, times, addresses.
 */
#include <errno.h>
#include <langinfo.h>
#include <unistd.h>
#include "features/features.h"
#include "client.h"
#include "format.h"
#include "table.h"

#define NAME_WIDTH 24
#define INDENT "      "

struct look {
	bool json;
	bool utf8;
	bool color;
	int width; /* of the terminal; 0: none, lines are not broken */
	unsigned int probes;
	const struct vst_feature_result *results;
	size_t n;
};

/* One line of the report, of a feature or of one of the agent's probes. */
struct line {
	const char *name, *group, *detail, *cost, *remedy;
	const char *probe; /* NULL: none */
	bool required, harmless;
	enum vst_feature_state state;
};

/* Something is lost. */
static bool is_lacking(enum vst_feature_state state, bool harmless)
{
	return state != VST_FEATURE_FOUND && !harmless;
}

static const char *mark(const struct look *look, const struct line *l)
{
	if (l->state != VST_FEATURE_FOUND && l->harmless)
		return look->utf8 ? "·" : ".";
	switch (l->state) {
	case VST_FEATURE_FOUND:
		return !look->utf8 ? "+" : look->color ? "\033[32m✓\033[0m" : "✓";
	case VST_FEATURE_MISSING:
		return !look->utf8 ? "-" : look->color ? "\033[31m✗\033[0m" : "✗";
	default:
		return look->utf8 && look->color ? "\033[33m?\033[0m" : "?";
	}
}

/* Words of text below the names, broken at the terminal's width. */
static void print_below(const struct look *look, const char *text)
{
	int column = sizeof(INDENT) - 1;

	fputs(INDENT, stdout);
	for (const char *word = text; *word;) {
		int len = (int)strcspn(word, " ");

		if (look->width && word != text && column + 1 + len > look->width) {
			fputs("\n" INDENT "  ", stdout);
			column = sizeof(INDENT) + 1;
		} else if (word != text) {
			column++;
			putchar(' ');
		}
		printf("%.*s", len, word);
		column += len;
		word += len;
		word += strspn(word, " ");
	}
	putchar('\n');
}

static void print_sentence(const struct look *look, const char *title, const char *sentence)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s %s", title, sentence);
	print_below(look, text);
}

static void print_text(const struct look *look, const struct line *l)
{
	char *name = vst_escape(l->name), *detail = vst_escape(l->detail);
	const char *required = l->required && l->state != VST_FEATURE_FOUND ? "required; " : "";
	bool fits;

	fits = !look->width || 4 + NAME_WIDTH + 1 + vst_width(detail) + (int)strlen(required) <= look->width;
	if (!*detail && !*required)
		printf("  %s %s\n", mark(look, l), name);
	else if (fits)
		printf("  %s %-*s %s%s\n", mark(look, l), NAME_WIDTH, name, required,
		       *detail ? detail : vst_feature_state_name(l->state));
	else
		printf("  %s %s\n", mark(look, l), name);
	if (!fits)
		print_sentence(look, required, detail);
	if (l->state != VST_FEATURE_FOUND)
		print_sentence(look, "costs:", l->cost);
	if (is_lacking(l->state, l->harmless))
		print_sentence(look, "to do:", l->remedy);
	free(detail);
	free(name);
}

static void print_json(const struct line *l)
{
	json_t *o = json_pack("{s:i,s:s,s:s,s:b,s:s,s:b,s:s,s:s,s:s,s:s*}", "schema", 1, "feature", l->name, "group",
			      l->group, "required", l->required, "state", vst_feature_state_name(l->state), "lacking",
			      is_lacking(l->state, l->harmless), "detail", l->detail, "cost", l->cost, "remedy",
			      l->remedy, "probe", l->probe);

	if (o) /* NULL: a device's name that is not UTF-8 */
		vst_json_line(o);
	else
		vst_error("feature %s cannot be shown as JSON: its detail is not UTF-8", l->name);
}

static void print_line(const struct look *look, const struct line *l)
{
	if (look->json)
		print_json(l);
	else
		print_text(look, l);
}

static void print_features(const struct look *look)
{
	const char *group = "";

	for (size_t i = 0; i < look->n; i++) {
		const struct vst_feature_result *r = &look->results[i];
		const struct vst_feature *f = r->feature;
		const struct line l = {
			.name = f->name,
			.group = f->group,
			.detail = r->detail,
			.cost = r->cost,
			.remedy = r->remedy,
			.probe = f->probe,
			.required = f->required,
			.harmless = r->harmless,
			.state = r->state,
		};

		if (!look->json && strcmp(group, f->group))
			printf("%s%s\n", *group ? "\n" : "", f->group);
		group = f->group;
		print_line(look, &l);
	}
}

/* --- the agent's probes --- */

static const struct vst_feature *row_of(const struct look *look, const char *probe)
{
	for (size_t i = 0; i < look->n; i++) {
		const struct vst_feature *f = look->results[i].feature;

		if (f->probe && !strcmp(f->probe, probe))
			return f;
	}
	return NULL;
}

static void print_probe(const struct look *look, const char *name, const char *at, const char *state, const char *why)
{
	bool missing = !strcmp(state, "missing");
	const struct vst_feature *f = row_of(look, name);
	char shown[128], detail[1024];
	const struct line l = {
		.name = shown,
		.group = "agent",
		.detail = detail,
		.cost = f ? f->cost : "Not known: this vstorctl is older or newer than the agent.",
		.remedy = "Look for the reason in the log of vstord.",
		.probe = name,
		.required = f && f->required,
		.state = missing ? VST_FEATURE_MISSING : VST_FEATURE_FOUND,
	};

	snprintf(shown, sizeof(shown), "probe %s", name);
	snprintf(detail, sizeof(detail), "%s%s%s%s%s", state, *at ? " at " : "", at, *why ? ": " : "", why);
	print_line(look, &l);
}

static int on_status(void *arg, json_t *status)
{
	struct look *look = arg;
	json_t *probe;
	size_t i;

	json_array_foreach(json_object_get(status, "probes"), i, probe)
	{
		const char *name, *at = "", *state, *why = "";

		if (json_unpack(probe, "{s:s,s:s,s?s,s?s}", "name", &name, "state", &state, "tracepoint", &at, "why",
				&why))
			return -EPROTO;
		look->probes++;
		print_probe(look, name, at, state, why);
	}
	return 0;
}

/* The agent is a source like the others here: without one the report is shorter, not wrong. */
static int print_agent(struct look *look, const struct vst_ctl *ctl)
{
	struct vst_client *client = vst_client_new(ctl);
	int rc;

	if (!look->json)
		puts("\nagent");
	rc = vst_client_get(client, "/v1/status?max_age=0", on_status, look);
	if (rc && rc != VST_EXIT_INTERRUPTED && !look->json) {
		char *why = vst_escape(vst_client_error(client));

		print_sentence(look, "not asked:", why);
		free(why);
	} else if (!rc && !look->probes && !look->json) {
		print_below(look, "it runs, and names no probes");
	}
	vst_client_free(client);
	return rc;
}

static void print_summary(const struct look *look, enum vst_exit verdict, const char *why)
{
	unsigned int lacking = 0;

	putchar('\n');
	for (size_t i = 0; i < look->n; i++)
		lacking += is_lacking(look->results[i].state, look->results[i].harmless) &&
			   !look->results[i].feature->required;
	if (verdict == VST_EXIT_OK)
		printf("Every required feature is here: vstord can start.");
	else
		printf("vstord cannot start here: %s", why);
	if (lacking)
		printf(" Of the optional ones %u %s missing or cannot be seen.", lacking, lacking == 1 ? "is" : "are");
	putchar('\n');
}

int vst_cmd_doctor(const struct vst_ctl *ctl, int argc, char **argv)
{
	const char *no_color = getenv("NO_COLOR");
	struct vst_feature_result *results;
	struct vst_features_ctx features;
	int verdict;
	char why[1024] = "";
	struct look look = {
		.json = ctl->json,
		.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8"),
		.color = isatty(STDOUT_FILENO) && !(no_color && *no_color),
		.width = vst_terminal_width(),
		.n = vst_features_count(),
	};

	results = vst_alloc(look.n * sizeof(*results));
	look.results = results;
	vst_features_open(&features);
	vst_features_check(&features, results);
	vst_features_close(&features);
	verdict = vst_features_verdict(results, look.n, why, sizeof(why));
	print_features(&look);
	if (print_agent(&look, ctl) == VST_EXIT_INTERRUPTED)
		verdict = VST_EXIT_INTERRUPTED;
	else if (!ctl->json)
		print_summary(&look, verdict, why);
	free(results);
	return verdict;
}
