// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "agent/base/log.h"
#include "agent/sinks/record_ring.h"
#include "lib/cleanup.h"

#define PARTS 16		   /* files of a full ring: so much of it is lost at once */
#define FILE_BYTES_MAX (16U << 20) /* a reader decodes a file from its beginning */
#define FILE_SECONDS_MAX 900.0	   /* the same; and what is lost where a file is damaged */
#define LEVEL 3			   /* of zstd; docs/recording.md has what it takes */

#define NAME_FORMAT "vstor-%013llu" VST_RECORD_SUFFIX
#define NAME_LEN (6 + 13 + sizeof(VST_RECORD_SUFFIX) - 1)

struct vst_record_ring {
	int dir_fd;
	int fd; /* -1: the next frame begins a file */
	char name[NAME_LEN + 8];
	__u64 size, file_max;
	__u64 others; /* bytes of the other files */
	__u64 bytes;  /* of this one, up to the end of its last frame */
	double since; /* when it was begun; CLOCK_MONOTONIC */
	__u64 last_name;
	ZSTD_CCtx *zstd;
	struct vst_record_buf out;
};

int vst_record_parse_size(const char *text, __u64 *ret)
{
	static const char units[] = "KMG";
	char *rest;
	const char *unit;
	double v;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	v = strtod(text, &rest);
	unit = *rest ? strchr(units, *rest) : NULL;
	if (unit)
		v *= (double)(1ULL << (10 * (unit - units + 1)));
	if (*rest && (!unit || rest[1]))
		return -EINVAL;
	if (!(v >= 4 << 20 && v <= 1099511627776.0))
		return -EINVAL;
	*ret = (__u64)v;
	return 0;
}

/* --- the directory --- */

/* A name that this program gives; *ret_number orders them by time. */
static bool is_ours(const char *name, __u64 *ret_number)
{
	char again[64];

	if (strlen(name) != NAME_LEN || sscanf(name, "vstor-%13llu", (unsigned long long *)ret_number) != 1)
		return false;
	snprintf(again, sizeof(again), NAME_FORMAT, (unsigned long long)*ret_number);
	return !strcmp(name, again);
}

/* Adds up the files that are there, and finds the oldest and the newest of them. Their number, or -errno. */
static int look(struct vst_record_ring *r, __u64 *ret_bytes, __u64 *ret_oldest, __u64 *ret_newest)
{
	int fd = openat(r->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	__u64 number;
	struct stat st;

	*ret_bytes = 0;
	*ret_oldest = ~0ULL;
	*ret_newest = 0;
	if (!dir) {
		n = -errno;
		if (fd >= 0)
			close(fd);
		return n;
	}
	while ((entry = readdir(dir))) {
		if (!is_ours(entry->d_name, &number) || fstatat(r->dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    !S_ISREG(st.st_mode))
			continue;
		n++;
		*ret_bytes += (__u64)st.st_size;
		*ret_oldest = number < *ret_oldest ? number : *ret_oldest;
		*ret_newest = number > *ret_newest ? number : *ret_newest;
	}
	closedir(dir);
	return n;
}

/* Removes the oldest files until there is room for one more. 0 or -errno. */
static int make_room(struct vst_record_ring *r)
{
	__u64 bytes, oldest;
	char name[64];
	int n;

	for (;;) {
		n = look(r, &bytes, &oldest, &r->last_name);
		if (n < 0)
			return n;
		r->others = bytes;
		if (!n || bytes + r->file_max <= r->size)
			return 0;
		snprintf(name, sizeof(name), NAME_FORMAT, (unsigned long long)oldest);
		if (unlinkat(r->dir_fd, name, 0))
			return -errno;
	}
}

int vst_record_ring_new(const char *dir, __u64 size, struct vst_record_ring **ret)
{
	struct vst_record_ring *r;
	int err;

	if (mkdir(dir, 0700) && errno != EEXIST)
		return -errno;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->fd = -1;
	r->size = size;
	r->file_max = size / PARTS < FILE_BYTES_MAX ? size / PARTS : FILE_BYTES_MAX;
	r->zstd = ZSTD_createCCtx();
	r->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = !r->zstd ? -ENOMEM : r->dir_fd < 0 ? -errno : flock(r->dir_fd, LOCK_EX | LOCK_NB) ? -errno : 0;
	if (err) {
		vst_record_ring_free(r);
		return err == -EWOULDBLOCK ? -EBUSY : err;
	}
	ZSTD_CCtx_setParameter(r->zstd, ZSTD_c_compressionLevel, LEVEL);
	ZSTD_CCtx_setParameter(r->zstd, ZSTD_c_windowLog, VST_RECORD_WINDOW_LOG);
	*ret = r;
	return 0;
}

void vst_record_ring_free(struct vst_record_ring *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	if (r->dir_fd >= 0)
		close(r->dir_fd);
	ZSTD_freeCCtx(r->zstd);
	vst_record_buf_free(&r->out);
	free(r);
}

__u64 vst_record_ring_bytes(const struct vst_record_ring *r)
{
	return r->others + r->bytes;
}

/* --- files --- */

bool vst_record_ring_is_new(const struct vst_record_ring *r, double now)
{
	return r->fd < 0 || r->bytes >= r->file_max || now - r->since >= FILE_SECONDS_MAX;
}

static int write_all(struct vst_record_ring *r, const void *data, size_t len, __u64 offset)
{
	const char *from = data;
	ssize_t n;

	while (len) {
		n = pwrite(r->fd, from, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENOSPC;
		from += n;
		len -= (size_t)n;
		offset += (__u64)n;
	}
	return 0;
}

/* Ends the file. One that has no frame is removed. */
static void leave(struct vst_record_ring *r, __u64 end, bool empty)
{
	if (r->fd < 0)
		return;
	if (empty ? unlinkat(r->dir_fd, r->name, 0) : ftruncate(r->fd, (off_t)end))
		vst_debug("recording: what was not written completely stays in %s: %s", r->name, strerror(errno));
	close(r->fd);
	r->fd = -1;
	r->others += empty ? 0 : end;
	r->bytes = 0;
}

/* Begins a file; its head is in r->out. */
static int begin(struct vst_record_ring *r, const struct vst_record_about *about, double unix_time, double now)
{
	__u64 number = (__u64)fmax(unix_time * 1e3, 1);
	int err;

	leave(r, r->bytes, false);
	err = make_room(r);
	err = err ?: vst_record_head(&r->out, about);
	if (err)
		return err;
	if (number <= r->last_name) /* somebody set the clock: files keep their order */
		number = r->last_name + 1;
	snprintf(r->name, sizeof(r->name), NAME_FORMAT, (unsigned long long)number);
	r->fd = openat(r->dir_fd, r->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (r->fd < 0)
		return -errno;
	r->since = now;
	r->bytes = 0;
	ZSTD_CCtx_reset(r->zstd, ZSTD_reset_session_only);
	return 0;
}

/* Appends the frame to r->out, behind room for its head. 0 or -errno. */
static int compress(struct vst_record_ring *r, const struct vst_record_buf *frame)
{
	ZSTD_inBuffer in = { frame->data, frame->len, 0 };
	ZSTD_outBuffer out;
	size_t left, room;

	if (!vst_record_buf_room(&r->out, sizeof(struct vst_record_frame)))
		return -ENOMEM;
	r->out.len += sizeof(struct vst_record_frame);
	do {
		room = ZSTD_compressBound(in.size - in.pos) + 64;
		if (!vst_record_buf_room(&r->out, room))
			return -ENOMEM;
		out = (ZSTD_outBuffer){ r->out.data + r->out.len, room, 0 };
		left = ZSTD_compressStream2(r->zstd, &out, &in, ZSTD_e_flush);
		if (ZSTD_isError(left))
			return -EIO;
		r->out.len += out.pos;
	} while (left);
	return 0;
}

static int append(struct vst_record_ring *r, const struct vst_record_buf *frame, double unix_time, __u64 seq)
{
	size_t head = r->out.len;
	struct vst_record_frame f = {
		.magic = VST_RECORD_FRAME_MAGIC,
		.raw = (__u32)frame->len,
		.time_us = (__u64)llround(unix_time * 1e6),
		.seq = seq,
	};
	int err = frame->len > VST_RECORD_RAW_MAX ? -EFBIG : compress(r, frame);

	if (err)
		return err;
	f.len = (__u32)(r->out.len - head - sizeof(f));
	vst_record_frame_seal(&f, r->out.data + head + sizeof(f));
	memcpy(r->out.data + head, &f, sizeof(f));
	return write_all(r, r->out.data, r->out.len, r->bytes);
}

int vst_record_ring_write(struct vst_record_ring *r, const struct vst_record_about *about,
			  const struct vst_record_buf *frame, double unix_time, __u64 seq, double now)
{
	bool is_new = vst_record_ring_is_new(r, now);
	int err = is_new ? begin(r, about, unix_time, now) : 0;

	if (!is_new)
		r->out.len = 0;
	err = err ?: append(r, frame, unix_time, seq);
	if (err) {
		leave(r, r->bytes, is_new);
		if (r->out.failed)
			vst_record_buf_free(&r->out);
		return err;
	}
	r->bytes += r->out.len;
	return 0;
}
