// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "backlog.h"

void backlog_keep(struct backlog *b, const struct event *e, s64 offset, char *line)
{
	struct kept *k = line ? &b->lines[b->n_lines++ % BACKLOG_LINES]
			      : &b->events[b->n_events++ % BACKLOG_MAX];

	free(k->line);
	*k = (struct kept){*e, offset, b->n++, line};
}

void backlog_clear(struct backlog *b)
{
	size_t i;

	for (i = 0; i < BACKLOG_LINES; i++)
		free(b->lines[i].line);
	memset(b, 0, sizeof(*b));
}

struct backlog_place backlog_end(const struct backlog *b)
{
	return (struct backlog_place){b->n_events, b->n_lines};
}

/* The i-th that there ever was; NULL: it is not kept any more, or not there yet. */
static const struct kept *event_at(const struct backlog *b, u64 i)
{
	return i < b->n_events && b->n_events - i <= BACKLOG_MAX ? &b->events[i % BACKLOG_MAX]
								 : NULL;
}

static const struct kept *line_at(const struct backlog *b, u64 i)
{
	return i < b->n_lines && b->n_lines - i <= BACKLOG_LINES ? &b->lines[i % BACKLOG_LINES]
								 : NULL;
}

const struct kept *backlog_back(const struct backlog *b, struct backlog_place *p)
{
	/* before the first one is number -1, which was never there */
	const struct kept *event = event_at(b, p->event - 1), *line = line_at(b, p->line - 1);

	if (event && (!line || event->number > line->number)) {
		p->event--;
		return event;
	}
	p->line -= !!line;
	return line;
}

const struct kept *backlog_forth(const struct backlog *b, struct backlog_place *p)
{
	const struct kept *event = event_at(b, p->event), *line = line_at(b, p->line);

	if (event && (!line || event->number < line->number)) {
		p->event++;
		return event;
	}
	p->line += !!line;
	return line;
}

struct backlog_place backlog_from(const struct backlog *b, u64 number)
{
	struct backlog_place p = backlog_end(b), before = p;
	const struct kept *k;

	while ((k = backlog_back(b, &before)) && k->number >= number)
		p = before;
	return p;
}

u64 backlog_forgotten(const struct backlog *b, u64 number)
{
	struct backlog_place p = backlog_from(b, number);
	u64 kept = b->n_events - p.event + b->n_lines - p.line;

	return number < b->n ? b->n - number - kept : 0;
}
