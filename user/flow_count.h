/* SPDX-License-Identifier: GPL-2.0-only */
/* How many connections there are in each phase, for whoever asks again and again: a large table
 * takes a while to count, and is then not counted each time. */
#ifndef SYNSTILE_USER_FLOW_COUNT_H
#define SYNSTILE_USER_FLOW_COUNT_H

#include "maps.h"

struct flow_count {
	struct flow_counts counts;
	u64 next; /* when it is counted again, monotonic ns */
};

/* As of now; of a large table, perhaps of a while ago. */
const struct flow_counts *flow_count(struct flow_count *c, const struct maps *m);

#endif
