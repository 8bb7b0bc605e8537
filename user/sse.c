// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "sse.h"

#define MEDIA_TYPE "text/event-stream"

/* Among others, perhaps with parameters. */
bool sse_wanted(struct evhttp_request *req, const struct evkeyvalq *query)
{
	const char *format = evhttp_find_header(query, "format");
	const char *accept = evhttp_find_header(evhttp_request_get_input_headers(req), "Accept");

	if (format)
		return !strcmp(format, "sse");
	return accept && strcasestr(accept, MEDIA_TYPE);
}

void sse_headers(struct evhttp_request *req, bool sse)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);

	evhttp_add_header(headers, "Content-Type", sse ? MEDIA_TYPE : "application/x-ndjson");
	evhttp_add_header(headers, "Cache-Control", "no-store");
}

void sse_begin(struct evbuffer *to)
{
	evbuffer_add_printf(to, "retry: %d\n\n", SSE_RETRY_MS);
}

#define ID   "id: "
#define TYPE "event: "
#define DATA "\ndata: "

size_t sse_size(const char *type, const char *id, size_t n)
{
	return (id ? strlen(ID) + strlen(id) + 1 : 0) + strlen(TYPE) + strlen(type) + strlen(DATA) +
	       n + 2;
}

/* By hand: there may be 100,000 in a second. */
void sse_write(char *to, const char *type, const char *id, const char *data, size_t n)
{
	if (id) {
		to = mempcpy(to, ID, strlen(ID));
		to = mempcpy(to, id, strlen(id));
		*to++ = '\n';
	}
	to = mempcpy(to, TYPE, strlen(TYPE));
	to = mempcpy(to, type, strlen(type));
	to = mempcpy(to, DATA, strlen(DATA));
	to = mempcpy(to, data, n);
	to[0] = to[1] = '\n';
}

void sse_event(struct evbuffer *to, const char *type, const char *id, const char *data, size_t n)
{
	struct evbuffer_iovec room;
	size_t size = sse_size(type, id, n);

	if (evbuffer_reserve_space(to, size, &room, 1) != 1)
		return;
	sse_write(room.iov_base, type, id, data, n);
	room.iov_len = size;
	evbuffer_commit_space(to, &room, 1);
}
