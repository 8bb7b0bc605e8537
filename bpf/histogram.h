/* SPDX-License-Identifier: GPL-2.0-only */
/* Which bucket a duration belongs to, and what end a half-open connection came to. Pure. */
#ifndef SYNSTILE_HISTOGRAM_H
#define SYNSTILE_HISTOGRAM_H

#include "synstile/flow.h"
#include "synstile/handshake.h"

/* How many bounds it exceeds: a bound belongs to its bucket. */
static inline __attribute__((always_inline)) u32 half_open_bucket(u64 us)
{
	u32 n = 0;

#define X(bound, seconds)                                                                          \
	if (us > (bound))                                                                          \
		n++;
	HALF_OPEN_BOUNDS(X)
#undef X
	return n;
}

static inline __attribute__((always_inline)) u32 rtt_bucket(u64 us)
{
	u32 n = 0;

#define X(bound, seconds)                                                                          \
	if (us > (bound))                                                                          \
		n++;
	RTT_BOUNDS(X)
#undef X
	return n;
}

/* enum handshake_outcome; `phase` is what follows on FLOW_HALF_OPEN. */
static inline __attribute__((always_inline)) u32 handshake_outcome(u8 phase, u8 end)
{
	if (phase != FLOW_CLOSED)
		return OUTCOME_COMPLETED;
	if (end == END_SYN_TIMEOUT)
		return OUTCOME_EXPIRED;
	return end == END_RST_CLIENT || end == END_RST_SERVER ? OUTCOME_RESET : OUTCOME_OTHER;
}

#endif
