/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What libevent's HTTP server leaves open: how many connections there may be, how long a request
 * may take to come, how much may wait to be read, who is asking; and that errors are JSON, also
 * those that it answers by itself.
 */
#ifndef SYNSTILE_USER_API_GUARD_H
#define SYNSTILE_USER_API_GUARD_H

#include <stdbool.h>
#include <sys/types.h>

#include <event2/http.h>

#include "loop.h"

#define API_CONNECTIONS_MAX 512
#define API_REQUEST_SECONDS 10 /* until a request is there as a whole; to take an answer */

struct api_guard;

/* Accepts connections at `fd`, which it takes over, for `http`. `others_max`: bytes of a request
 * that is not root's. NULL: no memory. */
struct api_guard *api_guard_new(struct loop *l, struct evhttp *http, int fd, size_t others_max);
/* After evhttp_free(). */
void api_guard_free(struct api_guard *g);

/* A request has come: true if it is root's. */
bool api_guard_request(struct api_guard *g, struct evhttp_request *req);

#endif
