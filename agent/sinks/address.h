/* SPDX-License-Identifier: GPL-2.0-only */
/* ADDR:PORT, as the user writes it. Pure. */
#ifndef VST_ADDRESS_H
#define VST_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/*
 * "127.0.0.1:9469", "[::1]:9469", or "9469" for the IPv4 loopback. Numbers only: a name may resolve to another address tomorrow. Port 0
 * lets the kernel choose. 0, or -EINVAL: *ret_why says what is wrong.
 */
int vst_address_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len, const char **ret_why);

/* The same as text, for a URL. */
void vst_address_text(const struct sockaddr_storage *addr, char *buf, size_t size);

/* Can only this host reach it? */
bool vst_address_is_loopback(const struct sockaddr_storage *addr);

#endif /* VST_ADDRESS_H */
