// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "log.h"
#include "web_upstream.h"

#define ANSWER_SECONDS 15          /* for the agent to begin an answer */
#define WAITING_MAX    (256 << 10) /* bytes of an answer that the browser has not taken: we wait */
#define STREAM_MAX     (2 << 20)   /* ... of a stream: it is ended */

/* One answer on its way. */
struct transfer {
	struct web_upstream *up;
	struct web_request *r; /* NULL: the browser has gone */
	CURL *easy;
	struct curl_slist *fields;
	struct event *patience; /* until it begins */
	char type[128];
	long long length; /* -1: unknown */
	bool begun, stream, paused, slow, head;
	LIST_ENTRY(transfer) others;
};

struct web_upstream {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	const char *sock;
	LIST_HEAD(, transfer) all;
};

/* ---- what the agent says ---- */

static void end_transfer(struct transfer *t)
{
	curl_multi_remove_handle(t->up->multi, t->easy); /* harmless if it is not in there */
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->fields);
	if (t->patience)
		event_free(t->patience);
	LIST_REMOVE(t, others);
	free(t);
}

static void begin(struct transfer *t)
{
	long status = 502;

	t->begun = true;
	evtimer_del(t->patience);
	/* these have no end, and are old when they come late; others wait for their reader */
	t->stream =
		!strcmp(t->type, "text/event-stream") || !strcmp(t->type, "application/x-ndjson");
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	web_reply_field(t->r, "Cache-Control", "no-store");
	web_reply_begin(t->r, status, t->type[0] ? t->type : NULL, t->length);
}

/* A line of the answer's head. Only what the browser needs is passed on. */
static size_t on_field(char *line, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t length = size * n;
	char text[160];

	if (length == 2) { /* the empty line: a stream may be quiet for long */
		begin(t);
		return t->head ? 0 : length;
	}
	if (length >= sizeof(text))
		return length;
	memcpy(text, line, length);
	text[length] = 0;
	text[strcspn(text, "\r\n")] = 0;
	if (!strncasecmp(text, "Content-Type:", 13))
		snprintf(t->type, sizeof(t->type), "%s", text + 13 + strspn(text + 13, " "));
	else if (!strncasecmp(text, "Content-Length:", 15))
		t->length = atoll(text + 15);
	return length;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	if (!t->stream && web_reply_waiting(t->r) > WAITING_MAX) {
		t->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	web_reply_more(t->r, data, size * n);
	t->slow = t->stream && web_reply_waiting(t->r) > STREAM_MAX;
	return t->slow ? 0 : size * n;
}

/* ---- how it ended ---- */

static void no_answer(struct web_request *r, CURLcode code, const char *sock)
{
	switch (code == CURLE_COULDNT_CONNECT ? web_upstream_try(sock) : 0) {
	case -EACCES:
		web_reply_error(r, 503, "permission denied: the agent's socket is for others",
				"end `synstile web` and start it again, as root or as a user in "
				"group synstile");
		return;
	case -ECONNREFUSED:
		web_reply_error(
			r, 503, "the agent does not run",
			"`synstile attach IFACE` starts it; this page tries again by itself");
		return;
	default:
		web_reply_error(r, 503,
				code == CURLE_OPERATION_TIMEDOUT
					? "the agent does not answer within 15 s"
					: "the agent ended its answer before it began",
				"try again; `synstile status` tells how the agent is");
	}
}

static void finish(struct transfer *t, CURLcode code)
{
	struct web_request *r = t->r;
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	web_follow(r, NULL, NULL, NULL);
	if (!t->begun)
		no_answer(r, code, t->up->sock);
	else if (!code || t->head)
		web_reply_end(r);
	else
		web_reply_cut(r);
	if (t->slow)
		debug("a stream was ended: the browser does not take what comes");
	end_transfer(t);
}

static void look_for_ends(struct web_upstream *u)
{
	struct transfer *t;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(u->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		finish(t, message->data.result);
	}
}

static void on_impatient(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	finish(arg, CURLE_OPERATION_TIMEDOUT);
}

/* The browser has gone. */
static void on_closed(void *arg)
{
	end_transfer(arg);
}

/* ... or it has taken all that it was given. */
static void on_drained(void *arg)
{
	struct transfer *t = arg;
	struct web_upstream *u = t->up;

	if (!t->paused)
		return;
	t->paused = false;
	curl_easy_pause(t->easy, CURLPAUSE_CONT);
	look_for_ends(u);
}

/* ---- curl in our loop ---- */

static void on_socket_event(evutil_socket_t fd, short what, void *arg)
{
	struct web_upstream *u = arg;
	int running, flags = 0;

	flags |= what & EV_READ ? CURL_CSELECT_IN : 0;
	flags |= what & EV_WRITE ? CURL_CSELECT_OUT : 0;
	curl_multi_socket_action(u->multi, fd, flags, &running);
	look_for_ends(u);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct web_upstream *u = arg;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(u->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	look_for_ends(u);
}

/* What curl wants to know of a socket from now on. */
static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *mine)
{
	struct web_upstream *u = arg;
	struct event *e = mine;
	short events = EV_PERSIST;

	(void)easy;
	if (e)
		event_free(e);
	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(u->multi, fd, NULL);
		return 0;
	}
	events |= what & CURL_POLL_IN ? EV_READ : 0;
	events |= what & CURL_POLL_OUT ? EV_WRITE : 0;
	e = event_new(u->base, fd, events, on_socket_event, u);
	if (!e || event_add(e, NULL))
		return -1;
	curl_multi_assign(u->multi, fd, e);
	return 0;
}

static int set_timer(CURLM *multi, long ms, void *arg)
{
	const struct timeval t = {ms / 1000, ms % 1000 * 1000};
	struct web_upstream *u = arg;

	(void)multi;
	if (ms < 0)
		evtimer_del(u->timer);
	else
		evtimer_add(u->timer, &t);
	return 0;
}

struct web_upstream *web_upstream_new(struct loop *l, const char *sock)
{
	struct web_upstream *u = calloc(1, sizeof(*u));

	if (!u || curl_global_init(CURL_GLOBAL_NOTHING)) {
		free(u);
		return NULL;
	}
	u->base = loop_base(l);
	u->sock = sock;
	LIST_INIT(&u->all);
	u->timer = evtimer_new(u->base, on_timer, u);
	u->multi = curl_multi_init();
	if (!u->timer || !u->multi) {
		web_upstream_free(u);
		return NULL;
	}
	curl_multi_setopt(u->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(u->multi, CURLMOPT_SOCKETDATA, u);
	curl_multi_setopt(u->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(u->multi, CURLMOPT_TIMERDATA, u);
	curl_multi_setopt(u->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	return u;
}

void web_upstream_free(struct web_upstream *u)
{
	struct transfer *t, *next;

	if (!u)
		return;
	for (t = LIST_FIRST(&u->all); t; t = next) {
		next = LIST_NEXT(t, others);
		end_transfer(t);
	}
	if (u->multi)
		curl_multi_cleanup(u->multi);
	if (u->timer)
		event_free(u->timer);
	curl_global_cleanup();
	free(u);
}

/* ---- asking ---- */

static void pass_field(struct transfer *t, const char *name)
{
	char value[200], line[256];

	if (!web_field(t->r, name, value, sizeof(value)))
		return;
	snprintf(line, sizeof(line), "%s: %s", name, value);
	t->fields = curl_slist_append(t->fields, line);
}

static int set_options(struct transfer *t)
{
	char url[2048];
	int err = format(url, sizeof(url), "http://localhost%s%s%s", web_path(t->r),
			 *web_query(t->r) ? "?" : "", web_query(t->r));

	if (err)
		return err;
	pass_field(t, "Accept");
	pass_field(t, "Last-Event-ID");
	curl_easy_setopt(t->easy, CURLOPT_URL, url);
	curl_easy_setopt(t->easy, CURLOPT_UNIX_SOCKET_PATH, t->up->sock);
	curl_easy_setopt(t->easy, CURLOPT_PROXY, ""); /* whatever the environment says */
	curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT, (long)ANSWER_SECONDS);
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->fields);
	curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_field);
	curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	return 0;
}

static struct transfer *transfer_new(struct web_upstream *u, struct web_request *r)
{
	struct transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	*t = (struct transfer){.up = u, .r = r, .length = -1};
	t->head = !strcmp(web_method(r), "HEAD");
	t->easy = curl_easy_init();
	t->patience = evtimer_new(u->base, on_impatient, t);
	LIST_INSERT_HEAD(&u->all, t, others);
	if (t->easy && t->patience)
		return t;
	end_transfer(t);
	return NULL;
}

void web_upstream_ask(struct web_upstream *u, struct web_request *r)
{
	static const struct timeval patience = {ANSWER_SECONDS, 0};
	struct transfer *t = transfer_new(u, r);

	if (!t) {
		web_reply_error(r, 503, "out of memory", "try again");
	} else if (set_options(t)) {
		fail_clear();
		end_transfer(t);
		web_reply_error(r, 400, "the query is too long", "ask for less");
	} else {
		web_follow(r, on_closed, on_drained, t);
		evtimer_add(t->patience, &patience);
		curl_multi_add_handle(u->multi, t->easy); /* begins by the timer, not now */
	}
}

int web_upstream_try(const char *sock)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = 0;

	if (fd < 0)
		return -errno;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", sock);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) && errno != EAGAIN)
		err = errno == ENOENT ? -ECONNREFUSED : -errno;
	close(fd);
	return err;
}
