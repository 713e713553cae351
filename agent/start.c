// SPDX-License-Identifier: GPL-2.0-only
/* What the agent needs of the host before the loop runs, and what it gives back at the end. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

#include <bpf/libbpf.h>

#include "agent/agent.h"
#include "agent/base/log.h"
#include "agent/collect.h"
#include "agent/loop.h"
#include "agent/sinks/stuck.h"
#include "agent/start.h"
#include "features/features.h"
#include "lib/cleanup.h"

#define PRIORITY -10	   /* nice */
#define NAMES_AT_START 0.5 /* seconds that the start waits for the names of containers that run already */
#define FILES_WANTED 1024
#define FILES_NEEDED 320 /* the probes' and the clients' of the control socket */

int vst_start_check_host(void)
{
	struct vst_features_ctx ctx;
	char msg[1024];
	int code;

	vst_features_open(&ctx);
	code = vst_features_require(&ctx, msg, sizeof(msg));
	if (code)
		vst_err("%s", msg);
	vst_features_close(&ctx);
	return code;
}

/* Each client takes one descriptor, and each probe some. */
int vst_start_raise_files(void)
{
	struct rlimit now, more;

	if (getrlimit(RLIMIT_NOFILE, &now) || now.rlim_cur >= FILES_WANTED)
		return 0;
	more.rlim_cur = FILES_WANTED;
	more.rlim_max = now.rlim_max > FILES_WANTED ? now.rlim_max : FILES_WANTED;
	if (!setrlimit(RLIMIT_NOFILE, &more))
		return 0;
	more = (struct rlimit){ now.rlim_max, now.rlim_max };
	if (more.rlim_cur >= FILES_NEEDED && !setrlimit(RLIMIT_NOFILE, &more))
		return 0;
	vst_err("the limit of open files is %llu and cannot be raised: the agent needs %d, or it could not answer "
		"vstorctl; raise it with `ulimit -n` or with LimitNOFILE= in its unit",
		(unsigned long long)now.rlim_max, FILES_NEEDED);
	return -EMFILE;
}

void vst_start_settle(void)
{
	/*
	 * Memory for a reply or a file of megabytes is mapped, and unmapped when it is freed. Without this, glibc raises
	 * the threshold and keeps such blocks. Measured with 4,000 containers: 18 MiB instead of 25.
	 */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	/* one heap for all threads: each thread's own heap would keep the most that the thread ever used */
	mallopt(M_ARENA_MAX, 1);
	/*
	 * The name of a container that lives for 50 ms has to be read within that time. Measured on 2 CPUs with 38
	 * runnable processes: 88 % of the names without this, all with it.
	 */
	if (setpriority(PRIO_PROCESS, 0, PRIORITY))
		vst_debug("cannot raise the own priority: %s; short-lived containers may be shown by their ids",
			  strerror(errno));
}

/*
 * In a private cgroup namespace /proc/PID/cgroup has paths from the own container on. And where cgroup v2 is mounted with
 * nsdelegate, as systemd does, the kernel refuses to move a process out of it (ENOENT), as vstor-actor does for a handover.
 */
void vst_start_join_cgroups(const char *host_root)
{
	_cleanup_close_ int fd = -1;

	if (!strcmp(host_root, "/"))
		return;
	fd = open("/proc/1/ns/cgroup", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWCGROUP))
		vst_warn("cannot join the cgroup namespace of process 1: %s; --handover fails here: it needs "
			 "CAP_SYS_ADMIN, CAP_SYS_PTRACE and the host's process namespace",
			 strerror(errno));
}

int vst_start_probes(struct vst_agent *a, const char *host_root)
{
	struct vst_hiers hiers;
	int err;

	err = vst_owners_hiers("", &hiers);
	err = err ?: vst_devices_read(&a->devices);
	vst_devices_settings(&a->devices);
	err = err ?: vst_probes_load(&hiers, vst_devices_have_stacked(&a->devices), &a->probes);
	err = err ?: vst_owners_new("", host_root, &a->owners);
	err = err ?: vst_pins_open(&a->heating.pins, host_root);
	if (!err)
		vst_owners_tell(a->owners, vst_probes_maps(a->probes)->state->plain,
				vst_probes_maps(a->probes)->shares_fd);
	err = err ?: vst_io_table_new(&a->table);
	err = err ?: vst_locks_new(&a->wait_rows, &a->locks);
	err = err ?: vst_blame_new(&a->wait_rows, &a->blame);
	err = err ?: vst_waits_disk_new(&a->waits_disk);
	err = err ?: vst_stuck_new(&a->stuck);
	err = err ?: vst_waits_journal_new(&a->waits_journal);
	err = err ?: vst_fsync_new(&a->wait_rows, &a->fsync);
	err = err ?: vst_waits_dirty_new(&a->waits_dirty);
	err = err ?: vst_slows_new(&a->slows);
	err = err ?: vst_patterns_new(&a->patterns);
	err = err ?: vst_attrs_new(&a->attrs);
	err = err ?: vst_lives_new(&a->lives);
	err = err ?: vst_collect_new(&a->collect);
	if (err)
		return err;
	a->events = ring_buffer__new(vst_probes_maps(a->probes)->events_fd, vst_loop_event, a, NULL);
	if (!a->events)
		return -errno;
	/* The probe comes before the scan, so that no new cgroup is missed between the two. */
	err = vst_probes_attach_cgroup(a->probes);
	err = err ?: vst_owners_scan(a->owners, vst_now());
	err = err ?: vst_devices_read(&a->devices);
	vst_devices_base(&a->devices, VST_LAYER_LEAF, true);
	err = err ?: vst_probes_attach_block(a->probes);
	err = err ?: vst_devices_read(&a->devices);
	vst_devices_base(&a->devices, VST_LAYER_LEAF, false);
	if (!err)
		vst_owners_settle(a->owners, NAMES_AT_START);
	return err;
}

void vst_start_undo(struct vst_agent *a)
{
	ring_buffer__free(a->events);
	vst_stuck_free(a->stuck);
	vst_waits_disk_free(a->waits_disk);
	vst_waits_journal_free(a->waits_journal);
	vst_fsync_free(a->fsync);
	vst_waits_dirty_free(a->waits_dirty);
	vst_slows_free(a->slows);
	vst_patterns_free(a->patterns);
	vst_attrs_free(a->attrs);
	vst_lives_free(a->lives);
	vst_blame_free(a->blame);
	vst_io_table_free(a->table);
	vst_locks_free(a->locks);
	vst_wait_rows_free(&a->wait_rows);
	vst_collect_free(a->collect);
	vst_relay_free(a->relay);
	vst_owners_free(a->owners);
	vst_heating_free(&a->heating);
	vst_devices_free(&a->devices);
	vst_probes_free(a->probes);
}
