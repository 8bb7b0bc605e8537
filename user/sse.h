/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Server-sent events, as the HTML standard has them (9.2): what a browser's EventSource reads.
 */
#ifndef SYNSTILE_USER_SSE_H
#define SYNSTILE_USER_SSE_H

#include <stdbool.h>
#include <stddef.h>

struct evbuffer;
struct evhttp_request;
struct evkeyvalq;

#define SSE_RETRY_MS          1000
#define SSE_HEARTBEAT_SECONDS 15

/* Does it ask for them: `Accept: text/event-stream`, or format=sse? */
bool sse_wanted(struct evhttp_request *req, const struct evkeyvalq *query);
/* The headers of an answer that goes on and on: events, or lines of JSON. */
void sse_headers(struct evhttp_request *req, bool sse);

/* What comes first: how soon to connect again. */
void sse_begin(struct evbuffer *to);
/* A comment, which whoever reads ignores: a connection that is dead is found out by it. `id` is
 * the one to resume behind from now on. */
#define SSE_HEARTBEAT ":\nid: %s\n\n"
/* `data` is `n` bytes without a line's end; `id` may be NULL. */
void sse_event(struct evbuffer *to, const char *type, const char *id, const char *data, size_t n);
/* The same into memory, which has room for as much as sse_size() says. */
size_t sse_size(const char *type, const char *id, size_t n);
void sse_write(char *to, const char *type, const char *id, const char *data, size_t n);

#endif
