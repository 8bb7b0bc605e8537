// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "attack_json.h"
#include "backlog.h"
#include "event_question.h"
#include "event_json.h"
#include "event_names.h"
#include "conn_json.h"
#include "event_stats.h"
#include "events.h"
#include "ifnames.h"
#include "log.h"
#include "lost_json.h"
#include "moment.h"
#include "sse.h"
#include "stream.h"
#include "subscribers.h"

#define SECOND_MAX 4096 /* events read before what is told every second */

/* An event of an attack that waits until more is known. */
struct held {
	TAILQ_ENTRY(held) others;
	struct event event;
	u64 due; /* monotonic ns */
};

struct stream {
	const struct instance *in;
	const struct maps *maps;
	struct detect *detect;
	TAILQ_HEAD(, held) held;
	struct events *events;
	struct ifnames *ifnames;
	struct event_stats *stats;
	struct subscribers *subscribers;
	char epoch[EPOCH_SIZE];
	unsigned int seconds;
	s64 offset;                          /* struct event_context */
	struct service_names names;          /* read once a second */
	u64 lost[EVENT_COUNT * LOST_STAGES]; /* as in the map when last told of */
	bool lost_known;
	struct backlog backlog;
};

/* ---- what lines say and events do not ---- */

static void set_clock(struct stream *s)
{
	struct moment now = moment_now();

	s->offset = now.real - now.monotonic;
}

/* A service may be younger than the names that are known. */
static const char *name_of(struct stream *s, u16 service)
{
	if (service && !service_name(&s->names, service))
		service_names_read(&s->names, s->maps);
	return service_name(&s->names, service) ?: "";
}

static u16 port_of(struct stream *s, u16 service)
{
	return service < SYNSTILE_MAX_SERVICES ? ntohs(s->names.of[service].port) : 0;
}

/* `attack`: see struct event_context. */
static size_t make_line(struct stream *s, const struct event *e, s64 offset, const char *attack,
			char line[EVENT_LINE_MAX])
{
	const struct event_context c = {.offset = offset,
					.iface = ifnames_json(s->ifnames, e->ifindex),
					.service = name_of(s, e->service),
					.attack = attack};

	return event_json(e, &c, line);
}

/* ---- backlog ---- */

static bool wants(struct stream *s, const struct event_filter *f, const struct kept *k)
{
	if (k->event.type == EVENT_LOST) /* of no connection and no service */
		return event_filter_mask(f) & 1u << k->event.type;
	return event_filter_match(f, &k->event, port_of(s, k->event.service),
				  name_of(s, k->event.service));
}

/* Of an event that is in the backlog. */
static const char *id_of(const struct stream *s, u64 number, char id[EVENT_ID_SIZE])
{
	return event_id_text(s->epoch, number + 1, id);
}

/* Of the last one that is in the backlog. */
static const char *last_id(const struct stream *s, char id[EVENT_ID_SIZE])
{
	return event_id_text(s->epoch, s->backlog.n, id);
}

static void add_kept(struct stream *s, const struct kept *k, bool sse, struct evbuffer *to)
{
	char line[EVENT_LINE_MAX], id[EVENT_ID_SIZE];
	const char *text = k->line ?: line;
	size_t n = k->line ? strlen(k->line) : make_line(s, &k->event, k->offset, NULL, line);

	if (sse)
		sse_event(to, event_names[k->event.type], id_of(s, k->number, id), text, n - 1);
	else
		evbuffer_add(to, text, n);
}

/* The last `n` that match. */
static struct backlog_place last_of(struct stream *s, const struct event_filter *f, u64 n)
{
	struct backlog_place p = backlog_end(&s->backlog);
	const struct kept *k;

	while (n && (k = backlog_back(&s->backlog, &p)))
		n -= wants(s, f, k);
	return p;
}

/* Behind that event; of what is not kept any more, it is told that there was something. */
static struct backlog_place resume(struct stream *s, const struct event_question *q,
				   struct evbuffer *to)
{
	bool ours = !strcmp(q->after.epoch, s->epoch);
	u64 from = ours ? q->after.n : 0;
	u64 n = ours ? backlog_forgotten(&s->backlog, from) : LOST_UNKNOWN;
	char id[EVENT_ID_SIZE], *line;

	event_id_text(q->after.epoch, q->after.n, id);
	line = lost_line_after(monotonic_now() + s->offset, n, q->after.epoch[0] ? id : NULL);
	if (line && q->sse)
		sse_event(to, event_names[EVENT_LOST], NULL, line, strlen(line) - 1);
	else if (line)
		evbuffer_add(to, line, strlen(line));
	free(line);
	return backlog_from(&s->backlog, from);
}

static void add_backlog(struct stream *s, const struct event_question *q, struct evbuffer *to)
{
	struct backlog_place p = q->resumes ? resume(s, q, to) : last_of(s, &q->filter, q->backlog);
	char id[EVENT_ID_SIZE];
	const struct kept *k;

	while ((k = backlog_forth(&s->backlog, &p)))
		if (wants(s, &q->filter, k))
			add_kept(s, k, q->sse, to);
	if (q->sse) /* from here on it can resume, even if nothing comes that it wants */
		evbuffer_add_printf(to, SSE_HEARTBEAT, last_id(s, id));
}

/* ---- a turn of the reader ---- */

/* Does anybody want it? */
static bool is_wanted(struct stream *s, const struct event *e)
{
	return subscribers_wanted(s->subscribers) & 1u << e->type &&
	       subscribers_match(s->subscribers, e, port_of(s, e->service), name_of(s, e->service));
}

/* The line of the event that was kept last, to all who want it. */
static void tell(struct stream *s, const struct event *e, const char *line, size_t n)
{
	char id[EVENT_ID_SIZE];

	subscribers_tell(s->subscribers, e->type, last_id(s, id), line, n);
}

/* With all that is known of the attack now, which is kept with it. */
static void tell_attack(struct stream *s, struct event *e)
{
	struct attack_facts f;
	char line[EVENT_LINE_MAX], *members;
	size_t n;

	detect_facts(s->detect, e, &f);
	e->attack.reasons = f.reasons;
	if (e->type == EVENT_ATTACK_START && f.syn_rate > e->attack.rate)
		e->attack.rate = f.syn_rate; /* the datapath's first window was not over */
	members = attack_members(&f);
	n = make_line(s, e, s->offset, members, line);
	free(members);
	backlog_keep(&s->backlog, e, s->offset, strndup(line, n));
	if (is_wanted(s, e))
		tell(s, e, line, n);
}

static void hold(struct stream *s, const struct event *e, u64 due)
{
	struct held *h = malloc(sizeof(*h));

	if (!h)
		return;
	*h = (struct held){.event = *e, .due = due};
	TAILQ_INSERT_TAIL(&s->held, h, others);
}

static void on_attack(struct stream *s, const struct event *e)
{
	struct event mine = *e;
	struct held *h;

	TAILQ_FOREACH(h, &s->held, others)
	if (h->event.service == e->service) {
		hold(s, e, h->due);
		return;
	}
	if (e->type != EVENT_ATTACK_START) {
		tell_attack(s, &mine);
		return;
	}
	detect_look_again(s->detect, e->service);
	hold(s, e, e->time + JUDGE_AFTER);
}

static void tell_held(struct stream *s)
{
	struct held *h, *next;
	u64 now = TAILQ_EMPTY(&s->held) ? 0 : monotonic_now();

	for (h = TAILQ_FIRST(&s->held); h; h = next) {
		next = TAILQ_NEXT(h, others);
		if (h->due > now) {
			detect_look_again(s->detect, h->event.service);
			continue;
		}
		TAILQ_REMOVE(&s->held, h, others);
		tell_attack(s, &h->event);
		free(h);
	}
}

static void on_begin(void *arg)
{
	struct stream *s = arg;

	subscribers_begin(s->subscribers, s->offset);
	tell_held(s);
}

/* One that waited in the ring for so long, because nobody read, is not judged by what is now. */
static bool is_late(const struct event *e)
{
	return monotonic_now() > e->time + 2 * NS_PER_SEC;
}

static bool is_attack(const struct event *e)
{
	return e->type == EVENT_ATTACK_START || e->type == EVENT_ATTACK_PROGRESS ||
	       e->type == EVENT_ATTACK_END;
}

static void on_event(const struct event *e, void *arg)
{
	struct stream *s = arg;
	char line[EVENT_LINE_MAX];

	if (is_attack(e) && !is_late(e)) {
		on_attack(s, e);
		return;
	}
	backlog_keep(&s->backlog, e, s->offset, NULL);
	if (is_wanted(s, e))
		tell(s, e, line, make_line(s, e, s->offset, NULL, line));
}

static void on_end(void *arg)
{
	struct stream *s = arg;

	subscribers_end(s->subscribers);
}

/* ---- every second ---- */

static void tell_lost(struct stream *s, const u64 *n, bool since_attach)
{
	const struct event e = {.type = EVENT_LOST, .time = monotonic_now()};
	char *line = lost_line(e.time + s->offset, n, EVENT_TYPES_ALL, since_attach);
	char id[EVENT_ID_SIZE];

	if (!line)
		return;
	backlog_keep(&s->backlog, &e, s->offset, line);
	subscribers_tell_lost(s->subscribers, last_id(s, id), n, since_attach);
}

static void check_lost(struct stream *s)
{
	u64 now[EVENT_COUNT * LOST_STAGES], more[EVENT_COUNT * LOST_STAGES];
	size_t i;

	if (maps_lost(s->maps, now))
		return;
	for (i = 0; i < EVENT_COUNT * LOST_STAGES; i++)
		more[i] = now[i] - s->lost[i];
	memcpy(s->lost, now, sizeof(now));
	tell_lost(s, more, !s->lost_known);
	s->lost_known = true;
}

static void tell_stats(struct stream *s)
{
	u64 wall = monotonic_now() + s->offset;
	char *line;

	if (!(subscribers_wanted(s->subscribers) & 1u << EVENT_STATS)) {
		event_stats_end(s->stats);
		return;
	}
	line = event_stats_line(s->stats, wall);
	if (line)
		subscribers_tell_type(s->subscribers, EVENT_STATS, line);
	free(line);
}

static void heartbeat(struct stream *s)
{
	char id[EVENT_ID_SIZE];

	if (++s->seconds % SSE_HEARTBEAT_SECONDS == 0)
		subscribers_heartbeat(s->subscribers, last_id(s, id));
}

void stream_each_second(struct stream *s)
{
	set_clock(s);
	service_names_read(&s->names, s->maps);
	/* these lines speak of what was before them: so do the events, unless there are very many
	 */
	events_look(s->events, SECOND_MAX);
	on_begin(s);
	check_lost(s);
	tell_stats(s);
	heartbeat(s);
	on_end(s);
}

unsigned int stream_subscribers(const struct stream *s)
{
	return subscribers_count(s->subscribers);
}

void stream_links_changed(struct stream *s)
{
	ifnames_check(s->ifnames);
}

/* ---- subscribing ---- */

/* Subscribers came or went. */
static void on_change(void *arg)
{
	struct stream *s = arg;

	events_hurry(s->events, subscribers_count(s->subscribers));
	if (subscribers_wanted(s->subscribers) & 1u << EVENT_STATS)
		event_stats_begin(s->stats);
}

static void begin(struct stream *s, struct evhttp_request *req, const struct event_question *q,
		  struct evbuffer *lines)
{
	int err;

	if (q->sse)
		sse_begin(lines);
	add_backlog(s, q, lines);
	if (!q->follow) {
		sse_headers(req, q->sse);
		evhttp_send_reply(req, HTTP_OK, NULL, lines);
		return;
	}
	err = subscribers_add(s->subscribers, req, &q->filter, q->sse, lines);
	if (err == -ENOBUFS)
		api_error(req, HTTP_SERVUNAVAIL, "too many subscribers (256), or too slow ones",
			  "end one; `ss -xp` shows who is connected");
	else if (err)
		api_error(req, HTTP_INTERNAL, "out of memory", "try again");
}

void stream_get(struct stream *s, struct evhttp_request *req, const struct evkeyvalq *query)
{
	struct event_question q;
	int err = event_question_parse(&q, req, query);
	struct evbuffer *lines;

	if (err) {
		api_error(req, HTTP_BADREQUEST, fail_reason(err), "parameters: " EVENT_PARAMETERS);
		fail_clear();
		return;
	}
	/* what is in the ring buffer happened before the question */
	events_look(s->events, EVENTS_ALL);
	lines = evbuffer_new();
	if (lines)
		begin(s, req, &q, lines);
	else
		api_error(req, HTTP_INTERNAL, "out of memory", "try again");
	if (lines)
		evbuffer_free(lines);
}

/* ---- */

struct stream *stream_new(struct loop *l, const struct instance *in, const struct state *st,
			  const struct maps *m, struct detect *d)
{
	struct stream *s = calloc(1, sizeof(*s));
	const struct events_to to = {on_begin, on_event, on_end, s};

	if (!s)
		return NULL;
	s->in = in;
	s->maps = m;
	s->detect = d;
	TAILQ_INIT(&s->held);
	set_clock(s);
	epoch_new(s->epoch);
	s->subscribers = subscribers_new(on_change, s);
	s->ifnames = ifnames_new();
	s->stats = event_stats_new(in, st, m);
	s->events = s->subscribers && s->ifnames && s->stats ? events_new(l, m->events, &to) : NULL;
	if (!s->events) {
		stream_free(s);
		return NULL;
	}
	events_look(s->events, EVENTS_ALL); /* what happened while nobody read */
	return s;
}

/* Subscribers go with their connections: api_free() first. */
void stream_free(struct stream *s)
{
	struct held *h;

	if (!s)
		return;
	while ((h = TAILQ_FIRST(&s->held))) {
		TAILQ_REMOVE(&s->held, h, others);
		free(h);
	}
	events_free(s->events);
	subscribers_free(s->subscribers);
	event_stats_free(s->stats);
	ifnames_free(s->ifnames);
	backlog_clear(&s->backlog);
	free(s);
}
