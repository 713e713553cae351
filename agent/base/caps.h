/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The capabilities that the agent keeps once its probes are attached, and the reason for each.
 *
 * Capabilities belong to a thread, and each thread gives up its own. libpsx, which sets those of all threads at once, sends
 * each thread a signal and waits for its answer: a thread that hangs in a dead file system does not answer, and the loop
 * would hang with it. The threads that look names up are there to hang in its place.
 *
 * The bounding set stays as it is: vstor-actor gets its capabilities from it whenever it is started again.
 */
#ifndef VST_CAPS_H
#define VST_CAPS_H

#include <linux/types.h>
#include <stddef.h>

enum vst_caps_thread {
	VST_CAPS_LOOP,	   /* the first thread, when its probes are attached */
	VST_CAPS_NAMES,	   /* looks up the names of containers */
	VST_CAPS_LOCKS,	   /* looks up the names of locks */
	VST_CAPS_SERVER,   /* answers clients */
	VST_CAPS_PINS,	   /* looks where files lie on their disks that caches are to keep */
	VST_CAPS_DM,	   /* asks device-mapper about caches */
	VST_CAPS_RECORDER, /* writes the recording; its directory is open already */
	VST_CAPS_THREAD__N
};

/* When a row of the table holds; bits. */
enum vst_caps_when {
	VST_CAPS_ALWAYS = 1,
	VST_CAPS_FOREIGN_DIR = 2, /* the socket lies in a directory of another user */
	VST_CAPS_HEIR =
		4, /* the agent acts and is not root, or has no_new_privs: the actor gets no more than what the agent has */
};

struct vst_caps_row {
	unsigned int cap;
	const char *name;
	unsigned int threads; /* bits: 1 << enum vst_caps_thread */
	enum vst_caps_when when;
	const char *why;
};

extern const struct vst_caps_row vst_caps_table[];
extern const size_t vst_caps_table_n;

const char *vst_caps_thread_name(enum vst_caps_thread thread);

/* What a thread keeps of what it has. Bits: 1 << CAP_... Pure. */
__u64 vst_caps_wanted(enum vst_caps_thread thread, unsigned int when);

/*
 * Gives up what this thread does not need. 0 or -errno, told at debug level: the agent works without. *ret_kept, which may
 * be NULL, is what the kernel says that the thread has now.
 */
int vst_caps_drop(enum vst_caps_thread thread, unsigned int when, __u64 *ret_kept);

#endif /* VST_CAPS_H */
