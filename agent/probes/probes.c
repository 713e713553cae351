// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/base/log.h"
#include "agent/probes/probes_priv.h"

#include "skeletons.h"

const struct vst_object_row vst_object_table[VST_GROUP__N] = {
#define X(g, s, when, what, without, off) { #s, VST_WHEN_##when, what, without, off },
	VST_OBJECTS(X)
#undef X
};

const struct vst_probe_row vst_probe_table[VST_PROBE_ID__N] = {
#define X(g, p, t, args, module, one_of, cost) { VST_GROUP_##g, #p, #t, args, module, one_of },
	VST_PROBES(X)
#undef X
};

const enum vst_group vst_group_of_part[VST_BUDGET__N] = {
#define X(g, w) [VST_BUDGET_##g] = VST_GROUP_##g,
	VST_BUDGET_PARTS(X)
#undef X
};

/* --- symbols --- */

static void set_symbols(struct vst_probes *p)
{
	if (!vst_symbols_any(&p->symbols))
		vst_warn("the kernel hides the addresses of its functions; direct I/O, the journal and swap may be "
			 "shown as kind unknown until kernel.kptr_restrict is 0 or 1 and vstord is started anew");
	if (!vst_origins_set(&p->maps.state->origins, p->symbols.origin))
		vst_warn("no table of the kernel's functions could be made; direct I/O, the journal and swap may be "
			 "shown as kind unknown");
	if (p->maps.lock.state)
		p->maps.lock.state->sym = p->symbols.lock;
}

void vst_probes_symbols(struct vst_probes *p)
{
	struct stat st;
	int err;

	/* a module that comes or goes changes the number of directories; sysfs keeps no times */
	if (stat("/sys/module", &st))
		st.st_nlink = 1;
	if (st.st_nlink == p->modules)
		return;
	p->modules = st.st_nlink;
	err = vst_symbols_read("/proc/kallsyms", &p->symbols);
	if (err)
		vst_warn(
			"cannot read /proc/kallsyms: %s; direct I/O, the journal and swap may be shown as kind unknown",
			strerror(-err));
	else
		set_symbols(p);
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

int vst_probes_open_group(struct vst_probes *p, enum vst_group group)
{
	char name[64];

	switch (group) {
#define X(g, s, ...)                                                                                                   \
	case VST_GROUP_##g:                                                                                            \
		p->s = s##_bpf__open();                                                                                \
		if (!p->s)                                                                                             \
			return -errno;                                                                                 \
		p->object[group].skel = p->s->skeleton;                                                                \
		break;
		VST_OBJECTS(X)
#undef X
	default:
		return -EINVAL;
	}
	vst_for_each_probe_of (i, group) {
		snprintf(name, sizeof(name), "vst_%s", vst_probe_table[i].name);
		p->probe[i].prog = bpf_object__find_program_by_name(*p->object[group].skel->obj, name);
		if (!p->probe[i].prog)
			return -errno;
	}
	return 0;
}

/*
 * libbpf has copied what it needs from the object that is part of this program. The pages of these objects, 1.2 MiB, would stay
 * in the resident set. They are read from the file again if somebody opens an object again. An error costs that memory only.
 */
static void forget_image(const struct bpf_object_skeleton *skel)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)skel->data;
	uintptr_t to = (from + skel->data_sz) & ~(page - 1);

	from = (from + page - 1) & ~(page - 1);
	if (from < to)
		(void)madvise((void *)from, to - from, MADV_DONTNEED);
}

static int open_objects(struct vst_probes *p)
{
	int err = 0;

	for (int g = 0; g < VST_GROUP__N && !err; g++)
		err = vst_probes_open_group(p, g);
	for (int g = 0; g < VST_GROUP__N && !err; g++)
		forget_image(p->object[g].skel);
	return err;
}

int vst_probes_share_maps(struct vst_probes *p, enum vst_group group)
{
	struct bpf_map *map, *shared;
	int err;

	bpf_object__for_each_map(map, *p->object[group].skel->obj)
	{
		shared = bpf_object__find_map_by_name(p->block->obj, bpf_map__name(map));
		err = shared ? bpf_map__reuse_fd(map, bpf_map__fd(shared)) : 0;
		if (err)
			return err;
	}
	return 0;
}

/* The other objects use the first one's maps. */
static int share_maps(struct vst_probes *p)
{
	int err = 0;

	for (int g = VST_GROUP_BLOCK + 1; g < VST_GROUP__N && !err; g++)
		err = vst_probes_share_maps(p, g);
	/* what is in flight; libbpf names this map after its object */
	err = err ?: bpf_map__reuse_fd(p->insight->maps.bss, bpf_map__fd(p->block->maps.bss));
	err = err ?: bpf_map__reuse_fd(p->stacked->maps.bss, bpf_map__fd(p->block->maps.bss));
	return err ?: bpf_map__reuse_fd(p->cache->maps.bss, bpf_map__fd(p->block->maps.bss));
}

/* Says what is not there. */
static int require(const struct vst_probes *p, enum vst_group group)
{
	int err = 0;

	if (group == VST_GROUP_FSYNC) /* each filesystem has its own */
		return 0;
	vst_for_each_probe_of (i, group) {
		if (!p->probe[i].missing || vst_probes_is_life(i))
			continue;
		vst_warn("this kernel has no tracepoint %s", vst_probe_table[i].tracepoint);
		err = -EOPNOTSUPP;
	}
	return err;
}

int vst_probes_load_group(struct vst_probes *p, enum vst_group group)
{
	struct vst_object *o = &p->object[group];

	if (o->loaded || o->err)
		return o->err;
	o->err = require(p, group) ?: bpf_object__load_skeleton(o->skel);
	o->loaded = !o->err;
	return o->err;
}

/* What the start needs is looked for when it fails: on every kernel that is supported it is there. */
static int load_start(struct vst_probes *p)
{
	int err;

	err = bpf_map__set_max_entries(p->block->maps.vst_memo, p->maps.cpus);
	err = err ?: bpf_map__set_max_entries(p->block->maps.vst_counters, p->maps.slots);
	err = err ?: bpf_map__set_max_entries(p->block->maps.vst_hists, p->maps.slots);
	err = err ?: vst_probes_load_group(p, VST_GROUP_BLOCK);
	err = err ?: share_maps(p);
	err = err ?: vst_probes_load_group(p, VST_GROUP_CGROUP);
	if (err && !vst_probes_find(p))
		err = require(p, VST_GROUP_BLOCK) ?: require(p, VST_GROUP_CGROUP) ?: err;
	return err;
}

static int open_maps(struct vst_probes *p, const struct vst_hiers *hiers)
{
	struct vst_maps *m = &p->maps;

	m->state = &p->block->data_state->vst_state;
	m->row_keys = map_memory(p->block->maps.vst_row_keys, sizeof(*m->row_keys) * VST_ROWS);
	m->counters = map_memory(p->block->maps.vst_counters, sizeof(*m->counters) * m->slots);
	m->marks = map_memory(p->block->maps.vst_marks, sizeof(*m->marks) << VST_MARK_BITS);
	if (!m->row_keys || !m->counters || !m->marks)
		return -ENOMEM;
	m->slow = &p->block->data_slow->vst_slow;
	m->in_flight = (const __u64 *)p->block->bss->vst_in_flight;
	m->rows_fd = bpf_map__fd(p->block->maps.vst_rows);
	m->hists_fd = bpf_map__fd(p->block->maps.vst_hists);
	m->lost_fd = bpf_map__fd(p->block->maps.vst_lost);
	m->free_rows_fd = bpf_map__fd(p->block->maps.vst_free_rows);
	m->shares_fd = bpf_map__fd(p->block->maps.vst_shares);
	m->events_fd = bpf_map__fd(p->block->maps.vst_events);
	m->scopes_fd = m->life_rows_fd = m->throttled_fd = m->fsync_rows_fd = m->fsync_open_fd = m->cache_rows_fd = -1;
	m->cache_kept_fd = -1;
	m->cache_uses_fd = m->cache_read_pages_fd = -1;
	m->state->blkio_hier = hiers->blkio;
	m->state->memory_hier = hiers->memory;
	m->state->next_row = 1;
	m->state->slot_mask = m->slots - 1;
	m->state->page_shift = __builtin_ctzl(sysconf(_SC_PAGESIZE));
	return 0;
}

bool vst_probes_is_mounted(const char *type)
{
	char path[64];
	struct stat st;

	/* a directory for each that is mounted, and one for all of them; sysfs keeps no times */
	snprintf(path, sizeof(path), "/sys/fs/%s", type);
	return !stat(path, &st) && st.st_nlink > 3;
}

/* What is not of the start: is there something to watch? */
static bool is_wanted(const struct vst_probes *p, enum vst_group group)
{
	switch (group) {
	case VST_GROUP_STACKED:
		return p->has_stacked;
	case VST_GROUP_XFS:
		return vst_probes_is_mounted("xfs");
	case VST_GROUP_JOURNAL:
		return vst_probes_is_mounted("ext4");
	case VST_GROUP_INSIGHT: /* vst_probes_insight() loads it */
	case VST_GROUP_FSYNC:	/* probes_fsync.c loads it */
	case VST_GROUP_CACHE:	/* probes_cache.c loads it */
		return false;
	default:
		return true;
	}
}

static void *load_late(void *arg)
{
	struct vst_probes *p = arg;
	bool wanted[VST_GROUP__N];
	uint64_t done = 1;
	int err;

	/* before the look for tracepoints: what is mounted in between has a look of its own, see attach() */
	for (int g = 0; g < VST_GROUP__N; g++)
		wanted[g] = vst_object_table[g].when != VST_WHEN_START && is_wanted(p, g);
	err = vst_probes_find(p);
	if (err)
		vst_warn("cannot read the kernel's types: %s", strerror(-err));
	for (int g = 0; g < VST_GROUP__N; g++)
		if (wanted[g])
			vst_probes_load_group(p, g);
	if (write(p->late_fd, &done, sizeof(done)) < 0)
		vst_warn("cannot tell that the probes of waits are loaded: %s", strerror(errno));
	return NULL;
}

static int late_begin(struct vst_probes *p)
{
	p->late_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->late_fd < 0)
		return -errno;
	p->late = true;
	if (pthread_create(&p->late_thread, NULL, load_late, p)) { /* no thread: now, then */
		p->late = false;
		load_late(p);
	}
	return 0;
}

static void late_join(struct vst_probes *p)
{
	if (p->late)
		pthread_join(p->late_thread, NULL);
	p->late = false;
}

int vst_probes_load(const struct vst_hiers *hiers, bool has_stacked, struct vst_probes **ret)
{
	struct vst_probes *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->stats_fd = p->late_fd = -1;
	p->maps.cpus = libbpf_num_possible_cpus();
	/* not for the CPUs that may come: some virtual machines have hundreds of these */
	p->maps.slots = vst_slots_for(sysconf(_SC_NPROCESSORS_ONLN));
	p->has_stacked = has_stacked;
	libbpf_set_print(on_libbpf);
	err = open_objects(p);
	err = err ?: load_start(p);
	err = err ?: open_maps(p, hiers);
	err = err ?: late_begin(p);
	if (err) {
		vst_probes_free(p);
		return err;
	}
	vst_probes_symbols(p);
	*ret = p;
	return 0;
}

/* --- attaching --- */

static int attach_programs(struct vst_probes *p, enum vst_group group)
{
	vst_for_each_probe_of (i, group) {
		struct vst_probe *probe = &p->probe[i];

		if (probe->missing || probe->elsewhere || probe->link || i == VST_PROBE_ID_copy_folio ||
		    vst_probes_is_life(i))
			continue;
		probe->link = bpf_program__attach(probe->prog);
		if (!probe->link) {
			int err = -errno;

			vst_err("cannot attach to tracepoint %s: %s", vst_probe_table[i].tracepoint, strerror(-err));
			return err;
		}
	}
	return 0;
}

/* Nobody will see the end of what was waited for. */
static void forget_open(const struct vst_maps *m, enum vst_group group)
{
	if (group == VST_GROUP_JOURNAL && m->journal_opens)
		memset(m->journal_opens->thread, 0, sizeof(m->journal_opens->thread));
	if (group == VST_GROUP_PAUSE && m->pause_opens)
		memset(m->pause_opens->thread, 0, sizeof(m->pause_opens->thread));
}

/* Backwards: nothing begins any more of which the end would not be seen. */
void vst_probes_detach(struct vst_probes *p, enum vst_group group)
{
	for (int i = VST_PROBE_ID__N; i-- > 0;) {
		if (vst_probe_table[i].group != group)
			continue;
		bpf_link__destroy(p->probe[i].link);
		p->probe[i].link = NULL;
	}
	forget_open(&p->maps, group);
}

/* What the agent reads of a loaded object. */
static int open_object(struct vst_probes *p, enum vst_group group)
{
	struct vst_maps *m = &p->maps;
	int err;

	switch (group) {
	case VST_GROUP_LOCK:
		err = vst_lock_maps_open(p->lock, &m->lock);
		if (!err)
			m->lock.state->sym = p->symbols.lock;
		return err;
	case VST_GROUP_PAUSE:
		m->pauses_lost = &p->pause->bss->vst_pauses_lost;
		m->throttled_fd = bpf_map__fd(p->pause->maps.vst_throttled);
		m->pause_opens = map_memory(p->pause->maps.vst_pause_opens, sizeof(*m->pause_opens));
		return m->pause_opens ? 0 : -ENOMEM;
	case VST_GROUP_JOURNAL:
		m->journal_state = map_memory(p->journal->maps.vst_journal_state, sizeof(*m->journal_state));
		m->journal_waits_fd = bpf_map__fd(p->journal->maps.vst_journal_waits);
		m->journal_opens = map_memory(p->journal->maps.vst_journal_opens, sizeof(*m->journal_opens));
		return m->journal_state && m->journal_opens ? 0 : -ENOMEM;
	case VST_GROUP_INSIGHT:
		m->insight = &p->insight->data_insight->vst_insight;
		m->files = p->insight->data_files->vst_files;
		m->scopes_fd = bpf_map__fd(p->insight->maps.vst_scopes);
		m->life_rows_fd = bpf_map__fd(p->insight->maps.vst_life_rows);
		return 0;
	case VST_GROUP_CACHE:
		return vst_probes_cache_open(p);
	default:
		return 0;
	}
}

/* Loads it if need be. What cannot be is told once, and the agent goes on without. */
int vst_probes_attach(struct vst_probes *p, enum vst_group group)
{
	struct vst_object *o = &p->object[group];

	if (o->given_up)
		return 0;
	if (group == VST_GROUP_JOURNAL && !o->loaded && !o->err)
		o->err = vst_probes_find(p); /* its modules have come since the start */
	vst_probes_load_group(p, group);
	if (!o->err && !o->open)
		o->err = open_object(p, group);
	o->open = !o->err;
	if (!o->err)
		o->err = attach_programs(p, group);
	if (!o->err)
		return 0;
	vst_probes_detach(p, group);
	if (!o->told)
		vst_warn("cannot watch %s: %s; %s", vst_object_table[group].what, strerror(-o->err),
			 vst_object_table[group].without);
	o->told = true;
	return o->err;
}

int vst_probes_attach_cgroup(struct vst_probes *p)
{
	return attach_programs(p, VST_GROUP_CGROUP);
}

int vst_probes_attach_block(struct vst_probes *p)
{
	struct timespec now;
	int err;

	p->maps.state->attach_ns = UINT64_MAX; /* until all are attached, any request may have been missed */
	err = attach_programs(p, VST_GROUP_BLOCK);
	clock_gettime(CLOCK_MONOTONIC, &now);
	p->maps.state->attach_ns = now.tv_sec * 1000000000ULL + now.tv_nsec;
	return err;
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
	for (int g = 0; g < VST_GROUP__N; g++)
		if (vst_object_table[g].when == VST_WHEN_BESIDE && g != VST_GROUP_XFS)
			vst_probes_attach(p, g);
	vst_probes_follow(p);
}

/* Attaches what looks for copies, or detaches it. */
static void copies_follow(struct vst_probes *p)
{
	struct vst_probe *probe = &p->probe[VST_PROBE_ID_copy_folio];
	struct vst_object *o = &p->object[VST_GROUP_INSIGHT];
	bool want = p->want_insight && p->maps.insight && (p->copies_always || p->maps.insight->window);

	if (!o->open || o->given_up)
		return;
	if (!want) {
		bpf_link__destroy(probe->link);
		probe->link = NULL;
	} else if (!probe->link) {
		probe->link = bpf_program__attach(probe->prog);
		if (!probe->link)
			vst_debug("cannot look for copies: %s", strerror(errno));
	}
}

void vst_probes_window(struct vst_probes *p, bool open)
{
	if (p->maps.insight)
		p->maps.insight->window = open;
	copies_follow(p);
}

int vst_probes_insight(struct vst_probes *p, bool want, bool always)
{
	int err;

	if (p->late)
		return -EAGAIN;
	p->want_insight = want;
	p->copies_always = want && always;
	if (!want) {
		vst_probes_detach(p, VST_GROUP_INSIGHT);
		return 0;
	}
	err = vst_probes_attach(p, VST_GROUP_INSIGHT);
	if (!err) {
		copies_follow(p);
		vst_probes_follow_lives(p, p->copies_always);
	}
	return err;
}

int vst_probes_stacked(struct vst_probes *p, bool on)
{
	if (p->late)
		return -EAGAIN;
	if (on)
		return vst_probes_attach(p, VST_GROUP_STACKED);
	vst_probes_detach(p, VST_GROUP_STACKED);
	return 0;
}

void vst_probes_follow(struct vst_probes *p)
{
	bool xfs = is_wanted(p, VST_GROUP_XFS);

	if (p->late)
		return;
	vst_probes_follow_fsync(p);
	if (!is_wanted(p, VST_GROUP_JOURNAL))
		vst_probes_detach(p, VST_GROUP_JOURNAL);
	else
		vst_probes_attach(p, VST_GROUP_JOURNAL);
	if (xfs == !!p->maps.state->xfs_noted)
		return;
	/* what the probe of pages leaves to this one is noted as long as it is attached */
	p->maps.state->xfs_noted = false;
	if (!xfs)
		vst_probes_detach(p, VST_GROUP_XFS);
	else if (!vst_probes_attach(p, VST_GROUP_XFS))
		p->maps.state->xfs_noted = true;
}

int vst_probes_give_up(struct vst_probes *p, enum vst_budget_part_id part, bool given_up)
{
	enum vst_group group = vst_group_of_part[part];

	p->object[group].given_up = given_up;
	if (given_up) {
		vst_probes_detach(p, group);
		return 0;
	}
	/* what was being waited for when it was given up has long come, and nobody saw it */
	if (group == VST_GROUP_LOCK)
		vst_lock_maps_forget(p->lock);
	if (group == VST_GROUP_INSIGHT)
		return p->want_insight ? vst_probes_insight(p, true, p->copies_always) : 0;
	return vst_probes_attach(p, group);
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

void vst_probes_decide_held(const struct vst_probes *p)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	if (bpf_prog_test_run_opts(bpf_program__fd(p->block->progs.vst_held), &opts))
		vst_debug("cannot look at requests that wait in a queue: %s", strerror(errno));
}

void vst_probes_look_lock(const struct vst_probes *p, __u64 lock, __u32 class)
{
	__u64 args[] = { lock, class };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = args, .ctx_size_in = sizeof(args));

	if (bpf_prog_test_run_opts(bpf_program__fd(p->lock->progs.vst_lock_look), &opts))
		vst_debug("cannot look at a lock: %s", strerror(errno));
}

void vst_probes_look_journal(const struct vst_probes *p, __u32 place, __u64 now_ns)
{
	__u64 args[] = { place, now_ns };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = args, .ctx_size_in = sizeof(args));

	if (bpf_prog_test_run_opts(bpf_program__fd(p->journal->progs.vst_journal_look), &opts))
		vst_debug("cannot look at a wait for a journal: %s", strerror(errno));
}

const struct vst_maps *vst_probes_maps(const struct vst_probes *p)
{
	return &p->maps;
}

void vst_probes_free(struct vst_probes *p)
{
	if (!p)
		return;
	late_join(p);
	if (p->late_fd >= 0)
		close(p->late_fd);
	if (p->stats_fd >= 0)
		close(p->stats_fd);
	for (int i = 0; i < VST_PROBE_ID__N; i++)
		bpf_link__destroy(p->probe[i].link);
	if (p->maps.row_keys)
		munmap((void *)p->maps.row_keys, sizeof(*p->maps.row_keys) * VST_ROWS);
	if (p->maps.counters)
		munmap(p->maps.counters, sizeof(*p->maps.counters) * p->maps.slots);
	if (p->maps.marks)
		munmap(p->maps.marks, sizeof(*p->maps.marks) << VST_MARK_BITS);
	if (p->maps.journal_state)
		munmap((void *)p->maps.journal_state, sizeof(*p->maps.journal_state));
	if (p->maps.journal_opens)
		munmap(p->maps.journal_opens, sizeof(*p->maps.journal_opens));
	if (p->maps.pause_opens)
		munmap(p->maps.pause_opens, sizeof(*p->maps.pause_opens));
	vst_lock_maps_close(&p->maps.lock);
	vst_probes_cache_close(p);
#define X(g, s, ...) s##_bpf__destroy(p->s);
	VST_OBJECTS(X)
#undef X
	free(p);
}
