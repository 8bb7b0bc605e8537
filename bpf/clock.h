/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time, as the datapath uses it: the coarse monotonic clock in ns, which moves
 * once a jiffy and costs a memory read. Pure.
 */
#ifndef SYNSTILE_CLOCK_H
#define SYNSTILE_CLOCK_H

#include "synstile/types.h"

#define NS_PER_MS  1000000ULL
#define NS_PER_SEC 1000000000ULL

/* ns since `then`. Another CPU may have stored a tick that this one has not read yet:
 * that is no time, not half an eternity. */
static inline __attribute__((always_inline)) u64 elapsed(u64 now, u64 then)
{
	return now > then ? now - then : 0;
}

#endif
