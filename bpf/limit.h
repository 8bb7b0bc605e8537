/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * At most so many SYNs per second from one source, in a sketch: a table of fixed size in which
 * nothing is entered or evicted, so that no flood can push anybody out of it. Pure.
 *
 * The meter of one source is the generic cell rate algorithm (ITU-T I.371; a leaky bucket): all
 * that is kept is the theoretical arrival time (TAT) of its next SYN. A SYN may be early by `burst`
 * ns and no more; one that passes moves the TAT on by `interval`. It drains by itself, as time
 * goes on: nothing has to be cleaned.
 *
 * The sketch has LIMIT_ROWS rows of LIMIT_COLUMNS such cells. A source has one in each row, by a
 * keyed hash, and shares each with others. Others can only move a cell on, so the least of its
 * cells is nearest to the truth: a SYN is over the limit only if all of them say so. One that
 * passes raises its cells to the new estimate, and none that is above already (conservative
 * update, Estan and Varghese 2002). A SYN that is over moves nothing. Hence:
 *
 * (a) A flood of F SYN/s from random sources brings F / LIMIT_COLUMNS SYN/s to each cell. It makes
 *     nobody limited while that is below the limit: with 200/s and 131072 columns up to
 *     26,000,000 SYN/s. Short of that, the odds that the cells of an innocent source are both
 *     ahead by a whole burst of b SYNs are below load^(b * LIMIT_ROWS), load being the share
 *     F / (LIMIT_COLUMNS * limit): choose bursts of several SYNs.
 * (b) While h sources are over their limit, an innocent one is limited with a probability of at
 *     most (h / LIMIT_COLUMNS)^LIMIT_ROWS: with 1,000 of them, 1 in 17,000. Nobody can choose
 *     sources that share the cells of another: the key of the hash is secret.
 * (c) A source never gets more than its limit from the sketch itself, which errs on the other
 *     side alone. CPUs that take SYNs of one source at the same instant may each let one pass.
 * (d) Who sends in the name of one known source can use up what it may send. Once verified, such a
 *     source gets a cookie instead of being dropped.
 */
#ifndef SYNSTILE_LIMIT_H
#define SYNSTILE_LIMIT_H

#include "clock.h"
#include "synstile/source.h"

/* The clock stands still for a jiffy, 10 ms at most (HZ 100): so much early costs nobody. */
#define LIMIT_TICK_NS (10 * NS_PER_MS)

/* `rate` per second, not 0; `burst` of them at once. For user space. */
static inline struct limit_rate limit_of(u32 rate, u32 burst)
{
	u64 interval = NS_PER_SEC / rate;

	return (struct limit_rate){.interval = interval,
				   .burst = (burst ? burst - 1 : 0) * interval + LIMIT_TICK_NS};
}

/* The index of a source's cell in this row: LIMIT_COLUMNS is a power of 2, and the rows use
 * different bits of the hash. */
static inline __attribute__((always_inline)) u32 limit_cell(u64 hash, u32 row)
{
	return row * LIMIT_COLUMNS + (u32)(hash >> row * 20 & (LIMIT_COLUMNS - 1));
}

/* May this source send now, which so far has used up the time until `tat`? */
static inline __attribute__((always_inline)) bool limit_allows(const struct limit_rate *l, u64 tat,
							       u64 now)
{
	return tat <= now + l->burst;
}

/* When it has sent. */
static inline __attribute__((always_inline)) u64 limit_next(const struct limit_rate *l, u64 tat,
							    u64 now)
{
	return (tat > now ? tat : now) + l->interval;
}

/* A SYN at a source's two cells. False: it is over the limit. */
static inline __attribute__((always_inline)) bool limit_take(const struct limit_rate *l, u64 *a,
							     u64 *b, u64 now)
{
	u64 next, tat = *a < *b ? *a : *b;

	if (!limit_allows(l, tat, now))
		return false;
	next = limit_next(l, tat, now);
	if (*a < next)
		*a = next;
	if (*b < next)
		*b = next;
	return true;
}

_Static_assert(LIMIT_ROWS == 2, "limit_take() takes two cells");
_Static_assert(!(LIMIT_COLUMNS & (LIMIT_COLUMNS - 1)) && LIMIT_COLUMNS <= 1 << 20, "limit_cell()");

#endif
