// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "agent/insight/scope.h"

int vst_scope_parse(const char *word)
{
	if (!strcmp(word, "on"))
		return VST_INSIGHT_FULL;
	if (!strcmp(word, "off"))
		return VST_INSIGHT_OFF;
	if (!strcmp(word, "default"))
		return VST_INSIGHT__N;
	return -EINVAL;
}

static size_t place_of(const struct vst_scopes *s, __u32 number)
{
	size_t i = 0;

	while (i < s->n && s->list[i].number != number)
		i++;
	return i;
}

int vst_scope_set(struct vst_scopes *s, __u32 number, int mode, double now)
{
	size_t i = place_of(s, number);

	if (mode == VST_INSIGHT__N) {
		vst_scope_drop(s, number);
		return 0;
	}
	if (i == VST_SCOPES_MAX)
		return -ENOSPC;
	if (i < s->n && s->list[i].mode == mode) /* it goes on as before */
		return 0;
	s->list[i] = (struct vst_scope){ .number = number, .mode = (__u8)mode, .since = now };
	s->n += i == s->n;
	return 0;
}

void vst_scope_drop(struct vst_scopes *s, __u32 number)
{
	size_t i = place_of(s, number);

	if (i < s->n)
		s->list[i] = s->list[--s->n];
}

struct vst_scope_view vst_scope_of(const struct vst_scopes *s, __u32 number, double born)
{
	size_t i = place_of(s, number);
	struct vst_scope_view v = { .mode = s->mode };

	if (i < s->n) {
		v.mode = s->list[i].mode;
		v.set = true;
		v.since = s->list[i].since;
	} else {
		v.since = s->since > 0 && born > s->since ? born : s->since;
	}
	if (v.mode == VST_INSIGHT_OFF)
		v.since = 0;
	return v;
}

bool vst_scope_any(const struct vst_scopes *s)
{
	return s->mode != VST_INSIGHT_OFF || vst_scope_any_full(s);
}

bool vst_scope_any_full(const struct vst_scopes *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].mode == VST_INSIGHT_FULL)
			return true;
	return s->mode == VST_INSIGHT_FULL;
}
