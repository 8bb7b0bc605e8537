/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events that somebody may ask for later: the newest of them, in order. Those that came with a line
 * of their own (attacks, losses) are few and matter long after: they have a place of their own,
 * from which many connections do not push them out.
 */
#ifndef SYNSTILE_USER_BACKLOG_H
#define SYNSTILE_USER_BACKLOG_H

#include <synstile/event.h>

#define BACKLOG_MAX   4096 /* events */
#define BACKLOG_LINES 512  /* ... with a line */

struct kept {
	struct event event;
	s64 offset; /* struct event_context */
	u64 number; /* in the order in which they were kept */
	char *line; /* NULL: to be made from the event */
};

struct backlog {
	u64 n, n_events, n_lines; /* that there ever were */
	struct kept events[BACKLOG_MAX];
	struct kept lines[BACKLOG_LINES];
};

/* Between two events. */
struct backlog_place {
	u64 event, line;
};

/* Takes over `line`. */
void backlog_keep(struct backlog *b, const struct event *e, s64 offset, char *line);
void backlog_clear(struct backlog *b);

/* Behind the newest. */
struct backlog_place backlog_end(const struct backlog *b);
/* Behind all whose number is less than this, of which it may have forgotten some. */
struct backlog_place backlog_from(const struct backlog *b, u64 number);
/* How many of this number or a greater one are not kept any more. */
u64 backlog_forgotten(const struct backlog *b, u64 number);
/* The one before this place, which moves; NULL: none is kept. */
const struct kept *backlog_back(const struct backlog *b, struct backlog_place *p);
/* And the one behind it. */
const struct kept *backlog_forth(const struct backlog *b, struct backlog_place *p);

#endif
