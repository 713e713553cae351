// SPDX-License-Identifier: GPL-2.0-only
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sinks/out.h"
#include "lib/utf8.h"

static bool room(struct vst_out *o, size_t n)
{
	size_t size;
	char *buf;

	if (o->failed)
		return false;
	if (o->len + n <= o->size)
		return true;
	size = o->size ? o->size * 2 : 4096;
	while (size < o->len + n)
		size *= 2;
	buf = realloc(o->buf, size);
	if (!buf) {
		o->failed = true;
		return false;
	}
	o->buf = buf;
	o->size = size;
	return true;
}

static void put(struct vst_out *o, const char *s, size_t n)
{
	if (!room(o, n))
		return;
	memcpy(o->buf + o->len, s, n);
	o->len += n;
}

void vst_out_raw(struct vst_out *o, const char *text)
{
	put(o, text, strlen(text));
}

void vst_out_key(struct vst_out *o, const char *key)
{
	if (o->len && o->buf[o->len - 1] != '{' && o->buf[o->len - 1] != '[')
		put(o, ",", 1);
	put(o, "\"", 1);
	vst_out_raw(o, key);
	put(o, "\":", 2);
}

void vst_out_u64(struct vst_out *o, __u64 v)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = '0' + v % 10;
		v /= 10;
	} while (v);
	put(o, digits + n, sizeof(digits) - n);
}

void vst_out_double(struct vst_out *o, double v, int decimals)
{
	char text[64];

	if (!(v > -1e18 && v < 1e18)) /* not in JSON: nan, inf */
		v = 0;
	put(o, text, snprintf(text, sizeof(text), "%.*f", decimals, v));
}

void vst_out_bool(struct vst_out *o, bool v)
{
	vst_out_raw(o, v ? "true" : "false");
}

void vst_out_str(struct vst_out *o, const char *str)
{
	const char *s = str ? str : "";
	char esc[8];
	size_t n;

	put(o, "\"", 1);
	while (*s) {
		n = vst_utf8_len(s, SIZE_MAX);
		if (!n) {
			put(o, VST_UTF8_REPLACEMENT, strlen(VST_UTF8_REPLACEMENT));
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			esc[0] = '\\';
			esc[1] = *s;
			put(o, esc, 2);
		} else if (n == 1 && (*s < 0x20 || *s == 0x7f)) {
			put(o, esc, snprintf(esc, sizeof(esc), "\\u%04x", *s));
		} else {
			put(o, s, n);
		}
		s += n;
	}
	put(o, "\"", 1);
}

void vst_out_kstr(struct vst_out *o, const char *key, const char *s)
{
	vst_out_key(o, key);
	vst_out_str(o, s);
}

void vst_out_ku64(struct vst_out *o, const char *key, __u64 v)
{
	vst_out_key(o, key);
	vst_out_u64(o, v);
}

void vst_out_kdouble(struct vst_out *o, const char *key, double v, int decimals)
{
	vst_out_key(o, key);
	vst_out_double(o, v, decimals);
}

void vst_out_kbool(struct vst_out *o, const char *key, bool v)
{
	vst_out_key(o, key);
	vst_out_bool(o, v);
}

char *vst_out_take(struct vst_out *o, size_t *ret_len)
{
	char *buf = o->failed ? NULL : o->buf;

	*ret_len = buf ? o->len : 0;
	if (!buf)
		free(o->buf);
	memset(o, 0, sizeof(*o));
	return buf;
}

void vst_out_drop(struct vst_out *o)
{
	free(o->buf);
	memset(o, 0, sizeof(*o));
}
