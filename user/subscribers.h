/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Those who read the stream of events. Who asks the same is in one group: an event is matched,
 * written and kept in memory once for all of them.
 *
 * A turn: begin, tell any number of events, end. What was told goes out at its end, or when its
 * reader has taken what it was sent before. One that is more than QUEUE_MAX bytes behind loses
 * events of its own, is told how many as soon as it reads again, and delays nobody. All together
 * hold no more than MEMORY_MAX: beyond that those who are furthest behind lose first.
 */
#ifndef SYNSTILE_USER_SUBSCRIBERS_H
#define SYNSTILE_USER_SUBSCRIBERS_H

#include "event_filter.h"

#define SUBSCRIBERS_MAX 256
#define QUEUE_MAX       (4 << 20)
#define MEMORY_MAX      (64 << 20)

struct evbuffer;
struct evhttp_request;
struct subscribers;

/* `changed` is called after some came or went. NULL: no memory. */
struct subscribers *subscribers_new(void (*changed)(void *arg), void *arg);
/* They go with their connections: api_free() first. */
void subscribers_free(struct subscribers *s);

size_t subscribers_count(const struct subscribers *s);
/* 1 << enum event_type, by anyone. */
u32 subscribers_wanted(const struct subscribers *s);

/* `first` is what it gets at once, and is empty then. From here on the request is theirs. -ENOMEM:
 * it still is the caller's. -ENOBUFS: there are too many of them, or too much of what they get at
 * once waits. */
int subscribers_add(struct subscribers *s, struct evhttp_request *req,
		    const struct event_filter *filter, bool sse, struct evbuffer *first);

/* What is the same for all events of a turn: ns to add to make it the time of day. */
void subscribers_begin(struct subscribers *s, s64 offset);

/* Does anybody want it? */
bool subscribers_match(struct subscribers *s, const struct event *e, u16 service_port,
		       const char *service);
/* Tells those who want it, by the last subscribers_match(). `line` has '\n' at its end, `id` is
 * for SSE. */
void subscribers_tell(struct subscribers *s, enum event_type type, const char *id, const char *line,
		      size_t n);
/* Tells those who want this type, without an id. */
void subscribers_tell_type(struct subscribers *s, enum event_type type, const char *line);
/* What was lost before it came to us; indexed as the map is. */
void subscribers_tell_lost(struct subscribers *s, const char *id,
			   const u64 n[EVENT_COUNT * LOST_STAGES], bool since_attach);

void subscribers_end(struct subscribers *s);

/* A sign of life, for SSE: with this id, which is that of the last event that there was, wanted
 * or not. */
void subscribers_heartbeat(struct subscribers *s, const char *id);

#endif
