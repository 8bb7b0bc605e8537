/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one reader of the ring buffer `events`. The datapath wakes nobody up unless the buffer is a
 * quarter full: the reader looks by a timer.
 */
#ifndef SYNSTILE_USER_EVENTS_H
#define SYNSTILE_USER_EVENTS_H

#include <synstile/event.h>

#include "loop.h"

struct events;

#define EVENTS_ALL (EVENT_RING_BYTES / sizeof(struct event)) /* more than the buffer holds */

/* `begin` and `end` enclose a turn: as many events as there are, up to some hundreds, so that
 * others get theirs; perhaps none. */
struct events_to {
	void (*begin)(void *arg);
	void (*event)(const struct event *e, void *arg);
	void (*end)(void *arg);
	void *arg;
};

/* NULL, with a reason. */
struct events *events_new(struct loop *l, int ring, const struct events_to *to);
void events_free(struct events *ev);
/* Now: until the buffer is empty, or about `max` events were read. */
void events_look(struct events *ev, unsigned int max);
/* Is somebody waiting for them? Looks every 20 ms then, else every 250 ms. */
void events_hurry(struct events *ev, bool hurry);

#endif
