// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <jansson.h>

#include "log.h"
#include "web_http.h"

#define REQUEST_SECONDS 10 /* to send all of a request */
#define WRITE_SECONDS   30 /* without taking anything of an answer */
#define LINGER_SECONDS  2  /* to close, once the answer is there */
#define REFUSED_MAX     32 /* connections that only hear that there are too many */
#define PAUSE_MS        200

struct web_request {
	struct web_http *http;
	struct bufferevent *bev;
	struct event *deadline;
	char head[WEB_HEAD_MAX + 1];
	const char *method, *path, *query, *fields;
	struct evbuffer *extra; /* fields of the answer */
	void (*closed)(void *arg);
	void (*drained)(void *arg);
	void *arg;
	bool asked, ended, refused;
	LIST_ENTRY(web_request) others;
};

struct web_http {
	struct event_base *base;
	struct evconnlistener *listener;
	struct event *again;
	web_asked_fn asked;
	void *arg;
	unsigned int n, n_refused;
	LIST_HEAD(, web_request) all;
};

/* ---- the request ---- */

const char *web_path(const struct web_request *r)
{
	return r->path;
}

const char *web_query(const struct web_request *r)
{
	return r->query;
}

const char *web_method(const struct web_request *r)
{
	return r->method;
}

/* The next field whose name is `name`, or any if that is NULL: its line, from `at` on. */
static const char *find_field(const char *at, const char *name)
{
	size_t n = strlen(name);

	for (; *at; at = strchr(at, '\n') + 1)
		if (!strncasecmp(at, name, n) && at[n] == ':')
			return at;
	return NULL;
}

const char *web_field(const struct web_request *r, const char *name, char *buf, size_t size)
{
	const char *at = find_field(r->fields, name);
	size_t n;

	if (!at)
		return NULL;
	at += strlen(name) + 1;
	at += strspn(at, " \t");
	n = strcspn(at, "\r\n");
	while (n && (at[n - 1] == ' ' || at[n - 1] == '\t'))
		n--;
	if (n >= size)
		return NULL;
	memcpy(buf, at, n);
	buf[n] = 0;
	return buf;
}

void web_local(const struct web_request *r, struct web_address *a)
{
	*a = (struct web_address){.len = sizeof(a->at)};
	getsockname(bufferevent_getfd(r->bev), &a->at.any, &a->len);
}

/* "GET /path?query HTTP/1.1" */
static bool parse_line(struct web_request *r, char *line)
{
	char *target = strchr(line, ' '), *version, *c;

	if (!target || target == line)
		return false;
	*target++ = 0;
	version = strchr(target, ' ');
	if (!version || strncmp(version + 1, "HTTP/1.", 7))
		return false;
	*version = 0;
	for (c = target; *c; c++)
		if (*c < 0x21 || *c > 0x7e)
			return false;
	r->method = line;
	r->path = target;
	r->query = "";
	target[strcspn(target, "#")] = 0;
	c = strchr(target, '?');
	if (c) {
		*c = 0;
		r->query = c + 1;
	}
	return *r->path == '/';
}

/* Each with a name and a colon, none folded; who we are is said once. */
static bool parse_fields(const struct web_request *r)
{
	const char *at, *host;

	for (at = r->fields; *at; at = strchr(at, '\n') + 1) {
		size_t name = strcspn(at, ": \t\r\n");

		if (!name || at[name] != ':')
			return false;
	}
	host = find_field(r->fields, "Host");
	return !host || !find_field(strchr(host, '\n') + 1, "Host");
}

/* The head ends with an empty line, which is not in it. */
static bool parse(struct web_request *r, size_t n)
{
	char *line = strchr(r->head, '\n');

	if (strlen(r->head) != n || !line)
		return false;
	r->fields = line + 1;
	*line = 0;
	if (line > r->head && line[-1] == '\r')
		line[-1] = 0;
	return parse_line(r, r->head) && parse_fields(r);
}

/* ---- the life of a connection ---- */

static void set_deadline(struct web_request *r, int seconds)
{
	const struct timeval t = {seconds, 0};

	event_add(r->deadline, &t);
}

static void drop(struct web_request *r)
{
	struct web_http *h = r->http;

	if (r->closed && !r->ended)
		r->closed(r->arg);
	LIST_REMOVE(r, others);
	if (r->refused)
		h->n_refused--;
	else
		h->n--;
	if (r->deadline)
		event_free(r->deadline);
	if (r->bev)
		bufferevent_free(r->bev);
	if (r->extra)
		evbuffer_free(r->extra);
	free(r);
}

void web_reply_cut(struct web_request *r)
{
	r->closed = NULL;
	drop(r);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct web_request *r = arg;

	(void)fd;
	(void)what;
	if (r->asked) {
		drop(r);
		return;
	}
	r->asked = true;
	r->method = "GET";
	web_reply_error(r, 408, "the request did not come within 10 s", "try again");
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	drop(arg);
}

/* Half-closes, so that what the other side still sends does not cost it our answer. */
static void on_written(struct bufferevent *bev, void *arg)
{
	struct web_request *r = arg;

	if (!r->ended) {
		if (r->drained)
			r->drained(r->arg);
		return;
	}
	shutdown(bufferevent_getfd(bev), SHUT_WR);
	set_deadline(r, LINGER_SECONDS);
}

static void take(struct web_request *r, size_t n)
{
	struct evbuffer *in = bufferevent_get_input(r->bev);

	evbuffer_remove(in, r->head, n);
	r->head[n] = 0;
	r->asked = true;
	evtimer_del(r->deadline);
	if (parse(r, n)) {
		r->http->asked(r, r->http->arg);
		return;
	}
	r->method = "GET";
	web_reply_error(r, 400, "this is not a request of HTTP/1.1", "GET /");
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct web_request *r = arg;
	struct evbuffer_ptr end;

	if (r->asked) {
		evbuffer_drain(in, evbuffer_get_length(in));
		return;
	}
	end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	if (end.pos >= 0 && end.pos + 2 <= WEB_HEAD_MAX) {
		take(r, end.pos + 2);
	} else if (evbuffer_get_length(in) >= WEB_HEAD_MAX) {
		r->asked = true;
		r->method = "GET";
		web_reply_error(r, 431, "the request's fields are longer than 16 KB",
				"clear the browser's cookies of this address");
	}
}

static struct web_request *request_new(struct web_http *h, int fd)
{
	static const struct timeval write_time = {WRITE_SECONDS, 0};
	struct web_request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->http = h;
	r->refused = h->n >= WEB_CONNECTIONS_MAX;
	LIST_INSERT_HEAD(&h->all, r, others);
	if (r->refused)
		h->n_refused++;
	else
		h->n++;
	r->deadline = evtimer_new(h->base, on_deadline, r);
	r->extra = evbuffer_new();
	r->bev = bufferevent_socket_new(h->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!r->deadline || !r->extra || !r->bev) {
		if (!r->bev)
			close(fd);
		drop(r);
		return NULL;
	}
	bufferevent_setcb(r->bev, on_read, on_written, on_end, r);
	bufferevent_set_timeouts(r->bev, NULL, &write_time);
	bufferevent_setwatermark(r->bev, EV_READ, 0, WEB_HEAD_MAX + 4);
	bufferevent_enable(r->bev, EV_READ | EV_WRITE);
	set_deadline(r, REQUEST_SECONDS);
	return r;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
		      int len, void *arg)
{
	struct web_http *h = arg;
	struct web_request *r;

	(void)listener;
	(void)from;
	(void)len;
	if (h->n_refused >= REFUSED_MAX) {
		close(fd);
		return;
	}
	r = request_new(h, fd);
	if (!r || !r->refused)
		return;
	r->asked = true;
	r->method = "GET";
	web_reply_field(r, "Retry-After", "5");
	web_reply_error(r, 503, "too many connections (128)",
			"close other windows of this page; `ss -tnp` shows who is connected");
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct web_http *h = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(h->listener);
}

/* Such as: no descriptor is left. Those who wait stay in the kernel's queue. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	static const struct timeval pause = {0, PAUSE_MS * 1000};
	struct web_http *h = arg;

	debug("cannot accept a connection: %s", strerror(errno));
	evconnlistener_disable(listener);
	evtimer_add(h->again, &pause);
}

struct web_http *web_http_new(struct loop *l, int fd, web_asked_fn asked, void *arg)
{
	struct web_http *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->base = loop_base(l);
	h->asked = asked;
	h->arg = arg;
	LIST_INIT(&h->all);
	h->again = evtimer_new(h->base, on_again, h);
	h->listener = evconnlistener_new(h->base, on_accept, h,
					 LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!h->again || !h->listener) {
		web_http_free(h);
		return NULL;
	}
	evconnlistener_set_error_cb(h->listener, on_accept_error);
	return h;
}

void web_http_free(struct web_http *h)
{
	struct web_request *r, *next;

	if (!h)
		return;
	for (r = LIST_FIRST(&h->all); r; r = next) {
		next = LIST_NEXT(r, others);
		drop(r);
	}
	if (h->listener)
		evconnlistener_free(h->listener);
	if (h->again)
		event_free(h->again);
	free(h);
}

/* ---- the answer ---- */

void web_reply_field(struct web_request *r, const char *name, const char *value)
{
	evbuffer_add_printf(r->extra, "%s: %s\r\n", name, value);
}

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *words;
	} all[] = {
		{200, "OK"},
		{304, "Not Modified"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{431, "Request Header Fields Too Large"},
		{503, "Service Unavailable"},
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i].status == status)
			return all[i].words;
	return "Answer"; /* the agent's; nobody reads these words */
}

void web_reply_begin(struct web_request *r, int status, const char *type, long long length)
{
	struct evbuffer *out = bufferevent_get_output(r->bev);

	evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
	if (type)
		evbuffer_add_printf(out, "Content-Type: %s\r\n", type);
	if (length >= 0)
		evbuffer_add_printf(out, "Content-Length: %lld\r\n", length);
	evbuffer_add_buffer(out, r->extra);
	/* nothing from elsewhere, nothing inline, in nobody's frame */
	evbuffer_add_printf(out, "Content-Security-Policy: default-src 'none'; script-src 'self'; "
				 "style-src 'self'; connect-src 'self'; img-src 'self' data:; "
				 "base-uri 'none'; frame-ancestors 'none'; form-action 'none'\r\n"
				 "X-Content-Type-Options: nosniff\r\n"
				 "Referrer-Policy: no-referrer\r\n"
				 "Cross-Origin-Resource-Policy: same-origin\r\n"
				 "Connection: close\r\n\r\n");
}

void web_reply_more(struct web_request *r, const void *data, size_t n)
{
	if (strcmp(r->method, "HEAD"))
		bufferevent_write(r->bev, data, n);
}

void web_reply_end(struct web_request *r)
{
	r->ended = true;
	r->closed = NULL;
	if (!web_reply_waiting(r))
		on_written(r->bev, r);
}

size_t web_reply_waiting(const struct web_request *r)
{
	return evbuffer_get_length(bufferevent_get_output(r->bev));
}

void web_reply(struct web_request *r, int status, const char *type, const void *body, size_t n)
{
	web_reply_begin(r, status, type, status == 304 ? -1 : (long long)n);
	web_reply_more(r, body, n);
	web_reply_end(r);
}

void web_reply_error(struct web_request *r, int status, const char *error, const char *hint)
{
	json_t *j = json_pack("{s:s, s:s}", "error", error, "hint", hint);
	char *text = json_dumps(j, JSON_COMPACT | JSON_PRESERVE_ORDER);

	json_decref(j);
	web_reply_field(r, "Cache-Control", "no-store");
	web_reply(r, status, "application/json", text ? text : "{}", text ? strlen(text) : 2);
	free(text);
}

void web_follow(struct web_request *r, void (*closed)(void *arg), void (*drained)(void *arg),
		void *arg)
{
	r->closed = closed;
	r->drained = drained;
	r->arg = arg;
}
