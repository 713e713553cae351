/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The journal's bytes: what was changed, and from what. Pure: no file, no clock; journal.h keeps the file.
 *
 * A journal is a header record and then events, each in a frame:
 *
 *	u32 magic   u32 length of the payload   u32 CRC-32C of the payload   u32 CRC-32C of the 12 bytes before   payload
 *
 * in the byte order of the host, because a journal is only ever read during the boot in which it was written. That also
 * decides what a damaged end means. Within one boot a write can only be cut short (the writer was killed, the disk was
 * full), so the one harmless damage is a last frame that the end of the file cuts off: its knob was not written yet,
 * because each knob is written only after its record. Anything else, for example a complete frame with a wrong
 * checksum, means that somebody changed the file, and nobody can say which knobs are ours.
 */
#ifndef VST_POLICY_JOURNAL_FORMAT_H
#define VST_POLICY_JOURNAL_FORMAT_H

#include "policy/step.h"

enum {
	VST_BOOT_ID_LEN = 36, /* the text in /proc/sys/kernel/random/boot_id */
	VST_FRAME_HEADER = 16,
	VST_FRAME_MAX = VST_FRAME_HEADER + 2800, /* static_assert in journal_format.c */
	VST_KNOBS_MAX = 16384,			 /* knobs that one journal holds */
};

enum vst_journal_event_type {
	VST_EVENT_HEADER = 1, /* version, boot id */
	VST_EVENT_INTENT,     /* before a knob is written: everything about it */
	VST_EVENT_WRITTEN,    /* the write of the last intent succeeded */
	VST_EVENT_FAILED,     /* ... did not: what was written before still holds */
	VST_EVENT_FOREIGN,    /* somebody else changed the knob */
	VST_EVENT_CLOSED,     /* nothing of ours is left in it */
};

/* What the journal knows of a knob. */
struct vst_entry {
	uint32_t slot; /* its number in this journal */
	uint32_t conflicts;
	uint64_t step_id;
	int64_t since_us; /* CLOCK_REALTIME of the last intent */
	struct vst_knob knob;
	char old[VST_VALUE_MAX];     /* before our first write */
	char written[VST_VALUE_MAX]; /* ours; "" if never written */
	char pending[VST_VALUE_MAX]; /* the intent that has no result yet; "" if none */
	char foreign[VST_VALUE_MAX]; /* the last foreign value seen; "" if the value is ours */
	char rule[VST_RULE_MAX];
	char why[VST_WHY_MAX];
};

/* Open knobs, oldest first: reverting goes from the end to the start. */
struct vst_entries {
	struct vst_entry **at; /* owned */
	uint64_t *hash;	       /* of at[i]->knob: a search compares these first */
	unsigned int n, cap;
	uint32_t next_slot;
};

void vst_entries_free(struct vst_entries *entries);
struct vst_entry *vst_entries_find(const struct vst_entries *entries, const struct vst_knob *knob);
/* A copy of entry at the end, in a new slot. NULL: out of memory, or VST_KNOBS_MAX are there. */
struct vst_entry *vst_entries_add(struct vst_entries *entries, const struct vst_entry *entry);
void vst_entries_remove(struct vst_entries *entries, struct vst_entry *entry);

/* Each writes one frame of at most VST_FRAME_MAX bytes to buf and returns its length. */
size_t vst_frame_header(uint8_t *buf, const char boot_id[VST_BOOT_ID_LEN + 1]);
size_t vst_frame_intent(uint8_t *buf, const struct vst_entry *entry);
size_t vst_frame_event(uint8_t *buf, enum vst_journal_event_type type, const struct vst_entry *entry);

enum vst_replay_end {
	VST_REPLAY_CLEAN,
	VST_REPLAY_TORN,       /* the last frame was cut off; ignore what is after good_len */
	VST_REPLAY_OTHER_BOOT, /* written before a reboot: its knobs are gone */
	VST_REPLAY_CORRUPT,    /* entries hold what was read up to good_len */
	VST_REPLAY_VERSION,    /* written by another version of the program: cannot be read */
};

struct vst_journal_replayed {
	enum vst_replay_end end;
	size_t good_len;      /* bytes of complete frames */
	unsigned int records; /* in them */
	char reason[128];     /* of CORRUPT and VERSION: what is wrong */
};

/*
 * Reads a journal and adds its open knobs to entries, which must be empty. An empty one is CLEAN with good_len 0.
 * 0, or -ENOMEM.
 */
int vst_journal_replay(const uint8_t *data, size_t len, const char boot_id[VST_BOOT_ID_LEN + 1],
		       struct vst_entries *entries, struct vst_journal_replayed *ret);

#endif /* VST_POLICY_JOURNAL_FORMAT_H */
