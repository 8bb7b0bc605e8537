// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>

#include "clock.h"
#include "history.h"
#include "history_ring.h"
#include "log.h"
#include "moment.h"

#define GRACE   60                /* rows: see history_ring_track() */
#define STEP_NS (100 * NS_PER_MS) /* beyond it the clock was set, and did not only drift */

struct history {
	const struct instance *in;
	const struct rates *rates;
	struct history_ring ring;
	u64 when;                        /* of the last row: rates_when() */
	u32 life[SYNSTILE_MAX_SERVICES]; /* rates_life() of what is in the ring */
	s64 offset; /* from monotonic ns to those since 1970; kept, so that rows keep their time */
};

struct history *history_new(const struct instance *in, const struct rates *r)
{
	struct history *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->in = in;
	h->rates = r;
	if (!history_ring_init(&h->ring, HISTORY_SECONDS, 1 + HISTORY_SERVICES))
		return h;
	free(h);
	return NULL;
}

void history_free(struct history *h)
{
	if (h)
		history_ring_free(&h->ring);
	free(h);
}

/* ---- each second ---- */

static u32 narrow(u64 n)
{
	return n < UINT32_MAX ? n : UINT32_MAX - 1;
}

static void make_row(struct history_row *row, const struct rate *r)
{
	row->n[HISTORY_SYNS] = narrow(r->per_s[LOAD_SYNS]);
	row->n[HISTORY_COOKIES] = narrow(r->per_s[LOAD_COOKIES]);
	row->n[HISTORY_VALIDATED] = narrow(r->per_s[LOAD_VALIDATED]);
	row->n[HISTORY_COMPLETED] = narrow(r->per_s[LOAD_COMPLETED]);
	row->n[HISTORY_DROPPED] = narrow(r->per_s[LOAD_DROPPED]);
	row->n[HISTORY_HALF_OPEN] = r->half_open;
	row->n[HISTORY_KERNEL] = r->kernel_half_open;
	row->n[HISTORY_ATTACKED] = r->attacked;
}

static bool is_active(const struct rate *r)
{
	int k;

	for (k = 0; k < LOAD_KINDS; k++)
		if (r->per_s[k])
			return true;
	return r->half_open;
}

static void note_service(struct history *h, u16 i, const struct rate *r)
{
	struct history_track *t = history_ring_find(&h->ring, i);
	struct history_row row;

	if (t && h->life[i] != rates_life(h->rates, i))
		history_ring_forget(t);
	h->life[i] = rates_life(h->rates, i);
	t = history_ring_track(&h->ring, i, is_active(r), r->attacked, GRACE);
	if (!t)
		return;
	make_row(&row, r);
	history_ring_put(&h->ring, t, &row);
}

void history_each_second(struct history *h)
{
	struct history_row row;
	struct rate r;
	u16 i;

	if (rates_when(h->rates) == h->when || !rates_of(h->rates, RATES_ALL, &r))
		return;
	h->when = rates_when(h->rates);
	history_ring_next(&h->ring, h->when);
	make_row(&row, &r);
	row.n[HISTORY_DROPPED] = narrow(rates_dropped(h->rates));
	history_ring_put(&h->ring, &h->ring.at[RATES_ALL], &row);
	for (i = 1; i < rates_end(h->rates); i++)
		if (rates_of(h->rates, i, &r))
			note_service(h, i, &r);
}

/* ---- the answer ---- */

/* The clocks drift apart by little, and then by a step when somebody sets one. */
static void follow_clock(struct history *h)
{
	struct moment now = moment_now();
	s64 offset = now.real - now.monotonic;

	if (llabs(offset - h->offset) > (s64)STEP_NS)
		h->offset = offset;
}

static u64 row_ms(const struct history *h, u64 row)
{
	return (h->ring.when[row % h->ring.rows] + h->offset) / NS_PER_MS;
}

static void add_head(struct evbuffer *b, const struct history *h)
{
	static const char *const columns[] = {
#define X(id, name) name,
		HISTORY_COLUMNS(X)
#undef X
	};
	struct moment now = moment_now();
	char at[TIMESTAMP_SIZE];
	json_t *instance = json_string(h->in->name);
	char *quoted = json_dumps(instance, JSON_ENCODE_ANY);
	size_t i;

	evbuffer_add_printf(b,
			    "{\"schema\":1,\"instance\":%s,\"timestamp\":\"%s\",\"step_ms\":1000,"
			    "\"columns\":[\"t\"",
			    quoted ? quoted : "null", moment_timestamp(&now, now.monotonic, at));
	for (i = 0; i < HISTORY_WIDTH; i++)
		evbuffer_add_printf(b, ",\"%s\"", columns[i]);
	evbuffer_add_printf(b, "],\"rows\":[");
	free(quoted);
	json_decref(instance);
}

/* Without printf, which would take most of the time of an answer. Returns its end. */
static char *put_number(char *to, u64 n)
{
	char digits[20];
	int i = 0;

	do {
		digits[i++] = '0' + n % 10;
		n /= 10;
	} while (n);
	while (i)
		*to++ = digits[--i];
	return to;
}

static void add_row(struct evbuffer *b, u64 ms, const struct history_row *row, bool first)
{
	char line[(1 + HISTORY_WIDTH) * 21 + 4], *to = line;
	int i;

	if (!first)
		*to++ = ',';
	*to++ = '[';
	to = put_number(to, ms);
	for (i = 0; i < HISTORY_WIDTH; i++) {
		*to++ = ',';
		to = row->n[i] == HISTORY_UNKNOWN ? stpcpy(to, "null") : put_number(to, row->n[i]);
	}
	*to++ = ']';
	evbuffer_add(b, line, to - line);
}

static void add_rows(struct evbuffer *b, const struct history *h, const struct history_track *t,
		     u64 since)
{
	u64 row = history_ring_begin(&h->ring, t);
	const struct history_row *found;
	bool first = true;

	for (; row < h->ring.count; row++) {
		found = history_ring_at(&h->ring, t, row);
		if (!found || row_ms(h, row) <= since)
			continue;
		add_row(b, row_ms(h, row), found, first);
		first = false;
	}
}

/* NULL: answered with why not. */
static const struct history_track *find_track(struct history *h, struct evhttp_request *req,
					      const char *name)
{
	const struct history_track *t = NULL;
	const struct service *s = NULL;
	u16 i;

	if (!name)
		return &h->ring.at[RATES_ALL];
	for (i = 1; !s && i < rates_end(h->rates); i++) {
		s = rates_service(h->rates, i);
		if (s && strcmp(s->name, name))
			s = NULL;
		if (s)
			t = history_ring_find(&h->ring, i);
	}
	if (!s)
		api_error(req, HTTP_NOTFOUND, "there is no service of this name",
			  "GET /v1/services lists them");
	else if (!t)
		api_error(req, HTTP_NOTFOUND, "this service has no history",
			  "it has had no traffic since the agent began, or too many others have: "
			  "ask without service=");
	return t;
}

static bool read_since(struct evhttp_request *req, const char *text, u64 *since)
{
	char *end;

	*since = 0;
	if (!text)
		return true;
	errno = 0;
	*since = strtoull(text, &end, 10);
	if (isdigit((unsigned char)*text) && !*end && !errno)
		return true;
	api_error(req, HTTP_BADREQUEST, "since= is not a time",
		  "milliseconds since 1970, such as the t of the last row: since=1763843718749");
	return false;
}

void history_get(struct history *h, struct evhttp_request *req, const struct evkeyvalq *query)
{
	const struct history_track *t;
	struct evbuffer *b;
	u64 since;

	if (!read_since(req, evhttp_find_header(query, "since"), &since))
		return;
	t = find_track(h, req, evhttp_find_header(query, "service"));
	if (!t)
		return;
	b = evbuffer_new();
	if (!b) {
		api_error(req, HTTP_INTERNAL, "no memory", "try again");
		return;
	}
	follow_clock(h);
	add_head(b, h);
	add_rows(b, h, t, since);
	evbuffer_add(b, "]}\n", 3);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type",
			  "application/json");
	evhttp_send_reply(req, HTTP_OK, NULL, b);
	evbuffer_free(b);
}
