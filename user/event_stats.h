/* SPDX-License-Identifier: GPL-2.0-only */
/* The event `stats`: what was counted since the last one, and what there is now. */
#ifndef SYNSTILE_EVENT_STATS_H
#define SYNSTILE_EVENT_STATS_H

#include "instance.h"
#include "maps.h"
#include "state.h"

struct event_stats;

/* `st` may change while it lives. */
struct event_stats *event_stats_new(const struct instance *in, const struct state *st,
				    const struct maps *m);
void event_stats_free(struct event_stats *s);
/* Somebody asks: begins to count, unless it does already. */
void event_stats_begin(struct event_stats *s);
/* A line of JSON for the caller to free, or NULL: what was counted since the last one, or since
 * the beginning. `wall`: ns since 1970. */
char *event_stats_line(struct event_stats *s, u64 wall);
/* Nobody asks any more. */
void event_stats_end(struct event_stats *s);

#endif
