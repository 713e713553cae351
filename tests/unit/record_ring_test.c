/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * LINK: agent/sinks/record_ring.c agent/base/log.c lib/record_read.c lib/record_file.c lib/record_encode.c lib/record_decode.c lib/record_fields.c lib/crc32c.c agent/snapshot.c -lzstd -lm
 *
 * The ring on disk: what is written can be read, the oldest makes room, and what is damaged is told.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/sinks/record_ring.h"
#include "lib/record_read.h"

#define BEGIN 1790000000.0

static char dir[] = "/tmp/vstor-record-XXXXXX";
static const struct vst_record_about about = { "0.1.0", "node7", "b-o-o-t", "6.12", "0123456789abcdef" };
static char told[1024];

static void tell(void *unused, const char *sentence)
{
	snprintf(told, sizeof(told), "%s", sentence);
}

static int empty_dir(void **state)
{
	struct dirent *entry;
	DIR *d = opendir(dir);

	while (d && (entry = readdir(d)))
		if (entry->d_type == DT_REG)
			unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		closedir(d);
	told[0] = '\0';
	return 0;
}

/* Bytes of the files, and their number. */
static size_t dir_size(unsigned int *ret_files)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	size_t bytes = 0;
	struct stat st;

	*ret_files = 0;
	while ((entry = readdir(d))) {
		if (entry->d_type != DT_REG || fstatat(dirfd(d), entry->d_name, &st, 0))
			continue;
		bytes += (size_t)st.st_size;
		(*ret_files)++;
	}
	closedir(d);
	return bytes;
}

/* The only file; its descriptor. */
static int open_file(int flags)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	int fd = -1;

	while ((entry = readdir(d)) && fd < 0)
		if (entry->d_type == DT_REG)
			fd = openat(dirfd(d), entry->d_name, flags);
	closedir(d);
	assert_true(fd >= 0);
	return fd;
}

/* A snapshot of one device whose counter is n, and `noise` devices that do not compress. */
static struct vst_snapshot *snapshot(const struct vst_snapshot *prev, __u64 n, unsigned int noise)
{
	struct vst_snapshot *s = vst_snapshot_next(prev);

	s->unix_time = BEGIN + (double)n;
	s->interval = 1;
	for (__u32 i = 0; i <= noise; i++) {
		struct vst_snap_device *d = vst_value_new(VST_SNAP_DEVICES);

		d->dev = i;
		d->name = strdup("sda");
		d->not_judged = strdup("");
		for (int c = 0; c < VST_DEVICE__N; c++)
			d->counter[c] = i ? ((__u64)random() << 31) + (__u64)random() : n;
		assert_int_equal(vst_snapshot_put(s, VST_SNAP_DEVICES, i, d), 0);
	}
	return s;
}

/* Writes snapshots of the numbers from..to-1, one a second. */
static void write_all(struct vst_record_ring *ring, __u64 from, __u64 to, unsigned int noise)
{
	const struct vst_snapshot *prev = NULL, *s;
	struct vst_record_encoder e = { 0 };

	for (__u64 n = from; n < to; n++) {
		s = snapshot(prev, n, noise);
		if (vst_record_ring_is_new(ring, (double)n)) {
			vst_snapshot_unref(prev);
			prev = NULL;
		}
		assert_int_equal(vst_record_encode(&e, prev, s, prev ? NULL : "policy\n"), 0);
		assert_int_equal(vst_record_ring_write(ring, &about, &e.frame, s->unix_time, s->seq, (double)n), 0);
		vst_snapshot_unref(prev);
		prev = s;
	}
	vst_snapshot_unref(prev);
	vst_record_encoder_clear(&e);
}

static struct vst_record_ring *open_ring(__u64 size)
{
	struct vst_record_ring *ring;

	assert_int_equal(vst_record_ring_new(dir, size, &ring), 0);
	return ring;
}

static struct vst_recording *open_recording(int wanted)
{
	struct vst_recording *r;

	assert_int_equal(vst_recording_open(dir, tell, NULL, &r), wanted);
	return r;
}

static __u64 counter_at(struct vst_recording *r, const struct vst_record_at *at)
{
	const struct vst_snapshot *s;
	const char *policy;

	assert_int_equal(vst_recording_read(r, at, &s, &policy), 0);
	assert_string_equal(policy, "policy\n");
	return vst_snapshot_device(s, 0)->counter[0];
}

static void test_write_and_read(void **state)
{
	struct vst_record_ring *ring = open_ring(64 << 20);
	struct vst_record_at at;
	struct vst_recording *r;

	write_all(ring, 0, 2000, 0); /* in files of 900 s each */
	vst_record_ring_free(ring);
	r = open_recording(0);
	assert_int_equal(vst_recording_first(r, &at), 0);
	assert_int_equal(counter_at(r, &at), 0);
	assert_string_equal(vst_recording_about(r)->host, "node7");
	assert_int_equal(vst_recording_last(r, &at), 0);
	assert_int_equal(counter_at(r, &at), 1999);
	assert_int_equal(vst_recording_step(r, 1, &at), -ENOENT);
	for (int n = 0; n < 2000; n += 271) {
		assert_int_equal(vst_recording_until(r, BEGIN + n + 0.9, &at), 0);
		assert_int_equal(counter_at(r, &at), n);
		assert_int_equal(vst_recording_nearest(r, BEGIN + n + 0.9, &at), 0);
		assert_int_equal(counter_at(r, &at), n + 1);
	}
	/* forward and back over the border of two files */
	assert_int_equal(vst_recording_until(r, BEGIN + 899, &at), 0);
	for (int n = 899; n < 903; n++) {
		assert_int_equal(counter_at(r, &at), n);
		assert_int_equal(vst_recording_step(r, 1, &at), 0);
	}
	for (int n = 903; n > 897; n--) {
		assert_int_equal(counter_at(r, &at), n);
		assert_int_equal(vst_recording_step(r, -1, &at), 0);
	}
	assert_int_equal(vst_recording_until(r, 0, &at), 0); /* before all: the first */
	assert_int_equal(counter_at(r, &at), 0);
	assert_int_equal(vst_recording_step(r, -1, &at), -ENOENT);
	assert_string_equal(told, "");
	vst_recording_close(r);
}

static void test_the_oldest_makes_room(void **state)
{
	struct vst_record_ring *ring = open_ring(4 << 20);
	struct vst_record_at at;
	struct vst_recording *r;
	unsigned int files;
	size_t bytes;

	write_all(ring, 0, 600, 400); /* some 12 MiB */
	assert_true(vst_record_ring_bytes(ring) <= 4 << 20);
	vst_record_ring_free(ring);
	bytes = dir_size(&files);
	assert_true(bytes <= 4 << 20 && bytes > 3 << 20);
	assert_true(files > 10);
	r = open_recording(0);
	assert_int_equal(vst_recording_first(r, &at), 0);
	assert_true(counter_at(r, &at) > 100);
	assert_int_equal(vst_recording_last(r, &at), 0);
	assert_int_equal(counter_at(r, &at), 599);
	vst_recording_close(r);
}

static void test_one_writer(void **state)
{
	struct vst_record_ring *ring = open_ring(4 << 20), *other;

	assert_int_equal(vst_record_ring_new(dir, 4 << 20, &other), -EBUSY);
	vst_record_ring_free(ring);
	ring = open_ring(4 << 20);
	vst_record_ring_free(ring);
}

/* Cut at each of its last bytes, a file has one frame less, and says so. */
static void test_torn_end(void **state)
{
	struct vst_record_ring *ring = open_ring(4 << 20);
	struct vst_record_at at;
	struct vst_recording *r;
	struct stat st;
	int fd;

	write_all(ring, 0, 10, 0);
	vst_record_ring_free(ring);
	fd = open_file(O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	for (int cut = 1; cut < 32; cut++) {
		assert_int_equal(ftruncate(fd, st.st_size - cut), 0);
		r = open_recording(0);
		assert_int_equal(vst_recording_last(r, &at), 0);
		assert_int_equal(counter_at(r, &at), 8);
		assert_non_null(strstr(told, "ends in an incomplete snapshot"));
		vst_recording_close(r);
	}
	close(fd);
}

/* A byte that is changed anywhere costs what follows it, or all of the file; never is something wrong shown. */
static void test_damage(void **state)
{
	struct vst_record_ring *ring = open_ring(4 << 20);
	struct vst_record_at at;
	struct vst_recording *r;
	unsigned int lost = 0;
	struct stat st;
	char byte;
	int fd;

	write_all(ring, 0, 10, 0);
	vst_record_ring_free(ring);
	fd = open_file(O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t i = 0; i < st.st_size; i++) {
		assert_int_equal(pread(fd, &byte, 1, i), 1);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, i), 1);
		told[0] = '\0';
		if (vst_recording_open(dir, tell, NULL, &r) || vst_recording_last(r, &at)) {
			assert_true(*vst_recording_error(r));
			lost++;
		} else {
			assert_true(counter_at(r, &at) == (__u64)(at.time - BEGIN + 0.5));
			assert_true(at.time < BEGIN + 9);
			assert_non_null(strstr(told, "damaged at byte") ?: strstr(told, "incomplete"));
		}
		vst_recording_close(r);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, i), 1);
	}
	assert_true(lost > 0);
	close(fd);
}

static void damage_file(const char *name)
{
	char path[600];
	struct vst_record_file_head head;
	off_t data;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0 && pread(fd, &head, sizeof(head), 0) == sizeof(head));
	/* The heads stay, so that the file is listed; the first frame's data, of which all others are changes, is wrong. */
	data = (off_t)(sizeof(head) + head.len + sizeof(struct vst_record_frame));
	assert_int_equal(pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, data + 8), 8);
	close(fd);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The files of the recording, the oldest first; a name has at most 63 bytes. */
static unsigned int list_files(char names[16][64])
{
	DIR *d = opendir(dir);
	unsigned int n = 0;
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) && n < 16)
		if (strstr(e->d_name, ".vrec"))
			snprintf(names[n++], 64, "%.63s", e->d_name);
	closedir(d);
	qsort(names, n, 64, by_name);
	return n;
}

/* A file of which nothing can be read is told once and left out, wherever one begins and wherever one goes. */
static void test_damaged_files(void **state)
{
	struct vst_record_ring *ring = open_ring(64 << 20);
	struct vst_record_at at;
	struct vst_recording *r;
	char names[16][64];

	write_all(ring, 0, 4 * 900, 0); /* in files of 900 s each */
	vst_record_ring_free(ring);
	assert_true(list_files(names) >= 4);
	damage_file(names[0]);
	damage_file(names[2]);
	r = open_recording(0);
	assert_int_equal(vst_recording_first(r, &at), 0);
	assert_true(counter_at(r, &at) >= 900 && counter_at(r, &at) < 903);
	assert_non_null(strstr(told, "left out"));
	assert_int_equal(vst_recording_step(r, -1, &at), -ENOENT);
	assert_int_equal(vst_recording_until(r, BEGIN + 100, &at), 0); /* in the first: the first that there is */
	assert_true(counter_at(r, &at) >= 900 && counter_at(r, &at) < 903);
	told[0] = '\0';
	assert_int_equal(vst_recording_until(r, BEGIN + 2200, &at), 0); /* in the third: the last of the second */
	assert_true(counter_at(r, &at) > 1790 && counter_at(r, &at) < 1810);
	assert_non_null(strstr(told, names[2]));
	told[0] = '\0';
	assert_int_equal(vst_recording_step(r, 1, &at), 0);
	assert_true(counter_at(r, &at) > 2690 && counter_at(r, &at) < 2710);
	assert_int_equal(vst_recording_step(r, -1, &at), 0);
	assert_true(counter_at(r, &at) > 1790 && counter_at(r, &at) < 1810);
	assert_string_equal(told, ""); /* told before */
	vst_recording_close(r);
}

static void test_nothing_there(void **state)
{
	struct vst_recording *r = open_recording(-ENOENT);

	assert_non_null(strstr(vst_recording_error(r), "has no recording"));
	vst_recording_close(r);
}

static void test_sizes(void **state)
{
	__u64 v;

	assert_int_equal(vst_record_parse_size("200M", &v), 0);
	assert_int_equal(v, 200 << 20);
	assert_int_equal(vst_record_parse_size("1.5G", &v), 0);
	assert_int_equal(v, 1536ULL << 20);
	assert_int_equal(vst_record_parse_size("4194304", &v), 0);
	assert_int_equal(vst_record_parse_size("4194303", &v), -EINVAL);
	assert_int_equal(vst_record_parse_size("2000G", &v), -EINVAL);
	assert_int_equal(vst_record_parse_size("200MB", &v), -EINVAL);
	assert_int_equal(vst_record_parse_size("", &v), -EINVAL);
	assert_int_equal(vst_record_parse_size("-5M", &v), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_write_and_read, empty_dir),
		cmocka_unit_test_setup(test_the_oldest_makes_room, empty_dir),
		cmocka_unit_test_setup(test_one_writer, empty_dir),
		cmocka_unit_test_setup(test_torn_end, empty_dir),
		cmocka_unit_test_setup(test_damage, empty_dir),
		cmocka_unit_test_setup(test_damaged_files, empty_dir),
		cmocka_unit_test_setup(test_nothing_there, empty_dir),
		cmocka_unit_test(test_sizes),
	};
	int failed;

	if (!mkdtemp(dir)) {
		perror(dir);
		return 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	empty_dir(NULL);
	rmdir(dir);
	return failed;
}
