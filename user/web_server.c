// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "web_assets.h"
#include "web_server.h"

#define FIELD_MAX 1024

/* Of the agent's. What is not here does not exist for a browser. */
static const char *const passed[] = {
	"/v1/status",  "/v1/services", "/v1/conns", "/v1/half-open", "/v1/sources/top",
	"/v1/history", "/v1/events",   "/v1/live",  "/metrics",
};

static bool is_passed(const char *path)
{
	size_t i;

	for (i = 0; i < sizeof(passed) / sizeof(*passed); i++)
		if (!strcmp(passed[i], path))
			return true;
	return false;
}

/* What people open, rather than what the page then asks for. */
static bool is_page(const char *path)
{
	return !strcmp(path, "/") || !strcmp(path, "/login");
}

static void reply_text(struct web_request *r, int status, const char *text)
{
	web_reply_field(r, "Cache-Control", "no-store");
	web_reply(r, status, "text/plain; charset=utf-8", text, strlen(text));
}

static void reply_asset(struct web_request *r, const struct web_asset *a)
{
	char tag[WEB_ETAG_SIZE], known[WEB_ETAG_SIZE];

	web_asset_tag(a, tag);
	web_reply_field(r, "ETag", tag);
	web_reply_field(r, "Cache-Control", "no-cache");
	if (web_field(r, "If-None-Match", known, sizeof(known)) && !strcmp(known, tag))
		web_reply(r, 304, NULL, NULL, 0);
	else
		web_reply(r, 200, a->type, a->begin, a->end - a->begin);
}

/* The page is opened by an answer of ours, not by a redirection: to a browser that came here by
 * somebody's link, that would be a request from elsewhere, which gets no cookie (SameSite). */
static void reply_login(struct web_request *r, const struct web_guard *g)
{
	static const char page[] =
		"<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
		"<meta http-equiv=\"refresh\" content=\"0;url=/\">"
		"<title>synstile</title><p><a href=\"/\">The dashboard</a></p>\n";
	char cookie[160];

	if (!g->token[0]) {
		reply_text(r, 404, "No token is asked for here: the dashboard is at /\n");
		return;
	}
	if (!web_guard_login(g, web_query(r))) {
		reply_text(r, 403,
			   "This is not the token: open /login?token=TOKEN, with what is in the "
			   "file that `synstile web --token-file` names.\n");
		return;
	}
	snprintf(cookie, sizeof(cookie), WEB_COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict",
		 g->session);
	web_reply_field(r, "Set-Cookie", cookie);
	web_reply_field(r, "Cache-Control", "no-store");
	web_reply(r, 200, "text/html; charset=utf-8", page, sizeof(page) - 1);
}

/* ---- who asks ---- */

static bool is_ours(const struct web_guard *g, struct web_request *r)
{
	char local[WEB_ADDRESS_SIZE], host[FIELD_MAX], hint[400];
	struct web_address here;

	web_local(r, &here);
	web_address_text(&here, local);
	if (web_guard_host(g, web_field(r, "Host", host, sizeof(host)), local))
		return true;
	snprintf(hint, sizeof(hint),
		 "open http://%s/; for another name start `synstile web --host NAME` (through an "
		 "SSH tunnel, use port %u at both ends)",
		 local, g->port);
	web_reply_error(r, 403, "the Host field is not a name of this page", hint);
	return false;
}

static bool from_ours(struct web_request *r)
{
	char origin[FIELD_MAX], host[FIELD_MAX], site[32], mode[32], dest[32];

	if (web_guard_origin(web_field(r, "Origin", origin, sizeof(origin)),
			     web_field(r, "Host", host, sizeof(host))) &&
	    web_guard_fetch(web_field(r, "Sec-Fetch-Site", site, sizeof(site)),
			    web_field(r, "Sec-Fetch-Mode", mode, sizeof(mode)),
			    web_field(r, "Sec-Fetch-Dest", dest, sizeof(dest)),
			    is_page(web_path(r))))
		return true;
	web_reply_error(r, 403, "a page from elsewhere asks for this", "open / itself");
	return false;
}

static bool is_known(const struct web_guard *g, struct web_request *r)
{
	char bearer[FIELD_MAX], cookie[4096];

	if (web_guard_known(g, web_field(r, "Authorization", bearer, sizeof(bearer)),
			    web_field(r, "Cookie", cookie, sizeof(cookie))))
		return true;
	web_reply_field(r, "WWW-Authenticate", "Bearer");
	if (is_page(web_path(r)))
		reply_text(r, 401,
			   "A token is needed: open /login?token=TOKEN, with what is in the file "
			   "that `synstile web --token-file` names.\n");
	else
		web_reply_error(r, 401, "a token is needed",
				"send `Authorization: Bearer TOKEN`, or open /login?token=TOKEN");
	return false;
}

void web_server_asked(struct web_request *r, void *arg)
{
	const struct web_server *s = arg;
	const struct web_asset *asset = web_asset_find(web_path(r));

	if (!is_ours(s->guard, r) || !from_ours(r))
		return;
	if (strcmp(web_method(r), "GET") && strcmp(web_method(r), "HEAD")) {
		web_reply_field(r, "Allow", "GET, HEAD");
		web_reply_error(r, 405, "this can be read only",
				"use GET; changes are made by root's commands on the host");
	} else if (!strcmp(web_path(r), "/login")) {
		reply_login(r, s->guard);
	} else if (!is_known(s->guard, r)) {
		return;
	} else if (asset) {
		reply_asset(r, asset);
	} else if (is_passed(web_path(r))) {
		web_upstream_ask(s->upstream, r);
	} else {
		web_reply_error(r, 404, "there is nothing at this path",
				"/ is the dashboard; the agent's socket has all of the API");
	}
}
