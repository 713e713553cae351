/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the engine asks for and what the actor answers: knobs, steps and outcomes. Everything here is a plain value of
 * a fixed size, because these structs are also the messages between vstord and vstor-actor.
 *
 * A knob is one setting that can be written and restored on its own:
 *
 *	actuator    target             attr                      key             value
 *	cgroup-io   "/pods/a"          io.weight                 "default"       "1".."10000"
 *	cgroup-io   "/pods/a"          io.weight                 "8:0"           "1".."10000", "default" (not set)
 *	cgroup-io   "/pods/a"          io.bfq.weight             "default"       "1".."1000"
 *	cgroup-io   "/pods/a"          io.bfq.weight             "8:0"           "1".."1000", "default" (not set)
 *	cgroup-io   "/pods/a"          io.max                    "8:0 wbps"      number, "max"; also rbps, riops, wiops
 *	cgroup-io   "/"                io.cost.qos               "8:0"           "enable=1 ctrl=user rpct=95 ..."
 *	cgroup-io   "/"                io.cost.model             "8:0"           "ctrl=user model=linear rbps=..."
 *	cgroup-io   "/pods"            cgroup.subtree_control    "io"            "+", "-"
 *	cgroup-io   "/pods/a"          blkio.bfq.weight          "default"       "1".."1000" (cgroup v1)
 *	cgroup-io   "/pods/a"          blkio.bfq.weight_device   "8:0"           "1".."1000", "default" (not set; cgroup v1)
 *	cgroup-io   "/pods/a"          blkio.throttle.{read,write}_{bps,iops}_device
 *	                                                         "8:0"           number, "0" (no limit; cgroup v1)
 *	ioprio      "1234" (thread)    ioprio                    ""              "none", "idle", "best-effort 0".."7"
 *	cache       "bcache0" (disk)   keeper                    ""              classes, "4 5"; "off"
 *	                               sequential_cutoff, ...    ""              bytes, number or word, see bcache_file.h
 *
 * Each part of io.max is a knob of its own: the kernel keeps the parts that a write does not name, so a limit on
 * writes that we set and a limit on reads that the administrator set do not get into each other's way.
 */
#ifndef VST_POLICY_STEP_H
#define VST_POLICY_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	VST_TARGET_MAX = 1024, /* sizes include the final NUL; longer input is refused, never cut */
	VST_ATTR_TEXT_MAX = 40,
	VST_KEY_MAX = 32,
	VST_VALUE_MAX = 256,
	VST_RULE_MAX = 64,
	VST_WHY_MAX = 256,
	VST_TEXT_MAX = 512,
};

/* The rows of the table of actuators (actuator.h): stored in the journal, so append only. */
enum vst_actuator_id {
	VST_ACTUATOR_CGROUP_IO,
	VST_ACTUATOR_IOPRIO,
	VST_ACTUATOR_CACHE,
	VST_ACTUATOR__N,
};

struct vst_knob {
	uint32_t actuator; /* enum vst_actuator_id */
	uint32_t pad;	   /* 0 */
	/*
	 * Which target of this name: paths and thread ids are used again. The cgroup's inode number in the hierarchy
	 * that holds the attribute, a thread's start time (field 22 of /proc/TID/stat), or a disk's number. 0 in a
	 * step: whichever has the name now. The actor fills it in.
	 */
	uint64_t target_id;
	char target[VST_TARGET_MAX]; /* path below the cgroup root, "/" is the root itself; a thread id; a disk */
	char attr[VST_ATTR_TEXT_MAX];
	char key[VST_KEY_MAX];
};

/* One change of one knob. */
struct vst_step {
	uint64_t id; /* the engine's own; the outcome repeats it */
	struct vst_knob knob;
	char wanted[VST_VALUE_MAX]; /* "" reverts: restore what was there before the first step */
	char rule[VST_RULE_MAX];    /* name of the rule */
	char why[VST_WHY_MAX];	    /* a sentence for people */
};

/* State of a knob, as `vstorctl policy status` names it. */
enum vst_knob_state {
	VST_KNOB_PLANNED,  /* only the engine uses this one: nothing was sent */
	VST_KNOB_APPLIED,  /* holds the value that we wrote */
	VST_KNOB_REVERTED, /* holds its old value again, or its target is gone */
	VST_KNOB_CONFLICT, /* somebody else changed it: left alone */
	VST_KNOB_REFUSED,  /* not written: .result and .text say why */
	VST_KNOB_STATE__N,
};

/* "planned", "applied", ... */
const char *vst_knob_state_name(enum vst_knob_state state);

/* The answer to a step, and a row of the list of knobs. */
struct vst_outcome {
	uint64_t id; /* of the last step on this knob */
	struct vst_knob knob;
	uint32_t state; /* enum vst_knob_state */
	/*
	 * 0 or -errno. These have a meaning beyond the kernel's own: -EPERM not on the whitelist; -EINVAL value out of
	 * range; -ENOENT or -ESRCH target gone; -ESTALE target recreated under the same name (target_id differs);
	 * -EBUSY somebody else changed the knob; -EOPNOTSUPP has no effect here; -EROFS, -ENOSPC, -EUCLEAN the journal
	 * cannot be written or is damaged, so nothing was.
	 */
	int32_t result;
	uint32_t conflicts;	 /* foreign changes seen so far; after VST_CONFLICTS_MAX the actor stands aside */
	uint32_t pad;		 /* 0 */
	int64_t since_us;	 /* CLOCK_REALTIME of the last write, 0: never written */
	char old[VST_VALUE_MAX]; /* before our first write: what a revert restores */
	char now[VST_VALUE_MAX]; /* what the knob holds now, in the actuator's normal form; "" if it could not be read */
	char written[VST_VALUE_MAX]; /* what we wrote last, "" if never */
	char rule[VST_RULE_MAX];
	char why[VST_WHY_MAX];
	char text[VST_TEXT_MAX]; /* what happened, to what, what it means, what to do; "" if all is well */
};

enum { VST_CONFLICTS_MAX = 3 };

/* Do two knobs name the same setting? The identity of the target does not count if one of them does not give it. */
bool vst_knob_same(const struct vst_knob *a, const struct vst_knob *b);

/* "io.max 8:0 wbps of /pods/a": for messages. Returns buf. */
const char *vst_knob_describe(const struct vst_knob *knob, char *buf, size_t len);

/*
 * Limits below these can hold a container's I/O up for minutes, and whoever waits for it: no objective needs them. No rule
 * may ask for less, and the engine and the actor never set less. A value that is restored may be lower.
 */
enum { VST_LIMIT_BYTES_MIN = 65536, VST_LIMIT_IOPS_MIN = 10 };

/* Fill in a knob. -ENAMETOOLONG if a part does not fit; *ret is untouched then. */
int vst_knob_init(struct vst_knob *ret, enum vst_actuator_id actuator, const char *target, uint64_t target_id,
		  const char *attr, const char *key);

/* Writes a sentence for people; one that is too long ends in "...". */
void vst_explain(char text[VST_TEXT_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif /* VST_POLICY_STEP_H */
