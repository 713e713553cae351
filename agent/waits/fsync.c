// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/base/log.h"
#include "agent/waits/fsync.h"

#define CHUNK 256	 /* entries of a map that are read at once */
#define RETIRE_DEAD 60.0 /* seconds after the end of a cgroup: nothing of it is under way any more */
#define RETIRE_IDLE 60.0 /* seconds without an fsync, while the table is more than half full */

/* What was read of a row of the probes. Several cgroups may be one container's. */
struct seen {
	struct vst_fsync_key key;
	struct vst_fsync_row row;
	struct vst_fsync_wait *wait;
	double changed_at;
	UT_hash_handle hh;
};

struct vst_fsync {
	struct seen *seen;
	struct vst_fsync_wait *waits;
	unsigned int n_seen;
	struct vst_wait_rows *wait_rows;
	__u64 turn;  /* of vst_fsync_collect() */
	__u64 ended; /* calls that the probes had seen return */
	bool any_open;
	bool told_lost, told_unmeasured;
	struct vst_fsync_key keys[CHUNK];
	struct vst_fsync_row rows[CHUNK];
	__u32 tids[CHUNK];
	struct vst_fsync_open open[CHUNK];
};

int vst_fsync_new(struct vst_wait_rows *rows, struct vst_fsync **ret)
{
	struct vst_fsync *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->wait_rows = rows;
	*ret = f;
	return 0;
}

static void seen_free(struct vst_fsync *f, struct seen *s)
{
	HASH_DEL(f->seen, s);
	f->n_seen--;
	free(s);
}

static void wait_free(struct vst_fsync *f, struct vst_fsync_wait *w)
{
	HASH_DEL(f->waits, w);
	vst_wait_row_end(f->wait_rows, &w->row);
	free(w);
}

void vst_fsync_free(struct vst_fsync *f)
{
	struct vst_fsync_wait *w, *next_wait;
	struct seen *s, *next;

	if (!f)
		return;
	HASH_ITER(hh, f->seen, s, next)
	seen_free(f, s);
	HASH_ITER(hh, f->waits, w, next_wait)
	wait_free(f, w);
	free(f);
}

static struct vst_key owner_of(const struct vst_fsync_key *key)
{
	return (struct vst_key){ .owner = key->owner >> 2, .hier = key->owner & 3, .witness = VST_WITNESS_TASK };
}

/* NULL only if out of memory. */
static struct vst_fsync_wait *wait_of(struct vst_fsync *f, const struct vst_fsync_key *from, struct vst_owners *owners,
				      double now)
{
	struct vst_key owner = owner_of(from);
	struct vst_fsync_wait_key key = { vst_owners_of(owners, &owner, now), from->dev };
	struct vst_fsync_wait *w;

	if (!key.container)
		return NULL;
	HASH_FIND(hh, f->waits, &key, sizeof(key), w);
	if (w)
		return w;
	w = calloc(1, sizeof(*w));
	if (!w || vst_wait_row_init(f->wait_rows, &w->row, VST_WAIT_FSYNC, VST_WAIT_OF_WAITER, key.container, NULL)) {
		free(w);
		return NULL;
	}
	w->row.value->dev = from->dev;
	w->row.changed_at = now;
	w->key = key;
	HASH_ADD(hh, f->waits, key, sizeof(w->key), w);
	return w;
}

static struct seen *seen_of(struct vst_fsync *f, const struct vst_fsync_key *key, struct vst_owners *owners, double now)
{
	struct seen *s;

	HASH_FIND(hh, f->seen, key, sizeof(*key), s);
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->key = *key;
	s->wait = wait_of(f, key, owners, now);
	if (!s->wait) {
		free(s);
		return NULL;
	}
	HASH_ADD(hh, f->seen, key, sizeof(s->key), s);
	f->n_seen++;
	return s;
}

/* What a row has grown by. It is read while the probes write it: a counter may be one call ahead of another. */
static void row_take(struct vst_fsync *f, struct seen *s, const struct vst_fsync_row *row, double now)
{
	struct vst_fsync_wait *w = s->wait;

	if (row->count == s->row.count && row->total_ns == s->row.total_ns)
		return;
	w->count += row->count - s->row.count;
	w->sum_ns += row->total_ns - s->row.total_ns;
	if (row->max_ns > w->max_ns)
		w->max_ns = row->max_ns;
	for (int i = 0; i < VST_HIST_BUCKETS; i++)
		w->hist[i] += row->hist[i] - s->row.hist[i];
	s->row = *row;
	s->changed_at = w->row.changed_at = now;
	w->changed = f->turn;
}

static int read_rows(struct vst_fsync *f, int fd, struct vst_owners *owners, double now)
{
	bool last = false;
	__u32 token = 0;

	for (bool first = true; !last; first = false) {
		__u32 n = CHUNK;

		if (bpf_map_lookup_batch(fd, first ? NULL : &token, &token, f->keys, f->rows, &n, NULL)) {
			if (errno != ENOENT)
				return -errno;
			last = true;
		}
		for (__u32 i = 0; i < n; i++) {
			struct seen *s = seen_of(f, &f->keys[i], owners, now);

			if (!s)
				return -ENOMEM;
			row_take(f, s, &f->rows[i], now);
		}
	}
	return 0;
}

static void open_take(struct vst_fsync *f, struct vst_fsync_wait *w, __u64 begin_ns, double now)
{
	__u64 now_ns = (__u64)(now * 1e9);

	w->waiting++;
	if (!w->oldest_ns || begin_ns < w->oldest_ns)
		w->oldest_ns = begin_ns;
	w->open_ns += now_ns > begin_ns ? now_ns - begin_ns : 0;
	w->row.changed_at = now;
	w->changed = f->turn;
	f->any_open = true;
}

static int read_open(struct vst_fsync *f, int fd, struct vst_owners *owners, double now)
{
	bool last = false;
	__u32 token = 0;

	for (bool first = true; !last; first = false) {
		__u32 n = CHUNK;

		if (bpf_map_lookup_batch(fd, first ? NULL : &token, &token, f->tids, f->open, &n, NULL)) {
			if (errno != ENOENT)
				return -errno;
			last = true;
		}
		for (__u32 i = 0; i < n; i++) {
			struct vst_fsync_wait *w = wait_of(f, &f->open[i].key, owners, now);

			if (!w)
				return -ENOMEM;
			open_take(f, w, f->open[i].begin_ns, now);
		}
	}
	return 0;
}

/* Makes the value that the next snapshot has. */
static int show(struct vst_fsync *f, struct vst_fsync_wait *w, struct vst_devices *devices)
{
	unsigned int n = 0;
	struct vst_snap_wait *v;
	char name[64];

	for (int i = 0; i < VST_HIST_BUCKETS; i++)
		n += w->hist[i] != 0;
	v = vst_wait_row_change(f->wait_rows, &w->row, n);
	if (!v)
		return -ENOMEM;
	n = 0;
	for (__u32 i = 0; i < VST_HIST_BUCKETS; i++)
		if (w->hist[i])
			v->times.hist.bucket[n++] = (struct vst_bucket){ .index = i, .n = w->hist[i] };
	v->times.sum_ns = w->sum_ns;
	v->times.max_ns = w->max_ns;
	v->waits = w->count;
	v->total_ns = w->total_ns;
	v->waiting = w->waiting;
	v->oldest_ns = w->oldest_ns;
	vst_devices_name(devices, v->dev, name, sizeof(name));
	if (!*name) /* a filesystem that is on no disk that we know */
		snprintf(name, sizeof(name), "%u:%u", v->dev >> 20, v->dev & 0xfffff);
	vst_wait_row_texts(&w->row, &(struct vst_wait_texts){ .name = name });
	return 0;
}

static void tell_once(bool *told, __u64 n, const char *what)
{
	if (!n || *told)
		return;
	vst_warn("%s", what);
	*told = true;
}

/*
 * Those that have returned first, then those that are under way: one that returns in between is in neither, and its time
 * comes with the next turn. The other way around it would be in both, and the sum would have to fall.
 */
int vst_fsync_collect(struct vst_fsync *f, const struct vst_probes *probes, struct vst_owners *owners,
		      struct vst_devices *devices, double now)
{
	const struct vst_maps *m = vst_probes_maps(probes);
	struct vst_fsync_wait *w;
	__u64 ended;
	int err = 0;

	f->turn++;
	for (w = f->waits; f->any_open && w; w = w->hh.next) {
		if (!w->waiting)
			continue;
		w->waiting = 0;
		w->oldest_ns = w->open_ns = 0;
		w->changed = f->turn;
	}
	f->any_open = false;
	if (!m->fsync_state)
		return 0;
	ended = __atomic_load_n(&m->fsync_state->ended, __ATOMIC_RELAXED);
	if (ended != f->ended)
		err = read_rows(f, m->fsync_rows_fd, owners, now);
	f->ended = ended;
	tell_once(&f->told_lost, m->fsync_state->lost,
		  "some fsyncs are not measured: more cgroups or threads wait for fsync than there is room for");
	tell_once(&f->told_unmeasured, m->fsync_state->unmeasured,
		  "writes with O_SYNC or O_DSYNC and fsyncs of io_uring are not measured on xfs and btrfs: this kernel "
		  "does "
		  "not let functions be hooked, see fentry in `vstorctl doctor`");
	err = err ?: read_open(f, m->fsync_open_fd, owners, now);
	for (w = f->waits; w; w = w->hh.next) {
		if (w->changed != f->turn)
			continue;
		if (w->sum_ns + w->open_ns > w->total_ns)
			w->total_ns = w->sum_ns + w->open_ns;
		if (show(f, w, devices))
			err = -ENOMEM;
	}
	return err;
}

/* A last look at the row, and it goes. */
static void retire(struct vst_fsync *f, int fd, struct seen *s, double now)
{
	struct vst_fsync_row row;

	if (!bpf_map_lookup_and_delete_elem(fd, &s->key, &row))
		row_take(f, s, &row, now);
	seen_free(f, s);
}

void vst_fsync_reclaim(struct vst_fsync *f, const struct vst_probes *probes, struct vst_owners *owners, double now)
{
	int fd = vst_probes_maps(probes)->fsync_rows_fd;
	bool crowded = f->n_seen > VST_FSYNC_ROWS / 2;
	struct vst_fsync_wait *w, *next_wait;
	struct seen *s, *next;

	HASH_ITER(hh, f->seen, s, next)
	{
		struct vst_key owner = owner_of(&s->key);

		if (vst_owners_gone(owners, &owner, now - RETIRE_DEAD) ||
		    (crowded && now - s->changed_at > RETIRE_IDLE) || s->wait->key.container->crowded_out)
			retire(f, fd, s, now);
		else
			s->wait->used = f->turn;
	}
	HASH_ITER(hh, f->waits, w, next_wait)
	if (w->used != f->turn && !w->waiting &&
	    (now - w->row.changed_at > VST_KEEP_DEAD || w->key.container->crowded_out))
		wait_free(f, w);
}

const struct vst_fsync_wait *vst_fsync_waits(const struct vst_fsync *f)
{
	return f->waits;
}
