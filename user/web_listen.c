// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "web_listen.h"

#define BACKLOG 128

static int bad_address(const char *text)
{
	return fail(EINVAL,
		    "--listen: \"%s\" is not ADDRESS:PORT, such as 127.0.0.1:8437 or [::1]:8437",
		    text);
}

static int parse_port(const char *text, in_port_t *port)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n > 65535)
		return -EINVAL;
	*port = htons(n);
	return 0;
}

int web_address_parse(struct web_address *a, const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? colon - text : 0;
	char host[WEB_ADDRESS_SIZE];
	in_port_t port;

	memset(a, 0, sizeof(*a));
	if (!n || n >= sizeof(host) || parse_port(colon + 1, &port))
		return bad_address(text);
	memcpy(host, text, n);
	host[n] = 0;
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = 0;
		a->at.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
		a->len = sizeof(a->at.v6);
		n = inet_pton(AF_INET6, host + 1, &a->at.v6.sin6_addr);
	} else {
		a->at.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
		a->len = sizeof(a->at.v4);
		n = inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1",
			      &a->at.v4.sin_addr);
	}
	return n == 1 ? 0 : bad_address(text);
}

bool web_address_is_loopback(const struct web_address *a)
{
	if (a->at.any.sa_family == AF_INET)
		return ntohl(a->at.v4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->at.v6.sin6_addr);
}

unsigned int web_address_port(const struct web_address *a)
{
	return ntohs(a->at.any.sa_family == AF_INET ? a->at.v4.sin_port : a->at.v6.sin6_port);
}

const char *web_address_text(const struct web_address *a, char text[WEB_ADDRESS_SIZE])
{
	const struct in6_addr *v6 = &a->at.v6.sin6_addr;
	bool is_v4 = a->at.any.sa_family == AF_INET, mapped = !is_v4 && IN6_IS_ADDR_V4MAPPED(v6);
	char host[INET6_ADDRSTRLEN] = "?";

	/* who connects by IPv4 to a socket of IPv6 calls it by IPv4, too */
	if (is_v4 || mapped)
		inet_ntop(AF_INET, is_v4 ? (const void *)&a->at.v4.sin_addr : v6->s6_addr + 12,
			  host, sizeof(host));
	else
		inet_ntop(AF_INET6, v6, host, sizeof(host));
	snprintf(text, WEB_ADDRESS_SIZE, is_v4 || mapped ? "%s:%u" : "[%s]:%u", host,
		 web_address_port(a));
	return text;
}

static int listen_failed(const struct web_address *a, int err)
{
	char text[WEB_ADDRESS_SIZE];
	const char *remedy = "";

	if (err == EADDRINUSE)
		remedy = "; another program has that port (`ss -tlnp` shows which): choose "
			 "another with --listen, or 0 to have one chosen";
	else if (err == EADDRNOTAVAIL)
		remedy = "; `ip address` shows which addresses this host has";
	else if (err == EACCES)
		remedy = "; ports below 1024 are for root";
	return fail(err, "cannot listen at %s: %s%s", web_address_text(a, text), strerror(err),
		    remedy);
}

int web_listen(struct web_address *a)
{
	int one = 1, fd;

	fd = socket(a->at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return listen_failed(a, errno);
	/* another one may have ended just now */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &a->at.any, a->len) || listen(fd, BACKLOG) ||
	    getsockname(fd, &a->at.any, &a->len)) {
		int err = listen_failed(a, errno);

		close(fd);
		return err;
	}
	return fd;
}
