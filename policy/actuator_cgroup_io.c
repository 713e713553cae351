/* SPDX-License-Identifier: GPL-2.0-only */
/* Weights and limits of cgroups, on v2 (io.*) and on v1 (blkio.*). The texts of the files are cgroup_file.c's business. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "policy/actuator.h"
#include "policy/cgroup_file.h"

enum { FILE_MAX = 65536 }; /* of a cgroup file: a line of at most 150 bytes for each disk */

/* --- the whitelist --- */

static int check(const struct vst_knob *knob, const char *wanted, char *text)
{
	const struct vst_cgroup_attr *attr = vst_cgroup_attr_find(knob->attr);
	bool is_root = !strcmp(knob->target, "/");

	if (!attr) {
		vst_explain(text, "'%s' is not an attribute that vstor may write", knob->attr);
		return -EPERM;
	}
	if (!vst_cgroup_key_valid(attr, knob->key)) {
		vst_explain(text, "%s has no key '%s'", attr->name, knob->key);
		return -EPERM;
	}
	if (*knob->target != '/' || (attr->root && !is_root) ||
	    (!attr->root && is_root && attr->form != VST_FORM_CONTROLLER)) {
		vst_explain(text, "%s is an attribute of %s, not of '%s'", attr->name,
			    attr->root ? "the root cgroup" : "cgroups below the root", knob->target);
		return -EPERM;
	}
	return vst_cgroup_value_check(attr, knob->key, wanted, text);
}

/* --- files --- */

/*
 * The cgroup's directory. A path comes from another process and names of cgroups from any user, so the kernel is told to
 * let nothing lead out of the root: no "..", no symbolic link, no other mount.
 */
static int open_cgroup(const struct vst_roots *roots, const char *target)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	const char *path = target + strspn(target, "/");
	int fd = syscall(SYS_openat2, roots->cgroup, *path ? path : ".", &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* The directory of the cgroup that the knob means, and its number. */
static int open_target(const struct vst_roots *roots, const struct vst_knob *knob, uint64_t *ret_id, char *text)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (roots->cgroup < 0) {
		vst_explain(text, "no cgroup mount with the io or the blkio controller was found");
		return -EOPNOTSUPP;
	}
	fd = open_cgroup(roots, knob->target);
	if (fd < 0 || fstat(fd, &st)) {
		int err = fd < 0 ? fd : -errno;

		vst_explain(text, "cgroup %s%s: %s", roots->cgroup_path, knob->target, strerror(-err));
		return err;
	}
	if (knob->target_id && knob->target_id != st.st_ino) {
		vst_explain(text, "cgroup %s%s was removed, and another has its name now", roots->cgroup_path,
			    knob->target);
		return -ESTALE;
	}
	*ret_id = st.st_ino;
	return TAKE_FD(fd);
}

static int no_file(const struct vst_roots *roots, const struct vst_cgroup_attr *attr, const char *target, int err,
		   char *text)
{
	if (err == -ENOENT) {
		vst_explain(text, "%s%s has no %s: %s", roots->cgroup_path, target, attr->name,
			    attr->v2 != roots->v2	 ? attr->v2 ? "its controller is on cgroup v1 here"
								    : "its controller is on cgroup v2 here"
			    : attr->need == VST_NEED_BFQ ? "the kernel has no bfq, or its module is not loaded"
			    : attr->v2 ? "io is not in cgroup.subtree_control of its parent, or the kernel lacks it"
				       : "the kernel lacks it");
		return -EOPNOTSUPP; /* the cgroup exists, so this is not a target that is gone */
	}
	vst_explain(text, "%s of %s%s: %s", attr->name, roots->cgroup_path, target, strerror(-err));
	return err;
}

static int read_value(const struct vst_roots *roots, struct vst_knob *knob, char ret[VST_VALUE_MAX], char *text)
{
	const struct vst_cgroup_attr *attr = vst_cgroup_attr_find(knob->attr);
	_cleanup_free_ char *file = malloc(FILE_MAX);
	_cleanup_close_ int dir = -1;
	size_t dev = vst_cgroup_key_device(knob->key);
	uint64_t id;
	int err;

	if (!file || !attr)
		return file ? -EPERM : -ENOMEM;
	dir = open_target(roots, knob, &id, text);
	if (dir < 0)
		return dir;
	if (dev) {
		err = vst_disk_is_leaf(roots, knob->key, dev, text);
		if (err)
			return err;
	}
	err = vst_read_small(dir, attr->name, file, FILE_MAX);
	if (err < 0)
		return no_file(roots, attr, knob->target, err, text);
	err = vst_cgroup_value_get(attr, knob->key, file, ret);
	if (err)
		vst_explain(text, "%s of %s%s has no value for '%s' that vstor can read", attr->name,
			    roots->cgroup_path, knob->target, knob->key);
	else
		knob->target_id = id;
	return err;
}

/* One write() of one line: the kernel parses each on its own. */
static int write_line(int dir, const char *name, const char *line, size_t len)
{
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do
		n = write(fd, line, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/*
 * bfq forgets the weights of single devices when the default is written (bfq_group_set_weight() with dev_weight 0;
 * measured on 6.18). They may be the administrator's: write those that vanished again.
 */
static void restore_device_weights(int dir, const char *name, char *before)
{
	for (char *save, *line = strtok_r(before, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (vst_cgroup_key_device(line))
			write_line(dir, name, line, strlen(line));
}

static int write_value(const struct vst_roots *roots, const struct vst_knob *knob, const char *value, char *text)
{
	const struct vst_cgroup_attr *attr = vst_cgroup_attr_find(knob->attr);
	_cleanup_close_ int dir = -1;
	_cleanup_free_ char *before = NULL;
	const char *devices;
	char line[VST_KEY_MAX + VST_VALUE_MAX + 32];
	uint64_t id;
	int err;

	if (!attr)
		return -EPERM;
	dir = open_target(roots, knob, &id, text);
	if (dir < 0)
		return dir;
	devices = attr->need != VST_NEED_BFQ || vst_cgroup_key_device(knob->key) ? NULL
		  : attr->form == VST_FORM_V1_NUMBER				 ? "blkio.bfq.weight_device"
										 : attr->name;
	before = devices ? malloc(FILE_MAX) : NULL;
	if (devices && (!before || vst_read_small(dir, devices, before, FILE_MAX) < 0))
		devices = NULL;
	err = write_line(dir, attr->name, line, vst_cgroup_line(attr, knob->key, value, line, sizeof(line)));
	if (err == -ENOENT)
		return no_file(roots, attr, knob->target, err, text);
	if (err)
		vst_explain(text, "the kernel refused '%s' in %s of %s%s: %s", line, attr->name, roots->cgroup_path,
			    knob->target, strerror(-err));
	else if (devices)
		restore_device_weights(dir, devices, before);
	return err;
}

/* --- does it have an effect? --- */

static bool iocost_enabled(const struct vst_roots *roots, const char *dev)
{
	const struct vst_cgroup_attr *qos = vst_cgroup_attr_find("io.cost.qos");
	_cleanup_free_ char *file = malloc(FILE_MAX);
	char value[VST_VALUE_MAX];

	return file && vst_read_small(roots->cgroup, qos->name, file, FILE_MAX) >= 0 &&
	       !vst_cgroup_value_get(qos, dev, file, value) && vst_cgroup_value_equal(qos, value, "enable=1");
}

struct probe {
	const struct vst_roots *roots;
	const struct vst_cgroup_attr *attr;
	const char *why; /* the last disk's reason */
};

static int disk_allows(void *ctx, const char *dev)
{
	struct probe *probe = ctx;
	char scheduler[32], path[64], idle[32];

	if (probe->attr->need == VST_NEED_IOCOST) {
		probe->why =
			"iocost is not enabled (io.cost.qos of the root says enable=0), and without it weights have no "
			"effect: run vstorctl calibrate and enable it";
		return iocost_enabled(probe->roots, dev);
	}
	if (probe->attr->need != VST_NEED_BFQ)
		return 1;
	probe->why = "its scheduler is not bfq: write bfq to /sys/block/DISK/queue/scheduler";
	if (vst_disk_scheduler(probe->roots, dev, strlen(dev), scheduler) || strcmp(scheduler, "bfq"))
		return 0;
	probe->why = "bfq's slice_idle is 0, and then bfq's weights have no effect (measured)";
	snprintf(path, sizeof(path), "%s/queue/iosched/slice_idle", dev);
	return vst_read_small(probe->roots->sysfs_block, path, idle, sizeof(idle)) < 0 || strcmp(idle, "0\n");
}

static int probe(const struct vst_roots *roots, const char *name, const char *key, char *text)
{
	const struct vst_cgroup_attr *attr = vst_cgroup_attr_find(name);
	struct probe probe = { roots, attr, "there is no disk" };
	char dev[VST_KEY_MAX];
	size_t len = vst_cgroup_key_device(key);

	if (!attr || roots->cgroup < 0) {
		vst_explain(text, "no cgroup mount with the io or the blkio controller was found");
		return -EOPNOTSUPP;
	}
	if (attr->v2 != roots->v2) {
		vst_explain(text, "the block I/O controller is on cgroup v%d here, and %s is v%d's", roots->v2 ? 2 : 1,
			    attr->name, attr->v2 ? 2 : 1);
		return -EOPNOTSUPP;
	}
	if (attr->root && faccessat(roots->cgroup, attr->name, F_OK, 0)) {
		vst_explain(text, "the kernel has no %s (CONFIG_BLK_CGROUP_IOCOST is not set)", attr->name);
		return -EOPNOTSUPP;
	}
	if (attr->need == VST_NEED_NOTHING || attr->need == VST_NEED_DEVICE)
		return 0;
	snprintf(dev, sizeof(dev), "%.*s", (int)len, key);
	if (len ? disk_allows(&probe, dev) : vst_disk_each(roots, disk_allows, &probe))
		return 0;
	vst_explain(text, "%s of %s%s: %s", attr->name, len ? "disk " : "any disk", dev, probe.why);
	return -EOPNOTSUPP;
}

static bool equal(const struct vst_knob *knob, const char *now, const char *written)
{
	const struct vst_cgroup_attr *attr = vst_cgroup_attr_find(knob->attr);

	return attr && vst_cgroup_value_equal(attr, now, written);
}

static const char *attr(unsigned int i)
{
	return vst_cgroup_attrs[i].name;
}

const struct vst_actuator vst_cgroup_io = {
	.name = "cgroup-io",
	.what = "weights and limits of cgroups",
	.check = check,
	.probe = probe,
	.read = read_value,
	.write = write_value,
	.equal = equal,
	.attr = attr,
};
