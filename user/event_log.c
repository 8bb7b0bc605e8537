// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>

#include "event_log.h"

#define BLOCK_SIZE (32 << 10) /* or as much as one line needs */

/* A part of the log, which begins and ends with a line. */
struct block {
	TAILQ_ENTRY(block) others;
	size_t *total;
	unsigned int refs; /* the log, and connections that send it */
	u64 number;
	size_t room, n;
	u64 end[LOSSES]; /* struct log_place.before, behind it; once it is not the last one */
	char data[];
};

struct event_log {
	TAILQ_HEAD(blocks, block) blocks;
	size_t *total;
	size_t size;       /* of the blocks */
	u64 next;          /* number of the next block */
	u64 begin[LOSSES]; /* struct log_place.before, at the first block */
	u64 sum[LOSSES];   /* ... and behind the last one */
};

struct event_log *event_log_new(size_t *total)
{
	struct event_log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	TAILQ_INIT(&log->blocks);
	log->total = total;
	return log;
}

void event_log_free(struct event_log *log)
{
	while (event_log_drop(log))
		;
	free(log);
}

static void put_block(struct block *b)
{
	if (--b->refs)
		return;
	*b->total -= b->room;
	free(b);
}

bool event_log_drop(struct event_log *log)
{
	struct block *b = TAILQ_FIRST(&log->blocks);

	if (!b)
		return false;
	memcpy(log->begin, TAILQ_NEXT(b, others) ? b->end : log->sum, sizeof(log->begin));
	TAILQ_REMOVE(&log->blocks, b, others);
	log->size -= b->room;
	put_block(b);
	return true;
}

void event_log_drop_before(struct event_log *log, u64 block)
{
	while (!TAILQ_EMPTY(&log->blocks) && TAILQ_FIRST(&log->blocks)->number < block)
		event_log_drop(log);
}

size_t event_log_size(const struct event_log *log)
{
	return log->size;
}

/* ---- writing ---- */

static struct block *add_block(struct event_log *log, size_t n)
{
	struct block *last = TAILQ_LAST(&log->blocks, blocks), *b;
	size_t room = n > BLOCK_SIZE ? n : BLOCK_SIZE;

	b = malloc(sizeof(*b) + room);
	if (!b)
		return NULL;
	b->total = log->total;
	b->refs = 1;
	b->number = log->next++;
	b->room = room;
	b->n = 0;
	if (last)
		memcpy(last->end, log->sum, sizeof(last->end));
	TAILQ_INSERT_TAIL(&log->blocks, b, others);
	log->size += room;
	*log->total += room;
	return b;
}

char *event_log_add(struct event_log *log, size_t n)
{
	struct block *b = TAILQ_LAST(&log->blocks, blocks);

	if (!b || b->n + n > b->room)
		b = add_block(log, n);
	if (!b)
		return NULL;
	b->n += n;
	return b->data + b->n - n;
}

void event_log_told(struct event_log *log, enum event_type type)
{
	log->sum[type * LOST_STAGES + LOST_SUBSCRIBER]++;
}

void event_log_told_lost(struct event_log *log, const u64 n[LOSSES])
{
	size_t i;

	for (i = 0; i < LOSSES; i++)
		log->sum[i] += n[i];
}

/* ---- reading ---- */

static void stand_behind(const struct event_log *log, const struct block *b,
			 struct log_place *place)
{
	place->block = b->number;
	place->at = b->n;
	memcpy(place->before, TAILQ_NEXT(b, others) ? b->end : log->sum, sizeof(place->before));
}

struct log_place event_log_end(const struct event_log *log)
{
	const struct block *b = TAILQ_LAST(&log->blocks, blocks);
	struct log_place place = {.block = log->next};

	if (b)
		stand_behind(log, b, &place);
	else
		memcpy(place.before, log->sum, sizeof(place.before));
	return place;
}

bool event_log_skip(const struct event_log *log, struct log_place *place, size_t most,
		    u64 lost[LOSSES])
{
	const struct block *first = TAILQ_FIRST(&log->blocks), *b, *before = NULL;
	size_t waits = log->size, i;
	u64 from[LOSSES];

	if (place->block >= (first ? first->number : log->next))
		return false;
	memcpy(from, place->before, sizeof(from));
	memcpy(place->before, log->begin, sizeof(place->before));
	for (b = first; b && waits > most; b = TAILQ_NEXT(b, others)) {
		waits -= b->room;
		before = b;
	}
	if (before)
		stand_behind(log, before, place);
	place->block = b ? b->number : log->next;
	place->at = 0;
	for (i = 0; i < LOSSES; i++)
		lost[i] = place->before[i] - from[i];
	return true;
}

static void on_sent(const void *data, size_t n, void *arg)
{
	(void)data;
	(void)n;
	put_block(arg);
}

void event_log_send(struct event_log *log, struct log_place *place, size_t most,
		    struct evbuffer *to)
{
	struct block *b;
	size_t n, from;

	TAILQ_FOREACH(b, &log->blocks, others)
	{
		if (b->number < place->block)
			continue;
		from = b->number == place->block ? place->at : 0;
		n = b->n - from;
		if (evbuffer_get_length(to) && evbuffer_get_length(to) + n > most)
			return;
		if (n && evbuffer_add_reference(to, b->data + from, n, on_sent, b))
			return;
		b->refs += n > 0;
		stand_behind(log, b, place);
	}
}
