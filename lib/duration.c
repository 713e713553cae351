// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/duration.h"

int vst_duration_parse(const char *text, double least, double most, double *ret)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = { { "ms", 1e-3 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
	const size_t n = sizeof(units) / sizeof(units[0]);
	double sum = 0, v;
	char *rest;
	size_t i;

	if (!*text)
		return -EINVAL;
	while (*text) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		v = strtod(text, &rest);
		if (rest != text + strspn(text, "0123456789.")) /* 0x10 and 1e3 are numbers to strtod() */
			return -EINVAL;
		for (i = 0; i < n && strncmp(rest, units[i].name, strlen(units[i].name)) != 0; i++)
			;
		if (i == n && *rest)
			return -EINVAL;
		sum += v * (i < n ? units[i].seconds : 1);
		text = rest + (i < n ? strlen(units[i].name) : 0);
	}
	if (!(sum >= least && sum <= most))
		return -ERANGE;
	*ret = sum;
	return 0;
}
