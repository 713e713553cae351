/* SPDX-License-Identifier: GPL-2.0-only */
/* A row of I/O for programs. */
#ifndef VSTOR_CTL_IO_H
#define VSTOR_CTL_IO_H

#include "rows.h"

/* A line of `io --json`, which `top --json` has too. New reference. */
json_t *vst_io_json(const struct vst_rows *rows, const struct vst_io_delta *d);
#endif /* VSTOR_CTL_IO_H */
