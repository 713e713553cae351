/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <math.h>
#include "cost.h"
#include "format.h"

static double event_ns(const json_t *self)
{
	return json_number_value(json_object_get(self, "event_ns"));
}

static bool same_agent(const struct vst_cost *c, const struct vst_reply_head *s)
{
	return !strcmp(c->instance, s->instance);
}

bool vst_cost_wanted(const struct vst_cost *c, const struct vst_reply_head *s)
{
	if (event_ns(s->self) <= 0 || vst_cost_known(c, s))
		return false;
	return !same_agent(c, s) || fabs(c->event_ns - event_ns(s->self)) > 0;
}

bool vst_cost_known(const struct vst_cost *c, const struct vst_reply_head *s)
{
	return same_agent(c, s) && c->runs >= VST_COST_RUNS;
}

double vst_cost_runs(const json_t *probes)
{
	double runs = INFINITY;

	for (size_t i = 0; i < json_array_size(probes); i++) {
		const json_t *p = json_array_get(probes, i);
		const char *name = json_string_value(json_object_get(p, "tracepoint"));

		if (name && (!strcmp(name, "block_rq_issue") || !strcmp(name, "block_rq_complete")))
			runs = fmin(runs, json_number_value(json_object_get(p, "runs")));
	}
	return isfinite(runs) ? runs : 0;
}

int vst_cost_line(void *cost, json_t *line)
{
	const char *instance = json_string_value(json_object_get(line, "instance"));
	const json_t *probes = json_object_get(line, "probes");
	struct vst_cost *c = cost;

	if (!instance || strlen(instance) >= sizeof(c->instance) || !json_is_array(probes))
		return -EPROTO;
	strcpy(c->instance, instance);
	c->runs = vst_cost_runs(probes);
	c->event_ns = event_ns(json_object_get(line, "self"));
	return 0;
}

char *vst_cost_given_up(const json_t *self)
{
	const char *part;
	struct vst_text t;
	size_t i;
	json_t *p;

	vst_text_open(&t);
	json_array_foreach(json_object_get(self, "given_up"), i, p)
	{
		part = json_string_value(p);
		fprintf(t.out, "%s%s", i ? ", " : "", part ? part : "?");
	}
	return vst_text_close(&t);
}
