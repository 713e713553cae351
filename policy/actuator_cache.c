// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two kinds of knobs of a cached device. Its keeper: the classes that it keeps ("4 5"), or "off". The keeper is a state of
 * vstor-actor and not of the kernel: while it is on, vstord may have blocks of that device read (policy/actor_reads.h). It ends
 * with the actor, and nothing of it is left. And the settings of bcache (policy/bcache_file.h), which are files in sysfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "policy/actuator.h"
#include "policy/actor_reads.h"
#include "policy/bcache_file.h"
#include "policy/keep.h"

/* A kernel's name of a disk, as in /sys/class/block: no path leads out of there. */
static bool is_disk_name(const char *name)
{
	size_t len = strlen(name);

	return len && len < VST_DISK_NAME_MAX && *name != '.' && !strchr(name, '/');
}

/* Only what vst_bcache_value() gives is written, so what a policy may write in another way is refused here. */
static int check_setting(const struct vst_bcache_attr *attr, const char *wanted, char *text)
{
	char value[VST_VALUE_MAX];
	int err = vst_bcache_value(attr, wanted, value, text);

	if (err || !strcmp(value, wanted))
		return err;
	vst_explain(text, "%s is '%s', and the file takes it as %s only", attr->name, wanted, value);
	return -EINVAL;
}

static int check(const struct vst_knob *knob, const char *wanted, char *text)
{
	const struct vst_bcache_attr *setting = vst_bcache_attr_find(knob->attr);
	unsigned int classes;

	if ((!setting && strcmp(knob->attr, "keeper") != 0) || *knob->key || !is_disk_name(knob->target)) {
		vst_explain(text, "'%s' of '%s' is not a setting of a cache that vstor may write", knob->attr,
			    knob->target);
		return -EPERM;
	}
	if (setting)
		return check_setting(setting, wanted, text);
	if (vst_keep_parse(wanted, &classes)) {
		vst_explain(text, "a keeper keeps classes from 3 to 5, as in '4 5', or is off, not '%s'", wanted);
		return -EINVAL;
	}
	return 0;
}

static int probe(const struct vst_roots *roots, const char *attr, const char *key, char *text)
{
	char unused[16];

	if (vst_bcache_attr_find(attr)) {
		if (vst_read_small(roots->sysfs_block, "../../fs/bcache/register", unused, sizeof(unused)) != -ENOENT)
			return 0; /* the file is there, even if it cannot be read */
		vst_explain(text, "the kernel has no bcache, or its module is not loaded");
		return -EOPNOTSUPP;
	}
	if (vst_reads_possible())
		return 0;
	vst_explain(text, "this kernel has no asynchronous I/O (CONFIG_AIO), and a keeper needs it");
	return -EOPNOTSUPP;
}

/* -ENODEV: there is no such disk. */
static int disk_number(const struct vst_roots *roots, const char *name, dev_t *ret, char *text)
{
	char path[256], buf[64];
	unsigned int major, minor;
	int n;

	snprintf(path, sizeof(path), "../../class/block/%.*s/dev", VST_DISK_NAME_MAX - 1, name);
	n = roots->sysfs_block < 0 ? -ENODEV : vst_read_small(roots->sysfs_block, path, buf, sizeof(buf));
	if (n < 0 || sscanf(buf, "%u:%u", &major, &minor) != 2) {
		vst_explain(text, "there is no disk %s", name);
		return -ENODEV;
	}
	*ret = makedev(major, minor);
	return 0;
}

/* -ENODEV: there is no such disk; -EOPNOTSUPP: it has no cache that a keeper can help. */
static int cached_device(const struct vst_roots *roots, const char *name, dev_t *ret, char *text)
{
	char path[256], policy[128];
	int n = disk_number(roots, name, ret, text);

	if (n < 0)
		return n;
	snprintf(path, sizeof(path), "../../class/block/%.*s/bcache/cache/cache0/cache_replacement_policy",
		 VST_DISK_NAME_MAX - 1, name);
	n = vst_read_small(roots->sysfs_block, path, policy, sizeof(policy));
	if (n < 0) {
		vst_explain(text, "%s has no cache attached (bcache)", name);
		return n == -ENOENT ? -ENODEV : n;
	}
	if (strstr(policy, "[lru]"))
		return 0;
	vst_explain(
		text,
		"the cache of %s replaces its buckets by another policy than lru, which pays no attention to what is "
		"read: write lru to /sys/block/%s/bcache/cache/cache0/cache_replacement_policy",
		name, name);
	return -EOPNOTSUPP;
}

static int read_keeper(const struct vst_roots *roots, struct vst_knob *knob, char ret[VST_VALUE_MAX], char *text)
{
	dev_t dev = 0;
	int err = cached_device(roots, knob->target, &dev, text);

	if (err == -EOPNOTSUPP && vst_reads_are_on(knob->target)) /* changed since: to be switched off */
		err = 0;
	if (!err && knob->target_id && knob->target_id != dev) {
		vst_explain(text, "%s is another disk now", knob->target);
		err = -ESTALE;
	}
	if (err) {
		vst_reads_off(knob->target);
		return err;
	}
	knob->target_id = dev;
	vst_keep_text(vst_reads_are_on(knob->target), ret);
	return 0;
}

static int write_keeper(const struct vst_roots *roots, const struct vst_knob *knob, const char *value, char *text)
{
	unsigned int classes;
	int err = vst_keep_parse(value, &classes);

	if (!err && !classes)
		vst_reads_off(knob->target);
	else if (!err)
		err = vst_reads_on(knob->target, knob->target_id, classes);
	if (err)
		vst_explain(text, "cannot keep blocks of %s in its cache: %s", knob->target, strerror(-err));
	return err;
}

/* --- the settings of bcache --- */

static void setting_path(const struct vst_knob *knob, char *buf, size_t len)
{
	const struct vst_bcache_attr *attr = vst_bcache_attr_find(knob->attr);

	snprintf(buf, len, "../../class/block/%.*s/bcache/%s%s", VST_DISK_NAME_MAX - 1, knob->target,
		 attr->of_set ? "cache/" : "", attr->name);
}

static int read_setting(const struct vst_roots *roots, struct vst_knob *knob, char ret[VST_VALUE_MAX], char *text)
{
	char path[256], file[128];
	dev_t dev = 0;
	int n = disk_number(roots, knob->target, &dev, text);

	if (n < 0)
		return n;
	if (knob->target_id && knob->target_id != dev) {
		vst_explain(text, "%s is another disk now", knob->target);
		return -ESTALE;
	}
	setting_path(knob, path, sizeof(path));
	n = vst_read_small(roots->sysfs_block, path, file, sizeof(file));
	if (n < 0) {
		vst_explain(text, "%s has no %s: it is no bcache, or no cache is attached", knob->target, knob->attr);
		return n == -ENOENT ? -ENODEV : n;
	}
	if (vst_bcache_value_get(vst_bcache_attr_find(knob->attr), file, ret)) {
		vst_explain(text, "%s of %s is '%.*s', which vstor cannot read", knob->attr, knob->target,
			    (int)strcspn(file, "\n"), file);
		return -EINVAL;
	}
	knob->target_id = dev;
	return 0;
}

static int write_setting(const struct vst_roots *roots, const struct vst_knob *knob, const char *value, char *text)
{
	char path[256];
	_cleanup_close_ int fd = -1;
	ssize_t n = -1;

	setting_path(knob, path, sizeof(path));
	fd = openat(roots->sysfs_block, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		do
			n = write(fd, value, strlen(value));
		while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	n = -errno;
	vst_explain(text, "cannot write %s to %s of %s: %s", value, knob->attr, knob->target, strerror((int)-n));
	return (int)n;
}

/* --- both kinds --- */

static int read_knob(const struct vst_roots *roots, struct vst_knob *knob, char ret[VST_VALUE_MAX], char *text)
{
	return vst_bcache_attr_find(knob->attr) ? read_setting(roots, knob, ret, text)
						: read_keeper(roots, knob, ret, text);
}

static int write_knob(const struct vst_roots *roots, const struct vst_knob *knob, const char *value, char *text)
{
	return vst_bcache_attr_find(knob->attr) ? write_setting(roots, knob, value, text)
						: write_keeper(roots, knob, value, text);
}

static bool equal(const struct vst_knob *knob, const char *now, const char *written)
{
	return !strcmp(now, written);
}

static const char *attr(unsigned int i)
{
	if (!i)
		return "keeper";
	return i <= VST_BCACHE_ATTR__N ? vst_bcache_attrs[i - 1].name : NULL;
}

const struct vst_actuator vst_cache = {
	.name = "cache",
	.what = "what a cache keeps, by reading it again, and the settings of bcache",
	.check = check,
	.probe = probe,
	.read = read_knob,
	.write = write_knob,
	.equal = equal,
	.attr = attr,
};
