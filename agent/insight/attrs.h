/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Classes that users gave to files and directories with the extended attribute user.vstor.class: reads them of files that the probes
 * name, and notes them with the file, where the probes find them. A thread reads, a batch at a time.
 */
#ifndef VST_ATTRS_H
#define VST_ATTRS_H

#include "agent/probes/probes.h"
#include "vstor/abi_insight.h"

#define VST_ATTRS_AGAIN 30.0 /* seconds after which the attribute of a file that is in use is read again */

struct vst_attrs;

int vst_attrs_new(struct vst_attrs **ret);
/* A thread that hangs in a dead filesystem is left behind. */
void vst_attrs_free(struct vst_attrs *a);

/* A file that is in use: what is known of it is noted again, or it is asked for. */
void vst_attrs_offer(struct vst_attrs *a, const struct vst_maps *m, const struct vst_file_name *f, double now);

/* Once a tick: takes the answers of the last batch, and begins the next one. */
void vst_attrs_turn(struct vst_attrs *a, const struct vst_maps *m);

#endif /* VST_ATTRS_H */
