/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Half-open connections as the last sweep found them, so that user space can list them without
 * reading the whole flow table.
 */
#ifndef SYNSTILE_HALF_OPEN_H
#define SYNSTILE_HALF_OPEN_H

#include "flow.h"

#define HALF_OPEN_LISTED 2048 /* more than any view asks for */

struct half_open_conn {
	struct flow_key key;
	u32 pad;
	struct flow flow;
};

/*
 * Map `listed`, one value. The table has no order: when more are half-open than there is room
 * for, those that the sweep meets first are listed. So user space says how old they must be, and
 * finds the oldest.
 */
struct half_open_listed {
	u64 least_age; /* ns; written by user space */
	u32 found;     /* at least as old: may be more than are listed */
	u32 pad;
	struct half_open_conn at[HALF_OPEN_LISTED];
};

_Static_assert(sizeof(struct half_open_conn) == 200, "part of a map value");

#endif
