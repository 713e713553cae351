/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When what is worth keeping in a cache has to be read again. A cache lowers a block's priority as it takes in other
 * bytes, so a period is a part of the cache's size in admitted bytes, and not a time. Pure.
 */
#ifndef VST_POLICY_KEEP_H
#define VST_POLICY_KEEP_H

#include <stdint.h>

#include "vstor/abi_cache.h"

/* Of a cached device. All 0 at the start: every class is due. */
struct vst_keep {
	uint64_t admitted[VST_HEAT_CLASSES]; /* by class - VST_HEAT_CLASS_MIN: when it was read last */
	uint64_t asked;			     /* when units were read last of which it is not known where they are */
	uint64_t seen;			     /* at the last look */
	uint8_t started;		     /* classes that were read at all, a bit each */
};

/* Classes as the value of a keeper: "4 5" for the bits 4 and 5, "off" for none. buf has VST_KEEP_TEXT bytes. */
#define VST_KEEP_TEXT 16
const char *vst_keep_text(unsigned int classes, char *buf);
/* 0 or -EINVAL: only what vst_keep_text() writes is taken. */
int vst_keep_parse(const char *text, unsigned int *ret_classes);

/* The period of a class: class 5 a quarter of the cache, 4 a half, 3 seven tenths; 0: such a class is not kept. */
uint64_t vst_keep_period(unsigned int class, uint64_t cache_bytes);

/*
 * The classes that are due, bit n for class n, when the cache has taken in `admitted` bytes so far, or that will be by the next
 * look, if as much is admitted until then as since the last one. They count as read from
 * then on. A number that went back is that of a new agent: every class is due.
 */
unsigned int vst_keep_due(struct vst_keep *k, uint64_t admitted, uint64_t cache_bytes);

/*
 * How many units may be read of which it is not known where they are, after so many more bytes were admitted: so few that they
 * are no load, VST_KEEP_UNKNOWN_SHARE of these, and some at the start.
 */
#define VST_KEEP_UNKNOWN_SHARE 512
#define VST_KEEP_UNKNOWN_FIRST 256
uint32_t vst_keep_unknown(struct vst_keep *k, uint64_t admitted, uint32_t unit_bytes);

#endif /* VST_POLICY_KEEP_H */
