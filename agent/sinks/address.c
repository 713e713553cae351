// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sinks/address.h"

static int port_of(const char *text, in_port_t *ret)
{
	char *rest;
	unsigned long port;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	port = strtoul(text, &rest, 10);
	if (*rest || port > 65535)
		return -EINVAL;
	*ret = htons((in_port_t)port);
	return 0;
}

static int parse_v6(const char *text, struct sockaddr_in6 *v6, const char **ret_why)
{
	const char *end = strchr(text, ']');
	char host[INET6_ADDRSTRLEN];

	if (!end || end[1] != ':' || (size_t)(end - text) > sizeof(host)) {
		*ret_why = "an IPv6 address is written as [ADDR]:PORT";
		return -EINVAL;
	}
	snprintf(host, sizeof(host), "%.*s", (int)(end - text - 1), text + 1);
	v6->sin6_family = AF_INET6;
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1) {
		*ret_why = "what is in the brackets is no IPv6 address";
		return -EINVAL;
	}
	*ret_why = "the port is a number from 0 to 65535";
	return port_of(end + 2, &v6->sin6_port);
}

int vst_address_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len, const char **ret_why)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN];

	memset(ret, 0, sizeof(*ret));
	if (*text == '[') {
		*ret_len = sizeof(struct sockaddr_in6);
		return parse_v6(text, (struct sockaddr_in6 *)ret, ret_why);
	}
	*ret_len = sizeof(*v4);
	v4->sin_family = AF_INET;
	v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (colon == text) {
		*ret_why = "the address before the port is missing: 0.0.0.0:PORT is every address of this host, PORT "
			   "alone is 127.0.0.1";
		return -EINVAL;
	}
	if (colon) {
		*ret_why = "the address before the port is no IPv4 address in numbers; IPv6 is written as [ADDR]:PORT";
		if ((size_t)(colon - text) >= sizeof(host))
			return -EINVAL;
		snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
		if (inet_pton(AF_INET, host, &v4->sin_addr) != 1)
			return -EINVAL;
	}
	*ret_why = "the port is a number from 0 to 65535";
	return port_of(colon ? colon + 1 : text, &v4->sin_port);
}

void vst_address_text(const struct sockaddr_storage *addr, char *buf, size_t size)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;
	char host[INET6_ADDRSTRLEN] = "?";

	if (addr->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(buf, size, "[%s]:%u", host, ntohs(v6->sin6_port));
		return;
	}
	inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
	snprintf(buf, size, "%s:%u", host, ntohs(v4->sin_port));
}

bool vst_address_is_loopback(const struct sockaddr_storage *addr)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;

	if (addr->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
}
