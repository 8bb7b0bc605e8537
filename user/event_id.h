/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ids of events: EPOCH-N. N counts the events that the agent has kept, this one included; the
 * epoch is another one with every agent, so that nobody takes its events for another's.
 */
#ifndef SYNSTILE_USER_EVENT_ID_H
#define SYNSTILE_USER_EVENT_ID_H

#include <stdbool.h>

#include <synstile/types.h>

#define EPOCH_SIZE    13 /* 12 hexadecimal digits */
#define EVENT_ID_SIZE (EPOCH_SIZE + 21)

struct event_id {
	char epoch[EPOCH_SIZE];
	u64 n;
};

void epoch_new(char epoch[EPOCH_SIZE]);
/* Returns buf. */
const char *event_id_text(const char *epoch, u64 n, char buf[EVENT_ID_SIZE]);
/* False: it is none. */
bool event_id_parse(const char *text, struct event_id *id);

#endif
