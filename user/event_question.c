// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "backlog.h"
#include "event_question.h"
#include "log.h"
#include "question.h"
#include "sse.h"

static int parse_after(struct event_question *q, const char *text)
{
	q->resumes = event_id_parse(text, &q->after);
	return q->resumes ? 0 : fail(EINVAL, "after=%.60s: the id of an event is expected", text);
}

static int parse_parameter(struct event_question *q, const char *name, const char *value)
{
	if (!strcmp(name, "type"))
		return event_filter_types(&q->filter, value);
	if (!strcmp(name, "port"))
		return event_filter_port(&q->filter, value);
	if (!strcmp(name, "host"))
		return event_filter_host(&q->filter, value);
	if (!strcmp(name, "flow"))
		return event_filter_flow(&q->filter, value);
	if (!strcmp(name, "service"))
		return event_filter_service(&q->filter, value);
	if (!strcmp(name, "backlog"))
		return question_count(name, value, BACKLOG_MAX + BACKLOG_LINES, &q->backlog);
	if (!strcmp(name, "after"))
		return parse_after(q, value);
	if (!strcmp(name, "follow"))
		return question_switch(name, value, &q->follow);
	return strcmp(name, "format") ? fail(EINVAL, "no parameter \"%.40s\"", name) : 0;
}

/* What a browser that connects again sends. One that is no id of ours is of another life. */
static void take_last_id(struct event_question *q, struct evhttp_request *req)
{
	const char *text =
		evhttp_find_header(evhttp_request_get_input_headers(req), "Last-Event-ID");

	if (!text || !*text)
		return;
	if (!event_id_parse(text, &q->after))
		q->after = (struct event_id){"", 0};
	q->resumes = true;
}

int event_question_parse(struct event_question *q, struct evhttp_request *req,
			 const struct evkeyvalq *query)
{
	const struct evkeyval *pair;
	int err = 0;

	*q = (struct event_question){.follow = true, .sse = sse_wanted(req, query)};
	for (pair = query->tqh_first; pair && !err; pair = pair->next.tqe_next)
		err = parse_parameter(q, pair->key, pair->value);
	take_last_id(q, req);
	return err;
}
