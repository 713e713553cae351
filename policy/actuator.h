/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Actuators: each kind of knob that vstor can write, as one row of functions. vstor-actor writes through them; vstord and
 * `vstorctl doctor` only ask them whether they can act here.
 */
#ifndef VST_POLICY_ACTUATOR_H
#define VST_POLICY_ACTUATOR_H

#include "policy/step.h"

/* Where the kernel's files are. Directories are held open, so that a path cannot lead out of them. */
struct vst_roots {
	int cgroup;	 /* root of the hierarchy that has the io (v2) or blkio (v1) controller; -1: none here */
	int sysfs_block; /* /sys/dev/block; -1: cannot be opened */
	int proc;
	bool v2;
	char cgroup_path[256]; /* of .cgroup, for messages */
};

/* An -1 in *ret is not an error of this function: what needs it says so. NULLs: find the cgroup mount, /sys, /proc. */
void vst_roots_open(const char *cgroup_root, const char *sysfs, const char *proc, struct vst_roots *ret);
void vst_roots_close(struct vst_roots *roots);

/*
 * Moves the process to the root of every cgroup hierarchy: who ends the container or the service that it was started in
 * does not end it any more. 0 or -errno.
 */
int vst_leave_cgroups(int proc);

/* Functions return 0 or -errno and explain an error in text, of VST_TEXT_MAX bytes. */
struct vst_actuator {
	const char *name;
	const char *what; /* for people: what it changes */
	/* Is the knob on the whitelist, and may a step ask for this value? Pure. */
	int (*check)(const struct vst_knob *knob, const char *wanted, char *text);
	/* Would a value have an effect now? -EOPNOTSUPP: no, and why. key: "" asks about any device. */
	int (*probe)(const struct vst_roots *roots, const char *attr, const char *key, char *text);
	/*
	 * The knob's value in normal form. Fills in knob->target_id if it is 0, else the target must be that one:
	 * -ESTALE. -ENOENT, -ESRCH, -ENODEV: the target or its device is gone.
	 */
	int (*read)(const struct vst_roots *roots, struct vst_knob *knob, char ret[VST_VALUE_MAX], char *text);
	/* knob->target_id is set. Does not check the value: a restored one may be what no step may ask for. */
	int (*write)(const struct vst_roots *roots, const struct vst_knob *knob, const char *value, char *text);
	/* Does now, as the kernel shows it, mean the same as what was written? */
	bool (*equal)(const struct vst_knob *knob, const char *now, const char *written);
	/* The attributes that probe() knows, NULL at the end. */
	const char *(*attr)(unsigned int i);
	/*
	 * Number i of the targets from which this one may have inherited its value when it was made. 0; -ENOENT: there are
	 * no more. NULL: nothing is inherited.
	 */
	int (*origin)(const struct vst_roots *roots, const struct vst_knob *knob, unsigned int i,
		      char ret[VST_TARGET_MAX]);
};

extern const struct vst_actuator vst_cgroup_io;
extern const struct vst_actuator vst_ioprio;
extern const struct vst_actuator vst_cache;

/* By enum vst_actuator_id. */
extern const struct vst_actuator *const vst_actuators[VST_ACTUATOR__N];

/*
 * Is a device one that knobs may name: a whole disk with a queue of its own? Weights and limits on a stacked device (dm,
 * md, bcache) are refused by the kernel or count the I/O twice. dev: the first dev_len bytes are "MAJ:MIN".
 * 0, -ENODEV: there is none; -EOPNOTSUPP: not a leaf.
 */
int vst_disk_is_leaf(const struct vst_roots *roots, const char *dev, size_t dev_len, char *text);

/* The active scheduler of a disk ("bfq", "none"). 0 or -errno. */
int vst_disk_scheduler(const struct vst_roots *roots, const char *dev, size_t dev_len, char ret[32]);

/* Calls f with the "MAJ:MIN" of each leaf disk that has a size until it returns other than 0, which is returned; 0 at the end. */
int vst_disk_each(const struct vst_roots *roots, int (*f)(void *ctx, const char *dev), void *ctx);

/* Does any leaf disk use this scheduler? */
bool vst_disk_any_uses(const struct vst_roots *roots, const char *scheduler);

/* Reads a small file below a directory whole and ends it with a NUL. Its length, or -errno; -E2BIG: it does not fit. */
int vst_read_small(int dir, const char *path, char *buf, size_t len);

#endif /* VST_POLICY_ACTUATOR_H */
