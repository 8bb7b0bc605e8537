/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The little of HTTP/1.1 (RFC 9112) that `synstile web` speaks, on bufferevents: one GET or HEAD
 * a connection, which ends with its answer. libevent's own server (evhttp) has no bound on
 * connections and no deadline for a request as a whole, so that anyone who can connect could hold
 * it for good.
 */
#ifndef SYNSTILE_USER_WEB_HTTP_H
#define SYNSTILE_USER_WEB_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "loop.h"
#include "web_listen.h"

#define WEB_CONNECTIONS_MAX 128 /* those beyond hear so, and are closed */
#define WEB_HEAD_MAX        16384

struct web_http;
struct web_request; /* and its connection */

/* Called once for each request, which one of web_reply...() must answer, then or later. */
typedef void (*web_asked_fn)(struct web_request *r, void *arg);

/* Serves those who connect to `fd`, a socket that listens, and takes it over. NULL: no memory. */
struct web_http *web_http_new(struct loop *l, int fd, web_asked_fn asked, void *arg);
/* Closes all connections. */
void web_http_free(struct web_http *h);

/* Of the request: "/path"; what comes behind '?', or ""; "GET" or "HEAD", or what is not allowed.
 */
const char *web_path(const struct web_request *r);
const char *web_query(const struct web_request *r);
const char *web_method(const struct web_request *r);
/* A field's value in `buf`, or NULL: there is none, or it is too long for that. */
const char *web_field(const struct web_request *r, const char *name, char *buf, size_t size);
/* Our end's address. */
void web_local(const struct web_request *r, struct web_address *a);

/* A field of the answer that is not made here; before the answer. */
void web_reply_field(struct web_request *r, const char *name, const char *value);
/* The whole answer. To HEAD without the body, but with its length. */
void web_reply(struct web_request *r, int status, const char *type, const void *body, size_t n);
/* {"error":, "hint":} */
void web_reply_error(struct web_request *r, int status, const char *error, const char *hint);

/* An answer in parts, after whose last web_reply_end() must come. length: of all, -1: unknown. */
void web_reply_begin(struct web_request *r, int status, const char *type, long long length);
void web_reply_more(struct web_request *r, const void *data, size_t n);
void web_reply_end(struct web_request *r);
/* Bytes that the other side has not taken yet. */
size_t web_reply_waiting(const struct web_request *r);
/* Closes at once: the other side sees that something is missing. */
void web_reply_cut(struct web_request *r);

/* Until web_reply_end(): `closed` is called when the connection is gone, and the request with it;
 * `drained` whenever the other side has taken everything. */
void web_follow(struct web_request *r, void (*closed)(void *arg), void (*drained)(void *arg),
		void *arg);

#endif
