/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is a service under attack? Decided here, in the datapath, so that protection
 * begins with the packet that crosses the bound and works without user space.
 * Pure; safe to run on all CPUs at once.
 *
 *	         half_open >= half_open_attack_above, or
 *	         rate >= rate_attack_above, or an alarm
 *	 CALM ------------------------------------------> ATTACK
 *	      <------------------------------------------
 *	         both below their lower bounds (calm_below)
 *	         for hold_ms without a break
 *
 * SYNs are counted per CPU and reported here once a tick (see account.bpf.h), so
 * that a flood does not make one cache line travel between CPUs for each packet.
 *
 * What needs a longer look (do handshakes get completed, how many sources are there) is found
 * by user space, which sounds an alarm every second as long as it lasts (user/detect.h).
 */
#ifndef SYNSTILE_PRESSURE_H
#define SYNSTILE_PRESSURE_H

#include "clock.h"
#include "synstile/service.h"

#define PRESSURE_WINDOW_NS 100000000ULL  /* SYN rate is measured over 100 ms */
#define PRESSURE_ALARM_NS  2000000000ULL /* how long an alarm of user space's holds */

/* Close the window if it is over; one CPU wins, the others see its new start. */
static inline __attribute__((always_inline)) void pressure_roll(struct pressure *p, u64 now)
{
	u64 start = p->window_start, length = elapsed(now, start), syns;

	if (length < PRESSURE_WINDOW_NS)
		return;
	if (__sync_val_compare_and_swap(&p->window_start, start, now) != start)
		return;
	syns = p->syns;
	__sync_fetch_and_add(&p->syns, -syns);
	/* ns >> 10 keeps the product within 64 bits for 2^44 SYNs */
	p->rate = (syns * (1000000000ULL >> 10)) / (length >> 10);
}

/* What a look at the figures has changed; one CPU is told so. */
enum pressure_change {
	PRESSURE_SAME,
	PRESSURE_BEGAN,
	PRESSURE_ENDED
};

static inline __attribute__((always_inline)) u32 pressure_enter(struct pressure *p, u32 state,
								u64 now)
{
	u32 old = state == PRESSURE_ATTACK ? PRESSURE_CALM : PRESSURE_ATTACK;

	if (__sync_val_compare_and_swap(&p->state, old, state) != old)
		return PRESSURE_SAME;
	if (state == PRESSURE_ATTACK) {
		__sync_fetch_and_add(&p->attacks, 1);
		p->reasons = 0;
	} else {
		p->lasted_ms = elapsed(now, p->since) / NS_PER_MS;
	}
	p->since = now;
	return state == PRESSURE_ATTACK ? PRESSURE_BEGAN : PRESSURE_ENDED;
}

/* two CPUs may count in the other order for a moment */
static inline __attribute__((always_inline)) u32 pressure_count(const struct pressure *p)
{
	return p->half_open > 0 ? p->half_open : 0;
}

/* enum attack_reason: all bounds that are crossed now. */
static inline __attribute__((always_inline)) u32 pressure_reasons(const struct pressure *p,
								  const struct service *s, u64 now)
{
	u32 reasons = 0;

	if (pressure_count(p) >= s->half_open_attack_above)
		reasons |= ATTACK_HALF_OPEN;
	if (p->rate >= s->rate_attack_above)
		reasons |= ATTACK_RATE;
	if (p->alarm && elapsed(now, p->alarm) < PRESSURE_ALARM_NS)
		reasons |= p->alarms;
	return reasons;
}

static inline __attribute__((always_inline)) u32 pressure_update(struct pressure *p,
								 const struct service *s, u64 now)
{
	u32 half_open = pressure_count(p), reasons, change = PRESSURE_SAME;

	pressure_roll(p, now);
	reasons = pressure_reasons(p, s, now);
	if (reasons) {
		p->above = now;
		if (p->state == PRESSURE_CALM)
			change = pressure_enter(p, PRESSURE_ATTACK, now);
		p->reasons |= reasons;
		return change;
	}
	if (p->state == PRESSURE_CALM)
		return PRESSURE_SAME;
	if (half_open >= s->half_open_calm_below || p->rate >= s->rate_calm_below) {
		p->above = now;
		return PRESSURE_SAME;
	}
	if (elapsed(now, p->above) < s->hold_ms * NS_PER_MS)
		return PRESSURE_SAME;
	return pressure_enter(p, PRESSURE_CALM, now);
}

/* `syns` more SYNs came to this service. */
static inline __attribute__((always_inline)) u32
pressure_syns(struct pressure *p, const struct service *s, u64 syns, u64 now)
{
	__sync_fetch_and_add(&p->syns, syns);
	return pressure_update(p, s, now);
}

/* A SYN was passed to the stack: the half-open bound must hold at once, not at the next tick. */
static inline __attribute__((always_inline)) u32
pressure_half_open(struct pressure *p, const struct service *s, u64 now)
{
	s32 before = __sync_fetch_and_add(&p->half_open, 1);

	if (before + 1 < (s32)s->half_open_attack_above)
		return PRESSURE_SAME;
	return pressure_update(p, s, now);
}

static inline __attribute__((always_inline)) void pressure_half_open_done(struct pressure *p)
{
	__sync_fetch_and_add(&p->half_open, -1);
}

#endif
