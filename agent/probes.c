// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "agent/lock_maps.h"
#include "agent/log.h"
#include "agent/probes.h"

#include "block.skel.h"
#include "cgroup.skel.h"
#include "dirty.skel.h"
#include "journal.skel.h"
#include "lock.skel.h"
#include "pause.skel.h"
#include "stacked.skel.h"
#include "xfs.skel.h"

/* The objects: the first one's maps are everybody's. X(GROUP, skeleton) */
#define OBJECTS(X)                                                                                                     \
	X(BLOCK, block)                                                                                                \
	X(STACKED, stacked)                                                                                            \
	X(CGROUP, cgroup)                                                                                              \
	X(DIRTY, dirty)                                                                                                \
	X(XFS, xfs)                                                                                                    \
	X(LOCK, lock)                                                                                                  \
	X(PAUSE, pause)                                                                                                \
	X(JOURNAL, journal)

enum group {
#define X(g, s) GROUP_##g,
	OBJECTS(X)
#undef X
		GROUP__N
};

/*
 * Every program: which object it is in, its tracepoint, whether the agent can do without it. Order of attaching:
 * completion comes last, so that what it sees has been seen at its submission.
 * X(group, program, tracepoint, required)
 */
#define PROBES(X)                                                                                                      \
	X(BLOCK, rq_requeue, block_rq_requeue, false)                                                                  \
	X(BLOCK, rq_merge, block_rq_merge, false)                                                                      \
	X(BLOCK, bio_backmerge, block_bio_backmerge, false)                                                            \
	X(BLOCK, bio_frontmerge, block_bio_frontmerge, false)                                                          \
	X(BLOCK, rq_insert, block_rq_insert, false)                                                                    \
	X(BLOCK, rq_issue, block_rq_issue, true)                                                                       \
	X(BLOCK, rq_complete, block_rq_complete, true)                                                                 \
	X(STACKED, bio_complete, block_bio_complete, false)                                                            \
	X(STACKED, bio_queue, block_bio_queue, false)                                                                  \
	X(CGROUP, cgroup_mkdir, cgroup_mkdir, false)                                                                   \
	X(CGROUP, cgroup_rmdir, cgroup_rmdir, false)                                                                   \
	X(DIRTY, dirty_folio, writeback_dirty_folio, false)                                                            \
	X(XFS, xfs_write, iomap_iter, false)                                                                           \
	X(LOCK, lock_begin, contention_begin, false)                                                                   \
	X(LOCK, lock_end, contention_end, false)                                                                       \
	X(PAUSE, dirty_pause, balance_dirty_pages, false)                                                              \
	X(JOURNAL, handle_stats, jbd2_handle_stats, false)                                                             \
	X(JOURNAL, commit_begin, jbd2_start_commit, false)                                                             \
	X(JOURNAL, commit_end, jbd2_end_commit, false)                                                                 \
	X(JOURNAL, fsync_end, ext4_sync_file_exit, false)                                                              \
	X(JOURNAL, fsync_begin, ext4_sync_file_enter, false)

enum probe_id {
#define X(g, p, t, r) PROBE_##p,
	PROBES(X)
#undef X
		PROBE__N
};

static const struct {
	enum group group;
	const char *name;
	const char *tracepoint;
	bool required;
} probe_table[] = {
#define X(g, p, t, r) { GROUP_##g, #p, #t, r },
	PROBES(X)
#undef X
};

struct probe {
	struct bpf_program *prog;
	struct bpf_link *link;
	bool missing;
	__u64 run_ns, run_cnt; /* at the beginning of a statistics moment */
	double mean_ns;
	__u64 sampled;
};

struct vst_probes {
#define X(g, s) struct s##_bpf *s;
	OBJECTS(X)
#undef X
	struct bpf_object *obj[GROUP__N];
	struct probe probe[PROBE__N];
	struct vst_maps maps;
	bool stacked_loaded;
	int stacked_failed; /* -errno */
	int locks_failed;   /* likewise */
	int pause_failed;   /* likewise */
	bool journal_loaded, journal_told;
	int journal_failed; /* likewise */
	int stats_fd;
	bool late; /* the thread that loads what can come late has not ended */
	pthread_t late_thread;
	int late_fd;	     /* can be read when it has */
	time_t shared_since; /* monotonic seconds */
	nlink_t modules;     /* directories in /sys/module when the symbols were looked up; 0: not yet */
};

/* --- symbols --- */

static void symbols_read(struct vst_state *state, struct vst_lock_state *locks)
{
	static const char *const names[VST_ORIGIN__N] = {
#define X(f, s, w) [VST_ORIGIN_##f] = s,
		VST_SYMBOLS(X)
#undef X
	};
	__u64 addr[VST_ORIGIN__N] = { 0 };
	char line[512], name[256];
	unsigned long long a;
	size_t i;
	FILE *f;

	f = fopen("/proc/kallsyms", "re");
	if (!f) {
		vst_warn(
			"cannot read /proc/kallsyms: %s; direct I/O, the journal and swap may be shown as kind unknown",
			strerror(errno));
		return;
	}
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx %*c %255s", &a, name) != 2)
			continue;
		for (i = 1; i < VST_ORIGIN__N; i++)
			if (name[0] == names[i][0] && !strcmp(name, names[i]))
				addr[i] = a;
		vst_lock_maps_symbol(locks, name, a);
	}
	fclose(f);
	for (i = 1; i < VST_ORIGIN__N && !addr[i]; i++)
		;
	if (i == VST_ORIGIN__N)
		vst_warn("the kernel hides the addresses of its functions; direct I/O, the journal and swap may be "
			 "shown as "
			 "kind unknown until kernel.kptr_restrict is 0 or 1 and vstord is started anew");
	if (!vst_origins_set(&state->origins, addr))
		vst_warn("no table of the kernel's functions could be made; direct I/O, the journal and swap may be "
			 "shown as kind unknown");
}

void vst_probes_symbols(struct vst_probes *p)
{
	struct stat st;

	/* a module that comes or goes changes the number of directories; sysfs keeps no times */
	if (stat("/sys/module", &st))
		st.st_nlink = 1;
	if (st.st_nlink == p->modules)
		return;
	p->modules = st.st_nlink;
	symbols_read(p->maps.state, p->maps.lock.state);
}

/* --- loading --- */

/* The verifier's log is long, and its reason stands at the end. */
static int on_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	enum { TAIL = 1500 };
	char *text;
	int len;

	if (level == LIBBPF_DEBUG)
		return 0;
	len = vasprintf(&text, fmt, args);
	if (len < 0)
		return 0;
	vst_log(level == LIBBPF_WARN ? VST_LOG_WARN : VST_LOG_DEBUG, "%s%s", len > TAIL ? "..." : "",
		len > TAIL ? text + len - TAIL : text);
	free(text);
	return 0;
}

static void *map_memory(const struct bpf_map *map, size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return mem == MAP_FAILED ? NULL : mem;
}

/* The other objects use the first one's maps. */
static int share_maps(struct bpf_object *obj, const struct bpf_object *with)
{
	struct bpf_map *map, *shared;
	int err;

	bpf_object__for_each_map(map, obj)
	{
		shared = bpf_object__find_map_by_name(with, bpf_map__name(map));
		if (!shared)
			continue;
		err = bpf_map__reuse_fd(map, bpf_map__fd(shared));
		if (err)
			return err;
	}
	return 0;
}

/* How many arguments a tracepoint has; -1: this kernel does not have it. */
static int tracepoint_args(const struct btf *btf, const char *tracepoint)
{
	const struct btf_type *t;
	char name[128];
	int id;

	snprintf(name, sizeof(name), "btf_trace_%s", tracepoint);
	id = btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF);
	if (id < 0)
		return -1;
	t = btf__type_by_id(btf, btf__type_by_id(btf, id)->type); /* a pointer to a function */
	t = btf__type_by_id(btf, t->type);
	return btf_is_func_proto(t) ? (int)btf_vlen(t) - 1 : -1;
}

/* 12 arguments on 6.1 and 6.12; on 6.18 some of them are in a structure, and there are 8. */
static void find_pause(struct vst_probes *p, int args)
{
	struct probe *probe = &p->probe[PROBE_dirty_pause];

	p->pause->rodata->vst_pause_arg = args == 12 ? 10 : 6;
	if (args == 12 || args == 8 || !probe->prog)
		return;
	probe->missing = true;
	bpf_program__set_autoload(probe->prog, false);
}

/* Tells libbpf to leave out what this kernel has no tracepoint for. */
static int find_programs(struct vst_probes *p)
{
	struct btf *btf = btf__load_vmlinux_btf();
	char name[64];
	int i, err = 0;

	if (!btf)
		return -errno;
	for (i = 0; i < PROBE__N && !err; i++) {
		snprintf(name, sizeof(name), "vst_%s", probe_table[i].name);
		p->probe[i].prog = bpf_object__find_program_by_name(p->obj[probe_table[i].group], name);
		if (!p->probe[i].prog) {
			err = -ENOENT;
		} else if (probe_table[i].group == GROUP_JOURNAL) {
			continue; /* of a module, which may come later */
		} else if (tracepoint_args(btf, probe_table[i].tracepoint) < 0) {
			p->probe[i].missing = true;
			bpf_program__set_autoload(p->probe[i].prog, false);
			vst_warn("this kernel has no tracepoint %s%s", probe_table[i].tracepoint,
				 probe_table[i].required ? ": it cannot be watched" : "");
			if (probe_table[i].required)
				err = -EOPNOTSUPP;
		}
	}
	find_pause(p, tracepoint_args(btf, "balance_dirty_pages"));
	btf__free(btf);
	return err;
}

static int open_objects(struct vst_probes *p)
{
#define X(g, s)                                                                                                        \
	p->s = s##_bpf__open();                                                                                        \
	if (!p->s)                                                                                                     \
		return -errno;                                                                                         \
	p->obj[GROUP_##g] = p->s->obj;
	OBJECTS(X)
#undef X
	return 0;
}

static int load_objects(struct vst_probes *p)
{
	int err;

	err = bpf_map__set_max_entries(p->block->maps.vst_slots, VST_ROWS * p->maps.cpus);
	if (!err)
		err = bpf_map__set_max_entries(p->block->maps.vst_memo, p->maps.cpus);
	if (!err)
		err = block_bpf__load(p->block);
	/* stacked_bpf is loaded when it is needed: its verification takes a third of the start */
	if (!err)
		err = bpf_map__reuse_fd(p->stacked->maps.bss, bpf_map__fd(p->block->maps.bss));
#define X(g, s)                                                                                                        \
	if (!err && GROUP_##g != GROUP_BLOCK)                                                                          \
		err = share_maps(p->obj[GROUP_##g], p->block->obj);                                                    \
	if (!err && GROUP_##g != GROUP_BLOCK && GROUP_##g != GROUP_STACKED && GROUP_##g != GROUP_LOCK &&               \
	    GROUP_##g != GROUP_PAUSE && GROUP_##g != GROUP_JOURNAL)                                                    \
		err = s##_bpf__load(p->s);
	OBJECTS(X)
#undef X
	return err;
}

static int open_maps(struct vst_probes *p, const struct vst_hiers *hiers)
{
	struct vst_maps *m = &p->maps;

	m->state = &p->block->data_state->vst_state;
	m->row_keys = map_memory(p->block->maps.vst_row_keys, sizeof(*m->row_keys) * VST_ROWS);
	m->counters = map_memory(p->block->maps.vst_counters, sizeof(*m->counters) * VST_SLOTS);
	if (!m->row_keys || !m->counters)
		return -ENOMEM;
	m->rows_fd = bpf_map__fd(p->block->maps.vst_rows);
	m->slots_fd = bpf_map__fd(p->block->maps.vst_slots);
	m->hists_fd = bpf_map__fd(p->block->maps.vst_hists);
	m->lost_fd = bpf_map__fd(p->block->maps.vst_lost);
	m->free_rows_fd = bpf_map__fd(p->block->maps.vst_free_rows);
	m->free_slots_fd = bpf_map__fd(p->block->maps.vst_free_slots);
	m->events_fd = bpf_map__fd(p->block->maps.vst_events);
	m->throttled_fd = -1;
	m->state->blkio_hier = hiers->blkio;
	m->state->memory_hier = hiers->memory;
	m->state->next_row = m->state->next_slot = 1;
	m->state->page_shift = __builtin_ctzl(sysconf(_SC_PAGESIZE));
	return 0;
}

static int attach_group(struct vst_probes *p, enum group group)
{
	for (int i = 0; i < PROBE__N; i++) {
		struct probe *probe = &p->probe[i];

		if (probe_table[i].group != group || probe->missing || probe->link)
			continue;
		probe->link = bpf_program__attach(probe->prog);
		if (!probe->link) {
			int err = -errno;

			vst_err("cannot attach to tracepoint %s: %s", probe_table[i].tracepoint, strerror(-err));
			return err;
		}
	}
	return 0;
}

static void detach_group(struct vst_probes *p, enum group group)
{
	for (int i = 0; i < PROBE__N; i++) {
		if (probe_table[i].group != group)
			continue;
		bpf_link__destroy(p->probe[i].link);
		p->probe[i].link = NULL;
	}
}

/* --- what the agent does without: loaded by a thread of its own, so that I/O is watched half a second earlier --- */

static bool is_mounted(const char *sys);
static void load_journal(struct vst_probes *p);

static void *load_late(void *arg)
{
	struct vst_probes *p = arg;
	uint64_t done = 1;

	if (!p->probe[PROBE_lock_begin].missing && !p->probe[PROBE_lock_end].missing)
		p->locks_failed = lock_bpf__load(p->lock);
	if (!p->probe[PROBE_dirty_pause].missing)
		p->pause_failed = pause_bpf__load(p->pause);
	if (is_mounted("/sys/fs/ext4"))
		load_journal(p);
	if (write(p->late_fd, &done, sizeof(done)) < 0)
		vst_warn("cannot tell that the probes of waits are loaded: %s", strerror(errno));
	return NULL;
}

static int late_begin(struct vst_probes *p)
{
	p->late_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->late_fd < 0)
		return -errno;
	p->late = !pthread_create(&p->late_thread, NULL, load_late, p);
	if (!p->late) /* no thread: now, then */
		load_late(p);
	return 0;
}

static void late_join(struct vst_probes *p)
{
	if (p->late)
		pthread_join(p->late_thread, NULL);
	p->late = false;
}

int vst_probes_load(const struct vst_hiers *hiers, struct vst_probes **ret)
{
	struct vst_probes *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->stats_fd = p->late_fd = -1;
	p->maps.cpus = libbpf_num_possible_cpus();
	libbpf_set_print(on_libbpf);
	err = open_objects(p);
	if (!err)
		err = find_programs(p);
	if (!err)
		err = load_objects(p);
	if (!err)
		err = open_maps(p, hiers);
	p->lock->rodata->vst_lock_memory_hier = hiers->memory;
	if (!err)
		err = late_begin(p);
	if (err) {
		vst_probes_free(p);
		return err;
	}
	vst_probes_symbols(p);
	*ret = p;
	return 0;
}

/* --- attaching --- */

/* A directory for each file system of a type that is mounted, and one for all of them; sysfs keeps no times. */
static bool is_mounted(const char *sys)
{
	struct stat st;

	return !stat(sys, &st) && st.st_nlink > 3;
}

void vst_probes_xfs(struct vst_probes *p)
{
	bool on = is_mounted("/sys/fs/xfs") && !p->probe[PROBE_xfs_write].missing;

	if (on == !!p->maps.state->xfs_noted)
		return;
	p->maps.state->xfs_noted = false;
	if (on && !attach_group(p, GROUP_XFS))
		p->maps.state->xfs_noted = true;
	else
		detach_group(p, GROUP_XFS);
}

int vst_probes_attach_cgroup(struct vst_probes *p)
{
	int err = attach_group(p, GROUP_CGROUP);

	vst_probes_xfs(p);
	return err ? err : attach_group(p, GROUP_DIRTY);
}

int vst_probes_attach_block(struct vst_probes *p)
{
	struct timespec now;
	int err;

	p->maps.state->attach_ns = UINT64_MAX; /* until all are attached, any request may have been missed */
	err = attach_group(p, GROUP_BLOCK);
	clock_gettime(CLOCK_MONOTONIC, &now);
	p->maps.state->attach_ns = now.tv_sec * 1000000000ULL + now.tv_nsec;
	return err;
}

static void attach_locks(struct vst_probes *p)
{
	if (p->probe[PROBE_lock_begin].missing || p->probe[PROBE_lock_end].missing)
		return;
	p->locks_failed = p->locks_failed ?: vst_lock_maps_open(p->lock->obj, &p->maps.lock);
	if (!p->locks_failed) {
		symbols_read(p->maps.state, p->maps.lock.state);
		p->locks_failed = attach_group(p, GROUP_LOCK);
	}
	if (p->locks_failed)
		vst_warn("cannot load the probe of locks: %s; waits for locks are not shown",
			 strerror(-p->locks_failed));
}

static void attach_pause(struct vst_probes *p)
{
	if (p->probe[PROBE_dirty_pause].missing)
		return;
	p->pause_failed = p->pause_failed ?: attach_group(p, GROUP_PAUSE);
	if (p->pause_failed) {
		vst_warn("cannot watch the limit of dirty pages: %s; pauses at it are not shown",
			 strerror(-p->pause_failed));
		return;
	}
	p->maps.pauses_lost = &p->pause->bss->vst_pauses_lost;
	p->maps.throttled_fd = bpf_map__fd(p->pause->maps.vst_throttled);
}

int vst_probes_late_fd(const struct vst_probes *p)
{
	return p->late_fd;
}

void vst_probes_late(struct vst_probes *p)
{
	uint64_t done;

	if (read(p->late_fd, &done, sizeof(done)) < 0)
		return;
	late_join(p);
	attach_locks(p);
	attach_pause(p);
	vst_probes_journal(p);
}

int vst_probes_stacked(struct vst_probes *p, bool on)
{
	if (on && p->stacked_failed)
		return p->stacked_failed;
	if (on && !p->stacked_loaded) {
		int err = stacked_bpf__load(p->stacked);

		if (err) { /* an object is loaded once or never */
			p->stacked_failed = err;
			vst_warn("cannot load the probes of stacked devices (dm, md, bcache, zram): %s; their I/O "
				 "shows on "
				 "the devices below only",
				 strerror(-err));
			return err;
		}
		p->stacked_loaded = true;
	}
	if (on) {
		p->stacked_failed = attach_group(p, GROUP_STACKED);
		if (!p->stacked_failed)
			return 0;
	}
	detach_group(p, GROUP_STACKED);
	return on ? p->stacked_failed : 0;
}

/* A module's types, or the kernel's where it is built in. */
static bool find_journal(struct vst_probes *p)
{
	struct btf *kernel = btf__load_vmlinux_btf(), *jbd2 = NULL, *ext4 = NULL;
	bool all = kernel;

	if (kernel) {
		jbd2 = btf__load_module_btf("jbd2", kernel);
		ext4 = btf__load_module_btf("ext4", kernel);
	}
	for (int i = 0; kernel && i < PROBE__N; i++) {
		const char *name = probe_table[i].tracepoint;

		if (probe_table[i].group != GROUP_JOURNAL)
			continue;
		p->probe[i].missing = tracepoint_args(kernel, name) < 0 && (!jbd2 || tracepoint_args(jbd2, name) < 0) &&
				      (!ext4 || tracepoint_args(ext4, name) < 0);
		all = all && !p->probe[i].missing;
	}
	btf__free(jbd2);
	btf__free(ext4);
	btf__free(kernel);
	return all;
}

/* Once. */
static void load_journal(struct vst_probes *p)
{
	if (p->journal_loaded)
		return;
	p->journal_loaded = true;
	p->journal_failed = find_journal(p) ? journal_bpf__load(p->journal) : -EOPNOTSUPP;
}

static int open_journal(struct vst_probes *p)
{
	struct vst_maps *m = &p->maps;

	if (m->journal_state)
		return 0;
	m->journal_state = map_memory(p->journal->maps.vst_journal_state, sizeof(*m->journal_state));
	m->journal_waits_fd = bpf_map__fd(p->journal->maps.vst_journal_waits);
	return m->journal_state ? 0 : -ENOMEM;
}

void vst_probes_journal(struct vst_probes *p)
{
	bool on = is_mounted("/sys/fs/ext4");

	if (p->late) /* it is just being loaded */
		return;
	if (!on)
		detach_group(p, GROUP_JOURNAL);
	if (!on || (p->journal_loaded && p->journal_failed && p->journal_told))
		return;
	load_journal(p);
	p->journal_failed = p->journal_failed ?: open_journal(p);
	p->journal_failed = p->journal_failed ?: attach_group(p, GROUP_JOURNAL);
	p->journal_told = true;
	if (p->journal_failed)
		vst_warn("cannot watch the journals of ext4: %s; waits for them are not shown",
			 strerror(-p->journal_failed));
}

#define SHARED_FOR 300 /* seconds; dirty pages are written after half a minute */

/* See struct vst_state, .shared. */
static void shared_turn(struct vst_probes *p)
{
	struct vst_state *s = p->maps.state;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec - p->shared_since < SHARED_FOR)
		return;
	p->shared_since = now.tv_sec;
	memset(s->shared[~s->turn & 1], 0, sizeof(s->shared[0]));
	__atomic_store_n(&s->turn, s->turn + 1, __ATOMIC_RELEASE);
}

void vst_probes_sweep(struct vst_probes *p)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	shared_turn(p);
	if (bpf_prog_test_run_opts(bpf_program__fd(p->block->progs.vst_sweep), &opts))
		vst_debug("cannot run the sweep: %s", strerror(errno));
}

/* --- what they cost --- */

static void prog_info(const struct probe *probe, struct bpf_prog_info *info)
{
	__u32 len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	if (bpf_program__fd(probe->prog) >= 0)
		bpf_obj_get_info_by_fd(bpf_program__fd(probe->prog), info, &len);
}

void vst_probes_stats_begin(struct vst_probes *p)
{
	struct bpf_prog_info info;

	if (p->stats_fd >= 0)
		return;
	p->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	for (int i = 0; i < PROBE__N; i++) {
		prog_info(&p->probe[i], &info);
		p->probe[i].run_ns = info.run_time_ns;
		p->probe[i].run_cnt = info.run_cnt;
	}
}

void vst_probes_stats_end(struct vst_probes *p)
{
	struct bpf_prog_info info;

	if (p->stats_fd < 0)
		return;
	for (int i = 0; i < PROBE__N; i++) {
		struct probe *probe = &p->probe[i];

		prog_info(probe, &info);
		if (info.run_cnt == probe->run_cnt)
			continue;
		probe->sampled = info.run_cnt - probe->run_cnt;
		probe->mean_ns = (double)(info.run_time_ns - probe->run_ns) / (double)probe->sampled;
	}
	close(p->stats_fd);
	p->stats_fd = -1;
}

double vst_probes_event_ns(const struct vst_probes *p)
{
	return p->probe[PROBE_rq_issue].mean_ns + p->probe[PROBE_rq_complete].mean_ns;
}

const struct vst_maps *vst_probes_maps(const struct vst_probes *p)
{
	return &p->maps;
}

size_t vst_probes_count(const struct vst_probes *p)
{
	return PROBE__N;
}

void vst_probes_info(const struct vst_probes *p, size_t i, struct vst_probe_info *ret)
{
	const struct probe *probe = &p->probe[i];
	struct bpf_prog_info info;

	prog_info(probe, &info);
	ret->name = probe_table[i].name;
	ret->tracepoint = probe_table[i].tracepoint;
	if ((probe_table[i].group == GROUP_STACKED && p->stacked_failed) ||
	    (probe_table[i].group == GROUP_LOCK && p->locks_failed) ||
	    (probe_table[i].group == GROUP_PAUSE && p->pause_failed) ||
	    (probe_table[i].group == GROUP_JOURNAL && p->journal_failed && !probe->missing)) {
		ret->state = VST_PROBE_MISSING;
		ret->why = "it could not be loaded or attached; the agent's log says why";
		ret->run_ns = 0;
		ret->runs = ret->missed = 0;
		return;
	}
	ret->state = probe->missing ? VST_PROBE_MISSING : probe->link ? VST_PROBE_ATTACHED : VST_PROBE_OFF;
	ret->why = probe->missing			   ? "this kernel does not have the tracepoint"
		   : probe->link			   ? ""
		   : probe_table[i].group == GROUP_XFS	   ? "no xfs is mounted"
		   : probe_table[i].group == GROUP_JOURNAL ? "no ext4 is mounted"
							   : "no stacked device (dm, md, bcache, zram) is in use";
	ret->run_ns = probe->mean_ns;
	ret->runs = probe->sampled;
	ret->missed = info.recursion_misses;
}

void vst_probes_free(struct vst_probes *p)
{
	if (!p)
		return;
	late_join(p);
	if (p->late_fd >= 0)
		close(p->late_fd);
	vst_probes_stats_end(p);
	for (int i = 0; i < PROBE__N; i++)
		bpf_link__destroy(p->probe[i].link);
	if (p->maps.row_keys)
		munmap((void *)p->maps.row_keys, sizeof(*p->maps.row_keys) * VST_ROWS);
	if (p->maps.counters)
		munmap(p->maps.counters, sizeof(*p->maps.counters) * VST_SLOTS);
	if (p->maps.journal_state)
		munmap((void *)p->maps.journal_state, sizeof(*p->maps.journal_state));
	vst_lock_maps_close(&p->maps.lock);
#define X(g, s) s##_bpf__destroy(p->s);
	OBJECTS(X)
#undef X
	free(p);
}
