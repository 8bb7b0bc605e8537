/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A client as the cookie functions see it: its SYN, and the ACK to what they made.
 */
#ifndef SYNSTILE_TEST_CLIENT_H
#define SYNSTILE_TEST_CLIENT_H

#include "unit.h"
#include "cookie.h"

#define CLIENT_T0 (100000 * 1000000000ULL)

struct client {
	struct packet pkt; /* its SYN; .ack is set to what its ACK acknowledges */
	u32 isn;
	struct tcp_options options; /* of its ACK */
	struct cookie_offer sent;   /* what the SYN-ACK promised */
};

static inline struct settings client_settings(u64 seed)
{
	struct settings set = {.flags = TCP_FEATURES, .key = {.id = 1}};

	for (int i = 0; i < 2; i++) {
		set.key.k[i] = random64(&seed);
		set.previous.k[i] = random64(&seed);
	}
	set.ts_offset = random64(&seed);
	cookie_fill_codes(set.cookie_codes);
	return set;
}

static inline struct client client_new(bool ipv4, u64 seed)
{
	struct client c = {.pkt = {.ipv4 = ipv4, .flags = TCP_SYN}};

	for (int i = 0; i < 16; i++) {
		c.pkt.key.remote.b[i] = random64(&seed) >> 56;
		c.pkt.key.local.b[i] = random64(&seed) >> 56;
	}
	if (ipv4) {
		memset(&c.pkt.key.remote, 0, 12);
		memset(&c.pkt.key.local, 0, 12);
		c.pkt.key.remote.w[2] = c.pkt.key.local.w[2] = host_to_be32(0xffff);
	}
	c.pkt.key.remote_port = random64(&seed);
	c.pkt.key.local_port = random64(&seed);
	c.isn = c.pkt.seq = random64(&seed);
	return c;
}

/* It sends its SYN at `now`, with these options, and gets a cookie. */
static inline void client_syn(struct client *c, const struct settings *set, u16 mss, u8 wscale,
			      u8 features, u64 now)
{
	c->sent = (struct cookie_offer){.mss = mss, .wscale = wscale, .features = features};
	c->pkt.ack = cookie_make(set, &c->pkt, &c->sent, now) + 1;
	c->options.features = features & TCP_TSTAMP;
	c->options.tsecr = features & TCP_TSTAMP ? c->sent.tsval : 0;
}

static inline bool client_ack(const struct client *c, const struct settings *set, u64 now,
			      struct cookie_offer *back)
{
	return cookie_check(set, &c->pkt, c->isn, &c->options, now, back);
}

#endif
