// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "web_guard.h"

/* ---- the token ---- */

static bool token_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("-._~+/=", c));
}

/* 128 bits take 32 digits of base 16, 22 of base 64; a word repeated is not that. */
static int judge(const struct web_guard *g, const char *file)
{
	static const char make[] = "make one: `openssl rand -hex 32 >FILE; chmod 600 FILE`";
	size_t n = strlen(g->token), digits = strspn(g->token, "0123456789abcdefABCDEF"), i;
	bool seen[256] = {0};
	int different = 0;

	if (strspn(g->token, " ") == n)
		return fail(EINVAL, "%s has no token in its first line; %s", file, make);
	for (i = 0; i < n; i++) {
		if (!token_char(g->token[i]))
			return fail(EINVAL,
				    "%s: a token is letters, digits and -._~+/= in one line; %s",
				    file, make);
		different += !seen[(unsigned char)g->token[i]];
		seen[(unsigned char)g->token[i]] = true;
	}
	if (n < WEB_TOKEN_MIN || (digits == n && n < 32) || different < 8)
		return fail(EINVAL,
			    "%s: a token of %zu characters is too easy to guess, "
			    "128 random bits are needed; %s",
			    file, n, make);
	return 0;
}

static int read_token(struct web_guard *g, const char *file, int fd)
{
	char text[WEB_TOKEN_MAX + 3] = "";
	struct stat st;
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n < 0 || fstat(fd, &st))
		return fail(errno, "cannot read the token from %s: %s", file, strerror(errno));
	text[strcspn(text, "\r\n")] = 0;
	if (strlen(text) > WEB_TOKEN_MAX)
		return fail(EINVAL, "%s: a token has at most %d characters", file, WEB_TOKEN_MAX);
	if (S_ISREG(st.st_mode) && st.st_mode & 07)
		return fail(EACCES, "%s can be read by everybody; `chmod 600 %s`", file, file);
	memcpy(g->token, text, strlen(text) + 1);
	return judge(g, file);
}

int web_guard_token(struct web_guard *g, const char *file)
{
	unsigned char secret[(WEB_SESSION_SIZE - 1) / 2];
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY), err;
	size_t i;

	if (fd < 0)
		return fail(errno, "cannot open the token's file %s: %s", file, strerror(errno));
	err = read_token(g, file, fd);
	close(fd);
	if (err)
		return err;
	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		return fail(EIO, "the kernel gives no random bytes");
	for (i = 0; i < sizeof(secret); i++)
		sprintf(g->session + 2 * i, "%02x", secret[i]);
	return 0;
}

/* Takes as long wherever they differ; the length of `want` is no secret. */
static bool same_secret(const char *got, size_t n, const char *want)
{
	size_t length = strlen(want), i;
	unsigned char differ = n != length;

	for (i = 0; i < length; i++)
		differ |= (i < n ? got[i] : 0) ^ want[i];
	return !differ;
}

/* One of "a=1; b=2". */
static bool has_session(const struct web_guard *g, const char *cookie)
{
	const size_t name = sizeof(WEB_COOKIE) - 1;
	bool found = false;

	while (*cookie) {
		size_t n;

		cookie += strspn(cookie, "; ");
		n = strcspn(cookie, ";");
		if (n > name && !strncmp(cookie, WEB_COOKIE "=", name + 1))
			found |= same_secret(cookie + name + 1, n - name - 1, g->session);
		cookie += n;
	}
	return found;
}

bool web_guard_known(const struct web_guard *g, const char *authorization, const char *cookie)
{
	if (!g->token[0])
		return true;
	if (authorization && !strncasecmp(authorization, "Bearer ", 7))
		return same_secret(authorization + 7, strlen(authorization + 7), g->token);
	return cookie && has_session(g, cookie);
}

bool web_guard_login(const struct web_guard *g, const char *query)
{
	char text[WEB_TOKEN_MAX + 1];
	unsigned int c;
	size_t n = 0;

	if (!g->token[0] || strncmp(query, "token=", 6))
		return false;
	for (query += 6; *query && *query != '&' && n < WEB_TOKEN_MAX; query++) {
		text[n] = *query;
		if (*query == '%' && sscanf(query + 1, "%2x", &c) == 1 && query[1] && query[2]) {
			text[n] = c;
			query += 2;
		}
		n++;
	}
	return same_secret(text, n, g->token);
}

/* ---- the browser ---- */

/* "NAME" or "NAME:PORT" */
static bool is_name(const char *host, const char *name)
{
	size_t n = strlen(name);

	return !strncasecmp(host, name, n) && (!host[n] || host[n] == ':');
}

/* Is `host` "name:port"? http's own port need not be said. */
static bool is_at(const char *host, const char *name, size_t n, unsigned int port)
{
	char text[16];

	if (strncasecmp(host, name, n))
		return false;
	snprintf(text, sizeof(text), ":%u", port);
	return !strcmp(host + n, text) || (port == 80 && !host[n]);
}

bool web_guard_host(const struct web_guard *g, const char *host, const char *local)
{
	static const char *const own[] = {"localhost", "127.0.0.1", "[::1]"};
	const char *colon = strrchr(local, ':');
	size_t i;

	if (!host || !colon)
		return false;
	if (is_at(host, local, colon - local, g->port))
		return true;
	for (i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (is_at(host, own[i], strlen(own[i]), g->port))
			return true;
	for (i = 0; i < g->n_hosts; i++)
		if (is_name(host, g->hosts[i]))
			return true;
	return false;
}

bool web_guard_origin(const char *origin, const char *host)
{
	size_t scheme;

	if (!origin)
		return true;
	/* https: something in front of us speaks TLS */
	scheme = !strncasecmp(origin, "http://", 7)    ? 7
		 : !strncasecmp(origin, "https://", 8) ? 8
						       : 0;
	return scheme && host && !strcasecmp(origin + scheme, host);
}

bool web_guard_fetch(const char *site, const char *mode, const char *dest, bool page)
{
	if (!site || !strcmp(site, "same-origin") || !strcmp(site, "none"))
		return true;
	/* a link to the page, on somebody's wiki */
	return page && mode && !strcmp(mode, "navigate") && dest && !strcmp(dest, "document");
}
