/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "policy/actuator.h"
#include "policy/journal.h"

#define JOURNAL "journal"
#define JOURNAL_NEW "journal.new"

enum {
	COMPACT_AT = 256 * 1024,
	/* A journal of VST_KNOBS_MAX open knobs is at most 46 MB long, and is compacted at twice that. */
	FILE_MAX = 100 * 1024 * 1024,
};

int vst_boot_id(int proc, char ret[VST_BOOT_ID_LEN + 1])
{
	char text[64];
	int n = vst_read_small(proc, "sys/kernel/random/boot_id", text, sizeof(text));

	if (n < VST_BOOT_ID_LEN)
		return n < 0 ? n : -EINVAL;
	memcpy(ret, text, VST_BOOT_ID_LEN);
	ret[VST_BOOT_ID_LEN] = 0;
	return 0;
}

static int unusable(struct vst_journal *j, int err, const char *what)
{
	j->unusable = err;
	vst_explain(j->text, "%s: %s: %s. vstor changes nothing without its journal", j->path, what, strerror(-err));
	return err;
}

/* --- opening --- */

/* Only its owner may be able to write into the state directory: the journal says what is written to cgroup files. */
static int check_access(struct vst_journal *j)
{
	struct stat st;

	if (fstat(j->dir, &st))
		return unusable(j, -errno, "cannot open the state directory");
	if (st.st_uid == geteuid() && !(st.st_mode & 022)) /* read-only: say so now, not at the first step */
		return faccessat(j->dir, ".", W_OK, 0) ? unusable(j, -errno, "cannot write into the state directory")
						       : 0;
	j->unusable = -EPERM;
	vst_explain(j->text,
		    "%s: others than user %d can write into this state directory, so its journal cannot be trusted: "
		    "chown and chmod 0755 it, or choose another with --state",
		    j->path, (int)geteuid());
	return -EPERM;
}

/* Is the directory that we opened still the one at the path? Its last user may have removed it. */
static bool dir_is_current(const struct vst_journal *j)
{
	struct stat ours, there;

	return !fstat(j->dir, &ours) && !stat(j->path, &there) && ours.st_ino == there.st_ino &&
	       ours.st_dev == there.st_dev;
}

/*
 * Opens and locks the state directory. The lock is on the directory itself, because a lock file could be removed, and
 * then two actors would each hold one.
 */
static int lock_state_dir(struct vst_journal *j, int wait_ms)
{
	const struct timespec pause = { 0, 5 * 1000 * 1000 };

	for (int waited = 0;; waited += 5) {
		if (j->dir < 0 && !mkdir(j->path, 0755)) {
			j->made_dir = true;
			chmod(j->path, 0755); /* whatever the umask: vstord's socket for users lies there too */
		}
		if (j->dir < 0)
			j->dir = open(j->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (j->dir < 0)
			return unusable(j, -errno, "cannot open the state directory");
		if (!flock(j->dir, LOCK_EX | LOCK_NB)) {
			if (dir_is_current(j))
				break;
			close(TAKE_FD(j->dir));
		} else if (errno != EWOULDBLOCK && errno != EINTR) {
			return unusable(j, -errno, "cannot lock the state directory");
		} else if (waited >= wait_ms) {
			return -EWOULDBLOCK;
		}
		nanosleep(&pause, NULL);
	}
	j->locked = true;
	return 0;
}

/* The whole file in memory. 0 or -errno; *ret_data may be NULL for an empty one. */
static int read_all(int fd, uint8_t **ret_data, size_t *ret_len)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct stat st;
	size_t n = 0;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		return -EUCLEAN;
	data = malloc(st.st_size + 1);
	if (!data)
		return -ENOMEM;
	while (n < (size_t)st.st_size) {
		ssize_t got = pread(fd, data + n, st.st_size - n, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		n += got;
	}
	*ret_len = n;
	*ret_data = TAKE_PTR(data);
	return 0;
}

/* Decides what to do with what was read. */
static int accept(struct vst_journal *j, const struct vst_journal_replayed *replay, size_t len)
{
	switch (replay->end) {
	case VST_REPLAY_CLEAN:
		break;
	case VST_REPLAY_TORN:
		vst_explain(j->text,
			    "%s/%s: dropped %zu bytes of a record that was cut off at the end; its knob was not "
			    "written yet",
			    j->path, JOURNAL, len - replay->good_len);
		if (ftruncate(j->fd, replay->good_len) || fsync(j->fd))
			return unusable(j, -errno, "cannot shorten the journal");
		break;
	case VST_REPLAY_OTHER_BOOT:
		vst_explain(j->text,
			    "%s/%s: discarded, because it was written before the last reboot, which reset all knobs "
			    "but bcache's cache_mode",
			    j->path, JOURNAL);
		vst_entries_free(&j->entries);
		if (ftruncate(j->fd, 0) || fsync(j->fd))
			return unusable(j, -errno, "cannot shorten the journal");
		j->len = 0;
		return 0;
	case VST_REPLAY_CORRUPT:
	case VST_REPLAY_VERSION:
		vst_entries_free(&j->entries);
		j->unusable = -EUCLEAN;
		vst_explain(j->text,
			    "%s/%s cannot be trusted: %s. Nothing is changed or undone. Run vstor-actor --list --state "
			    "%s to see "
			    "which knobs vstor may have set, restore those by hand, then remove the file",
			    j->path, JOURNAL, replay->reason, j->path);
		return 0;
	}
	j->len = replay->good_len;
	return 0;
}

static int load(struct vst_journal *j)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct vst_journal_replayed replay;
	size_t len = 0;
	int err;

	j->fd = openat(j->dir, JOURNAL, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (j->fd < 0)
		return errno == ENOENT ? 0 : unusable(j, -errno, "cannot open the journal");
	err = read_all(j->fd, &data, &len);
	if (err)
		return unusable(j, err, "cannot read the journal");
	err = vst_journal_replay(data, len, j->boot_id, &j->entries, &replay);
	return err ? unusable(j, err, "cannot read the journal") : accept(j, &replay, len);
}

int vst_journal_open(struct vst_journal *j, const char *state_dir, const char *boot_id, int lock_wait_ms)
{
	int err;

	*j = (struct vst_journal){ .dir = -1, .fd = -1, .compact_at = COMPACT_AT };
	snprintf(j->path, sizeof(j->path), "%s", state_dir);
	snprintf(j->boot_id, sizeof(j->boot_id), "%s", boot_id);
	err = lock_state_dir(j, lock_wait_ms);
	if (!err)
		err = check_access(j);
	if (err == -EWOULDBLOCK) {
		vst_journal_close(j);
		return err;
	}
	if (!err)
		err = load(j);
	return err == -ENOMEM ? err : 0;
}

int vst_journal_peek(const char *state_dir, const char *boot_id, struct vst_entries *entries,
		     struct vst_journal_replayed *ret)
{
	_cleanup_close_ int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	_cleanup_free_ uint8_t *data = NULL;
	size_t len = 0;
	int err;

	*ret = (struct vst_journal_replayed){ .end = VST_REPLAY_CLEAN };
	if (dir < 0)
		return -errno;
	fd = openat(dir, JOURNAL, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	err = read_all(fd, &data, &len);
	return err ? err : vst_journal_replay(data, len, boot_id, entries, ret);
}

/* --- writing --- */

static int write_all(int fd, const uint8_t *data, size_t len, off_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENOSPC;
		data += n;
		len -= n;
		at += n;
	}
	return 0;
}

/* Creates the file with its header, when the first knob is about to be written. */
static int begin(struct vst_journal *j)
{
	uint8_t frame[VST_FRAME_MAX];
	size_t len = vst_frame_header(frame, j->boot_id);
	int err;

	if (j->fd < 0)
		j->fd = openat(j->dir, JOURNAL, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->fd < 0)
		return -errno;
	err = write_all(j->fd, frame, len, 0);
	if (!err && (fsync(j->fd) || fsync(j->dir)))
		err = -errno;
	if (err && ftruncate(j->fd, 0)) /* the next attempt writes over what is there: it is as long */
		return err;
	if (!err)
		j->len = len;
	return err;
}

/* Has nobody else changed the file? */
static int verify(struct vst_journal *j)
{
	struct stat st;

	if (fstat(j->fd, &st))
		return -errno;
	if (st.st_nlink && (size_t)st.st_size == j->len)
		return 0;
	j->unusable = -EUCLEAN;
	vst_explain(j->text,
		    "%s/%s was %s by somebody else while it was in use: nothing more is changed, only undone. "
		    "Restart vstord",
		    j->path, JOURNAL, st.st_nlink ? "changed" : "removed");
	return -EUCLEAN;
}

static int append(struct vst_journal *j, const uint8_t *frame, size_t len, bool sync)
{
	int err = j->unusable;

	if (!err && !j->len)
		err = begin(j);
	if (!err)
		err = verify(j);
	if (err)
		return err;
	err = write_all(j->fd, frame, len, j->len);
	if (!err && sync && fsync(j->fd))
		err = -errno;
	if (!err) {
		j->len += len;
		return 0;
	}
	if (ftruncate(j->fd, j->len))
		unusable(j, -errno, "cannot take a half-written record out of the journal");
	return err;
}

/* Writes what is open now into a new file that then takes the old one's place. On failure the old one stays. */
static int compact(struct vst_journal *j)
{
	_cleanup_close_ int fd = openat(j->dir, JOURNAL_NEW, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	uint8_t frame[VST_FRAME_MAX];
	size_t len, at = 0;
	int err;

	if (fd < 0)
		return -errno;
	len = vst_frame_header(frame, j->boot_id);
	err = write_all(fd, frame, len, at);
	for (unsigned int i = 0; !err && i < j->entries.n; i++) {
		at += len;
		len = vst_frame_intent(frame, j->entries.at[i]);
		err = write_all(fd, frame, len, at);
	}
	if (!err && (fsync(fd) || renameat(j->dir, JOURNAL_NEW, j->dir, JOURNAL)))
		err = -errno;
	if (err) {
		unlinkat(j->dir, JOURNAL_NEW, 0);
		return err;
	}
	close(j->fd);
	j->fd = TAKE_FD(fd);
	j->len = at + len;
	return fsync(j->dir) ? -errno : 0;
}

int vst_journal_intent(struct vst_journal *j, const struct vst_entry *entry, char text[VST_TEXT_MAX])
{
	uint8_t frame[VST_FRAME_MAX];
	int err = append(j, frame, vst_frame_intent(frame, entry), true);

	if (j->unusable)
		vst_explain(text, "%s", j->text);
	else if (err)
		vst_explain(text, "nothing was changed, because the journal %s/%s cannot be written: %s%s", j->path,
			    JOURNAL, strerror(-err), err == -ENOSPC ? ". Make room in that filesystem" : "");
	return err;
}

void vst_journal_event(struct vst_journal *j, enum vst_journal_event_type type, const struct vst_entry *entry)
{
	uint8_t frame[VST_FRAME_MAX];

	if (append(j, frame, vst_frame_event(frame, type, entry), false) || j->len < j->compact_at)
		return;
	compact(j);
	j->compact_at = j->len * 2 > COMPACT_AT ? j->len * 2 : COMPACT_AT;
}

void vst_journal_close(struct vst_journal *j)
{
	if (j->locked && !j->unusable && !j->entries.n) {
		if (j->fd >= 0)
			unlinkat(j->dir, JOURNAL, 0);
		if (j->made_dir)
			rmdir(j->path); /* fails, as it should, if there is something else in it */
	}
	vst_entries_free(&j->entries);
	vst_cleanup_close(&j->fd);
	vst_cleanup_close(&j->dir);
	*j = (struct vst_journal){ .dir = -1, .fd = -1 };
}

bool vst_journal_is_left(const char *state_dir)
{
	_cleanup_close_ int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* closing it gives the lock back */
	return dir >= 0 && !faccessat(dir, JOURNAL, F_OK, AT_SYMLINK_NOFOLLOW) && !flock(dir, LOCK_EX | LOCK_NB);
}
