// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/log.h"

static enum vst_log_level log_max = VST_LOG_INFO;
static bool log_priority; /* stderr goes to the journal */

void vst_log_open(enum vst_log_level max)
{
	log_max = max;
	log_priority = getenv("JOURNAL_STREAM") != NULL;
}

void vst_log(enum vst_log_level level, const char *fmt, ...)
{
	char line[2048];
	va_list args;
	int n;

	if (level > log_max)
		return;
	va_start(args, fmt);
	n = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	while (n > 0 && (size_t)n < sizeof(line) && line[n - 1] == '\n')
		line[--n] = 0;
	if (log_priority)
		fprintf(stderr, "<%d>%s\n", level, line);
	else
		fprintf(stderr, "vstord: %s\n", line);
}
