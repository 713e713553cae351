// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/sinks/accept.h"

/* The end of the element that begins at s: a comma or the end of the text. */
static const char *element_end(const char *s)
{
	return s + strcspn(s, ",");
}

/* q= among the parameters of an element; 1 if it is not there, 0 if it is no number. */
static double weight(const char *s, const char *end)
{
	char *rest;
	double q;

	for (; s < end; s++) {
		if (*s != ';')
			continue;
		s += 1 + strspn(s + 1, " \t");
		if (s + 2 > end || strncasecmp(s, "q=", 2) != 0) {
			s--;
			continue;
		}
		q = s[2] >= '0' && s[2] <= '9' ? strtod(s + 2, &rest) : 0;
		return q > 1 ? 1 : q;
	}
	return 1;
}

double vst_accept_weight(const char *header, const char *type)
{
	const char *s = header ? header : "", *end;
	size_t len = strlen(type);
	double best = -1, q;

	for (; *s; s = *end ? end + 1 : end) {
		end = element_end(s);
		s += strspn(s, " \t");
		if (s > end || strncasecmp(s, type, len) != 0 || !strchr(" \t;,", s[len]))
			continue; /* strchr finds the terminating NUL too */
		q = weight(s + len, end);
		best = q > best ? q : best;
	}
	return best;
}

bool vst_accept_openmetrics(const char *accept)
{
	double q = vst_accept_weight(accept, "application/openmetrics-text");

	return q > 0 && q >= vst_accept_weight(accept, "text/plain");
}

bool vst_accept_gzip(const char *accept_encoding)
{
	return vst_accept_weight(accept_encoding, "gzip") > 0;
}
