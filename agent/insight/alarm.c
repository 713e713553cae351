// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "agent/insight/alarm.h"
#include "agent/insight/verdict.h"

#define SLICE ((double)VST_ALARM_SECONDS / VST_ALARM_SLICES)

/* Forgets what is too old. */
static void advance(struct vst_alarm_row *r, double now)
{
	for (int i = 0; i < VST_ALARM_SLICES && now - r->at >= SLICE; i++) {
		memmove(&r->slice[1], &r->slice[0], (VST_ALARM_SLICES - 1) * sizeof(r->slice[0]));
		memset(&r->slice[0], 0, sizeof(r->slice[0]));
		r->at += SLICE;
	}
	if (now - r->at >= SLICE)
		r->at = now;
}

/*
 * A small file has few samples, so the bytes of all are judged together: those of many compressed files, which a compiler's cache
 * writes, are not random then.
 */
static __u32 files_of(const struct vst_alarm_row *r)
{
	__u32 count[256] = { 0 }, files = 0;

	for (int i = 0; i < VST_ALARM_SLICES; i++) {
		files += r->slice[i].files;
		for (int b = 0; b < 256; b++)
			count[b] += r->slice[i].count[b];
	}
	return files >= VST_ALARM_FILES && vst_verdict_distance(count) < VST_RANDOM_WITHIN ? files : 0;
}

static struct vst_alarm_row *row_of(struct vst_alarms *a, __u32 number, bool make, double now)
{
	struct vst_alarm_row *oldest = &a->row[0], *r;

	for (r = a->row; r < a->row + VST_ALARM_CONTAINERS; r++) {
		if (r->number == number)
			return r;
		if (!r->number || (oldest->number && r->at < oldest->at))
			oldest = r;
	}
	if (!make)
		return NULL;
	memset(oldest, 0, sizeof(*oldest));
	oldest->number = number;
	oldest->at = now;
	return oldest;
}

bool vst_alarm_note(struct vst_alarms *a, __u32 number, const __u16 count[256], double now)
{
	struct vst_alarm_row *r = row_of(a, number, true, now);

	advance(r, now);
	r->slice[0].files++;
	for (int b = 0; b < 256; b++)
		r->slice[0].count[b] += count[b];
	if (!files_of(r) || r->ringing)
		return false;
	r->ringing = true;
	return true;
}

__u32 vst_alarm_files(struct vst_alarms *a, __u32 number, double now)
{
	struct vst_alarm_row *r = row_of(a, number, false, now);
	__u32 files;

	if (!r)
		return 0;
	advance(r, now);
	files = files_of(r);
	if (!files)
		r->ringing = false;
	return files;
}
