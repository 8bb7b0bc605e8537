// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "api_guard.h"
#include "clock.h"
#include "moment.h"

#define ANSWER_SIZE 512

/*
 * A connection, by its descriptor. libevent does not tell when one is gone, and may have opened
 * another one with the same number since: the inode tells.
 */
struct visitor {
	ino_t inode;      /* 0: none */
	u64 since;        /* when it could begin its request, monotonic ns */
	bool busy;        /* its request is being answered */
	bool heard;       /* it has begun one */
	bool root;        /* who it is */
	bool turned_away; /* told so, and shut down */
};

struct api_guard {
	struct loop *loop;
	struct evconnlistener *listener;
	int fd;
	struct sockaddr_un address; /* that connections have on our side */
	struct watch *each_second;
	struct watch *refuse; /* NULL: there is room */
	struct visitor *visitors;
	size_t room;
	unsigned int n; /* connections, or more: look() counts them */
	size_t others_max;
	bool rewriting;
};

/* ---- answers by our own hand ---- */

static int make_answer(char text[ANSWER_SIZE], int code, const char *phrase, const char *error,
		       const char *hint)
{
	char body[ANSWER_SIZE / 2];
	int n = snprintf(body, sizeof(body), "{\"error\":\"%s\",\"hint\":\"%s\"}\n", error, hint);

	return snprintf(text, ANSWER_SIZE,
			"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nConnection: close\r\n"
			"Content-Length: %d\r\n\r\n%s",
			code, phrase, n, body);
}

static void send_answer(int fd, const char *text, int n)
{
	/* if it does not take that, it does not want to hear */
	if (send(fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
	shutdown(fd, SHUT_WR);
}

/* libevent then sees the end of the connection, and cleans up. */
static void turn_away(struct visitor *v, int fd, int code, const char *phrase, const char *error,
		      const char *hint)
{
	char text[ANSWER_SIZE];

	if (v->turned_away)
		return;
	v->turned_away = true;
	if (error)
		send_answer(fd, text, make_answer(text, code, phrase, error, hint));
	shutdown(fd, SHUT_RDWR);
}

/* ---- libevent's error pages ---- */

/* What evhttp_send_error() makes of it: a page of HTML, of the code 0 if it does not know the
 * method. */
static int translate(int code, char text[ANSWER_SIZE])
{
	switch (code) {
	case 0:
	case HTTP_NOTIMPLEMENTED:
		return make_answer(text, HTTP_NOTIMPLEMENTED, "Not Implemented",
				   "there is no such method", "use GET, HEAD, POST or PUT");
	case HTTP_ENTITYTOOLARGE:
		return make_answer(text, code, "Request Entity Too Large",
				   "the request is too long", "docs/api.md tells the limits");
	case HTTP_EXPECTATIONFAILED:
		return make_answer(text, code, "Expectation Failed", "this cannot be expected",
				   "Expect: 100-continue, or nothing");
	default:
		return make_answer(text, HTTP_BADREQUEST, "Bad Request",
				   "the request cannot be understood",
				   "HTTP/1.1: a line such as 'GET /v1/ HTTP/1.1', then headers, 16 "
				   "KB at most");
	}
}

static bool is_error_page(struct evbuffer *out, int *code)
{
	static const char mark[] = "\r\n\r\n<HTML><HEAD>\n<TITLE>", end[] = "</HTML>\n";
	struct evbuffer_ptr found = evbuffer_search(out, mark, strlen(mark), NULL);
	size_t n = evbuffer_get_length(out);
	char tail[sizeof(end)] = "", head[32] = "";
	struct evbuffer_ptr at;

	if (found.pos < 0 || evbuffer_ptr_set(out, &at, n - strlen(end), EVBUFFER_PTR_SET) ||
	    evbuffer_copyout_from(out, &at, tail, strlen(end)) < 0)
		return false;
	evbuffer_copyout(out, head, sizeof(head) - 1);
	return !strcmp(tail, end) && sscanf(head, "HTTP/%*d.%*d %d", code) == 1;
}

/* Nothing is written before the loop goes on: the page can still be exchanged. */
static void on_output(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
	struct api_guard *g = arg;
	char text[ANSWER_SIZE];
	int code, n;

	if (g->rewriting || !info->n_added || evbuffer_get_length(out) > 2 * ANSWER_SIZE ||
	    !is_error_page(out, &code))
		return;
	g->rewriting = true;
	n = translate(code, text);
	evbuffer_unfreeze(out, 1);
	evbuffer_drain(out, evbuffer_get_length(out));
	evbuffer_freeze(out, 1);
	evbuffer_add(out, text, n);
	g->rewriting = false;
}

/* ---- who is there ---- */

static void learn(struct visitor *v, int fd, ino_t inode)
{
	struct ucred peer = {.uid = -1};
	socklen_t size = sizeof(peer);

	*v = (struct visitor){.inode = inode, .since = monotonic_now()};
	v->root = !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && !peer.uid;
}

/* NULL: no memory. */
static struct visitor *visitor_at(struct api_guard *g, int fd)
{
	size_t more = g->room ? g->room : 64;
	struct visitor *bigger;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return NULL;
	while (more <= (size_t)fd)
		more *= 2;
	if (more > g->room) {
		bigger = reallocarray(g->visitors, more, sizeof(*bigger));
		if (!bigger)
			return NULL;
		memset(bigger + g->room, 0, (more - g->room) * sizeof(*bigger));
		g->visitors = bigger;
		g->room = more;
	}
	if (g->visitors[fd].inode != st.st_ino)
		learn(&g->visitors[fd], fd, st.st_ino);
	return &g->visitors[fd];
}

static bool is_visitor(const struct api_guard *g, int fd)
{
	struct sockaddr_un address = {0};
	socklen_t size = sizeof(address);

	return fd > 2 && fd != g->fd && !getsockname(fd, (struct sockaddr *)&address, &size) &&
	       address.sun_family == AF_UNIX &&
	       !strncmp(address.sun_path, g->address.sun_path, sizeof(address.sun_path));
}

static void hurry(struct visitor *v, int fd)
{
	u64 now = monotonic_now();

	if (v->busy || elapsed(now, v->since) < API_REQUEST_SECONDS * NS_PER_SEC)
		return;
	/* one that has said nothing, or nothing more, is not told anything */
	turn_away(v, fd, 408, "Request Timeout",
		  v->heard ? "the request was not complete in time" : NULL,
		  "a request must be sent within 10 s");
}

/* Counts the connections, and ends those that take too long. */
static void look(struct api_guard *g)
{
	DIR *dir = opendir("/proc/self/fd");
	struct visitor *v;
	struct dirent *d;
	int fd;

	if (!dir)
		return;
	g->n = 0;
	while ((d = readdir(dir))) {
		fd = atoi(d->d_name);
		v = is_visitor(g, fd) ? visitor_at(g, fd) : NULL;
		if (!v)
			continue;
		g->n++;
		hurry(v, fd);
	}
	closedir(dir);
}

/* ---- coming ---- */

/* A buffer's callback has one argument, and must know the connection: there is one server. */
static struct api_guard *the_guard;

static void on_too_many(void *arg);

/* Whom libevent does not serve we tell so. */
static void let_in(struct api_guard *g)
{
	if (g->n >= API_CONNECTIONS_MAX && !g->refuse) {
		evconnlistener_disable(g->listener);
		g->refuse = watch_readable(g->loop, g->fd, on_too_many, g);
	} else if (g->n < API_CONNECTIONS_MAX && g->refuse) {
		watch_free(g->refuse);
		g->refuse = NULL;
		evconnlistener_enable(g->listener);
	}
}

static void on_second(void *arg)
{
	struct api_guard *g = arg;

	look(g);
	let_in(g);
}

static void on_too_many(void *arg)
{
	struct api_guard *g = arg;
	char text[ANSWER_SIZE];
	int fd;

	look(g);
	if (g->n < API_CONNECTIONS_MAX) {
		let_in(g);
		return;
	}
	fd = accept4(g->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	send_answer(fd, text,
		    make_answer(text, HTTP_SERVUNAVAIL, "Service Unavailable",
				"too many connections (512)",
				"end some; `ss -xp` shows whose they are"));
	close(fd);
}

/* libevent keeps a body until it is whole, and whatever comes behind it. */
static void on_input(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct bufferevent *bev = arg;
	struct visitor *v;
	int fd = bufferevent_getfd(bev);

	v = info->n_added ? visitor_at(the_guard, fd) : NULL;
	if (!v)
		return;
	v->heard = true;
	if (!v->root && evbuffer_get_length(in) > the_guard->others_max)
		turn_away(v, fd, HTTP_ENTITYTOOLARGE, "Request Entity Too Large",
			  "the request is too long", "only root may send more");
}

static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
	struct api_guard *g = arg;

	if (!bev)
		return NULL;
	evbuffer_add_cb(bufferevent_get_input(bev), on_input, bev);
	evbuffer_add_cb(bufferevent_get_output(bev), on_output, g);
	if (++g->n >= API_CONNECTIONS_MAX)
		look(g);
	let_in(g);
	return bev;
}

static struct visitor *find(struct api_guard *g, struct evhttp_request *req)
{
	return visitor_at(g, bufferevent_getfd(evhttp_connection_get_bufferevent(
				     evhttp_request_get_connection(req))));
}

static void on_answered(struct evhttp_request *req, void *arg)
{
	struct visitor *v = find(arg, req);

	if (!v)
		return;
	v->busy = v->heard = false;
	v->since = monotonic_now();
}

bool api_guard_request(struct api_guard *g, struct evhttp_request *req)
{
	struct visitor *v = find(g, req);

	if (!v)
		return false;
	v->busy = true;
	evhttp_request_set_on_complete_cb(req, on_answered, g);
	return v->root;
}

/* ---- */

struct api_guard *api_guard_new(struct loop *l, struct evhttp *http, int fd, size_t others_max)
{
	struct api_guard *g = calloc(1, sizeof(*g));
	socklen_t size = sizeof(g->address);
	struct evhttp_bound_socket *bound = g ? evhttp_accept_socket_with_handle(http, fd) : NULL;

	if (!bound) {
		close(fd);
		free(g);
		return NULL;
	}
	the_guard = g;
	g->loop = l;
	g->fd = fd;
	getsockname(fd, (struct sockaddr *)&g->address, &size);
	g->others_max = others_max;
	g->listener = evhttp_bound_socket_get_listener(bound);
	g->each_second = watch_timer(l, on_second, g);
	if (!g->each_second) {
		api_guard_free(g);
		return NULL;
	}
	evhttp_set_bevcb(http, on_connection, g);
	watch_every(g->each_second, 1000);
	return g;
}

void api_guard_free(struct api_guard *g)
{
	if (!g)
		return;
	watch_free(g->each_second);
	watch_free(g->refuse);
	free(g->visitors);
	free(g);
}
