// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>

#include "attack_json.h"
#include "backlog.h"
#include "event_filter.h"
#include "event_json.h"
#include "event_names.h"
#include "conn_json.h"
#include "event_stats.h"
#include "events.h"
#include "ifnames.h"
#include "log.h"
#include "moment.h"
#include "stream.h"

#define SUBSCRIBERS_MAX 64
#define SECOND_MAX      4096      /* events read before what is told every second */
#define QUEUE_MAX       (4 << 20) /* bytes that may wait for a subscriber */

struct subscriber {
	LIST_ENTRY(subscriber) others;
	struct stream *stream;
	struct evhttp_request *req;
	struct evbuffer *lines; /* of this turn */
	struct event_filter filter;
	size_t waiting; /* bytes */
	bool slow;
	u64 lost[EVENT_COUNT * LOST_STAGES]; /* since it became slow, and not told yet */
};

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
	LIST_HEAD(, subscriber) subscribers;
	unsigned int n_subscribers;
	u32 wanted;                          /* 1 << enum event_type, by anyone */
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
	return event_filter_match(f, &k->event, port_of(s, k->event.service));
}

/* The last `n` that match. */
static void add_backlog(struct stream *s, const struct event_filter *f, u64 n, struct evbuffer *to)
{
	struct backlog_place p = backlog_end(&s->backlog);
	char line[EVENT_LINE_MAX];
	const struct kept *k;

	while (n && (k = backlog_back(&s->backlog, &p)))
		n -= wants(s, f, k);
	while ((k = backlog_forth(&s->backlog, &p))) {
		if (!wants(s, f, k))
			continue;
		if (k->line)
			evbuffer_add(to, k->line, strlen(k->line));
		else
			evbuffer_add(to, line, make_line(s, &k->event, k->offset, NULL, line));
	}
}

/* ---- lines for subscribers ---- */

static void queue(struct subscriber *sub, const char *line, size_t n)
{
	evbuffer_add(sub->lines, line, n);
	sub->waiting += n;
}

static void add_line(struct subscriber *sub, enum event_type type, const char *line, size_t n)
{
	if (sub->waiting + n > QUEUE_MAX)
		sub->slow = true;
	if (sub->slow)
		sub->lost[type * LOST_STAGES + LOST_SUBSCRIBER]++;
	else
		queue(sub, line, n);
}

static void flush(struct subscriber *sub)
{
	evhttp_send_reply_chunk(sub->req, sub->lines); /* does nothing if there are none */
}

/* {"lost":{"tcp_state":{"ring":12}}} for types in `mask`; `n` is indexed as the map is.
 * NULL if there is none. */
static char *lost_line(u64 wall, const u64 *n, u32 mask, bool since_attach)
{
	json_t *all, *root, *lost = json_object();
	char *text, *line = NULL;
	int type, stage;

	for (type = 0; type < EVENT_COUNT; type++) {
		json_t *of_type = json_object();

		for (stage = 0; stage < LOST_STAGES && mask & 1u << type; stage++)
			if (n[type * LOST_STAGES + stage])
				json_object_set_new(of_type, lost_names[stage],
						    json_integer(n[type * LOST_STAGES + stage]));
		if (json_object_size(of_type))
			json_object_set(lost, event_names[type], of_type);
		json_decref(of_type);
	}
	if (!json_object_size(lost)) {
		json_decref(lost);
		return NULL;
	}
	root = event_json_head(wall, EVENT_LOST);
	all = json_pack("{s:i}", "schema", EVENT_SCHEMA);
	if (since_attach)
		json_object_set_new(all, "since", json_string("attach"));
	json_object_set_new(root, "lost", lost);
	json_object_set_new(root, "synstile", all);
	text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	json_decref(root);
	return line;
}

/* A slow one that has caught up is told what it missed, before anything else. */
static void readmit(struct stream *s, struct subscriber *sub)
{
	char *line = lost_line(monotonic_now() + s->offset, sub->lost, EVENT_TYPES_ALL, false);

	if (line)
		queue(sub, line, strlen(line));
	free(line);
	sub->slow = false;
	memset(sub->lost, 0, sizeof(sub->lost));
}

/* ---- a turn of the reader ---- */

/* A line of an event, for all who want it. */
static void tell(struct stream *s, const struct event *e, const char *line, size_t n)
{
	struct subscriber *sub;
	u16 port = port_of(s, e->service);

	LIST_FOREACH(sub, &s->subscribers, others)
	if (event_filter_match(&sub->filter, e, port))
		add_line(sub, e->type, line, n);
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
	struct subscriber *sub;

	LIST_FOREACH(sub, &s->subscribers, others)
	{
		sub->waiting = api_stream_waiting(sub->req);
		if (sub->slow && sub->waiting < QUEUE_MAX / 2)
			readmit(s, sub);
	}
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
	struct subscriber *sub;
	char line[EVENT_LINE_MAX];
	size_t n = 0;
	u16 port;

	if (is_attack(e) && !is_late(e)) {
		on_attack(s, e);
		return;
	}
	backlog_keep(&s->backlog, e, s->offset, NULL);
	if (!(s->wanted & 1u << e->type))
		return;
	port = port_of(s, e->service);
	LIST_FOREACH(sub, &s->subscribers, others)
	{
		if (!event_filter_match(&sub->filter, e, port))
			continue;
		if (!n)
			n = make_line(s, e, s->offset, NULL, line);
		add_line(sub, e->type, line, n);
	}
}

static void on_end(void *arg)
{
	struct stream *s = arg;
	struct subscriber *sub;

	LIST_FOREACH(sub, &s->subscribers, others)
	flush(sub);
}

/* ---- every second ---- */

/* It hears of the types that it asked for; of all if it asked for this one. */
static void tell_lost_to(struct subscriber *sub, u64 wall, const u64 *n, bool since_attach)
{
	u32 mask = event_filter_mask(&sub->filter);
	char *line;
	int i;

	if (mask & 1u << EVENT_LOST)
		mask = EVENT_TYPES_ALL;
	if (sub->slow) {
		for (i = 0; i < EVENT_COUNT * LOST_STAGES; i++)
			sub->lost[i] += mask & 1u << i / LOST_STAGES ? n[i] : 0;
		return;
	}
	line = lost_line(wall, n, mask, since_attach);
	if (line)
		queue(sub, line, strlen(line));
	free(line);
}

static void tell_lost(struct stream *s, const u64 *n, bool since_attach)
{
	const struct event e = {.type = EVENT_LOST, .time = monotonic_now()};
	struct subscriber *sub;
	char *line = lost_line(e.time + s->offset, n, EVENT_TYPES_ALL, since_attach);

	if (!line)
		return;
	backlog_keep(&s->backlog, &e, s->offset, line);
	LIST_FOREACH(sub, &s->subscribers, others)
	tell_lost_to(sub, e.time + s->offset, n, since_attach);
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
	struct subscriber *sub;
	char *line;

	if (!(s->wanted & 1u << EVENT_STATS)) {
		event_stats_end(s->stats);
		return;
	}
	line = event_stats_line(s->stats, wall);
	if (!line)
		return;
	LIST_FOREACH(sub, &s->subscribers, others)
	if (event_filter_mask(&sub->filter) & 1u << EVENT_STATS)
		add_line(sub, EVENT_STATS, line, strlen(line));
	free(line);
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
	on_end(s);
}

void stream_links_changed(struct stream *s)
{
	ifnames_check(s->ifnames);
}

/* ---- subscribing ---- */

/* After subscribers came or went. */
static void recount(struct stream *s)
{
	struct subscriber *sub;

	s->wanted = 0;
	s->n_subscribers = 0;
	LIST_FOREACH(sub, &s->subscribers, others)
	{
		s->wanted |= event_filter_mask(&sub->filter);
		s->n_subscribers++;
	}
	events_hurry(s->events, s->n_subscribers);
	if (s->wanted & 1u << EVENT_STATS)
		event_stats_begin(s->stats);
}

static void on_close(struct evhttp_connection *con, void *arg)
{
	struct subscriber *sub = arg;

	(void)con;
	/* libevent frees the request with its connection, unless it has torn them apart before */
	if (!evhttp_request_get_connection(sub->req))
		evhttp_request_free(sub->req);
	LIST_REMOVE(sub, others);
	recount(sub->stream);
	evbuffer_free(sub->lines);
	free(sub);
}

struct question {
	struct event_filter filter;
	u64 backlog;
	bool follow;
};

static int parse_count(const char *name, const char *text, u64 max, u64 *n)
{
	char *end;

	*n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end)
		return fail(EINVAL, "%s=%.40s: a number is expected", name, text);
	*n = *n > max ? max : *n;
	return 0;
}

static int parse_parameter(struct question *q, const char *name, const char *value)
{
	u64 follow = 1;
	int err;

	if (!strcmp(name, "type"))
		return event_filter_types(&q->filter, value);
	if (!strcmp(name, "port"))
		return event_filter_port(&q->filter, value);
	if (!strcmp(name, "host"))
		return event_filter_host(&q->filter, value);
	if (!strcmp(name, "backlog"))
		return parse_count(name, value, BACKLOG_MAX + BACKLOG_LINES, &q->backlog);
	if (strcmp(name, "follow"))
		return fail(EINVAL, "no parameter \"%.40s\"", name);
	err = parse_count(name, value, 1, &follow);
	q->follow = follow;
	return err;
}

static int parse_query(struct question *q, const struct evkeyvalq *query)
{
	const struct evkeyval *pair;
	int err = 0;

	for (pair = query->tqh_first; pair && !err; pair = pair->next.tqe_next)
		err = parse_parameter(q, pair->key, pair->value);
	return err;
}

static struct subscriber *subscriber_new(struct stream *s, struct evhttp_request *req,
					 const struct question *q)
{
	struct subscriber *sub = calloc(1, sizeof(*sub));

	if (!sub)
		return NULL;
	*sub = (struct subscriber){.stream = s, .req = req, .filter = q->filter};
	sub->lines = evbuffer_new();
	if (sub->lines)
		return sub;
	free(sub);
	return NULL;
}

static void begin(struct stream *s, struct evhttp_request *req, const struct question *q)
{
	struct subscriber *sub = subscriber_new(s, req, q);

	if (!sub) {
		api_error(req, HTTP_INTERNAL, "out of memory", "try again");
		return;
	}
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type",
			  "application/x-ndjson");
	add_backlog(s, &q->filter, q->backlog, sub->lines);
	if (!q->follow) {
		evhttp_send_reply(req, HTTP_OK, NULL, sub->lines);
		evbuffer_free(sub->lines);
		free(sub);
		return;
	}
	api_stream_begin(req, on_close, sub);
	flush(sub);
	LIST_INSERT_HEAD(&s->subscribers, sub, others);
	recount(s);
}

void stream_get(struct stream *s, struct evhttp_request *req, const struct evkeyvalq *query)
{
	struct question q = {.follow = true};
	int err = parse_query(&q, query);

	if (err) {
		api_error(req, HTTP_BADREQUEST, fail_reason(err),
			  "parameters: type=A,B port=N host=ADDRESS backlog=N follow=0|1");
		fail_clear();
		return;
	}
	if (q.follow && s->n_subscribers >= SUBSCRIBERS_MAX) {
		api_error(req, HTTP_SERVUNAVAIL, "too many subscribers (64)",
			  "end one; `ss -xp` shows who is connected");
		return;
	}
	/* what is in the ring buffer happened before the question */
	events_look(s->events, EVENTS_ALL);
	begin(s, req, &q);
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
	LIST_INIT(&s->subscribers);
	TAILQ_INIT(&s->held);
	set_clock(s);
	s->ifnames = ifnames_new();
	s->stats = event_stats_new(in, st, m);
	s->events = s->ifnames && s->stats ? events_new(l, m->events, &to) : NULL;
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
	event_stats_free(s->stats);
	ifnames_free(s->ifnames);
	backlog_clear(&s->backlog);
	free(s);
}
