/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include "growth.h"

struct vst_growth *vst_growth_new(const char *type)
{
	struct vst_growth *g = vst_alloc(sizeof(*g));

	g->type = type;
	return g;
}

void vst_growth_forget(struct vst_growth *g)
{
	const char *type = g->type;

	json_decref(g->before);
	json_decref(g->now);
	json_decref(g->coming);
	json_decref(g->was);
	json_decref(g->snapshot);
	json_decref(g->new_snapshot);
	*g = (struct vst_growth){ .type = type };
}

void vst_growth_free(struct vst_growth *g)
{
	if (!g)
		return;
	vst_growth_forget(g);
	free(g);
}

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
	return number(g->snapshot, "uptime") - number(g->was, "uptime");
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

/* --- replies --- */

void vst_growth_begin(struct vst_growth *g)
{
	json_decref(g->coming);
	json_decref(g->new_snapshot);
	g->coming = json_object();
	g->new_snapshot = NULL;
}

int vst_growth_line(void *growth, json_t *line)
{
	const char *type = vst_growth_text(line, "type");
	struct vst_growth *g = growth;
	char id[32];

	if (!strcmp(type, "snapshot")) {
		if (!*vst_growth_text(line, "instance") || !json_is_number(json_object_get(line, "uptime")) ||
		    g->new_snapshot)
			return -EPROTO;
		g->new_snapshot = json_incref(line);
	} else if (!strcmp(type, g->type)) {
		if (!g->new_snapshot || !json_is_integer(json_object_get(line, "row")))
			return -EPROTO;
		snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(json_object_get(line, "row")));
		json_object_set(g->coming, id, line);
	}
	return 0; /* a newer agent may have more to say */
}

int vst_growth_commit(struct vst_growth *g, enum vst_commit *ret)
{
	bool first = !g->snapshot;

	if (!g->new_snapshot)
		return -EPROTO;
	if (!first && strcmp(vst_growth_text(g->snapshot, "instance"), vst_growth_text(g->new_snapshot, "instance"))) {
		vst_growth_forget(g);
		*ret = VST_COMMIT_RESTARTED;
		return 0;
	}
	json_decref(g->before);
	json_decref(g->was);
	g->before = g->now;
	g->was = g->snapshot;
	g->now = g->coming;
	g->snapshot = g->new_snapshot;
	g->coming = NULL;
	g->new_snapshot = NULL;
	*ret = first ? VST_COMMIT_FIRST : VST_COMMIT_SAMPLE;
	return 0;
}
