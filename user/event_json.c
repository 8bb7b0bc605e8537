// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "event_json.h"
#include "event_names.h"
#include "flow_id.h"
#include "maps.h"
#include "moment.h"
#include "packet.h"

/* ---- a line in the making ---- */

struct line {
	char *at, *end;
};

static void put_bytes(struct line *l, const char *from, size_t n)
{
	if (n > (size_t)(l->end - l->at))
		n = l->end - l->at; /* cannot happen: see EVENT_LINE_MAX */
	memcpy(l->at, from, n);
	l->at += n;
}

/* A string literal. */
#define put(l, text) put_bytes(l, text, sizeof(text) - 1)

static void put_text(struct line *l, const char *text)
{
	put_bytes(l, text, strlen(text));
}

static void put_integer(struct line *l, u64 n)
{
	char digits[20], *at = digits + sizeof(digits);

	if (n > INT64_MAX) /* jansson and others take no more */
		n = INT64_MAX;
	do
		*--at = '0' + n % 10;
	while (n /= 10);
	put_bytes(l, at, digits + sizeof(digits) - at);
}

/* ,"name":n */
#define put_number(l, name, n)                                                                     \
	do {                                                                                       \
		put(l, ",\"" name "\":");                                                          \
		put_integer(l, n);                                                                 \
	} while (0)

/* ,"name":"word"; `text` needs no escaping */
#define put_word(l, name, text)                                                                    \
	do {                                                                                       \
		put(l, ",\"" name "\":\"");                                                        \
		put_text(l, text);                                                                 \
		put(l, "\"");                                                                      \
	} while (0)

/* A word from one of the tables; the datapath may be newer than we are. */
#define put_name(l, name, table, i)                                                                \
	put_word(l, name, (i) < sizeof(table) / sizeof(*(table)) ? (table)[i] : "?")

static void put_addr(struct line *l, const struct addr *a)
{
	char text[INET6_ADDRSTRLEN] = "";
	int i;

	if (a->w[0] || a->w[1] || a->w[2] != htonl(0xffff)) {
		inet_ntop(AF_INET6, a, text, sizeof(text));
		put_text(l, text);
		return;
	}
	for (i = 12; i < 16; i++) {
		put_integer(l, a->b[i]);
		if (i < 15)
			put(l, ".");
	}
}

/* ---- time ---- */

static void put_digits(char *to, u32 n, int digits)
{
	while (digits--) {
		to[digits] = '0' + n % 10;
		n /= 10;
	}
}

/* As moment_timestamp(), for 100,000 a second. */
static size_t timestamp(u64 wall, char text[TIMESTAMP_SIZE])
{
	/* most events share their second with the one before */
	static time_t known = -1;
	static char date[32];
	time_t second = wall / NS_PER_SEC;
	struct tm tm;
	size_t n;

	if (second != known) {
		gmtime_r(&second, &tm);
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S.", &tm);
		known = second;
	}
	n = strlen(date);
	memcpy(text, date, n);
	put_digits(text + n, wall % NS_PER_SEC / 1000, 6);
	memcpy(text + n + 6, "+0000", 6);
	return n + 11;
}

static void put_time(struct line *l, u64 wall)
{
	char text[TIMESTAMP_SIZE];

	put_bytes(l, text, timestamp(wall, text));
}

json_t *event_json_head(u64 wall, enum event_type type)
{
	char text[TIMESTAMP_SIZE];

	timestamp(wall, text);
	return json_pack("{s:s, s:s}", "timestamp", text, "event_type", event_names[type]);
}

/* ---- parts of an event ---- */

static u32 client_of(const struct event *e)
{
	/* a dropped packet is of no connection: its sender comes first */
	return e->type == EVENT_VERDICT ? REMOTE : flow_client(e->flags);
}

static void put_head(struct line *l, const struct event *e, const struct event_context *c)
{
	put(l, "{\"timestamp\":\"");
	put_time(l, e->time + c->offset);
	put(l, "\"");
	put_name(l, "event_type", event_names, e->type);
	if (e->ifindex && c->iface) {
		put(l, ",\"in_iface\":");
		put_text(l, c->iface);
	}
}

static void put_ends(struct line *l, const struct event *e)
{
	bool local = client_of(e) == LOCAL;
	const struct flow_key *k = &e->key;

	put(l, ",\"src_ip\":\"");
	put_addr(l, local ? &k->local : &k->remote);
	put(l, "\"");
	put_number(l, "src_port", ntohs(local ? k->local_port : k->remote_port));
	put(l, ",\"dest_ip\":\"");
	put_addr(l, local ? &k->remote : &k->local);
	put(l, "\"");
	put_number(l, "dest_port", ntohs(local ? k->remote_port : k->local_port));
	put_word(l, "proto", "TCP");
}

static void put_flow(struct line *l, const struct event *e)
{
	put_number(l, "flow_id", flow_id(&e->key, e->opened));
	put_ends(l, e);
}

static void put_states(struct line *l, const struct event *e)
{
	u32 client = client_of(e), server = !client;

	put(l, ",\"tcp\":{\"client_state\":\"");
	put_text(l, e->state.new[client] < ST_COUNT ? state_names[e->state.new[client]] : "?");
	put(l, "\"");
	put_name(l, "server_state", state_names, e->state.new[server]);
	if (e->state.old[client] != e->state.new[client])
		put_name(l, "old_client_state", state_names, e->state.old[client]);
	if (e->state.old[server] != e->state.new[server])
		put_name(l, "old_server_state", state_names, e->state.old[server]);
	/* 0: not seen; that it is one is less likely than anything else here */
	if (e->state.isn[client])
		put_number(l, "client_isn", e->state.isn[client]);
	if (e->state.isn[server])
		put_number(l, "server_isn", e->state.isn[server]);
	put(l, "}");
}

static void put_side(struct line *l, const struct event *e)
{
	if (e->side == client_of(e))
		put(l, "\"side\":\"client\"");
	else
		put(l, "\"side\":\"server\"");
}

/* "synstile":{... of a connection's event; the caller goes on and closes it. */
static void open_synstile(struct line *l, const struct event *e, const struct event_context *c)
{
	put(l, ",\"synstile\":{\"schema\":1");
	if (c->service && c->service[0]) {
		put(l, ",\"service\":\"");
		put_bytes(l, c->service, strlen(c->service)); /* no escapes in it */
		put(l, "\"");
	}
	if (e->admission != ADMIT_UNKNOWN)
		put_name(l, "admission", admit_names, e->admission);
}

/* ---- events ---- */

static void put_tcp_state(struct line *l, const struct event *e, const struct event_context *c)
{
	put_flow(l, e);
	put_states(l, e);
	open_synstile(l, e, c);
	put_number(l, "change", e->state.n);
	put_number(l, "age_us", e->state.age / 1000);
	if (e->state.rtt_us)
		put_number(l, "handshake_rtt_us", e->state.rtt_us);
	if (e->end != END_NONE)
		put_name(l, "end", end_names, e->end);
	put(l, "}");
}

static void put_half_open_timeout(struct line *l, const struct event *e,
				  const struct event_context *c)
{
	u32 client = client_of(e);

	put_flow(l, e);
	put_states(l, e);
	put(l, ",\"half_open_timeout\":{\"age_ms\":");
	put_integer(l, e->state.age / NS_PER_MS);
	put_number(l, "syns", e->state.syns[client]);
	put_number(l, "syn_acks", e->state.syns[!client]);
	put(l, "}");
	open_synstile(l, e, c);
	put_number(l, "change", e->state.n);
	put_name(l, "end", end_names, e->end);
	put(l, "}");
}

static void put_retransmission(struct line *l, const struct event *e, const struct event_context *c)
{
	put_flow(l, e);
	put(l, ",\"retransmission\":{");
	put_side(l, e);
	put_number(l, "seq", e->rtx.seq);
	put_number(l, "len", e->rtx.len);
	put_number(l, "segments", e->rtx.segments);
	put_number(l, "total", e->rtx.total);
	if (e->rtx.syn) {
		put(l, ",\"syn\":true");
		put_number(l, "syns", e->rtx.syns);
	}
	put(l, "}");
	open_synstile(l, e, c);
	put(l, "}");
}

static void put_keepalive(struct line *l, const struct event *e, const struct event_context *c)
{
	put_flow(l, e);
	put(l, ",\"keepalive\":{");
	put_side(l, e);
	put_number(l, "unanswered", e->keepalive.unanswered);
	put_number(l, "total", e->keepalive.total);
	put(l, "}");
	open_synstile(l, e, c);
	put(l, "}");
}

static void put_reasons(struct line *l, u32 reasons)
{
	bool more = false;
	int i;

	for (i = 0; i < ATTACK_REASONS; i++) {
		if (!(reasons & 1u << i))
			continue;
		if (more)
			put(l, ",");
		put(l, "\"");
		put_text(l, reason_names[i]);
		put(l, "\"");
		more = true;
	}
}

static void put_attack(struct line *l, const struct event *e, const struct event_context *c)
{
	u64 lasted = e->type == EVENT_ATTACK_END ? e->attack.since
		     : e->attack.since < e->time ? e->time - e->attack.since
						 : 0;

	put(l, ",\"attack\":{\"reasons\":[");
	put_reasons(l, e->attack.reasons);
	put(l, "],\"since\":\"");
	put_time(l, e->time - lasted + c->offset);
	put(l, "\"");
	put_number(l, "duration_ms", lasted / NS_PER_MS);
	put_number(l, "syn_rate", e->attack.rate);
	put_number(l, "syn_rate_bound", e->attack.rate_bound);
	put_number(l, "half_open", e->attack.half_open);
	put_number(l, "half_open_bound", e->attack.half_open_bound);
	put_number(l, "attacks", e->attack.attacks);
	if (c->attack)
		put_text(l, c->attack);
	put(l, "}");
	open_synstile(l, e, c);
	put(l, "}");
}

/* The bits as EVE has them, in hexadecimal, and as words. */
static void put_tcp_flags(struct line *l, u8 flags)
{
	static const char digits[] = "0123456789abcdef";
	static const char *const words[8] = {"\"fin\"", "\"syn\"", "\"rst\"", "\"psh\"",
					     "\"ack\"", "\"urg\"", "\"ece\"", "\"cwr\""};
	const char hex[2] = {digits[flags >> 4], digits[flags & 15]};
	bool more = false;
	int i;

	put(l, "\"tcp_flags\":\"");
	put_bytes(l, hex, sizeof(hex));
	put(l, "\",\"flags\":[");
	for (i = 0; i < 8; i++) {
		if (!(flags & 1 << i))
			continue;
		if (more)
			put(l, ",");
		put_text(l, words[i]);
		more = true;
	}
	put(l, "]");
}

static void put_verdict(struct line *l, const struct event *e, const struct event_context *c)
{
	static const struct flow_key none;

	if (memcmp(&e->key, &none, sizeof(none))) {
		put_ends(l, e);
		put(l, ",\"tcp\":{");
		put_tcp_flags(l, e->verdict_of.tcp_flags);
		put_number(l, "seq", e->verdict_of.seq);
		put_number(l, "ack", e->verdict_of.ack);
		put(l, "}");
	}
	open_synstile(l, e, c);
	put_name(l, "verdict", verdict_names, e->verdict);
	put(l, "}");
}

size_t event_json(const struct event *e, const struct event_context *c, char line[EVENT_LINE_MAX])
{
	static void (*const rest[EVENT_COUNT])(struct line *, const struct event *,
					       const struct event_context *) = {
		[EVENT_TCP_STATE] = put_tcp_state,
		[EVENT_HALF_OPEN_TIMEOUT] = put_half_open_timeout,
		[EVENT_RETRANSMISSION] = put_retransmission,
		[EVENT_KEEPALIVE] = put_keepalive,
		[EVENT_ATTACK_START] = put_attack,
		[EVENT_ATTACK_PROGRESS] = put_attack,
		[EVENT_ATTACK_END] = put_attack,
		[EVENT_VERDICT] = put_verdict,
	};
	struct line l = {line, line + EVENT_LINE_MAX};

	put_head(&l, e, c);
	if (e->type < EVENT_COUNT && rest[e->type])
		rest[e->type](&l, e, c);
	put(&l, "}\n");
	return l.at - line;
}
