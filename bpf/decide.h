/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Facts and policy in, verdict out. Pure: this is the whole policy of the
 * datapath, and the only place to look for why a packet met its fate.
 */
#ifndef SYNSTILE_DECIDE_H
#define SYNSTILE_DECIDE_H

#include "clock.h"
#include "packet.h"
#include "pressure.h"
#include "source.h"
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

/* Do half-open connections fit into their budget, so that a SYN may pass under pressure too? */
static inline __attribute__((always_inline)) bool has_room(const struct service *s,
							   const struct pressure *p)
{
	return pressure_count(p) < s->half_open_attack_above;
}

/* May there be cookies of this service that have not come back yet? With another policy, what was
 * another service's before may be this one's now. */
static inline __attribute__((always_inline)) bool cookies_out(const struct pressure *p,
							      const struct settings *set, u64 now)
{
	if (p->cookie_sent && elapsed(now, p->cookie_sent) < COOKIE_LIFE_NS)
		return true;
	/* the clock of packets may be a tick behind */
	return set->switched && (s32)(settings_moment(now) - set->switched) <=
					(s32)settings_moment(COOKIE_LIFE_NS) + 1;
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

/* A SYN to a service, of no connection that the stack still holds. `source`: enum source_fact.
 * Allowed and verified sources can be forged, so they too may fill no more than the budget. */
static inline __attribute__((always_inline)) enum synstile_verdict
decide_syn(const struct packet *pkt, const struct service *s, bool room, bool pressure, u32 source)
{
	if (source & SOURCE_DENIED)
		return V_SYN_DENIED;
	if (pkt->fragment)
		return V_SYN_FRAGMENT;
	if (source & SOURCE_ALLOWED && room && s->mode != MODE_ALWAYS)
		return V_SYN_ALLOWED;
	if (source_filtered(source))
		return V_SYN_LIMIT;
	if (!pressure && !(source & SOURCE_OVER))
		return V_SYN_CALM;
	if (source_impossible(pkt))
		return V_SYN_SOURCE;
	if (source & SOURCE_WITHIN && room)
		return V_SYN_VERIFIED;
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
