/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VSTOR_CTL_MEANT_H
#define VSTOR_CTL_MEANT_H

#include "ctl.h"

/*
 * The cgroup of the container that somebody means by what was typed, also one that did no I/O yet. own: what follows for one of vstor's own words, a
 * sentence. NULL: none is meant, and *ret_rc is an exit code; the user was told why. The caller frees.
 */
char *vst_cgroup_meant(const struct vst_ctl *ctl, const char *typed, const char *own, int *ret_rc);

#endif /* VSTOR_CTL_MEANT_H */
