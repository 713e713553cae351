/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a container is called, from the files that its runtime keeps: no RPC, no socket, no mount namespace entered.
 * docs/names.md says which file tells what.
 *
 *	vst_cgpath_parse(path, &cg);
 *	vst_names_from_path(&cg, &names);			always something to show
 *	r = vst_runtime_lookup(runtime, &cg, &names);		better, where there is better
 *	vst_names_display(&names, buf, sizeof(buf));
 *
 * Every string is valid UTF-8 and ends with a NUL: bytes that are not are replaced by U+FFFD, too long ones are cut at a
 * character. Nothing else is changed: names can hold control characters and escape sequences, because somebody may have
 * called a thing so. Every sink escapes what it shows.
 */
#ifndef VSTOR_RUNTIME_H
#define VSTOR_RUNTIME_H

#include <stdbool.h>

#include <linux/types.h>

#include "agent/who/cgpath.h"

struct vst_label;

#define VST_USER_FILE                                                                                                  \
	((size_t)4 << 20) /* the largest file of a user's own that is read: 7,000 containers in podman's list */
#define VST_USER_BYTES ((size_t)8 << 20) /* of all of a user's files for one name */
#define VST_USER_ENTRIES 1024		 /* of directories */

#define VST_NAME_MAX 256
#define VST_DISPLAY_MAX (4 * VST_NAME_MAX)

/* "": not known. */
struct vst_names {
	enum vst_cgkind kind;	       /* the path's, or better */
	enum vst_runtime_type runtime; /* the path's, or better */
	char ns[VST_NAME_MAX];	       /* Kubernetes namespace */
	char pod[VST_NAME_MAX];
	char name[VST_NAME_MAX]; /* of the container, unit or machine */
	char image[VST_NAME_MAX];
	char pod_uid[VST_POD_UID_MAX];
	char handle[VST_NAME_MAX]; /* what to call it without a name: "docker/3f2a1b4c5d6e" */
	char outer[VST_NAME_MAX];  /* display name of the outermost container that this one runs in */
};

/* What the path alone tells. Pure. */
void vst_names_from_path(const struct vst_cgpath *cg, struct vst_names *ret);

/*
 * What to show and to merge restarts by: "namespace/pod/container" (a sandbox is called POD), "namespace/pod" of a pod's
 * own cgroup, else the name, else the handle; inside another container, "its display name/" before that.
 * Returns buf. VST_DISPLAY_MAX is always enough; a shorter buf gets a cut name.
 */
const char *vst_names_display(const struct vst_names *names, char *buf, size_t size);

struct vst_runtime;

/*
 * root: where the host's files are: "/", a mount of the host's root in a container, or /proc/1/root, for which nothing
 * needs to be mounted; never left, whatever symbolic links say. NULL with errno set. One descriptor of the root (O_PATH) is all that stays open.
 */
struct vst_runtime *vst_runtime_new(const char *root);
void vst_runtime_free(struct vst_runtime *rt);

/*
 * names: from vst_names_from_path() or an earlier lookup of the same path.
 * 0: *names is as good as it will get. This is so at once for all that has no runtime's files (units, LXC, ...).
 * -ENOENT: the runtime has not written (all of) its files yet, or knows no such container: *names is unchanged; ask
 *	again, some times, with growing pauses. A file that is broken, too large or not a regular file counts as none.
 * -ENOMEM: unchanged as well.
 */
int vst_runtime_lookup(struct vst_runtime *rt, const struct vst_cgpath *cg, struct vst_names *names);

/* Can a runtime's files tell more of it than its path? Pure. */
bool vst_runtime_has_files(const struct vst_cgpath *cg);

/* --- of the last lookup --- */

/* Bytes of files that it read. A user's lookup stops at VST_USER_BYTES, whatever is left to be read. */
size_t vst_runtime_bytes(const struct vst_runtime *rt);

/* The file that told the name, to be freed, and its stamp; NULL: no file did. */
char *vst_runtime_take_file(struct vst_runtime *rt, __u64 *ret_stamp);

/* Labels and annotations that the file has, to be freed with vst_labels_free(); NULL: it has none. */
struct vst_label *vst_runtime_take_labels(struct vst_runtime *rt, size_t *ret_n);

/* A number that changes when a file is written or replaced; 0: it is not there. */
__u64 vst_runtime_stamp(struct vst_runtime *rt, const char *file);

#endif /* VSTOR_RUNTIME_H */
