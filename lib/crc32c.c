/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/crc32c.h"

/* One bit at a time: a journal record has a few hundred bytes, and there are a few a second. */
uint32_t vst_crc32c(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t crc = ~0U;

	while (len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0x82f63b78U & -(crc & 1));
	}
	return ~crc;
}
