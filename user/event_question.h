/* SPDX-License-Identifier: GPL-2.0-only */
/* What someone who reads /v1/events asks for. */
#ifndef SYNSTILE_USER_EVENT_QUESTION_H
#define SYNSTILE_USER_EVENT_QUESTION_H

#include "event_filter.h"
#include "event_id.h"

struct evhttp_request;
struct evkeyvalq;

struct event_question {
	struct event_filter filter;
	u64 backlog; /* how many of before */
	bool follow, sse;
	bool resumes; /* behind `after`, whatever `backlog` says */
	struct event_id after;
};

#define EVENT_PARAMETERS                                                                           \
	"type=A,B port=N host=ADDRESS flow=FLOW_ID service=NAME backlog=N after=ID follow=0|1 "    \
	"format=sse|json"

/* -EINVAL with a reason. */
int event_question_parse(struct event_question *q, struct evhttp_request *req,
			 const struct evkeyvalq *query);

#endif
