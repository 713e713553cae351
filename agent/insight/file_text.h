/* SPDX-License-Identifier: GPL-2.0-only */
/* A file as people see it. Pure. */
#ifndef VST_FILE_TEXT_H
#define VST_FILE_TEXT_H

#include <stddef.h>

#include "vstor/abi_insight.h"

#define VST_FILE_TEXT 320

/*
 * "/dir/x (inode 12 on vda1)", from the filesystem's root, or with "…" before it where the path is longer than what the probe
 * read; "inode 12 on vda1" of a file without a name; "" of none.
 */
void vst_file_text(const struct vst_file_name *f, char text[VST_FILE_TEXT]);

#endif /* VST_FILE_TEXT_H */
