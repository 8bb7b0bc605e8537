/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stream of events: from the ring buffer to any number of subscribers, each with a filter of
 * its own. One that is slow loses its own events, is told how many, and delays nobody.
 *
 * That an attack begins is told when it is JUDGE_AFTER old, with its true time: by then it is known
 * whether handshakes are completed (user/judge.h). What follows on it waits behind it.
 */
#ifndef SYNSTILE_USER_STREAM_H
#define SYNSTILE_USER_STREAM_H

#include "api.h"
#include "detect.h"
#include "instance.h"
#include "loop.h"
#include "maps.h"
#include "state.h"

struct stream;

/* Reads from now on. `st` may change while it lives. NULL, with a reason. */
struct stream *stream_new(struct loop *l, const struct instance *in, const struct state *st,
			  const struct maps *m, struct detect *d);
void stream_free(struct stream *s);

/* Interfaces were added, removed or renamed. */
void stream_links_changed(struct stream *s);
/* Once a second, after the sweep: what was lost, statistics, the clock. */
void stream_each_second(struct stream *s);

/* How many follow it now. */
unsigned int stream_subscribers(const struct stream *s);

/*
 * GET /v1/events: JSON lines or SSE, without end. In the query: type= (words with commas, or
 * repeated), port=, host=, flow=, service=; backlog=N: begin with the last N that were kept;
 * after=ID, or the header Last-Event-ID: with all behind that one; follow=0: end after those.
 */
void stream_get(struct stream *s, struct evhttp_request *req, const struct evkeyvalq *query);

#endif
