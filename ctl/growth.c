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

static double number(const json_t *obj, const char *field)
{
	return json_number_value(json_object_get(obj, field));
}

double vst_growth_of(const json_t *row, const json_t *before, const char *field)
{
	return vst_delta_real(number(row, field), number(before, field));
}

const json_t *vst_growth_before(const struct vst_growth *g, const char *id)
{
	return json_object_get(g->before, id);
}

double vst_growth_interval(const struct vst_growth *g)
{
	return g->interval;
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
	const char *type = vst_wire_text(line, "type");
	struct vst_growth *g = growth;
	char id[32];

	if (!strcmp(type, "snapshot")) {
		if (!*vst_wire_text(line, "instance") || !json_is_number(json_object_get(line, "uptime")) ||
		    g->new_snapshot)
			return -EPROTO;
		g->new_snapshot = json_incref(line);
	} else if (!strcmp(type, g->type)) {
		if (!g->new_snapshot || !json_is_integer(json_object_get(line, "row")))
			return -EPROTO;
		snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(json_object_get(line, "row")));
		json_object_set(g->coming, id, line);
	}
	return 0; /* lines of other types are from a newer agent */
}

int vst_growth_commit(struct vst_growth *g, enum vst_commit_result *ret)
{
	enum vst_delta_base base;

	if (!g->new_snapshot)
		return -EPROTO;
	base = vst_delta_interval(vst_wire_text(g->new_snapshot, "instance"), number(g->new_snapshot, "uptime"),
				  vst_wire_text(g->snapshot, "instance"), number(g->snapshot, "uptime"), &g->interval);
	if (base == VST_DELTA_RESTARTED) {
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
	*ret = base == VST_DELTA_FIRST ? VST_COMMIT_FIRST : VST_COMMIT_SAMPLE;
	return 0;
}
