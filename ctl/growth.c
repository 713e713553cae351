/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <time.h>
#include "growth.h"
#include "sampler.h"

enum { OPT_TOTAL = 16 };

const struct vst_option vst_growth_options[] = {
	{ 'd', "delay", "SECONDS", "length of an interval (default 1)" },
	{ 'n', "samples", "N", "how many intervals (default 1; 0: until interrupted)" },
	{ OPT_TOTAL, "total", NULL, "at once, everything since the agent started" },
	{ 0 },
};

const char *vst_growth_text(const json_t *row, const char *field)
{
	const char *text = json_string_value(json_object_get(row, field));

	return text ? text : "";
}

static double number(const json_t *obj, const char *field)
{
	return json_number_value(json_object_get(obj, field));
}

double vst_growth_of(const json_t *row, const json_t *before, const char *field)
{
	double grown = number(row, field) - number(before, field);

	return grown > 0 ? grown : 0;
}

const json_t *vst_growth_before(const struct vst_growth *g, const char *id)
{
	return json_object_get(g->before, id);
}

double vst_growth_interval(const struct vst_growth *g)
{
	return number(g->snapshot, "uptime") - g->since;
}

static void add_buckets(const json_t *times, __u64 *dense, bool less)
{
	json_t *list = json_object_get(times, "buckets"), *pair;
	json_int_t index, n;
	size_t i;

	json_array_foreach(list, i, pair)
	{
		index = json_integer_value(json_array_get(pair, 0));
		n = json_integer_value(json_array_get(pair, 1));
		if (index < 0 || index >= VST_HIST_BUCKETS || n < 0)
			continue;
		if (!less)
			dense[index] += (__u64)n;
		else
			dense[index] -= (__u64)n < dense[index] ? (__u64)n : dense[index];
	}
}

void vst_growth_buckets(const json_t *times, const json_t *before, __u64 *dense)
{
	__u64 grown[VST_HIST_BUCKETS] = { 0 };

	add_buckets(times, grown, false);
	add_buckets(before, grown, true);
	for (int i = 0; i < VST_HIST_BUCKETS; i++)
		dense[i] += grown[i];
}

double vst_growth_max(const json_t *times, const json_t *before, const __u64 *dense)
{
	double longest = number(times, "max_us"), upper;
	int last = VST_HIST_BUCKETS - 1;

	while (last >= 0 && !dense[last])
		last--;
	if (last < 0)
		return 0;
	/* if the longest ever grew it is that one; else it lies in the last bucket, and none was longer than the longest */
	if (longest > number(before, "max_us") || last == VST_HIST_BUCKETS - 1)
		return longest;
	upper = (double)vst_hist_lower((__u32)last + 1) / 1e3;
	return upper < longest ? upper : longest;
}

void vst_growth_head(const struct vst_growth *g, const char *nothing)
{
	time_t at = (time_t)number(g->snapshot, "time");
	char clock[32] = "?";
	struct tm tm;

	if (localtime_r(&at, &tm))
		strftime(clock, sizeof(clock), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s, interval %.2f s%s%s\n", clock, vst_growth_interval(g), nothing ? ": " : "", nothing ? nothing : "");
}

/* --- asking --- */

static int on_line(void *arg, json_t *line)
{
	const char *type = vst_growth_text(line, "type");
	struct vst_growth *g = arg;
	char id[32];

	if (!strcmp(type, "snapshot")) {
		if (!*vst_growth_text(line, "instance") || !json_is_number(json_object_get(line, "uptime")))
			return -EPROTO;
		json_decref(g->snapshot);
		g->snapshot = json_incref(line);
	} else if (!strcmp(type, g->type)) {
		if (!g->snapshot || !json_is_integer(json_object_get(line, "row")))
			return -EPROTO;
		snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(json_object_get(line, "row")));
		json_object_set(g->now, id, line);
	}
	return 0; /* a newer agent may have more to say */
}

/* A whole reply, or what there was before stays. *ret_anew: another agent than before answered. */
static int ask(struct vst_growth *g, bool *ret_anew)
{
	json_t *old_snapshot = g->snapshot, *old = g->now;
	int rc;

	g->now = json_object();
	g->snapshot = NULL;
	rc = vst_client_get(g->client, g->path, on_line, g);
	if (!rc && !g->snapshot) {
		vst_error("the reply to %s has no snapshot: are agent and vstorctl of one release?", g->path);
		rc = VST_EXIT_FAILED;
	} else if (rc && rc != VST_EXIT_INTERRUPTED) {
		vst_error("%s", vst_client_error(g->client));
	}
	if (rc) {
		json_decref(g->now);
		json_decref(g->snapshot);
		g->now = old;
		g->snapshot = old_snapshot;
		return rc;
	}
	*ret_anew = old_snapshot &&
		    strcmp(vst_growth_text(old_snapshot, "instance"), vst_growth_text(g->snapshot, "instance")) != 0;
	json_decref(g->before);
	g->before = old;
	g->since = old_snapshot ? number(old_snapshot, "uptime") : 0;
	json_decref(old_snapshot);
	return 0;
}

static int next(struct vst_growth *g)
{
	bool anew = true;
	int rc;

	while (anew) {
		while (vst_client_wait(g->client, -1, g->next) != VST_WAIT_TIME)
			if (vst_stopped())
				return VST_EXIT_INTERRUPTED;
		g->next = vst_pace(g->next, g->delay, vst_now());
		rc = ask(g, &anew);
		if (rc)
			return rc;
		if (anew)
			vst_error("the agent was started anew, its counters too: this interval is lost, going on from "
				  "here");
	}
	return 0;
}

static int sample(const struct vst_ctl *ctl, struct vst_growth *g, const struct vst_growth_wish *wish,
		  vst_growth_show *show)
{
	bool anew;
	int rc = ask(g, &anew);

	if (!rc && !json_is_true(json_object_get(g->snapshot, "watched"))) {
		vst_error("the agent does not watch locks on this host: 'vstorctl doctor' says why");
		return VST_EXIT_UNSUPPORTED;
	}
	if (!rc && wish->total)
		show(ctl, g);
	for (unsigned long i = 0; !rc && !wish->total && (!wish->samples || i < wish->samples); i++) {
		rc = next(g);
		if (rc)
			break;
		if (i && !ctl->json)
			putchar('\n');
		show(ctl, g);
		if (vst_output_lost())
			break;
	}
	return rc;
}

int vst_growth_run(const struct vst_ctl *ctl, const char *command, const char *path, const char *type,
		   vst_growth_show *show)
{
	struct vst_growth_wish wish = { .delay = 1, .samples = 1, .total = ctl->opt[OPT_TOTAL] };
	struct vst_growth g = { .path = path, .type = type };
	int rc;

	if (vst_opt_seconds(ctl, command, 'd', &wish.delay) || vst_opt_count(ctl, command, 'n', &wish.samples))
		return VST_EXIT_USAGE;
	if (wish.total && (ctl->opt['d'] || ctl->opt['n']))
		return vst_usage(command, "--total is one answer at once: it has no -d or -n");
	vst_signals_catch(false);
	g.client = vst_client_new(ctl->socket);
	g.delay = wish.delay;
	g.next = vst_now() + wish.delay;
	rc = sample(ctl, &g, &wish, show);
	vst_client_free(g.client);
	json_decref(g.before);
	json_decref(g.now);
	json_decref(g.snapshot);
	return rc;
}
