// SPDX-License-Identifier: GPL-2.0-only
/* Measures fsync while somebody wants to know: which of the probes of bpf/fsync.bpf.c are attached, and how. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/perf_event.h>

#include <bpf/bpf.h>

#include "agent/base/log.h"
#include "agent/probes/probes_priv.h"
#include "features/features.h"

#include "fsync.skel.h"

static bool is_of_syscall(int i)
{
	return !strcmp(vst_probe_table[i].module, VST_SYSCALLS);
}

/* The probe that sees the end of what this one sees begin; -1: none in particular. */
static int hook_of(int i)
{
	switch (i) {
	case VST_PROBE_ID_fsync_xfs_begin:
		return VST_PROBE_ID_fsync_xfs_end;
	case VST_PROBE_ID_fsync_btrfs_begin:
		return VST_PROBE_ID_fsync_btrfs_end;
	default:
		return -1;
	}
}

static bool can_hook(const struct vst_probes *p, int hook)
{
	return !p->probe[hook].missing && !p->probe[hook].failed;
}

static bool syscalls_are_hooked(const struct vst_probes *p)
{
	return p->probe[VST_PROBE_ID_fsync_call_end].link && p->probe[VST_PROBE_ID_fdatasync_call_end].link &&
	       p->probe[VST_PROBE_ID_msync_call_end].link;
}

/* Returns of system calls are hooked while there is a filesystem that needs it. */
static bool is_useful(const struct vst_probes *p, int i)
{
	if (is_of_syscall(i))
		return (vst_probes_is_mounted("xfs") && !can_hook(p, VST_PROBE_ID_fsync_xfs_end)) ||
		       (vst_probes_is_mounted("btrfs") && !can_hook(p, VST_PROBE_ID_fsync_btrfs_end));
	return vst_probes_is_mounted(vst_probe_table[i].module);
}

static bool end_is_seen(const struct vst_probes *p, int i)
{
	int hook = hook_of(i);

	if (hook < 0)
		return true;
	return can_hook(p, hook) ? p->probe[hook].link != NULL : syscalls_are_hooked(p);
}

static bool is_wanted(const struct vst_probes *p, int i)
{
	return p->want_fsync && !p->probe[i].missing && !p->probe[i].failed && is_useful(p, i) && end_is_seen(p, i);
}

const char *vst_probes_fsync_why(const struct vst_probes *p, int i, enum vst_probe_state *ret_state)
{
	*ret_state = VST_PROBE_OFF;
	if (!is_useful(p, i))
		return is_of_syscall(i) ? "no filesystem is mounted that needs it" : "no such filesystem is mounted";
	*ret_state = VST_PROBE_MISSING;
	if (p->probe[i].missing)
		return vst_probe_table[i].args == VST_FUNCTION ? "this kernel does not let functions be hooked"
							       : "this kernel does not have the tracepoint";
	if (p->probe[i].failed)
		return "it could not be attached; the agent's log says why";
	return "the end of an fsync cannot be seen: see the other probes of fsync";
}

/* --- tracepoints of system calls --- */

/* A tracefs of our own: in no mount namespace, so that nobody sees it and it goes with its descriptor. -errno: none. */
static int open_tracefs(void)
{
	int fs, dir;

	dir = open("/sys/kernel/tracing/events", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		return dir;
	fs = fsopen("tracefs", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	dir = fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) ? -1 : fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (dir >= 0) {
		int events = openat(dir, "events", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		close(dir);
		dir = events;
	}
	if (dir < 0)
		dir = -errno;
	close(fs);
	return dir;
}

/* The number by which perf_event_open() knows a tracepoint; -errno. */
static long id_of_syscall(const char *tracepoint)
{
	int dir = open_tracefs(), fd;
	char path[64], text[32];
	ssize_t n;

	if (dir < 0)
		return dir;
	snprintf(path, sizeof(path), "syscalls/%s/id", tracepoint);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -errno : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	close(dir);
	if (n < 0)
		return n;
	text[n] = 0;
	return strtol(text, NULL, 10);
}

/* libbpf can do it only where tracefs is mounted. The event is one CPU's, its programs run on all. */
static struct bpf_link *attach_to_syscall(struct bpf_program *prog, const char *tracepoint)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	long id = id_of_syscall(tracepoint);
	struct bpf_link *link;
	int fd;

	if (id <= 0) {
		errno = id ? (int)-id : ENOENT;
		return NULL;
	}
	attr.config = (__u64)id;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return NULL;
	link = bpf_program__attach_perf_event(prog, fd); /* which has the descriptor now */
	if (!link)
		close(fd);
	return link;
}

/* --- attaching --- */

static void detach_one(struct vst_probe *probe)
{
	bpf_link__destroy(probe->link);
	probe->link = NULL;
}

/* Backwards, so that nothing begins any more of which the end would not be seen. Then nothing is under way. */
static void detach_unwanted(struct vst_probes *p)
{
	bool all = true;
	__u32 tid;

	for (int i = VST_PROBE_ID__N; i-- > 0;) {
		if (vst_probe_table[i].group != VST_GROUP_FSYNC || !p->probe[i].link)
			continue;
		if (is_wanted(p, i))
			all = false;
		else
			detach_one(&p->probe[i]);
	}
	while (all && p->maps.fsync_open_fd >= 0 && !bpf_map_get_next_key(p->maps.fsync_open_fd, NULL, &tid))
		if (bpf_map_delete_elem(p->maps.fsync_open_fd, &tid) && errno != ENOENT)
			break;
}

/* In the order of the table: the returns of system calls come before what needs them. */
static void attach_wanted(struct vst_probes *p)
{
	vst_for_each_probe_of (i, VST_GROUP_FSYNC) {
		const struct vst_probe_row *row = &vst_probe_table[i];
		struct vst_probe *probe = &p->probe[i];

		if (probe->link || !is_wanted(p, i))
			continue;
		probe->link = is_of_syscall(i) ? attach_to_syscall(probe->prog, row->tracepoint)
					       : bpf_program__attach(probe->prog);
		if (probe->link)
			continue;
		probe->failed = true;
		vst_warn("cannot attach to %s: %s; how long fsync takes may not be known on %s", row->tracepoint,
			 strerror(errno), is_of_syscall(i) ? "xfs and btrfs" : row->module);
	}
}

/* --- loading --- */

static void open_maps(struct vst_probes *p)
{
	p->maps.fsync_rows_fd = bpf_map__fd(p->fsync->maps.vst_fsync_rows);
	p->maps.fsync_open_fd = bpf_map__fd(p->fsync->maps.vst_fsync_open);
	p->maps.fsync_state = &p->fsync->bss->vst_fsync_state;
}

/* Modules that are loaded: each has a directory. */
static nlink_t count_modules(void)
{
	struct stat st;

	return stat("/sys/module", &st) ? 1 : st.st_nlink;
}

/*
 * A filesystem's program knows its types only if its module was there when the program was loaded. False if it was
 * looked for and no module has come since.
 */
static bool is_outdated(const struct vst_probes *p)
{
	if (count_modules() == p->fsync_modules)
		return false;
	vst_for_each_probe_of (i, VST_GROUP_FSYNC)
		if (p->probe[i].missing && is_useful(p, i))
			return true;
	return false;
}

/* Hooks functions if that is allowed: it costs other system calls nothing. */
static void choose(struct vst_probes *p)
{
	bool can = vst_features_can_hook_functions();

	vst_for_each_probe_of (i, VST_GROUP_FSYNC) {
		if (vst_probe_table[i].args != VST_FUNCTION)
			continue;
		p->probe[i].missing |= !can;
		bpf_program__set_autoload(p->probe[i].prog, !p->probe[i].missing);
	}
	p->fsync->rodata->vst_fsync_xfs_hooked = !p->probe[VST_PROBE_ID_fsync_xfs_end].missing;
	p->fsync->rodata->vst_fsync_btrfs_hooked = !p->probe[VST_PROBE_ID_fsync_btrfs_end].missing;
}

/* Loads it anew, with the maps that it has. */
static int reload(struct vst_probes *p)
{
	struct fsync_bpf *old = p->fsync;
	int err;

	vst_for_each_probe_of (i, VST_GROUP_FSYNC) {
		detach_one(&p->probe[i]);
		p->probe[i].run_ns = p->probe[i].run_cnt = 0; /* of a new program */
	}
	p->maps.fsync_rows_fd = p->maps.fsync_open_fd = -1;
	p->maps.fsync_state = NULL;
	err = vst_probes_open_group(p, VST_GROUP_FSYNC);
	err = err ?: vst_probes_share_maps(p, VST_GROUP_FSYNC);
	err = err ?: bpf_map__reuse_fd(p->fsync->maps.vst_fsync_rows, bpf_map__fd(old->maps.vst_fsync_rows));
	err = err ?: bpf_map__reuse_fd(p->fsync->maps.vst_fsync_open, bpf_map__fd(old->maps.vst_fsync_open));
	err = err ?: bpf_map__reuse_fd(p->fsync->maps.bss, bpf_map__fd(old->maps.bss));
	if (!err)
		choose(p);
	err = err ?: vst_probes_load_group(p, VST_GROUP_FSYNC);
	fsync_bpf__destroy(old);
	return err;
}

static int load(struct vst_probes *p)
{
	struct vst_object *o = &p->object[VST_GROUP_FSYNC];
	bool again = o->loaded;
	int err;

	if (o->loaded && o->open && !is_outdated(p))
		return 0;
	p->fsync_modules = count_modules();
	o->loaded = false;
	err = vst_probes_find(p);
	if (!err && !again)
		choose(p);
	err = err ?: (again ? reload(p) : vst_probes_load_group(p, VST_GROUP_FSYNC));
	if (err)
		return err;
	open_maps(p);
	o->open = true;
	return 0;
}

int vst_probes_follow_fsync(struct vst_probes *p)
{
	struct vst_object *o = &p->object[VST_GROUP_FSYNC];

	if (p->late)
		return 0;
	detach_unwanted(p);
	if (!p->want_fsync || o->err)
		return o->err;
	o->err = load(p);
	if (!o->err)
		attach_wanted(p);
	else
		vst_warn("cannot measure fsync: %s; rules that protect it have no effect", strerror(-o->err));
	return o->err;
}

int vst_probes_want_fsync(struct vst_probes *p, bool want)
{
	p->want_fsync = want;
	return vst_probes_follow_fsync(p);
}
