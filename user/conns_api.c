// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "conn_json.h"
#include "conns_api.h"
#include "conns_page.h"
#include "event_filter.h"
#include "half_open_doc.h"
#include "log.h"

/* ---- the question ---- */

struct question {
	const struct maps *maps;
	struct conn_filter filter;
	enum conn_sort sort;
	u64 limit, least, most;
	struct conn_cursor cursor;
};

static int parse_number(const char *name, const char *text, u64 least, u64 most, u64 *n)
{
	char *end;

	errno = 0;
	*n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || *n < least || *n > most)
		return fail(EINVAL, "%s=%.40s: not a number from %llu to %llu", name, text, least,
			    most);
	return 0;
}

static int parse_service(struct question *q, const char *text)
{
	struct service_names names;
	u16 i;

	service_names_read(&names, q->maps);
	q->filter.by_service = true;
	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		q->filter.service = i;
		if (service_name(&names, i) && !strcmp(service_name(&names, i), text))
			return 0;
	}
	return fail(ENOENT, "no service \"%.40s\"", text);
}

static int parse_end(struct question *q, const char *name, const char *text)
{
	struct event_filter f = {0};
	int err = *name == 'p' ? event_filter_port(&f, text) : event_filter_host(&f, text);

	if (*name == 'p') {
		q->filter.port = f.port;
	} else {
		q->filter.by_host = true;
		q->filter.host = f.host;
	}
	return err;
}

static int parse_parameter(struct question *q, const char *name, const char *text)
{
	u64 flag;
	int err;

	if (!strcmp(name, "half_open")) {
		err = parse_number(name, text, 0, 1, &flag);
		q->filter.half_open = flag;
		return err;
	}
	if (!strcmp(name, "state")) {
		q->filter.by_state = true;
		return conn_state_parse(text, &q->filter.state);
	}
	if (!strcmp(name, "port") || !strcmp(name, "host"))
		return parse_end(q, name, text);
	if (!strcmp(name, "service"))
		return parse_service(q, text);
	if (!strcmp(name, "flow_id"))
		return parse_number(name, text, 1, 1ULL << 53, &q->filter.flow_id);
	if (!strcmp(name, "sort"))
		return conn_sort_parse(text, &q->sort);
	if (!strcmp(name, "limit"))
		return parse_number(name, text, q->least, q->most, &q->limit);
	if (!strcmp(name, "cursor"))
		return conn_cursor_parse(text, &q->cursor);
	return fail(EINVAL, "no parameter \"%.40s\"", name);
}

static int parse(struct question *q, const struct evkeyvalq *query, const char *but)
{
	const struct evkeyval *pair;
	int err = 0;

	for (pair = query->tqh_first; pair && !err; pair = pair->next.tqe_next)
		if (!but || strcmp(pair->key, but))
			err = parse_parameter(q, pair->key, pair->value);
	if (!err && q->cursor.set && q->cursor.sort != q->sort)
		err = fail(EINVAL, "the cursor is of a list in another order");
	return err;
}

static void refuse(struct evhttp_request *req, int err, const char *hint)
{
	const char *reason = fail_reason(err);

	if (err == -ENOENT)
		api_error(req, HTTP_NOTFOUND, reason, "GET /v1/services lists what there is");
	else /* in words that a command's option has too */
		api_error(req, HTTP_BADREQUEST, reason + strspn(reason, "-"), hint);
	fail_clear();
}

/* ---- /v1/conns ---- */

struct page_answer {
	struct conn_page page;
	struct service_names names;
	size_t next;
};

static int look_page(void *arg, u64 ns)
{
	struct page_answer *a = arg;

	return conn_page_read(&a->page, ns);
}

static json_t *next_conn(void *arg)
{
	struct page_answer *a = arg;
	struct moment now = moment_now();

	if (a->next >= a->page.pick.list.n)
		return NULL;
	return conn_json(&a->page.pick.list.at[a->next++], &a->names, &now);
}

static json_t *page_tail(void *arg)
{
	const struct page_answer *a = arg;
	const struct conn_page *p = &a->page;
	char cursor[CURSOR_SIZE];

	if (p->next.set)
		conn_cursor_text(&p->next, cursor);
	return json_pack("{s:o, s:s?}", "total",
			 p->counted ? json_integer(p->pick.list.matched) : json_null(), "cursor",
			 p->next.set ? cursor : NULL);
}

static void free_page(void *arg)
{
	struct page_answer *a = arg;

	conn_page_free(&a->page);
	free(a);
}

void conns_api_get(struct list_api *l, const struct maps *m, struct evhttp_request *req,
		   const struct evkeyvalq *query)
{
	static const struct list_source source = {look_page, next_conn, page_tail, free_page};
	struct question q = {.maps = m, .limit = CONNS_PAGE, .least = 1, .most = CONNS_PAGE_MAX};
	struct page_answer *a;
	int err = parse(&q, query, NULL);

	if (err) {
		refuse(req, err,
		       "parameters: half_open=1 state=S port=N host=ADDRESS service=NAME "
		       "flow_id=N sort=age|bytes|rtx|newest limit=N cursor=C");
		return;
	}
	a = calloc(1, sizeof(*a));
	if (!a) {
		api_error(req, HTTP_INTERNAL, "out of memory", "try again");
		return;
	}
	a->page = (struct conn_page){.maps = m,
				     .filter = q.filter,
				     .pick = {.sort = q.sort, .limit = q.limit},
				     .from = q.cursor};
	service_names_read(&a->names, m);
	list_api_answer(l, req, &source, a);
}

/* ---- /v1/half-open?list=1 ---- */

struct half_open_answer {
	struct half_open_doc *doc;
	json_t *over_time;
};

static int look_half_open(void *arg, u64 ns)
{
	struct half_open_answer *a = arg;

	return half_open_doc_look(a->doc, ns);
}

static json_t *next_half_open(void *arg)
{
	struct half_open_answer *a = arg;

	return half_open_doc_next(a->doc);
}

static json_t *half_open_tail(void *arg)
{
	struct half_open_answer *a = arg;
	json_t *tail = half_open_doc_tail(a->doc);

	json_object_set(tail, "over_time", a->over_time);
	return tail;
}

static void free_half_open(void *arg)
{
	struct half_open_answer *a = arg;

	half_open_doc_free(a->doc);
	json_decref(a->over_time);
	free(a);
}

bool conns_api_wants_list(const struct evkeyvalq *query)
{
	const char *list = evhttp_find_header(query, "list");

	return list && !strcmp(list, "1");
}

void conns_api_get_half_open(struct list_api *l, const struct maps *m, json_t *over_time,
			     struct evhttp_request *req, const struct evkeyvalq *query)
{
	static const struct list_source source = {look_half_open, next_half_open, half_open_tail,
						  free_half_open};
	struct question q = {.maps = m, .limit = CONNS_PAGE, .most = UINT32_MAX};
	struct half_open_answer *a;
	int err = parse(&q, query, "list");

	if (!err && (q.cursor.set || q.filter.half_open))
		err = fail(EINVAL, "this list has no cursor, and is half-open anyway");
	if (err) {
		json_decref(over_time);
		refuse(req, err,
		       "parameters: list=1 state=S port=N host=ADDRESS service=NAME flow_id=N "
		       "sort=age|bytes|rtx|newest limit=N");
		return;
	}
	a = calloc(1, sizeof(*a));
	if (a) {
		a->over_time = over_time;
		a->doc = half_open_doc_new(m, &q.filter, q.sort, q.limit);
	}
	if (a && a->doc) {
		list_api_answer(l, req, &source, a);
		return;
	}
	json_decref(over_time);
	free(a);
	api_error(req, HTTP_INTERNAL, "out of memory", "try again");
}
