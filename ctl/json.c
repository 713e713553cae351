/* SPDX-License-Identifier: GPL-2.0-only */
/* What all lines of --json have in common. */
#include <math.h>
#include "ctl.h"

void vst_json_line(json_t *obj)
{
	char *text = json_dumps(obj, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));

	if (text) {
		puts(text);
		free(text);
	} else {
		vst_error("out of memory");
		exit(VST_EXIT_FAILED);
	}
	json_decref(obj);
}

json_t *vst_json_sample(double time, double interval)
{
	json_t *o = json_object();

	json_object_set_new(o, "schema", json_integer(1));
	json_object_set_new(o, "time", json_real(time));
	json_object_set_new(o, "interval", json_real(round(interval * 1e6) / 1e6));
	return o;
}

json_t *vst_json_rounded(double v)
{
	return json_real(round(v * 1e3) / 1e3);
}

void vst_json_optional(json_t *obj, const char *field, const char *text)
{
	if (*text)
		json_object_set_new(obj, field, json_string(text));
}
