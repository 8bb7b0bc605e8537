/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long a handshake may take, now: the SYN timeout of a service. Pure; the datapath and user
 * space (which tells the kernel) compute the same.
 *
 *	 syn_calm_ms  ________
 *	                      \          between the bounds of half-open connections it falls
 *	                       \         evenly, and under attack it stays at its floor until
 *	 syn_attack_ms          \______  the service is calm again
 *	              calm_below   attack_above
 */
#ifndef SYNSTILE_SYN_TIMEOUT_H
#define SYNSTILE_SYN_TIMEOUT_H

#include "synstile/service.h"

static inline __attribute__((always_inline)) u32 syn_timeout_ms(const struct service *s,
								const struct pressure *p)
{
	u32 n = p->half_open > 0 ? p->half_open : 0;
	u32 low = s->half_open_calm_below, high = s->half_open_attack_above;

	if (s->mode == MODE_OBSERVE || s->syn_calm_ms <= s->syn_attack_ms)
		return s->syn_calm_ms;
	if (p->state == PRESSURE_ATTACK || n >= high)
		return s->syn_attack_ms;
	if (n <= low)
		return s->syn_calm_ms;
	return s->syn_calm_ms - (u64)(s->syn_calm_ms - s->syn_attack_ms) * (n - low) / (high - low);
}

#endif
