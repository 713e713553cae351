/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The settings of a bcache that vstor writes: which there are, what may be written, and what the text of their files means.
 * Pure. The forms are those of drivers/md/bcache/sysfs.c.
 */
#ifndef VST_POLICY_BCACHE_FILE_H
#define VST_POLICY_BCACHE_FILE_H

#include <stdbool.h>

#include "policy/step.h"

enum vst_bcache_form {
	VST_BCACHE_SIZE,   /* written in bytes, read as "4.0M" */
	VST_BCACHE_NUMBER, /* "10" */
	VST_BCACHE_CHOICE, /* "writethrough [writeback] writearound none" */
};

/*
 * The whitelist. X(ENUM, "name", form, of the whole cache set, highest number, "choices", "what it is"). bcache itself takes a
 * percentage above 40 for 40 (bch_cutoff_writeback).
 */
#define VST_BCACHE_ATTRS(X)                                                                                            \
	X(SEQUENTIAL_CUTOFF, "sequential_cutoff", SIZE, false, 0xffffffff, "",                                         \
	  "I/O of a sequential stream past this size is left alone; 0: all of it is cached")                           \
	X(READAHEAD, "readahead_cache_policy", CHOICE, false, 0, "all meta-only", "whether read-ahead is cached")      \
	X(MODE, "cache_mode", CHOICE, false, 0, "writethrough writeback writearound none", "how writes are cached")    \
	X(WRITEBACK_PERCENT, "writeback_percent", NUMBER, false, 40, "",                                               \
	  "the share of the cache that may be dirty, in percent")                                                      \
	X(CONGESTED_READ, "congested_read_threshold_us", NUMBER, true, 0xffffffff, "",                                 \
	  "reads are left alone while the cache answers more slowly, in microseconds; 0: never")                       \
	X(CONGESTED_WRITE, "congested_write_threshold_us", NUMBER, true, 0xffffffff, "",                               \
	  "writes are left alone while the cache answers more slowly, in microseconds; 0: never")

enum vst_bcache_attr_id {
#define X(e, n, f, s, m, c, d) VST_BCACHE_ATTR_##e,
	VST_BCACHE_ATTRS(X)
#undef X
		VST_BCACHE_ATTR__N
};

struct vst_bcache_attr {
	const char *name;
	enum vst_bcache_form form;
	bool of_set; /* all devices of one cache set have it in common: the file is in bcache/cache/, else in bcache/ */
	uint64_t max;
	const char *choices;
	const char *what;
};

extern const struct vst_bcache_attr vst_bcache_attrs[VST_BCACHE_ATTR__N];

/* NULL: it is not one that vstor may write. */
const struct vst_bcache_attr *vst_bcache_attr_find(const char *name);

/*
 * What a policy writes ("4MiB", "meta-only", "10") as the value to be written to the file. 0; -EINVAL: text says what is allowed.
 * A size must be one that the kernel shows without rounding, because what it shows is compared with what was written.
 */
int vst_bcache_value(const struct vst_bcache_attr *attr, const char *value, char ret[VST_VALUE_MAX],
		     char text[VST_TEXT_MAX]);

/* The value that the text of the file means, in the form that can be written. 0; -EINVAL: it has another form. */
int vst_bcache_value_get(const struct vst_bcache_attr *attr, const char *file, char ret[VST_VALUE_MAX]);

#endif /* VST_POLICY_BCACHE_FILE_H */
