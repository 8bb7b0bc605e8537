// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "top.h"
#include "top_text.h"

#define LABEL_W   18
#define TEXT_SIZE 64

/* What is known of each end, line by line. */
enum fact {
	FACT_STATE,
	FACT_SINCE,
	FACT_HEARD,
	FACT_ISN,
	FACT_OPTIONS,
	FACT_SYNS,
	FACT_BYTES,
	FACT_RTX,
	FACT_KEEPALIVES,
	FACT_COUNT
};

static const char *const labels[FACT_COUNT] = {
	[FACT_STATE] = "state",
	[FACT_SINCE] = "since",
	[FACT_HEARD] = "last heard",
	[FACT_ISN] = "ISN",
	[FACT_OPTIONS] = "MSS, window scale",
	[FACT_SYNS] = "SYN, SYN-ACK",
	[FACT_BYTES] = "bytes, segments",
	[FACT_RTX] = "retransmissions",
	[FACT_KEEPALIVES] = "keepalives",
};

static const char *text_of(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

static s64 number_of(const json_t *j, const char *key)
{
	const json_t *n = json_object_get(j, key);

	return json_is_integer(n) ? json_integer_value(n) : UNKNOWN_NUMBER;
}

/* All its digits: here is room. */
static void whole(const json_t *j, const char *key, char buf[TEXT_SIZE])
{
	s64 n = number_of(j, key);

	if (n < 0)
		snprintf(buf, TEXT_SIZE, "-");
	else
		snprintf(buf, TEXT_SIZE, "%lld", (long long)n);
}

/* ---- both ends ---- */

static void at_and_age(const json_t *j, const char *at, const char *ms, char buf[TEXT_SIZE])
{
	char clock[AGE_SIZE], age[AGE_SIZE];
	s64 t = timestamp_ms(text_of(j, at));

	if (t < 0)
		snprintf(buf, TEXT_SIZE, "-");
	else
		snprintf(buf, TEXT_SIZE, "%s, %s ago", clock_text(t, clock),
			 age_short(number_of(j, ms), age));
}

static void two(const json_t *j, const char *a, const char *b, const char *between,
		char buf[TEXT_SIZE])
{
	char first[TEXT_SIZE], second[TEXT_SIZE];

	whole(j, a, first);
	whole(j, b, second);
	snprintf(buf, TEXT_SIZE, "%.24s%s%.24s", first, between, second);
}

static void fact_text(const json_t *tcp, const char *end, enum fact fact, char buf[TEXT_SIZE])
{
	const json_t *j = json_object_get(tcp, end);
	const bool client = !strcmp(end, "client");
	const char *state;

	switch (fact) {
	case FACT_STATE:
		state = text_of(tcp, client ? "client_state" : "server_state");
		snprintf(buf, TEXT_SIZE, "%s", state ? state : "unknown");
		break;
	case FACT_SINCE:
		at_and_age(j, "entered", "in_state_ms", buf);
		break;
	case FACT_HEARD:
		at_and_age(j, "last_heard", "last_heard_ms", buf);
		break;
	case FACT_ISN:
		whole(j, "isn", buf);
		break;
	case FACT_OPTIONS:
		two(j, "mss", "wscale", ", ", buf);
		break;
	case FACT_SYNS:
		whole(j, client ? "syns" : "syn_acks", buf);
		break;
	case FACT_BYTES:
		two(j, "bytes", "segments", ", ", buf);
		break;
	case FACT_RTX:
		whole(j, "retransmissions", buf);
		break;
	default:
		two(j, "keepalives", "keepalives_unanswered", ", unanswered ", buf);
	}
}

static void end_text(const json_t *conn, const char *ip, const char *port, char buf[TEXT_SIZE])
{
	const char *address = text_of(conn, ip);

	snprintf(buf, TEXT_SIZE, address && strchr(address, ':') ? "[%s]:%lld" : "%s:%lld",
		 address ? address : "?", (long long)number_of(conn, port));
}

static enum style state_style(const char *state)
{
	if (!strcmp(state, "ESTABLISHED"))
		return STYLE_CALM;
	return !strncmp(state, "SYN-", 4) ? STYLE_HALF_OPEN : STYLE_BOLD;
}

/* Returns the line below. */
static int draw_ends(const json_t *conn, struct canvas *c, const struct rect *r, int y)
{
	const json_t *tcp = json_object_get(conn, "tcp");
	const int w = (r->w - LABEL_W - 3) / 2, left = r->x + LABEL_W + 2, right = left + w + 1;
	char client[TEXT_SIZE], server[TEXT_SIZE];
	int i;

	end_text(conn, "src_ip", "src_port", client);
	end_text(conn, "dest_ip", "dest_port", server);
	canvas_printf(c, y, left, w, STYLE_HEAD, "CLIENT %s", client);
	canvas_printf(c, y++, right, w, STYLE_HEAD, "SERVER %s", server);
	for (i = 0; i < FACT_COUNT && y < r->y + r->h; i++, y++) {
		fact_text(tcp, "client", i, client);
		fact_text(tcp, "server", i, server);
		canvas_text(c, y, r->x + 1, LABEL_W, STYLE_DIM, labels[i]);
		canvas_text(c, y, left, w, i ? STYLE_PLAIN : state_style(client), client);
		canvas_text(c, y, right, w, i ? STYLE_PLAIN : state_style(server), server);
	}
	return y;
}

/* ---- the connection ---- */

static void draw_options(const json_t *tcp, struct canvas *c, const struct rect *r, int y)
{
	static const char *const names[][2] = {{"sack", "SACK"},
					       {"timestamps", "timestamps"},
					       {"window_scale", "window scale"},
					       {"ecn", "ECN"}};
	const json_t *options = json_object_get(tcp, "options");
	const bool agreed = json_is_true(json_object_get(options, "agreed"));
	int x = r->x + LABEL_W + 2;
	size_t i;

	canvas_text(c, y, r->x + 1, LABEL_W, STYLE_DIM, agreed ? "options" : "options offered");
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const json_t *j = json_object_get(options, names[i][0]);
		const bool on = json_is_true(j);

		x += canvas_printf(c, y, x, r->x + r->w - x, on ? STYLE_CALM : STYLE_DIM, "%s %s",
				   names[i][1],
				   on                   ? "yes"
				   : json_is_boolean(j) ? "no"
							: "?");
		x += 2;
	}
}

static void draw_more(const json_t *conn, struct canvas *c, const struct rect *r, int y)
{
	const json_t *j = json_object_get(conn, "synstile");
	const char *service = text_of(j, "service"), *admission = text_of(j, "admission");
	const char *phase = text_of(j, "phase"), *end = text_of(j, "end");
	s64 rtt = number_of(j, "handshake_rtt_us");
	char age[AGE_SIZE];
	int x = r->x + LABEL_W + 2;

	canvas_text(c, y, r->x + 1, LABEL_W, STYLE_DIM, "connection");
	x += canvas_printf(c, y, x, r->x + r->w - x, STYLE_PLAIN,
			   "service %s, %s, admitted: %s, age %s", service ? service : "none",
			   phase ? phase : "?", admission ? admission : "not yet",
			   age_short(number_of(j, "age_ms"), age));
	if (rtt >= 0)
		x += canvas_printf(c, y, x, r->x + r->w - x, STYLE_PLAIN, ", handshake %.3f ms",
				   rtt / 1e3);
	if (end)
		canvas_printf(c, y, x, r->x + r->w - x, STYLE_WARN, ", ended: %s", end);
}

/* How much of its time is over, while it is half-open. */
static void draw_timeout(const struct top *t, struct canvas *c, const struct rect *r, int y)
{
	const int x = r->x + LABEL_W + 2, w = r->w - x - 24 < 40 ? r->w - x - 24 : 40;
	const struct frame_half_open *h = NULL;
	char age[AGE_SIZE], all[AGE_SIZE];
	size_t i;

	for (i = 0; i < t->frame->n_half_open; i++)
		if (t->frame->half_open[i].flow_id == t->record.flow_id)
			h = &t->frame->half_open[i];
	canvas_text(c, y, r->x + 1, LABEL_W, STYLE_DIM, "SYN timeout");
	if (!h || h->age_ms < 0 || h->left_ms < 0) {
		canvas_text(c, y, x, r->w - x, STYLE_DIM, "-");
		return;
	}
	canvas_bar(c, y, x, w, STYLE_HALF_OPEN, h->age_ms, h->age_ms + h->left_ms);
	canvas_printf(c, y, x + w + 1, 23, STYLE_PLAIN, "%s of %s", age_short(h->age_ms, age),
		      age_short(h->age_ms + h->left_ms, all));
}

static void draw_events(struct top_record *rec, struct canvas *c, const struct rect *r, int y)
{
	size_t first, i;

	rec->lines = r->y + r->h - y - 1;
	if (rec->lines < 1)
		return;
	canvas_fill(c, &(struct rect){y, r->x, 1, r->w}, STYLE_RULE, 0x2500);
	canvas_printf(c, y++, r->x, r->w, STYLE_TITLE, " Last transitions (%zu) ", rec->n_events);
	first = rec->n_events > (size_t)rec->lines ? rec->n_events - rec->lines : 0;
	first -= rec->back < first ? rec->back : first;
	for (i = first; i < rec->n_events && y < r->y + r->h; i++)
		canvas_text(c, y++, r->x + 1, r->w - 1, STYLE_PLAIN, rec->events[i]);
	if (!rec->n_events)
		canvas_text(c, y, r->x + 1, r->w - 1, STYLE_DIM,
			    "none are kept: the agent keeps the newest of all connections");
}

void top_draw_record(struct top *t, struct canvas *c, const struct rect *r)
{
	struct top_record *rec = &t->record;
	int y = r->y;

	canvas_fill(c, &(struct rect){y, r->x, 1, r->w}, STYLE_RULE, 0x2500);
	canvas_printf(c, y++, r->x, r->w, STYLE_FOCUS, " %s ", rec->title);
	if (rec->over)
		canvas_text(c, y++, r->x + 1, r->w - 1, STYLE_WARN,
			    rec->conn ? "It is over; this is how it was last seen."
				      : "It is over: synstile has no record of it any more.");
	else if (!rec->conn)
		canvas_text(c, y++, r->x + 1, r->w - 1, STYLE_DIM, "asking the agent ...");
	if (rec->conn) {
		const int top = y;

		y = draw_ends(rec->conn, c, r, y);
		draw_options(json_object_get(rec->conn, "tcp"), c, r, y++);
		draw_more(rec->conn, c, r, y++);
		draw_timeout(t, c, r, y++);
		if (rec->over)
			canvas_restyle(c, &(struct rect){top, r->x, y - top, r->w}, STYLE_STALE);
	}
	draw_events(rec, c, r, y);
}
