// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/log.h"
#include "agent/sinks/stuck.h"

#define LINES 20   /* a minute */
#define KNOWN 1024 /* rows that are remembered; of more nothing is told */

/* A row that was old. */
struct stuck_row {
	__u8 list; /* enum vst_snap_list */
	__u32 id;
	__u64 since_ns;
	unsigned int told;
	bool seen; /* in this look */
	char text[VST_STUCK_TEXT];
};

struct vst_stuck {
	struct stuck_row *known;
	size_t n, cap;
	double minute; /* when it began */
	unsigned int lines, left_out;
};

unsigned int vst_stuck_times(double age)
{
	if (age < VST_STUCK_AGE)
		return 0;
	if (age < 10)
		return 1;
	return age < 60 ? 2 : 3 + (unsigned int)((age - 60) / 600);
}

int vst_stuck_new(struct vst_stuck **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void vst_stuck_free(struct vst_stuck *st)
{
	if (st)
		free(st->known);
	free(st);
}

bool vst_stuck_any(const struct vst_stuck *st)
{
	return st->n > 0;
}

/* --- words --- */

/* Since when, by the clock on the wall: "17:05:03". */
static void time_text(const struct vst_snapshot *s, __u64 since_ns, char *buf, size_t size)
{
	time_t at = (time_t)(s->unix_time - (s->time - (double)since_ns / 1e9));
	struct tm tm;

	if (!localtime_r(&at, &tm) || !strftime(buf, size, "%H:%M:%S", &tm))
		snprintf(buf, size, "?");
}

static void sanitize(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static const char *name_of(const struct vst_snapshot *s, __u32 container)
{
	const struct vst_snap_container *c = vst_snapshot_container(s, container);

	return c ? c->display : "unattributed";
}

void vst_stuck_io_text(const struct vst_snapshot *s, const struct vst_snap_io *io, char text[VST_STUCK_TEXT])
{
	const struct vst_snap_device *d = vst_snapshot_device_of(s, io->dev);
	const char *op = vst_op_name(io->op);
	char since[16], dev[32];

	snprintf(dev, sizeof(dev), "%u:%u", io->dev >> 20, io->dev & 0xfffff);
	time_text(s, io->oldest_ns, since, sizeof(since));
	snprintf(text, VST_STUCK_TEXT,
		 "%.200s waits for disk %.60s since %s: %u %s request%s in flight and did not complete",
		 name_of(s, io->container), d ? d->name : dev, since, io->in_flight, op,
		 io->in_flight == 1 ? " is" : "s are");
	sanitize(text);
}

void vst_stuck_wait_text(const struct vst_snapshot *s, const struct vst_snap_wait *w, char text[VST_STUCK_TEXT])
{
	const char *of = w->object && *w->object ? " of " : "", *object = *of ? w->object : "";
	char since[16], tasks[32];

	time_text(s, w->oldest_ns, since, sizeof(since));
	snprintf(tasks, sizeof(tasks), w->waiting == 1 ? "1 task waits" : "%u tasks wait", w->waiting);
	if (w->type == VST_WAIT_FREEZE)
		snprintf(text, VST_STUCK_TEXT, "%.120s: %s since %s because the file system on %.60s is frozen",
			 name_of(s, w->waiter), tasks, since, w->name);
	else if (w->type == VST_WAIT_JOURNAL)
		snprintf(text, VST_STUCK_TEXT, "%.120s: %s since %s for the journal of the file system on %.60s",
			 name_of(s, w->waiter), tasks, since, w->name);
	else if (w->type == VST_WAIT_DIRTY)
		snprintf(text, VST_STUCK_TEXT, "%.120s: %s since %s for %.60s to write dirty pages",
			 name_of(s, w->waiter), tasks, since, w->name);
	else
		snprintf(text, VST_STUCK_TEXT, "%.120s: %s since %s for %s %.100s%s%.150s", name_of(s, w->waiter),
			 tasks, since, vst_wait_type_name(w->type), w->name, of, object);
	sanitize(text);
}

/* --- what was told --- */

static bool may_tell(struct vst_stuck *st, double now)
{
	if (now - st->minute >= 60) {
		if (st->left_out)
			vst_warn("%u more reports of waits that take long were left out in the last minute",
				 st->left_out);
		st->minute = now;
		st->lines = st->left_out = 0;
	}
	if (st->lines < LINES) {
		st->lines++;
		return true;
	}
	st->left_out++;
	return false;
}

static struct stuck_row *known_of(struct vst_stuck *st, __u8 list, __u32 id)
{
	struct stuck_row *k;
	size_t cap;

	for (size_t i = 0; i < st->n; i++)
		if (st->known[i].id == id && st->known[i].list == list)
			return &st->known[i];
	if (st->n == KNOWN)
		return NULL;
	if (st->n == st->cap) {
		cap = st->cap ? 2 * st->cap : 16;
		k = realloc(st->known, cap * sizeof(*k));
		if (!k)
			return NULL;
		st->known = k;
		st->cap = cap;
	}
	k = &st->known[st->n++];
	*k = (struct stuck_row){ .list = list, .id = id };
	return k;
}

static void look_one(struct vst_stuck *st, const struct vst_snapshot *s, enum vst_snap_list list, __u32 id,
		     __u64 since_ns, const void *value)
{
	double age = s->time - (double)since_ns / 1e9;
	unsigned int times = vst_stuck_times(age);
	struct stuck_row *k = times ? known_of(st, list, id) : NULL;

	if (!k)
		return;
	k->seen = true;
	if (k->since_ns != since_ns && times < k->told) /* another request or task is the oldest now */
		k->told = times;
	k->since_ns = since_ns;
	if (list == VST_SNAP_IOS)
		vst_stuck_io_text(s, value, k->text);
	else
		vst_stuck_wait_text(s, value, k->text);
	if (k->told >= times)
		return;
	k->told = times;
	if (may_tell(st, s->time))
		vst_warn("%s, for %.0f s", k->text, age);
}

static void forget_ended(struct vst_stuck *st, double now)
{
	size_t kept = 0;

	for (size_t i = 0; i < st->n; i++) {
		struct stuck_row *k = &st->known[i];

		if (!k->seen) {
			if (may_tell(st, now))
				vst_info("over after %.0f s: %s", now - (double)k->since_ns / 1e9, k->text);
			continue;
		}
		k->seen = false;
		if (kept != i)
			st->known[kept] = *k;
		kept++;
	}
	st->n = kept;
}

void vst_stuck_look(struct vst_stuck *st, const struct vst_snapshot *s)
{
	const struct vst_snap_wait *w;
	const struct vst_snap_io *io;

	vst_snapshot_for_each(s, VST_SNAP_IOS, io, i) if (io->in_flight)
		look_one(st, s, VST_SNAP_IOS, io->id, io->oldest_ns, io);
	/* of pairs the waiter's row tells, but for disks, of which the row of its I/O does */
	vst_snapshot_for_each(s, VST_SNAP_WAITS, w, i) if (w->waiting && w->side == VST_WAIT_OF_WAITER)
		look_one(st, s, VST_SNAP_WAITS, w->id, w->oldest_ns, w);
	forget_ended(st, s->time);
}
