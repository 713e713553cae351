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

#include "agent/who/cgpath.h"

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
 * root: where the host's files are: "/", or the mount of the host's root in a container; never left, whatever symbolic
 * links say. NULL with errno set. One descriptor of the root (O_PATH) is all that stays open.
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

#endif /* VSTOR_RUNTIME_H */
