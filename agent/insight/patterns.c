// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/insight/alarm.h"
#include "agent/insight/file_text.h"
#include "agent/insight/patterns.h"
#include "agent/insight/verdict.h"

#define MARKS_EVERY 60 /* seconds between two rounds of aging */
#define MARKS_AGE 5    /* rounds */
#define ATTRS_FOR 60   /* seconds after the last write that the class of a file is of interest */

/* What is known of a place of the probe's table. */
struct known_file {
	__u64 inode, ino, seen_ns;
	const struct vst_container *owner; /* of a value that is in no snapshot yet */
	struct vst_snap_pattern *value;
	bool changed, alarmed;
};

struct vst_patterns {
	struct vst_alarms alarm;
	struct known_file known[VST_FILES];
	double aged, collected;
	__u64 writes, alarms;
};

int vst_patterns_new(struct vst_patterns **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void vst_patterns_free(struct vst_patterns *p)
{
	if (!p)
		return;
	for (int i = 0; i < VST_FILES; i++)
		vst_value_unref(p->known[i].value);
	free(p);
}

/* --- what reaches the rows --- */

static void mark(struct vst_mark *marks, const struct vst_file *f, int pattern)
{
	struct vst_mark *m = &marks[vst_mark_place(f->inode)];
	__u8 bits = pattern < 0 ? 0 : (__u8)(1U << pattern);

	if (m->inode == f->inode && m->ino == (__u32)f->ino) {
		m->patterns = bits;
		m->age = 0;
	} else if (bits) {
		__atomic_store_n(&m->inode, 0, __ATOMIC_RELEASE);
		m->ino = (__u32)f->ino;
		m->hint = 0;
		m->age = 0;
		m->patterns = bits;
		__atomic_store_n(&m->inode, f->inode, __ATOMIC_RELEASE);
	}
}

static void age_marks(struct vst_patterns *p, struct vst_mark *marks, double now)
{
	if (now - p->aged < MARKS_EVERY)
		return;
	p->aged = now;
	for (int i = 0; i < 1 << VST_MARK_BITS; i++)
		if (marks[i].inode && ++marks[i].age > MARKS_AGE)
			marks[i].inode = 0;
}

/* --- files --- */

static struct vst_snap_pattern *value_of(const struct vst_file *f, const struct vst_io_row *row,
					 const struct vst_file_verdict *v)
{
	struct vst_snap_pattern *value = vst_value_new(VST_SNAP_PATTERNS);
	char file[VST_FILE_TEXT], source[VST_FILE_TEXT];

	if (!value)
		return NULL;
	vst_file_text(&f->name, file);
	vst_file_text(&f->source, source);
	value->file = strdup(file);
	value->source = strdup(v->pattern == VST_PATTERN_COPY ? source : "");
	value->evidence = strdup(v->evidence);
	if (!value->file || !value->source || !value->evidence) {
		vst_value_unref(value);
		return NULL;
	}
	value->dev = row->value->dev;
	value->pattern = (__u8)v->pattern;
	value->confidence = v->confidence;
	value->bytes = f->bytes;
	value->last_ns = f->last_ns;
	return value;
}

static void known_clear(struct known_file *k)
{
	k->changed = k->changed || k->value;
	vst_value_unref(k->value);
	k->value = NULL;
	k->owner = NULL;
}

/* Once for each file. */
static void note_encrypted(struct vst_patterns *p, struct known_file *k, const struct vst_file *f,
			   const struct vst_container *c, double now)
{
	if (k->alarmed)
		return;
	k->alarmed = true;
	if (!vst_alarm_note(&p->alarm, c->number, f->count, now))
		return;
	p->alarms++;
	vst_warn(
		"container '%s' wrote %u files that look encrypted within %d s: if it is not meant to encrypt, stop it "
		"and look at `vstorctl patterns %s`",
		c->display, vst_alarm_files(&p->alarm, c->number, now), VST_ALARM_SECONDS, c->display);
}

__u32 vst_patterns_encrypting(struct vst_patterns *p, const struct vst_container *c, double now)
{
	return p->alarms ? vst_alarm_files(&p->alarm, c->number, now) : 0;
}

__u64 vst_patterns_alarms(const struct vst_patterns *p)
{
	return p->alarms;
}

static void look(struct vst_patterns *p, unsigned int at, const struct vst_maps *m, const struct vst_io_row *row,
		 double observed, double now)
{
	const struct vst_file *f = &m->files[at];
	struct known_file *k = &p->known[at];
	struct vst_file_verdict v;

	if (k->inode != f->inode || k->ino != f->ino) {
		known_clear(k);
		k->inode = f->inode;
		k->ino = f->ino;
		k->alarmed = false;
	}
	k->seen_ns = f->last_ns;
	vst_verdict_decide(f, row->container->insight == VST_INSIGHT_FULL ? 1 : observed, &v);
	mark(m->marks, f, v.pattern);
	if (v.pattern == VST_PATTERN_ENCRYPT)
		note_encrypted(p, k, f, row->container, now);
	known_clear(k);
	if (v.pattern < 0)
		return;
	k->value = value_of(f, row, &v);
	k->owner = row->container;
	k->changed = true;
}

/* Sets how many writes are sampled by how many there were, and how many samples may be taken until the next time. */
static void set_every(struct vst_patterns *p, struct vst_insight *in, double now)
{
	double passed = now - p->collected;

	if (p->collected > 0 && passed > 0) {
		in->every = vst_verdict_every((double)(in->writes - p->writes) / passed);
		in->chunks_left = vst_verdict_allow(in->chunks_left, VST_CHUNKS_PER_SECOND, passed);
		in->heads_left = vst_verdict_allow(in->heads_left, VST_HEADS_PER_SECOND, passed);
	}
	p->writes = in->writes;
	p->collected = now;
}

void vst_patterns_collect(struct vst_patterns *p, const struct vst_io_table *t, const struct vst_probes *probes,
			  struct vst_attrs *attrs, double observed, double now)
{
	const struct vst_maps *m = vst_probes_maps(probes);
	const struct vst_io_row *row;

	age_marks(p, m->marks, now);
	if (!m->insight)
		return;
	set_every(p, m->insight, now);
	for (int i = 0; i < VST_FILES; i++) {
		const struct vst_file *f = &m->files[i];
		struct known_file *k = &p->known[i];

		if (f->inode && now - (double)f->last_ns / 1e9 < ATTRS_FOR)
			vst_attrs_offer(attrs, m, &f->name, now);
		if (k->value && now - (double)k->seen_ns / 1e9 > VST_PATTERNS_KEEP)
			known_clear(k);
		if (!f->inode || (f->last_ns == k->seen_ns && f->inode == k->inode))
			continue;
		row = f->row && f->row < VST_ROWS ? t->numbers[f->row].row : NULL;
		if (row) /* else none of it has reached the disk */
			look(p, (unsigned int)i, m, row, observed, now);
	}
}

int vst_patterns_put(struct vst_patterns *p, struct vst_snapshot *s)
{
	int err = 0;

	for (int i = 0; i < VST_FILES && !err; i++) {
		struct known_file *k = &p->known[i];

		if (!k->changed)
			continue;
		k->changed = false;
		if (k->value && k->owner) {
			k->value->container = k->owner->place;
			k->owner = NULL;
		}
		err = vst_snapshot_put(s, VST_SNAP_PATTERNS, (__u32)i, vst_value_ref(k->value));
	}
	return err;
}
