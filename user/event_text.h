/* SPDX-License-Identifier: GPL-2.0-only */
/* An event for people: one line, made from its JSON, so that both say the same. */
#ifndef SYNSTILE_EVENT_TEXT_H
#define SYNSTILE_EVENT_TEXT_H

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include <jansson.h>

/* Writes the line, with the local time of day. What it does not know it shows as JSON. */
void event_text(FILE *to, json_t *event);
/* The event's local date. False if it has none. */
bool event_date(json_t *event, struct tm *date);

#endif
