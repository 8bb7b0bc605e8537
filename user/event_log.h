/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What was told lately to those who ask the same (user/subscribers.h): one copy, from which each
 * of them is sent what it has not had yet. The oldest is dropped when it gets too much; whoever was
 * still there has lost it, and the log knows how much of what that was.
 */
#ifndef SYNSTILE_USER_EVENT_LOG_H
#define SYNSTILE_USER_EVENT_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include <synstile/event.h>

struct evbuffer;
struct event_log;

/* Losses and their reasons, as the map `lost` is indexed: what somebody misses who does not get
 * this. */
#define LOSSES (EVENT_COUNT * LOST_STAGES)

struct log_place {
	u64 block;
	size_t at;
	u64 before[LOSSES]; /* what was told up to here, as losses of whoever does not get it */
};

/* *total counts the memory of several logs; part of it may be held by connections a while longer.
 * NULL: no memory. */
struct event_log *event_log_new(size_t *total);
void event_log_free(struct event_log *log);

/* Room for something of `n` bytes, which the caller writes at once. NULL: no memory. */
char *event_log_add(struct event_log *log, size_t n);
/* That was an event of this type, or a word of these losses. */
void event_log_told(struct event_log *log, enum event_type type);
void event_log_told_lost(struct event_log *log, const u64 n[LOSSES]);

struct log_place event_log_end(const struct event_log *log);
/* Has what followed on this place been dropped? Then *place becomes one further on, behind which
 * at most `most` bytes wait, and *lost is what was between. */
bool event_log_skip(const struct event_log *log, struct log_place *place, size_t most,
		    u64 lost[LOSSES]);
/* Adds what follows on *place, about `most` bytes at most, to a connection's buffer without copying
 * it; *place moves on. */
void event_log_send(struct event_log *log, struct log_place *place, size_t most,
		    struct evbuffer *to);

size_t event_log_size(const struct event_log *log);
/* Drops the oldest part. False: there is none. */
bool event_log_drop(struct event_log *log);
/* Drops what is before all of these blocks: nobody needs it. */
void event_log_drop_before(struct event_log *log, u64 block);

#endif
