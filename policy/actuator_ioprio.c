/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * I/O priority of threads. It counts for reads and direct I/O, and only under bfq and mq-deadline (measured); buffered
 * writes are issued by the flusher with the flusher's priority.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/ioprio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy/actuator.h"
#include "policy/ioprio.h"

static const struct {
	const char *name;
	bool has_levels, may_be_wanted;
} classes[] = {
#define X(e, n, s, l, a, d) [VST_IOPRIO_##e] = { s, l, a },
	VST_IOPRIOS(X)
#undef X
};

_Static_assert((int)VST_IOPRIO_NONE == (int)IOPRIO_CLASS_NONE && (int)VST_IOPRIO_RT == (int)IOPRIO_CLASS_RT &&
		       (int)VST_IOPRIO_BE == (int)IOPRIO_CLASS_BE && (int)VST_IOPRIO_IDLE == (int)IOPRIO_CLASS_IDLE,
	       "the kernel's numbers");

/* "best-effort 4" as the kernel's number. 0 or -EINVAL. */
static int parse(const char *value, int *ret)
{
	for (int class = 0; class < VST_IOPRIO__N; class ++) {
		size_t len = strlen(classes[class].name);
		bool has_level = classes[class].has_levels;

		if (strncmp(value, classes[class].name, len))
			continue;
		if (!has_level && !value[len]) {
			*ret = IOPRIO_PRIO_VALUE(class, 0);
			return 0;
		}
		if (has_level && value[len] == ' ' && value[len + 1] >= '0' && value[len + 1] <= '7' &&
		    !value[len + 2]) {
			*ret = IOPRIO_PRIO_VALUE(class, value[len + 1] - '0');
			return 0;
		}
	}
	return -EINVAL;
}

static bool thread_id(const char *target, long *ret)
{
	char *end;

	if (*target < '1' || *target > '9')
		return false;
	errno = 0;
	*ret = strtol(target, &end, 10);
	return !errno && !*end && *ret <= INT32_MAX;
}

static int check(const struct vst_knob *knob, const char *wanted, char *text)
{
	long tid;
	int prio;

	if (strcmp(knob->attr, "ioprio") || *knob->key || !thread_id(knob->target, &tid)) {
		vst_explain(text, "ioprio acts on the attribute ioprio of a thread's number, not on %s '%s'",
			    knob->attr, knob->target);
		return -EPERM;
	}
	if (parse(wanted, &prio) || !classes[IOPRIO_PRIO_CLASS(prio)].may_be_wanted) {
		vst_explain(text, "ioprio takes none, idle or best-effort 0 to 7, not '%s'", wanted);
		return -EINVAL;
	}
	return 0;
}

static int probe(const struct vst_roots *roots, const char *attr, const char *key, char *text)
{
	if (vst_disk_any_uses(roots, "bfq") || vst_disk_any_uses(roots, "mq-deadline"))
		return 0;
	vst_explain(text, "no disk here uses the scheduler bfq or mq-deadline, and no other heeds I/O priorities: "
			  "choose one in /sys/block/DISK/queue/scheduler");
	return -EOPNOTSUPP;
}

/* Field 22 of /proc/TID/stat, counted from behind the name, which may hold anything. */
static int start_time(const struct vst_roots *roots, long tid, uint64_t *ret)
{
	char path[32], stat[1024], *p;
	int n;

	snprintf(path, sizeof(path), "%ld/stat", tid);
	n = vst_read_small(roots->proc, path, stat, sizeof(stat));
	if (n < 0)
		return n == -ENOENT ? -ESRCH : n;
	p = strrchr(stat, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -EINVAL;
	*ret = strtoull(p + 1, NULL, 10);
	return *ret ? 0 : -EINVAL;
}

/* 0 if the thread is the one that the knob means. */
static int verify(const struct vst_roots *roots, const struct vst_knob *knob, long *ret_tid, uint64_t *ret_start,
		  char *text)
{
	int err = thread_id(knob->target, ret_tid) ? start_time(roots, *ret_tid, ret_start) : -EINVAL;

	if (!err && knob->target_id && knob->target_id != *ret_start)
		err = -ESTALE;
	if (err)
		vst_explain(text, "thread %s: %s", knob->target,
			    err == -ESTALE  ? "ended, and its number is another thread's now"
			    : err == -ESRCH ? "ended"
					    : strerror(-err));
	return err;
}

static int failed(const struct vst_knob *knob, const char *what, char *text)
{
	int err = -errno;

	vst_explain(text, "thread %s: cannot %s its I/O priority: %s", knob->target, what, strerror(-err));
	return err;
}

static int read_prio(const struct vst_roots *roots, struct vst_knob *knob, char ret[VST_VALUE_MAX], char *text)
{
	uint64_t start;
	long tid;
	int prio, class, err = verify(roots, knob, &tid, &start, text);

	if (err)
		return err;
	prio = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, (int)tid);
	if (prio < 0)
		return failed(knob, "read", text);
	class = IOPRIO_PRIO_CLASS(prio) & 3;
	if (IOPRIO_PRIO_DATA(prio) & ~7) { /* hints for command duration limits, since 6.5: a restore would drop them */
		vst_explain(text, "thread %s: its I/O priority has hints, which vstor does not handle", knob->target);
		return -EOPNOTSUPP;
	}
	if (classes[class].has_levels)
		snprintf(ret, VST_VALUE_MAX, "%s %d", classes[class].name, (int)IOPRIO_PRIO_DATA(prio) & 7);
	else
		snprintf(ret, VST_VALUE_MAX, "%s", classes[class].name);
	knob->target_id = start;
	return 0;
}

static int write_prio(const struct vst_roots *roots, const struct vst_knob *knob, const char *value, char *text)
{
	uint64_t start;
	long tid;
	int prio, err = verify(roots, knob, &tid, &start, text);

	if (err)
		return err;
	if (parse(value, &prio)) {
		vst_explain(text, "'%s' is not an I/O priority", value);
		return -EINVAL;
	}
	return syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, (int)tid, prio) ? failed(knob, "set", text) : 0;
}

static bool equal(const struct vst_knob *knob, const char *now, const char *written)
{
	return !strcmp(now, written);
}

/* A new thread or process has the priority of the thread that made it: of its own process, or of the parent. */
static int origin(const struct vst_roots *roots, const struct vst_knob *knob, unsigned int i, char ret[VST_TARGET_MAX])
{
	static const char *const fields[] = { "\nTgid:\t", "\nPPid:\t" };
	char path[VST_TARGET_MAX + 8], status[4096], *p;
	int n;

	if (i >= sizeof(fields) / sizeof(*fields))
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/status", knob->target);
	n = vst_read_small(roots->proc, path, status, sizeof(status));
	if (n < 0)
		return n;
	p = strstr(status, fields[i]);
	if (!p)
		return -EINVAL;
	snprintf(ret, VST_TARGET_MAX, "%ld", strtol(p + strlen(fields[i]), NULL, 10));
	return 0;
}

static const char *attr(unsigned int i)
{
	return i ? NULL : "ioprio";
}

const struct vst_actuator vst_ioprio = {
	.name = "ioprio",
	.what = "I/O priority of threads",
	.check = check,
	.probe = probe,
	.read = read_prio,
	.write = write_prio,
	.equal = equal,
	.attr = attr,
	.origin = origin,
};
