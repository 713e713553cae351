/* SPDX-License-Identifier: GPL-2.0-only */
/* CRC-32C (Castagnoli), as in RFC 3720: the checksum of "123456789" is 0xe3069283. */
#ifndef VST_CRC32C_H
#define VST_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t vst_crc32c(const void *data, size_t len);

/* The checksum of what crc is the checksum of, followed by data; it begins with 0. */
uint32_t vst_crc32c_more(uint32_t crc, const void *data, size_t len);

#endif /* VST_CRC32C_H */
