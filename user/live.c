// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "agent_inside.h"
#include "live.h"
#include "live_frame.h"
#include "log.h"
#include "moment.h"
#include "question.h"
#include "shared.h"
#include "sse.h"

#define FOLLOWERS_MAX  256
#define VIEWS_MAX      16 /* different ones: each is made every second */
#define LIST_MAX       1000
#define SERVICES_USUAL 50
#define CONNS_USUAL    100
#define TOP_USUAL      10
#define BYTES_MAX      (64 << 20) /* that wait for all followers */

/* What somebody wants to see. */
struct question {
	u64 services, half_open;
	bool follow, sse;
};

/* ... and the frame of this second. */
struct view {
	u64 services, half_open;
	struct shared *as[2]; /* lines of JSON, SSE */
};

struct follower {
	LIST_ENTRY(follower) others;
	struct live *live;
	struct evhttp_request *req;
	struct question q;
	bool begun; /* it was sent something */
};

struct live {
	struct live_parts parts;
	u64 seq; /* of this second */
	LIST_HEAD(, follower) followers;
	unsigned int n_followers;
	struct view views[VIEWS_MAX];
	size_t n_views;
	size_t bytes; /* of frames that somebody has not taken yet, or might ask for */
	int trouble;
};

struct live *live_new(struct agent *a)
{
	struct live *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	LIST_INIT(&l->followers);
	l->parts.agent = a;
	l->parts.began = monotonic_now();
	l->parts.services = services_now_new(&a->maps, a->listeners, a->rates, a->detect);
	l->parts.oldest = oldest_new(&a->maps);
	l->parts.sources = syn_sources_new(&a->maps);
	if (l->parts.services && l->parts.oldest && l->parts.sources)
		return l;
	live_free(l);
	return NULL;
}

/* ---- frames ---- */

static void forget_views(struct live *l)
{
	struct view *v;

	for (v = l->views; v < l->views + l->n_views; v++) {
		shared_put(v->as[false]);
		shared_put(v->as[true]);
	}
	l->n_views = 0;
}

static struct shared *wrap(struct live *l, const char *text, bool sse)
{
	struct evbuffer *buf = evbuffer_new();
	struct shared *s = NULL;

	if (!buf)
		return NULL;
	if (sse)
		sse_event(buf, "frame", NULL, text, strlen(text));
	else
		evbuffer_add_printf(buf, "%s\n", text);
	s = shared_new(buf, &l->bytes);
	evbuffer_free(buf);
	return s;
}

static void make_view(struct live *l, struct view *v)
{
	json_t *j = live_frame(&l->parts, l->seq, v->services, v->half_open);
	char *text = json_dumps(j, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));

	json_decref(j);
	if (text) {
		v->as[false] = wrap(l, text, false);
		v->as[true] = wrap(l, text, true);
	}
	free(text);
}

/* The frame of this second, which may have been made before. NULL: no memory. */
static struct shared *frame_for(struct live *l, const struct question *q)
{
	struct view *v;

	for (v = l->views; v < l->views + l->n_views; v++)
		if (v->services == q->services && v->half_open == q->half_open)
			return v->as[q->sse];
	if (l->n_views == VIEWS_MAX) /* by questions without follow: begin again */
		forget_views(l);
	v = &l->views[l->n_views++];
	*v = (struct view){.services = q->services, .half_open = q->half_open};
	make_view(l, v);
	return v->as[q->sse];
}

/* ---- followers ---- */

/* One that has not taken the last frame gets none until it has: the gap in `seq` tells. */
static void send_frame(struct follower *f)
{
	struct live *l = f->live;
	struct evbuffer *buf;
	struct shared *frame;

	if (l->bytes > BYTES_MAX || (f->begun && api_stream_waiting(f->req)))
		return;
	f->begun = true;
	frame = frame_for(l, &f->q);
	buf = frame ? evbuffer_new() : NULL;
	if (!buf)
		return;
	if (!shared_add(frame, buf))
		evhttp_send_reply_chunk(f->req, buf);
	evbuffer_free(buf);
}

static void on_close(struct evhttp_connection *con, void *arg)
{
	struct follower *f = arg;

	(void)con;
	/* libevent frees the request with its connection, unless it has torn them apart before */
	if (!evhttp_request_get_connection(f->req))
		evhttp_request_free(f->req);
	LIST_REMOVE(f, others);
	f->live->n_followers--;
	free(f);
}

/* Those that do not read hold frames that nobody else needs: they have to connect again. */
static void reclaim(struct live *l)
{
	struct follower *f, *next;

	for (f = LIST_FIRST(&l->followers); f && l->bytes > BYTES_MAX / 2; f = next) {
		next = LIST_NEXT(f, others);
		if (api_stream_waiting(f->req))
			evhttp_connection_free(evhttp_request_get_connection(f->req));
	}
}

void live_each_second(struct live *l)
{
	struct follower *f;
	int err;

	l->seq++;
	overall_follow(&l->parts.overall, l->parts.agent->rates);
	oldest_adapt(l->parts.oldest);
	err = syn_sources_look(l->parts.sources);
	if (err && err != l->trouble)
		warn("%s; trying again", fail_reason(err));
	l->trouble = err;
	fail_clear();
	forget_views(l);
	reclaim(l);
	LIST_FOREACH(f, &l->followers, others)
	send_frame(f);
}

/* ---- questions ---- */

static int parse_parameter(struct question *q, const char *name, const char *value)
{
	if (!strcmp(name, "services"))
		return question_count(name, value, LIST_MAX, &q->services);
	if (!strcmp(name, "half_open"))
		return question_count(name, value, LIST_MAX, &q->half_open);
	if (!strcmp(name, "follow"))
		return question_switch(name, value, &q->follow);
	return strcmp(name, "format") ? fail(EINVAL, "no parameter \"%.40s\"", name) : 0;
}

/* False: it has been answered why not. */
static bool parse(struct question *q, struct evhttp_request *req, const struct evkeyvalq *query)
{
	const struct evkeyval *pair;
	int err = 0;

	*q = (struct question){.services = SERVICES_USUAL,
			       .half_open = CONNS_USUAL,
			       .follow = true,
			       .sse = sse_wanted(req, query)};
	for (pair = query->tqh_first; pair && !err; pair = pair->next.tqe_next)
		err = parse_parameter(q, pair->key, pair->value);
	if (!err)
		return true;
	api_error(req, HTTP_BADREQUEST, fail_reason(err),
		  "parameters: services=N half_open=N follow=0|1 format=sse|json");
	fail_clear();
	return false;
}

/* Is somebody following this view, or is there room for another one? */
static bool has_room(const struct live *l, const struct question *q)
{
	const struct follower *f, *before;
	size_t n = 0;

	LIST_FOREACH(f, &l->followers, others)
	{
		if (f->q.services == q->services && f->q.half_open == q->half_open)
			return true;
		LIST_FOREACH(before, &l->followers, others)
		if (before == f ||
		    (before->q.services == f->q.services && before->q.half_open == f->q.half_open))
			break;
		n += before == f;
	}
	return n < VIEWS_MAX;
}

static void answer_once(struct live *l, struct evhttp_request *req, const struct question *q)
{
	struct shared *frame = frame_for(l, q);
	struct evbuffer *buf = frame ? evbuffer_new() : NULL;

	if (!buf || shared_add(frame, buf)) {
		api_error(req, HTTP_INTERNAL, "out of memory", "try again");
	} else {
		sse_headers(req, q->sse);
		evhttp_send_reply(req, HTTP_OK, NULL, buf);
	}
	if (buf)
		evbuffer_free(buf);
}

static void begin(struct live *l, struct evhttp_request *req, const struct question *q)
{
	struct follower *f = calloc(1, sizeof(*f));
	struct evbuffer *buf = evbuffer_new();

	if (!f || !buf) {
		api_error(req, HTTP_INTERNAL, "out of memory", "try again");
		free(f);
	} else {
		*f = (struct follower){.live = l, .req = req, .q = *q};
		sse_headers(req, q->sse);
		api_stream_begin(req, on_close, f);
		LIST_INSERT_HEAD(&l->followers, f, others);
		l->n_followers++;
		if (q->sse)
			sse_begin(buf);
		evhttp_send_reply_chunk(req, buf);
		send_frame(f);
	}
	if (buf)
		evbuffer_free(buf);
}

void live_get(struct live *l, struct evhttp_request *req, const struct evkeyvalq *query)
{
	struct question q;

	if (!parse(&q, req, query))
		return;
	if (!q.follow)
		answer_once(l, req, &q);
	else if (l->n_followers >= FOLLOWERS_MAX)
		api_error(req, HTTP_SERVUNAVAIL, "too many follow the live view (256)",
			  "end one; `ss -xp` shows who is connected");
	else if (!has_room(l, &q))
		api_error(req, HTTP_SERVUNAVAIL, "too many different live views (16)",
			  "ask for the usual one, without services= and half_open=");
	else
		begin(l, req, &q);
}

/* ---- GET /v1/sources/top ---- */

/* 0: there is none of this name. */
static u16 service_of_name(const struct live *l, const char *name)
{
	const struct rates *r = l->parts.agent->rates;
	u16 i;

	for (i = 1; i < rates_end(r); i++)
		if (rates_service(r, i) && !strcmp(rates_service(r, i)->name, name))
			return i;
	return 0;
}

/* -ENOENT: no such service. */
static int parse_sources(const struct live *l, const struct evkeyvalq *query, u64 *limit,
			 u16 *service)
{
	const struct evkeyval *pair;
	int err = 0;

	for (pair = query->tqh_first; pair && !err; pair = pair->next.tqe_next) {
		if (!strcmp(pair->key, "limit")) {
			err = question_count(pair->key, pair->value, TOP_SOURCES, limit);
		} else if (!strcmp(pair->key, "service")) {
			*service = service_of_name(l, pair->value);
			if (!*service)
				err = fail(ENOENT, "no service \"%.40s\"", pair->value);
		} else {
			err = fail(EINVAL, "no parameter \"%.40s\"", pair->key);
		}
	}
	return err;
}

void live_get_sources(struct live *l, struct evhttp_request *req, const struct evkeyvalq *query)
{
	static struct source_top top;
	struct moment now = moment_now();
	char stamp[TIMESTAMP_SIZE];
	u64 limit = TOP_USUAL;
	u16 service = 0;
	json_t *j, *found;
	int err = parse_sources(l, query, &limit, &service);

	if (err) {
		api_error(req, err == -ENOENT ? HTTP_NOTFOUND : HTTP_BADREQUEST, fail_reason(err),
			  err == -ENOENT ? "GET /v1/services lists what there is"
					 : "parameters: limit=N service=NAME");
		fail_clear();
		return;
	}
	syn_sources_top(l->parts.sources, service, &top);
	j = json_pack("{s:i, s:s, s:s}", "schema", 1, "instance", l->parts.agent->in.name,
		      "timestamp", moment_timestamp(&now, now.monotonic, stamp));
	found = source_top_json(&top, limit);
	json_object_update(j, found);
	json_decref(found);
	api_reply(req, HTTP_OK, j);
}

/* Followers go with their connections: api_free() first. */
void live_free(struct live *l)
{
	if (!l)
		return;
	forget_views(l);
	services_now_free(l->parts.services);
	oldest_free(l->parts.oldest);
	syn_sources_free(l->parts.sources);
	free(l);
}
