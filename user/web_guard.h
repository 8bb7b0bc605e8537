/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who may ask `synstile web`. A page of anybody's, open in the same browser, must not: it could
 * reach us under a name of its own that suddenly means our address (DNS rebinding: the Host field
 * tells), or ask across origins (Origin and Sec-Fetch-Site tell). And from other hosts only who
 * has the token. Pure: strings in, yes or no out.
 */
#ifndef SYNSTILE_USER_WEB_GUARD_H
#define SYNSTILE_USER_WEB_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#define WEB_HOSTS_MAX    16
#define WEB_TOKEN_MIN    22 /* characters: 128 bits in base64 */
#define WEB_TOKEN_MAX    256
#define WEB_SESSION_SIZE 33
#define WEB_COOKIE       "synstile_session"

struct web_guard {
	unsigned int port;
	const char *hosts[WEB_HOSTS_MAX]; /* --host: names that are us too, on any port */
	size_t n_hosts;
	char token[WEB_TOKEN_MAX + 1];  /* "": none is asked for */
	char session[WEB_SESSION_SIZE]; /* what the cookie holds */
};

/* Reads the token, and makes the session's secret. -errno with a reason: it is missing, too short,
 * or for others to read. */
int web_guard_token(struct web_guard *g, const char *file);

/* `host`: the field, or NULL. `local`: the address and port that were connected to. */
bool web_guard_host(const struct web_guard *g, const char *host, const char *local);
/* Each a field, or NULL. `page`: this is what one types or follows a link to. */
bool web_guard_origin(const char *origin, const char *host);
bool web_guard_fetch(const char *site, const char *mode, const char *dest, bool page);
/* Fields, or NULL; true if no token is asked for. */
bool web_guard_known(const struct web_guard *g, const char *authorization, const char *cookie);
/* `query` of /login: token=TOKEN */
bool web_guard_login(const struct web_guard *g, const char *query);

#endif
