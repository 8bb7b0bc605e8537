/* SPDX-License-Identifier: GPL-2.0-only */
/* What `synstile web` answers: the page, and the part of the agent's API that only reads. */
#ifndef SYNSTILE_USER_WEB_SERVER_H
#define SYNSTILE_USER_WEB_SERVER_H

#include "web_guard.h"
#include "web_http.h"
#include "web_upstream.h"

struct web_server {
	const struct web_guard *guard;
	struct web_upstream *upstream;
};

/* A web_asked_fn; arg: struct web_server. */
void web_server_asked(struct web_request *r, void *arg);

#endif
