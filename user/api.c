// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "api.h"
#include "api_guard.h"
#include "log.h"
#include "moment.h"

#define REQUEST_SECONDS (API_REQUEST_SECONDS + 5) /* the guard comes first, and says why */
#define HEADERS_MAX     16384
#define BODY_MAX        65536
#define BACKLOG         512 /* all that may subscribe at once: whoever does not wait is refused */
#define STREAM_WRITE    (256 << 10) /* bytes in one write */
#define STREAM_INPUT    4096        /* bytes that may come and nobody reads */

struct api {
	struct evhttp *http;
	struct api_guard *guard;
	const struct api_route *routes;
	void *arg;
};

json_t *api_head(const char *instance)
{
	struct moment now = moment_now();
	char stamp[TIMESTAMP_SIZE];

	return json_pack("{s:i, s:s, s:s}", "schema", API_SCHEMA, "instance", instance, "timestamp",
			 moment_timestamp(&now, now.monotonic, stamp));
}

bool api_is_head(struct evhttp_request *req)
{
	return evhttp_request_get_command(req) == EVHTTP_REQ_HEAD;
}

void api_reply(struct evhttp_request *req, int code, json_t *body)
{
	struct evbuffer *buf = evbuffer_new();
	char *text = json_dumps(body, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));

	json_decref(body);
	if (buf && !api_is_head(req))
		evbuffer_add_printf(buf, "%s\n",
				    text ? text
					 : "{\"error\":\"out of memory\",\"hint\":\"try again\"}");
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type",
			  "application/json");
	evhttp_send_reply(req, text ? code : HTTP_INTERNAL, NULL, buf);
	free(text);
	if (buf)
		evbuffer_free(buf);
}

/* What a question had in it may be no UTF-8, or cut in the midst of a character. */
static json_t *text_json(const char *text)
{
	json_t *j = json_string(text);
	char plain[1024];
	size_t i;

	if (j)
		return j;
	snprintf(plain, sizeof(plain), "%s", text);
	for (i = 0; plain[i]; i++)
		if ((unsigned char)plain[i] >= 0x80)
			plain[i] = '?';
	return json_string(plain);
}

void api_error(struct evhttp_request *req, int code, const char *error, const char *hint)
{
	api_reply(req, code,
		  json_pack("{s:o, s:o}", "error", text_json(error), "hint",
			    text_json(hint ? hint : "GET /v1/ lists what there is")));
}

static struct bufferevent *channel(struct evhttp_request *req)
{
	return evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
}

void api_stream_begin(struct evhttp_request *req,
		      void (*closed)(struct evhttp_connection *con, void *arg), void *arg)
{
	struct bufferevent *bev = channel(req);

	evhttp_send_reply_start(req, HTTP_OK, NULL);
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), closed, arg);
	bufferevent_set_timeouts(bev, NULL, NULL);
	bufferevent_set_max_single_write(bev, STREAM_WRITE);
	/* reading tells that the other side is gone */
	bufferevent_setwatermark(bev, EV_READ, 0, STREAM_INPUT);
	bufferevent_enable(bev, EV_READ);
}

static const struct timeval request_time = {REQUEST_SECONDS, 0};
static const struct timeval answer_time = {API_REQUEST_SECONDS, 0};

void api_stream_bounded(struct evhttp_request *req)
{
	bufferevent_set_timeouts(channel(req), NULL, &answer_time);
}

void api_stream_end(struct evhttp_request *req)
{
	struct bufferevent *bev = channel(req);

	evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
	bufferevent_set_timeouts(bev, &request_time, &request_time);
	bufferevent_setwatermark(bev, EV_READ, 0, 0);
	evhttp_send_reply_end(req);
}

/* libevent ends the process (evhttp_read_cb()) if anything comes before the answer to what has no
 * body. */
void api_defer(struct evhttp_request *req, void (*closed)(struct evhttp_connection *con, void *arg),
	       void *arg)
{
	bufferevent_disable(channel(req), EV_READ);
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), closed, arg);
}

void api_resume(struct evhttp_request *req)
{
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
}

size_t api_stream_waiting(struct evhttp_request *req)
{
	return evbuffer_get_length(bufferevent_get_output(channel(req)));
}

json_t *api_body(struct evhttp_request *req)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	size_t n = evbuffer_get_length(in);
	const char *text = n ? (const char *)evbuffer_pullup(in, -1) : NULL;
	json_error_t problem = {.text = "there is nothing"};
	json_t *body = text ? json_loadb(text, n, 0, &problem) : NULL;

	if (!body)
		api_error(req, HTTP_BADREQUEST, "the request is not JSON", problem.text);
	return body;
}

typedef void (*handler_fn)(struct evhttp_request *req, const struct evkeyvalq *query, void *arg);

#define METHODS 3
static const char *const methods[METHODS] = {"GET", "POST", "PUT"};

/* `r` may be the end of the routes: the list of them, which is read. */
static bool has_method(const struct api_route *r, int method)
{
	const handler_fn all[METHODS] = {r->get, r->post, r->put};

	return r->path ? all[method] != NULL : method == 0;
}

static int method_of(const struct evhttp_request *req)
{
	switch (evhttp_request_get_command(req)) {
	case EVHTTP_REQ_GET:
	case EVHTTP_REQ_HEAD:
		return 0;
	case EVHTTP_REQ_POST:
		return 1;
	case EVHTTP_REQ_PUT:
		return 2;
	default:
		return -1;
	}
}

static void list_routes(const struct api *a, struct evhttp_request *req)
{
	const struct api_route *r;
	json_t *list = json_array();
	int m;

	for (r = a->routes; r->path; r++)
		for (m = 0; m < METHODS; m++)
			if (has_method(r, m))
				json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "path",
								      r->path, "method", methods[m],
								      "summary", r->summary));
	api_reply(req, HTTP_OK,
		  json_pack("{s:i, s:s, s:o}", "schema", API_SCHEMA, "version", VERSION, "routes",
			    list));
}

static void refuse_method(struct evhttp_request *req, const struct api_route *r)
{
	char allowed[32] = "", hint[64];
	int m;

	for (m = 0; m < METHODS; m++)
		if (has_method(r, m))
			strcat(strcat(allowed, allowed[0] ? ", " : ""), methods[m]);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Allow", allowed);
	snprintf(hint, sizeof(hint), "use %s", allowed);
	api_error(req, HTTP_BADMETHOD,
		  has_method(r, 0) ? "this can be read only" : "this is done, not read", hint);
}

static void answer(const struct api *a, struct evhttp_request *req, const struct api_route *r,
		   int method, const char *query)
{
	const handler_fn all[METHODS] = {r->get, r->post, r->put};
	struct evkeyvalq parsed = {0};

	if (r->endless && api_is_head(req))
		evhttp_send_reply(req, HTTP_OK, NULL, NULL);
	else if (query && evhttp_parse_query_str(query, &parsed))
		api_error(req, HTTP_BADREQUEST, "the query cannot be understood",
			  "write ?name=value&name=value");
	else
		all[method](req, &parsed, a->arg);
	if (parsed.tqh_first)
		evhttp_clear_headers(&parsed);
}

static void refuse_user(struct evhttp_request *req)
{
	api_error(req, 403, "only root may change anything: others of the group may read",
		  "use sudo");
}

static void dispatch(const struct api *a, struct evhttp_request *req, const char *path,
		     const char *query, bool root)
{
	const struct api_route *r = a->routes;
	int method = method_of(req);

	while (r->path && strcmp(r->path, path))
		r++;
	if (!r->path && strcmp(path, "/v1/"))
		api_error(req, HTTP_NOTFOUND, "there is nothing at this path", NULL);
	else if (method < 0 || !has_method(r, method))
		refuse_method(req, r);
	else if (method && !root)
		refuse_user(req);
	else if (evbuffer_get_length(evhttp_request_get_input_buffer(req)) >
		 (r->body_max ? r->body_max : BODY_MAX))
		api_error(req, HTTP_ENTITYTOOLARGE, "the request is too long", NULL);
	else if (!r->path)
		list_routes(a, req);
	else
		answer(a, req, r, method, query);
}

static void on_request(struct evhttp_request *req, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	struct api *a = arg;
	bool root = api_guard_request(a->guard, req);

	dispatch(a, req, path ? path : "", uri ? evhttp_uri_get_query(uri) : NULL, root);
}

/* Without the group it is root's alone. */
static void give_to_group(const char *path)
{
	const struct group *g = getgrnam(API_GROUP);

	if (g && chown(path, -1, g->gr_gid))
		warn("cannot give %s to the group %s: %s; only root can read the API", path,
		     API_GROUP, strerror(errno));
}

static int listen_at(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd, err = format(at.sun_path, sizeof(at.sun_path), "%s", path);
	mode_t mask;

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(errno, "cannot create a unix socket: %s", strerror(errno));
	unlink(path); /* of an agent that was killed: only one runs at a time */
	mask = umask(0117);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, BACKLOG)) {
		err = fail(errno, "cannot listen at %s: %s", path, strerror(errno));
		close(fd);
	}
	umask(mask);
	if (!err)
		give_to_group(path);
	return err ? err : fd;
}

void api_free(struct api *a)
{
	if (!a)
		return;
	if (a->http)
		evhttp_free(a->http);
	api_guard_free(a->guard);
	free(a);
}

struct api *api_new(struct loop *l, const char *path, const struct api_route *routes, void *arg)
{
	struct api *a = calloc(1, sizeof(*a));
	int fd = listen_at(path);

	if (a && fd >= 0)
		a->http = evhttp_new(loop_base(l));
	if (a && a->http)
		a->guard = api_guard_new(l, a->http, fd, BODY_MAX + HEADERS_MAX);
	else if (fd >= 0)
		close(fd);
	if (!a || !a->guard) {
		api_free(a);
		return NULL;
	}
	a->routes = routes;
	a->arg = arg;
	/* all of them: we, not libevent, say no, in JSON */
	evhttp_set_allowed_methods(a->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
						    EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
						    EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
						    EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
	evhttp_set_max_headers_size(a->http, HEADERS_MAX);
	evhttp_set_max_body_size(a->http, API_BODY_MAX); /* it has one for all: see dispatch() */
	evhttp_set_timeout(a->http, REQUEST_SECONDS);
	evhttp_set_gencb(a->http, on_request, a);
	return a;
}
