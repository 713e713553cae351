/* SPDX-License-Identifier: GPL-2.0-only */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "lib/cleanup.h"
#include "lib/record_read.h"

struct file {
	char *path;
	double first;  /* Unix time of its first frame */
	bool told;     /* what is wrong with it */
	bool left_out; /* none of it can be read, which was told */
};

struct vst_recording {
	char *dir;
	struct file *file; /* by time */
	unsigned int n_files;
	vst_recording_tell *tell;
	void *arg;
	int loaded; /* the file that is in memory; -1: none */
	unsigned char *data;
	struct vst_record_file parsed;
	/* how far that file has been decoded */
	ZSTD_DCtx *zstd;
	unsigned int next;
	const struct vst_snapshot *snapshot; /* of the frame before next; NULL: none */
	char *policy;
	unsigned char *raw;
	size_t raw_cap;
	char error[512];
};

static int __attribute__((format(printf, 3, 4))) fail(struct vst_recording *r, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->error, sizeof(r->error), fmt, ap);
	va_end(ap);
	return err;
}

static int no_memory(struct vst_recording *r)
{
	return fail(r, -ENOMEM, "out of memory");
}

const char *vst_recording_error(const struct vst_recording *r)
{
	return r->error;
}

static void __attribute__((format(printf, 2, 3))) tell(struct vst_recording *r, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r->tell)
		r->tell(r->arg, text);
}

const char *vst_record_clock(double unix_time, char text[32])
{
	time_t at = (time_t)unix_time;
	struct tm tm;

	if (!localtime_r(&at, &tm) || !strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm))
		strcpy(text, "?");
	return text;
}

/* --- the directory --- */

/* The time of a file's first frame. 0; 1: it has no frame yet; -errno. */
static int first_of(const char *path, double *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct vst_record_file_head head;
	struct vst_record_frame frame;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pread(fd, &head, sizeof(head), 0);
	if (n < 0)
		return -errno;
	if (vst_record_head_check(&head, (size_t)n))
		return -EBADMSG;
	n = pread(fd, &frame, sizeof(frame), sizeof(head) + head.len);
	if (n < 0)
		return -errno;
	if (n < (ssize_t)sizeof(frame))
		return 1;
	if (frame.magic != VST_RECORD_FRAME_MAGIC)
		return -EBADMSG;
	*ret = (double)frame.time_us / 1e6;
	return 0;
}

static int add_file(struct vst_recording *r, const char *name)
{
	_cleanup_free_ char *path = NULL;
	struct file *more;
	double first = 0;
	int err;

	if (asprintf(&path, "%s/%s", r->dir, name) < 0)
		return no_memory(r);
	err = first_of(path, &first);
	if (err == -EBADMSG)
		tell(r, "%s is not a file of a recording, or its head is damaged: it is left out", path);
	else if (err < 0)
		tell(r, "%s cannot be read: %s: it is left out", path, strerror(-err));
	if (err)
		return 0;
	more = realloc(r->file, (r->n_files + 1) * sizeof(*more));
	if (!more)
		return no_memory(r);
	r->file = more;
	r->file[r->n_files++] = (struct file){ .path = TAKE_PTR(path), .first = first };
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first ? 1 : strcmp(x->path, y->path);
}

static bool has_suffix(const char *name)
{
	size_t len = strlen(name), suffix = strlen(VST_RECORD_SUFFIX);

	return len > suffix && !strcmp(name + len - suffix, VST_RECORD_SUFFIX);
}

static int list_dir(struct vst_recording *r)
{
	DIR *dir = opendir(r->dir);
	struct dirent *entry;
	int err = 0;

	if (!dir)
		return fail(r, -errno, "the recording %s cannot be opened: %s", r->dir, strerror(errno));
	while (!err && (entry = readdir(dir)))
		if (has_suffix(entry->d_name))
			err = add_file(r, entry->d_name);
	closedir(dir);
	if (!err && !r->n_files)
		err = fail(r, -ENOENT,
			   "%s has no recording: no file in it ends in " VST_RECORD_SUFFIX
			   " and has a snapshot. Is it the directory of vstord --record?",
			   r->dir);
	if (!err)
		qsort(r->file, r->n_files, sizeof(*r->file), by_time);
	return err;
}

int vst_recording_open(const char *dir, vst_recording_tell *tell_fn, void *arg, struct vst_recording **ret)
{
	struct vst_recording *r = calloc(1, sizeof(*r));

	*ret = r;
	if (!r)
		return -ENOMEM;
	r->loaded = -1;
	r->tell = tell_fn;
	r->arg = arg;
	r->dir = strdup(dir);
	r->zstd = ZSTD_createDCtx();
	if (!r->dir || !r->zstd)
		return no_memory(r);
	ZSTD_DCtx_setParameter(r->zstd, ZSTD_d_windowLogMax, VST_RECORD_WINDOW_LOG + 2);
	return list_dir(r);
}

/* --- one file --- */

/* Back before the first frame of the loaded file. */
static void rewind_file(struct vst_recording *r)
{
	ZSTD_DCtx_reset(r->zstd, ZSTD_reset_session_only);
	r->next = 0;
	vst_snapshot_unref(r->snapshot);
	r->snapshot = NULL;
	free(r->policy);
	r->policy = NULL;
}

static void unload(struct vst_recording *r)
{
	rewind_file(r);
	vst_record_file_clear(&r->parsed);
	free(r->data);
	r->data = NULL;
	r->loaded = -1;
}

void vst_recording_close(struct vst_recording *r)
{
	if (!r)
		return;
	if (r->zstd)
		unload(r);
	for (unsigned int i = 0; i < r->n_files; i++)
		free(r->file[i].path);
	free(r->file);
	free(r->raw);
	free(r->dir);
	ZSTD_freeDCtx(r->zstd);
	free(r);
}

static int read_all(struct vst_recording *r, const char *path, size_t *ret_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return fail(r, -errno, "%s cannot be read: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || (__u64)st.st_size > VST_RECORD_FILE_MAX)
		return fail(r, -EFBIG, "%s is no file of a recording: it is too long, or not a regular file", path);
	r->data = malloc((size_t)st.st_size + 1);
	if (!r->data)
		return no_memory(r);
	while (len < (size_t)st.st_size) {
		n = read(fd, r->data + len, (size_t)st.st_size - len);
		if (n < 0)
			return fail(r, -errno, "%s cannot be read: %s", path, strerror(errno));
		if (!n)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

/* What is missing after the last good frame. */
static void tell_damage(struct vst_recording *r, unsigned int file)
{
	const struct vst_record_file *f = &r->parsed;
	char from[32], to[32] = "the end of the recording";

	if (r->file[file].told || (!f->torn && !f->broken))
		return;
	r->file[file].told = true;
	vst_record_clock(f->n_frames ? (double)f->frame[f->n_frames - 1].time_us / 1e6 : r->file[file].first, from);
	if (file + 1 < r->n_files)
		vst_record_clock(r->file[file + 1].first, to);
	if (f->torn)
		tell(r,
		     "%s ends in an incomplete snapshot, as after a crash: it is dropped, and the one before it, of "
		     "%s, "
		     "is the last",
		     r->file[file].path, from);
	else
		tell(r, "%s is damaged at byte %zu: what was recorded after %s is lost, until %s", r->file[file].path,
		     f->end, from, to);
}

/* All of the file, for the reason that load() found; once. */
static void tell_left_out(struct vst_recording *r, unsigned int file)
{
	if (!r->file[file].left_out)
		tell(r, "%s; this file is left out", r->error);
	r->file[file].left_out = true;
}

static int load(struct vst_recording *r, unsigned int file)
{
	const char *path = r->file[file].path;
	size_t len = 0;
	int err;

	if (r->loaded == (int)file)
		return 0;
	unload(r);
	err = read_all(r, path, &len);
	if (err)
		return err;
	err = vst_record_file_parse(&r->parsed, r->data, len);
	if (err == -EBADMSG)
		return fail(r, err, "the head of %s is damaged: what this file has cannot be read", path);
	if (err)
		return no_memory(r);
	tell_damage(r, file);
	if (!r->parsed.n_frames)
		return fail(r, -EBADMSG,
			    "%s is damaged at byte %zu, before its first snapshot: nothing in it can be read", path,
			    r->parsed.end);
	r->loaded = (int)file;
	return 0;
}

/*
 * The file, or the next one in a direction that can be read: what is damaged, or was removed meanwhile to make room, is told
 * and left out. 0; -ENOENT: there is none, and *file is unchanged; or -ENOMEM.
 */
static int load_next(struct vst_recording *r, unsigned int *file, int direction)
{
	unsigned int i = *file;
	int err;

	while ((err = load(r, i))) {
		if (err == -ENOMEM)
			return err;
		tell_left_out(r, i);
		if (direction > 0 ? i + 1 == r->n_files : !i)
			return -ENOENT;
		i += direction;
	}
	*file = i;
	return 0;
}

/* The same at an end of the recording, where none means that nothing can be read. */
static int load_end(struct vst_recording *r, unsigned int *file, int direction)
{
	int err = load_next(r, file, direction);

	return err == -ENOENT ? -EBADMSG : err;
}

/* --- moments --- */

static void set_at(struct vst_recording *r, unsigned int file, size_t frame, struct vst_record_at *ret)
{
	*ret = (struct vst_record_at){ file, (unsigned int)frame, (double)r->parsed.frame[frame].time_us / 1e6 };
}

int vst_recording_first(struct vst_recording *r, struct vst_record_at *ret)
{
	unsigned int file = 0;
	int err = load_end(r, &file, 1);

	if (!err)
		set_at(r, file, 0, ret);
	return err;
}

int vst_recording_last(struct vst_recording *r, struct vst_record_at *ret)
{
	unsigned int file = r->n_files - 1;
	int err = load_end(r, &file, -1);

	if (!err)
		set_at(r, file, r->parsed.n_frames - 1, ret);
	return err;
}

int vst_recording_until(struct vst_recording *r, double time, struct vst_record_at *ret)
{
	unsigned int file = 0;
	size_t lo = 0, hi;
	int err;

	time += VST_RECORD_PRINTED_S;
	while (file + 1 < r->n_files && r->file[file + 1].first <= time)
		file++;
	err = load_next(r, &file, -1);
	if (err == -ENOENT)
		err = load_end(r, &file, 1);
	if (err)
		return err;
	/* times in a file ascend unless somebody set the clock; then any of several answers is right */
	for (hi = r->parsed.n_frames; hi - lo > 1;) {
		size_t mid = lo + (hi - lo) / 2;

		if ((double)r->parsed.frame[mid].time_us / 1e6 <= time)
			lo = mid;
		else
			hi = mid;
	}
	set_at(r, file, lo, ret);
	return 0;
}

int vst_recording_step(struct vst_recording *r, int step, struct vst_record_at *at)
{
	unsigned int file = at->file;
	int err = load(r, file);

	if (err)
		return err;
	if (step > 0 ? at->frame + 1 < r->parsed.n_frames : at->frame > 0) {
		set_at(r, file, at->frame + (unsigned int)step, at);
		return 0;
	}
	if (step > 0 ? file + 1 == r->n_files : !file)
		return -ENOENT;
	file += (unsigned int)step;
	err = load_next(r, &file, step);
	if (!err)
		set_at(r, file, step > 0 ? 0 : r->parsed.n_frames - 1, at);
	return err;
}

int vst_recording_nearest(struct vst_recording *r, double time, struct vst_record_at *ret)
{
	struct vst_record_at after;
	int err = vst_recording_until(r, time, ret);

	if (err)
		return err;
	after = *ret;
	err = vst_recording_step(r, 1, &after);
	if (!err && fabs(after.time - time) < fabs(ret->time - time))
		*ret = after;
	return err == -ENOENT ? 0 : err;
}

/* --- snapshots --- */

static int decompress(struct vst_recording *r, size_t offset, size_t len, size_t raw)
{
	ZSTD_inBuffer in = { r->data + offset, len, 0 };
	ZSTD_outBuffer out;
	size_t rc, before;

	if (raw > r->raw_cap) {
		free(r->raw);
		r->raw_cap = 0;
		r->raw = malloc(raw);
		if (!r->raw)
			return no_memory(r);
		r->raw_cap = raw;
	}
	out = (ZSTD_outBuffer){ r->raw, raw, 0 };
	do {
		before = in.pos + out.pos;
		rc = ZSTD_decompressStream(r->zstd, &out, &in);
	} while (!ZSTD_isError(rc) && in.pos + out.pos > before && (in.pos < in.size || out.pos < out.size));
	return ZSTD_isError(rc) || in.pos < in.size || out.pos < out.size ? -EBADMSG : 0;
}

/* What is the same for all snapshots of a file is in its head. */
static void set_about(struct vst_snapshot *s, const struct vst_record_about *about)
{
	snprintf(s->instance, sizeof(s->instance), "%.16s", about->instance);
	snprintf(s->kernel, sizeof(s->kernel), "%.64s", about->kernel);
}

static int decode_next(struct vst_recording *r)
{
	const struct vst_snapshot *s = NULL;
	const char *policy = NULL;
	int err = decompress(r, r->parsed.frame[r->next].offset, r->parsed.frame[r->next].len,
			     r->parsed.frame[r->next].raw);

	if (!err)
		err = vst_record_decode(&r->parsed.decoder, r->raw, r->parsed.frame[r->next].raw, r->snapshot, &s,
					&policy);
	if (err == -EBADMSG)
		return fail(r, err,
			    "%s has a snapshot, the one at byte %zu, that no vstord of a known version writes: it is "
			    "damaged",
			    r->file[r->loaded].path, r->parsed.frame[r->next].offset);
	if (err)
		return no_memory(r);
	set_about((struct vst_snapshot *)s, &r->parsed.about); /* nobody else has it yet */
	vst_snapshot_unref(r->snapshot);
	r->snapshot = s;
	r->next++;
	if (policy) {
		free(r->policy);
		r->policy = strdup(policy);
	}
	return 0;
}

int vst_recording_read(struct vst_recording *r, const struct vst_record_at *at, const struct vst_snapshot **ret,
		       const char **ret_policy)
{
	int err = load(r, at->file);

	if (err)
		return err;
	if (at->frame + 1 < r->next)
		rewind_file(r);
	while (!err && r->next <= at->frame)
		err = decode_next(r);
	if (err) {
		rewind_file(r);
		return err;
	}
	*ret = r->snapshot;
	*ret_policy = r->policy ?: "";
	return 0;
}

const struct vst_record_about *vst_recording_about(const struct vst_recording *r)
{
	return &r->parsed.about;
}
