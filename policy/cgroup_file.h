/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The text of the cgroup files that vstor writes: which there are, what a key's value is, what a line to write looks
 * like, when two values mean the same. Pure. The forms are those of block/blk-throttle.c, blk-iocost.c and
 * bfq-cgroup.c.
 */
#ifndef VST_POLICY_CGROUP_FILE_H
#define VST_POLICY_CGROUP_FILE_H

#include "policy/step.h"

enum vst_cgroup_form {
	VST_FORM_WEIGHT, /* "default 100\n8:0 200\n"; key "default" or a device; a device without a line: "default" */
	VST_FORM_MAX,	 /* "8:0 rbps=max wbps=1000 ...\n"; key "8:0 wbps"; no line: "max" */
	VST_FORM_COST,	 /* "8:0 enable=1 ctrl=user ...\n"; key is a device; no line: vst_cgroup_attr.unset */
	VST_FORM_CONTROLLER, /* "cpu io memory\n"; key is a controller; values "+" and "-" */
	VST_FORM_V1_NUMBER,  /* "100\n"; key "default" */
	VST_FORM_V1_DEVICE,  /* "8:0 1000\n"; key is a device; no line: vst_cgroup_attr.unset */
};

/* What an attribute needs to have an effect. */
enum vst_cgroup_need {
	VST_NEED_NOTHING,
	VST_NEED_IOCOST, /* io.cost.qos enabled for the device */
	VST_NEED_BFQ,	 /* the device's scheduler is bfq */
	VST_NEED_DEVICE, /* the device itself, nothing else */
};

/* The whitelist. */
struct vst_cgroup_attr {
	const char *name;
	bool v2;   /* which hierarchy has it */
	bool root; /* only the root has it; else only the others */
	enum vst_cgroup_form form;
	enum vst_cgroup_need need;
	uint64_t min, max; /* numbers that a step may ask for */
	const char *unset; /* value where the kernel shows none */
	const char *what;  /* for people: what it does */
};

extern const struct vst_cgroup_attr vst_cgroup_attrs[]; /* ends with a row without a name */

const struct vst_cgroup_attr *vst_cgroup_attr_find(const char *name);

/* The "MAJ:MIN" that a key begins with, as its length; 0: none ("default", a controller). */
size_t vst_cgroup_key_device(const char *key);

/* Is the key one that this attribute can have? */
bool vst_cgroup_key_valid(const struct vst_cgroup_attr *attr, const char *key);

/* May a step ask for this value? 0, or -EINVAL with a text that says what is allowed. */
int vst_cgroup_value_check(const struct vst_cgroup_attr *attr, const char *key, const char *value,
			   char text[VST_TEXT_MAX]);

/* The value of a key in a file's text, in normal form. 0, -EINVAL: the text is not of this form, -E2BIG: too long. */
int vst_cgroup_value_get(const struct vst_cgroup_attr *attr, const char *key, const char *file,
			 char ret[VST_VALUE_MAX]);

/* The line that gives a key this value. Returns its length. */
size_t vst_cgroup_line(const struct vst_cgroup_attr *attr, const char *key, const char *value, char *buf, size_t len);

/*
 * Does the kernel's value mean what was written? Not symmetric: of io.cost.*, only the parts that were written count,
 * because the kernel prints more, and with ctrl=auto it chooses the other parts itself.
 */
bool vst_cgroup_value_equal(const struct vst_cgroup_attr *attr, const char *now, const char *written);

#endif /* VST_POLICY_CGROUP_FILE_H */
