/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The agent's interface to other programs: HTTP on a unix socket. Root may do everything; the group
 * API_GROUP, if there is one, may read. What paths there are is said by the agent, in a table;
 * answers are JSON, errors too.
 */
#ifndef SYNSTILE_USER_API_H
#define SYNSTILE_USER_API_H

#include <stdbool.h>

#include <event2/http.h>
#include <jansson.h>

#include "loop.h"

struct evkeyvalq;

struct api_route {
	const char *path;
	const char *summary;
	/* Answer a GET or a POST, or a PUT, each of which may be NULL: with one of the functions
	 * below, at once, or take the request over. */
	void (*get)(struct evhttp_request *req, const struct evkeyvalq *query, void *arg);
	void (*post)(struct evhttp_request *req, const struct evkeyvalq *query, void *arg);
	void (*put)(struct evhttp_request *req, const struct evkeyvalq *query, void *arg);
	size_t body_max; /* bytes of a request; 0: the usual */
	bool endless;    /* the answer may go on and on */
};

#define API_SCHEMA   1
#define API_GROUP    "synstile"
#define API_BODY_MAX (32 << 20) /* no body_max is larger */

struct api;

/* Listens at `path`, mode 0660, in place of what an earlier process left there. NULL, with a
 * reason. `routes` end with one without a path. */
struct api *api_new(struct loop *l, const char *path, const struct api_route *routes, void *arg);
/* Ends every connection. */
void api_free(struct api *a);

/* The JSON that came with a request; NULL: there was none, which has been answered. */
json_t *api_body(struct evhttp_request *req);

/* {"schema": 1, "instance":, "timestamp":}: how every answer of /v1/ that is JSON begins. */
json_t *api_head(const char *instance);

/* Takes over `body`. */
void api_reply(struct evhttp_request *req, int code, json_t *body);
/* {"error":, "hint":}; no hint: where to find what there is. */
void api_error(struct evhttp_request *req, int code, const char *error, const char *hint);

/* Only the head of the answer is wanted. */
bool api_is_head(struct evhttp_request *req);

/* The answer comes later, with api_stream_begin(), or after api_resume() with any other function.
 * `closed` as there. */
void api_defer(struct evhttp_request *req, void (*closed)(struct evhttp_connection *con, void *arg),
	       void *arg);
void api_resume(struct evhttp_request *req);

/*
 * Begins an answer that goes on until the other side closes the connection: `closed` is called
 * then, the last time for this request. It must free the request if that has lost its connection.
 */
void api_stream_begin(struct evhttp_request *req,
		      void (*closed)(struct evhttp_connection *con, void *arg), void *arg);
/* After that: the other side must take what is written within the time that any answer has. */
void api_stream_bounded(struct evhttp_request *req);
/* The answer is complete: the connection is free for the next request. `closed` is not called. */
void api_stream_end(struct evhttp_request *req);
/* Bytes that the other side has not taken yet. */
size_t api_stream_waiting(struct evhttp_request *req);

#endif
