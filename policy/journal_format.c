/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "policy/journal_format.h"

#define FRAME_MAGIC 0x4a545356U /* "VSTJ" */

enum { FORMAT_VERSION = 1 };

/* The longest payload: an intent whose strings are all full. Each string has a length of two bytes before it. */
_Static_assert(VST_FRAME_HEADER + 64 + 9 * 2 + VST_TARGET_MAX + VST_ATTR_TEXT_MAX + VST_KEY_MAX + 4 * VST_VALUE_MAX +
			       VST_RULE_MAX + VST_WHY_MAX <=
		       VST_FRAME_MAX,
	       "an intent fits into a frame");

/* --- open knobs --- */

static uint64_t knob_hash(const struct vst_knob *knob)
{
	uint64_t h = 0xcbf29ce484222325ULL ^ knob->actuator;
	const char *const parts[] = { knob->target, knob->attr, knob->key };

	for (int i = 0; i < 3; i++) {
		for (const char *c = parts[i]; *c; c++)
			h = (h ^ (uint8_t)*c) * 0x100000001b3ULL;
		h = (h ^ 0xff) * 0x100000001b3ULL; /* no byte of a string: separates the parts */
	}
	return h;
}

void vst_entries_free(struct vst_entries *entries)
{
	for (unsigned int i = 0; i < entries->n; i++)
		free(entries->at[i]);
	free(entries->at);
	free(entries->hash);
	*entries = (struct vst_entries){ 0 };
}

struct vst_entry *vst_entries_find(const struct vst_entries *entries, const struct vst_knob *knob)
{
	uint64_t hash = knob_hash(knob);

	for (unsigned int i = entries->n; i-- > 0;)
		if (entries->hash[i] == hash && vst_knob_same(&entries->at[i]->knob, knob))
			return entries->at[i];
	return NULL;
}

static int entries_grow(struct vst_entries *entries)
{
	unsigned int cap = entries->cap ? entries->cap * 2 : 64;
	struct vst_entry **at = realloc(entries->at, cap * sizeof(*at));
	uint64_t *hash;

	if (!at)
		return -ENOMEM;
	entries->at = at;
	hash = realloc(entries->hash, cap * sizeof(*hash));
	if (!hash)
		return -ENOMEM;
	entries->hash = hash;
	entries->cap = cap;
	return 0;
}

struct vst_entry *vst_entries_add(struct vst_entries *entries, const struct vst_entry *entry)
{
	struct vst_entry *e;

	if (entries->n >= VST_KNOBS_MAX || (entries->n == entries->cap && entries_grow(entries)))
		return NULL;
	e = malloc(sizeof(*e));
	if (!e)
		return NULL;
	*e = *entry;
	e->slot = entries->next_slot++;
	entries->hash[entries->n] = knob_hash(&e->knob);
	entries->at[entries->n++] = e;
	return e;
}

/* Index of the first entry whose slot is not below this one: slots ascend, because entries are only added at the end. */
static unsigned int slot_index(const struct vst_entries *entries, uint32_t slot)
{
	unsigned int lo = 0, hi = entries->n;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (entries->at[mid]->slot < slot)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void vst_entries_remove(struct vst_entries *entries, struct vst_entry *entry)
{
	unsigned int i = slot_index(entries, entry->slot);

	free(entry);
	entries->n--;
	memmove(&entries->at[i], &entries->at[i + 1], (entries->n - i) * sizeof(*entries->at));
	memmove(&entries->hash[i], &entries->hash[i + 1], (entries->n - i) * sizeof(*entries->hash));
}

static struct vst_entry *entry_of_slot(const struct vst_entries *entries, uint32_t slot)
{
	unsigned int i = slot_index(entries, slot);

	return i < entries->n && entries->at[i]->slot == slot ? entries->at[i] : NULL;
}

/* --- writing --- */

static uint8_t *put(uint8_t *p, const void *data, size_t len)
{
	memcpy(p, data, len);
	return p + len;
}

static uint8_t *put_u32(uint8_t *p, uint32_t v)
{
	return put(p, &v, sizeof(v));
}

static uint8_t *put_u64(uint8_t *p, uint64_t v)
{
	return put(p, &v, sizeof(v));
}

static uint8_t *put_str(uint8_t *p, const char *s)
{
	uint16_t len = strlen(s);

	return put(put(p, &len, sizeof(len)), s, len);
}

/* The payload is in its place behind the frame's header already. */
static size_t frame_finish(uint8_t *buf, const uint8_t *end)
{
	uint32_t len = end - buf - VST_FRAME_HEADER;

	put_u32(buf, FRAME_MAGIC);
	put_u32(buf + 4, len);
	put_u32(buf + 8, vst_crc32c(buf + VST_FRAME_HEADER, len));
	put_u32(buf + 12, vst_crc32c(buf, 12));
	return VST_FRAME_HEADER + len;
}

size_t vst_frame_header(uint8_t *buf, const char boot_id[VST_BOOT_ID_LEN + 1])
{
	uint8_t *p = put_u32(buf + VST_FRAME_HEADER, VST_EVENT_HEADER);

	p = put_str(put_u32(p, FORMAT_VERSION), boot_id);
	return frame_finish(buf, p);
}

size_t vst_frame_intent(uint8_t *buf, const struct vst_entry *e)
{
	uint8_t *p = put_u32(buf + VST_FRAME_HEADER, VST_EVENT_INTENT);

	p = put_u32(put_u32(p, e->slot), e->conflicts);
	p = put_u64(put_u64(p, e->step_id), e->since_us);
	p = put_u64(put_u32(p, e->knob.actuator), e->knob.target_id);
	p = put_str(put_str(put_str(p, e->knob.target), e->knob.attr), e->knob.key);
	p = put_str(put_str(put_str(put_str(p, e->old), e->written), e->pending), e->foreign);
	p = put_str(put_str(p, e->rule), e->why);
	return frame_finish(buf, p);
}

size_t vst_frame_event(uint8_t *buf, enum vst_journal_event_type type, const struct vst_entry *e)
{
	uint8_t *p = put_u32(put_u32(buf + VST_FRAME_HEADER, type), e->slot);

	if (type == VST_EVENT_FOREIGN)
		p = put_str(put_u32(p, e->conflicts), e->foreign);
	return frame_finish(buf, p);
}

/* --- reading --- */

struct frame_reader {
	const uint8_t *p, *end;
	bool bad;
};

static void get(struct frame_reader *r, void *ret, size_t len)
{
	if (r->bad || (size_t)(r->end - r->p) < len) {
		r->bad = true;
		memset(ret, 0, len);
		return;
	}
	memcpy(ret, r->p, len);
	r->p += len;
}

static uint32_t get_u32(struct frame_reader *r)
{
	uint32_t v;

	get(r, &v, sizeof(v));
	return v;
}

static uint64_t get_u64(struct frame_reader *r)
{
	uint64_t v;

	get(r, &v, sizeof(v));
	return v;
}

static void get_str(struct frame_reader *r, char *ret, size_t size)
{
	uint16_t len;

	get(r, &len, sizeof(len));
	if (len >= size) {
		r->bad = true;
		len = 0;
	}
	get(r, ret, len);
	ret[len] = 0;
	if (strlen(ret) != len)
		r->bad = true;
}

/* Returns whether a complete, sound frame is at data; if not, *ret_torn says whether the end of the file cut it off. */
static bool frame_at(const uint8_t *data, size_t len, struct frame_reader *ret, bool *ret_torn)
{
	uint32_t h[4], magic = FRAME_MAGIC;

	*ret_torn = false;
	if (len < VST_FRAME_HEADER) {
		*ret_torn = !memcmp(data, &magic, len < 4 ? len : 4);
		return false;
	}
	memcpy(h, data, sizeof(h));
	if (h[0] != FRAME_MAGIC || h[3] != vst_crc32c(data, 12) || h[1] > VST_FRAME_MAX - VST_FRAME_HEADER)
		return false;
	if (h[1] > len - VST_FRAME_HEADER) {
		*ret_torn = true;
		return false;
	}
	*ret = (struct frame_reader){ data + VST_FRAME_HEADER, data + VST_FRAME_HEADER + h[1], false };
	return h[2] == vst_crc32c(ret->p, h[1]);
}

static const char *replay_intent(struct frame_reader *r, struct vst_entries *entries, int *ret_err)
{
	struct vst_entry e = { .slot = get_u32(r) }, *known;

	e.conflicts = get_u32(r);
	e.step_id = get_u64(r);
	e.since_us = (int64_t)get_u64(r);
	e.knob.actuator = get_u32(r);
	e.knob.target_id = get_u64(r);
	get_str(r, e.knob.target, sizeof(e.knob.target));
	get_str(r, e.knob.attr, sizeof(e.knob.attr));
	get_str(r, e.knob.key, sizeof(e.knob.key));
	get_str(r, e.old, sizeof(e.old));
	get_str(r, e.written, sizeof(e.written));
	get_str(r, e.pending, sizeof(e.pending));
	get_str(r, e.foreign, sizeof(e.foreign));
	get_str(r, e.rule, sizeof(e.rule));
	get_str(r, e.why, sizeof(e.why));
	if (r->bad || r->p != r->end)
		return "the fields of a record do not fit it";
	if (e.knob.actuator >= VST_ACTUATOR__N)
		return "a record has an unknown actuator";
	known = entry_of_slot(entries, e.slot);
	if (known) {
		if (memcmp(&known->knob, &e.knob, sizeof(e.knob)))
			return "two knobs have one number";
		*known = e;
		return NULL;
	}
	if (e.slot < entries->next_slot || e.slot == UINT32_MAX)
		return "the numbers of knobs do not ascend";
	if (entries->n >= VST_KNOBS_MAX)
		return "there are too many knobs";
	entries->next_slot = e.slot;
	if (!vst_entries_add(entries, &e))
		*ret_err = -ENOMEM;
	return NULL;
}

static const char *replay_event(struct frame_reader *r, uint32_t type, struct vst_entries *entries)
{
	struct vst_entry *e = entry_of_slot(entries, get_u32(r));

	if (!e)
		return "a record is about a knob that is not open";
	if (type == VST_EVENT_FOREIGN) {
		e->conflicts = get_u32(r);
		get_str(r, e->foreign, sizeof(e->foreign));
	}
	if (r->bad || r->p != r->end)
		return "the fields of a record do not fit it";
	if (type == VST_EVENT_WRITTEN) {
		memcpy(e->written, e->pending, sizeof(e->written));
		*e->foreign = 0;
	}
	if (type == VST_EVENT_WRITTEN || type == VST_EVENT_FAILED)
		*e->pending = 0;
	if (type == VST_EVENT_CLOSED)
		vst_entries_remove(entries, e);
	return NULL;
}

/* The first frame. */
static void replay_header(struct frame_reader *r, const char *boot_id, struct vst_journal_replayed *ret)
{
	uint32_t type = get_u32(r), version = get_u32(r);
	char id[VST_BOOT_ID_LEN + 1];

	if (type != VST_EVENT_HEADER || r->bad) {
		ret->end = VST_REPLAY_CORRUPT;
		snprintf(ret->reason, sizeof(ret->reason), "it does not begin with a header");
		return;
	}
	if (version != FORMAT_VERSION) {
		ret->end = VST_REPLAY_VERSION;
		snprintf(ret->reason, sizeof(ret->reason), "its format is version %u, this program knows version %d",
			 version, FORMAT_VERSION);
		return;
	}
	get_str(r, id, sizeof(id));
	if (r->bad || r->p != r->end) {
		ret->end = VST_REPLAY_CORRUPT;
		snprintf(ret->reason, sizeof(ret->reason), "its header is not of the right length");
	} else if (strcmp(id, boot_id)) {
		ret->end = VST_REPLAY_OTHER_BOOT;
	}
}

/* One of the frames that follow. Returns what is wrong with it, or NULL. */
static const char *replay_frame(struct frame_reader *r, struct vst_entries *entries, int *ret_err)
{
	uint32_t type = get_u32(r);

	switch (type) {
	case VST_EVENT_INTENT:
		return replay_intent(r, entries, ret_err);
	case VST_EVENT_WRITTEN:
	case VST_EVENT_FAILED:
	case VST_EVENT_FOREIGN:
	case VST_EVENT_CLOSED:
		return replay_event(r, type, entries);
	default:
		return "a record has an unknown type";
	}
}

int vst_journal_replay(const uint8_t *data, size_t len, const char boot_id[VST_BOOT_ID_LEN + 1],
		       struct vst_entries *entries, struct vst_journal_replayed *ret)
{
	*ret = (struct vst_journal_replayed){ .end = VST_REPLAY_CLEAN };
	while (ret->good_len < len) {
		const char *wrong = "a checksum is wrong";
		struct frame_reader r;
		bool torn;
		int err = 0;

		if (frame_at(data + ret->good_len, len - ret->good_len, &r, &torn)) {
			wrong = NULL;
			if (!ret->records)
				replay_header(&r, boot_id, ret);
			else
				wrong = replay_frame(&r, entries, &err);
		} else if (torn) {
			ret->end = VST_REPLAY_TORN;
			return 0;
		}
		if (err)
			return err;
		if (wrong) {
			ret->end = VST_REPLAY_CORRUPT;
			snprintf(ret->reason, sizeof(ret->reason), "%s at byte %zu", wrong, ret->good_len);
		}
		if (ret->end != VST_REPLAY_CLEAN)
			return 0;
		ret->good_len = r.end - data;
		ret->records++;
	}
	return 0;
}
