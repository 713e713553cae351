/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "lib/duration.h"
#include "moment.h"

/* A second that was typed without a fraction goes on until the next one; what was recorded in it belongs to it. */
static double until(double seconds, bool has_fraction)
{
	return has_fraction ? seconds + 0.5e-6 : seconds + 1 - 0.5e-6;
}

static int parse_unix(const char *text, double *ret)
{
	char *rest;
	double v;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	v = strtod(text, &rest);
	if (*rest || !isfinite(v) || v > 1e11)
		return -EINVAL;
	*ret = until(v, strchr(text, '.') != NULL);
	return 0;
}

/* "HH:MM", "HH:MM:SS", "HH:MM:SS.FRACTION" into tm. 0 or -EINVAL. */
static int parse_clock(const char *text, struct tm *tm, double *ret_fraction, bool *ret_has_fraction)
{
	const char *rest = strptime(text, "%H:%M", tm);
	char *end;

	*ret_fraction = 0;
	*ret_has_fraction = false;
	tm->tm_sec = 0;
	if (!rest)
		return -EINVAL;
	if (*rest == ':')
		rest = strptime(rest, ":%S", tm);
	if (rest && *rest == '.') {
		*ret_fraction = strtod(rest, &end);
		*ret_has_fraction = true;
		rest = end;
	}
	return rest && !*rest && *ret_fraction < 1 ? 0 : -EINVAL;
}

int vst_moment_parse(const char *text, double latest, double *ret_until)
{
	struct tm tm = { 0 }, date;
	const char *day;
	time_t now = (time_t)latest, at;
	bool has_fraction;
	double v;

	if (*text == '@')
		return parse_unix(text + 1, ret_until);
	if (*text == '-') {
		if (vst_duration_parse(text + 1, 0, VST_DURATION_MAX, &v))
			return -EINVAL;
		*ret_until = latest - v;
		return 0;
	}
	if (!localtime_r(&now, &tm))
		return -EINVAL;
	date = tm; /* strptime() writes to it also if it fails */
	day = strptime(text, "%Y-%m-%d", &date);
	if (day && *day != ' ' && *day != 'T')
		return -EINVAL;
	if (day)
		tm = date;
	if (parse_clock(day ? day + 1 : text, &tm, &v, &has_fraction))
		return -EINVAL;
	tm.tm_isdst = -1;
	at = mktime(&tm);
	if (!day && (double)at > latest) { /* mktime() takes care of the first of a month */
		tm.tm_mday--;
		tm.tm_isdst = -1;
		at = mktime(&tm);
	}
	if (at == (time_t)-1)
		return -EINVAL;
	*ret_until = until((double)at + v, has_fraction);
	return 0;
}
