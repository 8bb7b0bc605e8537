/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Facts and policy in, verdict out. Pure: this is the whole policy of the
 * datapath, and the only place to look for why a packet met its fate.
 */
#ifndef SYNSTILE_DECIDE_H
#define SYNSTILE_DECIDE_H

#include "clock.h"
#include "packet.h"
#include "synstile/service.h"
#include "synstile/settings.h"

/* How long after the last cookie one may still come back: two counts of 64 s. */
#define COOKIE_LIFE_NS (128 * 1000000000ULL)

/* Is this service answering SYNs with cookies, or (in mode observe) would it? */
static inline __attribute__((always_inline)) bool under_pressure(const struct service *s,
								 const struct pressure *p)
{
	return s->mode == MODE_ALWAYS || p->state == PRESSURE_ATTACK;
}

/* May there be cookies of this service that have not come back yet? */
static inline __attribute__((always_inline)) bool cookies_out(const struct pressure *p, u64 now)
{
	return p->cookie_sent && elapsed(now, p->cookie_sent) < COOKIE_LIFE_NS;
}

/* Addresses that cannot be answered: nobody is there, or it is ourselves. */
static inline __attribute__((always_inline)) bool source_impossible(const struct packet *pkt)
{
	const struct addr *a = &pkt->key.remote, *local = &pkt->key.local;
	u8 first = a->b[12];

	if (!pkt->key.remote_port)
		return true;
	if (a->w[0] == local->w[0] && a->w[1] == local->w[1] && a->w[2] == local->w[2] &&
	    a->w[3] == local->w[3])
		return true;
	if (pkt->ipv4)
		return first == 0 || first == 127 || first >= 224;
	/* multicast; and ::/127, the unspecified address and loopback */
	return a->b[0] == 0xff || !(a->w[0] | a->w[1] | a->w[2] | (a->w[3] & ~host_to_be32(1)));
}

/* A SYN to a service, of no connection that the stack still holds. */
static inline __attribute__((always_inline)) enum synstile_verdict
decide_syn(const struct packet *pkt, bool pressure, bool ready)
{
	if (pkt->fragment)
		return V_SYN_FRAGMENT;
	if (!pressure || !ready)
		return V_SYN_CALM;
	if (source_impossible(pkt))
		return V_SYN_SOURCE;
	return V_SYN_COOKIE;
}

/* A segment without SYN to a service that belongs to no connection and proves no cookie. */
static inline __attribute__((always_inline)) enum synstile_verdict
decide_stray(const struct packet *pkt, bool pressure, bool ready)
{
	if (!pressure || !ready)
		return V_STRAY_CALM;
	if (pkt->flags & TCP_SYN)
		return V_SYNACK_STRAY;
	if (pkt->flags & TCP_RST)
		return V_RST_STRAY;
	return V_COOKIE_INVALID;
}

#endif
