/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of `vstorctl cache` share. */
#ifndef VSTOR_CTL_CACHE_H
#define VSTOR_CTL_CACHE_H

#include "ctl.h"

/* cache_keep.c: keeps a path or a container in caches, or (undo) no more. Returns an exit code. */
int vst_cache_keep(const struct vst_ctl *ctl, const char *typed, bool undo);

/* cache_whatif.c: what caches of other sizes would hit. Returns an exit code. */
int vst_cache_whatif(const struct vst_ctl *ctl);

#endif /* VSTOR_CTL_CACHE_H */
