/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent, asked for a browser: what it answers is passed on as it comes. */
#ifndef SYNSTILE_USER_WEB_UPSTREAM_H
#define SYNSTILE_USER_WEB_UPSTREAM_H

#include "loop.h"
#include "web_http.h"

struct web_upstream;

/* `sock`: the agent's; kept by reference. NULL: no memory. */
struct web_upstream *web_upstream_new(struct loop *l, const char *sock);
/* After web_http_free(). */
void web_upstream_free(struct web_upstream *u);

/* Takes the request over, and asks the agent the same. What cannot be had is an error in JSON. */
void web_upstream_ask(struct web_upstream *u, struct web_request *r);

/* 0: the agent answers at `sock`; -ECONNREFUSED: there is none; -EACCES: not for us, or another
 * errno; without a reason. */
int web_upstream_try(const char *sock);

#endif
