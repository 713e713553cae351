/* SPDX-License-Identifier: GPL-2.0-only */
/* What a client of HTTP says that it accepts: RFC 9110, 12.5. Pure. */
#ifndef VST_ACCEPT_H
#define VST_ACCEPT_H

#include <stdbool.h>

/*
 * The weight, 0 to 1, that a header Accept or Accept-Encoding gives to a type; the highest if it is named several times. -1: it is not named.
 * Wildcards are not looked at. header may be NULL.
 */
double vst_accept_weight(const char *header, const char *type);

/* Does the client prefer OpenMetrics to plain text? */
bool vst_accept_openmetrics(const char *accept);
bool vst_accept_gzip(const char *accept_encoding);

#endif /* VST_ACCEPT_H */
