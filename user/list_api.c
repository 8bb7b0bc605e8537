// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "clock.h"
#include "list_api.h"
#include "log.h"
#include "moment.h"

#define LISTS_MAX 8               /* at once: each keeps what it has found */
#define TURN_NS   (5 * NS_PER_MS) /* events wait for us */
#define WRITE_MAX (256 << 10)     /* bytes that wait to be read */

struct list {
	unsigned int place; /* among the api's */
	struct list_api *api;
	struct evhttp_request *req;
	struct list_source source;
	void *arg;
	bool begun, waiting; /* for its reader */
	u64 shown;
};

struct list_api {
	const char *instance;
	struct watch *turn;
	struct list *lists[LISTS_MAX]; /* NULL: free */
	unsigned int last;             /* whose turn it was */
};

static void list_free(struct list *l)
{
	l->api->lists[l->place] = NULL;
	l->source.free(l->arg);
	free(l);
}

static void on_close(struct evhttp_connection *con, void *arg)
{
	struct list *l = arg;

	(void)con;
	/* libevent frees the request with its connection, unless it has torn them apart before */
	if (!evhttp_request_get_connection(l->req))
		evhttp_request_free(l->req);
	list_free(l);
}

/* The next one that does not wait, after the last; NULL: none. */
static struct list *next_list(const struct list_api *a)
{
	struct list *l;
	unsigned int i;

	for (i = 1; i <= LISTS_MAX; i++) {
		l = a->lists[(a->last + i) % LISTS_MAX];
		if (l && !l->waiting)
			return l;
	}
	return NULL;
}

static void go_on(struct list_api *a)
{
	if (next_list(a))
		watch_soon(a->turn);
}

/* What was written has been read. */
static void on_written(struct evhttp_connection *con, void *arg)
{
	struct list *l = arg;

	(void)con;
	l->waiting = false;
	go_on(l->api);
}

/* With spaces in it, as `conns -j` has had it. */
static void add_json(struct evbuffer *to, json_t *j, const char *before, size_t skip, size_t cut)
{
	char *text = json_dumps(j, JSON_PRESERVE_ORDER);
	size_t n = text ? strlen(text) : 0;

	evbuffer_add_printf(to, "%s", before);
	if (n >= skip + cut)
		evbuffer_add(to, text + skip, n - skip - cut);
	free(text);
	json_decref(j);
}

/* The object's members go on behind the list. */
static void add_tail(struct list *l, struct evbuffer *to)
{
	json_t *tail = l->source.tail(l->arg);

	json_object_set_new(tail, "shown", json_integer(l->shown));
	add_json(to, tail, "\n], ", 1, 0);
	evbuffer_add(to, "\n", 1);
}

static void begin(struct list *l, struct evbuffer *to)
{
	evhttp_add_header(evhttp_request_get_output_headers(l->req), "Content-Type",
			  "application/json");
	api_stream_begin(l->req, on_close, l);
	api_stream_bounded(l->req);
	add_json(to, api_head(l->api->instance), "", 0, 1);
	evbuffer_add_printf(to, ", \"connections\": [");
	l->begun = true;
}

/* Ends the answer: the connection goes on with the next question. */
static void end(struct list *l, struct evbuffer *to)
{
	struct evhttp_request *req = l->req;

	add_tail(l, to);
	evhttp_send_reply_chunk(req, to);
	list_free(l);
	api_stream_end(req);
}

static void refuse(struct list *l, int err)
{
	struct evhttp_request *req = l->req;

	list_free(l);
	api_resume(req);
	api_error(req, HTTP_INTERNAL, fail_reason(err), "try again");
	fail_clear();
}

static void write_some(struct list *l, u64 start)
{
	struct evbuffer *to = evbuffer_new();
	json_t *entry;

	if (!to) { /* no memory: it is seen by the answer's lack of an end */
		evhttp_connection_free(evhttp_request_get_connection(l->req));
		return;
	}
	if (!l->begun)
		begin(l, to);
	do {
		entry = l->source.next(l->arg);
		if (entry)
			add_json(to, entry, l->shown++ ? ",\n" : "\n", 0, 0);
	} while (entry && evbuffer_get_length(to) < WRITE_MAX && monotonic_now() - start < TURN_NS);
	if (!entry) {
		end(l, to);
	} else {
		l->waiting = true;
		evhttp_send_reply_chunk_with_cb(l->req, to, on_written, l);
	}
	evbuffer_free(to);
}

static void advance(struct list *l)
{
	u64 start = monotonic_now();
	int found = l->begun ? 1 : l->source.look(l->arg, TURN_NS);

	if (found < 0)
		refuse(l, found);
	else if (found)
		write_some(l, start);
}

/* By turns. */
static void on_turn(void *arg)
{
	struct list_api *a = arg;
	struct list *l = next_list(a);

	if (!l)
		return;
	a->last = l->place;
	advance(l);
	go_on(a);
}

struct list_api *list_api_new(struct loop *loop, const char *instance)
{
	struct list_api *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->instance = instance;
	a->turn = watch_timer(loop, on_turn, a);
	if (a->turn)
		return a;
	free(a);
	return NULL;
}

void list_api_free(struct list_api *a)
{
	unsigned int i;

	if (!a)
		return;
	for (i = 0; i < LISTS_MAX; i++)
		if (a->lists[i])
			list_free(a->lists[i]);
	watch_free(a->turn);
	free(a);
}

static struct list *list_new(struct list_api *a)
{
	struct list *l;
	unsigned int i;

	for (i = 0; i < LISTS_MAX && a->lists[i]; i++)
		;
	l = i < LISTS_MAX ? calloc(1, sizeof(*l)) : NULL;
	if (!l)
		return NULL;
	l->api = a;
	l->place = i;
	a->lists[i] = l;
	return l;
}

void list_api_answer(struct list_api *a, struct evhttp_request *req,
		     const struct list_source *source, void *arg)
{
	struct list *l;

	if (api_is_head(req)) { /* nothing is to be written, and so nobody would wait for it */
		source->free(arg);
		api_reply(req, HTTP_OK, json_object());
		return;
	}
	l = list_new(a);
	if (!l) {
		source->free(arg);
		api_error(req, HTTP_SERVUNAVAIL, "too many lists are being read at the same time",
			  "try again");
		return;
	}
	l->req = req;
	l->source = *source;
	l->arg = arg;
	api_defer(req, on_close, l);
	watch_soon(a->turn);
}
