/* SPDX-License-Identifier: GPL-2.0-only */
/* Where `synstile web` listens. */
#ifndef SYNSTILE_USER_WEB_LISTEN_H
#define SYNSTILE_USER_WEB_LISTEN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

struct web_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at;
	socklen_t len;
};

/* "127.0.0.1:8437", "[::1]:8437", "localhost:8437". -EINVAL with a reason. */
int web_address_parse(struct web_address *a, const char *text);
bool web_address_is_loopback(const struct web_address *a);
/* A socket that listens, or -errno with a reason; port 0 becomes the one that the kernel chose. */
int web_listen(struct web_address *a);
unsigned int web_address_port(const struct web_address *a);
/* "127.0.0.1:8437", "[::1]:8437" */
#define WEB_ADDRESS_SIZE 64
const char *web_address_text(const struct web_address *a, char text[WEB_ADDRESS_SIZE]);

#endif
