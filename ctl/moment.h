/* SPDX-License-Identifier: GPL-2.0-only */
/* Moments as people type them. Pure, but for the time zone. */
#ifndef VSTOR_CTL_MOMENT_H
#define VSTOR_CTL_MOMENT_H

#include <stdbool.h>

/*
 * "02:47", "02:47:11.5": the last time that a clock here showed this, until latest; "2026-11-30 02:47"; "@1790000000.5": Unix time; "-10m":
 * so long before latest. All are Unix times. *ret_until is the end of what was typed: "02:47:11" goes on until the next second begins.
 * 0 or -EINVAL.
 */
int vst_moment_parse(const char *text, double latest, double *ret_until);

#endif /* VSTOR_CTL_MOMENT_H */
