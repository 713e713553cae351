/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/duration.h"

#define MOST_SECONDS 1e9

static const struct {
	const char *name;
	double seconds;
} units[] = { { "ms", 1e-3 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };

#define UNITS (sizeof(units) / sizeof(units[0]))

/* A decimal number: strtod() alone also takes 0x10, 1e3, inf and nan. The end of it, or NULL. */
static const char *take_number(const char *text, double *ret)
{
	size_t len = strspn(text, "0123456789.");
	char *rest;

	*ret = strtod(text, &rest);
	return len && rest == text + len ? rest : NULL;
}

int vst_duration_parse(const char *text, double *ret)
{
	double sum = 0, v;
	size_t i;

	if (!*text)
		return -EINVAL;
	while (*text) {
		text = take_number(text, &v);
		if (!text)
			return -EINVAL;
		for (i = 0; i < UNITS && strncmp(text, units[i].name, strlen(units[i].name)) != 0; i++)
			;
		if (i == UNITS && *text)
			return -EINVAL;
		sum += v * (i < UNITS ? units[i].seconds : 1);
		text += i < UNITS ? strlen(units[i].name) : 0;
	}
	if (!(sum > 0 && sum <= MOST_SECONDS))
		return -EINVAL;
	*ret = sum;
	return 0;
}
