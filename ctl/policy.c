/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl policy: what the policy says, what it wants, what was done about it, and why. */
#include <errno.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "format.h"
#include "lib/cleanup.h"
#include "policy/rules.h"
#include "policy_check.h"
#include "policy_replay.h"
#include "table.h"
#include "meant.h"

/* What a reply to one of the commands is shown as. */
struct policy_view {
	const struct vst_ctl *ctl;
	struct vst_table *knobs, *protected, *rules, *blamed, *log;
	size_t n_planned, n_knobs, n_protected, n_rules, n_blamed, n_log;
	json_t *reasons; /* texts of refusals and conflicts, once each */
	bool any, failed;
	bool plan; /* the knobs are told as sentences: what would be written where */
};

static const char *text(const json_t *line, const char *field)
{
	const char *s = json_string_value(json_object_get(line, field));

	return s ? s : "";
}

static double number(const json_t *line, const char *field)
{
	return json_number_value(json_object_get(line, field));
}

static bool is_true(const json_t *line, const char *field)
{
	return json_is_true(json_object_get(line, field));
}

static void print_text(const char *format, const char *value)
{
	char *escaped = vst_escape(value);

	printf(format, escaped);
	free(escaped);
}

/* --- lines --- */

static const struct vst_table_column knob_columns[] = {
	{ "TARGET", VST_COL_NAME, 0 },
	{ "ATTRIBUTE", 0, 0 },
	{ "OLD", 0, 0 },
	{ "NEW", 0, 0 },
	{ "STATE", 0, 0 },
	{ "SINCE", VST_COL_SPARSE, 2 },
	{ "RULE", VST_COL_NAME, 1 },
	{ "WHY", VST_COL_NAME, 3 },
};

static const struct vst_table_column protected_columns[] = {
	{ "PROTECTED", VST_COL_NAME, 0 }, { "DEVICE", 0, 0 },		{ "OBJECTIVE", 0, 0 },
	{ "NOW", VST_COL_RIGHT, 0 },	  { "GOAL", VST_COL_RIGHT, 0 }, { "OTHERS CAPPED AT", VST_COL_SPARSE, 0 },
	{ "STATE", VST_COL_NAME, 1 },
};

static const struct vst_table_column rule_columns[] = {
	{ "ATTRIBUTE", 0, 0 }, { "DEVICE", VST_COL_SPARSE, 0 }, { "RULE", VST_COL_NAME, 0 },
	{ "WANTS", 0, 0 },     { "VERDICT", VST_COL_NAME, 0 },
};

static const struct vst_table_column blamed_columns[] = {
	{ "WAITS BECAUSE OF IT", VST_COL_NAME, 0 },
	{ "FOR", 0, 0 },
	{ "DEVICE", VST_COL_SPARSE, 0 },
	{ "WAIT/s", VST_COL_RIGHT, 0 },
};

static const struct vst_table_column log_columns[] = {
	{ "TIME", 0, 0 },
	{ "WHAT", VST_COL_NAME, 0 },
	{ "OLD", VST_COL_SPARSE, 0 },
	{ "NEW", VST_COL_SPARSE, 0 },
	{ "STATE", VST_COL_SPARSE, 0 },
	{ "WHY", VST_COL_NAME, 0 },
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void clock_text(char buf[VST_CELL], double unix_time)
{
	time_t t = (time_t)unix_time;
	struct tm tm;

	if (unix_time <= 0 || !localtime_r(&t, &tm) || !strftime(buf, VST_CELL, "%F %T", &tm))
		strcpy(buf, "");
}

/* "io.max 8:0 wbps" */
static void add_knob_name(struct vst_table *t, const json_t *line)
{
	const char *attribute = text(line, "attribute"), *key = text(line, "key");
	char *name = vst_alloc(strlen(attribute) + strlen(key) + 2);

	sprintf(name, "%s%s%s", attribute, *key ? " " : "", key);
	vst_table_add_name(t, name);
	free(name);
}

static void print_field(const char *before, const json_t *line, const char *field, const char *after)
{
	char *escaped = vst_escape(text(line, field));

	if (*escaped)
		printf("%s%s%s", before, escaped, after);
	free(escaped);
}

/*
 * write 20971520 into blkio.throttle.write_bps_device 254:0 of /bulk.slice, where 0 is now
 *     because of rule slow: ...
 */
static void print_planned(const json_t *line)
{
	bool refused = !strcmp(text(line, "state"), "refused");
	bool is_set = !strcmp(text(line, "state"), "applied");

	print_field(refused ? "cannot write " : is_set ? "keep " : "write ", line, "new", "");
	print_field(is_set ? " in " : " into ", line, "attribute", "");
	print_field(" ", line, "key", "");
	print_field(" of ", line, "target", "");
	/* a unit that is not in a container is called like its cgroup */
	if (!strstr(text(line, "target"), text(line, "container")))
		print_field(" (", line, "container", ")");
	print_field(is_set ? ", which was " : ", where ", line, "old", is_set ? "" : " is now");
	print_field("\n    because of rule ", line, "rule", "");
	print_field(": ", line, "why", "");
	if (refused)
		print_field("\n    but ", line, "text", "");
	putchar('\n');
}

static void take_knob(struct policy_view *v, const json_t *line)
{
	char since[VST_CELL];

	if (v->plan) {
		print_planned(line);
		v->n_planned++;
		return;
	}
	clock_text(since, number(line, "since"));
	vst_table_add_name(v->knobs, *text(line, "container") ? text(line, "container") : text(line, "target"));
	add_knob_name(v->knobs, line);
	vst_table_add_name(v->knobs, *text(line, "old") ? text(line, "old") : "-");
	vst_table_add_name(v->knobs, *text(line, "new") ? text(line, "new") : "-");
	vst_table_add_name(v->knobs, text(line, "state"));
	vst_table_add(v->knobs, since);
	vst_table_add_name(v->knobs, text(line, "rule"));
	vst_table_add_name(v->knobs, text(line, "why"));
	v->n_knobs++;
	if (*text(line, "text"))
		json_object_set_new(v->reasons, text(line, "text"), json_string(text(line, "state")));
}

static void take_protected(struct policy_view *v, const json_t *line)
{
	char cap[VST_CELL];

	vst_table_add_name(v->protected, text(line, "container"));
	vst_table_add_name(v->protected, text(line, "device"));
	vst_table_add_name(v->protected, text(line, "objective"));
	vst_table_add_us(v->protected, json_object_get(line, "latency_us") ? number(line, "latency_us") : VST_NO_TIME);
	vst_table_add_us(v->protected, number(line, "objective_us"));
	vst_format_bytes(cap, number(line, "cap"), VST_UNITS_HUMAN);
	if (number(line, "cap") > 0)
		strcat(cap, "B/s");
	vst_table_add(v->protected, number(line, "cap") > 0 ? cap : "");
	vst_table_add_name(v->protected, text(line, "text"));
	v->n_protected++;
}

static void take_rule(struct policy_view *v, const json_t *line)
{
	const char *verdict = text(line, "verdict"), *differs = text(line, "differs");
	char *sentence = vst_alloc(strlen(verdict) + strlen(differs) + 8);

	sprintf(sentence, "%s%s%s", verdict, *differs ? ": " : "", differs);
	vst_table_add_name(v->rules, text(line, "attribute"));
	vst_table_add_name(v->rules, text(line, "device"));
	vst_table_add_name(v->rules, text(line, "rule"));
	vst_table_add_name(v->rules, text(line, "wants"));
	vst_table_add_name(v->rules, sentence);
	free(sentence);
	v->n_rules++;
}

static void take_blamed(struct policy_view *v, const json_t *line)
{
	vst_table_add_name(v->blamed, text(line, "waiter"));
	vst_table_add_name(v->blamed, text(line, "resource"));
	vst_table_add_name(v->blamed, text(line, "device"));
	vst_table_add_us(v->blamed, number(line, "us_per_s"));
	v->n_blamed++;
}

static void take_action(struct policy_view *v, const json_t *line)
{
	char time[VST_CELL];
	const char *target = text(line, "target"), *attribute = text(line, "attribute"), *key = text(line, "key");
	char *what = vst_alloc(strlen(target) + strlen(attribute) + strlen(key) + 8);
	bool is_knob = !strcmp(text(line, "what"), "knob");

	clock_text(time, number(line, "time"));
	sprintf(what, "%s%s%s %s", attribute, *key ? " " : "", key, target);
	vst_table_add(v->log, time);
	vst_table_add_name(v->log, is_knob ? what : text(line, "what"));
	vst_table_add_name(v->log, text(line, "old"));
	vst_table_add_name(v->log, text(line, "new"));
	vst_table_add_name(v->log, text(line, "state"));
	vst_table_add_name(v->log, is_knob && !*text(line, "text") ? text(line, "why") : text(line, "text"));
	v->n_log++;
	free(what);
}

static void print_actor(const json_t *line)
{
	if (!is_true(line, "act")) {
		puts("  acting    no: vstord runs without --act, so this is only planned");
		return;
	}
	print_text("  acting    yes, vstor-actor is %s", text(line, "actor"));
	printf(", pid %.0f, %.0f knobs written, %.0f reverted, %.0f conflicts\n", number(line, "actor_pid"),
	       number(line, "writes"), number(line, "reverts"), number(line, "conflicts"));
	if (*text(line, "actor_error"))
		print_text("  actor     %s\n", text(line, "actor_error"));
}

/* The first error; the others are for `policy check`. */
static void print_bad(const char *error)
{
	size_t len = strcspn(error, "\n");
	char *first = strndup(error, len);

	print_text("  BAD       the newest policy is not in force: %s\n", first ? first : "");
	if (error[len])
		puts("            and more: vstorctl policy check FILE tells all");
	free(first);
}

static void take_head(struct policy_view *v, const json_t *line)
{
	char loaded[VST_CELL];
	json_t *note;
	size_t i;

	clock_text(loaded, number(line, "loaded"));
	if (number(line, "rules") > 0) {
		print_text("policy %s", text(line, "file"));
		printf(": %.0f rule%s, in force since %s\n", number(line, "rules"),
		       number(line, "rules") > 1 ? "s" : "", loaded);
	} else if (is_true(line, "reverted")) {
		printf("no policy: reverted on request at %s; apply one, or change its file\n", loaded);
	} else {
		puts("no policy: start vstord with --policy FILE, or use vstorctl policy apply FILE");
	}
	print_actor(line);
	if (*text(line, "error"))
		print_bad(text(line, "error"));
	json_array_foreach(json_object_get(line, "notes"), i, note)
	{
		print_text("  note      %s\n", json_string_value(note) ?: "");
	}
	if (number(line, "unknown_blockio") > 0)
		printf("  blockio   %.0f containers name a class that no imported file has: ignored\n",
		       number(line, "unknown_blockio"));
	if (number(line, "dropped") > 0)
		printf("  dropped   %.0f wishes found no room among the knobs\n", number(line, "dropped"));
}

static void take_container(const json_t *line)
{
	print_text("%s", text(line, "container"));
	print_text(", cgroup %s\n", text(line, "cgroup"));
}

/* X(type of the line, who takes it) */
static int take(void *arg, json_t *line)
{
	struct policy_view *v = arg;
	const char *type = text(line, "type");

	v->any = true;
	if (*text(line, "error") && !*type) {
		vst_error("%s", text(line, "error"));
		v->failed = true;
		return 0;
	}
	if (!strcmp(type, "snapshot"))
		return 0; /* for `top` */
	if (v->ctl->json) {
		vst_json_line(json_incref(line));
		return 0;
	}
	if (!strcmp(type, "policy"))
		take_head(v, line);
	else if (!strcmp(type, "knob"))
		take_knob(v, line);
	else if (!strcmp(type, "protected"))
		take_protected(v, line);
	else if (!strcmp(type, "rule"))
		take_rule(v, line);
	else if (!strcmp(type, "blamed"))
		take_blamed(v, line);
	else if (!strcmp(type, "action"))
		take_action(v, line);
	else if (!strcmp(type, "container"))
		take_container(line);
	else if (!strcmp(type, "reply"))
		print_text("%s\n", text(line, "text"));
	return 0;
}

static void view_open(struct policy_view *v, const struct vst_ctl *ctl)
{
	*v = (struct policy_view){ .ctl = ctl, .reasons = json_object() };
	v->knobs = vst_table_new(knob_columns, COUNT(knob_columns));
	v->protected = vst_table_new(protected_columns, COUNT(protected_columns));
	v->rules = vst_table_new(rule_columns, COUNT(rule_columns));
	v->blamed = vst_table_new(blamed_columns, COUNT(blamed_columns));
	v->log = vst_table_new(log_columns, COUNT(log_columns));
}

static void print_tables(struct policy_view *v)
{
	struct vst_table *tables[] = { v->rules, v->blamed, v->protected, v->knobs, v->log };
	size_t n[] = { v->n_rules, v->n_blamed, v->n_protected, v->n_knobs, v->n_log };
	const char *reason;
	json_t *state;

	for (size_t i = 0; i < COUNT(tables); i++) {
		if (!n[i])
			continue;
		if (tables[i] != v->log)
			putchar('\n');
		vst_table_print(tables[i]);
	}
	json_object_foreach(v->reasons, reason, state)
	{
		print_text("\n%s: ", json_string_value(state));
		print_text("%s\n", reason);
	}
}

static int view_close(struct policy_view *v, int rc)
{
	if (!rc && !v->ctl->json)
		print_tables(v);
	vst_table_free(v->knobs);
	vst_table_free(v->protected);
	vst_table_free(v->rules);
	vst_table_free(v->blamed);
	vst_table_free(v->log);
	json_decref(v->reasons);
	return rc ? rc : v->failed ? VST_EXIT_FAILED : VST_EXIT_OK;
}

/* --- commands --- */

static int ask(const struct vst_ctl *ctl, const char *path, const char *nothing)
{
	struct policy_view v;
	int rc;

	view_open(&v, ctl);
	rc = vst_get(ctl, path, take, &v);
	if (!rc && nothing && !ctl->json && !v.failed && !v.n_knobs && !v.n_log && !v.n_protected)
		puts(nothing);
	return view_close(&v, rc);
}

/* The text of a file that has been checked; "": it cannot be read, which was told. */
static char *read_policy(const char *file, size_t *ret_len)
{
	_cleanup_fclose_ FILE *f = strcmp(file, "-") ? fopen(file, "re") : fdopen(dup(STDIN_FILENO), "r");
	char *policy = vst_alloc(VST_POLICY_MAX_BYTES + 2);

	if (!f) {
		vst_error("%s: %s", file, strerror(errno));
		free(policy);
		return NULL;
	}
	*ret_len = fread(policy, 1, VST_POLICY_MAX_BYTES + 1, f);
	return policy;
}

/* A policy that is bad is told here, with the file's name, and not sent at all. */
static int check_quietly(const char *file)
{
	struct vst_policy *policy __attribute__((cleanup(vst_policy_freep))) = NULL;
	struct vst_policy_errors errors;
	int err = vst_policy_load(file, &policy, &errors);

	if (err)
		vst_policy_errors_print(&errors, stderr);
	vst_policy_errors_clear(&errors);
	return err ? VST_EXIT_FAILED : 0;
}

#define PLAN_PATH "/v1/policy/plan"

static int send_policy(const struct vst_ctl *ctl, const char *path, const char *file)
{
	_cleanup_free_ char *policy = NULL, *query = NULL, *full = realpath(file, NULL);
	struct policy_view v;
	size_t len;
	/* what comes from a pipe can be read once only: then the agent alone checks it */
	int rc = strcmp(file, "-") ? check_quietly(file) : 0;

	if (rc)
		return rc;
	policy = read_policy(file, &len);
	if (!policy)
		return VST_EXIT_FAILED;
	query = vst_query(path, "file", !strcmp(file, "-") ? "(standard input)" : full ? full : file);
	view_open(&v, ctl);
	v.plan = !strcmp(path, PLAN_PATH);
	rc = vst_post(ctl, query, policy, len, take, &v);
	return view_close(&v, rc);
}

/* What a file's rules would have done in the time of a recording. */
static int replay_policy(const struct vst_ctl *ctl, const char *file)
{
	struct vst_policy *policy __attribute__((cleanup(vst_policy_freep))) = NULL;
	struct vst_policy_errors errors;
	struct policy_view v;
	int rc = vst_policy_load(file, &policy, &errors) ? VST_EXIT_FAILED : 0;

	if (rc)
		vst_policy_errors_print(&errors, stderr);
	vst_policy_errors_clear(&errors);
	if (rc)
		return rc;
	view_open(&v, ctl);
	rc = vst_policy_replay(ctl, policy, take, &v);
	return view_close(&v, rc);
}

static int run_check(const struct vst_ctl *ctl, const char *operand)
{
	return vst_policy_check_file(operand, ctl->json);
}

static int run_plan(const struct vst_ctl *ctl, const char *operand)
{
	struct policy_view v;
	int rc;

	if (operand && ctl->replay)
		return replay_policy(ctl, operand);
	if (operand)
		return send_policy(ctl, PLAN_PATH, operand);
	view_open(&v, ctl);
	v.plan = true;
	rc = vst_get(ctl, "/v1/policy?max_age=0", take, &v);
	if (!rc && !ctl->json && !v.failed && v.any && !v.n_planned)
		puts("nothing is to be written now: no rule asks for a weight, a limit or a priority of a container "
		     "that runs");
	return view_close(&v, rc);
}

static int run_apply(const struct vst_ctl *ctl, const char *operand)
{
	return send_policy(ctl, "/v1/policy/apply", operand);
}

static int run_status(const struct vst_ctl *ctl, const char *operand)
{
	return ask(ctl, "/v1/policy", NULL);
}

static int run_explain(const struct vst_ctl *ctl, const char *operand)
{
	_cleanup_free_ char *cgroup = NULL, *query = NULL;
	struct policy_view v;
	int rc = 0;

	cgroup = vst_cgroup_meant(ctl, operand, "No rule can be about it.", &rc);
	if (!cgroup)
		return rc;
	query = vst_query("/v1/policy/explain", "container", cgroup);
	view_open(&v, ctl);
	rc = vst_get(ctl, query, take, &v);
	if (!rc && !ctl->json && !v.failed && !v.n_rules)
		puts("no rule is about it");
	if (!rc && !ctl->json && !v.failed && !v.n_blamed)
		puts("nobody waits because of it");
	return view_close(&v, rc);
}

static int run_log(const struct vst_ctl *ctl, const char *operand)
{
	return ask(ctl, "/v1/policy/log", "nothing was done yet");
}

static int run_revert(const struct vst_ctl *ctl, const char *operand)
{
	struct policy_view v;
	int rc;

	view_open(&v, ctl);
	rc = vst_post(ctl, "/v1/policy/revert", "", 0, take, &v);
	return view_close(&v, rc);
}

enum operand { OPERAND_NONE, OPERAND_OPTIONAL, OPERAND_NEEDED };

static const struct {
	const char *name, *operand;
	enum operand needs;
	int (*run)(const struct vst_ctl *ctl, const char *operand);
	const char *help;
} subcommands[] = {
	{ "check", "FILE", OPERAND_NEEDED, run_check, "is the file (-: standard input) a policy? Needs no agent" },
	{ "plan", "[FILE]", OPERAND_OPTIONAL, run_plan,
	  "what would be done now, by the file's rules; nothing is changed" },
	{ "apply", "FILE", OPERAND_NEEDED, run_apply, "use it, until the agent's own file changes or the agent ends" },
	{ "status", "", OPERAND_NONE, run_status, "what is wanted, applied, refused, and who is protected" },
	{ "explain", "CONTAINER", OPERAND_NEEDED, run_explain, "which rule decides about it, and why" },
	{ "log", "", OPERAND_NONE, run_log, "what was done, the last 512 actions" },
	{ "revert", "", OPERAND_NONE, run_revert, "undo everything, and do nothing until the next policy" },
};

void vst_policy_help(FILE *out)
{
	fputs("\nCommands:\n", out);
	for (size_t i = 0; i < COUNT(subcommands); i++) {
		char form[32];

		snprintf(form, sizeof(form), "%s %s", subcommands[i].name, subcommands[i].operand);
		fprintf(out, "  %-18s %s\n", form, subcommands[i].help);
	}
	fputs("\nvstor.policy(5) describes the file.\n", out);
}

int vst_cmd_policy(const struct vst_ctl *ctl, int argc, char **argv)
{
	if (argc < 2)
		return vst_usage("policy", "which of check, plan, apply, status, explain, log, revert?");
	for (size_t i = 0; i < COUNT(subcommands); i++) {
		if (strcmp(argv[1], subcommands[i].name) != 0)
			continue;
		if (argc < 3 && subcommands[i].needs == OPERAND_NEEDED)
			return vst_usage("policy", "%s needs a %s", argv[1], subcommands[i].operand);
		if (argc > 2 && subcommands[i].needs == OPERAND_NONE)
			return vst_usage("policy", "unexpected argument '%s': %s takes none", argv[2], argv[1]);
		if (ctl->replay && strcmp(argv[1], "plan") != 0 && strcmp(argv[1], "status") != 0)
			return vst_usage("policy",
					 "--at and --replay are for plan and status: a recording has no more");
		return subcommands[i].run(ctl, argc > 2 ? argv[2] : NULL);
	}
	return vst_usage("policy", "there is no '%s'", argv[1]);
}
