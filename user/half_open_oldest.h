/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The oldest half-open connections, as the last sweep listed them (map `listed`): what a look at
 * them costs does not depend on the size of the flow table.
 */
#ifndef SYNSTILE_USER_HALF_OPEN_OLDEST_H
#define SYNSTILE_USER_HALF_OPEN_OLDEST_H

#include <stdbool.h>
#include <stddef.h>

#include <synstile/half_open.h>

#include "maps.h"

struct oldest;

/* NULL, with a reason. */
struct oldest *oldest_new(const struct maps *m);
void oldest_free(struct oldest *o);

/* After each sweep: how old must those be that the next one lists? */
void oldest_adapt(struct oldest *o);

/* How many were listed last. */
size_t oldest_sort(struct oldest *o);
/* Of these the i-th, oldest first; until the next sweep. */
const struct half_open_conn *oldest_at(const struct oldest *o, size_t i);
/* ms since they were listed. */
u64 oldest_ms_ago(const struct oldest *o);

/* Pure: the least age that lets about three quarters of HALF_OPEN_LISTED be listed, when there are
 * `found` of at least `now` and those listed have these ages (which are sorted by this). */
u64 oldest_least_age(u64 *ages, size_t listed, u32 found, u64 now);

#endif
