/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The agent's interface to other programs: HTTP on a unix socket of root's. What paths there are
 * is said by the agent, in a table; answers are JSON, errors too.
 */
#ifndef SYNSTILE_USER_API_H
#define SYNSTILE_USER_API_H

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
};

#define API_BODY_MAX (32 << 20) /* no body_max is larger */

struct api;

/* Listens at `path`, mode 0660, in place of what an earlier process left there. NULL, with a
 * reason. `routes` end with one without a path. */
struct api *api_new(struct loop *l, const char *path, const struct api_route *routes, void *arg);
/* Ends every connection. */
void api_free(struct api *a);

/* The JSON that came with a request; NULL: there was none, which has been answered. */
json_t *api_body(struct evhttp_request *req);

/* Takes over `body`. */
void api_reply(struct evhttp_request *req, int code, json_t *body);
/* {"error":, "hint":}; no hint: where to find what there is. */
void api_error(struct evhttp_request *req, int code, const char *error, const char *hint);

/*
 * Begins an answer that goes on until the other side closes the connection: `closed` is called
 * then, the last time for this request. It must free the request if that has lost its connection.
 */
void api_stream_begin(struct evhttp_request *req,
		      void (*closed)(struct evhttp_connection *con, void *arg), void *arg);
/* Bytes that the other side has not taken yet. */
size_t api_stream_waiting(struct evhttp_request *req);

#endif
