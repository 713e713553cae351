/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The journal's file, "journal" in the state directory. At most one process holds the lock on that directory. The file is
 * removed when nothing is left to undo.
 */
#ifndef VST_POLICY_JOURNAL_H
#define VST_POLICY_JOURNAL_H

#include "policy/journal_format.h"

struct vst_journal {
	struct vst_entries entries; /* open knobs; change them only between the calls below */
	int dir, fd;		    /* -1: not open */
	bool made_dir, locked;
	size_t len;	   /* good bytes of the file */
	size_t compact_at; /* rewrite the file when it is longer */
	int unusable;	   /* 0, or the -errno with which every write of a knob must be refused */
	char boot_id[VST_BOOT_ID_LEN + 1];
	char path[256];		 /* of the state directory, for messages */
	char text[VST_TEXT_MAX]; /* why it is unusable, or what was found at the start; "" if nothing */
};

/*
 * Locks and reads the journal of a state directory, which is made if it is missing. boot_id: of the running kernel.
 * Waits up to lock_wait_ms for another process to let go of it.
 * 0: .unusable and .text say more. -EWOULDBLOCK: locked by another process. -ENOMEM.
 */
int vst_journal_open(struct vst_journal *journal, const char *state_dir, const char *boot_id, int lock_wait_ms);

/*
 * Records what is about to be written to a knob, and waits until the disk has it. 0: the knob may be written. -errno
 * with a text otherwise: it must not be.
 */
int vst_journal_intent(struct vst_journal *journal, const struct vst_entry *entry, char text[VST_TEXT_MAX]);

/*
 * Records what became of it. A failure is not reported, because it is harmless: at the next start the value that the
 * knob holds then shows what happened.
 */
void vst_journal_event(struct vst_journal *journal, enum vst_journal_event_type type, const struct vst_entry *entry);

/* Removes the files if no knob is open and the journal is sound; frees everything. */
void vst_journal_close(struct vst_journal *journal);

/* Reads a journal without locking or changing it: for people. 0 or -errno. */
int vst_journal_peek(const char *state_dir, const char *boot_id, struct vst_entries *entries,
		     struct vst_journal_replayed *ret);

/* Is there a journal that no actor has open? */
bool vst_journal_is_left(const char *state_dir);

/* The running kernel's, from /proc. 0 or -errno. */
int vst_boot_id(int proc, char ret[VST_BOOT_ID_LEN + 1]);

#endif /* VST_POLICY_JOURNAL_H */
