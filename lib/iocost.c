// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/iocost.h"

#define LATE 16.0	 /* single requests one after the other */
#define LATE_MIN_US 1000 /* below that, the time in which interrupts and threads are served decides */

static bool is_known(const struct vst_disk_speed *s)
{
	return s->bytes_per_s >= 1 && s->seq_iops >= 1 && s->rand_iops >= 1 && s->p95_us > 0;
}

static unsigned long long part(double speed, double share)
{
	double v = speed * share;

	return v < 1 ? 1 : (unsigned long long)v;
}

int vst_iocost_model(const struct vst_disk_speed *read, const struct vst_disk_speed *write, double share,
		     char ret[VST_IOCOST_TEXT])
{
	if (!is_known(read) || !is_known(write) || !(share > 0))
		return -EINVAL;
	snprintf(ret, VST_IOCOST_TEXT,
		 "ctrl=user model=linear rbps=%llu rseqiops=%llu rrandiops=%llu wbps=%llu wseqiops=%llu wrandiops=%llu",
		 part(read->bytes_per_s, share), part(read->seq_iops, share), part(read->rand_iops, share),
		 part(write->bytes_per_s, share), part(write->seq_iops, share), part(write->rand_iops, share));
	return 0;
}

static unsigned long late_us(const struct vst_disk_speed *s)
{
	double us = LATE * s->p95_us;

	return us < LATE_MIN_US ? LATE_MIN_US : (unsigned long)us;
}

int vst_iocost_qos(const struct vst_disk_speed *read, const struct vst_disk_speed *write, char ret[VST_IOCOST_TEXT])
{
	if (!is_known(read) || !is_known(write))
		return -EINVAL;
	snprintf(ret, VST_IOCOST_TEXT,
		 "enable=1 ctrl=user rpct=95.00 rlat=%lu wpct=95.00 wlat=%lu min=25.00 max=100.00", late_us(read),
		 late_us(write));
	return 0;
}

void vst_iocost_hwdb_value(const char *line, char *ret)
{
	static const char *const settings[] = { "ctrl=", "model=", "enable=" };
	size_t len, used = 0;

	for (; *line; line += len + strspn(line + len, " ")) {
		bool skip = false;

		len = strcspn(line, " ");
		for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
			skip = skip || !strncmp(line, settings[i], strlen(settings[i]));
		if (skip || used + len + 2 > VST_IOCOST_TEXT)
			continue;
		if (used)
			ret[used++] = ' ';
		memcpy(ret + used, line, len);
		used += len;
	}
	ret[used] = 0;
}

static void glob_safe(const char *text, char *ret, size_t size)
{
	size_t n = strlen(text), i;

	while (n && text[n - 1] == ' ') /* sysfs pads names with blanks; udev's rule strips them */
		n--;
	for (i = 0; i < n && i + 1 < size; i++) {
		unsigned char c = (unsigned char)text[i];

		ret[i] = c < ' ' || c > '~' || strchr("*?[]\\:", c) ? '?' : (char)c;
	}
	ret[i] = 0;
}

int vst_iocost_hwdb_match(const char *model, const char *revision, char *ret, size_t size)
{
	char name[128], rev[64];
	int n;

	if (strlen(model) >= sizeof(name) || strlen(revision) >= sizeof(rev))
		return -ENAMETOOLONG;
	glob_safe(model, name, sizeof(name));
	glob_safe(revision, rev, sizeof(rev));
	n = snprintf(ret, size, "block:*:name:%s:fwrev:%s:", name, *rev ? rev : "*");
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}
