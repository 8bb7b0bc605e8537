/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An event as a line of JSON, in the words of Suricata's EVE where it has one; see "EVENTS" in
 * synstile-events(5). There may be 100,000 of them in a second, hence no tree of
 * JSON values: addresses, integers and fixed words are written straight into the line.
 */
#ifndef SYNSTILE_EVENT_JSON_H
#define SYNSTILE_EVENT_JSON_H

#include <jansson.h>

#include <synstile/event.h>

#define EVENT_SCHEMA   1
#define EVENT_LINE_MAX 2048 /* the longest, of an attack, is about 1400 */

/* What a line says and the event does not. */
struct event_context {
	s64 offset;          /* CLOCK_REALTIME - CLOCK_MONOTONIC, ns */
	const char *iface;   /* a JSON string, quotes included; NULL: unknown */
	const char *service; /* its name; NULL or "": none */
	const char *attack;  /* ATTACK_*: attack_members(); NULL: nothing more is known */
};

/* Writes the line, '\n' and no NUL at its end, and returns its length. */
size_t event_json(const struct event *e, const struct event_context *c, char line[EVENT_LINE_MAX]);

/* The beginning of an event that the agent makes itself: {"timestamp":, "event_type":}.
 * `wall` is ns since 1970. */
json_t *event_json_head(u64 wall, enum event_type type);

#endif
