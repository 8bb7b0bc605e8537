// SPDX-License-Identifier: GPL-2.0-only
#include "clock.h"
#include "flow_count.h"
#include "log.h"
#include "moment.h"

#define QUICK_NS (5 * NS_PER_MS)
#define COST     20 /* else one part of the time in so many is spent on it */

const struct flow_counts *flow_count(struct flow_count *c, const struct maps *m)
{
	u64 start = monotonic_now(), took;

	if (start < c->next)
		return &c->counts;
	if (maps_count_flows(m, &c->counts))
		debug("cannot count all flows");
	took = monotonic_now() - start;
	c->next = took > QUICK_NS ? start + took * COST : 0;
	return &c->counts;
}
