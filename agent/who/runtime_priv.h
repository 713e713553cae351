/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by agent/runtime*.c only. */
#ifndef VSTOR_RUNTIME_PRIV_H
#define VSTOR_RUNTIME_PRIV_H

#include <dirent.h>
#include <jansson.h>
#include <limits.h>

#include "agent/who/labels.h"
#include "agent/who/runtime.h"

struct vst_runtime {
	int root;		    /* O_PATH */
	unsigned long long resolve; /* for openat2() */
	char prefix[PATH_MAX];	    /* of the root, "" for "/" */
	char mounts[PATH_MAX];	    /* where the kernel lists the mounts that prefix is a path in */
	/* of the lookup that is under way, or was last */
	bool of_user;		  /* the files are a user's own: its limits hold */
	size_t bytes, entries;	  /* that were read */
	char file[PATH_MAX];	  /* that was read last; "": none */
	__u64 stamp;		  /* of it */
	struct vst_labels labels; /* that it has */
};

/* --- runtime_file.c: reading what others wrote --- */

/*
 * A regular file of at most 16 MiB, of a user's own at most VST_USER_FILE, and no more than its lookup may read (-EFBIG). *ret: NUL-terminated, to be freed.
 * path: absolute, within the root. The file is open only during the call.
 */
int vst_rtfile_read(struct vst_runtime *rt, const char *path, char **ret, size_t *ret_len);

/* A JSON file of at most max_tokens values: memory and time are bounded by that. *ret: a new reference. */
int vst_rtfile_json(struct vst_runtime *rt, const char *path, size_t max_tokens, json_t **ret);
int vst_rtfile_json_parse(const char *text, size_t len, size_t max_tokens, json_t **ret);

DIR *vst_rtfile_opendir(struct vst_runtime *rt, const char *path);

/* The next entry; NULL: there is none, or as many were read as may be. */
struct dirent *vst_rtfile_readdir(struct vst_runtime *rt, DIR *dir);

/*
 * Is this path's file system, or one mounted below it, one that can keep us waiting for another machine or for a user's
 * process? path: as this process sees it; mounts: "/proc/self/mounts", without which the answer is yes.
 */
bool vst_rtfile_is_remote(const char *mounts, const char *path);

/* Copies what is valid UTF-8 and replaces what is not. */
void vst_names_copy(char ret[VST_NAME_MAX], const char *s, size_t len);

/* --- runtime_find.c: one function a source of names --- */

/*
 * 0: *names is filled in; -ENOENT: this source does not know it (yet); *names is unchanged then.
 * home: of the user whose rootless runtime it is, NULL for the system's.
 */
typedef int vst_find_fn(struct vst_runtime *rt, const struct vst_cgpath *cg, const char *id, const char *home,
			struct vst_names *names);

vst_find_fn vst_find_containerd, vst_find_crio, vst_find_podman, vst_find_docker, vst_find_kubelet_log;

/* Namespace and name of a pod from the directories of its logs. */
int vst_find_pod(struct vst_runtime *rt, const char *uid, struct vst_names *names);

#endif /* VSTOR_RUNTIME_PRIV_H */
