/* SPDX-License-Identifier: GPL-2.0-only */
/* Names are others' bytes; what we give away is UTF-8. */
#ifndef VST_UTF8_H
#define VST_UTF8_H

#include <stddef.h>

#define VST_UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Length of the character at s, of which n > 0 bytes may be read; 0: there is none. A NUL is none, and ends one. */
static inline size_t vst_utf8_len(const char *str, size_t n)
{
	const unsigned char *s = (const unsigned char *)str;
	size_t len = s[0] < 0x80		   ? 1
		     : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		     : (s[0] & 0xf0) == 0xe0	   ? 3
		     : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
						   : 0;

	if (!s[0] || !len || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Too long a form, a surrogate, beyond U+10FFFF. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return len;
}

#endif /* VST_UTF8_H */
