// SPDX-License-Identifier: GPL-2.0-only
/*
 * The keeper of a cached device: the classes that it keeps ("4 5"), or "off". It is a state of vstor-actor and not of the kernel: while it is on, vstord
 * may have blocks of that device read (policy/actor_reads.h). It ends with the actor, and nothing of it is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "policy/actuator.h"
#include "policy/keep.h"
#include "policy/actor_reads.h"

/* A kernel's name of a disk, as in /sys/class/block: no path leads out of there. */
static bool is_disk_name(const char *name)
{
	size_t len = strlen(name);

	return len && len < VST_DISK_NAME_MAX && *name != '.' && !strchr(name, '/');
}

static int check(const struct vst_knob *knob, const char *wanted, char *text)
{
	unsigned int classes;

	if (strcmp(knob->attr, "keeper") || *knob->key || !is_disk_name(knob->target)) {
		vst_explain(text, "the actuator cache acts on the attribute keeper of a disk's name, not on %s '%s'",
			    knob->attr, knob->target);
		return -EPERM;
	}
	if (vst_keep_parse(wanted, &classes)) {
		vst_explain(text, "a keeper keeps classes from 3 to 5, as in '4 5', or is off, not '%s'", wanted);
		return -EINVAL;
	}
	return 0;
}

static int probe(const struct vst_roots *roots, const char *attr, const char *key, char *text)
{
	if (vst_reads_possible())
		return 0;
	vst_explain(text, "this kernel has no asynchronous I/O (CONFIG_AIO), and a keeper needs it");
	return -EOPNOTSUPP;
}

/* "MAJ:MIN" of a cached device. -ENODEV: there is no such disk; -EOPNOTSUPP: it has no cache that a keeper can help. */
static int cached_device(const struct vst_roots *roots, const char *name, dev_t *ret, char *text)
{
	char path[VST_DISK_NAME_MAX + 64], buf[64], policy[128];
	unsigned int major, minor;
	int n;

	snprintf(path, sizeof(path), "../../class/block/%s/dev", name);
	n = roots->sysfs_block < 0 ? -ENODEV : vst_read_small(roots->sysfs_block, path, buf, sizeof(buf));
	if (n < 0 || sscanf(buf, "%u:%u", &major, &minor) != 2) {
		vst_explain(text, "there is no disk %s", name);
		return -ENODEV;
	}
	*ret = makedev(major, minor);
	snprintf(path, sizeof(path), "../../class/block/%s/bcache/cache/cache0/cache_replacement_policy", name);
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

static bool equal(const struct vst_knob *knob, const char *now, const char *written)
{
	return !strcmp(now, written);
}

static const char *attr(unsigned int i)
{
	return i ? NULL : "keeper";
}

const struct vst_actuator vst_cache = {
	.name = "cache",
	.what = "what a cache keeps, by reading it again",
	.check = check,
	.probe = probe,
	.read = read_keeper,
	.write = write_keeper,
	.equal = equal,
	.attr = attr,
};
