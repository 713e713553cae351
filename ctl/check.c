/* SPDX-License-Identifier: GPL-2.0-only */
/* vstorctl check: is what vstor saw what the kernel counted? */
#include <errno.h>
#include "client.h"
#include "format.h"
#include "table.h"
#include "vstor/classes.h"

struct check {
	bool json;
	struct vst_table *table;
	char **sentences; /* about devices that do not hold */
	size_t nsentences, cap;
	unsigned int devices, counted, failed;
};

static const struct vst_table_column columns[] = {
	{ "DEVICE", 0, 0 },
	{ "LAYER", 0, 2 },
	{ "KERNEL IOS", VST_COL_RIGHT, 0 },
	{ "BYTES", VST_COL_RIGHT, 1 },
	{ "SEEN IOS", VST_COL_RIGHT, 0 },
	{ "BYTES", VST_COL_RIGHT, 1 },
	{ "ATTRIBUTED IOS", VST_COL_RIGHT, 3 },
	{ "BYTES", VST_COL_RIGHT, 4 },
	{ "DIFFERENCE", VST_COL_RIGHT, 0 },
	{ "VERDICT", 0, 0 },
	{ "LOST", VST_COL_SPARSE, 5 },
};

static const char *const sides[] = { "kernel", "seen", "attributed" };

static const char *meaning(const char *cause)
{
#define X(e, n, w)                                                                                                     \
	if (!strcmp(cause, n))                                                                                         \
		return w;
	VST_LOSSES(X)
#undef X
	return "a cause that this vstorctl does not know";
}

/* lost without the causes that lost nothing; NULL if it is not what it should be. New reference. */
static json_t *lost_some(const json_t *line)
{
	json_t *lost = json_object_get(line, "lost"), *some, *n;
	const char *cause;

	if (!json_is_object(lost))
		return NULL;
	some = json_object();
	json_object_foreach(lost, cause, n) if (json_integer_value(n) > 0) json_object_set(some, cause, n);
	return some;
}

static bool valid(const json_t *line)
{
	for (size_t i = 0; i < 3; i++) {
		const json_t *side = json_object_get(line, sides[i]);

		if (!json_is_integer(json_object_get(side, "ios")) || !json_is_integer(json_object_get(side, "bytes")))
			return false;
	}
	return json_is_string(json_object_get(line, "device")) && json_is_string(json_object_get(line, "layer")) &&
	       json_is_boolean(json_object_get(line, "holds")) && json_is_boolean(json_object_get(line, "accounted")) &&
	       json_is_number(json_object_get(line, "difference"));
}

static double side_number(const json_t *line, const char *side, const char *field)
{
	return json_number_value(json_object_get(json_object_get(line, side), field));
}

/* What it means for the user that this device does not hold. */
static char *sentence(const json_t *line, json_t *lost)
{
	double kernel = side_number(line, "kernel", "ios"), seen = side_number(line, "seen", "ios");
	double kbytes = side_number(line, "kernel", "bytes"), sbytes = side_number(line, "seen", "bytes");
	const char *why = json_string_value(json_object_get(line, "why")), *cause, *what;
	char kb[VST_CELL], sb[VST_CELL], *device, *reason;
	struct vst_text t;
	json_t *n;

	vst_text_open(&t);
	device = vst_escape(json_string_value(json_object_get(line, "device")));
	vst_format_bytes(kb, kbytes, VST_UNITS_HUMAN);
	vst_format_bytes(sb, sbytes, VST_UNITS_HUMAN);
	what = seen > kernel || (seen == kernel && sbytes > kbytes)
		       ? "counts I/O twice or that the kernel does not count"
		       : "misses I/O";
	fprintf(t.out,
		"%s: the kernel counted %.0f I/Os (%sB), vstor saw %.0f (%sB): every view of this device %s, %.2g %% "
		"off",
		device, kernel, kb, seen, sb, what, json_number_value(json_object_get(line, "difference")) * 100);
	json_object_foreach(lost, cause, n)
	{
		char *name = vst_escape(cause);

		fprintf(t.out, "; %s %lld: %s", name, (long long)json_integer_value(n), meaning(cause));
		free(name);
	}
	reason = vst_escape(why ? why : "");
	fprintf(t.out, "%s%s.", *reason ? "; " : "", reason);
	free(device);
	free(reason);
	return vst_text_close(&t);
}

static void add_row(struct check *c, const json_t *line, json_t *lost, const char *verdict)
{
	char buf[VST_CELL], causes[512] = "";
	const char *cause;
	size_t len = 0;
	json_t *n;

	vst_table_add_name(c->table, json_string_value(json_object_get(line, "device")));
	vst_table_add_name(c->table, json_string_value(json_object_get(line, "layer")));
	for (size_t i = 0; i < 3; i++) {
		vst_format_count(buf, side_number(line, sides[i], "ios"), VST_UNITS_RAW);
		vst_table_add(c->table, buf);
		vst_format_bytes(buf, side_number(line, sides[i], "bytes"), VST_UNITS_RAW);
		vst_table_add(c->table, buf);
	}
	snprintf(buf, sizeof(buf), "%.4f %%", json_number_value(json_object_get(line, "difference")) * 100);
	vst_table_add(c->table, buf);
	vst_table_add(c->table, verdict);
	json_object_foreach(lost, cause, n) if (len < sizeof(causes)) len +=
		(size_t)snprintf(causes + len, sizeof(causes) - len, "%s%s %lld", len ? ", " : "", cause,
				 (long long)json_integer_value(n));
	vst_table_add_name(c->table, causes);
}

/* As in the other commands: an object, and none if nothing is in flight. */
static void in_flight_object(json_t *line)
{
	json_int_t n = json_integer_value(json_object_get(line, "in_flight"));

	json_object_del(line, "in_flight");
	if (n > 0)
		json_object_set_new(line, "in_flight", json_pack("{sI}", "ios", n));
}

static int take(void *arg, json_t *line)
{
	struct check *c = arg;
	json_t *lost = lost_some(line);
	bool counted, holds;

	if (!lost || !valid(line)) {
		json_decref(lost);
		return -EPROTO;
	}
	counted = json_is_true(json_object_get(line, "accounted"));
	holds = json_is_true(json_object_get(line, "holds"));
	c->devices++;
	c->counted += counted;
	if (counted && !holds) {
		c->failed++;
		c->sentences = vst_grow(c->sentences, c->nsentences, &c->cap, sizeof(*c->sentences));
		c->sentences[c->nsentences++] = sentence(line, lost);
	}
	if (c->json) {
		json_object_del(line, "type");
		json_object_set(line, "lost", lost);
		in_flight_object(line);
		vst_json_line(json_incref(line));
	} else {
		add_row(c, line, lost, !counted ? "not counted by the kernel" : holds ? "holds" : "DOES NOT HOLD");
	}
	json_decref(lost);
	return 0;
}

static int take_uptime(void *uptime, json_t *line)
{
	json_t *n = json_object_get(line, "uptime");

	if (!json_is_number(n))
		return -EPROTO;
	*(double *)uptime = json_number_value(n);
	return 0;
}

/* Not a single book. That is right for an agent which nobody has given anything to do. */
static int no_books(const struct vst_ctl *ctl)
{
	double uptime = -1;
	int rc = vst_get(ctl, "/v1/status", take_uptime, &uptime);

	if (rc)
		return rc;
	if (uptime < 0) {
		vst_error("nothing was checked: the replies from %s are empty: is it vstord's socket?", ctl->socket);
		return VST_EXIT_FAILED;
	}
	if (!ctl->json)
		printf("Nothing to check: no device did any I/O since the agent started (%.0f s ago).\n", uptime);
	return VST_EXIT_OK;
}

static int verdict(const struct check *c)
{
	if (!c->counted) {
		vst_error("nothing was checked: the kernel counts the I/O of none of %u device%s (queue/iostats is 0)",
			  c->devices, c->devices > 1 ? "s" : "");
		return VST_EXIT_FAILED;
	}
	for (size_t i = 0; i < c->nsentences; i++)
		vst_error("%s", c->sentences[i]);
	if (!c->failed && !c->json)
		printf("\nThe books balance: vstor saw what the kernel counted, to 0.1 %%, on %s%u device%s.\n",
		       c->counted > 1 ? "all " : "", c->counted, c->counted > 1 ? "s" : "");
	return c->failed ? VST_EXIT_FAILED : VST_EXIT_OK;
}

int vst_cmd_check(const struct vst_ctl *ctl, int argc, char **argv)
{
	struct check c = { .json = ctl->json };
	int rc;

	c.table = vst_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	rc = vst_get(ctl, "/v1/check?max_age=0", take, &c);
	if (!rc && c.devices && !c.json)
		vst_table_print(c.table);
	if (!rc)
		rc = c.devices ? verdict(&c) : no_books(ctl);
	for (size_t i = 0; i < c.nsentences; i++)
		free(c.sentences[i]);
	free(c.sentences);
	vst_table_free(c.table);
	return rc;
}
