/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GET /v1/live: what a dashboard shows, a frame each second; GET /v1/sources/top. See docs/api.md.
 * A frame is made once for all who follow, and not at all while nobody does.
 */
#ifndef SYNSTILE_USER_LIVE_H
#define SYNSTILE_USER_LIVE_H

#include "api.h"

struct agent;
struct live;

/* NULL: no memory. */
struct live *live_new(struct agent *a);
/* Ends nobody's stream: before api_free() that is done. */
void live_free(struct live *l);

/* The last thing that the agent does in its second. */
void live_each_second(struct live *l);

void live_get(struct live *l, struct evhttp_request *req, const struct evkeyvalq *query);
void live_get_sources(struct live *l, struct evhttp_request *req, const struct evkeyvalq *query);

#endif
