// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "api.h"
#include "event_id.h"
#include "event_log.h"
#include "event_names.h"
#include "lost_json.h"
#include "moment.h"
#include "shared.h"
#include "sse.h"
#include "subscribers.h"

#define GIVEN_MAX     (LOGS_MAX / 2)
#define PORTION_LEAST (16 << 10)
#define LOGS_MAX      (MEMORY_MAX / 8 * 5)
#define FIRST_MAX     (MEMORY_MAX / 4) /* of what subscribers get when they come */

struct subscriber {
	LIST_ENTRY(subscriber) others;
	struct group *group;
	struct evhttp_request *req;
	struct log_place place; /* behind what it was sent */
	size_t given;           /* bytes that it has not taken yet */
};

/* Those who ask the same. */
struct group {
	LIST_ENTRY(group) others;
	struct subscribers *all;
	struct event_filter filter;
	bool sse;
	bool matched;
	LIST_HEAD(, subscriber) members;
	struct event_log *log;
};

struct subscribers {
	void (*changed)(void *arg);
	void *arg;
	LIST_HEAD(, group) groups;
	size_t n;
	u32 wanted;
	size_t logs, first; /* bytes that they hold */
	size_t given;       /* of these, bytes that are being sent */
	s64 offset;
};

struct subscribers *subscribers_new(void (*changed)(void *arg), void *arg)
{
	struct subscribers *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	LIST_INIT(&s->groups);
	s->changed = changed;
	s->arg = arg;
	return s;
}

void subscribers_free(struct subscribers *s)
{
	free(s);
}

size_t subscribers_count(const struct subscribers *s)
{
	return s->n;
}

u32 subscribers_wanted(const struct subscribers *s)
{
	return s->wanted;
}

/* ---- lines ---- */

static char *room_for(struct group *g, enum event_type type, const char *id, size_t n)
{
	return event_log_add(g->log, g->sse ? sse_size(event_names[type], id, n - 1) : n);
}

/* Without memory the event is lost, and counts as such. */
static void add_line(struct group *g, enum event_type type, const char *id, const char *line,
		     size_t n)
{
	char *to = room_for(g, type, id, n);

	if (to && g->sse)
		sse_write(to, event_names[type], id, line, n - 1);
	else if (to)
		memcpy(to, line, n);
}

/* ---- sending ---- */

static void on_sent(struct evhttp_connection *con, void *arg);

/* Bytes that a connection is given at a time: much if there is room, so that it keeps up with turn
 * after turn. Connections that stall hold what they were given. */
static size_t portion(const struct subscribers *s)
{
	size_t part = s->given < GIVEN_MAX ? (GIVEN_MAX - s->given) / 4 : 0;

	return part > QUEUE_MAX / 4 ? QUEUE_MAX / 4 : part < PORTION_LEAST ? PORTION_LEAST : part;
}

/* It has `n` bytes to take, and none of those before. */
static void give(struct subscriber *sub, size_t n)
{
	sub->group->all->given += n - sub->given;
	sub->given = n;
}

/* What it missed, before anything else. */
static void tell_own_losses(const struct subscriber *sub, const u64 lost[LOSSES],
			    struct evbuffer *to)
{
	const struct group *g = sub->group;
	char *line = lost_line(monotonic_now() + g->all->offset, lost, EVENT_TYPES_ALL, false);

	if (line && g->sse)
		sse_event(to, event_names[EVENT_LOST], NULL, line, strlen(line) - 1);
	else if (line)
		evbuffer_add(to, line, strlen(line));
	free(line);
}

/* What it has not had yet, unless it is still busy with what it was sent before. */
static void send_more(struct subscriber *sub)
{
	struct evbuffer *buf = sub->given ? NULL : evbuffer_new();
	u64 lost[LOSSES];

	if (!buf)
		return;
	if (event_log_skip(sub->group->log, &sub->place, QUEUE_MAX / 2, lost))
		tell_own_losses(sub, lost, buf);
	event_log_send(sub->group->log, &sub->place, portion(sub->group->all), buf);
	give(sub, evbuffer_get_length(buf));
	if (sub->given)
		evhttp_send_reply_chunk_with_cb(sub->req, buf, on_sent, sub);
	evbuffer_free(buf);
}

static void on_sent(struct evhttp_connection *con, void *arg)
{
	struct subscriber *sub = arg;

	(void)con;
	give(sub, 0);
	send_more(sub);
}

/* ---- coming and going ---- */

static void recount(struct subscribers *s)
{
	struct group *g;

	s->wanted = 0;
	LIST_FOREACH(g, &s->groups, others)
	s->wanted |= event_filter_mask(&g->filter);
	s->changed(s->arg);
}

static struct group *group_for(struct subscribers *s, const struct event_filter *filter, bool sse)
{
	struct group *g;

	LIST_FOREACH(g, &s->groups, others)
	if (g->sse == sse && event_filter_same(&g->filter, filter))
		return g;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->all = s;
	g->filter = *filter;
	g->sse = sse;
	LIST_INIT(&g->members);
	g->log = event_log_new(&s->logs);
	if (!g->log) {
		free(g);
		return NULL;
	}
	LIST_INSERT_HEAD(&s->groups, g, others);
	return g;
}

static void drop_if_empty(struct group *g)
{
	if (!LIST_EMPTY(&g->members))
		return;
	LIST_REMOVE(g, others);
	event_log_free(g->log);
	free(g);
}

static void on_close(struct evhttp_connection *con, void *arg)
{
	struct subscriber *sub = arg;
	struct subscribers *s = sub->group->all;

	(void)con;
	/* libevent frees the request with its connection, unless it has torn them apart before */
	if (!evhttp_request_get_connection(sub->req))
		evhttp_request_free(sub->req);
	give(sub, 0);
	LIST_REMOVE(sub, others);
	drop_if_empty(sub->group);
	free(sub);
	s->n--;
	recount(s);
}

/* What it gets at once. */
static void send_first(struct subscriber *sub, struct evbuffer *first)
{
	struct shared *what = shared_new(first, &sub->group->all->first);
	struct evbuffer *buf = what ? evbuffer_new() : NULL;

	if (buf && shared_size(what) && !shared_add(what, buf)) {
		give(sub, shared_size(what));
		evhttp_send_reply_chunk_with_cb(sub->req, buf, on_sent, sub);
	}
	if (buf)
		evbuffer_free(buf);
	shared_put(what);
}

int subscribers_add(struct subscribers *s, struct evhttp_request *req,
		    const struct event_filter *filter, bool sse, struct evbuffer *first)
{
	struct subscriber *sub;

	if (s->n >= SUBSCRIBERS_MAX || s->first + evbuffer_get_length(first) > FIRST_MAX)
		return -ENOBUFS;
	sub = calloc(1, sizeof(*sub));
	if (!sub)
		return -ENOMEM;
	sub->group = group_for(s, filter, sse);
	if (!sub->group) {
		free(sub);
		return -ENOMEM;
	}
	sub->req = req;
	sub->place = event_log_end(sub->group->log);
	LIST_INSERT_HEAD(&sub->group->members, sub, others);
	s->n++;
	sse_headers(req, sse);
	api_stream_begin(req, on_close, sub);
	send_first(sub, first);
	recount(s);
	return 0;
}

/* ---- a turn ---- */

void subscribers_begin(struct subscribers *s, s64 offset)
{
	s->offset = offset;
}

bool subscribers_match(struct subscribers *s, const struct event *e, u16 service_port,
		       const char *service)
{
	bool any = false;
	struct group *g;

	if (!(s->wanted & 1u << e->type))
		return false;
	LIST_FOREACH(g, &s->groups, others)
	{
		g->matched = event_filter_match(&g->filter, e, service_port, service);
		any |= g->matched;
	}
	return any;
}

void subscribers_tell(struct subscribers *s, enum event_type type, const char *id, const char *line,
		      size_t n)
{
	struct group *g;

	LIST_FOREACH(g, &s->groups, others)
	{
		if (!g->matched)
			continue;
		add_line(g, type, id, line, n);
		event_log_told(g->log, type);
	}
}

void subscribers_tell_type(struct subscribers *s, enum event_type type, const char *line)
{
	struct group *g;

	LIST_FOREACH(g, &s->groups, others)
	{
		if (!(event_filter_mask(&g->filter) & 1u << type))
			continue;
		add_line(g, type, NULL, line, strlen(line));
		event_log_told(g->log, type);
	}
}

/* It hears of the types that it asked for; of all if it asked for this one. */
static u32 lost_mask(const struct group *g)
{
	u32 mask = event_filter_mask(&g->filter);

	return mask & 1u << EVENT_LOST && !g->filter.has_flow ? EVENT_TYPES_ALL : mask;
}

void subscribers_tell_lost(struct subscribers *s, const char *id, const u64 n[LOSSES],
			   bool since_attach)
{
	u64 wall = monotonic_now() + s->offset, mine[LOSSES];
	struct group *g;
	char *line;
	u32 mask;
	int i;

	LIST_FOREACH(g, &s->groups, others)
	{
		mask = lost_mask(g);
		for (i = 0; i < LOSSES; i++)
			mine[i] = mask & 1u << i / LOST_STAGES ? n[i] : 0;
		line = lost_line(wall, mine, mask, since_attach);
		if (line)
			add_line(g, EVENT_LOST, id, line, strlen(line));
		/* who misses this line is told of these losses with its own */
		event_log_told_lost(g->log, mine);
		free(line);
	}
}

static struct group *largest(struct subscribers *s)
{
	struct group *g, *most = NULL;

	LIST_FOREACH(g, &s->groups, others)
	if (!most || event_log_size(g->log) > event_log_size(most->log))
		most = g;
	return most;
}

/* What is too much, and what everybody has had. */
static void trim(struct group *g)
{
	struct subscriber *sub;
	u64 first = event_log_end(g->log).block;

	LIST_FOREACH(sub, &g->members, others)
	if (sub->place.block < first)
		first = sub->place.block;
	event_log_drop_before(g->log, first);
	while (event_log_size(g->log) > QUEUE_MAX)
		event_log_drop(g->log);
}

void subscribers_end(struct subscribers *s)
{
	struct subscriber *sub;
	struct group *g;

	LIST_FOREACH(g, &s->groups, others)
	{
		LIST_FOREACH(sub, &g->members, others)
		send_more(sub);
		trim(g);
	}
	/* the slowest lose first */
	while (s->logs > LOGS_MAX && (g = largest(s)) && event_log_drop(g->log))
		;
}

void subscribers_heartbeat(struct subscribers *s, const char *id)
{
	char text[sizeof(SSE_HEARTBEAT) + EVENT_ID_SIZE];
	size_t n = snprintf(text, sizeof(text), SSE_HEARTBEAT, id);
	struct group *g;
	char *to;

	LIST_FOREACH(g, &s->groups, others)
	{
		to = g->sse ? event_log_add(g->log, n) : NULL;
		if (to)
			memcpy(to, text, n);
	}
}
