// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn_json.h"
#include "event_names.h"
#include "flow_id.h"
#include "netlink.h"
#include "tcp_state.h"

static const char *const phase_names[FLOW_CLOSED + 1] = {
	[FLOW_HALF_OPEN] = "half_open", [FLOW_PROVEN] = "proven", [FLOW_OPEN] = "open",
	[FLOW_CLOSING] = "closing",     [FLOW_CLOSED] = "closed",
};

void service_names_read(struct service_names *names, const struct maps *m)
{
	static struct service all[SYNSTILE_MAX_SERVICES];
	u32 i;

	*names = (struct service_names){0};
	if (maps_services(m, all))
		return;
	for (i = 1; i < SYNSTILE_MAX_SERVICES; i++) {
		if (!all[i].used)
			continue;
		memcpy(names->of[i].name, all[i].name, sizeof(all[i].name));
		names->of[i].port = all[i].port;
	}
}

const char *service_name(const struct service_names *names, u16 service)
{
	if (service >= SYNSTILE_MAX_SERVICES || !names->of[service].name[0])
		return NULL;
	return names->of[service].name;
}

void conn_ends(const struct conn *c, struct conn_end *client, struct conn_end *server)
{
	const struct conn_end remote = {c->key.remote, ntohs(c->key.remote_port)};
	const struct conn_end local = {c->key.local, ntohs(c->key.local_port)};
	bool host = c->flow.flags & FLOW_OPENED_LOCAL;

	*client = host ? local : remote;
	*server = host ? remote : local;
}

/* ---- values that may be unknown ---- */

static json_t *number(bool known, u64 n)
{
	return known ? json_integer(n) : json_null();
}

static json_t *word(bool known, const char *text)
{
	return known && text ? json_string(text) : json_null();
}

static json_t *timestamp(bool known, const struct moment *m, u64 t)
{
	char buf[TIMESTAMP_SIZE];

	return known ? json_string(moment_timestamp(m, t, buf)) : json_null();
}

static json_t *milliseconds(bool known, const struct moment *m, u64 t)
{
	return known ? json_integer(moment_ms_since(m, t)) : json_null();
}

static json_t *one_of(const char *const *names, u32 n, u32 i)
{
	return word(i < n, i < n ? names[i] : NULL);
}

static json_t *state_json(u8 state)
{
	return state == ST_UNKNOWN ? json_null() : one_of(state_names, ST_COUNT, state);
}

static bool joined(const struct conn *c)
{
	return c->flow.flags & FLOW_JOINED;
}

/* A record that is made from an answer alone does not have the question's options. */
static bool scale_known(const struct conn *c, u32 side)
{
	const struct flow_side *s = &c->flow.side[side];

	return !joined(c) && s->flags & SIDE_SYN &&
	       (c->flow.mss[side] || s->wscale != WSCALE_UNKNOWN);
}

/* ---- the record ---- */

/* `side`: REMOTE or LOCAL. `syns`: what its SYNs are called. */
static json_t *side_json(const struct conn *c, u32 side, const char *syns, const struct moment *m)
{
	const struct flow_side *s = &c->flow.side[side], *other = &c->flow.side[!side];
	u8 state = flow_state(c->flow.word, side);
	json_t *j = json_object();
	/* adopted in its state, or waiting for anyone, it had entered that before */
	bool entered = s->entered && state != ST_UNKNOWN && state != ST_LISTEN &&
		       !(joined(c) && s->entered <= c->flow.opened);

	json_object_set_new(j, "entered", timestamp(entered, m, s->entered));
	json_object_set_new(j, "in_state_ms", milliseconds(entered, m, s->entered));
	json_object_set_new(j, "isn", number(s->flags & SIDE_SYN, s->isn));
	json_object_set_new(j, "mss", number(c->flow.mss[side], c->flow.mss[side]));
	json_object_set_new(j, "wscale", number(scale_known(c, side), s->wscale));
	json_object_set_new(j, "bytes", json_integer(s->bytes));
	json_object_set_new(j, "segments", json_integer(s->segments));
	json_object_set_new(j, "retransmissions", json_integer(s->rtx));
	json_object_set_new(j, "keepalives", json_integer(s->keepalives));
	json_object_set_new(j, "keepalives_unanswered", json_integer(other->probed));
	json_object_set_new(j, "last_heard", timestamp(s->seen, m, s->seen));
	json_object_set_new(j, "last_heard_ms", milliseconds(s->seen, m, s->seen));
	json_object_set_new(j, syns, number(s->syns || !joined(c), s->syns));
	return j;
}

static json_t *option(bool known, const struct conn *c, u8 feature)
{
	return known ? json_boolean(c->flow.flags & feature) : json_null();
}

static json_t *options_json(const struct conn *c)
{
	bool known = !joined(c);
	json_t *j = json_object();

	json_object_set_new(j, "agreed",
			    known ? json_boolean(conn_server(c)->flags & SIDE_SYN) : json_null());
	json_object_set_new(j, "sack", option(known, c, TCP_SACK));
	json_object_set_new(j, "timestamps", option(known, c, TCP_TSTAMP));
	json_object_set_new(j, "window_scale", option(known, c, TCP_WSCALE));
	json_object_set_new(j, "ecn", option(known, c, TCP_ECN));
	return j;
}

/* What goes for a connection of which there is no record. */
static json_t *no_tcp_json(void)
{
	return json_pack("{s:n, s:n}", "client_state", "server_state");
}

static json_t *tcp_json(const struct conn *c, const struct moment *m)
{
	const u32 client = flow_client(c->flow.flags);
	json_t *j = json_object();

	json_object_set_new(j, "client_state", state_json(conn_client_state(c)));
	json_object_set_new(j, "server_state", state_json(conn_server_state(c)));
	json_object_set_new(j, "client", side_json(c, client, "syns", m));
	json_object_set_new(j, "server", side_json(c, !client, "syn_acks", m));
	json_object_set_new(j, "options", options_json(c));
	return j;
}

static json_t *synstile_json(const struct conn *c, const struct service_names *names,
			     const struct moment *m)
{
	const struct flow *f = &c->flow;
	json_t *j = json_object();

	json_object_set_new(j, "service", word(true, service_name(names, f->service)));
	json_object_set_new(j, "host_is",
			    json_string(f->flags & FLOW_OPENED_LOCAL ? "client" : "server"));
	json_object_set_new(j, "admission",
			    f->admission == ADMIT_UNKNOWN
				    ? json_null()
				    : one_of(admit_names, ADMIT_COUNT, f->admission));
	json_object_set_new(j, "phase", one_of(phase_names, FLOW_CLOSED + 1, flow_phase(f->word)));
	json_object_set_new(j, "opened", timestamp(!joined(c), m, f->opened));
	json_object_set_new(j, "age_ms", milliseconds(!joined(c), m, f->opened));
	json_object_set_new(j, "followed", timestamp(true, m, f->opened));
	json_object_set_new(j, "followed_ms", milliseconds(true, m, f->opened));
	json_object_set_new(j, "handshake_rtt_us", number(f->rtt_us, f->rtt_us));
	json_object_set_new(j, "change", json_integer(flow_changes(f->word)));
	json_object_set_new(
		j, "end", f->end == END_NONE ? json_null() : one_of(end_names, END_COUNT, f->end));
	return j;
}

static json_t *no_synstile_json(const struct conn *c, const struct service_names *names)
{

	return json_pack("{s:o, s:s}", "service", word(true, service_name(names, c->flow.service)),
			 "host_is", c->flow.flags & FLOW_OPENED_LOCAL ? "client" : "server");
}

json_t *conn_json(const struct conn *c, const struct service_names *names, const struct moment *m)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	const bool known = c->flow.opened;
	struct conn_end client, server;
	json_t *j = json_object();

	conn_ends(c, &client, &server);
	json_object_set_new(j, "flow_id", number(known, flow_id(&c->key, c->flow.opened)));
	json_object_set_new(j, "src_ip", json_string(addr_text(&client.addr, src)));
	json_object_set_new(j, "src_port", json_integer(client.port));
	json_object_set_new(j, "dest_ip", json_string(addr_text(&server.addr, dst)));
	json_object_set_new(j, "dest_port", json_integer(server.port));
	json_object_set_new(j, "proto", json_string("TCP"));
	json_object_set_new(j, "tcp", known ? tcp_json(c, m) : no_tcp_json());
	json_object_set_new(j, "synstile",
			    known ? synstile_json(c, names, m) : no_synstile_json(c, names));
	return j;
}
