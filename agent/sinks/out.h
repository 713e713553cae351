/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * JSON, written into a buffer that grows. A snapshot is tens of thousands of numbers a second, so no tree is built.
 * The caller keeps the grammar: these write values, a key with its colon, and commas where a value follows one.
 * Running out of memory makes every later call do nothing; vst_out_take() tells.
 */
#ifndef VST_OUT_H
#define VST_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct vst_out {
	char *buf;
	size_t len;
	size_t size;
	bool failed;
};

void vst_out_raw(struct vst_out *o, const char *text); /* as it is: punctuation, literals */
void vst_out_key(struct vst_out *o, const char *key);  /* "key": with a comma before it, unless first in its object */
void vst_out_u64(struct vst_out *o, __u64 v);
void vst_out_double(struct vst_out *o, double v, int decimals);
void vst_out_bool(struct vst_out *o, bool v);
/* Escaped; bytes that are not UTF-8 become U+FFFD. NULL is "". */
void vst_out_str(struct vst_out *o, const char *s);

/* key and value at once */
void vst_out_kstr(struct vst_out *o, const char *key, const char *s);
void vst_out_ku64(struct vst_out *o, const char *key, __u64 v);
void vst_out_kdouble(struct vst_out *o, const char *key, double v, int decimals);
void vst_out_kbool(struct vst_out *o, const char *key, bool v);

/* The text, to be freed by the caller, and its length; NULL if memory ran out. The buffer is empty afterwards. */
char *vst_out_take(struct vst_out *o, size_t *ret_len);
void vst_out_drop(struct vst_out *o);

#endif /* VST_OUT_H */
