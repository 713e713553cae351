/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/step.h"

static const char *const state_names[] = {
	[VST_KNOB_PLANNED] = "planned",	  [VST_KNOB_APPLIED] = "applied", [VST_KNOB_REVERTED] = "reverted",
	[VST_KNOB_CONFLICT] = "conflict", [VST_KNOB_REFUSED] = "refused",
};
_Static_assert(sizeof(state_names) / sizeof(*state_names) == VST_KNOB_STATE__N, "each state has a name");

const char *vst_knob_state_name(enum vst_knob_state state)
{
	return state < VST_KNOB_STATE__N ? state_names[state] : "unknown";
}

bool vst_knob_same(const struct vst_knob *a, const struct vst_knob *b)
{
	return a->actuator == b->actuator && (!a->target_id || !b->target_id || a->target_id == b->target_id) &&
	       !strcmp(a->target, b->target) && !strcmp(a->attr, b->attr) && !strcmp(a->key, b->key);
}

const char *vst_knob_describe(const struct vst_knob *knob, char *buf, size_t len)
{
	snprintf(buf, len, "%s%s%s of %s%s", knob->attr, *knob->key ? " " : "", knob->key,
		 knob->actuator == VST_ACTUATOR_IOPRIO ? "thread " : "", knob->target);
	return buf;
}

int vst_knob_init(struct vst_knob *ret, enum vst_actuator_id actuator, const char *target, uint64_t target_id,
		  const char *attr, const char *key)
{
	if (strlen(target) >= sizeof(ret->target) || strlen(attr) >= sizeof(ret->attr) ||
	    strlen(key) >= sizeof(ret->key))
		return -ENAMETOOLONG;
	*ret = (struct vst_knob){ .actuator = actuator, .target_id = target_id };
	strcpy(ret->target, target);
	strcpy(ret->attr, attr);
	strcpy(ret->key, key);
	return 0;
}

void vst_explain(char text[VST_TEXT_MAX], const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (vsnprintf(text, VST_TEXT_MAX, fmt, args) >= VST_TEXT_MAX)
		memcpy(text + VST_TEXT_MAX - 4, "...", 4);
	va_end(args);
}
