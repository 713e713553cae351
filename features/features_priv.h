/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the table of features and the functions that look for them. */
#ifndef VST_FEATURES_PRIV_H
#define VST_FEATURES_PRIV_H

#include <stdio.h>
#include <string.h>
#include "features.h"
#include "vstor/probe_list.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

struct vst_feature_row;

/* Says the rest in ->detail and, where the row's cost and remedy do not fit, in ->cost, ->remedy and ->harmless. */
typedef enum vst_feature_state vst_look(const struct vst_features_ctx *ctx, const struct vst_feature_row *row,
					struct vst_feature_result *res);

struct vst_feature_row {
	struct vst_feature feature;
	vst_look *look;
	const char *arg;
	int args;	    /* of a tracepoint; 0: any number; VST_FUNCTION */
	const char *module; /* in which it may be; NULL: in the kernel alone */
	const char *one_of; /* see VST_PROBES */
	enum vst_group group;
};

/* The whole table. Returns the number of rows. */
size_t vst_features_rows(const struct vst_feature_row **ret);

/* features_kernel.c */
vst_look vst_look_version, vst_look_btf, vst_look_cast, vst_look_jit, vst_look_page_size;
vst_look vst_look_capabilities, vst_look_load, vst_look_stats, vst_look_fentry;
vst_look vst_look_tracepoint;

/* features_host.c */
vst_look vst_look_hierarchy, vst_look_controller, vst_look_io_enabled;
vst_look vst_look_filesystem, vst_look_symbols;
vst_look vst_look_iostats;
vst_look vst_look_bfq;

/* Is there a file below ctx->root? What cannot be told is there. fmt takes the name. */
bool vst_features_exists(const struct vst_features_ctx *ctx, const char *fmt, const char *name);

/* Is there such a module, loaded or not? */
bool vst_features_is_on_disk(const struct vst_features_ctx *ctx, const char *module);

/* Appends to the detail; what does not fit ends in "...". */
__attribute__((format(printf, 2, 3))) void vst_feature_say(struct vst_feature_result *res, const char *fmt, ...);

/* Below ctx->root; NULL and errno. */
__attribute__((format(printf, 2, 3))) FILE *vst_features_open_below(const struct vst_features_ctx *ctx, const char *fmt,
								    ...);

/* The first line of a file, without its end. f may be NULL, with errno; it is closed. 0 or -errno. */
int vst_features_first_line(FILE *f, char *buf, size_t size);

static inline bool vst_features_is_denied(int err)
{
	return err == -EPERM || err == -EACCES;
}

static inline const char *vst_features_error(int err)
{
	return strerrorname_np(-err) ?: "unknown error";
}

#endif /* VST_FEATURES_PRIV_H */
