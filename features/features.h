/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vstor wants from the kernel and the host: one table. The agent asks it why it cannot start, `vstorctl doctor`
 * shows all of it; neither needs the other, nor root.
 *
 * Details hold no process ids, times or addresses: on one host with one kernel they are always the same.
 */
#ifndef VST_FEATURES_H
#define VST_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/utsname.h>
#include <linux/types.h>

#include "vstor/cli.h"

struct btf;

enum vst_feature_state {
	VST_FEATURE_FOUND,
	VST_FEATURE_MISSING,
	VST_FEATURE_UNKNOWN, /* we were not permitted to see, or to use it */
};

struct vst_feature {
	const char *name;
	const char *group;
	bool required;	    /* without it the agent does not start */
	const char *cost;   /* of its absence; a sentence */
	const char *remedy; /* a sentence */
	const char *probe;  /* of a tracepoint: the program that is attached to it (vstor/probes.h); NULL: no probe */
};

struct vst_feature_result {
	const struct vst_feature *feature;
	enum vst_feature_state state;
	const char *cost;   /* the feature's, or one that fits this case better */
	const char *remedy; /* likewise */
	bool harmless;	    /* nothing is lost where it is not found: for information only */
	char detail[512];
};

/* Everything that a look at the host goes through, so that a test can put another host in its place. */
struct vst_features_ctx {
	const char *root;      /* put before every /proc and /sys path; "" for this host */
	const char *release;   /* as uname -r prints it; NULL: not known */
	const struct btf *btf; /* of the kernel; NULL: not to be had, because of .btf_err */
	int btf_err;	       /* -errno */
	long page_size;
	/* Real attempts, which leave nothing behind: 0 or -errno. */
	int (*try_map)(void);
	int (*try_prog)(int attach_type, __u32 btf_id); /* btf_id 0: a program without a target */
	int (*try_stats)(void);
	struct btf *own_btf; /* what vst_features_open() got; see .btf */
	struct utsname own_name;
};

/* This host. Never fails: what cannot be had becomes a result. The kernel's BTF is owned by ctx until _close(). */
void vst_features_open(struct vst_features_ctx *ctx);
void vst_features_close(struct vst_features_ctx *ctx);

/* Looks for everything; results[vst_features_count()]. */
size_t vst_features_count(void);
void vst_features_check(const struct vst_features_ctx *ctx, struct vst_feature_result *results);

/*
 * Can the agent run? If not, msg says what is missing, what that means and what to do. A required feature that is
 * missing counts before one that we may not see. What is not required has no say. VST_EXIT_OK, _UNSUPPORTED or _DENIED.
 */
enum vst_exit vst_features_verdict(const struct vst_feature_result *results, size_t n, char *msg, size_t size);

/* The same for an agent that is about to start: looks for what is required and nothing else. */
enum vst_exit vst_features_require(const struct vst_features_ctx *ctx, char *msg, size_t size);

/* Tries, on this host, whether a program may be attached to a kernel function (fentry and fexit). */
bool vst_features_can_hook_functions(void);

const char *vst_feature_state_name(enum vst_feature_state state);

#endif /* VST_FEATURES_H */
