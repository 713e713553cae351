/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/base/log.c agent/waits/wait_rows.c agent/snapshot.c agent/base/places.c -lbpf */
/* What the agent makes of the rows of the probes of fsync, and of what is under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "vstor/abi_fsync.h"
#include "vstor/hist.h"

/* --- a kernel in memory --- */

enum { ROWS_FD = 100, OPEN_FD };

static struct {
	struct vst_fsync_key key;
	struct vst_fsync_row row;
	bool used;
} rows[1000];
static struct vst_fsync_open opens[1000];
static __u32 n_rows, n_opens;
static unsigned int row_reads;

/* Hands out the entries of a map in pieces, as the kernel does: ENOENT with the last one. */
static int fake_batch(int fd, void *in, void *out, void *keys, void *values, __u32 *n, const void *opts)
{
	__u32 at = in ? *(__u32 *)in : 0, have = fd == ROWS_FD ? n_rows : n_opens, i;

	row_reads += fd == ROWS_FD && !in;
	for (i = 0; i < *n && at < have; at++) {
		if (fd == ROWS_FD && !rows[at].used)
			continue;
		if (fd == ROWS_FD) {
			((struct vst_fsync_key *)keys)[i] = rows[at].key;
			((struct vst_fsync_row *)values)[i] = rows[at].row;
		} else {
			((__u32 *)keys)[i] = at;
			((struct vst_fsync_open *)values)[i] = opens[at];
		}
		i++;
	}
	*n = i;
	*(__u32 *)out = at;
	if (at < have)
		return 0;
	errno = ENOENT;
	return -1;
}

static int fake_take(int fd, const void *key, void *value)
{
	assert_int_equal(fd, ROWS_FD);
	for (__u32 i = 0; i < n_rows; i++) {
		if (!rows[i].used || memcmp(&rows[i].key, key, sizeof(rows[i].key)))
			continue;
		memcpy(value, &rows[i].row, sizeof(rows[i].row));
		rows[i].used = false;
		return 0;
	}
	errno = ENOENT;
	return -1;
}

#define bpf_map_lookup_batch fake_batch
#define bpf_map_lookup_and_delete_elem fake_take
#include "agent/waits/fsync.c"

static struct vst_wait_rows wait_rows;
static struct vst_fsync_state state;
static struct vst_maps maps;
static struct vst_container containers[4];
static __u64 gone; /* a cgroup */

const struct vst_maps *vst_probes_maps(const struct vst_probes *p)
{
	return &maps;
}

/* Cgroups 10 to 19 are the first container's, and so on. */
struct vst_container *vst_owners_of(struct vst_owners *o, const struct vst_key *key, double now)
{
	assert_int_equal(key->witness, VST_WITNESS_TASK);
	return &containers[key->owner / 10 - 1];
}

bool vst_owners_gone(struct vst_owners *o, const struct vst_key *key, double before)
{
	return key->owner == gone;
}

void vst_devices_name(struct vst_devices *devs, __u32 dev, char *buf, size_t size)
{
	snprintf(buf, size, "%s", dev == 9 ? "" : "loop1p2");
}

/* --- helpers --- */

static int set_up(void **ret)
{
	struct vst_fsync *f;

	memset(rows, 0, sizeof(rows));
	memset(containers, 0, sizeof(containers));
	memset(&state, 0, sizeof(state));
	n_rows = n_opens = row_reads = 0;
	gone = 0;
	maps = (struct vst_maps){ .fsync_rows_fd = ROWS_FD, .fsync_open_fd = OPEN_FD, .fsync_state = &state };
	assert_int_equal(vst_fsync_new(&wait_rows, &f), 0);
	*ret = f;
	return 0;
}

static int tear_down(void **ret)
{
	while (vst_wait_rows_changed(&wait_rows))
		;
	vst_fsync_free(*ret);
	vst_wait_rows_free(&wait_rows);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(containers[i].rows, 0);
	return 0;
}

/* The probes see an fsync return. */
static void returns(__u64 cgroup, __u32 dev, __u64 ns)
{
	const struct vst_fsync_key key = { .owner = cgroup << 2, .dev = dev };
	__u32 i;

	for (i = 0; i < n_rows && (!rows[i].used || memcmp(&rows[i].key, &key, sizeof(key))); i++)
		;
	if (i == n_rows)
		n_rows++;
	rows[i].key = key;
	rows[i].used = true;
	rows[i].row.count++;
	rows[i].row.total_ns += ns;
	rows[i].row.max_ns = ns > rows[i].row.max_ns ? ns : rows[i].row.max_ns;
	rows[i].row.hist[vst_hist_index(ns)]++;
	state.ended++;
}

static void collect(struct vst_fsync *f, double now)
{
	assert_int_equal(vst_fsync_collect(f, NULL, NULL, NULL, now), 0);
}

static const struct vst_fsync_wait *wait(const struct vst_fsync *f, int container, __u64 dev)
{
	const struct vst_fsync_wait *w, *found = NULL;

	for (w = vst_fsync_waits(f); w; w = w->hh.next) {
		if (w->key.container != &containers[container] || w->key.dev != dev)
			continue;
		assert_null(found); /* one row per key */
		found = w;
	}
	return found;
}

/* --- tests --- */

static void test_not_measured(void **ret)
{
	maps.fsync_state = NULL;
	maps.fsync_rows_fd = maps.fsync_open_fd = -1;
	collect(*ret, 1);
	assert_null(vst_fsync_waits(*ret));
}

static void test_returned(void **ret)
{
	struct vst_fsync *f = *ret;
	const struct vst_snap_wait *shown;

	returns(10, 7 << 20 | 1, 5000000);
	returns(10, 7 << 20 | 1, 7000000);
	returns(10, 7 << 20 | 2, 1000);
	returns(20, 7 << 20 | 1, 9000000);
	collect(f, 1);
	assert_int_equal(wait(f, 0, 7 << 20 | 1)->count, 2);
	assert_int_equal(wait(f, 0, 7 << 20 | 1)->sum_ns, 12000000);
	assert_int_equal(wait(f, 0, 7 << 20 | 1)->total_ns, 12000000);
	assert_int_equal(wait(f, 0, 7 << 20 | 1)->max_ns, 7000000);
	assert_int_equal(wait(f, 0, 7 << 20 | 1)->waiting, 0);
	assert_int_equal(wait(f, 0, 7 << 20 | 2)->count, 1);
	assert_int_equal(wait(f, 1, 7 << 20 | 1)->sum_ns, 9000000);
	shown = wait(f, 0, 7 << 20 | 1)->row.value;
	assert_int_equal(shown->type, VST_WAIT_FSYNC);
	assert_int_equal(shown->side, VST_WAIT_OF_WAITER);
	assert_int_equal(shown->dev, 7 << 20 | 1);
	assert_string_equal(shown->name, "loop1p2");
	assert_int_equal(shown->waits, 2);
	assert_int_equal(shown->total_ns, 12000000);
	assert_int_equal(shown->times.sum_ns, 12000000);
	assert_int_equal(shown->times.max_ns, 7000000);
	assert_int_equal(shown->times.hist.n, 2);
	assert_int_equal(shown->times.hist.bucket[0].index, vst_hist_index(5000000));
	assert_int_equal(shown->times.hist.bucket[1].index, vst_hist_index(7000000));
	assert_int_equal(shown->times.hist.bucket[1].n, 1);
	/* of no disk that is known */
	returns(30, 9, 1000);
	collect(f, 2);
	assert_string_equal(wait(f, 2, 9)->row.value->name, "0:9");
}

/* Two cgroups of one container are one row. */
static void test_inner_cgroups(void **ret)
{
	struct vst_fsync *f = *ret;

	returns(10, 1, 100);
	returns(11, 1, 50);
	collect(f, 1);
	returns(11, 1, 200);
	collect(f, 2);
	assert_int_equal(wait(f, 0, 1)->count, 3);
	assert_int_equal(wait(f, 0, 1)->sum_ns, 350);
	assert_int_equal(wait(f, 0, 1)->max_ns, 200);
	assert_int_equal(wait(f, 0, 1)->hist[0], 3);
}

/* Rows are read only if a call has returned; buckets wrap. */
static void test_only_what_is_new(void **ret)
{
	struct vst_fsync *f = *ret;

	returns(10, 1, 100);
	rows[0].row.hist[0] = 0xffffffff;
	collect(f, 1);
	collect(f, 2);
	assert_int_equal(row_reads, 1);
	assert_int_equal(wait(f, 0, 1)->changed, 1);
	returns(10, 1, 100);
	assert_int_equal(rows[0].row.hist[0], 0);
	collect(f, 3);
	assert_int_equal(row_reads, 2);
	assert_int_equal(wait(f, 0, 1)->hist[0], 0x100000000ULL);
	assert_int_equal(wait(f, 0, 1)->changed, 3);
}

static void test_under_way(void **ret)
{
	const struct vst_fsync_key key = { .owner = 10 << 2, .dev = 1 };
	struct vst_fsync *f = *ret;
	const struct vst_fsync_wait *w;

	opens[0] = (struct vst_fsync_open){ .begin_ns = 9000000000, .key = key };
	opens[1] = (struct vst_fsync_open){ .begin_ns = 8000000000, .key = key };
	n_opens = 2;
	collect(f, 10);
	w = wait(f, 0, 1);
	assert_int_equal(w->waiting, 2);
	assert_int_equal(w->oldest_ns, 8000000000);
	assert_int_equal(w->count, 0);
	assert_int_equal(w->total_ns, 3000000000);
	assert_int_equal(w->row.value->waiting, 2);
	assert_int_equal(w->row.value->oldest_ns, 8000000000);
	assert_int_equal(w->row.value->total_ns, 3000000000);
	assert_int_equal(w->row.value->times.hist.n, 0);
	/* each second of waiting is charged when it passes */
	collect(f, 11);
	assert_int_equal(w->total_ns, 5000000000);
	/* one returns: its time does not count twice */
	n_opens = 1;
	returns(10, 1, 3500000000);
	collect(f, 12);
	assert_int_equal(w->waiting, 1);
	assert_int_equal(w->oldest_ns, 9000000000);
	assert_int_equal(w->sum_ns, 3500000000);
	assert_int_equal(w->total_ns, 6500000000);
	n_opens = 0;
	returns(10, 1, 3500000000);
	collect(f, 13);
	assert_int_equal(w->waiting, 0);
	assert_int_equal(w->oldest_ns, 0);
	assert_int_equal(w->total_ns, 7000000000);
	assert_int_equal(w->total_ns, w->sum_ns);
	assert_int_equal(w->changed, 4);
	collect(f, 14);
	assert_int_equal(w->changed, 4);
}

/* One that returned between the two readings is in neither, and one that began since the time of the turn has no age. */
static void test_sum_never_falls(void **ret)
{
	const struct vst_fsync_key key = { .owner = 10 << 2, .dev = 1 };
	struct vst_fsync *f = *ret;
	const struct vst_fsync_wait *w;

	opens[0] = (struct vst_fsync_open){ .begin_ns = 5000000000, .key = key };
	n_opens = 1;
	collect(f, 10);
	w = wait(f, 0, 1);
	assert_int_equal(w->total_ns, 5000000000);
	n_opens = 0;
	collect(f, 11);
	assert_int_equal(w->total_ns, 5000000000);
	returns(10, 1, 5200000000);
	opens[0].begin_ns = 12500000000;
	n_opens = 1;
	collect(f, 12);
	assert_int_equal(w->total_ns, 5200000000);
	assert_int_equal(w->waiting, 1);
}

/* More than one piece of a map, and a cgroup that goes. */
static void test_many_and_gone(void **ret)
{
	struct vst_fsync *f = *ret;

	for (__u32 dev = 1; dev <= 3 * CHUNK; dev++)
		returns(10, dev, 100);
	returns(20, 1, 100);
	collect(f, 1);
	assert_int_equal(HASH_COUNT(f->waits), 3 * CHUNK + 1);
	assert_int_equal(f->n_seen, 3 * CHUNK + 1);
	/* of a cgroup that is gone the row is given back, and what it did stays known for a time */
	returns(20, 1, 300);
	gone = 20;
	vst_fsync_reclaim(f, NULL, NULL, 2);
	assert_int_equal(f->n_seen, 3 * CHUNK);
	assert_false(rows[3 * CHUNK].used);
	assert_int_equal(wait(f, 1, 1)->count, 2);
	assert_int_equal(wait(f, 1, 1)->sum_ns, 400);
	vst_fsync_reclaim(f, NULL, NULL, 3 + VST_KEEP_DEAD);
	assert_null(wait(f, 1, 1));
	/* those of living ones stay, however long they are idle */
	assert_int_equal(HASH_COUNT(f->waits), 3 * CHUNK);
}

/* Others need the place. */
static void test_crowded_out(void **ret)
{
	struct vst_fsync *f = *ret;

	returns(10, 1, 100);
	returns(20, 1, 100);
	collect(f, 1);
	containers[0].crowded_out = true;
	vst_fsync_reclaim(f, NULL, NULL, 2);
	assert_null(wait(f, 0, 1));
	assert_non_null(wait(f, 1, 1));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_not_measured), T(test_returned),	       T(test_inner_cgroups), T(test_only_what_is_new),
		T(test_under_way),    T(test_sum_never_falls), T(test_many_and_gone), T(test_crowded_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
